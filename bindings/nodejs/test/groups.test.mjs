// Groups of a queue: each gets every message once, its consumers share them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { open, MemberDown, WrongCall } from 'primer'
import { member, PATIENCE } from './tools.mjs'

const textsOf = (deliveries) => deliveries.map((delivery) => delivery.text())

test('each group gets each message once, and the queue itself none', async (t) => {
  const queue = (await member(t)).queue('jobs')
  for (const group of ['mailer', 'audit', 'audit']) queue.createGroup(group)
  assert.deepEqual(queue.groups(), ['audit', 'mailer'])
  await queue.enqueue('one')
  await queue.enqueueMany(['two', 'three'])
  assert.equal(await queue.receive(), null)
  for (const group of queue.groups()) {
    const deliveries = await queue.receiveMany(9, { group })
    assert.deepEqual(textsOf(deliveries), ['one', 'two', 'three'])
    assert.deepEqual(await queue.ackMany(deliveries), [0, 0, 0])
    assert.equal(await queue.receive({ group }), null)
  }
  for (let twice = 0; twice < 2; twice += 1) queue.removeGroup('audit')
  assert.deepEqual(queue.groups(), ['mailer'])
})

test('consumers of a group share it', async (t) => {
  const queue = (await member(t)).queue('jobs')
  const both = [1, 2].map(() => queue.subscribe({ group: 'mailer', credit: 1 }))
  await queue.enqueueMany(['one', 'two'])
  const deliveries = await Promise.all(both.map((subscription) => subscription.next({ wait: PATIENCE })))
  assert.deepEqual(textsOf(deliveries).sort(), ['one', 'two'])
})

test('consuming creates a group, which begins now or with what waits', async (t) => {
  const queue = (await member(t)).queue('jobs')
  await queue.enqueue('before')
  assert.equal(await queue.receive({ group: 'new' }), null)
  assert.equal((await queue.receive({ group: 'old', backlog: true, wait: PATIENCE })).text(), 'before')
  const subscription = queue.subscribe({ group: 'older', backlog: true })
  assert.equal((await subscription.next({ wait: PATIENCE })).text(), 'before')
  queue.createGroup('oldest', { backlog: true })
  assert.equal((await queue.receive({ group: 'oldest', wait: PATIENCE })).text(), 'before')
  const late = queue.receive({ group: 'new', wait: Infinity })
  await queue.enqueue('after')
  assert.equal((await late).text(), 'after')
  assert.deepEqual(queue.groups(), ['new', 'old', 'older', 'oldest'])
})

test('a producer says what becomes of a message without a group', async (t) => {
  const opened = await member(t)
  const queue = opened.queue('jobs')
  const { copies, wanted } = await queue.enqueue('x', { ifNoGroup: 'drop' })
  assert.deepEqual([copies, wanted], [0, 0])
  const isRefused = (error) => error instanceof WrongCall && error.number === 102
  await assert.rejects(queue.enqueue('x', { ifNoGroup: 'refuse' }), isRefused)
  await assert.rejects(queue.enqueueMany(['x', 'y'], { ifNoGroup: 'refuse' }), isRefused)
  await assert.rejects(opened.queue('jobs', { ifNoGroup: 'refuse' }).enqueue('x'), isRefused)
  assert.equal(await queue.receive(), null)
  await queue.enqueue('held', { ifNoGroup: 'hold' })
  await queue.enqueue('held, too', { ifNoGroup: undefined })
  assert.deepEqual(textsOf(await queue.receiveMany(2)), ['held', 'held, too'])
})

test('groups of a closed member are 501', async () => {
  const opened = await open()
  const queue = opened.queue('jobs')
  await opened.close()
  const isClosed = (error) => error instanceof MemberDown && error.number === 501
  for (const call of [() => queue.groups(), () => queue.createGroup('mailer'), () => queue.removeGroup('mailer')]) {
    assert.throws(call, isClosed)
  }
})
