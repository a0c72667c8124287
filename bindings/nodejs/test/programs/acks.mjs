// Acks so many messages of another member, then ends the process at once.

import { open } from 'primer'

const [seed, count] = process.argv.slice(2)
const member = await open({ seeds: seed, listen: null })
const queue = member.queue('jobs')
let acked = 0
while (acked < Number(count)) {
  const deliveries = await queue.receiveMany(Number(count), { wait: Infinity })
  acked += (await queue.ackMany(deliveries)).filter((number) => number === 0).length
}
console.log(`acked ${acked}`)
process.exit(7)
