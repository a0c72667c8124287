// What a producer asks for a message, and messages that can never succeed.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { becomes, member, pair, PATIENCE } from './tools.mjs'

const textsOf = (deliveries) => deliveries.map((delivery) => delivery.text())

test('a higher priority comes first, also of a batch, and a delivery says its own', async (t) => {
  const queue = (await member(t)).queue('jobs')
  await queue.enqueue('low', { priority: 0, headers: { k: 'v' } })
  await queue.enqueue('usual')
  await queue.enqueue('usual too', { priority: undefined, delay: null, atMostOnce: false })
  await queue.enqueueMany(['high', 'higher'], { priority: 9 })
  const deliveries = await queue.receiveMany(9)
  assert.deepEqual(textsOf(deliveries), ['high', 'higher', 'usual', 'usual too', 'low'])
  assert.deepEqual(deliveries.map(({ priority }) => priority), [9, 9, 4, 4, 0])
  assert.deepEqual(deliveries[4].headerPairs, [['k', 'v']])
  assert.deepEqual(deliveries[0].headerPairs, [])
  assert.deepEqual(await queue.ackMany(deliveries), [0, 0, 0, 0, 0])
})

test('messages of one key come in line, and say it', async (t) => {
  const queue = (await member(t)).queue('jobs')
  await queue.enqueueMany(['1', '2'], { key: 'ädä', headers: { k: 'v' } })
  assert.deepEqual((await queue.browse()).messages.map(({ key, headers }) => [key, headers.k]), [['ädä', 'v'], ['ädä', 'v']])
  const [first, ...none] = await queue.receiveMany(9)
  assert.deepEqual([first.text(), first.key, first.headers.k, none.length], ['1', 'ädä', 'v', 0])
  await first.ack()
  const second = await queue.receive()
  assert.deepEqual([second.text(), second.key], ['2', 'ädä'])
  await queue.enqueue('plain')
  assert.equal((await queue.receive()).key, undefined)
  for (const key of ['', 'x'.repeat(256), 7]) await assert.rejects(queue.enqueue('x', { key }), { number: 101 })
})

test('headers of any length lie beside a priority, also in a late answer', async (t) => {
  const queue = (await member(t)).queue('jobs')
  const headers = { long: 'x'.repeat(16_000), k: 'v' }
  const late = queue.receiveMany(2, { wait: PATIENCE })
  await queue.enqueueMany(['one', 'two'], { priority: 9, headers })
  const deliveries = await late
  if (deliveries.length < 2) deliveries.push(await queue.receive())
  assert.deepEqual(textsOf(deliveries), ['one', 'two'])
  for (const delivery of deliveries) {
    assert.equal(delivery.priority, 9)
    assert.deepEqual({ ...delivery.headers }, headers)
  }
})

test('a delayed message comes later, by a span or by a date; a past date is now', async (t) => {
  const queue = (await member(t)).queue('jobs')
  await queue.enqueue('in an hour', { delay: '1h' })
  await queue.enqueue('tomorrow', { at: new Date(Date.now() + 86_400_000) })
  for (const terms of [{ delay: 50 }, { delay: '50ms' }, { at: Date.now() + 50 }, { at: new Date(Date.now() + 50) }]) {
    await queue.enqueue('later', terms)
    const delivery = await queue.receive({ wait: PATIENCE })
    assert.equal(delivery.text(), 'later')
    await delivery.ack()
  }
  for (const terms of [{ delay: 0 }, { at: 0 }, { at: -1 }, { at: new Date('1969-07-20') }, { at: 0.5 }]) {
    await queue.enqueue('now', terms)
    await (await queue.receive()).ack()
  }
  assert.equal(await queue.receive(), null)
})

test('equal dedup keys are one message', async (t) => {
  const queue = (await member(t)).queue('jobs')
  const first = await queue.enqueue('one', { dedup: 'order-42', headers: { k: 'v' } })
  const again = await queue.enqueue('two', { dedup: 'order-42', dedupWindow: '5m', key: 'ada' })
  assert.deepEqual([first.isDuplicate, again.isDuplicate, again.id], [false, true, first.id])
  assert.equal(again.toJSON().isDuplicate, true)
  // Another window is another key.
  const keyed = await queue.enqueue('three', { dedup: 'order-42', dedupWindow: '1m', key: 'ada', headers: { k: 'v' } })
  assert.equal(keyed.isDuplicate, false)
  const taken = await queue.receiveMany(9)
  assert.deepEqual(taken.map((one) => [one.text(), one.key, one.headers.k]), [['one', undefined, 'v'], ['three', 'ada', 'v']])
  const [only] = await queue.enqueueMany(['four'], { dedup: 'order-42' })
  assert.equal(only.isDuplicate, true)
  await assert.rejects(queue.enqueueMany(['five', 'six'], { dedup: 'order-43' }), { number: 101 })
  await assert.rejects(queue.call('seven', { dedup: 'order-44' }), { number: 101 })
})

test('what nobody took in time expires', async (t) => {
  const opened = await member(t)
  const queue = opened.queue('jobs')
  await queue.enqueue('brief', { ttl: 1 })
  await queue.enqueue('long', { ttl: '1h' })
  await becomes(() => opened.stats().expired, 1)
  assert.deepEqual(textsOf(await queue.receiveMany(2)), ['long'])
})

test('given out too often a message is a dead letter: by the member, the queue, the enqueue', async (t) => {
  const opened = await member(t, { maxAttempts: 1 })
  const [usual, patient, dead] = [opened.queue('jobs'), opened.queue('jobs', { maxAttempts: 2 }), opened.queue('jobs.dead')]
  const cases = [[usual, undefined, 1], [patient, undefined, 2], [patient, { maxAttempts: 3 }, 3]]
  for (const [queue, options, attempts] of cases) {
    await queue.enqueue('one', { ...options, headers: { k: 'v' } })
    for (let attempt = 1; attempt <= attempts; attempt += 1) {
      const delivery = await queue.receive({ wait: PATIENCE })
      assert.equal(delivery.attempts, attempt)
      await delivery.nack({ delay: 0 })
    }
    const letter = await dead.receive({ wait: PATIENCE })
    const { k, 'primer-cause': cause, 'primer-attempts': told } = letter.headers
    assert.deepEqual({ k, cause, told }, { k: 'v', cause: 'attempts', told: `${attempts}` })
    await letter.ack()
  }
})

test('at most once: one copy, finished when it is given out', async (t) => {
  const [first] = await pair(t)
  const queue = first.queue('jobs')
  const receipt = await queue.enqueue('one', { atMostOnce: true })
  assert.deepEqual([receipt.copies, receipt.wanted], [1, 1])
  const [again] = await queue.enqueueMany(['two'], { atMostOnce: true })
  assert.equal(again.wanted, 1)
  const [one, two] = [await queue.receive({ wait: PATIENCE }), await queue.receive({ wait: PATIENCE })]
  await one.ack()
  await assert.rejects(two.nack(), { number: 402 })
  assert.equal(await queue.receive(), null)
})

test('a rejected message is a dead letter with the reason, here and where its owner is elsewhere', async (t) => {
  const [first, second] = await pair(t)
  for (const reject of [(it) => it.reject('no such customer'), (it) => it.queue.reject(it, 'no such customer')]) {
    for (const at of [first, second]) {
      await first.queue('jobs').enqueue('one', { copies: 1, headers: { k: 'v' } })
      const delivery = await at.queue('jobs').receive({ wait: PATIENCE })
      await reject(delivery)
      const letter = await first.queue('jobs.dead').receive({ wait: PATIENCE })
      const { k, 'primer-cause': cause, 'primer-reason': reason, 'primer-queue': queue } = letter.headers
      assert.deepEqual({ k, cause, reason, queue }, { k: 'v', cause: 'rejected', reason: 'no such customer', queue: 'jobs' })
      await assert.rejects(reject(delivery), { number: 402, name: 'TooLate' })
      await letter.ack()
    }
  }
})
