// Worker threads with members of their own: some work and end, some are terminated while they wait.

import { once } from 'node:events'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { open } from 'primer'
import { together } from '../tools.mjs'

if (isMainThread) await main(process.argv[2])
else await work(workerData)

async function main(patience) {
  const member = await open({ listen: '127.0.0.1:0', lease: '2s' })
  const spawn = (how) => new Worker(new URL(import.meta.url), { workerData: { how, seed: member.address } })
  const workers = ['work', 'work'].map(spawn)
  const doomed = ['doomed', 'doomed', 'doomed', 'doomed'].map(spawn)
  await Promise.all([...workers, ...doomed].map((worker) => once(worker, 'message')))
  await together(member, 7)
  const codes = await Promise.all(doomed.map((worker) => worker.terminate()))
  // A thread that is gone leaves no member behind: they are closed, so the others stop hearing them.
  await together(member, 3)

  const numbers = Array.from({ length: 400 }, (_, i) => `${i}`)
  await member.queue('tasks').enqueueMany(numbers, { copies: 1 })
  const results = new Set()
  for await (const delivery of member.queue('results').subscribe()) {
    results.add(delivery.text())
    await delivery.ack()
    if (results.size === 400) break
  }
  console.log(`results ${results.size}`)
  member.broadcast('stop', 'enough')
  await Promise.all(workers.map((worker) => once(worker, 'exit')))
  console.log(`terminated ${codes.length}`)
  await member.queue('last').enqueue('one', { copies: 1 })
  console.log(`alive ${(await member.queue('last').receive({ wait: patience })).text()}`)
}

async function work({ how, seed }) {
  const member = await open({ seeds: seed, listen: null })
  if (how === 'doomed') {
    const waiting = member.queue('never').receive({ wait: Infinity })
    parentPort.postMessage('ready')
    await waiting
  }
  const stop = new AbortController()
  member.on('stop').next().then(() => stop.abort())
  parentPort.postMessage('ready')
  try {
    for await (const delivery of member.queue('tasks').subscribe({ credit: 8, signal: stop.signal })) {
      await member.queue('results').enqueue(delivery.body, { copies: 1 })
      await delivery.ack()
    }
  } catch (error) {
    if (error !== stop.signal.reason) throw error
  }
  await member.close()
}
