'use strict'
// Workers: loops that take from one subscription and settle by how the handler ends. No rule of a queue is theirs.
// The subscription keeps the leases, so a handler may take longer than one, and block the event loop.

const { EventEmitter } = require('node:events')
const { MemberDown, wrong } = require('./errors.cjs')
const { checkSignal, isBody, milliseconds, optionsOf, shown, whole } = require('./values.cjs')

/** How long a handler may take, unless told otherwise. */
const MAX_RUN = '1h'
/** setTimeout knows no longer time. */
const TIMER_MAX = 2 ** 31 - 1

/** Thrown by a handler: the message can never succeed; it is a dead letter at once, with this reason. */
class Reject extends Error {
  constructor(reason = '') {
    super(reason)
  }

  get name() {
    return 'Reject'
  }
}

class Worker extends EventEmitter {
  #subscription
  #handler
  /** Tells handlers that nobody waits for them any more. */
  #stop = new AbortController()
  /** Deliveries that are worked on. */
  #working = new Set()
  #loops
  #ending

  constructor(queue, handler, options) {
    super()
    const { concurrency, maxRun = MAX_RUN, signal, credit, ...rest } = optionsOf(options) ?? {}
    if (typeof handler !== 'function') throw wrong('a handler is a function', { handler: shown(handler) })
    if (credit !== undefined) throw wrong('a worker has as much credit as handlers; say `concurrency`')
    const count = whole(concurrency, 'concurrency', 1, 1)
    checkSignal(signal)
    this.#handler = handler
    this.#subscription = queue.subscribe({ ...rest, credit: count, maxRun })
    this.#loops = Promise.all(Array.from({ length: count }, () => this.#work()))
    if (signal) {
      const abort = () => void this.close({ drain: 0 })
      signal.addEventListener('abort', abort, { once: true })
      const unlisten = () => signal.removeEventListener('abort', abort)
      this.#loops.then(unlisten, unlisten)
    }
  }

  /** Resolves when every handler has ended, which needs the worker or its member to be closed. */
  get ended() {
    return this.#loops.then(() => undefined)
  }

  async #work() {
    for (;;) {
      let delivery
      try {
        delivery = await this.#subscription.next()
      } catch (error) {
        if (error instanceof MemberDown) return
        throw error
      }
      this.#working.add(delivery)
      await this.#handle(delivery)
      this.#working.delete(delivery)
    }
  }

  async #handle(delivery) {
    try {
      const result = await this.#handler(delivery, { signal: this.#stop.signal })
      if (delivery.isSettled) return
      // A result that is no body replies nothing: the work is done, and would be done again for ever.
      await (isBody(result) && delivery.wantsReply ? delivery.reply(result) : delivery.ack())
    } catch (error) {
      await this.#failed(delivery, error)
    }
  }

  /** A handler's failure is its message's, not the worker's. */
  async #failed(delivery, error) {
    try {
      if (!delivery.isSettled) await (error instanceof Reject ? delivery.reject(error.message) : delivery.nack())
    } catch (late) {
      this.#tell(late, delivery)
    }
    this.#tell(error, delivery)
  }

  #tell(error, delivery) {
    if (this.emit('failed', error, delivery)) return
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    process.emitWarning(`message ${delivery.id}, attempt ${delivery.attempts}: ${text}`, 'PrimerWorkerWarning')
  }

  /** Takes no more and waits up to `drain` for the handlers that run; true when all ended. Idempotent. */
  close(options) {
    const drain = milliseconds(optionsOf(options)?.drain, 'drain')
    this.#ending ??= this.#subscription.close()
    return this.#drained(drain)
  }

  async #drained(drain) {
    await this.#ending
    if (await settledWithin(this.#loops, drain)) return true
    this.#stop.abort(new DOMException('the worker is closed', 'AbortError'))
    const left = [...this.#working].filter((delivery) => !delivery.isSettled)
    const given = await Promise.allSettled(left.map((delivery) => delivery.release()))
    given.forEach(({ reason }, index) => reason && this.#tell(reason, left[index]))
    return false
  }

  [Symbol.asyncDispose]() {
    return this.close().then(() => undefined)
  }
}

/** True when `promise` settles within `ms`; negative for however long it takes. */
async function settledWithin(promise, ms) {
  if (ms < 0) {
    await promise
    return true
  }
  let timer
  const late = new Promise((resolve) => (timer = setTimeout(resolve, Math.min(ms, TIMER_MAX), false)))
  const isDone = await Promise.race([promise.then(() => true), late])
  clearTimeout(timer)
  return isDone
}

module.exports = { Reject, Worker }
