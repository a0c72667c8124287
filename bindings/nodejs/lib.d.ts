/// <reference types="node" />
/// <reference lib="esnext.disposable" />

import { EventEmitter } from 'node:events'
import type {
  Body, BrowseOptions, CallOptions, Change, CurrentSettings, Duration, EnqueueOptions, Entry, Event, FindingCode, Headers, Known, Member,
  NextOptions, Options, QueueOptions, ReceiveOptions, RedriveOptions, Settings, State, SubscribeOptions, WorkerOptions,
} from './lib/values.cjs'
// Their types stand in lib/values.d.cts.
export * from './lib/values.cjs'

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
  /**
   * What every member that answers within two seconds knows of a message, by its id: who owns it and what it does there,
   * who has a copy, who remembers its end; in each group, and with its dead letter. Changes nothing.
   */
  explain(id: string, options?: { signal?: AbortSignal }): Promise<Explanation>
  /** A reader of what happens to the cluster from now on. */
  events(options?: { signal?: AbortSignal }): Events
  /** The queue of that name; it need not exist. `options` are the defaults of its calls. */
  queue<T = unknown>(name: string, options?: QueueOptions): Queue<T>
  /**
   * Takes a member out of the set for good, by its id. It deletes nothing: what it holds is set aside there. 101 for
   * this member itself, 102 for none of the set.
   */
  evict(member: string): void
  /** After this member was evicted: gives what it set aside out again, or drops it. How many messages that were. */
  reclaim(options: { keep: boolean }): number
  /**
   * Takes these secrets of the cluster from now on, one to three, instead of those it has; links that are up stay. All
   * of them are accepted: give every member the old and the new one, then every member the new one alone.
   */
  rotate(secrets: string | readonly string[]): void
  /** Tells everyone who listens to the topic, this member included: at once, best effort, nothing is stored. Up to 64 KiB. */
  broadcast<T = unknown>(topic: string, body: Body<T>): void
  /** A reader of what is broadcast to the topic from now on. `T` is what its JSON bodies are. */
  on<T = unknown>(topic: string, options?: { signal?: AbortSignal }): Topic<T>
  /** Writes a key for the whole cluster: here at once, elsewhere soon. Up to 64 KiB. */
  put<T = unknown>(key: string, value: Body<T>): void
  /** What is under the key as this member knows it; null when nothing is. */
  get(key: string): Buffer | null
  /** Removes a key for the whole cluster; one that is not there is no error. */
  delete(key: string): void
  /** The keys that begin with the prefix (all), ascending. */
  list(prefix?: string): Entry[]
  /** A reader of changes of the keys that begin with the prefix (all), from now on. */
  watch(prefix?: string, options?: { signal?: AbortSignal }): Watch
  /**
   * Settings for every queue whose name begins with the prefix ('' for all), in place of those before. The longest
   * prefix counts, whole; a queue's own settings are above it.
   */
  setPolicy(prefix: string, settings: Settings): void
  /** Removes a policy; one that is not there is no error. */
  removePolicy(prefix: string): void
  /** The policies as this member knows them, by their prefixes. */
  policies(): Record<string, CurrentSettings>
}

/** A best-effort-order queue. `T` is what its JSON bodies are. */
export class Queue<T = unknown> {
  private constructor()
  readonly name: string
  readonly primer: Primer
  /** Puts a message into the queue; its receipt says how many members hold it. */
  enqueue(body: Body<T>, options?: EnqueueOptions): Promise<Receipt>
  /**
   * Puts a message into the queue and waits for the reply of whoever handles it: 302 when none came in time (it may
   * still be handled). `R` is what its JSON bodies are.
   */
  call<R = unknown>(body: Body<T>, options?: CallOptions): Promise<Reply<R>>
  /** Puts up to 4,096 messages into the queue, all or none; they share the options. */
  enqueueMany(bodies: Iterable<Body<T>>, options?: EnqueueOptions): Promise<Receipt[]>
  /** Leases the next message; null when there is none in time. */
  receive(options?: ReceiveOptions): Promise<Delivery<T> | null>
  /** Leases up to `max` messages; empty when there is none in time. */
  receiveMany(max: number, options?: ReceiveOptions): Promise<Delivery<T>[]>
  /**
   * Looks at messages without taking them, at every member that answers in time; changes nothing. A page may be shorter
   * than `max` and not the last: that one has no cursor.
   */
  browse(options?: BrowseOptions): Promise<Page<T>>
  /** All pages one after the other, each asked for when it is wanted. */
  browseAll(options?: BrowseOptions): AsyncGenerator<Page<T>, void, undefined>
  /**
   * Moves dead letters back to where they came from, at every member that answers in time: each to the group that it was
   * in, with its own headers, its attempts beginning anew. With `to`, messages of any queue go to that one.
   */
  redrive(options?: RedriveOptions): Promise<Redriven>
  /**
   * Why nothing is delivered: what every member that answers within two seconds knows of the queue and its groups, and
   * what follows from that. Changes nothing.
   */
  doctor(options?: { signal?: AbortSignal }): Promise<Diagnosis>
  /** Push: at most `credit` unsettled deliveries at a time. */
  subscribe(options?: SubscribeOptions): Subscription<T>
  /**
   * Creates a named group: from now on each message goes to every group once, and a group's consumers share them.
   * With `backlog` it gets what waits in the queue, too. One that exists stays.
   */
  createGroup(group: string, options?: { backlog?: boolean }): void
  /** Removes a group with what it was still owed; one that is not there is no error. */
  removeGroup(group: string): void
  /** The names of the queue's groups as this member knows them, ascending. */
  groups(): string[]
  /**
   * Changes the queue's settings, for the whole cluster: here at once, elsewhere soon. They hold where a message or a
   * call does not say. Those that are not named stay; null unsets one.
   */
  configure(settings: Settings): void
  /** The settings that hold here: the queue's own, then those of its policy. Times in milliseconds. */
  configuration(): CurrentSettings
  /**
   * Stops the queue for the whole cluster: 'in' for producers, who get 204; 'out' for consumers, who get nothing more
   * but keep what they have; or 'both' (the default).
   */
  pause(direction?: 'in' | 'out' | 'both'): void
  /** The queue goes on, in both directions. */
  resume(): void
  /** Ends everything that is in the queue and its groups by now, on every member, also what is leased (402). */
  purge(): void
  /** Calls `handler` for each message, `concurrency` at a time, from now on. */
  worker(handler: Handler<T>, options?: WorkerOptions): Worker
  /** As `delivery.ack()`. */
  ack(delivery: Delivery<T>): Promise<void>
  /** Acks up to 4,096 deliveries, more are 104; one number each, 0 or the error's. */
  ackMany(deliveries: Iterable<Delivery<T>>): Promise<number[]>
  /** As `delivery.reply()`. */
  reply(delivery: Delivery<T>, body: Body, options?: { headers?: Headers }): Promise<void>
  /** As `delivery.nack()`. */
  nack(delivery: Delivery<T>, options?: { delay?: Duration }): Promise<void>
  /** As `delivery.reject()`. */
  reject(delivery: Delivery<T>, reason: string): Promise<void>
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

/** Works on one message. The signal is aborted when the worker is closed and waits no longer. */
export type Handler<T = unknown> = (delivery: Delivery<T>, context: { signal: AbortSignal }) => unknown

/** Thrown by a handler: the message can never succeed; it is a dead letter at once, with this reason. */
export class Reject extends Error {
  constructor(reason?: string)
}

/**
 * Calls a handler for each message of a queue until it is closed. What returns is acked, and what it returns is the
 * reply where somebody waits for one, if it can be a body (a string, bytes, a plain object); what throws is nacked with the
 * back-off, a `Reject` makes a dead letter; what the handler settled itself stays so. A failure is the event
 * `failed` (error, delivery), or a warning of the process where nobody listens. Its leases are kept by Primer's own
 * thread, also while the event loop is blocked.
 */
export class Worker extends EventEmitter implements AsyncDisposable {
  private constructor()
  /** Resolves when every handler has ended, which needs the worker or its member to be closed. */
  readonly ended: Promise<void>
  /**
   * Takes no more and waits up to `drain` (without one: as long as it takes) for the handlers that run. True when all
   * ended; else their signal is aborted and what they have goes back at once. Idempotent.
   */
  close(options?: { drain?: Duration }): Promise<boolean>
  [Symbol.asyncDispose](): Promise<void>
}

/** What happened to the cluster, as one member sees it, from the moment the reader was made. */
export class Events extends Reader<Event> {
  private constructor()
  readonly primer: Primer
  /** Events that were missed, because nobody had looked for longer than 1,024 of them. */
  readonly missed: number
}

/** What is broadcast to a topic, from the moment the reader was made. */
export class Topic<T = unknown> extends Reader<Broadcast<T>> {
  private constructor()
  readonly primer: Primer
  readonly topic: string
  /** Broadcasts that were missed, because nobody had looked for longer than 1,024 of them, or 8 MiB. */
  readonly missed: number
}

/** Changes of the keys that begin with a prefix, from the moment the reader was made. */
export class Watch extends Reader<Change> {
  private constructor()
  readonly primer: Primer
  readonly prefix: string
  /** Changes that were missed, because nobody had looked for longer than 1,024 of them, or 8 MiB. */
  readonly missed: number
}

/** What a member told everyone who listens to a topic. */
export class Broadcast<T = unknown> {
  private constructor()
  readonly topic: string
  /** The id of the member that told it. */
  readonly from: string
  /** Its bytes, a copy of this reader's own. Small ones share memory: keep a copy to keep it for long. */
  readonly body: Buffer
  /** The body as text. */
  text(): string
  /** The body as the value that its JSON describes. */
  json(): T
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
  /** True where its `dedup` was known: the message is that of an earlier enqueue. */
  readonly isDuplicate: boolean
  toJSON(): { id: string; copies: number; durableCopies: number; wanted: number; isDuplicate: boolean }
}

/** What the members that answered know of a message; iterating over it gives their accounts. */
export class Explanation implements Iterable<Account> {
  private constructor()
  /** One or more a member, in the order of the members' ids. */
  readonly accounts: readonly Account[]
  /** The ids of members that did not answer: unreachable, or too slow. */
  readonly missing: readonly string[]
  [Symbol.iterator](): Iterator<Account>
}

/** What one member knows of a message, or of it in one group, or of its dead letter. */
export class Account {
  private constructor()
  /** Whose account it is, by its id. */
  readonly member: string
  /** What the message is there. */
  readonly known: Known
  /** The id there: in a group, or as a dead letter, one of its own. */
  readonly id: string
  /** Null where that is not known any more. */
  readonly queue: string | null
  /** Null for the queue's own. */
  readonly group: string | null
  /** How often it was given out, as far as is known there. */
  readonly attempts: number
  /** The id of the member that owns it, as far as is known there. */
  readonly owner: string | null
  /** The ids of members that may hold it, as far as is known there. */
  readonly holders: readonly string[]
  /** How many of these have confirmed it. */
  readonly confirmed: number
  /** Of a leased one, the id of the member whose consumer has it. */
  readonly lessee: string | null
  /** Of a leased one, how long its lease lasts. */
  readonly leaseMs: number | null
  /** When it was accepted, by the clock of the member that did: milliseconds since 1970. */
  readonly acceptedMs: number | null
  /** Of a delayed one, when it is ready: milliseconds since 1970. */
  readonly readyAtMs: number | null
  /** When it expires: milliseconds since 1970. */
  readonly expiresMs: number | null
}

/** What is the matter with a queue, and what that follows from; iterating over it gives the findings. */
export class Diagnosis implements Iterable<Finding> {
  private constructor()
  /** What is the matter, the most important first; never nothing. */
  readonly findings: readonly Finding[]
  /** What each member knows, of the queue itself and of each of its groups, in the order of the members' ids. */
  readonly facts: readonly Facts[]
  /** The ids of members that did not answer: unreachable, too busy, or too slow. */
  readonly missing: readonly string[]
  [Symbol.iterator](): Iterator<Finding>
}

/** One thing that is the matter with a queue, or with a group of it. */
export class Finding {
  private constructor()
  readonly code: FindingCode
  /** In which group; null for the queue itself. */
  readonly group: string | null
  /** How many messages it is about; 0 where it is about none in particular. */
  readonly messages: number
  /** The ids of members that it is about: who says so, whose consumers have them, or who is not reached. */
  readonly members: readonly string[]
}

/** What one member knows of a queue, or of one group of it. */
export class Facts {
  private constructor()
  /** Whose facts they are, by its id. */
  readonly member: string
  /** Null for the queue itself. */
  readonly group: string | null
  /** Messages that it owns, and anyone may have. */
  readonly ready: number
  /** Those that it owns, and somebody has. */
  readonly leased: number
  /** Those that it owns, and that wait for their time. */
  readonly delayed: number
  /** Copies that it holds of other owners' messages. */
  readonly standby: number
  /** Those of these whose owner it cannot reach. */
  readonly stranded: number
  /** How long ago the oldest ready one was accepted. */
  readonly oldestMs: number | null
  /** In how long the first delayed one is ready. */
  readonly nextReadyMs: number | null
  /** In how long the first lease ends. */
  readonly nextLeaseMs: number | null
  /** The ids of members whose consumers have leased ones; some of them. */
  readonly lessees: readonly string[]
  /** The ids of members that own what is stranded; some of them. */
  readonly owners: readonly string[]
  /** Receives that wait at it. */
  readonly receives: number
  /** Subscriptions that are open at it. */
  readonly subscriptions: number
  /** How many more messages these may be given. */
  readonly credit: number
  readonly paused: 'in' | 'out' | 'both' | null
  /** The beginning of names whose policy pauses it; null where its own setting does, or nothing. */
  readonly pausedBy: string | null
  /** How many messages it may have. */
  readonly messagesMax: number | null
  /** How many bytes of bodies. */
  readonly bytesMax: number | null
  /** One more would be refused. */
  readonly isFull: boolean
  /** How much of the member's memory budget is used. */
  readonly memoryPercent: number
}

/** What became of a redrive, at the members that answered. */
export class Redriven {
  private constructor()
  /** Ready and delayed messages that were meant, whatever the maximum. */
  readonly matched: number
  /** Those of them that are back, each as a message of its own with a new id. */
  readonly moved: number
  /** Those that stay because where they would go they were refused: paused, full, or their group is gone. */
  readonly refused: number
  /** Those that stay because they do not say where they came from, or may be in no two places. */
  readonly skipped: number
  /** Further messages that were meant, but a consumer has them. */
  readonly leased: number
  /** The ids of members that did not answer: unreachable, too busy, or too slow. What they moved is not known. */
  readonly missing: readonly string[]
}

/** A part of a queue's messages, oldest first; iterating over it gives them. */
export class Page<T = unknown> implements Iterable<Browsed<T>> {
  private constructor()
  readonly messages: readonly Browsed<T>[]
  /** The next page's `after`; null where this is the last one. */
  readonly cursor: string | null
  /** The ids of members whose messages are not in it: unreachable, too busy, or too slow. */
  readonly missing: readonly string[]
  [Symbol.iterator](): Iterator<Browsed<T>>
}

/** A message that was looked at: nobody has it for that, and it may be gone by now. */
export class Browsed<T = unknown> {
  private constructor()
  /** Its identity, the same in every group. */
  readonly id: string
  /** Null for the queue's own. */
  readonly group: string | null
  readonly state: State
  /** The producer's bytes, the first of them. Small ones share memory: keep a copy to keep it for long. */
  readonly body: Buffer
  /** How many there are. */
  readonly bodyBytes: number
  /** The producer's headers; of several with one name the last. */
  readonly headers: Readonly<Record<string, string>>
  /** The producer's headers in their order. */
  readonly headerPairs: [string, string][]
  /** How often it was given out. */
  readonly attempts: number
  /** 0 (last) to 9 (first). */
  readonly priority: number
  /** The key that it was put in with, if any: messages of one key are given out in line. */
  readonly key: string | undefined
  /** When it was accepted, by the clock of the member that did: milliseconds since 1970. */
  readonly acceptedMs: number
  /** Of a delayed one, when it is ready: milliseconds since 1970. */
  readonly readyAtMs: number | null
  /** When it expires: milliseconds since 1970. */
  readonly expiresMs: number | null
  /** Of a leased one, how long its lease lasts. */
  readonly leaseMs: number | null
  /** Members that are known to hold it. */
  readonly copies: number
  /** The id of the member that owns it. */
  readonly owner: string
  /** The body as text. */
  text(): string
  /** The body as the value that its JSON describes; all of it must be here. */
  json(): T
}

/** What a call is answered with. */
export class Reply<R = unknown> {
  private constructor()
  /** The handler's bytes. Small ones share memory: keep a copy to keep it for long. */
  readonly body: Buffer
  /** The handler's headers; of several with one name the last. */
  readonly headers: Readonly<Record<string, string>>
  /** The handler's headers in their order. */
  readonly headerPairs: [string, string][]
  /** The body as text. */
  text(): string
  /** The body as the value that its JSON describes. */
  json(): R
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
  /** 0 (last) to 9 (first). */
  readonly priority: number
  /** The key that it was put in with, if any: messages of one key are given out in line. */
  readonly key: string | undefined
  /** True once it was acked, nacked, rejected or released by way of this object. */
  readonly isSettled: boolean
  readonly queue: Queue<T>
  /** The body as text. */
  text(): string
  /** The body as the value that its JSON describes. */
  json(): T
  /** True where somebody waits for a reply: it came by a `call`. */
  readonly wantsReply: boolean
  /**
   * Replies to whoever waits for this message's reply, then acks it. Best effort: a caller that is gone is no error;
   * 101 for a message that asks for no reply.
   */
  reply(body: Body, options?: { headers?: Headers }): Promise<void>
  /** The message is finished. A late ack of an unfinished message succeeds. */
  ack(): Promise<void>
  /**
   * It failed: again after `delay`; without one after 1 s, doubling with each attempt up to 10 minutes, unless the queue's
   * `backoff` and `backoffMax` are set.
   */
  nack(options?: { delay?: Duration }): Promise<void>
  /** It can never succeed: at once a dead letter in the queue "<queue>.dead"; its headers keep 512 bytes of the reason. */
  reject(reason: string): Promise<void>
  /** It was not tried: again at once, for anyone, the attempt not counted. */
  release(): Promise<void>
  /** Its lease lasts this long from now; without one as long as the queue's setting, or else the member's default. */
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
  /** When to try again, in ms, where that is known. */
  readonly retryAfterMs: number | undefined
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
