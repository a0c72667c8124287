// Why nothing is delivered: what a diagnosis is in JavaScript.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Diagnosis, Facts, Finding, MemberDown } from 'primer'
import { member } from './tools.mjs'

test('a diagnosis is iterable and says what is the matter', async (t) => {
  const primer = await member(t)
  const jobs = primer.queue('jobs')
  const me = primer.members()[0].id
  assert.deepEqual([...await jobs.doctor()].map(({ code }) => code), ['empty'])
  await jobs.enqueueMany(['one', 'two'])
  const taken = await jobs.receive({ wait: '20s' })
  jobs.pause('in')
  const diagnosis = await jobs.doctor()
  assert.ok(diagnosis instanceof Diagnosis)
  const [first, second, ...others] = diagnosis
  assert.ok(first instanceof Finding)
  assert.deepEqual({ ...first }, { code: 'no_consumer', group: null, messages: 1, members: [me] })
  assert.deepEqual([second.code, others, diagnosis.missing], ['paused_in', [], []])
  const [facts] = diagnosis.facts
  assert.ok(facts instanceof Facts)
  const { oldestMs, nextLeaseMs, ...rest } = facts
  assert.ok(oldestMs >= 0 && nextLeaseMs > 0)
  assert.deepEqual(rest, {
    member: me, group: null, ready: 1, leased: 1, delayed: 0, standby: 0, stranded: 0, nextReadyMs: null, lessees: [me],
    owners: [], receives: 0, subscriptions: 0, credit: 0, paused: 'in', pausedBy: null, messagesMax: null, bytesMax: null,
    isFull: false, memoryPercent: 0,
  })
  await taken.ack()
  await assert.rejects(jobs.doctor({ signal: AbortSignal.abort() }), { name: 'AbortError' })
  await primer.close()
  await assert.rejects(jobs.doctor(), (error) => error instanceof MemberDown && error.number === 501)
})
