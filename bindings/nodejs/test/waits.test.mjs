// Waiting, and giving up waiting: signals, closing, and what becomes of messages that were on their way.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemberDown } from 'primer'
import { PATIENCE, fresh, member, pair } from './tools.mjs'

test('a receive that waits is answered by the next message', async (t) => {
  const queue = (await member(t)).queue('jobs')
  const waiting = queue.receive({ wait: PATIENCE })
  await queue.enqueue('one')
  assert.equal((await waiting).text(), 'one')
  assert.equal(await queue.receive({ wait: 1 }), null)
  const many = queue.receiveMany(10, { wait: Infinity })
  await queue.enqueueMany(['two', 'three'])
  assert.equal((await many)[0].text(), 'two')
})

test('many waits are settled in one turn, each with a message of its own', async (t) => {
  const queue = (await member(t)).queue('jobs')
  const count = 3_000
  const waiting = Array.from({ length: count }, () => queue.receive({ wait: PATIENCE }))
  for (let i = 0; i < count; i += 1) await queue.enqueue(`${i}`.padEnd(200))
  const deliveries = await Promise.all(waiting)
  assert.equal(new Set(deliveries.map((delivery) => Number(delivery.text()))).size, count)
  assert.deepEqual(new Set(await queue.ackMany(deliveries)), new Set([0]))
})

test('late answers larger than a tray find their place', async (t) => {
  const queue = (await member(t)).queue('jobs')
  const waiting = Array.from({ length: 4 }, () => queue.receive({ wait: PATIENCE }))
  for (let i = 0; i < 4; i += 1) await queue.enqueue(`${i}`.repeat(200_000))
  const deliveries = await Promise.all(waiting)
  assert.deepEqual(deliveries.map(({ body }) => body.length), [200_000, 200_000, 200_000, 200_000])
  assert.equal(new Set(deliveries.map((delivery) => delivery.text()[0])).size, 4)
})

test('a signal that is aborted already stops a call before it does anything', async (t) => {
  const queue = (await member(t)).queue('jobs')
  const reason = new Error('no')
  const signal = AbortSignal.abort(reason)
  await assert.rejects(queue.enqueue('one', { signal }), reason)
  await assert.rejects(queue.receive({ wait: PATIENCE, signal }), reason)
  assert.throws(() => queue.subscribe({ signal }), reason)
  assert.equal(await queue.receive(), null)
})

test('an aborted receive retracts its demand: the next message is for others', async (t) => {
  const queue = (await member(t)).queue('jobs')
  const controller = new AbortController()
  const waiting = queue.receive({ wait: PATIENCE, signal: controller.signal })
  controller.abort()
  await assert.rejects(waiting, { name: 'AbortError' })
  await queue.enqueue('one')
  assert.equal((await queue.receive()).attempts, 1)
})

test('a message that was on its way to an aborted receive goes back', async (t) => {
  const queue = (await member(t)).queue('jobs')
  for (let round = 0; round < 50; round += 1) {
    const controller = new AbortController()
    const waiting = queue.receiveMany(2, { wait: PATIENCE, signal: controller.signal })
    // Both are synchronous inside: the answer is there, but this thread has not drained it.
    const sent = queue.enqueueMany(['one', 'two'])
    controller.abort(new Error('too late'))
    await assert.rejects(waiting, { message: 'too late' })
    await sent
    const deliveries = [await queue.receive({ wait: PATIENCE }), await queue.receive({ wait: PATIENCE })]
    assert.deepEqual(deliveries.map(({ attempts }) => attempts), [1, 1])
    assert.deepEqual(await queue.ackMany(deliveries), [0, 0])
  }
})

test('a signal that is not aborted leaves nothing behind', async (t) => {
  const queue = (await member(t)).queue('jobs')
  const { signal } = new AbortController()
  let listeners = 0
  signal.addEventListener = new Proxy(signal.addEventListener, { apply: (f, that, args) => ((listeners += 1), f.apply(that, args)) })
  signal.removeEventListener = new Proxy(signal.removeEventListener, { apply: (f, that, args) => ((listeners -= 1), f.apply(that, args)) })
  const waiting = queue.receive({ wait: PATIENCE, signal })
  assert.equal(listeners, 1)
  await queue.enqueue('one')
  await waiting
  assert.equal(listeners, 0)
})

test('an aborted enqueue stops waiting for copies', async (t) => {
  const queue = (await member(t)).queue('jobs')
  const controller = new AbortController()
  const waiting = queue.enqueue('one', { copies: 2, onShort: 'wait', timeout: '20s', signal: controller.signal })
  controller.abort()
  await assert.rejects(waiting, { name: 'AbortError' })
})

test('close tells everyone who waits, and everyone who comes later', async (t) => {
  const primer = await member(t)
  const queue = primer.queue('jobs')
  const subscription = queue.subscribe()
  const events = primer.events()
  const waiting = [queue.receive({ wait: Infinity }), subscription.next(), events.next(), primer.on('chat').next(), primer.watch().next()]
  const told = Promise.all(waiting.map((wait) => assert.rejects(wait, { number: 501, kind: 'Closed', name: 'MemberDown' })))
  await Promise.all([primer.close(), primer.close()])
  await told
  await primer.close()
  assert.equal(primer.isClosed, true)
  assert.equal(primer.address, null)
  for (const late of [queue.enqueue('x'), queue.enqueueMany(['x']), queue.receive(), primer.join('127.0.0.1:1'), primer.leave()]) {
    await assert.rejects(late, MemberDown)
  }
  const verbs = [
    () => primer.members(), () => primer.stats(), () => primer.queue('x'), () => primer.events(), () => queue.subscribe(),
    () => primer.broadcast('x', 'x'), () => primer.on('x'), () => primer.put('x', 'x'), () => primer.get('x'), () => primer.delete('x'),
    () => primer.list(), () => primer.watch(), () => primer.evict('00'), () => primer.reclaim({ keep: true }), () => primer.rotate('x'),
  ]
  for (const late of verbs) assert.throws(late, { number: 501 })
})

test('await using closes the member', async () => {
  const { open } = await import('primer')
  const primer = await open()
  await primer[Symbol.asyncDispose]()
  assert.equal(primer.isClosed, true)
})

test('copies are awaited without a blocked loop, and a receipt tells them', async (t) => {
  const [first, second] = await pair(t)
  const receipts = await Promise.all(Array.from({ length: 100 }, (_, i) => first.queue('jobs').enqueue(`${i}`, { copies: 2, onShort: 'fail' })))
  assert.deepEqual(new Set(receipts.map(({ copies }) => copies)), new Set([2]))
  const [receipt] = await first.queue('jobs').enqueueMany(['last'], { copies: 2, onShort: 'fail' })
  assert.equal(receipt.copies, 2)
  const ids = new Set()
  while (ids.size < 101) {
    const deliveries = await second.queue('jobs').receiveMany(50, { wait: PATIENCE })
    assert.ok(deliveries.length > 0, 'they are all there')
    for (const delivery of deliveries) {
      ids.add(delivery.id)
      await delivery.ack()
    }
  }
  assert.deepEqual(ids, new Set([...receipts, receipt].map(({ id }) => id)))
})

test('joining by address, and errors of joining, have their numbers', async (t) => {
  const first = await member(t, { cluster: fresh() })
  const second = await member(t, { cluster: fresh() })
  await assert.rejects(second.join(first.address), { number: 107, name: 'WrongCall' })
  await assert.rejects(second.join('127.0.0.1:1'), { number: 202, name: 'NotNow' })
  assert.equal(second.members().length, 1)
})
