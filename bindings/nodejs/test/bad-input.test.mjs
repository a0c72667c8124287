// Bad input: every mistake is a typed error, none ends the process, and nothing else is disturbed.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import primer, { open, start, PrimerError, WrongCall } from 'primer'
import { errorOf } from '../lib/errors.cjs'
import { member, program } from './tools.mjs'

const GOOD = 'a-secret-2c5bd9a0f1e34b7796a8'

const isWrong = (number) => (error) => {
  assert.ok(error instanceof WrongCall, `${error}`)
  assert.equal(error.number, number, error.message)
  return true
}

test('options of open that are unknown or of the wrong type are 101', async () => {
  const nonsense = [
    { colour: 'red' }, { leaseMs: 'soon' }, { lease: 'soon' }, { lease: -1 }, { lease: NaN }, { lease: {} }, { copies: 0 },
    { copies: 1.5 }, { seeds: [1] }, { seeds: 'nowhere' }, { name: {} }, { name: true }, { listen: 7 }, { onShort: 'perhaps' },
    { cluster: Symbol('x') }, { ['x'.repeat(1_000)]: 1 }, 'cluster', 7, true, Symbol('options'),
  ]
  for (const options of nonsense) {
    await assert.rejects(open(options), isWrong(101))
    assert.throws(() => start(options), isWrong(101))
  }
  await assert.rejects(open({ listen: '0.0.0.0:0' }), isWrong(106))
  await assert.rejects(open({ colour: 'red' }), /colour/)
  const nearest = { secert: 'secret', dataDri: 'data_dir', tlscert: 'tls_cert', discovery: 'discover', retire: 'retire_after_ms', advertize: 'advertise' }
  for (const [key, meant] of Object.entries(nearest)) {
    await assert.rejects(open({ [key]: 'x' }), ({ number, context }) => number === 101 && context.nearest === meant)
  }
})

test('what a member is opened with is judged, and a secret is never shown', async () => {
  const cases = [
    [{ secret: 'too short' }, 101], [{ secret: '' }, 101], [{ secret: [GOOD, GOOD, GOOD, GOOD] }, 101], [{ secret: [GOOD, 7] }, 101],
    [{ secret: Buffer.from(GOOD) }, 101], [{ tlsCa: '/nowhere' }, 101], [{ discover: 'perhaps' }, 101], [{ discover: true }, 101],
    [{ dataDir: '' }, 101], [{ advertise: 'nowhere' }, 101], [{ zone: 'z'.repeat(65) }, 101], [{ placement: 'anywhere' }, 101], [{ retireAfter: 'later' }, 101], [{ retireAfter: -1 }, 101],
  ]
  for (const [options, number] of cases) {
    const error = await open(options).then((opened) => opened.close(), (reason) => reason)
    isWrong(number)(error)
    assert.ok(!`${error.message} ${JSON.stringify(error.context)}`.includes(GOOD.slice(0, 12)), error.message)
  }
})

test('arguments of topics, keys and membership that are wrong are typed errors', async (t) => {
  const opened = await member(t, { listen: '127.0.0.1:0', secret: GOOD })
  const texts = [null, 7, {}, [], Symbol('x'), Buffer.from('x')]
  for (const text of [undefined, ...texts]) {
    for (const verb of ['on', 'get', 'delete', 'evict']) assert.throws(() => opened[verb](text), isWrong(101))
    for (const verb of ['broadcast', 'put']) assert.throws(() => opened[verb](text, 'x'), isWrong(101))
  }
  for (const text of texts) for (const verb of ['list', 'watch']) assert.throws(() => opened[verb](text), isWrong(101))
  for (const verb of ['broadcast', 'put']) {
    for (const name of ['', 'q'.repeat(256)]) assert.throws(() => opened[verb](name, 'x'), isWrong(101))
    for (const body of [undefined, null, 7, new Map(), { n: 1n }]) assert.throws(() => opened[verb]('x', body), isWrong(101))
    for (const body of ['x'.repeat(65_537), 'ß'.repeat(32_769), Buffer.alloc(65_537)]) assert.throws(() => opened[verb]('x', body), isWrong(104))
  }
  for (const name of ['', 'q'.repeat(256)]) assert.throws(() => opened.on(name), isWrong(101))
  for (const options of [7, () => {}, { signal: 7 }]) {
    for (const verb of ['on', 'watch']) assert.throws(() => opened[verb]('x', options), isWrong(101))
  }
  for (const id of ['', 'nobody', opened.members()[0].id]) assert.throws(() => opened.evict(id), isWrong(101))
  assert.throws(() => opened.evict('0'.repeat(32)), isWrong(102))
  for (const options of [undefined, true, {}, { keep: 1 }]) assert.throws(() => opened.reclaim(options), isWrong(101))
  for (const secrets of [undefined, 7, [], [7], new Set([GOOD]), 'too short', [GOOD, GOOD, GOOD, GOOD]]) {
    assert.throws(() => opened.rotate(secrets), (error) => isWrong(101)(error) && !error.message.includes(GOOD.slice(0, 12)))
  }
  assert.throws(() => start().rotate(GOOD), isWrong(106))
  opened.rotate(GOOD)
  const reader = opened.on('x')
  for (const option of [7, { wait: -1 }, { wait: 'x' }, { signal: 7 }]) await assert.rejects(reader.next(option), isWrong(101))
  for (const max of [0, -1, 1.5, '1']) assert.throws(() => reader.take(max), isWrong(101))
  assert.deepEqual(opened.list(), [])
})

test('arguments of a queue that are wrong are 101 or 104, and the queue goes on', async (t) => {
  const opened = await member(t)
  const queue = opened.queue('jobs')
  await queue.enqueue('good')
  for (const name of [undefined, null, 7, {}, Symbol('x'), '', 'two\nlines', 'q'.repeat(256)]) {
    assert.throws(() => opened.queue(name), isWrong(101))
  }
  for (const defaults of [7, 'text', { dedup: 'k' }, { dedup: '' }, { dedup: 7 }, { dedupWindow: '5m' }, { dedup: 'k', dedupWindow: 0 }]) {
    assert.throws(() => opened.queue('jobs', defaults), isWrong(101))
  }
  assert.throws(() => opened.queue('jobs', { dedup: 'k' }), /one message.*dedup = "k"/)
  opened.queue('jobs', { dedup: undefined, dedupWindow: null })
  const cyclic = {}
  cyclic.self = cyclic
  const bodies = [undefined, null, 7, 7n, true, Symbol('x'), () => 1, new Map(), new Set(), queue, new Date(NaN), cyclic, { n: 1n }]
  for (const body of bodies) {
    if (body instanceof Date) continue
    await assert.rejects(queue.enqueue(body), isWrong(101))
    await assert.rejects(queue.enqueueMany([body]), isWrong(101))
  }
  for (const list of [undefined, 7, {}, 'text', Buffer.from('x'), [{}, 'x']]) await assert.rejects(queue.enqueueMany(list), isWrong(101))
  const options = [
    7, 'text', { copies: 'two' }, { copies: -1 }, { copies: 1.5 }, { copies: 2 ** 40 }, { copies: 0 }, { copies: 17 }, { onShort: 1 },
    { onShort: 'constructor' }, { timeout: -1 }, { timeout: 'x' }, { headers: 7 }, { headers: { a: 1 } }, { headers: [['a']] },
    { headers: ['ab'] }, { headers: { '': 'x' } }, { signal: {} }, { signal: 7 }, { priority: 10 }, { priority: -1 },
    { priority: 2 ** 20 }, { priority: '9' }, { delay: -1 }, { delay: 'x' }, { delay: '366d' }, { ttl: 0 }, { ttl: '366d' },
    { ttl: true }, { at: new Date(NaN) }, { at: '2024-02-29' }, { at: Infinity }, { at: 1e300 }, { at: new Date(8.64e15) },
    { at: {} }, { at: 7n }, { delay: 1, at: 1 }, { maxAttempts: 0 }, { maxAttempts: 1.5 }, { maxAttempts: 2 ** 40 },
    { atMostOnce: 1 }, { atMostOnce: 'yes' }, { atMostOnce: true, copies: 2 }, { ifNoGroup: 1 }, { ifNoGroup: 'perhaps' },
    { ifNoGroup: 'toString' }, { dedup: '' }, { dedup: 7 }, { dedup: 'é'.repeat(128) }, { dedup: 'k', dedupWindow: 0 },
    { dedup: 'k', dedupWindow: '8d' }, { dedup: 'k', dedupWindow: 'soon' }, { dedup: 'k', atMostOnce: true }, { dedupWindow: 1 },
  ]
  for (const option of options) {
    await assert.rejects(queue.enqueue('x', option), isWrong(101))
    await assert.rejects(queue.enqueueMany(['x', 'y'], option), isWrong(101))
  }
  await assert.rejects(queue.enqueue('x'.repeat(524_289)), isWrong(104))
  await assert.rejects(queue.enqueue('x', { headers: { a: 'x'.repeat(20_000) } }), isWrong(104))
  for (const option of [7, { wait: -1 }, { wait: 'x' }, { wait: NaN }, { lease: 0 }, { lease: '2d' }, { signal: 7 }]) {
    await assert.rejects(queue.receive(option), isWrong(101))
  }
  for (const max of [undefined, 0, -1, 1.5, 4_097, '1', Infinity]) await assert.rejects(queue.receiveMany(max), isWrong(101))
  for (const option of [7, { credit: 0 }, { credit: 65_537 }, { credit: '1' }, { lease: 0 }, { signal: 7 }]) {
    assert.throws(() => queue.subscribe(option), isWrong(101))
  }
  for (const group of [7, true, {}, [], Symbol('x'), Buffer.from('x'), '', 'q'.repeat(256)]) {
    await assert.rejects(queue.receive({ group }), isWrong(101))
    await assert.rejects(queue.receiveMany(2, { group }), isWrong(101))
    assert.throws(() => queue.subscribe({ group }), isWrong(101))
    assert.throws(() => queue.createGroup(group), isWrong(101))
  }
  for (const group of [undefined, null, 7, {}, Symbol('x')]) {
    for (const verb of ['createGroup', 'removeGroup']) assert.throws(() => queue[verb](group), isWrong(101))
  }
  for (const backlog of [1, 'yes', {}]) {
    await assert.rejects(queue.receive({ group: 'mailer', backlog }), isWrong(101))
    assert.throws(() => queue.subscribe({ group: 'mailer', backlog }), isWrong(101))
    assert.throws(() => queue.createGroup('mailer', { backlog }), isWrong(101))
  }
  for (const option of [7, 'text']) assert.throws(() => queue.createGroup('mailer', option), isWrong(101))
  assert.deepEqual(queue.groups(), [])
  const delivery = await queue.receive()
  assert.equal(delivery.text(), 'good')
  for (const other of [undefined, null, 7, {}, queue, Object.create(delivery)]) {
    for (const verb of ['ack', 'nack', 'reject', 'release', 'extend']) await assert.rejects(queue[verb](other, 'x'), isWrong(101))
    await assert.rejects(queue.ackMany([other]), isWrong(101))
  }
  await assert.rejects(queue.ackMany(7), isWrong(101))
  for (const option of [7, { delay: -1 }, { delay: 'x' }, { delay: '366d' }]) await assert.rejects(delivery.nack(option), isWrong(101))
  for (const option of [7, { lease: 0 }, { lease: '2d' }]) await assert.rejects(delivery.extend(option), isWrong(101))
  for (const reason of [undefined, null, 7, {}, new Error('why')]) await assert.rejects(delivery.reject(reason), isWrong(101))
  await assert.rejects(opened.join(), isWrong(101))
  await assert.rejects(opened.join('nowhere'), isWrong(101))
  await assert.rejects(opened.leave({ drain: 'x' }), isWrong(101))
  assert.deepEqual(await queue.ackMany([delivery]), [0])
})

test('each hundred has its class, and every error its number, kind, code and context', async (t) => {
  const classes = { 104: 'WrongCall', 203: 'NotNow', 301: 'InDoubt', 401: 'TooLate', 599: 'MemberDown' }
  for (const [number, name] of Object.entries(classes)) {
    const error = errorOf({ number: Number(number), kind: 'SomeKind', reason: 'why', message: 'all', context: ['a', '1'] })
    assert.ok(error instanceof primer[name] && error instanceof PrimerError && error instanceof Error)
    const { code, kind, reason, message, context } = error
    assert.deepEqual({ name: error.name, code, kind, reason, message, context }, {
      name, code: 'PRIMER_SOME_KIND', kind: 'SomeKind', reason: 'why', message: 'all', context: { a: '1' },
    })
  }
  const busy = (context) => errorOf({ number: 203, kind: 'Overloaded', reason: '', message: '', context }).retryAfterMs
  assert.deepEqual([busy(['retry_after_ms', '70']), busy([])], [70, undefined])
  const queue = (await member(t)).queue('jobs')
  const error = await queue.enqueue('x'.repeat(524_289)).catch((reason) => reason)
  assert.equal(error.code, 'PRIMER_TOO_LARGE')
  assert.ok(Object.keys(error.context).length > 0)
  assert.match(error.stack, /bad-input/)
})

test('the native layer survives any arguments', async () => {
  const { code, signal, out, err } = await program('fuzz.mjs', ['20000', '1'])
  assert.deepEqual({ code, signal, err }, { code: 0, signal: null, err: '' })
  assert.match(out, /^calls=20000 alive=true$/m)
})

test('a panic is a 599 for its caller, and the process lives', async () => {
  const { code, signal, out } = await program('panic.mjs')
  assert.deepEqual({ code, signal }, { code: 0, signal: null })
  assert.equal(out, 'inside 599\noutside caught\nalive one\n')
})
