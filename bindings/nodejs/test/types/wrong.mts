// Mistakes that the types must find. It is never run.

import { open, Primer, type Delivery } from 'primer'

export async function mistakes(): Promise<void> {
  // @ts-expect-error: an unknown option
  const member = await open({ colour: 'red' })
  // @ts-expect-error: made by open() only
  new Primer()
  const queue = member.queue<{ to: string }>('jobs')
  // @ts-expect-error: a body of another shape
  await queue.enqueue({ from: 'ada' })
  // @ts-expect-error: not a duration
  await queue.receive({ wait: 'soon' })
  // @ts-expect-error: one of three words
  await queue.enqueue('text', { onShort: 'perhaps' })
  // @ts-expect-error: a Date, or a number
  await queue.enqueue('text', { at: 'tomorrow' })
  // @ts-expect-error: a date is one message's
  member.queue('jobs', { at: new Date() })
  // @ts-expect-error: a dedup key is one message's
  member.queue('jobs', { dedup: 'order-42' })
  // @ts-expect-error: and so is its window
  member.queue('jobs', { dedupWindow: '1h' })
  // @ts-expect-error: one of three words
  await queue.enqueue('text', { ifNoGroup: 'perhaps' })
  // @ts-expect-error: a group is a name
  queue.subscribe({ group: 7 })
  // @ts-expect-error: which one
  queue.createGroup()
  // @ts-expect-error: a reason is given
  await (await queue.receive())?.reject()
  // @ts-expect-error: it may be null
  await (await queue.receive()).ack()
  // @ts-expect-error: read only
  queue.name = 'other'
  const delivery: Delivery<{ to: string }> | null = await queue.receive()
  // @ts-expect-error: the body has no such field
  delivery?.json().from
  // @ts-expect-error: what is asked for is given, not told by a callback
  member.on('chat', () => {})
  // @ts-expect-error: it is said whether they are kept
  member.reclaim()
  // @ts-expect-error: there may be nothing
  member.get('key').toString()
}
