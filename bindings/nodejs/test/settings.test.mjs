// What queues are told: settings, pauses, purges, policies.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { open, MemberDown, NotNow, TooLate, WrongCall } from 'primer'
import { member } from './tools.mjs'

const numbered = (kind, number) => (error) => error instanceof kind && error.number === number

test('settings have their own names, and null unsets one', async (t) => {
  const queue = (await member(t)).queue('jobs')
  queue.configure({ copies: 1, lease: '2s', ttl: 60_000, backoff: 10, backoffMax: '5s', onShort: undefined })
  queue.configure({ maxAttempts: 3, overflow: 'drop_oldest', messagesMax: 10, deadLetters: 'morgue' })
  const told = {
    backoff: 10, backoffMax: 5_000, copies: 1, deadLetters: 'morgue', lease: 2_000, maxAttempts: 3, messagesMax: 10,
    overflow: 'drop_oldest', ttl: 60_000,
  }
  assert.deepEqual(queue.configuration(), told)
  queue.configure(Object.fromEntries(Object.keys(told).map((name) => [name, null])))
  assert.deepEqual(queue.configuration(), {})
})

test('a full queue refuses, a paused one refuses or gives nothing', async (t) => {
  const queue = (await member(t)).queue('jobs')
  queue.configure({ messagesMax: 1 })
  await queue.enqueue('one')
  await assert.rejects(queue.enqueue('two'), numbered(NotNow, 201))
  queue.pause('out')
  assert.equal(await queue.receive(), null)
  queue.pause('in')
  await assert.rejects(queue.enqueue('two'), numbered(NotNow, 204))
  queue.pause()
  assert.deepEqual(queue.configuration(), { messagesMax: 1, paused: 'both' })
  queue.resume()
  assert.equal((await queue.receive()).text(), 'one')
})

test('a purged queue is empty, and what is leased is over', async (t) => {
  const queue = (await member(t)).queue('jobs')
  await queue.enqueueMany(['one', 'two'])
  const delivery = await queue.receive()
  queue.purge()
  assert.equal(await queue.receive(), null)
  await assert.rejects(async () => delivery.ack(), numbered(TooLate, 402))
})

test('policies are for names that begin alike', async (t) => {
  const own = await member(t)
  own.setPolicy('mail.', { lease: '5s' })
  own.setPolicy('', { copies: 1 })
  assert.deepEqual(own.policies(), { '': { copies: 1 }, 'mail.': { lease: 5_000 } })
  assert.deepEqual(own.queue('mail.out').configuration(), { lease: 5_000 })
  for (let twice = 0; twice < 2; twice += 1) own.removePolicy('mail.')
  assert.deepEqual(own.queue('mail.out').configuration(), { copies: 1 })
})

test('what is no setting is a wrong call and changes nothing', async (t) => {
  const queue = (await member(t)).queue('jobs')
  for (const wrong of [{ copys: 1 }, { copies: 99 }, { copies: true }, { copies: 1.5 }, { deadLetters: '' }, { lease: 'soon' }, 7]) {
    assert.throws(() => queue.configure(wrong), numbered(WrongCall, 101), JSON.stringify(wrong))
  }
  for (const direction of ['up', 7, null]) assert.throws(() => queue.pause(direction), numbered(WrongCall, 101))
  assert.deepEqual(queue.configuration(), {})
})

test('a closed member answers so', async () => {
  const opened = await open()
  const queue = opened.queue('jobs')
  await opened.close()
  const calls = [
    () => queue.configure({ copies: 1 }), () => queue.configuration(), () => queue.pause(), () => queue.resume(),
    () => queue.purge(), () => opened.setPolicy('', {}), () => opened.removePolicy(''), () => opened.policies(),
  ]
  for (const call of calls) assert.throws(call, numbered(MemberDown, 501))
})

test('a member says in which zone it is', async (t) => {
  const primer = await member(t, { zone: 'attic' })
  assert.deepEqual(primer.members().map(({ zone, memoryLevel }) => [zone, memoryLevel]), [['attic', 0]])
})
