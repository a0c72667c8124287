'use strict'
// A page: messages that were looked at and not taken.

const { inspect } = require('node:util')
const { PAGE, SHOWN, idOf, long, memberOf, padded, pairsAt } = require('./tray.cjs')

const STATES = { 1: 'ready', 2: 'delayed', 4: 'leased' }

/** A message that was looked at: nobody has it for that, and it may be gone by now. */
class Browsed {
  constructor(tray, at, group) {
    const { bytes, words } = tray
    const word = at >>> 2
    const body = at + SHOWN
    const headers = body + words[word + 8]
    const date = (place) => long(words[place], words[place + 1]) || null
    this.id = idOf(words[word], words[word + 1], words[word + 2], words[word + 3])
    this.group = group
    this.state = STATES[words[word + 12]]
    this.body = bytes.subarray(body, headers)
    this.bodyBytes = words[word + 10]
    this.headerPairs = pairsAt(bytes, headers, headers + words[word + 9])
    this.attempts = words[word + 11] >>> 0
    this.priority = words[word + 13]
    const key = headers + words[word + 9]
    this.key = bytes.toString('utf8', key, key + words[word + 15]) || undefined
    this.acceptedMs = long(words[word + 16], words[word + 17])
    this.readyAtMs = date(word + 18)
    this.expiresMs = date(word + 20)
    this.leaseMs = this.state === 'leased' ? long(words[word + 22], words[word + 23]) : null
    this.copies = words[word + 14]
    this.owner = memberOf(words[word + 4], words[word + 5], words[word + 6], words[word + 7])
  }

  /** The producer's headers. Of several with one name it is the last. */
  get headers() {
    return Object.freeze(Object.assign(Object.create(null), Object.fromEntries(this.headerPairs)))
  }

  /** The body as text. */
  text() {
    return this.body.toString('utf8')
  }

  /** The body as the value that its JSON describes. Throws a SyntaxError when it is none, or not all of it is here. */
  json() {
    return JSON.parse(this.text())
  }
}

class Page {
  constructor(messages, cursor, missing) {
    /** The messages, oldest first. */
    this.messages = messages
    /** The next page's `after`; null where this is the last one. */
    this.cursor = cursor
    /** The ids of members whose messages are not in it. */
    this.missing = missing
  }

  [Symbol.iterator]() {
    return this.messages[Symbol.iterator]()
  }

  [inspect.custom](depth, options) {
    return `Page ${inspect({ ...this }, options)}`
  }
}

/** Reads pages of a group, null for the queue itself. */
const pageReader = (group) => (tray, at) => {
  const { bytes, words } = tray
  const word = at >>> 2
  const missing = []
  let place = at + PAGE
  for (let left = words[word + 2]; left > 0; left -= 1, place += 16) {
    const member = place >>> 2
    missing.push(memberOf(words[member], words[member + 1], words[member + 2], words[member + 3]))
  }
  const end = place + words[word + 3]
  const cursor = bytes.toString('utf8', place, end)
  const messages = []
  place = padded(end)
  for (let left = words[word + 1]; left > 0; left -= 1) {
    messages.push(new Browsed(tray, place, group))
    const shown = place >>> 2
    place = padded(place + SHOWN + words[shown + 8] + words[shown + 9] + words[shown + 15])
  }
  return new Page(messages, cursor === '' ? null : cursor, missing)
}

module.exports = { Browsed, Page, pageReader }
