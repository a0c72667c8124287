'use strict'
// News: what happens to the cluster, what is told to a topic, which keys change. Who reads them hears what comes
// from then on; one that has not looked for long misses the oldest and is told how many.

const { inspect } = require('node:util')
const native = require('./native.cjs')
const { Reader, taken } = require('./reader.cjs')
const { BROADCAST, ENTRY, long, memberOf, padded, wordAt } = require('./tray.cjs')
const { failure, handleOf } = require('./host.cjs')

/** What a member told everyone who listens to a topic. */
class Broadcast {
  constructor(topic, from, body) {
    this.topic = topic
    /** The id of the member that told it. */
    this.from = from
    /** Its bytes; this reader's own, so writing into them changes nothing elsewhere. */
    this.body = body
  }

  /** The body as text. */
  text() {
    return this.body.toString('utf8')
  }

  /** The body as the value that its JSON describes. Throws a SyntaxError when it is none. */
  json() {
    return JSON.parse(this.text())
  }
}

class News extends Reader {
  #primer

  constructor(primer, handle, signal) {
    super(handle)
    this.#primer = primer
    this._signal = signal
  }

  _take(handle, max) {
    return handle === 0 ? [] : this._read(handle, max)
  }

  /** Nothing there does not say whether more can come. */
  _isOver() {
    return this._handle === 0 || this.#primer.isClosed
  }

  /** The member that hears them. */
  get primer() {
    return this.#primer
  }

  /** Those that this reader missed, because it had not looked for longer than 1,024 of them, or 8 MiB. */
  get missed() {
    return this._handle === 0 ? 0 : handleOf(native.missed(this._handle))
  }
}

/** What happened to the cluster, as this member sees it. */
class Events extends News {
  _read(handle, max) {
    const events = native.takeEvents(handle, max)
    if (typeof events === 'number') throw failure(events)
    return events
  }
}

/** What is broadcast to a topic. */
class Topic extends News {
  #topic

  constructor(primer, handle, signal, topic) {
    super(primer, handle, signal)
    this.#topic = topic
  }

  _read(handle, max) {
    return broadcastsOf(this.#topic, taken(handle, max))
  }

  get topic() {
    return this.#topic
  }

  [inspect.custom](depth, options) {
    return `Topic ${inspect({ topic: this.#topic }, options)}`
  }
}

/** Changes of the keys that begin with a prefix. */
class Watch extends News {
  #prefix

  constructor(primer, handle, signal, prefix) {
    super(primer, handle, signal)
    this.#prefix = prefix
  }

  _read(handle, max) {
    return changesOf(taken(handle, max))
  }

  get prefix() {
    return this.#prefix
  }

  [inspect.custom](depth, options) {
    return `Watch ${inspect({ prefix: this.#prefix }, options)}`
  }
}

/** Broadcasts from `count` records at `at`. */
function broadcastsOf(topic, { tray, at, count }) {
  const { bytes, words } = tray
  const list = new Array(count)
  for (let i = 0; i < count; i += 1) {
    const word = at >>> 2
    const from = memberOf(words[word], words[word + 1], words[word + 2], words[word + 3])
    const end = at + BROADCAST + (words[word + 4] >>> 0)
    list[i] = new Broadcast(topic, from, bytes.subarray(at + BROADCAST, end))
    at = padded(end)
  }
  return list
}

/** What `count` records at `at` say of keys: when, which, and their values. */
function recordsOf({ tray, at, count }) {
  const { bytes, words } = tray
  const list = new Array(count)
  for (let i = 0; i < count; i += 1) {
    const word = at >>> 2
    const start = at + ENTRY
    let end = start + words[word + 2]
    const key = bytes.toString('utf8', start, end)
    const values = []
    for (let left = words[word + 3]; left > 0; left -= 1) {
      const first = end + 4
      end = first + wordAt(bytes, end)
      values.push(bytes.subarray(first, end))
    }
    list[i] = { key, values, atMs: long(words[word], words[word + 1]) }
    at = padded(end)
  }
  return list
}

/** Changes of keys: a value, or null where there is none any more. */
function changesOf(records) {
  return recordsOf(records).map(({ key, values }) => ({ key, value: values[0] ?? null }))
}

/** Keys with the value that is read and those that lost to it. */
function entriesOf(records) {
  return recordsOf(records).map(({ key, values: [value, ...others], atMs }) => ({ key, value, atMs, others }))
}

module.exports = { Broadcast, Events, Topic, Watch, changesOf, entriesOf }
