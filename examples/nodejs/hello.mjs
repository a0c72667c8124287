// A queue inside this process: nothing to start, nothing to configure.

import { open } from 'primer'

const primer = await open()
const greetings = primer.queue('greetings')

const receipt = await greetings.enqueue('hello, world', { headers: { from: 'ada' } })
console.log(`enqueued ${receipt.id}, held by ${receipt.copies} member`)

const delivery = await greetings.receive()
console.log(`received "${delivery.text()}" from ${delivery.headers.from}`)
await delivery.ack()

console.log(`nothing is left: ${await greetings.receive()}`)
await primer.close()
