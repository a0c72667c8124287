// Counts words for the demo: node worker.mjs ADDRESS (README.md here says what a worker does).

import { once } from 'node:events'
import { open } from 'primer'

const primer = await open({
  cluster: 'demo', seeds: process.argv[2], copies: 2, onShort: 'fail', lease: '4s', takeoverAfter: '1s'
})
const jobs = primer.queue('jobs')
const counts = primer.queue('counts')
const stop = new AbortController()
const begin = once(process.stdin, 'data') // the word to begin
process.stdin.on('end', () => stop.abort('stopped'))

/** Runs of bytes other than ASCII white space. */
function words(bytes) {
  let count = 0
  let inside = false
  for (const byte of bytes) {
    const isSpace = byte === 32 || (byte >= 9 && byte <= 13)
    if (!isSpace && !inside) count++
    inside = !isSpace
  }
  return count
}

/** Enqueues until two members have it. */
async function enqueue(body, headers) {
  for (;;) {
    try {
      return await counts.enqueue(body, { headers })
    } catch (error) {
      if (!(error.number >= 200 && error.number < 400)) throw error
      console.error(`again: ${error.message}`)
    }
  }
}

await begin
let done = 0
let again = 0
try {
  for (;;) {
    const batch = await jobs.receiveMany(8, { wait: '1s', signal: stop.signal })
    stop.signal.throwIfAborted()
    again += batch.filter((job) => job.attempts > 1).length
    for (const [place, job] of batch.entries()) {
      const path = job.headers.path
      await enqueue(String(words(job.body)), { job: job.id, path, by: 'Node.js' })
      try {
        job.ack()
      } catch (error) {
        if (error.number !== 402) throw error // another worker was faster after this lease ran out
      }
      console.log(batch.length - place - 1, ++done, again)
    }
  }
} catch (reason) {
  if (reason !== 'stopped') throw reason
}
await primer.close()
process.exit(0)
