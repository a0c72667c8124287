'use strict'
// A diagnosis: why a queue delivers nothing.

const { inspect } = require('node:util')
const { DIAGNOSIS, FACTS, FINDING, long, membersAt, padded } = require('./tray.cjs')

const PAUSED = [null, 'in', 'out', 'both']

/** One thing that is the matter with a queue, or with a group of it. */
class Finding {
  constructor(tray, at) {
    const { bytes, words } = tray
    const word = at >>> 2
    const code = at + FINDING + words[word + 4] * 16
    const group = code + words[word + 2]
    this.code = bytes.toString('utf8', code, group)
    this.group = bytes.toString('utf8', group, group + words[word + 3]) || null
    this.messages = long(words[word], words[word + 1])
    this.members = membersAt(words, at + FINDING, words[word + 4])
  }
}

/** What one member knows of a queue, or of one group of it. */
class Facts {
  constructor(tray, at) {
    const { bytes, words } = tray
    const word = at >>> 2
    const has = words[word + 36]
    const [lessees, owners] = [words[word + 30], words[word + 31]]
    const count = (place) => long(words[word + place], words[word + place + 1])
    const some = (flag, place) => (has & flag ? count(place) : null)
    const group = at + FACTS + (lessees + owners) * 16
    const pauser = group + words[word + 32]
    this.member = membersAt(words, at, 1)[0]
    this.group = bytes.toString('utf8', group, pauser) || null
    this.ready = count(4)
    this.leased = count(6)
    this.delayed = count(8)
    this.standby = count(10)
    this.stranded = count(12)
    this.oldestMs = some(1, 14)
    this.nextReadyMs = some(2, 16)
    this.nextLeaseMs = some(4, 18)
    this.lessees = membersAt(words, at + FACTS, lessees)
    this.owners = membersAt(words, at + FACTS + lessees * 16, owners)
    this.receives = count(20)
    this.subscriptions = count(22)
    this.credit = count(24)
    this.paused = PAUSED[words[word + 34]]
    this.pausedBy = bytes.toString('utf8', pauser, pauser + words[word + 33]) || null
    this.messagesMax = some(8, 26)
    this.bytesMax = some(16, 28)
    this.isFull = (has & 32) !== 0
    this.memoryPercent = words[word + 35]
  }
}

class Diagnosis {
  constructor(findings, facts, missing) {
    /** What is the matter, the most important first; never nothing. */
    this.findings = findings
    /** What each member knows, of the queue itself and of each of its groups. */
    this.facts = facts
    /** The ids of members that did not answer. */
    this.missing = missing
  }

  [Symbol.iterator]() {
    return this.findings[Symbol.iterator]()
  }

  [inspect.custom](depth, options) {
    return `Diagnosis ${inspect({ ...this }, options)}`
  }
}

/** The diagnosis at `at`. */
function diagnosisAt(tray, at) {
  const { words } = tray
  const word = at >>> 2
  const missing = membersAt(words, at + DIAGNOSIS, words[word + 3])
  let place = at + DIAGNOSIS + missing.length * 16
  const findings = []
  for (let left = words[word + 1]; left > 0; left -= 1) {
    findings.push(new Finding(tray, place))
    const one = place >>> 2
    place = padded(place + FINDING + words[one + 4] * 16 + words[one + 2] + words[one + 3])
  }
  const facts = []
  for (let left = words[word + 2]; left > 0; left -= 1) {
    facts.push(new Facts(tray, place))
    const one = place >>> 2
    place = padded(place + FACTS + (words[one + 30] + words[one + 31]) * 16 + words[one + 32] + words[one + 33])
  }
  return new Diagnosis(findings, facts, missing)
}

module.exports = { Diagnosis, Facts, Finding, diagnosisAt }
