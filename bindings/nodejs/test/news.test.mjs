// Topics and keys: told, heard, written, watched; and who may be a member.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises'
import { test } from 'node:test'
import { Broadcast, open } from 'primer'
import { PATIENCE, becomes, fresh, member, pair, together } from './tools.mjs'

const ZEROS = Buffer.from([0, 1, 0, 255, 0])
const idOf = (primer) => primer.members().find(({ isSelf }) => isSelf).id

test('what is told to a topic is heard by every reader of it at every member, byte for byte', async (t) => {
  const [first, second] = await pair(t)
  const readers = [first.on('chat'), first.on('chat'), second.on('chat'), second.on('chat')]
  const other = second.on('other')
  first.broadcast('chat', ZEROS)
  first.broadcast('other', 'not for chat')
  first.broadcast('chat', { to: 'ada' })
  first.broadcast('chat', '')
  for (const reader of readers) {
    const heard = await reader.next({ wait: PATIENCE })
    assert.ok(heard instanceof Broadcast)
    assert.deepEqual({ ...heard }, { topic: 'chat', from: idOf(first), body: ZEROS })
    // A body is its reader's own: the next reader hears what was sent.
    heard.body.fill(7)
    assert.deepEqual((await reader.next({ wait: PATIENCE })).json(), { to: 'ada' })
    assert.equal((await reader.next({ wait: PATIENCE })).text(), '')
    assert.equal(await reader.next({ wait: 0 }), null)
  }
  assert.equal((await other.next({ wait: PATIENCE })).text(), 'not for chat')
})

test('a topic is iterated; leaving the loop closes it', async (t) => {
  const primer = await member(t)
  const topic = primer.on('chat')
  for (let i = 0; i < 5; i += 1) primer.broadcast('chat', `${i}`)
  const seen = []
  for await (const message of topic) {
    seen.push(message.text())
    if (seen.length === 3) break
  }
  assert.deepEqual(seen, ['0', '1', '2'])
  await assert.rejects(topic.next(), { number: 501, name: 'MemberDown' })
  assert.deepEqual(topic.take(), [])
  assert.equal(topic.missed, 0)
  assert.deepEqual([topic.topic, topic.primer], ['chat', primer])
})

test('who waits on a topic or a watch that is closed is told so, and other readers go on', async (t) => {
  const primer = await member(t)
  for (const make of [() => primer.on('chat'), () => primer.watch('key')]) {
    const [closed, stays] = [make(), make()]
    const waiting = [closed.next(), closed.next({ wait: Infinity }), closed.next({ wait: PATIENCE })]
    const told = Promise.all(waiting.map((wait) => assert.rejects(wait, { number: 501, kind: 'Closed' })))
    const looping = (async () => {
      for await (const never of closed) assert.fail(`nothing comes: ${never}`)
    })()
    const next = stays.next()
    await turn()
    await closed.close()
    await closed.close()
    await told
    await looping
    primer.broadcast('chat', 'one')
    primer.put('key', 'one')
    assert.equal(String((await next).body ?? (await next).value), 'one')
    stays[Symbol.dispose]()
    await stays[Symbol.asyncDispose]()
  }
})

test('what was heard before the member closed can still be read', async () => {
  const primer = await open()
  const topic = primer.on('chat')
  const watch = primer.watch()
  primer.broadcast('chat', 'last')
  primer.put('key', 'last')
  await primer.close()
  const seen = []
  for await (const message of topic) seen.push(message.text())
  for await (const { key, value } of watch) seen.push(`${key}=${value}`)
  assert.deepEqual(seen, ['last', 'key=last'])
})

test('several waits at one reader are answered one by one, and a signal ends one of them', async (t) => {
  const primer = await member(t)
  const topic = primer.on('chat')
  const controller = new AbortController()
  const aborted = topic.next({ signal: controller.signal })
  const waiting = [topic.next(), topic.next({ wait: PATIENCE })]
  controller.abort(new Error('enough'))
  await assert.rejects(aborted, { message: 'enough' })
  primer.broadcast('chat', '1')
  primer.broadcast('chat', '2')
  assert.deepEqual((await Promise.all(waiting)).map((message) => message.text()).sort(), ['1', '2'])

  const loop = new AbortController()
  const looping = (async () => {
    for await (const never of primer.watch('', { signal: loop.signal })) assert.fail(`nothing comes: ${never}`)
  })()
  await turn()
  loop.abort(new Error('enough'))
  await assert.rejects(looping, { message: 'enough' })
  assert.throws(() => primer.on('chat', { signal: loop.signal }), { message: 'enough' })
})

test('a reader that does not look misses the oldest and is told how many; who tells too fast is told when to go on', async (t) => {
  const primer = await member(t)
  const topic = primer.on('chat')
  const count = 1_500
  for (let told = 0; told < count; ) {
    try {
      primer.broadcast('chat', `${told}`)
      told += 1
    } catch (error) {
      assert.deepEqual([error.number, error.name], [203, 'NotNow'])
      assert.ok(error.retryAfterMs > 0)
      await delay(error.retryAfterMs)
    }
  }
  const rest = topic.take(count)
  assert.equal(rest.length + topic.missed, count)
  assert.ok(topic.missed > 0)
  assert.deepEqual(rest.map((message) => Number(message.text())), Array.from(rest, (_, i) => topic.missed + i))
})

test('a key is written anywhere, read everywhere, byte for byte, and removed', async (t) => {
  const [first, second] = await pair(t)
  const watch = second.watch('müller/')
  assert.equal(first.get('müller/0'), null)
  first.put('müller/0', ZEROS)
  first.put('other', 'not watched')
  first.put('müller/1', { to: 'ada' })
  first.put('müller/2', '')
  assert.deepEqual(first.get('müller/0'), ZEROS)
  const changes = []
  while (changes.length < 3) changes.push(await watch.next({ wait: PATIENCE }))
  changes.sort((a, b) => (a.key < b.key ? -1 : 1))
  const values = [ZEROS, Buffer.from('{"to":"ada"}'), Buffer.alloc(0)]
  assert.deepEqual(changes, values.map((value, i) => ({ key: `müller/${i}`, value })))
  const entries = second.list('müller/')
  assert.deepEqual(entries.map(({ key, value, others }) => ({ key, value, others })), changes.map((change) => ({ ...change, others: [] })))
  for (const { atMs } of entries) assert.ok(Math.abs(Date.now() - atMs) < 3_600_000)

  second.delete('müller/0')
  second.delete('never there')
  assert.deepEqual(await watch.next({ wait: PATIENCE }), { key: 'müller/0', value: null })
  await becomes(() => first.get('müller/0'), null)
  assert.deepEqual(first.list().map(({ key }) => key), ['müller/1', 'müller/2', 'other'])
  assert.deepEqual([watch.prefix, watch.primer, watch.missed], ['müller/', second, 0])
})

test('what is larger than a tray finds its place', async (t) => {
  const primer = await member(t)
  const large = (i) => Buffer.alloc(65_536 - i, i)
  const topic = primer.on('chat')
  const watch = primer.watch()
  // Together below 512 KiB, which may be told at a time.
  for (let i = 0; i < 3; i += 1) {
    primer.broadcast('chat', large(i))
    primer.put(`key/${i}`, large(i))
  }
  const wanted = [large(0), large(1), large(2)]
  assert.deepEqual(topic.take().map(({ body }) => body), wanted)
  assert.deepEqual(watch.take().map(({ value }) => value), wanted)
  assert.deepEqual(primer.list().map(({ value }) => value), wanted)
  assert.deepEqual(primer.get('key/2'), large(2))
  // A queue's deliveries share trays with them.
  await primer.queue('jobs').enqueue('one')
  assert.equal((await primer.queue('jobs').receive()).text(), 'one')
})

test('of values written at the same time one is read, and the others can be listed', async (t) => {
  const cluster = fresh()
  const first = await member(t, { cluster, discover: null })
  const second = await member(t, { cluster, discover: 'none' })
  first.put('key', 'first')
  second.put('key', ZEROS)
  await second.join(first.address)
  await becomes(() => first.list('key')[0].others.length, 1)
  await becomes(() => second.list('key')[0].others.length, 1)
  const [{ value, others }] = first.list('key')
  assert.deepEqual([value, ...others].map(String).sort(), [String(ZEROS), 'first'].sort())
  assert.deepEqual(second.list('key')[0].value, value)
  assert.deepEqual(first.get('key'), value)
})

test('a member that was evicted offers what it held', async (t) => {
  const [first, second] = await pair(t)
  const events = second.events()
  await second.queue('jobs').enqueueMany(['one', 'two'], { copies: 1 })
  first.evict(idOf(second))
  for await (const { kind } of events) if (kind === 'evicted') break
  await becomes(() => second.stats().messages_aside, 2)
  assert.equal(await second.queue('jobs').receive(), null)
  assert.equal(second.reclaim({ keep: true }), 2)
  assert.equal(second.reclaim({ keep: false }), 0)
  assert.ok(await second.queue('jobs').receive({ wait: PATIENCE }))
})

test('members of one secret are let in, and secrets change while they run', async (t) => {
  const [old, next] = ['old-2c5bd9a0f1e34b7796a8', 'new-77f0c1d2e3f4a5b6c7d8']
  const cluster = fresh()
  const first = await member(t, { cluster, listen: '127.0.0.1:0', secret: [old] })
  const second = await member(t, { cluster, seeds: first.address, secret: old })
  await together(first, 2)
  const third = await member(t, { cluster, secret: next, discover: 'none' })
  await assert.rejects(third.join(first.address), { number: 107 })
  for (const primer of [first, second]) primer.rotate([next, old])
  await third.join(first.address)
  for (const primer of [first, second]) primer.rotate(next)
  await together(first, 3)
})

test('members that name one cluster find each other; with a directory one stays who it is', async (t) => {
  const cluster = fresh()
  const dataDir = mkdtempSync(join(tmpdir(), 'primer-nodejs-'))
  t.after(() => rmSync(dataDir, { recursive: true }))
  const first = await member(t, { cluster })
  const second = await open({ cluster, dataDir: join(dataDir, 'second'), retireAfter: '1h' })
  await together(first, 2)
  const id = idOf(second)
  await second.close()
  const again = await open({ cluster, dataDir: join(dataDir, 'second') })
  const found = idOf(again)
  // Before its directory goes: an open member writes in it.
  await again.close()
  assert.equal(found, id)
})
