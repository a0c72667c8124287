/// <reference types="node" />

// The values that the verbs of lib.d.ts take and give, beside the classes there.

/** A duration: a number of milliseconds, or text: "250ms", "30s", "5m", "2h", "1d". */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`

/** What to do when fewer members than wanted can take a copy in time. */
export type OnShort = 'degrade' | 'fail' | 'wait'

/** What becomes of a message where its queue has no group: it waits there, the receipt says 0 copies, or 102. */
export type IfNoGroup = 'hold' | 'drop' | 'refuse'

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
  /** What others are told to dial, "host:port", where that is not where this member listens. */
  advertise?: string
  /** What fails together with this member (a host, a rack, a data centre): copies go to other zones first. */
  zone?: string
  /**
   * How members find each other without addresses: "local", those of this user on this machine, is the default
   * where a cluster is named and neither seeds nor a place to listen are; null (or "none"): not at all.
   */
  discover?: 'local' | 'none' | null | false
  /** A directory of this member's own, made when it is missing: it is the same member again after a restart. */
  dataDir?: string
  /** Copies of a message, this member's included, 1 to 16. Default: 2, or 1 when alone. */
  copies?: number
  /** How the members that get copies are chosen: few sets of them at a time, or anew for each enqueue. Default: "sticky". */
  placement?: 'sticky' | 'shuffle_each'
  /** Default: "degrade". */
  onShort?: OnShort
  /** When "fewer" is decided. Default: 5 s. */
  enqueueTimeout?: Duration
  /** How long a delivered message is its consumer's. Default: 30 s. */
  lease?: Duration
  /** Given out this often, a message is a dead letter: it goes on in the queue "<queue>.dead". Default: 16. */
  maxAttempts?: number
  /** An owner unreachable for this long loses its messages to a holder of a copy. Default: 10 s. */
  takeoverAfter?: Duration
  /** A member unreachable for this long is no holder any more: its copies are made elsewhere. Default: 60 s. */
  repairAfter?: Duration
  /**
   * A member without a name and a directory that was unreachable for this long leaves the set; it loses nothing and
   * is in it again when it comes back. Default: 1 h.
   */
  retireAfter?: Duration
  /**
   * Budget for held messages. From 70 % of it on another member with room accepts what is new; an enqueue for which nobody
   * has room fails with 203. Default: 1 GiB, or a quarter of what the control group allows if that is less.
   */
  memoryBytesMax?: number
  /** Largest body; beyond it enqueue fails with 104. Default: 524,288. */
  bodyBytesMax?: number
  /**
   * What all members share and nobody else knows (`openssl rand -base64 32`); up to three while it is changed. With
   * one, members talk over TLS and may be on other machines.
   */
  secret?: string | readonly string[]
  /** A PEM file: the authority that every member's certificate comes from. Goes with the next two. */
  tlsCa?: string
  /** A PEM file: this member's certificate. */
  tlsCert?: string
  /** A PEM file: its key, which others must not be able to read. */
  tlsKey?: string
}

/** What a producer may ask for a message. */
export interface Terms {
  /** 0 (last) to 9 (first). Default: 4. */
  priority?: number
  /** Given out only after so long; a year at most. */
  delay?: Duration
  /** Given out only from then on, instead of `delay`: a Date, or milliseconds since 1970. A past date is now. */
  at?: Date | number
  /** Not given out after so long: it expires. */
  ttl?: Duration
  /** Given out this often it is a dead letter, in the queue "<queue>.dead". Default: the owner's. */
  maxAttempts?: number
  /** Finished when it is given out: one copy, never repeated, lost with its member. */
  atMostOnce?: boolean
  /** What becomes of it where the queue has no group. Default: "hold". */
  ifNoGroup?: IfNoGroup
  /** Messages of one key are given out in line, one at a time (`keyConcurrency`): 1 to 255 bytes of UTF-8. */
  key?: string
  /**
   * Within `dedupWindow` messages with the same are one, and the receipt says so: 1 to 255 bytes of UTF-8. 101 for more
   * than one message, for `call`, and with `atMostOnce`.
   */
  dedup?: string
  /**
   * How long that is, from the first one on, a week at most. Default: 5 minutes. 101 without `dedup`. Another window is
   * another key.
   */
  dedupWindow?: Duration
}

/** In which group a consumer is. */
export interface InGroup {
  /** Its name; one that does not exist is created. Default: the queue itself. */
  group?: string
  /** A group that is created gets what waits in the queue, too. Default: only what comes from then on. */
  backlog?: boolean
}

/** Options of one enqueue; what is not given is the queue's default, then the member's. */
/** What holds in a queue where a message or a call does not say; null unsets one. */
export interface Settings {
  /** Copies of a message. */
  copies?: number | null
  /** What to do with fewer copies. */
  onShort?: OnShort | null
  /** When "fewer" is decided. */
  enqueueTimeout?: Duration | null
  /** How long a consumer has a message. */
  lease?: Duration | null
  /** Given out this often, a message is a dead letter. */
  maxAttempts?: number | null
  /** How long a message may wait: then it expires. */
  ttl?: Duration | null
  /** The pause after a first nack without a delay; it doubles with each attempt. */
  backoff?: Duration | null
  /** The longest of these pauses. */
  backoffMax?: Duration | null
  /** The queue of its dead letters; '<queue>.dead'. */
  deadLetters?: string | null
  /** How many messages it may have in the cluster, or each of its groups. */
  messagesMax?: number | null
  /** How many bytes their bodies may have together. */
  bytesMax?: number | null
  /** At its maximum a queue refuses what comes (201), or its oldest message goes, as a dead letter. */
  overflow?: 'refuse' | 'drop_oldest' | null
  /** How long an owner may be out of reach before a holder of a copy takes over. */
  takeoverAfter?: Duration | null
  /** How many messages of one key are given out at a time, up to 1,000; 1, which is in order. */
  keyConcurrency?: number | null
  /** As `pause` and `resume` set it. */
  paused?: 'none' | 'in' | 'out' | 'both' | null
}

/** Settings as they hold: numbers, with times in milliseconds, and words. */
export interface CurrentSettings {
  copies?: number
  onShort?: OnShort
  enqueueTimeout?: number
  lease?: number
  maxAttempts?: number
  ttl?: number
  backoff?: number
  backoffMax?: number
  deadLetters?: string
  messagesMax?: number
  bytesMax?: number
  overflow?: 'refuse' | 'drop_oldest'
  takeoverAfter?: number
  keyConcurrency?: number
  paused?: 'none' | 'in' | 'out' | 'both'
}

export interface EnqueueOptions extends Terms {
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

/** Options of one call. */
export interface CallOptions extends EnqueueOptions {
  /** How long to wait for the reply; without a `ttl` the message expires with it. Default: 30 s. */
  timeout?: Duration
  /** Stops waiting for the reply; the message may be handled all the same. */
  signal?: AbortSignal
}

/** Options of one receive. */
export interface ReceiveOptions extends InGroup {
  /** How long to wait for the first message. Default: not at all. Infinity waits until one comes. */
  wait?: Duration | typeof Infinity
  lease?: Duration
  /** Stops waiting; what was leased for it goes back. */
  signal?: AbortSignal
}

/** What a message is doing: anyone may have it, it waits for its time, somebody has it. */
export type State = 'ready' | 'delayed' | 'leased'

/** What a message is to a member: its owner's word, a copy, how it ended, that it is finished, or nothing. */
export type Known =
  | 'replicating' | 'ready' | 'delayed' | 'leased' | 'moving' | 'dying' | 'standby'
  | 'acked' | 'dead' | 'expired' | 'aborted' | 'forgotten' | 'unknown'

/** What may be the matter with a queue, the most important first. */
export type FindingCode =
  | 'paused_out' | 'owner_unreachable' | 'member_missing' | 'no_group' | 'no_consumer' | 'no_credit' | 'all_leased' | 'delayed'
  | 'key_busy' | 'paused_in' | 'full' | 'memory' | 'empty' | 'healthy'

/** What a look at a queue's messages asks for. */
export interface BrowseOptions {
  /** At most this many on a page, 1 to 1,000. Default: 100. */
  max?: number
  /** The cursor of the page before. Default: the oldest message. */
  after?: string | null
  /** Messages of that group, the queue's own by default. One that does not exist is not created. */
  group?: string
  /** Those in one of these states. Default: all. */
  states?: Iterable<State>
  /** Those that have all of these headers. */
  headers?: Headers
  /** How much of each body comes along. Default: 65,536. */
  bodyBytesMax?: number
  /** How long to wait for the other members, a minute at most. Default: 2 s. */
  timeout?: Duration
  signal?: AbortSignal
}

/** Which messages go back, and where they go. */
export interface RedriveOptions {
  /** The queue that they go to. Default: where each came from. */
  to?: string | null
  /** At most this many of all members together, 1 to 1,000,000. Default: 10,000. */
  max?: number
  /** Those that have all of these headers, such as `primer-cause` or `primer-group`. */
  headers?: Headers
  /** These alone, 1,000 at most, by the ids that a browse shows. Default: all. */
  ids?: Iterable<string>
  /** They are counted and stay where they are. */
  dryRun?: boolean
  /** How long to wait for all members, 10 minutes at most. Default: 30 s. */
  timeout?: Duration
  signal?: AbortSignal
}

/** Options of one subscription. */
export interface SubscribeOptions extends InGroup {
  /** Unsettled deliveries at most, 1 to 65,536. Default: 64. */
  credit?: number
  /** Nothing more while the bodies of unsettled deliveries are so many bytes; one message is always allowed. */
  creditBytes?: number
  lease?: Duration
  /** For so long Primer itself extends the lease of an unsettled delivery, also while the event loop is blocked. */
  maxRun?: Duration
  /** Ends the iteration with the signal's reason. */
  signal?: AbortSignal
}

/** Options of a worker. */
export interface WorkerOptions extends Omit<SubscribeOptions, 'credit'> {
  /** Handlers at a time. Default: 1. */
  concurrency?: number
  /** For so long a handler's message is its own, however short the lease. Default: an hour. */
  maxRun?: Duration
  /** Closes the worker without a drain. */
  signal?: AbortSignal
}

/** Defaults of a queue's calls. */
export interface QueueOptions extends Omit<Terms, 'at' | 'dedup' | 'dedupWindow'> {
  copies?: number
  onShort?: OnShort
  timeout?: Duration
  lease?: Duration
  headers?: Headers
}

/** Options of a wait for the next delivery or piece of news. */
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
  /** How near it is to its memory budget, 0 to 4, as it told the asked member; from 3 on it takes nothing new. */
  memoryLevel: number
  /** What fails together with it; empty when it was told none. */
  zone: string
}

export type EventKind =
  | 'joined' | 'left' | 'suspect' | 'unreachable' | 'reachable' | 'split' | 'healed' | 'conflict' | 'evicted' | 'takeover' | 'refused'

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

/** A key with the value that is read. Its bytes are this entry's own; small ones share memory. */
export interface Entry {
  key: string
  value: Buffer
  /** When it was written, by its writer's clock: milliseconds since 1970. */
  atMs: number
  /** Values that were written at the same time and lost to it, newest first. */
  others: Buffer[]
}

/** A key that has another value. */
export interface Change {
  key: string
  /** Null when it was removed. */
  value: Buffer | null
}
