'use strict'

// What a queue is told: settings by their names in JavaScript, and keys and values in turn as the core has them.

const { wrong } = require('./errors.cjs')
const values = require('./values.cjs')

const TIMES = {
  enqueueTimeout: 'enqueue_timeout_ms',
  lease: 'lease_ms',
  ttl: 'ttl_ms',
  backoff: 'backoff_ms',
  backoffMax: 'backoff_ms_max',
  takeoverAfter: 'takeover_after_ms'
}
const OTHERS = {
  copies: 'copies',
  onShort: 'on_short',
  maxAttempts: 'max_attempts',
  keyConcurrency: 'key_concurrency',
  deadLetters: 'dead_letters',
  messagesMax: 'messages_max',
  bytesMax: 'bytes_max',
  overflow: 'overflow',
  paused: 'paused'
}
const NAMES = new Map([...Object.entries(TIMES), ...Object.entries(OTHERS)].map(([name, key]) => [key, name]))
const NUMBERS = new Set([...Object.values(TIMES), 'copies', 'max_attempts', 'messages_max', 'bytes_max', 'key_concurrency'])

/** Keys and values in turn; null unsets one, undefined says nothing. What is unknown the core refuses. */
function settingPairs(settings) {
  const pairs = []
  for (const [name, value] of Object.entries(values.optionsOf(settings) ?? {})) {
    if (value !== undefined) pairs.push(TIMES[name] ?? OTHERS[name] ?? name, textOf(name, value))
  }
  return pairs
}

function textOf(name, value) {
  if (value === null) return ''
  if (name in TIMES) return String(values.milliseconds(value, name))
  const isGood = typeof value === 'string' ? value !== '' : Number.isSafeInteger(value)
  if (!isGood) throw wrong('must be a text or a whole number; null unsets it', { setting: name, value: values.shown(value) })
  return String(value)
}

/** Settings by their names: numbers as such, times in milliseconds. */
function settingsOf(pairs) {
  const settings = {}
  for (let at = 0; at + 1 < pairs.length; at += 2) {
    const [key, value] = [pairs[at], pairs[at + 1]]
    settings[NAMES.get(key) ?? key] = NUMBERS.has(key) ? Number(value) : value
  }
  return settings
}

module.exports = { settingPairs, settingsOf }
