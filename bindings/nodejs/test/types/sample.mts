// What people write first, as TypeScript. It is compiled by `tsc --strict`, and then it is run: Node.js 20 does
// not know `await using` yet, so tsc writes it out.

import primer, { open, start, MemberDown, NotNow, PrimerError } from 'primer'
import type { Broadcast, Change, Delivery, Entry, Event, Member, Queue, Receipt, Subscription, Topic, Watch } from 'primer'

interface Email {
  to: string
}

let closed: { readonly isClosed: boolean }
{
  await using member = await open({ cluster: 'types', discover: null, lease: '30s', enqueueTimeout: 2_000, repairAfter: '5m', retireAfter: '2h', maxAttempts: 8 })
  closed = member
  const emails: Queue<Email> = member.queue<Email>('emails', { onShort: 'degrade' })

  const receipt: Receipt = await emails.enqueue({ to: 'ada' }, { copies: 1, headers: { kind: 'hello' }, timeout: '2s' })
  const [first] = await emails.enqueueMany([{ to: 'bob' }, { to: 'eve' }])
  if (receipt.copies !== 1 || first?.wanted !== 1) throw new Error('a receipt says how many members hold it')

  const delivery: Delivery<Email> | null = await emails.receive({ wait: '5s', signal: AbortSignal.timeout(60_000) })
  if (!delivery) throw new Error('the message is there')
  const to: string = delivery.json().to
  const kind: string | undefined = delivery.headers['kind']
  await delivery.ack()

  const subscription: Subscription<Email> = emails.subscribe({ credit: 8 })
  const others: string[] = []
  await emails.enqueue({ to: 'late' }, { priority: 9, at: new Date(Date.now() + 86_400_000), ttl: '2d', maxAttempts: 2 })
  for await (const message of subscription) {
    others.push(message.json().to)
    await message.ack()
    if (others.length === 2) break
  }

  emails.createGroup('audit', { backlog: true })
  const groups: string[] = emails.groups()
  await emails.enqueue({ to: 'all' }, { ifNoGroup: 'refuse' })
  const audited: Delivery<Email> | null = await emails.receive({ group: 'audit', wait: '20s' })
  await using mailer: Subscription<Email> = emails.subscribe({ group: 'mailer', backlog: false })
  emails.removeGroup('audit')
  if (groups.length !== 1 || audited?.json().to !== 'late' && audited?.json().to !== 'all') throw new Error('it is in its group')

  const members: Member[] = member.members()
  const count: number | undefined = member.stats()['members']
  const events = member.events()
  const event: Event | null = await events.next({ wait: 0 })
  events.close()
  using let_go = await emails.receive()

  await using chat: Topic<Email> = member.on<Email>('chat')
  const watch: Watch = member.watch('config/')
  member.broadcast('chat', { to: 'all' })
  member.put('config/colour', 'red')
  const told: Broadcast<Email> | null = await chat.next({ wait: '20s' })
  const change: Change = await watch.next()
  const [entry]: Entry[] = member.list('config/')
  const colour: Buffer | null = member.get('config/colour')
  member.delete('config/colour')
  for await (const { key, value } of watch) {
    if (key === 'config/colour' && value === null) break
  }
  const news = { told: told?.json().to, change: change.value?.toString(), entry: entry?.value.toString(), colour: colour?.toString() }
  const reclaimed: number = member.reclaim({ keep: false })
  if (reclaimed !== 0 || chat.missed + watch.missed !== 0) throw new Error('nothing was evicted, nothing was missed')

  try {
    await emails.enqueue({ to: 'nobody' }, { copies: 3, onShort: 'fail' })
  } catch (error) {
    if (!(error instanceof NotNow)) throw error
    const number: number = error.number
    const retryAfterMs: number | undefined = error.retryAfterMs
    if (retryAfterMs !== undefined || number !== 202 || error.code !== 'PRIMER_UNREACHABLE') throw error
  }
  console.log(JSON.stringify({ to, kind, others, members: members.length, event, let_go, count: typeof count, news }))
}
if (!closed.isClosed) throw new Error('leaving the block closes the member')

// The same values by every name.
const same: typeof open = primer.open
const error: unknown = await start().close().catch((reason: unknown) => reason)
if (same !== open || error instanceof PrimerError || error instanceof MemberDown) throw new Error('not the same')
