// Bad input: every mistake is a typed error, none ends the process, and nothing else is disturbed.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import primer, { open, start, PrimerError, WrongCall } from 'primer'
import { errorOf } from '../lib/errors.cjs'
import { member, program } from './tools.mjs'

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
})

test('arguments of a queue that are wrong are 101 or 104, and the queue goes on', async (t) => {
  const opened = await member(t)
  const queue = opened.queue('jobs')
  await queue.enqueue('good')
  for (const name of [undefined, null, 7, {}, Symbol('x'), '', 'two\nlines', 'q'.repeat(256)]) {
    assert.throws(() => opened.queue(name), isWrong(101))
  }
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
    { headers: ['ab'] }, { headers: { '': 'x' } }, { signal: {} }, { signal: 7 },
  ]
  for (const option of options) await assert.rejects(queue.enqueue('x', option), isWrong(101))
  await assert.rejects(queue.enqueue('x'.repeat(524_289)), isWrong(104))
  await assert.rejects(queue.enqueue('x', { headers: { a: 'x'.repeat(20_000) } }), isWrong(104))
  for (const option of [7, { wait: -1 }, { wait: 'x' }, { wait: NaN }, { lease: 0 }, { lease: '2d' }, { signal: 7 }]) {
    await assert.rejects(queue.receive(option), isWrong(101))
  }
  for (const max of [undefined, 0, -1, 1.5, 4_097, '1', Infinity]) await assert.rejects(queue.receiveMany(max), isWrong(101))
  for (const option of [7, { credit: 0 }, { credit: 65_537 }, { credit: '1' }, { lease: 0 }, { signal: 7 }]) {
    assert.throws(() => queue.subscribe(option), isWrong(101))
  }
  const delivery = await queue.receive()
  assert.equal(delivery.text(), 'good')
  for (const other of [undefined, null, 7, {}, queue, Object.create(delivery)]) {
    for (const verb of ['ack', 'nack', 'release', 'extend']) await assert.rejects(queue[verb](other), isWrong(101))
    await assert.rejects(queue.ackMany([other]), isWrong(101))
  }
  await assert.rejects(queue.ackMany(7), isWrong(101))
  for (const option of [7, { delay: -1 }, { delay: 'x' }, { delay: '366d' }]) await assert.rejects(delivery.nack(option), isWrong(101))
  for (const option of [7, { lease: 0 }, { lease: '2d' }]) await assert.rejects(delivery.extend(option), isWrong(101))
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
