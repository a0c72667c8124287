// The same package by `require`, typed.

import primer = require('primer')

async function main(): Promise<void> {
  const member: primer.Primer = await primer.open()
  const queue = member.queue('jobs')
  await queue.enqueue('one')
  const delivery = await queue.receive()
  console.log(delivery?.text())
  await delivery?.ack()
  await member.close()
}

void main()
