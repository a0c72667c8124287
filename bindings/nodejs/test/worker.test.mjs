// Workers: handlers fail, reject, block for longer than their lease, and are drained.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { InDoubt, Reject } from 'primer'
import { PATIENCE, member } from './tools.mjs'

/** A promise and what resolves it. */
function gate() {
  let open
  const opened = new Promise((resolve) => (open = resolve))
  return { open, opened }
}

/** Waits until a lease of a second ran out: an event of the engine's, after many of the shorter ones. */
async function passLeases(primer) {
  const clock = primer.queue('clock')
  await clock.enqueue('tick')
  // Held on to: what becomes garbage goes back at once.
  const first = await clock.receive({ lease: 1_000 })
  const tick = await clock.receive({ wait: PATIENCE })
  assert.deepEqual([first.attempts, tick.attempts], [1, 2])
  await tick.ack()
}

/** Blocks the event loop for so long. */
const block = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)

test('what returns is acked, what throws comes again, and a reject is a dead letter', async (t) => {
  const primer = await member(t)
  const queue = primer.queue('jobs')
  const seen = []
  const retried = gate()
  const worker = queue.worker(
    async (delivery) => {
      seen.push(`${delivery.text()} ${delivery.attempts}`)
      if (delivery.text() === 'no') throw new Reject('as told')
      if (delivery.text() !== 'fails') return
      if (delivery.attempts === 1) throw new Error('not today')
      retried.open()
    },
    { concurrency: 2 },
  )
  const failures = []
  worker.on('failed', (error, delivery) => failures.push(`${delivery.text()}: ${error.message}`))
  await queue.enqueueMany(['yes', 'no', 'fails'], { headers: { traceparent: '00-ab-cd-01', tracestate: 'a=b' } })
  const dead = await primer.queue('jobs.dead').receive({ wait: PATIENCE })
  assert.equal(dead.text(), 'no')
  assert.equal(dead.headers['primer-reason'], 'as told')
  // The context of a trace goes on, also in a dead letter.
  assert.equal(dead.headers.traceparent, '00-ab-cd-01')
  assert.equal(dead.headers.tracestate, 'a=b')
  await dead.ack()
  await retried.opened
  assert.equal(await worker.close(), true)
  assert.deepEqual(seen.sort(), ['fails 1', 'fails 2', 'no 1', 'yes 1'])
  assert.deepEqual(failures.sort(), ['fails: not today', 'no: as told'])
  assert.equal(primer.stats().messages, 0)
})

test('a handler that blocks the event loop for longer than its lease keeps its message', async (t) => {
  const primer = await member(t)
  const queue = primer.queue('jobs')
  const [begun, go] = [gate(), gate()]
  const attempts = []
  const worker = queue.worker(
    async (delivery) => {
      attempts.push(delivery.attempts)
      block(500)
      begun.open()
      await go.opened
    },
    { lease: 200, concurrency: 2 },
  )
  await queue.enqueue('slow')
  await begun.opened
  await passLeases(primer)
  go.open()
  assert.equal(await worker.close({ drain: PATIENCE }), true)
  assert.deepEqual(attempts, [1])
  assert.equal(primer.stats().redeliveries_lease, 1, 'the tick alone')
})

test('closing drains, and gives back what was not begun', async (t) => {
  const primer = await member(t)
  const queue = primer.queue('jobs')
  const [begun, go] = [gate(), gate()]
  const worker = queue.worker(() => (begun.open(), go.opened), { lease: 200 })
  await queue.enqueueMany(['1', '2'])
  await begun.opened
  const closed = worker.close({ drain: PATIENCE })
  const second = await queue.receive({ wait: PATIENCE, lease: '1m' })
  assert.equal(second.text(), '2')
  await second.ack()
  await passLeases(primer)
  go.open()
  assert.equal(await closed, true)
  assert.equal(await worker.close(), true)
  await worker.ended
  assert.equal(primer.stats().messages, 0)
})

test('what a drain does not wait for is told, and given back uncounted', async (t) => {
  const queue = (await member(t)).queue('jobs')
  const begun = gate()
  const worker = queue.worker(async (_, { signal }) => {
    begun.open()
    await once(signal, 'abort')
  })
  await queue.enqueue('long')
  await begun.opened
  assert.equal(await worker.close({ drain: 1 }), false)
  const delivery = await queue.receive({ wait: PATIENCE })
  assert.equal(delivery.attempts, 1)
  await worker.ended
})

test('a worker ends with its member, with its signal, and settles nothing twice', async (t) => {
  const primer = await member(t)
  const queue = primer.queue('jobs')
  const stop = new AbortController()
  const nacked = gate()
  const worker = queue.worker(
    async (delivery) => {
      if (delivery.attempts === 2) return nacked.open()
      await delivery.nack({ delay: 0 })
      assert.equal(delivery.isSettled, true)
    },
    { signal: stop.signal },
  )
  await queue.enqueue('by itself')
  await nacked.opened
  stop.abort()
  await worker.ended
  const other = queue.worker(() => {})
  await primer.close()
  await other.ended
  assert.throws(() => queue.worker('no function'), { number: 101 })
  assert.throws(() => queue.worker(() => {}, { concurrency: 0 }), { number: 101 })
  assert.throws(() => queue.worker(() => {}, { credit: 5 }), { number: 101 })
})

test('a result that is no body is acked once, without a reply', async (t) => {
  const primer = await member(t)
  const sums = primer.queue('sums')
  const results = [7, 0, true, null, undefined, 5n, Symbol('s'), new Map(), () => 1]
  const attempts = []
  const worker = sums.worker(async (delivery) => {
    attempts.push(delivery.attempts)
    return results[Number(delivery.text())]
  })
  const failures = []
  worker.on('failed', (error) => failures.push(error))
  const calls = results.map((_, index) => sums.call(`${index}`, { timeout: 2_000 }))
  for (const call of await Promise.allSettled(calls)) assert.ok(call.reason instanceof InDoubt)
  assert.equal(await worker.close(), true)
  assert.deepEqual(failures, [])
  assert.deepEqual(attempts, results.map(() => 1))
  assert.equal(primer.stats().messages, 0)
})

test('what a handler returns is the reply where somebody waits for one', async (t) => {
  const primer = await member(t)
  const sums = primer.queue('sums')
  const worker = sums.worker(async (delivery) => {
    const { a, b } = delivery.json()
    if (a === 0) return delivery.reply('by hand', { headers: { by: 'hand' } })
    return { sum: a + b }
  })
  const reply = await sums.call({ a: 2, b: 3 }, { timeout: PATIENCE })
  assert.deepEqual(reply.json(), { sum: 5 })
  assert.equal(reply.headers['content-type'], 'application/json')
  // Nobody waits for what a plain message's handler returns.
  await sums.enqueue({ a: 1, b: 1 })
  const other = await sums.call({ a: 0 }, { timeout: PATIENCE })
  assert.deepEqual([other.text(), other.headerPairs], ['by hand', [['by', 'hand']]])
  const many = await Promise.all(Array.from({ length: 50 }, (_, a) => sums.call({ a: a + 1, b: 1 }, { timeout: PATIENCE })))
  assert.deepEqual(many.map((one) => one.json().sum), Array.from({ length: 50 }, (_, a) => a + 2))
  await worker.close()
  await assert.rejects(sums.call({ a: 1 }, { timeout: 50 }), InDoubt)
  const gone = new AbortController()
  const call = sums.call({ a: 1 }, { signal: gone.signal })
  assert.equal(primer.stats().calls, 1)
  gone.abort()
  await assert.rejects(call, { name: 'AbortError' })
  assert.equal(primer.stats().calls, 0)
})
