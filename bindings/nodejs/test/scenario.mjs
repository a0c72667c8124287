// The scenario language (tests/conformance/README.md), read into steps as its Rust parser reads it.

const ENQUEUE = ['copies', 'on_short', 'timeout', 'priority', 'delay', 'at', 'ttl', 'max_attempts', 'at_most_once', 'if_no_group', 'key', 'dedup', 'dedup_window', 'header.']

const GROUP = ['group', 'backlog']

/** Every step there is: how many arguments it takes, and which keys ("x." for all that begin so). */
const SHAPES = {
  open: [1, 1, ['*']], join: [2, 2, []], members: [1, 1, []], address: [1, 1, []], event: [2, 2, []], stats: [2, 2, []],
  enqueue: [3, 3, ENQUEUE],
  enqueue_many: [3, 99, ENQUEUE],
  call: [3, 3, ENQUEUE], reply: [3, 3, ['header.']], replied: [1, 1, []],
  receive: [2, 2, ['max', 'wait', 'lease', ...GROUP]],
  doctor: [2, 2, ['missing']],
  redrive: [2, 2, ['to', 'max', 'header.', 'ids', 'dry_run', 'timeout', 'missing']],
  browse: [2, 2, ['max', 'after', 'group', 'states', 'header.', 'body_bytes', 'timeout', 'cursor', 'missing']],
  explain: [2, 2, ['missing']],
  ack: [2, 2, []], ack_many: [2, 99, []], nack: [2, 2, ['delay']], release: [2, 2, []], reject: [2, 2, ['reason']],
  extend: [2, 2, ['lease']],
  drop: [2, 2, []], subscribe: [2, 2, ['credit', 'credit_bytes', 'lease', 'max_run', ...GROUP]],
  next: [1, 1, ['wait']], credit: [2, 2, []],
  unsubscribe: [1, 1, []], leave: [1, 1, ['drain', 'force']], close: [1, 1, []],
  broadcast: [3, 3, []], on: [2, 2, []], heard: [1, 2, ['from']], unlisten: [1, 1, []],
  put: [3, 3, []], get: [2, 2, []], delete: [2, 2, []], list: [2, 2, []], watch: [2, 2, []], changed: [1, 3, []],
  evict: [2, 2, []], reclaim: [1, 1, ['keep']], rotate: [2, 2, []],
  create_group: [3, 3, ['backlog']], remove_group: [3, 3, []], groups: [2, 2, []],
  configure: [3, 3, []], configuration: [2, 2, []], pause: [3, 3, []], resume: [2, 2, []], purge: [2, 2, []],
  set_policy: [3, 3, []], remove_policy: [2, 2, []], policies: [1, 1, []],
}

/** One word: `name`, `"text"`, `bytes:8`, or `key=` any of these. Its bytes are a string of latin1. */
class Word {
  key = undefined
  latin1 = ''
  isText = false

  get bytes() {
    return Buffer.from(this.latin1, 'latin1')
  }

  get text() {
    return this.bytes.toString('utf8')
  }

  is(word) {
    return this.key === undefined && !this.isText && this.latin1 === word
  }
}

/** The steps of a file's text, as `{line, verb, args, options, expect}`. Throws `name:line: what is wrong`. */
export function parse(name, text) {
  const steps = []
  text.split('\n').forEach((line, index) => {
    try {
      const step = stepOf(index + 1, line)
      if (step) steps.push(step)
    } catch (error) {
      throw new Error(`${name}:${index + 1}: ${error.message}`)
    }
  })
  if (steps.length === 0) throw new Error(`${name}:1: no step at all`)
  return steps
}

function stepOf(line, text) {
  const words = cut(text)
  if (words.length === 0) return undefined
  const step = { line, verb: words[0].text, args: [], options: [], expect: [] }
  for (const word of words.slice(1)) {
    if (word.is('->') || word.is(',')) step.expect.push([])
    else if (step.expect.length > 0) step.expect.at(-1).push(word)
    else (word.key === undefined ? step.args : step.options).push(word)
  }
  check(step)
  return step
}

function check({ verb, args, options, expect }) {
  if (!Object.hasOwn(SHAPES, verb)) throw new Error(`there is no step \`${verb}\``)
  const [least, most, keys] = SHAPES[verb]
  if (args.length < least || args.length > most) {
    throw new Error(`\`${verb}\` takes ${least} to ${most} arguments, not ${args.length}`)
  }
  for (const { key } of options) {
    const fits = (k) => k === '*' || k === key || (k.endsWith('.') && key.startsWith(k))
    if (!keys.some(fits)) throw new Error(`\`${verb}\` has no key \`${key}\``)
  }
  if (expect.some((group) => group.length === 0)) throw new Error('nothing stands behind `->` or a comma')
}

/** Cuts a line into words at blanks; behind `->` a comma is a word of its own. */
function cut(text) {
  const bytes = Buffer.from(text, 'utf8').toString('latin1')
  const words = []
  let word = new Word()
  let isQuoted = false
  let isExpectation = false
  const finish = () => {
    if (word.key === undefined && !word.isText && word.latin1 === '') return
    words.push(long(word))
    word = new Word()
  }
  for (let i = 0; i < bytes.length; i += 1) {
    const byte = bytes[i]
    if (byte === '"') {
      isQuoted = !isQuoted
      word.isText = true
    } else if (isQuoted && byte === '\\') {
      const [char, used] = escapeOf(bytes, i + 1)
      word.latin1 += char
      i += used
    } else if (isQuoted) word.latin1 += byte
    else if (byte === '#') break
    else if (byte === ' ' || byte === '\t') finish()
    else if (byte === ',' && isExpectation) {
      finish()
      words.push(Object.assign(new Word(), { latin1: ',' }))
    } else if (byte === '=' && word.key === undefined && !word.isText) {
      word.key = word.text
      word.latin1 = ''
    } else word.latin1 += byte
    isExpectation ||= word.is('->')
  }
  if (isQuoted) throw new Error('a text has no end')
  finish()
  return words
}

/** Makes `bytes:N` and `name:N` the text that they stand for. */
function long(word) {
  const parts = word.isText ? null : /^(bytes|name):(.*)$/s.exec(word.latin1)
  if (!parts) return word
  if (!/^\d+$/.test(parts[2])) throw new Error(`\`${word.text}\` has no number`)
  word.latin1 = (parts[1] === 'bytes' ? 'x' : 'q').repeat(Number(parts[2]))
  word.isText = true
  return word
}

function escapeOf(bytes, at) {
  const byte = bytes[at]
  if (byte === 'n') return ['\n', 1]
  if (byte === '"' || byte === '\\') return [byte, 1]
  const digits = bytes.slice(at + 1, at + 3)
  if (byte === 'x' && /^[0-9a-f]{2}$/i.test(digits)) return [String.fromCharCode(Number.parseInt(digits, 16)), 3]
  throw new Error('an escape is one of \\" \\\\ \\n \\xNN')
}
