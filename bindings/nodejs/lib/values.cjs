'use strict'
// What people write, made into what the native layer takes: durations, dates, options, headers, bodies. It refuses
// only what has the wrong type; ranges and unknown names are the native layer's to judge.

const { wrong } = require('./errors.cjs')

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const DURATION = /^\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*$/

/** A text, or 101. */
function text(value, what) {
  if (typeof value === 'string') return value
  throw wrong('must be a text', { [what]: shown(value) })
}

/** A duration in whole ms, from a number of ms or from "250ms", "30s", "5m", "2h", "1d"; -1 when not given. */
function milliseconds(value, what) {
  if (value === undefined || value === null) return -1
  if (typeof value === 'number' && value >= 0 && value < Infinity) return Math.ceil(value)
  const parts = typeof value === 'string' ? DURATION.exec(value) : null
  if (parts) return Math.ceil(Number(parts[1]) * UNITS[parts[2]])
  throw wrong('is no duration: give ms, or text like "30s"', { [what]: shown(value) })
}

/** As `milliseconds`, for a wait: `otherwise` when not given, and Infinity is one. */
function waiting(value, otherwise) {
  if (value === undefined || value === null) return otherwise
  return value === Infinity ? Infinity : milliseconds(value, 'wait')
}

/** A date in ms since 1970, from a Date or such a number; one before 1970 is 1970; -1 when not given. */
function dateOf(value, what) {
  if (value === undefined || value === null) return -1
  const ms = value instanceof Date ? value.getTime() : value
  if (typeof ms === 'number' && Number.isFinite(ms)) return Math.max(Math.ceil(ms), 0)
  throw wrong('is no date: give a Date, or ms since 1970', { [what]: shown(value) })
}

/** True or false; false when not given. */
function truth(value, what) {
  if (value === undefined || value === null) return false
  if (typeof value === 'boolean') return value
  throw wrong('must be true or false', { [what]: shown(value) })
}

/** A whole number of at least `least` that fits a 32-bit word; `otherwise` when not given. */
function whole(value, what, least, otherwise) {
  if ((value === undefined || value === null) && otherwise !== undefined) return otherwise
  if (Number.isInteger(value) && value >= least && value <= 0x7fffffff) return value
  throw wrong(`must be a whole number of at least ${least}`, { [what]: shown(value) })
}

/** The value in a sentence, short and never failing. */
function shown(value) {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 40))
  return typeof value === 'object' && value !== null ? 'an object' : String(value)
}

/** An options object, or none. */
function optionsOf(options) {
  if (options === undefined || options === null) return undefined
  if (typeof options === 'object') return options
  throw wrong('options must be an object', { options: shown(options) })
}

const ON_SHORT = { degrade: 0, fail: 1, wait: 2 }
const IF_NO_GROUP = { hold: 0, drop: 1, refuse: 2 }

/** The number of an `onShort`, -1 when not given. */
const onShortOf = (value) => wordOf(ON_SHORT, value, 'onShort')

/** The number of one of a few words, -1 when not given. */
function wordOf(numbers, value, what) {
  if (value === undefined || value === null) return -1
  const number = Object.hasOwn(numbers, value) ? numbers[value] : undefined
  if (number !== undefined) return number
  const [first, second, third] = Object.keys(numbers)
  throw wrong(`must be "${first}", "${second}" or "${third}"`, { [what]: shown(value) })
}

/** In which group, undefined for the queue itself, and whether one that is created gets what waits. */
function groupOf(options) {
  const { group, backlog } = options ?? {}
  return {
    group: group === undefined || group === null ? undefined : text(group, 'group'),
    backlog: truth(backlog, 'backlog'),
  }
}

/** States or ids as a list of texts; none for all. */
function textsOf(texts, what) {
  if (texts === undefined || texts === null) return []
  if (typeof texts !== 'string' && typeof texts[Symbol.iterator] === 'function') {
    return Array.from(texts, (one) => text(one, what))
  }
  throw wrong(`${what}s are a list of texts`, { [`${what}s`]: shown(texts) })
}

/** Headers as names and values in turn, from an object, a Map or pairs; undefined when there are none. */
function headersOf(headers) {
  if (headers === undefined || headers === null) return undefined
  if (typeof headers !== 'object') throw wrong('headers must be an object', { headers: shown(headers) })
  const pairs = typeof headers[Symbol.iterator] === 'function' ? headers : Object.entries(headers)
  const flat = []
  for (const pair of pairs) {
    if (!Array.isArray(pair) || typeof pair[0] !== 'string' || typeof pair[1] !== 'string') {
      throw wrong('a header is a name and a text', { header: shown(Array.isArray(pair) ? pair[0] : pair) })
    }
    flat.push(pair[0], pair[1])
  }
  return flat.length > 0 ? flat : undefined
}

/** Headers with keys behind them, as the native layer reads them: a key makes their number odd, and the terms say that a dedup key follows. */
function keyed(headers, { key, dedup }) {
  const keys = []
  if (!isNone(key)) keys.push(text(key, 'key'))
  if (!isNone(dedup)) keys.push(text(dedup, 'dedup'))
  return keys.length === 0 ? headers : [...(headers ?? []), ...keys]
}

const isNone = (value) => value === undefined || value === null

/** The terms of a message as the native layer reads them, undefined when there are none. */
function termsOf({ priority, delay, at, ttl, maxAttempts, atMostOnce, ifNoGroup, dedup, dedupWindow }) {
  const rest = dedup ?? dedupWindow
  if ((priority ?? delay ?? at ?? ttl ?? maxAttempts ?? atMostOnce ?? ifNoGroup ?? rest) === undefined) return undefined
  return [
    whole(priority, 'priority', 0, -1),
    milliseconds(delay, 'delay'),
    dateOf(at, 'at'),
    milliseconds(ttl, 'ttl'),
    whole(maxAttempts, 'maxAttempts', 0, -1),
    Number(truth(atMostOnce, 'atMostOnce')),
    wordOf(IF_NO_GROUP, ifNoGroup, 'ifNoGroup'),
    Number(!isNone(dedup)),
    milliseconds(dedupWindow, 'dedupWindow'),
  ]
}

// Bytes in shared memory are copied first: another thread could change them while they are read.
const isShared = (buffer) => typeof SharedArrayBuffer === 'function' && buffer instanceof SharedArrayBuffer

/** The bytes of a body that is no string, or undefined when it is to be sent as JSON. */
function bytesOf(body) {
  if (body instanceof Uint8Array) return isShared(body.buffer) ? Buffer.from(body) : body
  if (ArrayBuffer.isView(body)) return bytesOf(new Uint8Array(body.buffer, body.byteOffset, body.byteLength))
  if (body instanceof ArrayBuffer || isShared(body)) return bytesOf(new Uint8Array(body))
  if (isJson(body)) return undefined
  throw wrong('a body is a string, bytes, or a plain object for JSON', { body: shown(body) })
}

/** Plain objects, arrays, and what says itself how it becomes JSON; of a Map or a class JSON keeps nothing. */
function isJson(body) {
  if (typeof body !== 'object' || body === null) return false
  const shape = Object.getPrototypeOf(body)
  return shape === Object.prototype || shape === null || Array.isArray(body) || typeof body.toJSON === 'function'
}

/** True for what can be sent as a body. */
const isBody = (value) =>
  typeof value === 'string' || ArrayBuffer.isView(value) || value instanceof ArrayBuffer || isShared(value) || isJson(value)

/** What marks a body that was an object; `json()` reads any body. */
const JSON_HEADER = ['content-type', 'application/json']

/** Headers as `headersOf`, for a body that may be an object. */
function headersFor(body, headers) {
  const own = headersOf(headers)
  return typeof body === 'string' || bytesOf(body) !== undefined ? own : [...JSON_HEADER, ...(own ?? [])]
}

/** The text of a body that is an object. */
function jsonOf(body) {
  let text
  try {
    text = JSON.stringify(body)
  } catch (cause) {
    throw Object.assign(wrong('this object has no JSON form', { body: 'an object' }), { cause })
  }
  if (typeof text !== 'string') throw wrong('this object has no JSON form', { body: 'an object' })
  return text
}

/** Options whose values are durations, under their names in the table. */
const TIMES = {
  enqueueTimeout: 'enqueue_timeout_ms', lease: 'lease_ms', repairAfter: 'repair_after_ms', retireAfter: 'retire_after_ms',
  takeoverAfter: 'takeover_after_ms',
}

/** Options that null and false turn off. */
const SWITCHES = ['listen', 'discover']

/** Options of `open` as names and values in turn, for the one door of every binding. */
function pairsOf(options) {
  const pairs = []
  for (const [key, value] of Object.entries(optionsOf(options) ?? {})) {
    if (value === undefined) continue
    if (Object.hasOwn(TIMES, key)) pairs.push(TIMES[key], String(milliseconds(value, key)))
    else pairs.push(snake(key), textOf(key, value))
  }
  return pairs
}

const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

function textOf(key, value) {
  if ((value === null || value === false) && SWITCHES.includes(key)) return 'none'
  if (Array.isArray(value) && value.every((part) => typeof part === 'string')) return value.join(',')
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint') return String(value)
  throw wrong('this option has no such type', { [key]: shown(value) })
}

/** Secrets as a list, from a text or a list of texts. What it was is never shown. */
function secretsOf(secrets) {
  const list = typeof secrets === 'string' ? [secrets] : secrets
  if (Array.isArray(list) && list.every((secret) => typeof secret === 'string')) return list
  throw wrong('secrets are a text or a list of texts')
}

/** Throws the reason of a signal that is aborted already; 101 for what is no signal. */
function checkSignal(signal) {
  if (signal === undefined || signal === null) return undefined
  if (typeof signal !== 'object' || typeof signal.throwIfAborted !== 'function') {
    throw wrong('must be an AbortSignal', { signal: shown(signal) })
  }
  signal.throwIfAborted()
  return signal
}

module.exports = {
  JSON_HEADER, bytesOf, checkSignal, groupOf, headersFor, headersOf, isBody, jsonOf, keyed, milliseconds, onShortOf, optionsOf, pairsOf, secretsOf,
  shown, termsOf, text, textsOf, truth, waiting, whole,
}
