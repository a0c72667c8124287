'use strict'
// A tray: memory that the native layer fills with records (bindings/nodejs/src/pack.rs says how they lie).
// Small messages share one, as Node's own small Buffers do: a body is a part of its tray, so it keeps the
// whole tray in memory for as long as it is kept itself.

const { markAsUntransferable } = require('node:worker_threads')

/** Bytes of an ordinary tray. One message of 100 bytes takes 136. */
const TRAY = 64 * 1024
/** Below this an ordinary tray is not worth another look. */
const TRAY_LEFT = 1024
/** Bytes of the head of an answer, of a receipt, of what precedes a delivery's body, a broadcast's, an entry's key. */
const HEAD = 16
const RECEIPT = 32
const DELIVERY = 32
const BROADCAST = 32
const ENTRY = 16
/** Bytes of what precedes a reply's body. */
const REPLY = 16

/** Bytes of a page's own head, and of what precedes a shown message's body. */
const PAGE = 16
const SHOWN = 96
/** The same of an explanation and its accounts. */
const EXPLANATION = 16
const ACCOUNT = 128
/** Bytes of what precedes the members that did not answer a redrive. */
const REDRIVEN = 48
/** Bytes of a diagnosis' own head, and of what precedes the members of a finding and of facts. */
const DIAGNOSIS = 16
const FINDING = 32
const FACTS = 160

class Tray {
  constructor(size) {
    this.bytes = Buffer.allocUnsafeSlow(size)
    // A body given away with postMessage would take its neighbours along.
    markAsUntransferable(this.bytes.buffer)
    this.words = new Int32Array(this.bytes.buffer, 0, size >>> 2)
    /** Where the next answer goes. */
    this.at = 0
    /** Handles of the deliveries in it, 0 for a finished one; what is left when it is collected is let go. */
    this.live = []
  }
}

/** A 64-bit value from two words, as a number where it is one exactly. */
function long(low, high) {
  const top = high >>> 0
  const value = top * 0x1_0000_0000 + (low >>> 0)
  return Number.isSafeInteger(value) ? value : (BigInt(top) << 32n) + BigInt(low >>> 0)
}

const hex = (word) => (word >>> 0).toString(16).padStart(8, '0')

/** A message id from four words: the origin in 16 hex digits, then the sequence. */
const idOf = (a, b, c, d) => `${hex(b)}${hex(a)}-${long(c, d)}`

/** A member's id from its four words. */
const memberOf = (a, b, c, d) => `${hex(d)}${hex(c)}${hex(b)}${hex(a)}`

/** The ids of `count` members from `at` on. */
const membersAt = (words, at, count) => Array.from({ length: count }, (_, i) => {
  const word = (at >>> 2) + i * 4
  return memberOf(words[word], words[word + 1], words[word + 2], words[word + 3])
})

const LITTLE = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1

/** The word at any place: what follows a text does not start at a multiple of 4. */
const wordAt = (bytes, at) => (LITTLE ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at))

/** Bytes of the headers of the delivery whose record begins at `word`; above them lie the bytes of its key, and its priority. */
const headersAt = (words, word) => words[word + 6] & 0xf_ffff
const priorityAt = (words, word) => words[word + 6] >>> 28
const keyBytesAt = (words, word) => (words[word + 6] >>> 20) & 0xff

/** Where the record after the delivery at `at` begins. */
function afterDelivery(words, at) {
  const word = at >>> 2
  return padded(at + DELIVERY + headersAt(words, word) + keyBytesAt(words, word) + words[word + 7])
}

/** Where the record after the reply at `at` begins. */
function afterReply(words, at) {
  const word = at >>> 2
  return padded(at + REPLY + words[word] + words[word + 1])
}

/** Where the record after the page, explanation, diagnosis or outcome of a redrive at `at` begins. */
const afterPage = (words, at) => at + words[at >>> 2]

/** The headers from `at` to `end` as pairs, in their order. */
function pairsAt(bytes, at, end) {
  const pairs = []
  while (at < end) {
    const middle = at + 8 + wordAt(bytes, at)
    const next = middle + wordAt(bytes, at + 4)
    pairs.push([bytes.toString('utf8', at + 8, middle), bytes.toString('utf8', middle, next)])
    at = next
  }
  return pairs
}

/** The next multiple of 8, also above 2 GiB. */
const padded = (size) => ((size + 7) >>> 3) * 8

module.exports = {
  ACCOUNT, BROADCAST, DELIVERY, DIAGNOSIS, ENTRY, EXPLANATION, FACTS, FINDING, HEAD, PAGE, RECEIPT, REDRIVEN, REPLY, SHOWN, TRAY, TRAY_LEFT, Tray, afterDelivery,
  afterPage, afterReply,
  headersAt, idOf, keyBytesAt, long, memberOf, membersAt, padded, pairsAt, priorityAt, wordAt,
}
