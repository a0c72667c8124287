// The local rows of the bench for this face: one member in memory, 100-byte bodies, enqueue + receive + ack.
// Prints a line a row: name, messages a second (the median of the rounds), unit. Rows take turns, so that a
// busy moment of the machine does not fall on one of them alone.
//
//   node bench/local.mjs [seconds]     one second a row by default

import native from '../lib/native.cjs'
import { open } from 'primer'

const ROUNDS = 9
const BATCH = 100
const BODY = Buffer.alloc(100, 'x')
const budget = (Number(process.argv[2] ?? 1) * 1_000) / ROUNDS

const host = native.attach(() => {})
const handle = native.queue(native.start(host, []), 'native')
const member = await open()
const queue = member.queue('idiom')

const desk = Buffer.allocUnsafeSlow(32 * BATCH)
const tray = Buffer.allocUnsafeSlow(64 * 1024)
const words = new Int32Array(tray.buffer)
const bodies = Buffer.alloc(100 * BATCH, 'x')
const ends = Uint32Array.from({ length: BATCH }, (_, i) => (i + 1) * 100)
const handles = new Uint32Array(BATCH)

function check(code) {
  if (code !== 0) throw new Error(`${code}: ${code < 0 ? native.failure(-code).message : 'not at once'}`)
}

const rows = {
  'nodejs local native one at a time'(until) {
    let done = 0
    do {
      for (let i = 0; i < 100; i += 1) {
        check(native.enqueue(handle, BODY, 100, desk))
        check(native.receive(handle, 1, 0, -1, tray, 0))
        check(native.ack(words[4]))
      }
      done += 100
    } while (performance.now() < until)
    return done
  },
  'nodejs local native in batches of 100'(until) {
    let done = 0
    do {
      check(native.enqueueMany(handle, bodies, ends, BATCH, desk, -1, -1, -1, undefined))
      check(native.receive(handle, BATCH, 0, -1, tray, 0))
      for (let i = 0, word = 4; i < BATCH; i += 1, word += 34) handles[i] = words[word]
      check(native.ackMany(handle, handles))
      done += BATCH
    } while (performance.now() < until)
    return done
  },
  async 'nodejs local promises one at a time'(until) {
    let done = 0
    do {
      for (let i = 0; i < 100; i += 1) {
        await queue.enqueue(BODY)
        const delivery = await queue.receive()
        await delivery.ack()
      }
      done += 100
    } while (performance.now() < until)
    return done
  },
  async 'nodejs local promises in batches of 100'(until) {
    const batch = new Array(BATCH).fill(BODY)
    let done = 0
    do {
      await queue.enqueueMany(batch)
      const deliveries = await queue.receiveMany(BATCH)
      await queue.ackMany(deliveries)
      done += BATCH
    } while (performance.now() < until)
    return done
  },
}

const rates = Object.fromEntries(Object.keys(rows).map((name) => [name, []]))
for (let round = -1; round < ROUNDS; round += 1) {
  for (const [name, run] of Object.entries(rows)) {
    const start = performance.now()
    const done = await run(start + budget)
    // The first round warms up.
    if (round >= 0) rates[name].push((done / (performance.now() - start)) * 1_000)
  }
}
for (const [name, each] of Object.entries(rates)) {
  const median = each.sort((a, b) => a - b)[ROUNDS >> 1]
  console.log(`${name}\t${Math.round(median)}\tmsg/s`)
}
await member.close()
native.shut(host)
