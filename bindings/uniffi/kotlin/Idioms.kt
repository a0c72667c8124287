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

/** Opens a member with these options (surface.md), runs [block] with it and closes it after. */
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

/** The next delivery, waiting for it up to [waitMs]; null when there was none. */
suspend fun Queue.receiveOne(waitMs: ULong = 0uL, leaseMs: ULong? = null): Delivery? =
    receive(ReceiveOptions(1u, waitMs, leaseMs)).firstOrNull()

/** The producer's bytes as UTF-8. */
fun Delivery.text(): String = body().decodeToString()

/**
 * Runs [block], acks and answers its value. An exception nacks the delivery and goes on to the
 * caller; a cancellation lets go of it: again at once, for anyone.
 */
suspend fun <T> Delivery.settle(block: suspend (Delivery) -> T): T = use {
    val value = try {
        block(it)
    } catch (cancelled: kotlinx.coroutines.CancellationException) {
        it.letGo()
        throw cancelled
    } catch (failure: Exception) {
        // A lease that is gone is no news to a caller whose work has just failed.
        try { it.nack() } catch (_: PrimerException) { }
        throw failure
    }
    it.ack()
    value
}

/** The deliveries as they come, until the subscription or its member is closed. */
fun Subscription.deliveries(): Flow<Delivery> = flow {
    while (true) {
        val delivery = try {
            next(60_000uL)
        } catch (_: PrimerException.MemberDown) {
            return@flow
        }
        if (delivery != null) emit(delivery)
    }
}
