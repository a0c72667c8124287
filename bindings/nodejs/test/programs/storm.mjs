// Ends in the given way while two members of one process push messages at each other.

import { setImmediate as turn } from 'node:timers/promises'
import { open } from 'primer'

const [how] = process.argv.slice(2)
const first = await open({ listen: '127.0.0.1:0' })
const second = await open({ seeds: first.address })
let seen = 0

async function pump(from) {
  for (;;) {
    await from.queue('jobs').enqueueMany(new Array(50).fill('storm'), { copies: 2 })
    // What this member answers at once never leaves its turn of the loop, and the others need theirs.
    await turn()
  }
}

async function drain(at) {
  for await (const delivery of at.queue('jobs').subscribe()) {
    seen += 1
    if (seen === 500) {
      if (how === 'exit') process.exit(3)
      if (how === 'throw') queueMicrotask(() => { throw new Error('the storm is over') })
      if (how === 'reject') Promise.reject(new Error('the storm is over'))
    }
    if (seen % 2 === 0) delivery.ack().catch(() => {})
    else delivery[Symbol.dispose]()
  }
}

await Promise.all([pump(first), pump(second), drain(first), drain(second), second.queue('jobs').receive({ wait: Infinity })])
