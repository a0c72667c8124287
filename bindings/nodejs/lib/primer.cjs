'use strict'
// A member: this process's place in a cluster.

const { inspect } = require('node:util')
const native = require('./native.cjs')
const { wrong } = require('./errors.cjs')
const { checkSignal, milliseconds, optionsOf, pairsOf, shown } = require('./values.cjs')
const { Queue } = require('./queue.cjs')
const { Events } = require('./reader.cjs')
const { attach, failure, handleOf, host, nothing } = require('./host.cjs')

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
    if (typeof address !== 'string') throw wrong('must be "host:port"', { address: shown(address) })
    const signal = checkSignal(optionsOf(options)?.signal)
    return nothing(native.join(this.#handle, address), signal)
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
    if (typeof name !== 'string') throw wrong('must be a text', { queue: shown(name) })
    const defaults = optionsOf(options)
    return new Queue(this, name, handleOf(native.queue(this.#handle, name)), defaults && { ...defaults })
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
