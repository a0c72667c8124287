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
    // The loop that README.md calls a worker.
    "a worker's loop that catches goes on after a job that failed" to {
        withPrimer { primer ->
            val jobs = primer.queue("jobs")
            jobs.enqueueMany(listOf("rejected", "good").map { it.encodeToByteArray() })
            val failures = mutableListOf<String?>()
            jobs.subscribe(SubscribeOptions(maxRunMs = 300_000uL)).use { subscription ->
                subscription.deliveries().collect {
                    try {
                        it.settle { one -> if (one.text() == "rejected") throw Reject("no") }
                        subscription.shutdown()
                    } catch (cancelled: CancellationException) {
                        throw cancelled
                    } catch (failure: Exception) {
                        failures += failure.message
                    }
                }
            }
            equal(listOf<String?>("no"), failures)
            equal("rejected", primer.queue("jobs.dead").receiveOne(PATIENCE_MS)!!.settle { it.text() })
        }
    },
    "what a block answers is the reply of whoever called" to {
        withPrimer { primer ->
            val sums = primer.queue("sums")
            coroutineScope {
                val work = launch { sums.subscribe().deliveries().collect { one ->
                    one.settleReplying { ("re " + it.text()).encodeToByteArray() }
                } }
                equal(listOf("re a", "re b"), listOf("a", "b").map { sums.call(it, PATIENCE_MS).text() })
                sums.enqueue("nobody waits")
                equal("re c", sums.call("c".encodeToByteArray(), PATIENCE_MS).text())
                work.cancelAndJoin()
            }
            equal(302, number { primer.queue("nobody").call("d", 50uL) })
        }
    },
    "all pages are read one after the other" to {
        withPrimer { primer ->
            val jobs = primer.queue("jobs")
            for (text in listOf("one", "two", "three")) jobs.enqueue(text)
            val pages = jobs.browseAll(BrowseOptions(max = 2u)).toList()
            equal(listOf(listOf("one", "two"), listOf("three")), pages.map { page -> page.messages.map { it.text() } })
            equal(State.READY to 3uL, pages[0].messages[0].let { it.state to it.bodyBytes })
            equal(101, number { jobs.browse(BrowseOptions(after = "no cursor")) })
        }
    },
    "letters go back and are counted" to {
        withPrimer { primer ->
            val jobs = primer.queue("jobs")
            val dead = primer.queue("jobs.dead")
            for (text in listOf("one", "two")) jobs.enqueue(text)
            repeat(2) { jobs.receive(ReceiveOptions(waitMs = 20_000uL)).first().reject("as told") }
            val dry = dead.redrive(RedriveOptions(headers = listOf(Header("primer-cause", "rejected")), dryRun = true))
            equal(Redriven(2uL, 0uL, 0uL, 0uL, 0uL, emptyList()), dry)
            val id = dead.browse().messages[0].id
            equal(1uL, dead.redrive(RedriveOptions(ids = listOf(id))).moved)
            equal(1uL to 1uL, dead.redrive().let { it.matched to it.moved })
            equal(101, number { dead.redrive(RedriveOptions(ids = listOf("no id"))) })
        }
    },
    "a diagnosis says what is the matter" to {
        withPrimer { primer ->
            val jobs = primer.queue("jobs")
            val me = primer.members().first().id
            equal(listOf("empty"), jobs.doctor().findings.map { it.code })
            for (text in listOf("one", "two")) jobs.enqueue(text)
            jobs.receive(ReceiveOptions(waitMs = 20_000uL))
            val told = jobs.doctor()
            equal(listOf(Finding("no_consumer", null, 1uL, listOf(me))), told.findings)
            equal(listOf(1uL, 1uL, 0uL), told.facts[0].let { listOf(it.ready, it.leased, it.delayed) })
            equal(emptyList<String>() to null, told.missing to told.facts[0].paused)
        }
    },
    "an explanation says what a message is" to {
        withPrimer { primer ->
            val id = primer.queue("jobs").enqueue("one").id
            val me = primer.members().first().id
            val told = primer.explain(id)
            equal(listOf(me to "ready"), told.accounts.map { it.member to it.known })
            equal(listOf("jobs", null, me, id), told.accounts[0].let { listOf(it.queue, it.group, it.owner, it.id) })
            equal(emptyList<String>(), told.missing)
            equal(101, number { primer.explain("no id") })
            primer.shutdown()
            equal(501, number { primer.explain(id) })
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
    "a producer says in which order, from when and how often; a batch shares it" to {
        withPrimer { primer ->
            val jobs = primer.queue("jobs")
            val hour = 3_600_000uL
            jobs.enqueue("low", EnqueueOptions(priority = 0u))
            jobs.enqueue("usual")
            jobs.enqueueMany(
                listOf("1", "2").map { it.encodeToByteArray() }, EnqueueOptions(priority = 9u, maxAttempts = 1u),
            )
            jobs.enqueue("in an hour", EnqueueOptions(delayMs = hour))
            jobs.enqueue("at its date", EnqueueOptions(atMs = System.currentTimeMillis().toULong() + hour))
            jobs.enqueue("past", EnqueueOptions(atMs = 1uL, ttlMs = hour))
            val all = jobs.receive(ReceiveOptions(9u))
            equal(
                listOf("1" to 9, "2" to 9, "usual" to 4, "past" to 4, "low" to 0),
                all.map { it.text() to it.priority().toInt() },
            )
            all.take(2).forEach { it.nack(0uL) }
            equal(setOf("1", "2"), primer.queue("jobs.dead").receive(ReceiveOptions(9u)).map { it.text() }.toSet())
            equal(1u.toUShort(), jobs.enqueue("once", EnqueueOptions(atMostOnce = true)).copies)
            jobs.receiveOne()!!.letGo()
            equal(null, jobs.receiveOne())
            val wrong = listOf(
                EnqueueOptions(priority = 10u), EnqueueOptions(ttlMs = 0uL), EnqueueOptions(maxAttempts = 0u),
                EnqueueOptions(delayMs = 1uL, atMs = 1uL), EnqueueOptions(atMostOnce = true, copies = 2u),
                EnqueueOptions(delayMs = ULong.MAX_VALUE), EnqueueOptions(atMs = ULong.MAX_VALUE),
            )
            wrong.forEach { equal(101, number { jobs.enqueue("no", it) }) }
            equal(null, jobs.receiveOne())
        }
    },
    "each group gets each message once, and a producer may want groups alone" to {
        withPrimer { primer ->
            val jobs = primer.queue("jobs")
            equal(102, number { jobs.enqueue("x", EnqueueOptions(ifNoGroup = IfNoGroup.REFUSE)) })
            val dropped = jobs.enqueue("x", EnqueueOptions(ifNoGroup = IfNoGroup.DROP))
            equal(0.toUShort() to 0.toUShort(), dropped.copies to dropped.wanted)
            jobs.enqueue("before")
            jobs.createGroup("new")
            jobs.createGroup("old", backlog = true)
            equal("before", jobs.receiveOne(PATIENCE_MS, group = "old")!!.settle { it.text() })
            val older = jobs.subscribe(SubscribeOptions(group = "older", backlog = true))
            equal("before", older.next(PATIENCE_MS)!!.settle { it.text() })
            jobs.enqueue("after")
            equal("after", older.next(PATIENCE_MS)!!.settle { it.text() })
            equal(listOf("new", "old", "older"), jobs.groups())
            for (group in listOf("new", "old")) equal("after", jobs.receiveOne(group = group)!!.settle { it.text() })
            equal("before", jobs.receiveOne()!!.settle { it.text() })
            jobs.groups().forEach { jobs.removeGroup(it) }
            equal(emptyList<String>(), jobs.groups())
            equal(101, number { jobs.createGroup("") })
            equal(101, number { jobs.receiveOne(group = "") })
        }
    },
    "a rejected message goes on as a dead letter with its reason" to {
        withPrimer { primer ->
            val jobs = primer.queue("jobs")
            val dead = primer.queue("jobs.dead")
            suspend fun reason() = dead.receiveOne(PATIENCE_MS)!!.settle { letter ->
                letter.headers().single { it.key == "primer-reason" }.value
            }
            jobs.enqueue("one")
            jobs.enqueue("two")
            val first = jobs.receiveOne()!!
            first.reject("no such customer")
            equal("no such customer", reason())
            equal(402, number { first.reject("again") })
            try {
                jobs.receiveOne()!!.settle { throw Reject("nor such grüße") }
                throw AssertionError("it did not go on to the caller")
            } catch (reject: Reject) {
                equal("nor such grüße" to reject.message, reason() to reject.message)
            }
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
    "what is worked on for longer than its lease stays its worker's" to {
        withPrimer { primer ->
            val jobs = primer.queue("jobs")
            val clock = primer.queue("clock")
            jobs.enqueue("slow")
            val subscription = jobs.subscribe(SubscribeOptions(leaseMs = 200uL, maxRunMs = 3_600_000uL))
            val attempts = subscription.deliveries().map { delivery ->
                delivery.settle {
                    clock.enqueue("tick")
                    val first = clock.receiveOne(leaseMs = 1_000uL)!!
                    // Until that lease ran out: an event of the engine's, after many of the shorter ones.
                    equal(2u, clock.receiveOne(waitMs = PATIENCE_MS)!!.settle { tick -> tick.attempts() })
                    equal(1u, first.attempts())
                    equal(null, jobs.receiveOne())
                    it.attempts()
                }
            }
            equal(listOf(1u), attempts.take(1).toList())
            equal(null, jobs.receiveOne())
        }
    },
    "flows of broadcasts, changes and events end when their reader or member is closed" to {
        withPrimer { primer ->
            val chat = primer.on("chat")
            primer.broadcast("chat", "one")
            primer.broadcast("chat", byteArrayOf(0, -1, 0))
            val told = chat.broadcasts().take(2).toList()
            equal("one" to listOf<Byte>(0, -1, 0), told[0].text() to told[1].body.toList())
            equal(primer.members().single().id, told[0].from)
            val watch = primer.watch()
            val events = primer.events()
            coroutineScope {
                // Undispatched: all are waiting before the next line runs.
                val heard = async(start = CoroutineStart.UNDISPATCHED) { chat.broadcasts().toList() }
                val changes = async(start = CoroutineStart.UNDISPATCHED) { watch.changes().toList() }
                val happened = async(start = CoroutineStart.UNDISPATCHED) { events.asFlow().toList() }
                chat.shutdown()
                equal(emptyList<Broadcast>(), heard.await())
                primer.put("key", "red")
                primer.shutdown()
                equal(listOf("key" to "red"), changes.await().map { it.key to it.text() })
                equal(emptyList<Event>(), happened.await())
            }
        }
    },
    "a cancelled wait loses no broadcast" to {
        withPrimer { primer ->
            val chat = primer.on("chat")
            coroutineScope {
                async(start = CoroutineStart.UNDISPATCHED) { chat.next(PATIENCE_MS * 10uL) }.cancelAndJoin()
            }
            primer.broadcast("chat", "one")
            equal("one", chat.next(PATIENCE_MS)!!.text())
        }
    },
    "keys are bytes; null is one that is not there" to {
        withPrimer { primer ->
            equal(null, primer.get("key"))
            primer.put("key", byteArrayOf(0, -1, 0))
            primer.put("other", "text")
            equal(listOf<Byte>(0, -1, 0), primer.get("key")!!.toList())
            equal(listOf("key", "other"), primer.list().map { it.key })
            equal("text" to emptyList<ByteArray>(), primer.list("o").single().let { it.text() to it.others })
            primer.delete("key")
            equal(null, primer.get("key"))
            equal(104, number { primer.put("key", ByteArray(65_537)) })
            equal(101, number { primer.evict("nobody") })
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
