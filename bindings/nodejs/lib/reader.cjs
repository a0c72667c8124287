'use strict'
// Readers: subscriptions here, news in news.cjs. One is told when it goes from empty to not empty, takes what
// is there, and waits again only after it took nothing; so nothing is missed and nobody polls.

const native = require('./native.cjs')
const { MemberDown, closed } = require('./errors.cjs')
const { checkSignal, optionsOf, waiting, whole } = require('./values.cjs')
const { deliveriesOf } = require('./delivery.cjs')
const { DONE, found, handleOf, hold, host, letGo, trayNow, unwatch, watch } = require('./host.cjs')

/** Taken at a time. */
const TAKE = 256
/** Longer waits are cut in pieces. */
const TIMER_MAX = 2 ** 31 - 1
const CLOSED = 501

class Reader {
  /** 0 when closed. */
  #handle
  /** Taken, but not handed out yet. */
  #here = []
  #next = 0
  /** Callers that wait for something to be here. */
  #waiters = new Set()

  constructor(handle) {
    this.#handle = handle
    watch(handle, this)
  }

  /** The native handle; 0 when closed. */
  get _handle() {
    return this.#handle
  }

  /** The next one that is here already, or undefined. */
  _shift() {
    if (this.#next === this.#here.length) {
      this.#here = this._take(this.#handle, TAKE)
      this.#next = 0
      if (this.#here.length === 0) return undefined
    }
    const value = this.#here[this.#next]
    this.#here[this.#next] = undefined
    this.#next += 1
    return value
  }

  /** The next one; null when `wait` passed without. Default: waits for it. */
  async next(options) {
    const given = optionsOf(options)
    const signal = checkSignal(given?.signal)
    const until = performance.now() + waiting(given?.wait, Infinity)
    for (;;) {
      const value = this._shift() ?? (this._isOver() ? this.#last() : undefined)
      if (value !== undefined) return value
      const left = until - performance.now()
      if (left <= 0) return null
      await this.#something(left, signal)
    }
  }

  /** What came between the last look and the end is still to be read. */
  #last() {
    const value = this._shift()
    if (value === undefined) throw closed('it is closed, and all was read')
    return value
  }

  /** Up to `max` that are here already. */
  take(max = TAKE) {
    const list = []
    for (let left = whole(max, 'max', 1); left > 0; left -= 1) {
      const value = this._shift()
      if (value === undefined) break
      list.push(value)
    }
    return list
  }

  /** Waits until it was told, closed, or `ms` passed. Rejects with the reason of an aborted signal. */
  #something(ms, signal) {
    return new Promise((resolve, reject) => {
      const waiter = { wake: undefined }
      const timer = ms < Infinity ? setTimeout(() => waiter.wake(), Math.min(Math.ceil(ms), TIMER_MAX)) : undefined
      const abort = signal ? () => waiter.wake(signal.reason) : undefined
      waiter.wake = (...reason) => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', abort)
        this.#waiters.delete(waiter)
        if (this.#waiters.size === 0) host.awaited.delete(this)
        letGo()
        if (reason.length > 0) reject(reason[0])
        else resolve()
      }
      signal?.addEventListener('abort', abort, { once: true })
      this.#waiters.add(waiter)
      host.awaited.add(this)
      hold()
    })
  }

  /** Called by the host when something is here. */
  _ready() {
    for (const waiter of [...this.#waiters]) waiter.wake()
  }

  /** Ends it: what was not handed out is let go of, who waits is told 501. Idempotent. */
  close() {
    if (this.#handle !== 0) {
      const handle = this.#handle
      this.#handle = 0
      for (const value of this.#here.splice(0).slice(this.#next)) value?.[Symbol.dispose]?.()
      this.#next = 0
      unwatch(handle, this)
      this._ready()
    }
    return DONE
  }

  [Symbol.asyncDispose]() {
    return this.close()
  }

  [Symbol.dispose]() {
    this.close()
  }

  /** All of them until it is closed, here or with its member. Leaving the loop closes it. */
  async *[Symbol.asyncIterator]() {
    try {
      for (;;) {
        // Here already: no promise of our own.
        const value = this._shift() ?? (await this.next({ signal: this._signal }))
        yield value
        this._signal?.throwIfAborted()
      }
    } catch (error) {
      if (!(error instanceof MemberDown) || error.number !== CLOSED) throw error
    } finally {
      this.close()
    }
  }
}

/** Up to `max` records that a reader has already, as `found` gives them. */
function taken(handle, max) {
  const tray = trayNow()
  handleOf(native.take(handle, max, tray.bytes, tray.at))
  return found(tray)
}

/** Deliveries pushed to this process, at most `credit` of them unsettled. */
class Subscription extends Reader {
  #queue

  constructor(queue, handle, signal) {
    super(handle)
    this.#queue = queue
    this._signal = signal
  }

  _take(handle, max) {
    const { tray, at, count } = taken(handle, max)
    return deliveriesOf(this.#queue, tray, at, count)
  }

  /** The native layer answers 501 itself when it is closed and empty. */
  _isOver() {
    return false
  }

  /** The queue it reads. */
  get queue() {
    return this.#queue
  }

  /** Raises the number of unsettled deliveries. */
  async credit(more) {
    handleOf(native.credit(this._handle, whole(more, 'more', 0)))
  }
}

module.exports = { Reader, Subscription, taken }
