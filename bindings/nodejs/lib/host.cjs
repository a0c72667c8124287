'use strict'
// The host: what this thread's copy of the library shares. It wakes up once a batch, drains late answers and
// settles the promises that wait for them; it keeps the process alive while one waits, and not otherwise.

const native = require('./native.cjs')
const { errorOf } = require('./errors.cjs')
const { bytesOf, jsonOf } = require('./values.cjs')
const { HEAD, RECEIPT, TRAY, TRAY_LEFT, Tray, afterDelivery, afterPage, afterReply, padded } = require('./tray.cjs')

/** Kinds of late answers (bindings/nodejs/src/pack.rs). */
const FAILURE = 0
const DELIVERIES = 3
const READY = 4
const REPLY = 5
const PAGE = 6
const EXPLANATION = 7
const REDRIVEN = 8
const DIAGNOSIS = 9

/** Scratch memory larger than this is not kept. */
const SCRATCH_MAX = 1 << 20
const SCRATCH = 64 * 1024

/** The longest timer that there is; it never fires. */
const FOR_EVER = 2 ** 31 - 1

const host = {
  handle: 0,
  /** Promises that wait, by their tickets. */
  waits: new Map(),
  /** Readers by their handles, weakly: one that nobody reads any more is closed when it is collected. */
  readers: new Map(),
  /** Readers that somebody waits for. They must live, or their promises would never be settled. */
  awaited: new Set(),
  /** Members that are open: a member lives until it is closed, also when nobody refers to it. */
  members: new Set(),
  tray: new Tray(TRAY),
  desk: Buffer.allocUnsafeSlow(RECEIPT),
  deskWords: undefined,
  scratch: Buffer.allocUnsafeSlow(SCRATCH),
  ends: new Uint32Array(64),
  holds: 0,
  alive: undefined,
}
host.deskWords = new Int32Array(host.desk.buffer, 0, RECEIPT >> 2)

// Held values must not refer to what they are registered for, or it would never be collected.
const forgottenTrays = new FinalizationRegistry((live) => {
  for (const handle of live) if (handle !== 0) native.dropDelivery(handle)
})
forgottenTrays.register(host.tray, host.tray.live)
const forgottenReaders = new FinalizationRegistry((handle) => closeReader(handle))
const forgottenQueues = new FinalizationRegistry((handle) => native.dropQueue(handle))

/** Attaches this thread at its first member. */
function attach() {
  if (host.handle !== 0) return host.handle
  host.handle = native.attach(drain)
  host.alive = setInterval(() => {}, FOR_EVER)
  host.alive.unref()
  // Not reached by `terminate` of a worker; the native layer has a hook of its own for that.
  process.once('exit', () => {
    for (const reader of host.readers.values()) reader.deref()?.close()
    native.shut(host.handle)
  })
  return host.handle
}

/** Keeps the process alive until `letGo` was called as often. */
function hold() {
  host.holds += 1
  if (host.holds === 1) host.alive.ref()
}

function letGo() {
  host.holds -= 1
  if (host.holds === 0) host.alive.unref()
}

/** The error of a verb that answered `code`, a negative number. */
const failure = (code) => errorOf(native.failure(-code))

/** The handle or ticket that a verb answered. Throws its error. */
function handleOf(code) {
  if (code < 0) throw failure(code)
  return code
}

/** The tray for the next answer. */
function trayNow() {
  if (host.tray.bytes.length - host.tray.at < TRAY_LEFT) host.tray = newTray(TRAY)
  return host.tray
}

/** A tray with at least `size` bytes of space; a large one is not shared. */
function trayFor(size) {
  const isOrdinary = size <= TRAY
  const tray = newTray(isOrdinary ? TRAY : padded(size))
  if (isOrdinary) host.tray = tray
  return tray
}

function newTray(size) {
  const tray = new Tray(size)
  forgottenTrays.register(tray, tray.live)
  return tray
}

/** The tray that holds what a verb that answered 0 had for `tray`. */
function filled(tray) {
  const word = tray.at >>> 2
  if (tray.words[word] !== 0) return tray
  const larger = trayFor(tray.words[word + 1] >>> 0)
  handleOf(native.unpack(host.handle, larger.bytes, larger.at))
  return larger
}

/** Takes the answer at the tray's place: its tray, where its first record begins, and how many there are. */
function opened(tray) {
  const word = tray.at >>> 2
  const answer = { tray, at: tray.at + HEAD, count: tray.words[word + 2] }
  tray.at += tray.words[word] >>> 0
  return answer
}

/** The records of a verb that answered 0 with `tray`, as `opened` gives them. */
const found = (tray) => opened(filled(tray))

/** A desk for `count` receipts. */
function deskFor(count) {
  if (host.desk.length < count * RECEIPT) {
    host.desk = Buffer.allocUnsafeSlow(count * RECEIPT)
    host.deskWords = new Int32Array(host.desk.buffer, 0, (count * RECEIPT) >> 2)
  }
  return host.desk
}

/** Scratch memory of at least `size` bytes, with the first `used` of the old one. */
function scratchFor(size, used) {
  if (host.scratch.length < size) {
    const old = host.scratch
    host.scratch = Buffer.allocUnsafeSlow(Math.max(size, old.length * 2))
    old.copy(host.scratch, 0, 0, used)
  }
  return host.scratch
}

/** Writes `text` into the scratch memory at `at`; how many bytes it took. */
function scratchText(text, at) {
  // A character takes at most 3 bytes; counting is only worth it where that guess is large.
  const size = text.length <= SCRATCH ? text.length * 3 : Buffer.byteLength(text)
  return scratchFor(at + size, at).write(text, at)
}

/** The bytes of a body or value, and how many of them count; good until the next call. */
function bytesNow(body) {
  const bytes = typeof body === 'string' ? undefined : bytesOf(body)
  if (bytes !== undefined) return { bytes, length: bytes.length }
  const length = scratchText(typeof body === 'string' ? body : jsonOf(body), 0)
  return { bytes: host.scratch, length }
}

/** Lets go of scratch memory that grew too large to keep. */
function scratchDone() {
  if (host.scratch.length > SCRATCH_MAX) host.scratch = Buffer.allocUnsafeSlow(SCRATCH)
}

/**
 * The promise of a late answer. `read(tray, at, count)` makes its value of its records. An aborted signal
 * rejects it at once and gives back what was leased for it.
 */
function late(ticket, read, signal) {
  return new Promise((resolve, reject) => {
    const wait = { resolve, reject, read, signal, abort: undefined }
    if (signal) {
      wait.abort = () => {
        // 0: the answer is on its way. The wait stays, without a reader, so that `drain` lets go of it.
        if (native.cancel(host.handle, ticket) !== 0) host.waits.delete(ticket)
        wait.read = undefined
        letGo()
        reject(signal.reason)
      }
      signal.addEventListener('abort', wait.abort, { once: true })
    }
    host.waits.set(ticket, wait)
    hold()
  })
}

/** What a verb that answers nothing makes of its code: done, a promise, or an error. */
function nothing(code, signal) {
  if (code === 0) return DONE
  if (code < 0) return Promise.reject(failure(code))
  return late(code, none, signal)
}

const DONE = Promise.resolve()
const none = () => undefined

/** Settles everything that is there. Called by the native layer, once from empty to not empty. */
function drain() {
  let more = 1
  while (more > 0) {
    let tray = trayNow()
    more = native.drain(host.handle, tray.bytes, tray.at)
    const word = tray.at >>> 2
    if (more > 0 && tray.words[word] === 0) {
      tray = trayFor(tray.words[word + 1] >>> 0)
      more = native.drain(host.handle, tray.bytes, tray.at)
    }
    if (more < 0) return lost(failure(more))
    let { at, count } = opened(tray)
    for (; count > 0; count -= 1) at = settle(tray, at)
  }
}

/** Settles the late answer at `at` and answers where the next one begins. */
function settle(tray, at) {
  const { words } = tray
  const word = at >>> 2
  const ticket = (words[word + 1] >>> 0) * 0x1_0000_0000 + (words[word] >>> 0)
  const kind = words[word + 2]
  const count = words[word + 3]
  const first = at + HEAD
  if (kind === READY) {
    host.readers.get(ticket)?.deref()?._ready()
    return first
  }
  const wait = host.waits.get(ticket)
  host.waits.delete(ticket)
  const isAwaited = wait?.read !== undefined
  if (isAwaited) {
    if (wait.abort) wait.signal.removeEventListener('abort', wait.abort)
    letGo()
  }
  if (kind === FAILURE) {
    const error = errorOf(native.failure(count))
    if (isAwaited) wait.reject(error)
    return first
  }
  if (isAwaited) wait.resolve(wait.read(tray, first, count))
  if (kind === REPLY) return afterReply(words, first)
  if ([PAGE, EXPLANATION, REDRIVEN, DIAGNOSIS].includes(kind)) return afterPage(words, first)
  if (kind !== DELIVERIES) return first + (kind === 2 ? count * RECEIPT : 0)
  let next = first
  for (let i = 0; i < count; i += 1) {
    if (!isAwaited) native.dropDelivery(words[next >>> 2])
    next = afterDelivery(words, next)
  }
  return next
}

/** The late answers themselves cannot be read: nobody must wait for ever. */
function lost(error) {
  for (const wait of host.waits.values()) {
    if (wait.read) letGo()
    wait.reject(error)
  }
  host.waits.clear()
}

/** Tells `reader` when it has something. */
function watch(handle, reader) {
  host.readers.set(handle, new WeakRef(reader))
  forgottenReaders.register(reader, handle, reader)
}

/** Ends a reader. */
function unwatch(handle, reader) {
  forgottenReaders.unregister(reader)
  closeReader(handle)
}

function closeReader(handle) {
  host.readers.delete(handle)
  native.closeReader(handle)
}

/** Lets go of a queue's handle when nobody refers to `queue` any more. */
const forgetWith = (queue, handle) => forgottenQueues.register(queue, handle)

module.exports = {
  DONE, attach, bytesNow, deskFor, failure, forgetWith, found, handleOf, hold, host, late, letGo, nothing, scratchDone,
  scratchFor, scratchText, trayNow, unwatch, watch,
}
