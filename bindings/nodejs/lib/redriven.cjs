'use strict'
// What became of a redrive.

const { inspect } = require('node:util')
const { REDRIVEN, long, membersAt } = require('./tray.cjs')

class Redriven {
  constructor(tray, at) {
    const { words } = tray
    const word = at >>> 2
    const count = (place) => long(words[word + place], words[word + place + 1])
    this.matched = count(4)
    this.moved = count(6)
    this.refused = count(8)
    this.skipped = count(10)
    this.leased = count(2)
    /** The ids of members that did not answer. */
    this.missing = membersAt(words, at + REDRIVEN, words[word + 1])
  }

  [inspect.custom](depth, options) {
    return `Redriven ${inspect({ ...this }, options)}`
  }
}

/** What became of a redrive, at `at`. */
const redrivenAt = (tray, at) => new Redriven(tray, at)

module.exports = { Redriven, redrivenAt }
