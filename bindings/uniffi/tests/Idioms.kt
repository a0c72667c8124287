// What Kotlin promises beyond the scenarios: waits that a cancellation ends, blocks that clean up,
// flows that end, errors by hundred.
package primer.idioms

import kotlin.system.exitProcess
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitCancellation
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.flow.map
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import primer.*

/** Long enough for any machine; no test waits for it to pass. */
private const val PATIENCE_MS = 20_000uL

private val tests = mapOf<String, suspend () -> Unit>(
    "a block closes its member, also when it throws" to {
        lateinit var kept: Queue
        equal(7, withPrimer { kept = it.queue("jobs"); 7 })
        equal(501, number { kept.receiveOne() })
        try {
            withPrimer { kept = it.queue("jobs"); throw NoSuchElementException() }
        } catch (_: NoSuchElementException) {
        }
        equal(501, number { kept.receiveOne() })
    },
    "an error has its number and text, and a class for its hundred" to {
        try {
            Primer.open(mapOf("colour" to "red"))
            throw AssertionError("it was opened")
        } catch (error: PrimerException.WrongCall) {
            equal(101 to "InvalidArgument", error.number.toInt() to error.kind)
            equal(true, (error as PrimerException).reason.startsWith("101 InvalidArgument"))
        }
    },
    "a cancelled wait loses no message" to {
        withPrimer { primer ->
            val jobs = primer.queue("jobs")
            val subscription = primer.queue("pushed").subscribe()
            coroutineScope {
                // Undispatched: both are waiting before the next line runs.
                val waits = listOf(
                    async(start = CoroutineStart.UNDISPATCHED) { jobs.receiveOne(PATIENCE_MS * 10uL) },
                    async(start = CoroutineStart.UNDISPATCHED) { subscription.next(PATIENCE_MS * 10uL) },
                )
                waits.forEach { it.cancelAndJoin() }
            }
            jobs.enqueue("one")
            primer.queue("pushed").enqueue("two")
            equal("one" to 1u, jobs.receiveOne(PATIENCE_MS)!!.settle { it.text() to it.attempts() })
            equal("two", subscription.next(PATIENCE_MS)!!.settle { it.text() })
        }
    },
    "settle acks what went well, nacks what failed and lets go of what was cancelled" to {
        withPrimer { primer ->
            val jobs = primer.queue("jobs")
            jobs.enqueue("one")
            try {
                jobs.receiveOne()!!.settle { throw NoSuchElementException() }
            } catch (_: NoSuchElementException) {
            }
            val again = jobs.receiveOne(PATIENCE_MS)!!
            equal(2u, again.attempts())
            coroutineScope {
                val isInside = CompletableDeferred<Unit>()
                val work = launch { again.settle { isInside.complete(Unit); awaitCancellation() } }
                isInside.await()
                work.cancel(CancellationException("enough"))
            }
            equal("one" to 2u, jobs.receiveOne(PATIENCE_MS)!!.settle { it.text() to it.attempts() })
            equal(null, jobs.receiveOne())
        }
    },
    "a flow of deliveries ends when the subscription is closed" to {
        withPrimer { primer ->
            val jobs = primer.queue("jobs")
            jobs.enqueueMany(listOf("1", "2", "3").map { it.encodeToByteArray() })
            val subscription = jobs.subscribe(SubscribeOptions(credit = 1u))
            val texts = subscription.deliveries().map { delivery -> delivery.settle { it.text() } }
            equal(listOf("1", "2"), texts.take(2).toList())
            coroutineScope {
                // Undispatched: it is waiting before the next line runs.
                val rest = async(start = CoroutineStart.UNDISPATCHED) { texts.toList() }
                subscription.shutdown()
                equal(true, rest.await().size <= 1)
            }
        }
    },
)

private fun equal(wanted: Any?, got: Any?) {
    if (wanted != got) throw AssertionError("wanted $wanted, got $got")
}

private suspend fun number(call: suspend () -> Unit): Int = try {
    call()
    0
} catch (error: PrimerException) {
    error.number
}

fun main() {
    val failures = tests.count { (name, test) ->
        val failure = runCatching { runBlocking { test() } }.exceptionOrNull()
        println(if (failure == null) "idioms: ok $name" else "idioms: FAILED $name: ${failure.stackTraceToString()}")
        failure != null
    }
    println("idioms: ${tests.size - failures} passed, $failures failed")
    exitProcess(if (failures == 0) 0 else 1)
}
