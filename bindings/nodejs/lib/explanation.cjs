'use strict'
// An explanation: what every member knows of one message.

const { inspect } = require('node:util')
const { ACCOUNT, EXPLANATION, idOf, long, memberOf, membersAt, padded } = require('./tray.cjs')

/** By the core's numbers. */
const KNOWN = [
  'unknown', 'replicating', 'ready', 'delayed', 'leased', 'standby', 'moving', 'dying', 'acked', 'dead', 'expired', 'aborted',
  'forgotten',
]
const HAS_OWNER = 1
const HAS_LESSEE = 2
const HAS_LEASE = 4

/** What one member knows of a message, or of it in one group, or of its dead letter. */
class Account {
  constructor(tray, at) {
    const { bytes, words } = tray
    const word = at >>> 2
    const has = words[word + 22]
    const date = (place) => long(words[place], words[place + 1]) || null
    const queue = at + ACCOUNT + words[word + 19] * 16
    const group = queue + words[word + 20]
    this.member = memberAt(words, word)
    this.known = KNOWN[words[word + 16]]
    this.id = idOf(words[word + 4], words[word + 5], words[word + 6], words[word + 7])
    this.queue = bytes.toString('utf8', queue, group) || null
    this.group = bytes.toString('utf8', group, group + words[word + 21]) || null
    this.attempts = words[word + 17] >>> 0
    this.owner = has & HAS_OWNER ? memberAt(words, word + 8) : null
    this.holders = membersAt(words, at + ACCOUNT, words[word + 19])
    this.confirmed = words[word + 18]
    this.lessee = has & HAS_LESSEE ? memberAt(words, word + 12) : null
    this.leaseMs = has & HAS_LEASE ? long(words[word + 30], words[word + 31]) : null
    this.acceptedMs = date(word + 24)
    this.readyAtMs = date(word + 26)
    this.expiresMs = date(word + 28)
  }
}

class Explanation {
  constructor(accounts, missing) {
    /** One or more a member, in the order of the members' ids. */
    this.accounts = accounts
    /** The ids of members that did not answer. */
    this.missing = missing
  }

  [Symbol.iterator]() {
    return this.accounts[Symbol.iterator]()
  }

  [inspect.custom](depth, options) {
    return `Explanation ${inspect({ ...this }, options)}`
  }
}

const memberAt = (words, word) => memberOf(words[word], words[word + 1], words[word + 2], words[word + 3])

/** The explanation at `at`. */
function explanationAt(tray, at) {
  const { words } = tray
  const word = at >>> 2
  const missing = membersAt(words, at + EXPLANATION, words[word + 2])
  const accounts = []
  let place = at + EXPLANATION + missing.length * 16
  for (let left = words[word + 1]; left > 0; left -= 1) {
    accounts.push(new Account(tray, place))
    const account = place >>> 2
    place = padded(place + ACCOUNT + words[account + 19] * 16 + words[account + 20] + words[account + 21])
  }
  return new Explanation(accounts, missing)
}

module.exports = { Account, Explanation, explanationAt }
