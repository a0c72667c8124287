// Leaves everything open that can be left open, and waits for nothing.

import { open, start } from 'primer'

const first = await open({ listen: '127.0.0.1:0' })
const second = start({ seeds: first.address })
await second.joined()
const queue = second.queue('jobs')
globalThis.kept = [second.queue('others').subscribe(), first.events(), second.events(), first.on('chat'), second.watch()]
await queue.enqueue('one')
kept.push(await queue.receive({ wait: '20s' }))
process.on('exit', () => console.log('exit'))
console.log('ready')
