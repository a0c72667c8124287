// Subscriptions and event readers: pushed, awaited, iterated, closed.

import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { test } from 'node:test'
import { open } from 'primer'
import { PATIENCE, member, pair, together } from './tools.mjs'

test('a subscription is iterated; leaving the loop gives back what was not handed out', async (t) => {
  const queue = (await member(t)).queue('jobs')
  await queue.enqueueMany(['1', '2', '3', '4', '5'])
  const seen = []
  const subscription = queue.subscribe({ credit: 5 })
  for await (const delivery of subscription) {
    seen.push(delivery.text())
    await delivery.ack()
    if (seen.length === 2) break
  }
  assert.deepEqual(seen, ['1', '2'])
  await assert.rejects(subscription.next(), { number: 501 })
  const rest = []
  while (rest.length < 3) rest.push(await queue.receive({ wait: PATIENCE }))
  assert.deepEqual(rest.map((delivery) => delivery.text()).sort(), ['3', '4', '5'])
  assert.deepEqual(rest.map(({ attempts }) => attempts), [1, 1, 1])
})

test('a subscription that waits is told of what comes, one delivery each', async (t) => {
  const queue = (await member(t)).queue('jobs')
  const subscription = queue.subscribe({ credit: 100 })
  assert.equal(await subscription.next({ wait: 0 }), null)
  assert.equal(await subscription.next({ wait: 1 }), null)
  const waiting = [subscription.next(), subscription.next({ wait: PATIENCE }), subscription.next({ wait: Infinity })]
  await queue.enqueueMany(['1', '2', '3', '4'])
  const deliveries = await Promise.all(waiting)
  assert.deepEqual(deliveries.map((delivery) => delivery.text()).sort(), ['1', '2', '3'])
  assert.equal((await subscription.next()).text(), '4')
})

test('credit bounds what is pushed, and what is settled makes room', async (t) => {
  const queue = (await member(t)).queue('jobs')
  await queue.enqueueMany(['1', '2', '3', '4'])
  const subscription = queue.subscribe({ credit: 2 })
  const one = await subscription.next({ wait: PATIENCE })
  const two = await subscription.next({ wait: PATIENCE })
  assert.equal(subscription.take().length, 0)
  await one.ack()
  assert.equal((await subscription.next({ wait: PATIENCE })).text(), '3')
  await subscription.credit(1)
  assert.equal((await subscription.next({ wait: PATIENCE })).text(), '4')
  assert.equal(two.text(), '2')
  await assert.rejects(subscription.credit(0), { number: 101 })
})

test('a loop ends quietly when the subscription or its member is closed', async (t) => {
  const primer = await open()
  const queue = primer.queue('jobs')
  const loops = [queue.subscribe(), queue.subscribe(), primer.events()].map((reader) => {
    const ended = (async () => {
      for await (const never of reader) assert.fail(`nothing comes: ${never}`)
    })()
    return { reader, ended }
  })
  await turn()
  await loops[0].reader.close()
  await loops[0].ended
  await primer.close()
  await Promise.all(loops.map(({ ended }) => ended))
})

test('a signal ends a loop with its reason, and one wait without closing', async (t) => {
  const queue = (await member(t)).queue('jobs')
  const loop = new AbortController()
  const looping = (async () => {
    for await (const never of queue.subscribe({ signal: loop.signal })) assert.fail(`nothing comes: ${never}`)
  })()
  await turn()
  loop.abort(new Error('enough'))
  await assert.rejects(looping, { message: 'enough' })

  const subscription = queue.subscribe()
  const once = new AbortController()
  const waiting = subscription.next({ signal: once.signal })
  once.abort()
  await assert.rejects(waiting, { name: 'AbortError' })
  await queue.enqueue('one')
  assert.equal((await subscription.next()).text(), 'one')
})

test('using closes a subscription', async (t) => {
  const queue = (await member(t)).queue('jobs')
  const subscription = queue.subscribe()
  subscription[Symbol.dispose]()
  await subscription[Symbol.asyncDispose]()
  await assert.rejects(subscription.next(), { number: 501 })
})

test('a subscription is served by every member', async (t) => {
  const [first, second] = await pair(t)
  const subscription = second.queue('jobs').subscribe({ credit: 16 })
  const seen = new Set()
  const reading = (async () => {
    for await (const delivery of subscription) {
      seen.add(delivery.text())
      await delivery.ack()
      if (seen.size === 200) break
    }
  })()
  for (let i = 0; i < 200; i += 1) await first.queue('jobs').enqueue(`${i}`, { copies: (i % 2) + 1 })
  await reading
  assert.equal(seen.size, 200)
})

test('events tell who comes and goes', async (t) => {
  const first = await member(t, { listen: '127.0.0.1:0', name: 'first' })
  const events = first.events()
  const second = await open({ seeds: [first.address], name: 'second' })
  const joined = await events.next({ wait: PATIENCE })
  assert.deepEqual([joined.kind, joined.name], ['joined', 'second'])
  assert.ok(Math.abs(Date.now() - joined.atMs) < 3_600_000)
  await together(second, 2)
  assert.deepEqual(second.members().map(({ name, isSelf }) => [name, isSelf]).sort(), [['first', false], ['second', true]])
  assert.ok(first.members().some(({ id }) => id === joined.member))
  await second.leave()
  const kinds = []
  for await (const { kind } of events) {
    kinds.push(kind)
    if (kind === 'left') break
  }
  assert.equal(kinds.at(-1), 'left')
  await second.close()
  assert.deepEqual(events.take(), [])
  assert.equal(events.missed, 0)
})
