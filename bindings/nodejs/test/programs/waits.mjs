// Joins, waits for one message or piece of news in the given way, prints it, and closes nothing.

import { open } from 'primer'

const [seed, how] = process.argv.slice(2)
const member = await open({ seeds: seed, listen: null })
const queue = member.queue('jobs')
const events = member.events()

const ways = {
  receive: async () => (await queue.receive({ wait: Infinity })).text(),
  next: async () => (await queue.subscribe().next()).text(),
  async iterate() {
    for await (const delivery of queue.subscribe()) return delivery.text()
  },
  async events() {
    for await (const { kind, name } of events) if (kind === 'joined' && name === 'third') return name
  },
  topic: async () => (await member.on('chat').next()).text(),
  watch: async () => (await member.watch().next()).value.toString(),
}

const waiting = ways[how]()
console.log('waiting')
console.log(await waiting)
