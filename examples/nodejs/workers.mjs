// One process has work, two others do it. Each of the three is a full member of one cluster: there is no
// broker, and the workers need only the address of one member to find all of them.
//
//   node workers.mjs                   the producer; it starts two workers
//   node workers.mjs worker ADDRESS    a worker

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { open } from 'primer'

const TASKS = 200

const [role, address] = process.argv.slice(2)
if (role === 'worker') await work(address)
else await produce()

async function produce() {
  const primer = await open({ cluster: 'workers', listen: '127.0.0.1:0' })
  const script = fileURLToPath(import.meta.url)
  const start = () => spawn(process.execPath, [script, 'worker', primer.address], { stdio: 'inherit' })
  const workers = [start(), start()]
  const ended = workers.map((worker) => once(worker, 'exit'))

  const tasks = primer.queue('tasks', { copies: 2 })
  await tasks.enqueueMany(Array.from({ length: TASKS }, (_, number) => ({ number })))

  // At least once: a worker that dies gives its tasks back, so a result may come twice.
  const results = new Map()
  for await (const delivery of primer.queue('results').subscribe()) {
    const { number, square, by } = delivery.json()
    results.set(number, { square, by })
    await delivery.ack()
    if (results.size === TASKS) break
  }

  const sum = [...results.values()].reduce((total, { square }) => total + square, 0)
  const doers = new Set([...results.values()].map(({ by }) => by))
  console.log(`${results.size} tasks done by ${doers.size} of ${workers.length} workers, the sum of squares is ${sum}`)

  await primer.queue('stop').enqueueMany(workers.map(() => 'stop'))
  const codes = (await Promise.all(ended)).map(([code]) => code)
  await primer.close()
  if (codes.some((code) => code !== 0)) throw new Error(`workers ended with ${codes}`)
}

async function work(seed) {
  const primer = await open({ cluster: 'workers', seeds: seed })
  const results = primer.queue('results', { copies: 1 })

  const worker = primer.queue('tasks').worker(
    async (delivery) => {
      const { number } = delivery.json()
      // What returns is acked, so after the result is safe: the other way round a crash between the two would lose it.
      await results.enqueue({ number, square: number * number, by: process.pid })
    },
    { concurrency: 8, maxRun: '5m' },
  )

  const order = await primer.queue('stop').receive({ wait: Infinity })
  await order.ack()
  await worker.close({ drain: '20s' })
  await primer.close()
}
