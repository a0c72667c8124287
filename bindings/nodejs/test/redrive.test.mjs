// Dead letters that go back: what it is in JavaScript.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemberDown, Redriven, WrongCall } from 'primer'
import { member } from './tools.mjs'

test('letters go back and are counted', async (t) => {
  const primer = await member(t)
  const [jobs, dead] = [primer.queue('jobs'), primer.queue('jobs.dead')]
  await jobs.enqueueMany(['one', 'two'], { headers: { kind: 'x' } })
  for (let i = 0; i < 2; i += 1) await (await jobs.receive({ wait: '20s' })).reject('as told')
  const dry = await dead.redrive({ headers: { 'primer-cause': 'rejected' }, dryRun: true })
  assert.ok(dry instanceof Redriven)
  assert.deepEqual({ ...dry }, { matched: 2, moved: 0, refused: 0, skipped: 0, leased: 0, missing: [] })
  const [{ id }] = await dead.browse()
  assert.deepEqual({ ...await dead.redrive({ ids: [id] }) }, { ...dry, matched: 1, moved: 1 })
  assert.equal((await dead.redrive({ to: 'other', max: 5, timeout: '5s' })).moved, 1)
  const [back, other] = [await jobs.receive(), await primer.queue('other').receive()]
  assert.deepEqual([back.text(), back.attempts, { ...back.headers }], ['one', 1, { kind: 'x' }])
  assert.deepEqual([other.text(), other.attempts, { ...other.headers }], ['two', 1, { kind: 'x' }])
})

test('a wrong redrive is told, and a closed member', async (t) => {
  const primer = await member(t)
  const dead = primer.queue('jobs.dead')
  const wrong = [
    { ids: 'no list' }, { ids: ['no id'] }, { ids: [7] }, { to: 'jobs.dead' }, { to: '' }, { to: 7 }, { max: 0 }, { max: 1.5 },
    { dryRun: 1 }, { timeout: 0 }, { headers: 'none' },
  ]
  for (const options of wrong) {
    await assert.rejects(dead.redrive(options), (error) => error instanceof WrongCall && error.number === 101, JSON.stringify(options))
  }
  await assert.rejects(dead.redrive({ signal: AbortSignal.abort() }), { name: 'AbortError' })
  await primer.close()
  await assert.rejects(dead.redrive(), (error) => error instanceof MemberDown && error.number === 501)
})
