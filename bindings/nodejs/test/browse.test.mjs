// Looks at messages: what a page is in JavaScript.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Browsed, Page, WrongCall } from 'primer'
import { member } from './tools.mjs'

test('a page is iterable, and all pages are read one after the other', async (t) => {
  const primer = await member(t)
  const jobs = primer.queue('jobs')
  const receipts = await jobs.enqueueMany([{ n: 1 }, { n: 2 }, { n: 3 }], { headers: { kind: 'x' } })
  const ids = receipts.map(({ id }) => id)
  const page = await jobs.browse({ max: 2, states: ['ready'], headers: { kind: 'x' } })
  assert.ok(page instanceof Page)
  assert.deepEqual([...page].map(({ id }) => id), ids.slice(0, 2))
  const [first] = page
  assert.ok(first instanceof Browsed)
  assert.deepEqual([first.json(), first.headers.kind, first.group, first.leaseMs], [{ n: 1 }, 'x', null, null])
  assert.equal(first.owner, primer.members()[0].id)
  const pages = []
  for await (const one of jobs.browseAll({ max: 2 })) pages.push([...one].map(({ id }) => id))
  assert.deepEqual(pages, [ids.slice(0, 2), ids.slice(2)])
  assert.equal(primer.stats().delivered, 0)
})

test('a page that is larger than a tray arrives as a whole', async (t) => {
  const jobs = (await member(t)).queue('jobs')
  const bodies = ['a', 'b', 'c'].map((letter) => letter.repeat(100_000))
  for (const body of bodies) await jobs.enqueue(body)
  const page = await jobs.browse({ bodyBytesMax: 100_000 })
  assert.deepEqual(page.messages.map((one) => one.text()), bodies)
  const cut = await jobs.browse({ bodyBytesMax: 3 })
  assert.deepEqual(cut.messages.map((one) => [one.text(), one.bodyBytes]), [['aaa', 100_000], ['bbb', 100_000], ['ccc', 100_000]])
})

test('a wrong look is told, and one that is aborted ends', async (t) => {
  const jobs = (await member(t)).queue('jobs')
  for (const look of [{ states: 'ready' }, { states: ['lost'] }, { max: -1 }, { after: 'no cursor' }, { after: 7 }, { timeout: 'soon' }]) {
    await assert.rejects(jobs.browse(look), WrongCall)
  }
  await assert.rejects(jobs.browse({ signal: AbortSignal.abort() }), { name: 'AbortError' })
})
