'use strict'
// A delivery: a message on lease to this process, until it is settled, let go of, or its lease runs out.

const { inspect } = require('node:util')
const native = require('./native.cjs')
const { wrong } = require('./errors.cjs')
const { headersFor, milliseconds, optionsOf, shown, text } = require('./values.cjs')
const { DELIVERY, afterDelivery, headersAt, idOf, keyBytesAt, pairsAt, priorityAt } = require('./tray.cjs')
const { DONE, bytesNow, failure, nothing, scratchDone } = require('./host.cjs')

/** The header of a message that came by a call. */
const REPLY_TO = 'primer-reply-to'

/** The only error after which a delivery has no handle any more. */
const ALREADY_DONE = 402

let trayOf
let handleOf
let forget

class Delivery {
  #queue
  #tray
  /** Where its record begins. */
  #at
  /** Its place in the tray's list of handles. */
  #place
  #body
  #headers
  /** A nack, release or reject was asked for; the tray knows of acks. */
  #isSettled = false

  constructor(queue, tray, at) {
    this.#queue = queue
    this.#tray = tray
    this.#at = at
    this.#place = tray.live.push(tray.words[at >>> 2]) - 1
  }

  static {
    trayOf = (delivery) => {
      if (typeof delivery === 'object' && delivery !== null && #tray in delivery) return delivery.#tray
      throw wrong('is no delivery', { delivery: shown(delivery) })
    }
    handleOf = (delivery) => trayOf(delivery).live[delivery.#place]
    forget = (delivery) => void (delivery.#tray.live[delivery.#place] = 0)
  }

  /** The message's identity, the same at every member. */
  get id() {
    const { words } = this.#tray
    const word = this.#at >>> 2
    return idOf(words[word + 2], words[word + 3], words[word + 4], words[word + 5])
  }

  /** The producer's bytes; this delivery's own, so writing into them changes nothing elsewhere. */
  get body() {
    if (this.#body === undefined) {
      const start = this.#at + DELIVERY
      this.#body = this.#tray.bytes.subarray(start, start + this.#tray.words[(this.#at >>> 2) + 7])
    }
    return this.#body
  }

  /** The producer's headers. Of several with one name it is the last; `headerPairs` has them all. */
  get headers() {
    this.#headers ??= Object.freeze(Object.assign(Object.create(null), Object.fromEntries(this.headerPairs)))
    return this.#headers
  }

  /** The producer's headers as pairs, in their order. */
  get headerPairs() {
    const { bytes, words } = this.#tray
    const word = this.#at >>> 2
    const at = this.#at + DELIVERY + words[word + 7]
    return pairsAt(bytes, at, at + headersAt(words, word))
  }

  /** How often the message was given out, this time included. */
  get attempts() {
    return this.#tray.words[(this.#at >>> 2) + 1]
  }

  /** 0 (last) to 9 (first). */
  get priority() {
    return priorityAt(this.#tray.words, this.#at >>> 2)
  }

  /** The key that it was put in with, if any: messages of one key are given out in line. */
  get key() {
    const { bytes, words } = this.#tray
    const word = this.#at >>> 2
    const length = keyBytesAt(words, word)
    const at = this.#at + DELIVERY + words[word + 7] + headersAt(words, word)
    return length === 0 ? undefined : bytes.toString('utf8', at, at + length)
  }

  /** The queue it came from. */
  get queue() {
    return this.#queue
  }

  /** True once it was acked, nacked, rejected or released by way of this object. */
  get isSettled() {
    return this.#isSettled || this.#tray.live[this.#place] === 0
  }

  /** The body as text. */
  text() {
    return this.body.toString('utf8')
  }

  /** The body as the value that its JSON describes. Throws a SyntaxError when it is none. */
  json() {
    return JSON.parse(this.text())
  }

  /** True where somebody waits for a reply: it came by a `call`. */
  get wantsReply() {
    return Object.hasOwn(this.headers, REPLY_TO)
  }

  /** Replies to whoever waits for this message's reply, then acks it. Best effort: a caller that is gone is no error. */
  async reply(body, options) {
    const headers = headersFor(body, optionsOf(options)?.headers)
    const { bytes, length } = bytesNow(body)
    const { live } = this.#tray
    const code = native.reply(live[this.#place], bytes, length, headers)
    scratchDone()
    const error = code === 0 ? undefined : failure(code)
    if (error === undefined || error.number === ALREADY_DONE) live[this.#place] = 0
    if (error) throw error
  }

  /** The message is finished. Late is welcome as long as nobody else finished it; then 402. */
  ack() {
    const { live } = this.#tray
    const code = native.ack(live[this.#place])
    if (code === 0) {
      live[this.#place] = 0
      return DONE
    }
    const error = failure(code)
    if (error.number === ALREADY_DONE) live[this.#place] = 0
    return Promise.reject(error)
  }

  /** It failed: again after `delay`; without one after a pause that grows with every attempt. */
  async nack(options) {
    const delay = milliseconds(optionsOf(options)?.delay, 'delay')
    this.#isSettled = true
    return nothing(native.nack(this.#tray.live[this.#place], delay))
  }

  /** It was not tried: again at once, for anyone, the attempt not counted. */
  async release() {
    this.#isSettled = true
    return nothing(native.release(this.#tray.live[this.#place]))
  }

  /** It can never succeed: at once a dead letter, with the reason. */
  async reject(reason) {
    const why = text(reason, 'reason')
    this.#isSettled = true
    return nothing(native.reject(this.#tray.live[this.#place], why))
  }

  /** It needs `lease` from now on; without one the queue's setting, or else the member's default. */
  async extend(options) {
    const lease = milliseconds(optionsOf(options)?.lease, 'lease')
    return nothing(native.extend(this.#tray.live[this.#place], lease))
  }

  /** Lets go of it: what is not settled goes back at once. */
  [Symbol.dispose]() {
    const { live } = this.#tray
    native.dropDelivery(live[this.#place])
    live[this.#place] = 0
  }

  [inspect.custom](depth, options) {
    const { id, attempts, headers } = this
    return `Delivery ${inspect({ id, attempts, headers: { ...headers }, body: this.body }, options)}`
  }
}

/** Deliveries from `count` records at `at`. */
function deliveriesOf(queue, tray, at, count) {
  const list = new Array(count)
  for (let i = 0; i < count; i += 1) {
    list[i] = new Delivery(queue, tray, at)
    at = afterDelivery(tray.words, at)
  }
  return list
}

/** Acks many; one number each, 0 or the error's. */
function ackMany(queue, deliveries) {
  const list = Array.isArray(deliveries) ? deliveries : [...deliveries]
  const handles = new Uint32Array(list.length)
  for (let i = 0; i < list.length; i += 1) handles[i] = handleOf(list[i])
  const code = native.ackMany(queue, handles)
  if (code < 0) throw failure(code)
  for (let i = 0; i < list.length; i += 1) {
    if (handles[i] === 0 || handles[i] === ALREADY_DONE) forget(list[i])
  }
  return Array.from(handles)
}

/** 101 when it is no delivery. */
const checkDelivery = (delivery) => void trayOf(delivery)

module.exports = { Delivery, ackMany, checkDelivery, deliveriesOf }
