// Two members, one topic: what one tells, everyone who listens hears, at once and only then.
package primer.examples

import kotlinx.coroutines.flow.first
import kotlinx.coroutines.runBlocking
import primer.*

fun main() = runBlocking {
    withPrimer("cluster" to "fanout") { ann ->
        withPrimer("cluster" to "fanout", "seeds" to ann.address()!!) { bob ->
            val events = ann.events()
            while (ann.members().count { it.isReachable } < 2) events.next(10_000uL)

            val readers = listOf("ann" to ann.on("news"), "bob" to bob.on("news"), "bob again" to bob.on("news"))
            ann.broadcast("news", "tea is ready")
            for ((name, reader) in readers) println("$name heard: ${reader.broadcasts().first().text()}")
        }
    }
}
