// Runs every scenario of tests/conformance against this face. One test a file; the first step that differs
// from its expectation fails it, with file and line.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'
import { PrimerError, start } from 'primer'
import { parse } from './scenario.mjs'
import { becomes } from './tools.mjs'

const FOLDER = new URL('../../../tests/conformance/scenarios/', import.meta.url)
const PATIENCE_MS = 20_000

/** What a name stands for until the end of a file. */
class Stage {
  members = new Map()
  queues = new Map()
  events = new Map()
  subscriptions = new Map()
  /** Of topics and of changes. */
  readers = new Map()
  /** Calls that go on beside the other steps. */
  calls = new Map()
  /** Cursors of pages. */
  cursors = new Map()
  ids = new Map()
  /** Deliveries by member and name: `ack A m1` means the last one of m1 that A received. */
  deliveries = new Map()
  /** Every delivery: one that is collected would be let go of. */
  kept = []

  member(word) {
    const member = this.members.get(word.text)
    assert.ok(member, `no member ${word.text} was opened`)
    return member
  }

  queue(member, name) {
    const key = `${member.text} ${name.text}`
    if (!this.queues.has(key)) this.queues.set(key, this.member(member).queue(name.text))
    return this.queues.get(key)
  }

  subscription(word) {
    const subscription = this.subscriptions.get(word.text)
    assert.ok(subscription, `no subscription ${word.text} was made`)
    return subscription
  }

  reader(word) {
    const reader = this.readers.get(word.text)
    assert.ok(reader, `no reader ${word.text} was made`)
    return reader
  }

  /** The id of the member that has that name in the file. */
  idOf(word) {
    return this.member(word).members().find(({ isSelf }) => isSelf).id
  }

  delivery(member, name) {
    const delivery = this.deliveries.get(`${member.text} ${name.text}`)
    assert.ok(delivery, `${member.text} received no ${name.text}`)
    return delivery
  }

  /** Binds a new name to an id; a bound one must be that id. */
  bind(name, id) {
    if (!this.ids.has(name)) this.ids.set(name, id)
    assert.equal(id, this.ids.get(name), `the id of ${name}`)
  }

  async end() {
    for (const subscription of this.subscriptions.values()) await subscription.reader.close()
    for (const events of this.events.values()) await events.close()
    for (const reader of this.readers.values()) await reader.close()
    await Promise.all([...this.members.values()].map((member) => member.close()))
  }
}

/** Options whose values are not a number by that very name. */
const READ = {
  on_short: ({ text }) => ['onShort', text],
  max_attempts: ({ text }) => ['maxAttempts', Number(text)],
  credit_bytes: ({ text }) => ['creditBytes', Number(text)],
  max_run: ({ text }) => ['maxRun', Number(text)],
  at_most_once: ({ text }) => ['atMostOnce', text === 'true'],
  if_no_group: ({ text }) => ['ifNoGroup', text],
  key: ({ text }) => ['key', text],
  dedup: ({ text }) => ['dedup', text],
  dedup_window: ({ text }) => ['dedupWindow', Number(text)],
  group: ({ text }) => ['group', text],
  backlog: ({ text }) => ['backlog', text === 'true'],
  after: (word) => ['after', word],
  cursor: ({ text }) => ['cursor', text],
  states: ({ text }) => ['states', text.split(',')],
  to: ({ text }) => ['to', text],
  ids: (word) => ['ids', word],
  dry_run: ({ text }) => ['dryRun', text === 'true'],
  body_bytes: ({ text }) => ['bodyBytesMax', Number(text)],
  at: ({ text }) => ['at', new Date(Date.now() + Number(text))],
}

/** Options of a step as an object, `header.k` collected. */
function options(step) {
  const given = {}
  for (const word of step.options) {
    if (word.key.startsWith('header.')) {
      (given.headers ??= []).push([word.key.slice('header.'.length), word.text])
    } else {
      const [name, value] = READ[word.key]?.(word) ?? [word.key, Number(word.text)]
      given[name] = value
    }
  }
  return given
}

/** Runs a step and answers what it gave, or the error that Primer gave. */
async function outcome(run) {
  try {
    return { value: await run() }
  } catch (error) {
    if (error instanceof PrimerError) return { error }
    throw error
  }
}

const VERBS = {
  async open(stage, { args: [name], options: words }) {
    // Scenarios run side by side: members that share a cluster's name must not meet by it.
    const given = words.length > 0 ? { discover: 'none' } : {}
    for (const { key, text } of words) {
      if (key === 'join') given.seeds = text.split(',').map((other) => stage.member({ text: other }).address)
      else given[key] = text
    }
    const member = start(given)
    stage.members.set(name.text, member)
    stage.events.set(name.text, member.events())
    await member.joined()
  },
  join: (stage, { args: [a, b] }) => stage.member(a).join(b.isText ? b.text : stage.member(b).address),
  leave: (stage, step) => {
    const { drain, force } = Object.fromEntries(step.options.map(({ key, text }) => [key, text]))
    return stage.member(step.args[0]).leave({ drain: drain && Number(drain), force: force === 'true' })
  },
  close: (stage, { args: [a] }) => stage.member(a).close(),
  address: (stage, { args: [a] }) => (stage.member(a).address === null ? 'none' : 'some'),
  members: (stage, { args: [a], expect }) => {
    const count = () => stage.member(a).members().filter((member) => member.isReachable).length
    return becomes(count, wantedNumber(expect)).then(() => wantedNumber(expect))
  },
  stats: (stage, { args: [a, name], expect }) => {
    const count = () => stage.member(a).stats()[name.text] ?? 0
    return becomes(count, wantedNumber(expect)).then(() => wantedNumber(expect))
  },
  async event(stage, { args: [a, kind] }) {
    const signal = AbortSignal.timeout(PATIENCE_MS)
    const events = stage.events.get(a.text)
    while ((await events.next({ signal })).kind !== kind.text);
  },
  enqueue: (stage, step) => {
    const [a, queue, body] = step.args
    return stage.queue(a, queue).enqueue(body.bytes, options(step))
  },
  enqueue_many: (stage, step) => {
    const [a, queue, ...bodies] = step.args
    return stage.queue(a, queue).enqueueMany(bodies.map((body) => body.bytes), options(step))
  },
  call: (stage, step) => {
    const [a, queue, body] = step.args
    const call = stage.queue(a, queue).call(body.bytes, { timeout: PATIENCE_MS, ...options(step) })
    // Its failure is told to `replied`.
    call.catch(() => {})
    stage.calls.set(step.expect[0][0].text, call)
  },
  reply: (stage, { args: [a, name, body], options: words }) => {
    const headers = words.map(({ key, text }) => [key.slice('header.'.length), text])
    return stage.delivery(a, name).reply(body.bytes, { headers })
  },
  replied: (stage, { args: [name] }) => {
    const call = stage.calls.get(name.text)
    assert.ok(stage.calls.delete(name.text), `no call ${name.text}, or it has ended`)
    return call
  },
  receive: (stage, step) => {
    const { max = 1, ...rest } = options(step)
    return stage.queue(...step.args).receiveMany(max, rest)
  },
  browse: (stage, step) => {
    const { cursor, missing, ...look } = options(step)
    if (look.after) look.after = look.after.isText ? look.after.text : stage.cursors.get(look.after.text)
    return stage.queue(...step.args).browse({ timeout: PATIENCE_MS, ...look })
  },
  redrive: (stage, step) => {
    const { missing, ids, ...redrive } = options(step)
    const names = ids?.text.split(',')
    if (ids) redrive.ids = ids.isText ? names : names.map((name) => stage.ids.get(name))
    return stage.queue(...step.args).redrive({ timeout: PATIENCE_MS, ...redrive })
  },
  doctor: async (stage, step) => {
    const ask = async () => foundIn(step, await stage.queue(...step.args).doctor())
    if (isError(step.expect)) return ask()
    const end = Date.now() + PATIENCE_MS
    let told = await ask()
    while (told !== 'as written' && Date.now() < end) {
      await new Promise((done) => setTimeout(done, 10))
      told = await ask()
    }
    return told
  },
  explain: async (stage, step) => {
    const [a, name] = step.args
    const id = name.isText ? name.text : stage.ids.get(name.text)
    const ask = async () => toldIn(stage, step, await stage.member(a).explain(id))
    if (isError(step.expect)) return ask()
    const end = Date.now() + PATIENCE_MS
    let told = await ask()
    while (told !== 'as written' && Date.now() < end) {
      await new Promise((done) => setTimeout(done, 10))
      told = await ask()
    }
    return told
  },
  ack: (stage, { args }) => stage.delivery(...args).ack(),
  ack_many: (stage, { args: [a, ...names] }) => {
    const deliveries = names.map((name) => stage.delivery(a, name))
    return deliveries[0].queue.ackMany(deliveries)
  },
  nack: (stage, step) => stage.delivery(...step.args).nack(options(step)),
  reject: (stage, { args, options: [reason] }) => stage.delivery(...args).reject(reason.text),
  release: (stage, { args }) => stage.delivery(...args).release(),
  extend: (stage, step) => stage.delivery(...step.args).extend(options(step)),
  drop: (stage, { args }) => stage.delivery(...args)[Symbol.dispose](),
  subscribe: (stage, step) => stage.queue(...step.args).subscribe(options(step)),
  next: async (stage, step) => {
    const next = await stage.subscription(step.args[0]).reader.next({ wait: 0, ...options(step) })
    return next ? [next] : []
  },
  credit: (stage, { args: [s, more] }) => stage.subscription(s).reader.credit(Number(more.text)),
  unsubscribe: (stage, { args: [s] }) => stage.subscription(s).reader.close(),
  create_group: (stage, step) => {
    const [a, queue, group] = step.args
    return stage.queue(a, queue).createGroup(group.text, options(step))
  },
  remove_group: (stage, { args: [a, queue, group] }) => stage.queue(a, queue).removeGroup(group.text),
  groups: (stage, { args: [a, queue], expect }) => {
    const ask = () => JSON.stringify(stage.queue(a, queue).groups())
    const wanted = expect[0][0].is('empty') ? [] : expect.map(([group]) => group.text)
    return isError(expect) ? ask() : becomes(ask, JSON.stringify(wanted))
  },
  configure: (stage, { args: [a, queue, settings] }) => stage.queue(a, queue).configure(settingsIn(settings.text)),
  configuration: (stage, { args: [a, queue], expect }) => {
    const ask = () => JSON.stringify(shownSettings(stage.queue(a, queue).configuration()))
    return isError(expect) ? ask() : becomes(ask, JSON.stringify(textsIn(expect)))
  },
  pause: (stage, { args: [a, queue, direction] }) => stage.queue(a, queue).pause(direction.text),
  resume: (stage, { args: [a, queue] }) => stage.queue(a, queue).resume(),
  purge: (stage, { args: [a, queue] }) => stage.queue(a, queue).purge(),
  set_policy: (stage, { args: [a, prefix, settings] }) =>
    stage.member(a).setPolicy(prefix.text, settingsIn(settings.text)),
  remove_policy: (stage, { args: [a, prefix] }) => stage.member(a).removePolicy(prefix.text),
  policies: (stage, { args: [a], expect }) => {
    const ask = () => JSON.stringify(Object.keys(stage.member(a).policies()))
    return isError(expect) ? ask() : becomes(ask, JSON.stringify(textsIn(expect)))
  },
  broadcast: (stage, { args: [a, topic, body] }) => stage.member(a).broadcast(topic.text, body.bytes),
  on: (stage, { args: [a, topic] }) => stage.member(a).on(topic.text),
  async heard(stage, { args: [t, body], options: words }) {
    const heard = await stage.reader(t).next({ wait: PATIENCE_MS })
    assert.ok(heard, 'it heard nothing')
    // Without a body only an error is right: what came is told to `compare`.
    if (body) assert.ok(body.bytes.equals(heard.body), `it heard ${heard.text().slice(0, 40)}`)
    for (const from of words) assert.equal(heard.from, stage.idOf(from), 'from')
  },
  put: (stage, { args: [a, key, value] }) => stage.member(a).put(key.text, value.bytes),
  delete: (stage, { args: [a, key] }) => stage.member(a).delete(key.text),
  get: (stage, { args: [a, key], expect }) => {
    const ask = () => latin1(stage.member(a).get(key.text))
    return isError(expect) ? ask() : becomes(ask, valueOf(expect[0][0]))
  },
  list: (stage, { args: [a, prefix], expect }) => {
    const ask = () => JSON.stringify(stage.member(a).list(prefix.text).map(({ key, value }) => [key, latin1(value)]))
    const wanted = expect[0][0].is('empty') ? [] : expect.map(([key, value]) => [key.text, value.latin1])
    return isError(expect) ? ask() : becomes(ask, JSON.stringify(wanted))
  },
  watch: (stage, { args: [a, prefix] }) => stage.member(a).watch(prefix.text),
  async changed(stage, { args: [w, key, value] }) {
    const signal = AbortSignal.timeout(PATIENCE_MS)
    const reader = stage.reader(w)
    const isIt = (change) => !key || (change.key === key.text && latin1(change.value) === valueOf(value))
    while (!isIt(await reader.next({ signal })));
  },
  unlisten: (stage, { args: [t] }) => stage.reader(t).close(),
  evict: (stage, { args: [a, b] }) => stage.member(a).evict(stage.idOf(b)),
  reclaim: (stage, { args: [a], options: [keep] }) => stage.member(a).reclaim({ keep: keep?.text === 'true' }),
  rotate: (stage, { args: [a, secrets] }) => stage.member(a).rotate(secrets.text.split(',')),
}

/** Bytes as text that can be compared, null as it is. */
const latin1 = (bytes) => bytes && bytes.toString('latin1')

/** What a word says of a value: a text, or that there is none. */
const valueOf = (word) => (word.is('none') ? null : word.latin1)

const isError = ([[first] = []]) => first?.is('error') === true

/** The texts that a step names; "empty" is none. */
const textsIn = (expect) => (expect[0][0].is('empty') ? [] : expect.map(([word]) => word.text))

/** Settings between spaces, by the names of the table, which pass; one without a value is unset. */
const settingsIn = (text) => Object.fromEntries(text.split(' ').map((pair) => {
  const [key, value] = pair.split('=')
  return [key, value || null]
}))

/** Settings as the table names them, in the order of their keys. */
const shownSettings = (settings) => Object.entries(settings)
  .map(([name, value]) => `${name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}=${value}`)
  .sort()

/** Whether findings are those that the step writes; else what they are. */
function foundIn(step, diagnosis) {
  const isSo = (finding, { key, text }) => {
    if (key === undefined) return finding.code === text
    return String(key === 'members' ? finding.members.length : finding[key]) === text
  }
  const are = diagnosis.missing.length === (options(step).missing ?? 0) &&
    diagnosis.findings.length === step.expect.length &&
    diagnosis.findings.every((finding, i) => step.expect[i].every((word) => isSo(finding, word)))
  return are ? 'as written' : inspect(diagnosis)
}

/** Whether an explanation is the one that the step writes; else what it is. */
function toldIn(stage, step, explanation) {
  const { missing = 0 } = options(step)
  const wanted = step.expect.map(([member, ...words]) => [stage.idOf(member), words])
  wanted.sort(([one], [other]) => (one < other ? -1 : 1))
  const isSame = explanation.missing.length === missing && explanation.accounts.length === wanted.length
    && wanted.every(([member, words], i) => explanation.accounts[i].member === member
      && words.every((word) => isSo(stage, explanation.accounts[i], word)))
  return isSame ? 'as written' : inspect(explanation, { depth: 4 })
}

function isSo(stage, account, word) {
  if (word.key === 'owner' || word.key === 'lessee') return account[word.key] === stage.idOf(word)
  if (word.key === 'holders') return account.holders.length === Number(word.text)
  if (word.key !== undefined) return String(account[word.key]) === word.text
  const { known, leaseMs, readyAtMs } = account
  if ((leaseMs !== null) !== (known === 'leased') || (readyAtMs !== null) !== (known === 'delayed')) return false
  return word.text === 'done' ? known === 'acked' || known === 'forgotten' : known === word.text
}

const wantedNumber = (expect) => Number(expect[0][0].text)

/** Compares what a step gave with what stands behind its `->`. */
function compare(stage, step, { value, error }) {
  const [first] = step.expect[0] ?? []
  if (isError(step.expect)) {
    assert.ok(error, `gave no error, ${step.expect[0][1].text} was expected`)
    return assert.equal(error.number, Number(step.expect[0][1].text), error.message)
  }
  if (error) throw error
  if (first === undefined || first.is('ok')) return undefined
  if (COMPARED[step.verb]) return COMPARED[step.verb](stage, step, value)
  return assert.equal(String(value), first.text)
}

const COMPARED = {
  enqueue(stage, { expect: [[name, ...fields]] }, receipt) {
    stage.bind(name.text, receipt.id)
    for (const { key, text } of fields) assert.equal(String(receipt[key === 'is_duplicate' ? 'isDuplicate' : key]), text, key)
  },
  enqueue_many(stage, { expect: [names] }, receipts) {
    const [fields, bound] = [names.filter(({ key }) => key), names.filter(({ key }) => !key)]
    assert.equal(receipts.length, bound.length, 'receipts')
    bound.forEach((name, i) => this.enqueue(stage, { expect: [[name, ...fields]] }, receipts[i]))
  },
  call: () => {},
  explain: (stage, step, told) => assert.equal(told, 'as written'),
  doctor: (stage, step, told) => assert.equal(told, 'as written'),
  replied(stage, { expect: [[body, ...words]] }, reply) {
    assert.ok(body.bytes.equals(reply.body), `it was answered ${reply.text().slice(0, 40)}`)
    for (const { key, text } of words) assert.equal(reply.headers[key.slice('header.'.length)], text, key)
  },
  browse(stage, step, page) {
    const { cursor, missing = 0 } = options(step)
    const wanted = step.expect[0][0].is('empty') ? [] : step.expect
    assert.equal(page.messages.length, wanted.length, 'messages')
    wanted.forEach(([name, ...words], i) => {
      const shown = page.messages[i]
      stage.bind(name.text, shown.id)
      for (const word of words) {
        if (word.key === undefined) assert.ok(word.bytes.equals(shown.body), `the body of ${name.text}`)
        else if (word.key === 'bytes') assert.equal(shown.bodyBytes, Number(word.text), 'bytes')
        else if (word.key.startsWith('header.')) assert.equal(shown.headers[word.key.slice('header.'.length)], word.text)
        else assert.equal(String(shown[word.key]), word.text, word.key)
      }
      assert.ok(shown.acceptedMs > 0)
      assert.deepEqual([shown.readyAtMs !== null, shown.leaseMs !== null], [shown.state === 'delayed', shown.state === 'leased'])
    })
    assert.equal(page.missing.length, missing, 'missing')
    if (cursor !== undefined) assert.equal(page.cursor === null, cursor === 'none', 'cursor')
    stage.cursors.set(cursor, page.cursor)
  },
  redrive(stage, step, redriven) {
    for (const { key, text } of step.expect.flat()) assert.equal(String(redriven[key]), text, key)
    assert.equal(redriven.missing.length, options(step).missing ?? 0, 'missing')
  },
  receive: (stage, step, deliveries) => received(stage, step, deliveries, step.args[0]),
  next: (stage, step, deliveries) => received(stage, step, deliveries, stage.subscription(step.args[0]).member),
  subscribe(stage, { args: [member], expect: [[name]] }, reader) {
    stage.subscriptions.set(name.text, { member, reader })
  },
  on: (stage, { expect: [[name]] }, reader) => void stage.readers.set(name.text, reader),
  watch: (stage, { expect: [[name]] }, reader) => void stage.readers.set(name.text, reader),
  // Waited for.
  get: () => {},
  groups: () => {},
  configuration: () => {},
  policies: () => {},
  list: () => {},
  ack_many(stage, { expect: [numbers] }, codes) {
    assert.deepEqual(codes, numbers.map(({ text }) => Number(text)))
  },
}

function received(stage, { expect }, deliveries, member) {
  const shown = deliveries.map((delivery) => `${delivery.text().slice(0, 40)} attempts=${delivery.attempts}`)
  const wanted = expect[0][0].is('empty') ? [] : expect
  assert.equal(deliveries.length, wanted.length, `received ${shown.join(', ') || 'nothing'}`)
  wanted.forEach(([name, ...words], i) => {
    const delivery = deliveries[i]
    stage.bind(name.text, delivery.id)
    stage.kept.push(delivery)
    stage.deliveries.set(`${member.text} ${name.text}`, delivery)
    for (const word of words) {
      if (word.isText && word.key === undefined) assert.ok(word.bytes.equals(delivery.body), `the body of ${name.text}`)
      else if (['attempts', 'priority'].includes(word.key)) assert.equal(delivery[word.key], Number(word.text), word.key)
      else if (word.key === 'key') assert.equal(delivery.key, word.text)
      else {
        assert.ok(word.key?.startsWith('header.'), `\`${word.text}\` cannot be expected`)
        assert.equal(delivery.headers[word.key.slice('header.'.length)], word.text, word.key)
      }
    }
  })
}

async function run(file) {
  const steps = parse(file, readFileSync(new URL(file, FOLDER), 'utf8'))
  const stage = new Stage()
  try {
    for (const step of steps) {
      try {
        compare(stage, step, await outcome(() => VERBS[step.verb](stage, step)))
      } catch (error) {
        error.message = `${file}:${step.line}: ${step.verb}: ${error.message}`
        throw error
      }
    }
  } finally {
    await stage.end()
  }
}

const files = readdirSync(FOLDER).filter((name) => name.endsWith('.scn')).sort()

describe('every scenario', { concurrency: 4 }, () => {
  assert.ok(files.length > 0, 'there are scenarios')
  for (const file of files) test(file, () => run(file))
})

test('a slip of the pen in a scenario is told with file and line', () => {
  for (const [text, told] of [
    ['\n\nopne a', 'x.scn:3: there is no step `opne`'],
    ['enqueue a jobs', 'x.scn:1: `enqueue` takes 3 to 3 arguments, not 2'],
    ['receive a jobs weight=1', 'x.scn:1: `receive` has no key `weight`'],
    ['receive a jobs ->', 'x.scn:1: nothing stands behind `->` or a comma'],
    ['receive a jobs -> m1,', 'x.scn:1: nothing stands behind `->` or a comma'],
    ['enqueue a jobs "one', 'x.scn:1: a text has no end'],
    ['enqueue a jobs bytes:many', 'x.scn:1: `bytes:many` has no number'],
    ['# nothing', 'x.scn:1: no step at all'],
  ]) {
    assert.throws(() => parse('x.scn', text), { message: told })
  }
})

test('a step that differs from its expectation fails', () => {
  const stage = new Stage()
  const one = parse('x.scn', 'enqueue a jobs "one" -> m1 copies=2')[0]
  assert.throws(() => compare(stage, one, { value: { id: '1-1', copies: 1 } }), /copies/)
  const none = parse('x.scn', 'receive a jobs -> m1 "one"')[0]
  assert.throws(() => compare(stage, none, { value: [] }), /received nothing/)
  const fails = parse('x.scn', 'close a -> error 501')[0]
  assert.throws(() => compare(stage, fails, { value: undefined }), /gave no error, 501/)
  const count = parse('x.scn', 'reclaim a keep=true -> 2')[0]
  assert.throws(() => compare(stage, count, { value: 1 }), /1/)
  const heard = parse('x.scn', 'heard t "one"')[0]
  stage.readers.set('t', { next: () => ({ text: () => 'two', body: Buffer.from('two') }) })
  return assert.rejects(VERBS.heard(stage, heard), /it heard two/)
})
