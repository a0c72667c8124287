// What several tests share: members that close themselves, and programs in processes of their own.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { open } from 'primer'

/** Generous: only a hang reaches it. */
export const PATIENCE = '20s'

/** A member that is closed when test `t` ends. */
export async function member(t, options) {
  const opened = await open(options)
  t.after(() => opened.close())
  return opened
}

let clusters = 0

/** A cluster's name that no other test has. */
export const fresh = () => `nodejs-${process.pid}-${(clusters += 1)}`

/** Two members of one cluster that know each other. */
export async function pair(t, options) {
  const first = await member(t, { listen: '127.0.0.1:0', ...options })
  const second = await member(t, { seeds: first.address, ...options })
  await together(first, 2)
  await together(second, 2)
  return [first, second]
}

/** Waits until `member` reaches `count` members, itself included. */
export async function together(member, count) {
  const events = member.events()
  const reached = () => member.members().filter(({ isReachable }) => isReachable).length
  // Every change is an event; one that came before the reader was made is seen by the look after it.
  while (reached() !== count) if (!(await events.next({ wait: PATIENCE }))) throw new Error(`never ${count} members`)
  await events.close()
}

/** Asks until the answer is `wanted`: for what is counted and tells of no event. */
export async function becomes(ask, wanted) {
  const end = performance.now() + 20_000
  while (ask() !== wanted) {
    if (performance.now() > end) throw new Error(`it is ${ask()}, never ${wanted}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** Runs test/programs/`name` and answers its exit code, its signal, and what it printed, when it ended. */
export async function program(name, args = [], { nodeArgs = [], onLine } = {}) {
  const file = fileURLToPath(new URL(`programs/${name}`, import.meta.url))
  const child = spawn(process.execPath, [...nodeArgs, file, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const said = { out: '', err: '' }
  child.stderr.on('data', (text) => (said.err += text))
  child.stdout.on('data', (text) => {
    const lines = said.out.split('\n').length
    said.out += text
    for (const line of said.out.split('\n').slice(lines - 1, -1)) onLine?.(line, child)
  })
  const [code, signal] = await once(child, 'close')
  return { code, signal, ...said }
}
