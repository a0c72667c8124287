'use strict'
// A reply: what a call is answered with.

const { inspect } = require('node:util')
const { REPLY, pairsAt } = require('./tray.cjs')

class Reply {
  constructor(body, headerPairs) {
    /** The handler's bytes. */
    this.body = body
    /** The handler's headers as pairs, in their order. */
    this.headerPairs = headerPairs
  }

  /** The handler's headers. Of several with one name it is the last. */
  get headers() {
    return Object.freeze(Object.assign(Object.create(null), Object.fromEntries(this.headerPairs)))
  }

  /** The body as text. */
  text() {
    return this.body.toString('utf8')
  }

  /** The body as the value that its JSON describes. Throws a SyntaxError when it is none. */
  json() {
    return JSON.parse(this.text())
  }

  [inspect.custom](depth, options) {
    return `Reply ${inspect({ headers: { ...this.headers }, body: this.body }, options)}`
  }
}

/** The reply whose record begins at `at`. */
function replyOf(tray, at) {
  const word = at >>> 2
  const start = at + REPLY
  const middle = start + tray.words[word]
  const body = tray.bytes.subarray(start, middle)
  return new Reply(body, pairsAt(tray.bytes, middle, middle + tray.words[word + 1]))
}

module.exports = { Reply, replyOf }
