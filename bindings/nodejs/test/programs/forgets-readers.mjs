// A reader that only its own promise knows is not collected; a subscription that nobody knows is, and lets go.

import { setImmediate as turn } from 'node:timers/promises'
import { open } from 'primer'

const member = await open({ lease: '1h' })
const queue = member.queue('jobs')
let awaited
queue.subscribe({ credit: 1 }).next().then((delivery) => (awaited = delivery))
const heard = member.on('chat').next()
for (let i = 0; i < 10; i += 1) {
  globalThis.gc()
  await turn()
}
await queue.enqueue('one')
while (!awaited) await turn()
console.log(`awaited ${awaited.text()}`)
await awaited.ack()
member.broadcast('chat', 'one')
console.log(`heard ${(await heard).text()}`)

;(() => queue.subscribe({ credit: 1 }))()
await queue.enqueue('two')
let back
const waiting = queue.receive({ wait: '20s' }).then((delivery) => (back = delivery))
while (!back) {
  globalThis.gc()
  await turn()
}
await waiting
console.log(`back ${back.text()}`)
await member.close()
