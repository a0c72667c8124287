/// <reference types="node" />
/// <reference lib="esnext.disposable" />

/** A duration: a number of milliseconds, or text: "250ms", "30s", "5m", "2h", "1d". */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`

/** What to do when fewer members than wanted can take a copy in time. */
export type OnShort = 'degrade' | 'fail' | 'wait'

/** Text (as UTF-8), bytes, or a plain object or array, which is sent as JSON under `content-type: application/json`. */
export type Body<T = unknown> = string | NodeJS.ArrayBufferView | ArrayBuffer | SharedArrayBuffer | (T & object)

/** Names and values; pairs keep their order and may repeat a name. */
export type Headers = Readonly<Record<string, string>> | Iterable<readonly [string, string]>

/** How a member is opened. None at all: one member in memory, without a socket. */
export interface Options {
  /** Which cluster; members of another one are refused. Default: "default". */
  cluster?: string
  /** This member's name: the same name takes the same place again after a restart. */
  name?: string
  /** Where to listen, "127.0.0.1:0" by default; null (or "none") to only dial. */
  listen?: string | null | false
  /** Addresses that are dialled for ever. */
  seeds?: string | readonly string[]
  /** Copies of a message, this member's included, 1 to 16. Default: 2, or 1 when alone. */
  copies?: number
  /** Default: "degrade". */
  onShort?: OnShort
  /** When "fewer" is decided. Default: 5 s. */
  enqueueTimeout?: Duration
  /** How long a delivered message is its consumer's. Default: 30 s. */
  lease?: Duration
  /** An owner unreachable for this long loses its messages to a holder of a copy. Default: 10 s. */
  takeoverAfter?: Duration
  /** Budget for held messages; beyond it enqueue fails with 203. */
  memoryBytesMax?: number
  /** Largest body; beyond it enqueue fails with 104. Default: 524,288. */
  bodyBytesMax?: number
}

/** Options of one enqueue; what is not given is the queue's default, then the member's. */
export interface EnqueueOptions {
  /** Copies wanted, this member's included. */
  copies?: number
  /** What to do with fewer. */
  onShort?: OnShort
  /** When "fewer" is decided. */
  timeout?: Duration
  headers?: Headers
  /** Stops waiting for the receipt; the message may have been accepted all the same. */
  signal?: AbortSignal
}

/** Options of one receive. */
export interface ReceiveOptions {
  /** How long to wait for the first message. Default: not at all. Infinity waits until one comes. */
  wait?: Duration | typeof Infinity
  lease?: Duration
  /** Stops waiting; what was leased for it goes back. */
  signal?: AbortSignal
}

/** Options of one subscription. */
export interface SubscribeOptions {
  /** Unsettled deliveries at most, 1 to 65,536. Default: 64. */
  credit?: number
  lease?: Duration
  /** Ends the iteration with the signal's reason. */
  signal?: AbortSignal
}

/** Defaults of a queue's calls. */
export interface QueueOptions {
  copies?: number
  onShort?: OnShort
  timeout?: Duration
  lease?: Duration
  headers?: Headers
}

/** Options of a wait for the next delivery or event. */
export interface NextOptions {
  /** How long to wait. Default: until there is one. */
  wait?: Duration | typeof Infinity
  signal?: AbortSignal
}

/** A member as another one sees it. */
export interface Member {
  id: string
  /** Empty when it has none. */
  name: string
  /** Empty when it does not listen. */
  address: string
  isSelf: boolean
  /** The asked member's own opinion. */
  isReachable: boolean
}

export type EventKind = 'joined' | 'left' | 'unreachable' | 'reachable' | 'conflict' | 'takeover'

/** Something that happened to the cluster. */
export interface Event {
  /** Wall-clock milliseconds since 1970. */
  atMs: number
  kind: EventKind | (string & {})
  /** The id of the member it happened to. */
  member: string
  name: string
  detail: string
}

/** Starts a member and waits until a seed answered, none is configured, or two seconds passed. */
export function open(options?: Options): Promise<Primer>

/** Starts a member and does not wait for a seed. It works at once, also alone. */
export function start(options?: Options): Primer

/** This process's place in a cluster. Open until it is closed; an idle one does not keep the process alive. */
export class Primer implements AsyncDisposable {
  private constructor()
  /** Where it listens, "127.0.0.1:port"; null when it does not. */
  readonly address: string | null
  /** True once it was closed, or failed. */
  readonly isClosed: boolean
  /** Waits until a seed answered, none is configured, or two seconds passed. */
  joined(): Promise<void>
  /** Dials "host:port" and becomes a member of its cluster. */
  join(address: string, options?: { signal?: AbortSignal }): Promise<void>
  /** Hands every copy over to other members and leaves the cluster; the member stays open, alone. */
  leave(options?: { drain?: Duration; force?: boolean }): Promise<void>
  /** Refuses new work, tells who waits 501, flushes for at most a second. Idempotent. It does not leave the cluster. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
  /** The member set as this member sees it, itself included, in the order of ids. */
  members(): Member[]
  /** Counters and gauges by stable names. */
  stats(): Record<string, number>
  /** A reader of what happens to the cluster from now on. */
  events(options?: { signal?: AbortSignal }): Events
  /** The queue of that name; it need not exist. `options` are the defaults of its calls. */
  queue<T = unknown>(name: string, options?: QueueOptions): Queue<T>
}

/** A best-effort-order queue. `T` is what its JSON bodies are. */
export class Queue<T = unknown> {
  private constructor()
  readonly name: string
  readonly primer: Primer
  /** Puts a message into the queue; its receipt says how many members hold it. */
  enqueue(body: Body<T>, options?: EnqueueOptions): Promise<Receipt>
  /** Puts up to 4,096 messages into the queue, all or none; they share the options. */
  enqueueMany(bodies: Iterable<Body<T>>, options?: EnqueueOptions): Promise<Receipt[]>
  /** Leases the next message; null when there is none in time. */
  receive(options?: ReceiveOptions): Promise<Delivery<T> | null>
  /** Leases up to `max` messages; empty when there is none in time. */
  receiveMany(max: number, options?: ReceiveOptions): Promise<Delivery<T>[]>
  /** Push: at most `credit` unsettled deliveries at a time. */
  subscribe(options?: SubscribeOptions): Subscription<T>
  /** As `delivery.ack()`. */
  ack(delivery: Delivery<T>): Promise<void>
  /** Acks up to 4,096 deliveries; one number each, 0 or the error's. */
  ackMany(deliveries: Iterable<Delivery<T>>): Promise<number[]>
  /** As `delivery.nack()`. */
  nack(delivery: Delivery<T>, options?: { delay?: Duration }): Promise<void>
  /** As `delivery.release()`. */
  release(delivery: Delivery<T>): Promise<void>
  /** As `delivery.extend()`. */
  extend(delivery: Delivery<T>, options?: { lease?: Duration }): Promise<void>
}

/** Readers are told when they have something; leaving a `for await` over one closes it. */
declare abstract class Reader<V> implements AsyncDisposable, Disposable {
  protected constructor()
  /** Up to `max` (256) that are here already. */
  take(max?: number): V[]
  /** The next one, waiting for it; null when `wait` passed without. */
  next(): Promise<V>
  next(options: NextOptions & { wait?: undefined }): Promise<V>
  next(options?: NextOptions): Promise<V | null>
  /** Ends it: what was not handed out goes back. Idempotent. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
  [Symbol.dispose](): void
  [Symbol.asyncIterator](): AsyncGenerator<V, void, undefined>
}

/** Deliveries pushed to this process, at most `credit` of them unsettled. */
export class Subscription<T = unknown> extends Reader<Delivery<T>> {
  private constructor()
  readonly queue: Queue<T>
  /** Raises the number of unsettled deliveries. */
  credit(more: number): Promise<void>
}

/** What happened to the cluster, as one member sees it, from the moment the reader was made. */
export class Events extends Reader<Event> {
  private constructor()
  readonly primer: Primer
  /** Events that were missed, because nobody had looked for longer than 1,024 of them. */
  readonly missed: number
}

/** An enqueue's honest answer. */
export class Receipt {
  private constructor()
  /** The message's identity, the same at every member. */
  readonly id: string
  /** Members that hold the message. */
  readonly copies: number
  /** How many of them have it on disk. */
  readonly durableCopies: number
  /** Copies that were asked for. */
  readonly wanted: number
  toJSON(): { id: string; copies: number; durableCopies: number; wanted: number }
}

/** A message on lease to this process. Let go of unsettled (`using`, or collected), it goes back. */
export class Delivery<T = unknown> implements Disposable {
  private constructor()
  readonly id: string
  /** The producer's bytes, a copy of this delivery's own. Small ones share memory: keep a copy to keep it for long. */
  readonly body: Buffer
  /** The producer's headers; of several with one name the last. */
  readonly headers: Readonly<Record<string, string>>
  /** The producer's headers in their order. */
  readonly headerPairs: [string, string][]
  /** How often the message was given out, this time included. */
  readonly attempts: number
  readonly queue: Queue<T>
  /** The body as text. */
  text(): string
  /** The body as the value that its JSON describes. */
  json(): T
  /** The message is finished. A late ack of an unfinished message succeeds. */
  ack(): Promise<void>
  /** It failed: again after `delay`; without one after 1 s, doubling with each attempt up to 10 minutes. */
  nack(options?: { delay?: Duration }): Promise<void>
  /** It was not tried: again at once, for anyone, the attempt not counted. */
  release(): Promise<void>
  /** Its lease lasts this long from now; without one as long as the member's default. */
  extend(options?: { lease?: Duration }): Promise<void>
  /** Lets go of it: what is not settled goes back at once. */
  [Symbol.dispose](): void
}

/** Why a verb failed. */
export class PrimerError extends Error {
  protected constructor()
  /** The stable number; its hundred says what to do. */
  readonly number: number
  /** The stable name, as "CopiesShort". */
  readonly kind: string
  /** The name as Node.js writes codes, "PRIMER_COPIES_SHORT". */
  readonly code: string
  /** What happened, as a phrase; may be empty. */
  readonly reason: string
  /** The values that matter. */
  readonly context: Readonly<Record<string, string>>
}
/** 1xx: mend the call; nothing happened. */
export class WrongCall extends PrimerError {
  protected constructor()
}
/** 2xx: try again later; nothing happened. */
export class NotNow extends PrimerError {
  protected constructor()
}
/** 3xx: it may have happened; retry if a duplicate is harmless. */
export class InDoubt extends PrimerError {
  protected constructor()
}
/** 4xx: let it go. */
export class TooLate extends PrimerError {
  protected constructor()
}
/** 5xx: this member must stop or be opened again. */
export class MemberDown extends PrimerError {
  protected constructor()
}
