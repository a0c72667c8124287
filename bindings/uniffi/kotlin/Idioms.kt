// Primer for Kotlin: what Kotlin people expect, in a few lines over the generated verbs.
//
// A verb that may wait is a suspend function: cancelling its coroutine ends the wait, and a message
// that was leased for it goes back. `close()` of a handle is AutoCloseable's: it lets go of the
// handle; a member is closed by `shutdown()`, which suspends.
package primer

import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.withContext

/** The stable number; its hundred says what to do. */
val PrimerException.number: Int
    get() = when (this) {
        is PrimerException.WrongCall -> this.number
        is PrimerException.NotNow -> this.number
        is PrimerException.InDoubt -> this.number
        is PrimerException.TooLate -> this.number
        is PrimerException.MemberDown -> this.number
    }.toInt()

/** The whole error in one line. */
val PrimerException.reason: String
    get() = when (this) {
        is PrimerException.WrongCall -> this.reason
        is PrimerException.NotNow -> this.reason
        is PrimerException.InDoubt -> this.reason
        is PrimerException.TooLate -> this.reason
        is PrimerException.MemberDown -> this.reason
    }

/** Opens a member with these options (tests/conformance/surface.toml), runs [block] with it and closes it after. */
suspend fun <T> withPrimer(vararg options: Pair<String, String>, block: suspend (Primer) -> T): T {
    val member = Primer.open(options.toMap())
    try {
        return block(member)
    } finally {
        // Also when this coroutine is being cancelled, and then most of all.
        withContext(NonCancellable) { member.shutdown() }
        member.close()
    }
}

/** Puts a text into the queue, as UTF-8. */
suspend fun Queue.enqueue(text: String, options: EnqueueOptions? = null): Receipt =
    enqueue(text.encodeToByteArray(), options)

/** Puts a text into the queue, as UTF-8, and waits for the reply of whoever handles it. */
suspend fun Queue.call(text: String, timeoutMs: ULong = 30_000uL, options: EnqueueOptions? = null): Reply =
    call(text.encodeToByteArray(), timeoutMs, options)

/** Replies to whoever waits for it with a text, as UTF-8, then acks it. */
fun Delivery.reply(text: String, headers: List<Header> = emptyList()) = reply(text.encodeToByteArray(), headers)

/** The handler's bytes as UTF-8. */
fun Reply.text(): String = body.decodeToString()

/** The next delivery, in [group] where that is given, waiting for it up to [waitMs]; null when there was none. */
suspend fun Queue.receiveOne(waitMs: ULong = 0uL, leaseMs: ULong? = null, group: String? = null): Delivery? =
    receive(ReceiveOptions(1u, waitMs, leaseMs, group)).firstOrNull()

/** All pages one after the other, each asked for when it is wanted. */
fun Queue.browseAll(options: BrowseOptions = BrowseOptions()): Flow<Page> = flow {
    var page = browse(options)
    emit(page)
    while (page.cursor != null) {
        page = browse(options.copy(after = page.cursor))
        emit(page)
    }
}

/** The producer's bytes as UTF-8, as far as they are here. */
fun Browsed.text(): String = body.decodeToString()

/** The producer's bytes as UTF-8. */
fun Delivery.text(): String = body().decodeToString()

/** Thrown inside [settle]: this message can never succeed, so it is rejected, not nacked. */
class Reject(reason: String) : Exception(reason)

/**
 * Runs [block], acks and answers its value. An exception nacks the delivery, or rejects it when it is
 * a [Reject], and goes on to the caller; a cancellation lets go of it: again at once, for anyone.
 */
suspend fun <T> Delivery.settle(block: suspend (Delivery) -> T): T = settleBy(block) { ack() }

/** As [settle]; what [block] answers is the reply, where somebody waits for one. */
suspend fun Delivery.settleReplying(block: suspend (Delivery) -> ByteArray): ByteArray =
    settleBy(block) { if (wantsReply()) reply(it) else ack() }

private suspend fun <T> Delivery.settleBy(block: suspend (Delivery) -> T, finish: Delivery.(T) -> Unit): T = use {
    val value = try {
        block(it)
    } catch (cancelled: kotlinx.coroutines.CancellationException) {
        it.letGo()
        throw cancelled
    } catch (failure: Exception) {
        // A lease that is gone is no news to a caller whose work has just failed.
        try {
            if (failure is Reject) it.reject(failure.message.orEmpty()) else it.nack()
        } catch (_: PrimerException) { }
        throw failure
    }
    it.finish(value)
    value
}

/** The deliveries as they come, until the subscription or its member is closed. */
fun Subscription.deliveries(): Flow<Delivery> = read { next(it) }

/** What is broadcast to the topic as it comes, until the reader or its member is closed. */
fun Topic.broadcasts(): Flow<Broadcast> = read { next(it) }

/** Changes of keys as they come, until the reader or its member is closed. */
fun Watch.changes(): Flow<Change> = read { next(it) }

/** Events as they come, until the member is closed. */
fun Events.asFlow(): Flow<Event> = read { next(it) }

/** Tells everyone who listens to [topic] this text, as UTF-8. */
fun Primer.broadcast(topic: String, text: String) = broadcast(topic, text.encodeToByteArray())

/** Writes a text under [key] for the whole cluster, as UTF-8. */
fun Primer.put(key: String, text: String) = put(key, text.encodeToByteArray())

/** What was told, as UTF-8. */
fun Broadcast.text(): String = body.decodeToString()

/** The value as UTF-8. */
fun Entry.text(): String = value.decodeToString()

/** The value as UTF-8; null when the key was removed. */
fun Change.text(): String? = value?.decodeToString()

private const val CLOSED = 501

/** Items until a wait for one is answered "closed"; how long a native wait lasts nobody sees. */
private fun <T : Any> read(next: suspend (ULong) -> T?): Flow<T> = flow {
    while (true) {
        val item = try {
            next(60_000uL)
        } catch (down: PrimerException) {
            // Closed is the end; a member that broke down is not.
            if (down.number == CLOSED) return@flow
            throw down
        }
        if (item != null) emit(item)
    }
}
