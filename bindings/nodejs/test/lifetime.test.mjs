// Who keeps the process alive, and how it ends: each case is a program of its own.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { becomes, member, program, PATIENCE, together } from './tools.mjs'

test('an idle member that was left open does not keep the process alive', async () => {
  const { code, out, err } = await program('idle.mjs')
  assert.deepEqual({ code, out, err }, { code: 0, out: 'ready\nexit\n', err: '' })
})

for (const how of ['receive', 'iterate', 'next', 'events', 'topic', 'watch']) {
  test(`a program that waits (${how}) lives until its message comes, then ends by itself`, async (t) => {
    const first = await member(t, { listen: '127.0.0.1:0' })
    const onLine = async (line) => {
      if (line !== 'waiting') return
      await together(first, 2)
      if (how === 'events') await (await member(t, { seeds: first.address, name: 'third' })).joined()
      else if (how === 'topic') first.broadcast('chat', 'one')
      else if (how === 'watch') first.put('key', 'one')
      else await first.queue('jobs').enqueue('one', { copies: 1 })
    }
    const { code, out, err } = await program('waits.mjs', [first.address, how], { onLine })
    assert.deepEqual({ code, err }, { code: 0, err: '' })
    assert.equal(out, how === 'events' ? 'waiting\nthird\n' : 'waiting\none\n')
  })
}

test('what a program acked before process.exit is finished for all', async (t) => {
  const first = await member(t, { listen: '127.0.0.1:0', lease: '1h' })
  const queue = first.queue('jobs')
  await queue.enqueueMany(Array.from({ length: 500 }, (_, i) => `${i}`), { copies: 1 })
  const { code, out } = await program('acks.mjs', [first.address, '500'])
  assert.deepEqual({ code, out }, { code: 7, out: 'acked 500\n' })
  await becomes(() => first.stats().messages, 0)
})

test('the process ends cleanly in the middle of everything', async (t) => {
  for (const [how, wanted] of [['exit', 3], ['throw', 1], ['reject', 1]]) {
    for (let round = 0; round < 3; round += 1) {
      const { code, signal, err } = await program('storm.mjs', [how])
      assert.deepEqual({ code, signal }, { code: wanted, signal: null }, err)
      if (how !== 'exit') assert.match(err, /the storm is over/)
    }
  }
})

test('a forgotten delivery goes back when it is collected', async () => {
  const { code, out, err } = await program('forgets.mjs', [], { nodeArgs: ['--expose-gc'] })
  assert.deepEqual({ code, out, err }, { code: 0, out: 'again one 1\n', err: '' })
})

test('a forgotten subscription is closed when it is collected, and one that is awaited is not', async () => {
  const { code, out, err } = await program('forgets-readers.mjs', [], { nodeArgs: ['--expose-gc'] })
  assert.deepEqual({ code, out, err }, { code: 0, out: 'awaited one\nheard one\nback two\n', err: '' })
})

test('workers have members of their own; ending or terminating one disturbs nobody', async () => {
  const { code, signal, out, err } = await program('workers.mjs', [PATIENCE])
  assert.deepEqual({ code, signal, err }, { code: 0, signal: null, err: '' })
  assert.equal(out, 'results 400\nterminated 4\nalive one\n')
})
