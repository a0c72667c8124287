// What the names of one scenario stand for, and how each step is done and held to its expectation.
package primer.conformance

import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Deferred
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.delay
import primer.*

/** A step that differs from what the file says. */
class Differs(what: String) : Exception(what)

/** Waits end by an event; this is only how long the runner believes in one. */
const val PATIENCE_MS = 20_000L

/** What a step gives when it succeeds without a value. */
object Done

/** What a step gives that was held to its expectation already. */
object Compared

inline fun done(block: () -> Unit): Any { block(); return Done }
fun nowMs() = System.nanoTime() / 1_000_000

/** Asks until it is [wanted]. Throws [Differs]. */
suspend fun awaited(step: Step, wanted: List<String>, ask: suspend () -> List<String>): Any {
    val ends = nowMs() + PATIENCE_MS
    while (true) {
        val now = ask()
        if (step.wanted.isEmpty() || step.error != null) return Done
        if (now == wanted) return Compared
        if (nowMs() > ends) throw Differs("wanted ${"$wanted".take(200)}, got ${"$now".take(200)}")
        delay(10)
    }
}

/** Settings between spaces; one without a value is unset. */
private fun settingsIn(text: String) =
    text.split(' ').associate { it.substringBefore('=') to it.substringAfter('=') }

class World {
    private class Host(val primer: Primer, val events: Events)
    private class Reader(val member: String, val queue: Queue, val subscription: Subscription)

    private val members = mutableMapOf<String, Host>()
    private val messages = mutableMapOf<String, String>()
    private val readers = mutableMapOf<String, Reader>()
    private val deliveries = mutableMapOf<Pair<String, String>, ArrayDeque<Delivery>>()
    private val gossip = Gossip { members.getValue(it).primer }
    private val calls = mutableMapOf<String, Deferred<Result<Reply>>>()
    private val cursors = mutableMapOf<String, String>()
    private val scope = CoroutineScope(Dispatchers.Default)
    private val homes = java.util.IdentityHashMap<Delivery, Queue>()

    /** Does one step. Throws [Differs]. */
    suspend fun step(step: Step) {
        val number = step.error
        val given = try {
            run(step)
        } catch (error: PrimerException) {
            if (error.number == number) return
            throw Differs(if (number == null) "failed: ${error.reason}" else "wanted error $number, got ${error.reason}")
        }
        if (number != null) throw Differs("wanted error $number, but it succeeded")
        compare(step, given)
    }

    /** Closes every member. */
    suspend fun close() = members.values.forEach { it.primer.shutdown() }

    private suspend fun run(step: Step): Any = when (step.verb) {
        "open" -> open(step)
        "join" -> done { member(step).join(if (step.args[1].isText) step.name(1) else address(step.name(1))) }
        "leave" -> done { member(step).leave(step.number("drain"), step.option("force") == "true") }
        "close" -> done { member(step).shutdown() }
        "address" -> if (member(step).address() == null) "none" else "some"
        "members" -> counted(step) { member(step).members().count { it.isReachable }.toULong() }
        "stats" -> counted(step) { member(step).stats()[step.name(1)] ?: 0uL }
        "event" -> done { event(step) }
        "enqueue" -> listOf(queue(step).enqueue(step.args[2].value, enqueueOptions(step)))
        "enqueue_many" -> queue(step).enqueueMany(step.args.drop(2).map { it.value }, enqueueOptions(step))
        "call" -> call(step)
        "reply" -> done { received(step, 1).reply(step.args[2].value, headers(step)) }
        "replied" -> replied(step)
        "receive" -> queue(step).receive(receiveOptions(step))
        "browse" -> browse(step)
        "explain" -> explain(step)
        "redrive" -> redrive(step)
        "doctor" -> doctor(step)
        "subscribe" -> subscribe(step)
        "create_group" -> done { queue(step).createGroup(step.name(2), isBacklog(step)) }
        "remove_group" -> done { queue(step).removeGroup(step.name(2)) }
        "groups" -> awaited(step, step.wanted - "empty") { queue(step).groups() }
        "configure" -> done { queue(step).configure(settingsIn(step.name(2))) }
        "configuration" ->
            awaited(step, step.wanted - "empty") { queue(step).configuration().map { "${it.key}=${it.value}" }.sorted() }
        "pause" -> done { queue(step).pause(step.name(2)) }
        "resume" -> done { queue(step).resume() }
        "purge" -> done { queue(step).purge() }
        "set_policy" -> done { member(step).setPolicy(step.name(1), settingsIn(step.name(2))) }
        "remove_policy" -> done { member(step).removePolicy(step.name(1)) }
        "policies" -> awaited(step, step.wanted - "empty") { member(step).policies().keys.sorted() }
        "next" -> listOfNotNull(reader(step).subscription.next(step.number("wait") ?: 0uL))
        "credit" -> done { reader(step).subscription.credit(step.name(1).toUInt()) }
        "unsubscribe" -> done { reader(step).subscription.shutdown() }
        "ack" -> done { received(step, 1).ack() }
        "ack_many" -> homes.getValue(received(step, 1)).ackMany((1 until step.args.size).map { received(step, it) })
        "nack" -> done { received(step, 1).nack(step.number("delay")) }
        "release" -> done { received(step, 1).release() }
        "reject" -> done { received(step, 1).reject(step.option("reason").orEmpty()) }
        "extend" -> done { received(step, 1).extend(step.number("lease")) }
        "drop" -> done { received(step, 1).letGo(); deliveries.getValue(step.name(0) to step.name(1)).removeLast() }
        else -> gossip.run(step)
    }

    private suspend fun open(step: Step): Any {
        val pairs = step.options.associate { word ->
            if (word.key == "join") "seeds" to word.text.split(',').joinToString(",") { address(it) }
            else word.key!! to word.text
        }
        // Scenarios of one cluster's name may run side by side: only one that asks for it meets by name.
        val isSilent = pairs.isNotEmpty() && "discover" !in pairs
        val member = Primer.open(if (isSilent) pairs + ("discover" to "none") else pairs)
        members[step.name(0)] = Host(member, member.events())
        return Done
    }

    /** It goes on beside the other steps. */
    private fun call(step: Step): Any {
        val timeout = step.number("timeout") ?: PATIENCE_MS.toULong()
        val (queue, options) = queue(step) to enqueueOptions(step).copy(timeoutMs = null)
        calls[step.wanted.first()] = scope.async { runCatching { queue.call(step.args[2].value, timeout, options) } }
        return Compared
    }

    private suspend fun replied(step: Step): Any {
        val reply = calls.remove(step.name(0))!!.await().getOrThrow()
        if (step.error != null) return Done
        val body = step.expect[0].first()
        if (!reply.body.contentEquals(body.value)) differ(body.text.take(40), reply.text().take(40))
        for (word in step.expect[0].drop(1)) {
            val has = reply.headers.find { "header." + it.key == word.key }?.value
            if (has != word.text) differ(word.text, has)
        }
        return Compared
    }

    private fun headers(step: Step) =
        step.options.filter { it.key!!.startsWith("header.") }.map { Header(it.key!!.removePrefix("header."), it.text) }

    private suspend fun browse(step: Step): Any {
        val page = queue(step).browse(look(step))
        if (step.error != null) return Done
        val isEmpty = step.expect.singleOrNull()?.singleOrNull()?.isPlain("empty") == true
        val groups = if (isEmpty) emptyList() else step.expect
        if (groups.size != page.messages.size) differ("${groups.size} messages", page)
        groups.zip(page.messages) { words, browsed ->
            bind(words.first().text, browsed.id)
            words.drop(1).forEach { check(browsed, it) }
            val dated = (browsed.readyAtMs != null) to (browsed.leaseMs != null)
            if (dated != (browsed.state == State.DELAYED) to (browsed.state == State.LEASED)) differ("its dates", browsed)
        }
        val missing = step.number("missing") ?: 0uL
        if (missing != page.missing.size.toULong()) differ("$missing missing", page.missing)
        val name = step.option("cursor") ?: return Compared
        if ((name == "none") != (page.cursor == null)) differ("cursor $name", page.cursor)
        page.cursor?.let { cursors[name] = it }
        return Compared
    }

    private fun look(step: Step) = BrowseOptions(
        step.number("max")?.toUInt() ?: 100u,
        step.options.find { it.key == "after" }?.let { if (it.isText) it.text else cursors.getValue(it.text) },
        step.option("group"),
        step.option("states")?.split(',').orEmpty().map { State.valueOf(it.uppercase()) },
        headers(step),
        step.number("body_bytes")?.toUInt() ?: 65_536u,
        step.number("timeout") ?: PATIENCE_MS.toULong(),
    )

    private fun check(browsed: Browsed, word: Word) {
        val has = when (val key = word.key) {
            null -> browsed.body
            "attempts" -> browsed.attempts.toString().encodeToByteArray()
            "priority" -> browsed.priority.toString().encodeToByteArray()
            "key" -> browsed.key.orEmpty().encodeToByteArray()
            "copies" -> browsed.copies.toString().encodeToByteArray()
            "bytes" -> browsed.bodyBytes.toString().encodeToByteArray()
            "state" -> browsed.state.name.lowercase().encodeToByteArray()
            "group" -> browsed.group.orEmpty().encodeToByteArray()
            else -> browsed.headers.find { "header." + it.key == key }?.value.orEmpty().encodeToByteArray()
        }
        if (!has.contentEquals(word.value)) differ("${word.key ?: "body"} ${word.text.take(40)}", has.decodeToString().take(40))
    }

    private suspend fun doctor(step: Step): Any = awaited(step, listOf("as written")) {
        val told = queue(step).doctor()
        val isSo = step.error == null && told.missing.size.toULong() == (step.number("missing") ?: 0uL) &&
            told.findings.size == step.expect.size &&
            told.findings.zip(step.expect).all { (finding, words) -> words.all { isFound(finding, it) } }
        listOf(if (isSo) "as written" else "$told")
    }

    private fun isFound(finding: Finding, word: Word) = when (word.key) {
        null -> finding.code == word.text
        "group" -> finding.group == word.text
        "messages" -> finding.messages.toString() == word.text
        "members" -> finding.members.size.toString() == word.text
        else -> differ("a finding's word", word.key)
    }

    private suspend fun redrive(step: Step): Any {
        val ids = step.options.find { it.key == "ids" }
        val names = ids?.text?.split(',').orEmpty()
        val told = queue(step).redrive(
            RedriveOptions(
                step.option("to"),
                step.number("max") ?: 10_000uL,
                headers(step),
                if (ids?.isText == true) names else names.map { messages.getValue(it) },
                step.option("dry_run") == "true",
                step.number("timeout") ?: PATIENCE_MS.toULong(),
            ),
        )
        if (step.error != null) return Done
        for (word in step.expect.flatten()) {
            val has = when (word.key) {
                "matched" -> told.matched
                "moved" -> told.moved
                "refused" -> told.refused
                "skipped" -> told.skipped
                "leased" -> told.leased
                else -> differ("a redrive's word", word.key)
            }
            if (has.toString() != word.text) differ("${word.key}=${word.text}", told)
        }
        val missing = step.number("missing") ?: 0uL
        if (missing != told.missing.size.toULong()) differ("$missing missing", told.missing)
        return Compared
    }

    private suspend fun explain(step: Step): Any {
        val id = if (step.args[1].isText) step.name(1) else messages.getValue(step.name(1))
        val wanted = if (step.error != null) emptyMap() else step.expect.associate { idOf(it.first().text) to it.drop(1) }
        return awaited(step, listOf("as written")) {
            val told = member(step).explain(id)
            val isSo = told.missing.size.toULong() == (step.number("missing") ?: 0uL) &&
                told.accounts.map { it.member } == wanted.keys.sorted() &&
                told.accounts.all { one -> wanted.getValue(one.member).all { isSo(one, it) } }
            listOf(if (isSo) "as written" else "$told")
        }
    }

    private fun isSo(account: Account, word: Word) = when (word.key) {
        null -> (account.leaseMs != null) == (account.known == "leased") &&
            (account.readyAtMs != null) == (account.known == "delayed") &&
            account.known in if (word.text == "done") listOf("acked", "forgotten") else listOf(word.text)
        "queue" -> account.queue == word.text
        "attempts" -> account.attempts.toString() == word.text
        "holders" -> account.holders.size.toString() == word.text
        "confirmed" -> account.confirmed.toString() == word.text
        "owner" -> account.owner == idOf(word.text)
        "lessee" -> account.lessee == idOf(word.text)
        else -> differ("an account's word", word.key)
    }

    private fun idOf(name: String) = members.getValue(name).primer.members().first { it.isSelf }.id

    private suspend fun subscribe(step: Step): Any {
        val credit = step.number("credit")?.toUInt() ?: 64u
        val (bytes, run) = step.number("credit_bytes") to step.number("max_run")
        val options = SubscribeOptions(credit, step.number("lease"), bytes, run, step.option("group"), isBacklog(step))
        val queue = queue(step)
        readers[step.wanted.first()] = Reader(step.name(0), queue, queue.subscribe(options))
        return step.wanted.first()
    }

    /** Waits for the next event of that kind; those of other kinds are skipped. */
    private suspend fun event(step: Step) {
        val ends = nowMs() + PATIENCE_MS
        while (nowMs() < ends) {
            val left = (ends - nowMs()).coerceAtLeast(0)
            if (members.getValue(step.name(0)).events.next(left.toULong())?.kind == step.name(1)) return
        }
        throw Differs("no event ${step.name(1)} within $PATIENCE_MS ms")
    }

    /** Waits until a count is the one that the step wants. */
    private suspend fun counted(step: Step, count: suspend () -> ULong) =
        awaited(step, step.wanted) { listOf(count().toString()) }

    private fun compare(step: Step, given: Any) {
        val wanted = step.wanted
        when (given) {
            Compared -> Unit
            Done -> if (wanted.isNotEmpty() && wanted != listOf("ok")) differ(wanted, "success")
            is String -> if (wanted.isNotEmpty() && wanted != listOf(given)) differ(wanted, given)
            is List<*> -> when (given.firstOrNull()) {
                is UShort -> if (wanted != given.map { it.toString() }) differ(wanted, given)
                is Receipt -> bindReceipts(step, given.map { it as Receipt })
                else -> bindDeliveries(step, given.map { it as Delivery })
            }
        }
    }

    private fun bindReceipts(step: Step, receipts: List<Receipt>) {
        val (names, counts) = (step.expect.firstOrNull() ?: return).partition { it.key == null }
        if (names.size != receipts.size) throw Differs("${names.size} names for ${receipts.size} receipts")
        names.zip(receipts) { name, receipt ->
            for (word in counts) {
                val has: Any = when (word.key) {
                    "copies" -> receipt.copies
                    "is_duplicate" -> receipt.isDuplicate
                    else -> receipt.wanted
                }
                if (word.text != has.toString()) differ("${word.key}=${word.text}", has)
            }
            bind(name.text, receipt.id)
        }
    }

    private fun bindDeliveries(step: Step, given: List<Delivery>) {
        val isEmpty = step.expect.singleOrNull()?.singleOrNull()?.isPlain("empty") == true
        val count = if (isEmpty) 0 else step.expect.size
        if (step.expect.isNotEmpty() && given.size != count) {
            throw Differs("wanted $count messages, got ${given.map { nameOf(it.id()) }}")
        }
        val reader = if (step.verb == "next") reader(step) else null
        val (member, home) = if (reader == null) step.name(0) to queue(step) else reader.member to reader.queue
        given.forEachIndexed { index, delivery ->
            val words = step.expect.getOrNull(index) ?: return@forEachIndexed delivery.letGo()
            bind(words.first().text, delivery.id())
            words.drop(1).forEach { check(delivery, it) }
            deliveries.getOrPut(member to words.first().text) { ArrayDeque() }.addLast(delivery)
            homes[delivery] = home
        }
    }

    private fun check(delivery: Delivery, word: Word) {
        val has = when (val key = word.key) {
            null -> delivery.body()
            "attempts" -> delivery.attempts().toString().encodeToByteArray()
            "priority" -> delivery.priority().toString().encodeToByteArray()
            "key" -> delivery.key().orEmpty().encodeToByteArray()
            else -> delivery.headers().find { it.key == key.removePrefix("header.") }?.value.orEmpty().encodeToByteArray()
        }
        if (!has.contentEquals(word.value)) differ("${word.key ?: "body"} ${word.text.take(40)}", has.decodeToString().take(40))
    }

    /** Binds a new name to an id; a name that is bound must be that id. */
    private fun bind(name: String, id: String) {
        if (messages.getOrPut(name) { id } != id) differ(name, nameOf(id))
    }

    private fun nameOf(id: String) = messages.entries.find { it.value == id }?.key ?: id
    private fun differ(wanted: Any, got: Any?): Nothing = throw Differs("wanted $wanted, got $got")
    private fun member(step: Step) = members.getValue(step.name(0)).primer
    private fun queue(step: Step) = member(step).queue(step.name(1))
    private fun reader(step: Step) = readers.getValue(step.name(0))
    private fun address(name: String) = members.getValue(name).primer.address() ?: throw Differs("`$name` has no address")

    private fun received(step: Step, index: Int) =
        deliveries[step.name(0) to step.name(index)]?.lastOrNull()
            ?: throw Differs("`${step.name(0)}` never received `${step.name(index)}`")

    private fun enqueueOptions(step: Step) = EnqueueOptions(
        step.number("copies")?.toUShort(),
        step.option("on_short")?.let { OnShort.valueOf(it.uppercase()) },
        step.number("timeout"),
        headers(step),
        priority = step.number("priority")?.toUByte(),
        delayMs = step.number("delay"),
        atMs = step.number("at")?.let { System.currentTimeMillis().toULong() + it },
        ttlMs = step.number("ttl"),
        maxAttempts = step.number("max_attempts")?.toUInt(),
        atMostOnce = step.option("at_most_once") == "true",
        ifNoGroup = step.option("if_no_group")?.let { IfNoGroup.valueOf(it.uppercase()) },
        key = step.option("key"),
        dedup = step.option("dedup"),
        dedupWindowMs = step.number("dedup_window"),
    )

    private fun isBacklog(step: Step) = step.option("backlog") == "true"

    private fun receiveOptions(step: Step) = ReceiveOptions(
        step.number("max")?.toUInt() ?: 1u, step.number("wait") ?: 0uL, step.number("lease"), step.option("group"),
        isBacklog(step),
    )
}
