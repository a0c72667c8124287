// Calls every native function with arguments of any kind, from a seed. Prints how many calls, and whether a
// member still works afterwards. Any crash is the parent's to see.

import native from '../../lib/native.cjs'
import { open } from 'primer'

const [calls, seed] = process.argv.slice(2).map(Number)
let state = BigInt(seed)
/** A number below `n` (splitmix64). */
function below(n) {
  state = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n)
  let z = state
  z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n)
  z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn)
  return Number((z ^ (z >> 31n)) % BigInt(n))
}

const detached = new Uint8Array(64)
structuredClone(detached, { transfer: [detached.buffer] })
const KINDS = [
  () => undefined, () => null, () => true, () => NaN, () => Infinity, () => -1, () => 0, () => below(4), () => below(4),
  () => 2 ** 31, () => 2 ** 32 - 1, () => 2 ** 53, () => 1e300, () => '', () => 'jobs', () => 'x'.repeat(300), () => 7n,
  () => Symbol('x'), () => ({}), () => [], () => ['cluster', 'x'], () => ['a'], () => [1, 2], () => () => {},
  () => [below(12), below(9) - 1, -1, below(9), below(3), below(2), below(5) - 1],
  () => Buffer.alloc(0), () => Buffer.alloc(8), () => Buffer.alloc(4096), () => Buffer.alloc(4096),
  () => new Uint32Array(8), () => new Float64Array(8), () => new DataView(new ArrayBuffer(8)), () => detached,
  () => new Uint8Array(new SharedArrayBuffer(64)), () => new Proxy({}, { get() { throw new Error('trap') } }),
]

// A member of our own first, so that small numbers are handles of something; the library's host stays apart.
const host = native.attach(() => {})
const member = native.start(host, [])
native.queue(member, 'jobs')
native.events(member)
native.on(member, 'jobs')
native.watch(member, '')
native.put(member, 'jobs', Buffer.alloc(8), 8)

// `shut` flushes for up to a second each time, and the canary is another test's.
const names = Object.keys(native).filter((name) => !['canary', 'shut', 'start', 'attach'].includes(name))
for (let call = 0; call < calls; call += 1) {
  const args = Array.from({ length: below(11) }, () => KINDS[below(KINDS.length)]())
  try {
    native[names[below(names.length)]](...args)
  } catch {
    // Refused: also an answer.
  }
}
for (const name of ['shut', 'start', 'attach']) {
  for (const kind of KINDS) {
    try {
      native[name](kind(), kind())
    } catch {
      // As above.
    }
  }
}

const primer = await open()
await primer.queue('jobs').enqueue('one')
const delivery = await primer.queue('jobs').receive()
console.log(`calls=${calls} alive=${delivery.text() === 'one'}`)
await primer.close()
