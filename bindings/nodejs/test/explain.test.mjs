// What every member knows of a message: what an explanation is in JavaScript.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Account, Explanation, MemberDown, WrongCall } from 'primer'
import { member } from './tools.mjs'

test('an explanation is iterable and says what a message is', async (t) => {
  const primer = await member(t)
  const { id } = await primer.queue('jobs').enqueue('one', { ttl: '1h' })
  const me = primer.members()[0].id
  const explanation = await primer.explain(id)
  assert.ok(explanation instanceof Explanation)
  const [account, ...others] = explanation
  assert.ok(account instanceof Account)
  assert.deepEqual([others, explanation.missing], [[], []])
  const { acceptedMs, ...rest } = account
  assert.ok(acceptedMs > 0)
  assert.deepEqual(rest, {
    member: me, known: 'ready', id, queue: 'jobs', group: null, attempts: 0, owner: me, holders: [me], confirmed: 1,
    lessee: null, leaseMs: null, readyAtMs: null, expiresMs: acceptedMs + 3_600_000,
  })
})

test('what is no id is told, and a closed member', async (t) => {
  const primer = await member(t)
  const { id } = await primer.queue('jobs').enqueue('one')
  for (const wrong of ['no id', '', 7, undefined]) {
    await assert.rejects(primer.explain(wrong), (error) => error instanceof WrongCall && error.number === 101)
  }
  await assert.rejects(primer.explain(id, { signal: AbortSignal.abort() }), { name: 'AbortError' })
  await primer.close()
  await assert.rejects(primer.explain(id), (error) => error instanceof MemberDown && error.number === 501)
})
