// A queue's verbs as JavaScript sees them: bodies, headers, batches, and whose memory a body is.

import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { test } from 'node:test'
import { PrimerError, TooLate } from 'primer'
import { PATIENCE, member } from './tools.mjs'

async function queueOf(t, options) {
  return (await member(t)).queue('jobs', options)
}

test('a body is text or any bytes, and comes back as it was sent', async (t) => {
  const queue = await queueOf(t)
  const bytes = Uint8Array.of(0, 255, 10, 128)
  const whole = Uint8Array.of(9, ...bytes, 9).buffer
  const shared = new Uint8Array(new SharedArrayBuffer(4))
  shared.set(bytes)
  const bodies = [
    Buffer.from(bytes), bytes, new Uint8Array(whole, 1, 4), new DataView(whole, 1, 4), bytes.buffer, shared, shared.buffer,
    new Uint16Array(bytes.slice().buffer),
  ]
  for (const body of bodies) {
    await queue.enqueue(body)
    const delivery = await queue.receive()
    assert.deepEqual([...delivery.body], [...bytes])
    assert.ok(Buffer.isBuffer(delivery.body))
    await delivery.ack()
  }
  for (const text of ['', 'one', 'grüße 🦀', '\ud800', 'x'.repeat(100_000), '€'.repeat(100_000)]) {
    await queue.enqueue(text)
    const delivery = await queue.receive()
    assert.equal(delivery.text(), text.toWellFormed?.() ?? Buffer.from(text).toString())
    assert.equal(delivery.body.length, Buffer.byteLength(text))
    await delivery.ack()
  }
})

test('an object is sent as JSON and marked so, beside headers of its own', async (t) => {
  const queue = await queueOf(t)
  await queue.enqueue({ to: 'ada', n: [1, 2] }, { headers: { kind: 'mail' } })
  const delivery = await queue.receive()
  assert.deepEqual(delivery.json(), { to: 'ada', n: [1, 2] })
  assert.deepEqual({ ...delivery.headers }, { 'content-type': 'application/json', kind: 'mail' })
  await delivery.ack()
  await queue.enqueueMany([[1], { two: 2 }])
  const [one, two] = await queue.receiveMany(2)
  assert.deepEqual([one.json(), two.json()], [[1], { two: 2 }])
  assert.equal(two.headers['content-type'], 'application/json')
})

test('headers are given as an object, a Map or pairs, and keep their order', async (t) => {
  const queue = await queueOf(t)
  const pairs = [['b', '2'], ['a', 'grün'], ['b', '3'], ['__proto__', 'x']]
  const given = [{ b: '2', a: 'grün' }, new Map(pairs), pairs]
  const told = [pairs.slice(0, 2), [['b', '3'], ['a', 'grün'], ['__proto__', 'x']], pairs]
  for (const [i, headers] of given.entries()) {
    await queue.enqueue('body', { headers })
    const delivery = await queue.receive()
    assert.deepEqual(delivery.headerPairs, told[i])
    assert.equal(delivery.headers.b, told[i].findLast(([name]) => name === 'b')[1])
    assert.equal(delivery.text(), 'body')
    assert.ok(Object.isFrozen(delivery.headers))
    await delivery.ack()
  }
  await queue.enqueue('none')
  assert.deepEqual(Object.keys((await queue.receive()).headers), [])
})

test('a receipt and a delivery name the same message and can be looked at', async (t) => {
  const queue = await queueOf(t)
  const receipt = await queue.enqueue('one', { copies: 3 })
  assert.match(receipt.id, /^[0-9a-f]{16}-[0-9]+$/)
  assert.deepEqual(JSON.parse(JSON.stringify(receipt)), { id: receipt.id, copies: 1, durableCopies: 0, wanted: 3, isDuplicate: false })
  const delivery = await queue.receive()
  assert.equal(delivery.id, receipt.id)
  assert.equal(delivery.attempts, 1)
  assert.equal(delivery.queue, queue)
  assert.match(inspect(delivery), new RegExp(receipt.id))
  assert.match(inspect(receipt), /copies: 1/)
  assert.match(inspect(queue), /jobs/)
  assert.match(inspect(queue.primer), /isClosed: false/)
})

test('batches keep their order, whatever their size', async (t) => {
  const queue = await queueOf(t)
  for (const [count, size] of [[0, 0], [1, 3], [100, 100], [4096, 20], [30, 50_000]]) {
    const bodies = Array.from({ length: count }, (_, i) => `${i}:`.padEnd(size, 'x'))
    const receipts = count === 0 ? [] : await queue.enqueueMany(bodies)
    assert.equal(receipts.length, count)
    const deliveries = await queue.receiveMany(Math.max(count, 1))
    assert.deepEqual(deliveries.map((delivery) => delivery.text()), bodies)
    assert.deepEqual(deliveries.map(({ id }) => id), receipts.map(({ id }) => id))
    if (count > 0) assert.deepEqual(await queue.ackMany(deliveries), new Array(count).fill(0))
  }
  assert.equal(await queue.receive(), null)
  assert.deepEqual(await queue.receiveMany(10), [])
})

test('a body is a copy of its own: writing into it changes no other delivery of the message', async (t) => {
  const queue = await queueOf(t)
  for (const text of ['small', 'large'.repeat(50_000)]) {
    const sent = Buffer.from(text)
    await queue.enqueue(sent)
    sent.fill('!')
    const first = await queue.receive()
    assert.equal(first.text(), text)
    first.body.fill('?')
    await first.nack({ delay: 0 })
    const second = await queue.receive({ wait: PATIENCE })
    assert.equal(second.text(), text)
    assert.equal(second.attempts, 2)
    await second.ack()
  }
})

test('a body that was received can be sent on, also to the queue it came from', async (t) => {
  const queue = await queueOf(t)
  await queue.enqueueMany(['one', 'two'])
  const deliveries = await queue.receiveMany(2)
  await queue.enqueue(deliveries[1].body)
  await queue.enqueueMany(deliveries.map(({ body }) => body))
  const again = await queue.receiveMany(3)
  assert.deepEqual(again.map((delivery) => delivery.text()), ['two', 'one', 'two'])
})

test('a body cannot be given away with the memory that it shares', async (t) => {
  const queue = await queueOf(t)
  await queue.enqueue('one')
  const { body } = await queue.receive()
  try {
    structuredClone(body, { transfer: [body.buffer] })
  } catch (error) {
    // Node.js 20 leaves such memory where it is, later ones refuse.
    assert.equal(error.name, 'DataCloneError')
  }
  assert.equal(body.toString(), 'one')
})

test('a finished delivery is 402, a lost lease 401, a late ack of an unfinished message is welcome', async (t) => {
  const queue = await queueOf(t)
  await queue.enqueue('one')
  const first = await queue.receive()
  await first.release()
  const second = await queue.receive({ wait: PATIENCE })
  assert.equal(second.attempts, 1, 'a release is no attempt')
  await assert.rejects(first.extend({ lease: '1m' }), (error) => error instanceof TooLate && error.number === 401)
  await queue.extend(second, { lease: '1m' })
  await queue.ack(first)
  for (const verb of ['ack', 'nack', 'reject', 'release', 'extend']) {
    await assert.rejects(queue[verb](first, verb === 'reject' ? 'why' : undefined), { number: 402, kind: 'AlreadyDone', name: 'TooLate' })
    await assert.rejects(second[verb](verb === 'reject' ? 'why' : undefined), { number: 402, code: 'PRIMER_ALREADY_DONE' })
  }
  assert.deepEqual(await queue.ackMany([first, second]), [402, 402])
})

test('an ack of one delivery never reaches another that was given the same place', async (t) => {
  const queue = await queueOf(t)
  await queue.enqueueMany(['one', 'two'])
  const one = await queue.receive()
  await one.ack()
  const two = await queue.receive()
  await assert.rejects(one.ack(), { number: 402 })
  one[Symbol.dispose]()
  await two.extend()
  await two.ack()
})

test('a delivery that is let go of goes back at once, and the attempt does not count', async (t) => {
  const queue = await queueOf(t)
  await queue.enqueue('one')
  const first = await queue.receive()
  first[Symbol.dispose]()
  first[Symbol.dispose]()
  const second = await queue.receive({ wait: PATIENCE })
  assert.equal(second.attempts, 1)
  await second.ack()
})

test('defaults of a queue hold for each call that does not say otherwise', async (t) => {
  const queue = await queueOf(t, { copies: 2, onShort: 'fail', headers: { a: '1' } })
  await assert.rejects(queue.enqueue('refused'), { number: 202 })
  await assert.rejects(queue.enqueueMany(['refused']), (error) => error instanceof PrimerError && error.number === 202)
  const receipt = await queue.enqueue('accepted', { copies: 1 })
  assert.equal(receipt.wanted, 1)
  assert.equal((await queue.receive()).headers.a, '1')
})
