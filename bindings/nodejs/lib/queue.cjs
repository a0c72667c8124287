'use strict'
// A queue, as seen from one member. Its verbs are synchronous inside: when the member has the answer at once,
// the promise that they return is settled already.

const { inspect } = require('node:util')
const native = require('./native.cjs')
const { wrong } = require('./errors.cjs')
const values = require('./values.cjs')
const { RECEIPT, idOf } = require('./tray.cjs')
const { Delivery, ackMany, checkDelivery, deliveriesOf } = require('./delivery.cjs')
const { diagnosisAt } = require('./diagnosis.cjs')
const { pageReader } = require('./page.cjs')
const { redrivenAt } = require('./redriven.cjs')
const { replyOf } = require('./reply.cjs')
const { settingPairs, settingsOf } = require('./settings.cjs')
const { Subscription } = require('./reader.cjs')
const { Worker } = require('./worker.cjs')
const {
  bytesNow, deskFor, failure, forgetWith, found, handleOf, host, late, scratchDone, scratchFor, scratchText, trayNow,
} = require('./host.cjs')

/** How long a call waits for its reply, unless told otherwise. */
const CALL_MS = 30_000
/** What a look asks for, unless told otherwise. */
const LOOK = { max: 100, bodyBytesMax: 65_536, timeout: 2_000 }
/** The same of a redrive. */
const REDRIVE = { max: 10_000, timeout: 30_000 }
/** The longest wait of one call; longer ones are several. */
const WAIT_MAX = 86_400_000

/** An enqueue's honest answer. */
class Receipt {
  // The id's words; its text is made when it is asked for.
  #a
  #b
  #c
  #d

  constructor(words, at) {
    const word = at >>> 2
    this.#a = words[word]
    this.#b = words[word + 1]
    this.#c = words[word + 2]
    this.#d = words[word + 3]
    /** Members that hold the message. */
    this.copies = words[word + 4]
    /** How many of them have it on disk. */
    this.durableCopies = words[word + 5]
    /** Copies that were asked for. */
    this.wanted = words[word + 6]
    /** True where its `dedup` was known: the message is that of an earlier enqueue. */
    this.isDuplicate = words[word + 7] === 1
  }

  /** The message's identity. */
  get id() {
    return idOf(this.#a, this.#b, this.#c, this.#d)
  }

  toJSON() {
    const { id, copies, durableCopies, wanted, isDuplicate } = this
    return { id, copies, durableCopies, wanted, isDuplicate }
  }

  [inspect.custom](depth, options) {
    return `Receipt ${inspect(this.toJSON(), options)}`
  }
}

const receiptOf = (tray, at) => new Receipt(tray.words, at)

function receiptsOf(tray, at, count) {
  const list = new Array(count)
  for (let i = 0; i < count; i += 1) list[i] = new Receipt(tray.words, at + i * RECEIPT)
  return list
}

class Queue {
  #primer
  #name
  #handle
  #defaults

  constructor(primer, name, handle, defaults) {
    this.#primer = primer
    this.#name = name
    this.#handle = handle
    this.#defaults = defaults
    forgetWith(this, handle)
  }

  get name() {
    return this.#name
  }

  /** The member that sees it. */
  get primer() {
    return this.#primer
  }

  /** Puts a message into the queue; its receipt says how many members hold it. */
  async enqueue(body, options) {
    const isPlain = options === undefined && this.#defaults === undefined
    const given = isPlain ? PLAIN : this.#enqueueOptions(options)
    let headers = given.headers
    let bytes
    let length
    if (typeof body === 'string') {
      length = scratchText(body, 0)
    } else {
      bytes = values.bytesOf(body)
      if (bytes === undefined) {
        length = scratchText(values.jsonOf(body), 0)
        headers = asJson(headers)
      } else {
        length = bytes.length
      }
    }
    bytes ??= host.scratch
    const code =
      given === PLAIN && headers === undefined
        ? native.enqueue(this.#handle, bytes, length, host.desk)
        : native.enqueueWith(
            this.#handle, bytes, length, host.desk, given.copies, given.onShort, given.timeout, headers, given.terms,
          )
    scratchDone()
    if (code === 0) return new Receipt(host.deskWords, 0)
    return late(handleOf(code), receiptOf, given.signal)
  }

  /** Puts a message into the queue and waits up to `timeout` for the reply of whoever handles it. */
  async call(body, options) {
    const { timeout, ...rest } = values.optionsOf(options) ?? {}
    const wait = timeout === undefined ? CALL_MS : values.milliseconds(timeout, 'timeout')
    const given = this.#enqueueOptions(rest)
    const headers = values.headersFor(body, undefined) ? asJson(given.headers) : given.headers
    const { bytes, length } = bytesNow(body)
    const tray = trayNow()
    const { copies, onShort, terms } = given
    const code = native.call(
      this.#handle, bytes, length, tray.bytes, tray.at, wait, copies, onShort, given.timeout, headers, terms,
    )
    scratchDone()
    if (code !== 0) return late(handleOf(code), replyOf, given.signal)
    const { tray: full, at } = found(tray)
    return replyOf(full, at)
  }

  /** Puts many messages into the queue, all or none; they share the options. One receipt each. */
  async enqueueMany(bodies, options) {
    if (typeof bodies !== 'object' || bodies === null || typeof bodies[Symbol.iterator] !== 'function') {
      throw wrong('must be a list of bodies', { bodies: values.shown(bodies) })
    }
    const given = this.#enqueueOptions(options)
    const { bytes, ends, count, isJson } = packed(bodies)
    const headers = isJson ? asJson(given.headers) : given.headers
    const desk = deskFor(count)
    const { copies, onShort, timeout, terms } = given
    const code = native.enqueueMany(this.#handle, bytes, ends, count, desk, copies, onShort, timeout, headers, terms)
    scratchDone()
    if (code === 0) return receiptsOf({ words: host.deskWords }, 0, count)
    return late(handleOf(code), receiptsOf, given.signal)
  }

  #enqueueOptions(options) {
    const own = values.optionsOf(options)
    const given = this.#defaults === undefined ? own : { ...this.#defaults, ...own }
    if (given === undefined) return PLAIN
    return {
      copies: values.whole(given.copies, 'copies', 0, -1),
      onShort: values.onShortOf(given.onShort),
      timeout: values.milliseconds(given.timeout, 'timeout'),
      headers: values.keyed(values.headersOf(given.headers), given),
      terms: values.termsOf(given),
      signal: values.checkSignal(given.signal),
    }
  }

  /** Leases the next message, waiting up to `wait` for it; null when there is none. */
  async receive(options) {
    return this.#receive(1, options, firstOf, null)
  }

  /** Leases up to `max` messages, waiting up to `wait` for the first. */
  async receiveMany(max, options) {
    return this.#receive(values.whole(max, 'max', 0), options, deliveriesOf, undefined)
  }

  async #receive(max, options, make, empty) {
    const own = values.optionsOf(options)
    const signal = values.checkSignal(own?.signal)
    const wait = values.waiting(own?.wait, 0)
    const lease = values.milliseconds(own?.lease ?? this.#defaults?.lease, 'lease')
    const { group, backlog } = values.groupOf(own)
    const read = (tray, at, count) => (count === 0 && empty === null ? null : make(this, tray, at, count))
    for (;;) {
      const tray = trayNow()
      const span = Math.min(wait, WAIT_MAX)
      const code =
        group === undefined
          ? native.receive(this.#handle, max, span, lease, tray.bytes, tray.at)
          : native.receiveIn(this.#handle, max, span, lease, tray.bytes, tray.at, group, backlog)
      let answer
      if (code === 0) {
        const { tray: full, at, count } = found(tray)
        answer = read(full, at, count)
      } else {
        answer = await late(handleOf(code), read, signal)
      }
      const isEmpty = answer === null || answer.length === 0
      if (!isEmpty || wait !== Infinity) return answer
    }
  }

  /** Looks at messages without taking them, at every member that answers in time. */
  async browse(options) {
    const given = { ...LOOK, ...values.optionsOf(options) }
    const signal = values.checkSignal(given.signal)
    const { group } = values.groupOf(given)
    const read = pageReader(group ?? null)
    const max = values.whole(given.max, 'max', 0)
    const bytes = values.whole(given.bodyBytesMax, 'bodyBytesMax', 0)
    const timeout = values.milliseconds(given.timeout, 'timeout')
    const states = values.textsOf(given.states, 'state')
    const headers = values.headersOf(given.headers)
    const after = given.after ?? undefined
    if (after !== undefined) values.text(after, 'after')
    const tray = trayNow()
    const code = native.browse(this.#handle, tray.bytes, tray.at, max, bytes, timeout, states, headers, after, group)
    if (code !== 0) return late(handleOf(code), read, signal)
    const { tray: full, at } = found(tray)
    return read(full, at)
  }

  /** All pages one after the other, each asked for when it is wanted. */
  async *browseAll(options) {
    let page = await this.browse(options)
    yield page
    while (page.cursor !== null) {
      page = await this.browse({ ...options, after: page.cursor })
      yield page
    }
  }

  /** Moves dead letters back to where they came from, at every member that answers in time. */
  async redrive(options) {
    const given = { ...REDRIVE, ...values.optionsOf(options) }
    const signal = values.checkSignal(given.signal)
    const max = values.whole(given.max, 'max', 0)
    const dryRun = values.truth(given.dryRun, 'dryRun')
    const timeout = values.milliseconds(given.timeout, 'timeout')
    const ids = values.textsOf(given.ids, 'id')
    const headers = values.headersOf(given.headers)
    const to = given.to ?? undefined
    if (to !== undefined) values.text(to, 'to')
    const tray = trayNow()
    const code = native.redrive(this.#handle, tray.bytes, tray.at, max, dryRun, timeout, ids, headers, to)
    if (code !== 0) return late(handleOf(code), redrivenAt, signal)
    const { tray: full, at } = found(tray)
    return redrivenAt(full, at)
  }

  /** Why nothing is delivered: what every member that answers within two seconds knows, and what follows from that. */
  async doctor(options) {
    const signal = values.checkSignal(values.optionsOf(options)?.signal)
    const tray = trayNow()
    const code = native.doctor(this.#handle, tray.bytes, tray.at)
    if (code !== 0) return late(handleOf(code), diagnosisAt, signal)
    const { tray: full, at } = found(tray)
    return diagnosisAt(full, at)
  }

  /** Push: at most `credit` unsettled deliveries of `creditBytes` at a time, as an async iterable. */
  subscribe(options) {
    const own = values.optionsOf(options)
    const signal = values.checkSignal(own?.signal)
    const credit = values.whole(own?.credit, 'credit', 0, 64)
    const bytes = values.whole(own?.creditBytes, 'creditBytes', 0, -1)
    const lease = values.milliseconds(own?.lease ?? this.#defaults?.lease, 'lease')
    const maxRun = values.milliseconds(own?.maxRun, 'maxRun')
    const { group, backlog } = values.groupOf(own)
    const handle = handleOf(native.subscribe(this.#handle, credit, bytes, lease, maxRun, group, backlog))
    return new Subscription(this, handle, signal)
  }

  /** Creates a named group: from now on each message goes to every group once. One that exists stays. */
  createGroup(group, options) {
    const backlog = values.truth(values.optionsOf(options)?.backlog, 'backlog')
    handleOf(native.createGroup(this.#handle, values.text(group, 'group'), backlog))
  }

  /** Removes a group with what it was still owed; one that is not there is no error. */
  removeGroup(group) {
    handleOf(native.removeGroup(this.#handle, values.text(group, 'group')))
  }

  /** The names of the queue's groups as this member knows them, ascending. */
  groups() {
    const names = native.groups(this.#handle)
    if (typeof names === 'number') throw failure(names)
    return names
  }

  /** Changes the queue's settings, for the whole cluster; null unsets one. */
  configure(settings) {
    handleOf(native.configure(this.#handle, settingPairs(settings)))
  }

  /** The settings that hold here: the queue's own, then those of its policy. */
  configuration() {
    const pairs = native.configuration(this.#handle)
    if (typeof pairs === 'number') throw failure(pairs)
    return settingsOf(pairs)
  }

  /** Stops the queue for the whole cluster: 'in' for producers, 'out' for consumers, or 'both'. */
  pause(direction = 'both') {
    handleOf(native.pause(this.#handle, values.text(direction, 'direction')))
  }

  /** The queue goes on, in both directions. */
  resume() {
    handleOf(native.resume(this.#handle))
  }

  /** Ends everything that is in the queue and its groups by now, on every member, also what is leased. */
  purge() {
    handleOf(native.purge(this.#handle))
  }

  /** Calls `handler` for each message, `concurrency` at a time; see Worker. */
  worker(handler, options) {
    return new Worker(this, handler, options)
  }

  /** The message is finished. */
  ack(delivery) {
    return settled(delivery, (it) => it.ack())
  }

  /** Many are finished; one number each, 0 or the error's. */
  async ackMany(deliveries) {
    if (typeof deliveries !== 'object' || deliveries === null || typeof deliveries[Symbol.iterator] !== 'function') {
      throw wrong('must be a list of deliveries', { deliveries: values.shown(deliveries) })
    }
    return ackMany(this.#handle, deliveries)
  }

  /** As `delivery.reply()`. */
  reply(delivery, body, options) {
    return settled(delivery, (it) => it.reply(body, options))
  }

  /** It failed: again after `delay`. */
  nack(delivery, options) {
    return settled(delivery, (it) => it.nack(options))
  }

  /** It was not tried: again at once. */
  release(delivery) {
    return settled(delivery, (it) => it.release())
  }

  /** It can never succeed: at once a dead letter. */
  reject(delivery, reason) {
    return settled(delivery, (it) => it.reject(reason))
  }

  /** It needs `lease` from now on. */
  extend(delivery, options) {
    return settled(delivery, (it) => it.extend(options))
  }

  [inspect.custom](depth, options) {
    return `Queue ${inspect({ name: this.#name }, options)}`
  }
}

function firstOf(queue, tray, at) {
  return new Delivery(queue, tray, at)
}

async function settled(delivery, verb) {
  checkDelivery(delivery)
  return verb(delivery)
}

/** Options of an enqueue that has none: the member's defaults. */
const PLAIN = Object.freeze({
  copies: -1, onShort: -1, timeout: -1, headers: undefined, terms: undefined, signal: undefined,
})

const asJson = (headers) => [...values.JSON_HEADER, ...(headers ?? [])]

/** Bodies one behind the other in the scratch memory, and where each ends. */
function packed(bodies) {
  let at = 0
  let count = 0
  let objects = 0
  for (const body of bodies) {
    let text = typeof body === 'string' ? body : undefined
    const bytes = text === undefined ? values.bytesOf(body) : undefined
    if (text === undefined && bytes === undefined) {
      text = values.jsonOf(body)
      objects += 1
    }
    if (text === undefined) {
      scratchFor(at + bytes.length, at).set(bytes, at)
      at += bytes.length
    } else {
      at += scratchText(text, at)
    }
    if (count === host.ends.length) {
      const longer = new Uint32Array(count * 2)
      longer.set(host.ends)
      host.ends = longer
    }
    host.ends[count] = at
    count += 1
  }
  if (objects > 0 && objects < count) throw wrong('objects and other bodies cannot share a batch')
  return { bytes: host.scratch, ends: host.ends, count, isJson: objects > 0 }
}

module.exports = { Queue, Receipt }
