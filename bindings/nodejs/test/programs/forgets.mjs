// Receives a message and forgets the delivery. It comes back because the delivery is collected: its lease is long.

import { setImmediate as turn } from 'node:timers/promises'
import { open } from 'primer'

const member = await open({ lease: '1h' })
const queue = member.queue('jobs')
await queue.enqueue('one')
await (async () => void (await queue.receive()))()
// The memory that the delivery lies in is shared with the next ones; a large message makes the library move on.
await queue.enqueue('x'.repeat(65_000))
await (await queue.receive({ wait: '20s' })).ack()

let again
const waiting = queue.receive({ wait: '20s' }).then((delivery) => (again = delivery))
while (!again) {
  globalThis.gc()
  await turn()
}
await waiting
console.log(`again ${again.text()} ${again.attempts}`)
await member.close()
