'use strict'
// A member: this process's place in a cluster. What the engine answers at once is no promise: who is there,
// topics and keys.

const { inspect } = require('node:util')
const native = require('./native.cjs')
const { wrong } = require('./errors.cjs')
const { checkSignal, milliseconds, optionsOf, pairsOf, secretsOf, shown, text } = require('./values.cjs')
const { Queue } = require('./queue.cjs')
const { settingPairs, settingsOf } = require('./settings.cjs')
const { explanationAt } = require('./explanation.cjs')
const { Events, Topic, Watch, changesOf, entriesOf } = require('./news.cjs')
const { attach, bytesNow, failure, found, handleOf, host, late, nothing, scratchDone, trayNow } = require('./host.cjs')

/** What is of one message: as a queue's default it would make one of all that is put in. */
const OF_ONE = ['dedup', 'dedupWindow']

/** Only `start` may make a member. */
const DOOR = Symbol('door')

class Primer {
  #handle
  #closing

  constructor(door, handle) {
    if (door !== DOOR) throw new TypeError('use open() or start()')
    this.#handle = handle
    host.members.add(this)
  }

  /** Waits until a seed answered, none is configured, or two seconds passed. */
  async joined() {
    return nothing(native.joined(this.#handle))
  }

  /** Dials "host:port" and becomes a member of its cluster. */
  async join(address, options) {
    const signal = checkSignal(optionsOf(options)?.signal)
    return nothing(native.join(this.#handle, text(address, 'address')), signal)
  }

  /** Hands every copy over to other members and leaves the cluster; the member stays open, alone. */
  async leave(options) {
    const given = optionsOf(options)
    const drain = milliseconds(given?.drain, 'drain')
    return nothing(native.leave(this.#handle, drain, given?.force === true))
  }

  /** Refuses new work, answers who waits 501, flushes for at most a second. Idempotent. */
  close() {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close() {
    try {
      await nothing(native.close(this.#handle))
    } finally {
      native.dropMember(this.#handle)
      this.#handle = 0
      host.members.delete(this)
    }
  }

  [Symbol.asyncDispose]() {
    return this.close()
  }

  /** True once it was closed, or failed. */
  get isClosed() {
    return this.#closing !== undefined || native.isClosed(this.#handle)
  }

  /** Where it listens, "127.0.0.1:port"; null when it does not. */
  get address() {
    return native.address(this.#handle)
  }

  /** The member set as this member sees it, itself included, in the order of ids. */
  members() {
    return listOf(native.members(this.#handle))
  }

  /** Counters and gauges by stable names. */
  stats() {
    return listOf(native.stats(this.#handle))
  }

  /** A reader of what happens to the cluster from now on, as an async iterable. */
  events(options) {
    const signal = checkSignal(optionsOf(options)?.signal)
    return new Events(this, handleOf(native.events(this.#handle)), signal)
  }

  /** The queue of that name; it need not exist. `options` are the defaults of its calls. */
  queue(name, options) {
    const given = optionsOf(options)
    const defaults = given && { ...given }
    for (const key of OF_ONE) {
      const value = defaults?.[key] ?? undefined
      if (value !== undefined) throw wrong('is of one message, not of a queue', { [key]: shown(value) })
    }
    return new Queue(this, name, handleOf(native.queue(this.#handle, text(name, 'queue'))), defaults)
  }

  /** Takes a member out of the set for good, by its id. What it holds is set aside there. */
  evict(member) {
    handleOf(native.evict(this.#handle, text(member, 'member')))
  }

  /** After this member was evicted: gives what it set aside out again, or drops it. How many messages. */
  reclaim(options) {
    const keep = optionsOf(options)?.keep
    if (typeof keep !== 'boolean') throw wrong('must be true or false', { keep: shown(keep) })
    return handleOf(native.reclaim(this.#handle, keep))
  }

  /** Takes other secrets of the cluster from now on; links that are up stay. */
  rotate(secrets) {
    handleOf(native.rotate(this.#handle, secretsOf(secrets)))
  }

  /** Tells everyone who listens to the topic, at once, best effort. */
  broadcast(topic, body) {
    const { bytes, length } = bytesNow(body)
    const code = native.broadcast(this.#handle, text(topic, 'topic'), bytes, length)
    scratchDone()
    handleOf(code)
  }

  /** A reader of what is broadcast to the topic from now on, as an async iterable. */
  on(topic, options) {
    const signal = checkSignal(optionsOf(options)?.signal)
    return new Topic(this, handleOf(native.on(this.#handle, text(topic, 'topic'))), signal, topic)
  }

  /** Writes a key for the whole cluster: here at once, elsewhere soon. */
  put(key, value) {
    const { bytes, length } = bytesNow(value)
    const code = native.put(this.#handle, text(key, 'key'), bytes, length)
    scratchDone()
    handleOf(code)
  }

  /** What is under the key as this member knows it; null when nothing is. */
  get(key) {
    const tray = trayNow()
    handleOf(native.get(this.#handle, text(key, 'key'), tray.bytes, tray.at))
    return changesOf(found(tray))[0].value
  }

  /** Removes a key for the whole cluster; one that is not there is no error. */
  delete(key) {
    handleOf(native.delete(this.#handle, text(key, 'key')))
  }

  /** The keys that begin with the prefix, ascending. */
  list(prefix = '') {
    const tray = trayNow()
    handleOf(native.list(this.#handle, text(prefix, 'prefix'), tray.bytes, tray.at))
    return entriesOf(found(tray))
  }

  /** A reader of changes of the keys that begin with the prefix, from now on, as an async iterable. */
  watch(prefix = '', options) {
    const signal = checkSignal(optionsOf(options)?.signal)
    return new Watch(this, handleOf(native.watch(this.#handle, text(prefix, 'prefix'))), signal, prefix)
  }

  /** Settings for every queue whose name begins with the prefix, in place of those before. */
  setPolicy(prefix, settings) {
    handleOf(native.setPolicy(this.#handle, text(prefix, 'prefix'), settingPairs(settings)))
  }

  /** Removes a policy; one that is not there is no error. */
  removePolicy(prefix) {
    handleOf(native.removePolicy(this.#handle, text(prefix, 'prefix')))
  }

  /** The policies as this member knows them, by their prefixes. */
  policies() {
    const rows = native.policies(this.#handle)
    if (typeof rows === 'number') throw failure(rows)
    return Object.fromEntries(rows.map(([prefix, ...pairs]) => [prefix, settingsOf(pairs)]))
  }

  /** What every member that answers within two seconds knows of a message, by its id. */
  async explain(id, options) {
    const signal = checkSignal(optionsOf(options)?.signal)
    const tray = trayNow()
    const code = native.explain(this.#handle, tray.bytes, tray.at, text(id, 'id'))
    if (code !== 0) return late(handleOf(code), explanationAt, signal)
    const { tray: full, at } = found(tray)
    return explanationAt(full, at)
  }

  [inspect.custom](depth, options) {
    return `Primer ${inspect({ address: this.address, isClosed: this.isClosed }, options)}`
  }
}

function listOf(answer) {
  if (typeof answer === 'number') throw failure(answer)
  return answer
}

/** Starts a member and does not wait for a seed: it works at once, also alone. */
function start(options) {
  const pairs = pairsOf(options)
  return new Primer(DOOR, handleOf(native.start(attach(), pairs)))
}

/** Starts a member and waits until a seed answered, none is configured, or two seconds passed. */
async function open(options) {
  const primer = start(options)
  try {
    await primer.joined()
  } catch (error) {
    await primer.close()
    throw error
  }
  return primer
}

module.exports = { Primer, open, start }
