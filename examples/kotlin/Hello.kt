// Two members, one queue: what one puts in, the other takes out.
package primer.examples

import kotlinx.coroutines.runBlocking
import primer.*

fun main() = runBlocking {
    withPrimer("cluster" to "hello") { ann ->
        withPrimer("cluster" to "hello", "seeds" to ann.address()!!) { bob ->
            val receipt = ann.queue("greetings").enqueue("hello from ann", EnqueueOptions(copies = 2u))
            println("enqueued ${receipt.id}: ${receipt.copies} of ${receipt.wanted} copies")

            bob.queue("greetings").receiveOne(waitMs = 10_000uL)!!.settle {
                println("bob received \"${it.text()}\" (attempt ${it.attempts()})")
            }
        }
    }
}
