//! Every bound in one place, with its unit and its reason. Nothing in Primer grows without one.

use super::time::Millis;

/// Longest queue, member and header name, in bytes of UTF-8 (protocol.md 4.1).
pub const NAME_BYTES_MAX: usize = 255;
/// Largest frame on a link. Checked before anything is decoded.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
/// Largest body until chunking exists: half a frame, so that one always fits.
pub const BODY_BYTES_MAX: usize = 512 << 10;
/// All headers of one message together, keys and values.
pub const HEADER_BYTES_MAX: usize = 16 << 10;
/// Headers of one message.
pub const HEADERS_MAX: usize = 64;
/// Headers more that a dead letter has, about its end, and their bytes.
pub const DEATH_HEADERS: usize = 8;
/// See [`DEATH_HEADERS`].
pub const DEATH_HEADER_BYTES: usize = 2 << 10;
/// Longest reason of a reject, in bytes; what is longer is cut.
pub const REASON_BYTES_MAX: usize = 512;
/// The priority of a message that asks for none, of 0 (last) to 9 (first).
pub const PRIORITY: u32 = 4;
/// Default of `max_attempts`: given out this often, a message is a dead letter (protocol.md 4.4).
pub const ATTEMPTS_MAX: u32 = 16;
/// Longest key of a message, in bytes of UTF-8: as a name.
pub const KEY_BYTES_MAX: usize = 255;
/// Default of `dedup_window_ms`: as long as the field's best known queue remembers.
pub const DEDUP_WINDOW_MS: Millis = 300_000;
/// Longest `dedup_window_ms`: a week. What is remembered of a key costs memory for twice as long.
pub const DEDUP_WINDOW_MS_MAX: Millis = 604_800_000;
/// Members that remember a dedup key (protocol.md 4.6): its home.
pub const DEDUP_HOMES: usize = 3;
/// Dedup keys that one member remembers, about 150 bytes each.
pub const DEDUP_RECORDS_MAX: usize = 1 << 20;
/// Enqueues with dedup keys that wait at one member for what others remember.
pub const DEDUP_OPEN_MAX: usize = 1_024;
/// Keys in one frame of what is remembered.
pub const DEDUP_TELL_MAX: usize = 1_024;
/// Most messages of one key that a queue may have out at a time.
pub const KEY_CONCURRENCY_MAX: u32 = 1_000;
/// Enqueues that other members take for this one, without an answer yet.
pub const FORWARDS_MAX: usize = 1_024;
/// Bytes of these: what a link takes before its member is passed over.
pub const FORWARD_BYTES_MAX: usize = 8 << 20;
/// Numbers of the last enqueues that were taken for one member, so that none is taken twice: more than it
/// may have under way.
pub const TAKEN_MAX: usize = 4 * FORWARDS_MAX;
/// Messages in one `enqueue_many`, `receive` or `ack_many`: bounds the work of one engine call.
pub const BATCH_MAX: usize = 4_096;
/// Messages that one demand may ask of one member, so that a fetch stays a few frames.
pub const DEMAND_MAX: u32 = 1_024;
/// Bytes of bodies that one demand may bring: half a frame leaves room for envelopes.
pub const DEMAND_BYTES_MAX: usize = 512 << 10;
/// Copies of one message, the owner's included. Confirmations are a 128-bit set.
pub const COPIES_MAX: u16 = 16;
/// Stores that may ever hold one message: the width of the confirmation set (a u128).
pub const HOLDERS_MAX: usize = 128;
/// Queues known to one member.
pub const QUEUES_MAX: usize = 1 << 20;
/// Named groups of one queue (protocol.md 4.4).
pub const GROUPS_MAX: usize = 64;
/// Settings of one queue or policy.
pub const SETTINGS_MAX: usize = 64;
/// Bytes of their names and values.
pub const SETTINGS_BYTES_MAX: usize = 8 << 10;
/// Names of queues that members told their lengths of: those with a maximum.
pub const LENGTHS_MAX: usize = 1 << 16;
/// Members of one cluster. The mesh is designed for 100 (protocol.md 1.4).
pub const MEMBERS_MAX: usize = 1_024;
/// Seeds in the options.
pub const SEEDS_MAX: usize = 64;
/// Subscriptions open at one member.
pub const SESSIONS_MAX: usize = 1 << 16;
/// Unsettled deliveries of one subscription.
pub const CREDIT_MAX: u32 = 1 << 16;
/// Calls waiting for an answer at one member.
pub const WAITERS_MAX: usize = 1 << 20;
/// Calls that wait for their replies at one member: each may bring a body.
pub const CALLS_MAX: usize = 1 << 16;
/// Messages of one page of a browse.
pub const BROWSE_MAX: u32 = 1_000;
/// Messages of a page that does not ask for another number.
pub const BROWSE_DEFAULT: u32 = 100;
/// How much of each body a page brings, where it is not asked for another number.
pub const BROWSE_BODY_BYTES: u32 = 64 << 10;
/// Bytes of one page, and of one member's answer to it: half a frame, so that one large message still
/// fits beside its headers.
pub const BROWSE_BYTES_MAX: usize = 512 << 10;
/// Browses under way at one member, and those of one member that another works on.
pub const BROWSES_MAX: usize = 32;
/// Browses that one member works on at a time: each keeps the places of up to `BROWSE_MAX` messages.
pub const SCANS_MAX: usize = 256;
/// Accounts of one member about one message: of it in each group, and of each dead letter.
pub const ACCOUNTS_MAX: usize = 192;
/// Members named in one member's facts about a queue: those that have leased messages, or are not reached.
pub const FACT_MEMBERS_MAX: usize = 16;
/// Default of a browse's `timeout_ms`.
pub const BROWSE_TIMEOUT_MS: Millis = 2_000;
/// Longest `timeout_ms` of a browse.
pub const BROWSE_MS_MAX: Millis = 60_000;
/// Messages that one redrive moves at most, however long that takes.
pub const REDRIVE_MAX: u64 = 1_000_000;
/// Messages that a redrive moves which does not ask for another number.
pub const REDRIVE_DEFAULT: u64 = 10_000;
/// Ids in one redrive.
pub const REDRIVE_IDS_MAX: usize = 1_000;
/// Messages moved in one step of a redrive.
pub const REDRIVE_STEP_MAX: u32 = 256;
/// Messages of all redrives at one member whose copies are on their way; with their bytes half of
/// what a link takes before its member is passed over, so that none has fewer copies for it.
pub const REDRIVE_OPEN_MAX: usize = 1_024;
/// The bytes of the bodies of these.
pub const REDRIVE_BYTES_MAX: u64 = 4 << 20;
/// Default of a redrive's `timeout_ms`.
pub const REDRIVE_TIMEOUT_MS: Millis = 30_000;
/// Longest `timeout_ms` of a redrive.
pub const REDRIVE_MS_MAX: Millis = 600_000;
/// Default of a call's `timeout_ms`.
pub const CALL_TIMEOUT_MS: Millis = 30_000;
/// Runs of finished ids kept for stores that have not confirmed (protocol.md 4.5: 64 MiB).
pub const TOMBSTONE_RUNS_MAX: usize = 1 << 20;
/// Runs of ids remembered after everything about them is gone; two generations of this.
pub const FINGERPRINT_RUNS_MAX: usize = 1 << 20;
/// What a held message costs beside its body, for the memory budget (protocol.md 4.7).
pub const MESSAGE_OVERHEAD_BYTES: u64 = 300;
/// What the place in line of a message with a key costs beside that: two places in ordered maps, and where the key
/// has no other message, its line and its place in the ring.
pub const LINE_OVERHEAD_BYTES: u64 = 400;
/// From these shares of the memory budget on, in percent, a member is at level 1, 2, 3 and 4 (protocol.md 4.7).
pub const MEMORY_LEVELS: [u64; 4] = [70, 85, 95, 100];
/// So far below its beginning, in percent of the budget, a level is left again.
pub const MEMORY_SLACK_PERCENT: u64 = 5;
/// What an enqueue is told that finds no memory: so long a consumer needs for some messages, and a producer
/// that comes back by then costs nothing. A guess.
pub const OVERLOADED_RETRY_MS: Millis = 1_000;
/// Messages that one demand asks for where memory is short.
pub const DEMAND_SPARING_MAX: u32 = 16;
/// The bytes of these.
pub const DEMAND_SPARING_BYTES_MAX: u64 = 64 << 10;
/// Between two looks for queues that keep room which they do not use, where memory is short.
pub const SPARE_MS: Millis = 10_000;
/// Messages looked at in one bounded step of takeover or hand-over (protocol.md 4.6).
pub const STEP_MESSAGES_MAX: usize = 5_000;
/// Bytes waiting on a link's bulk lane before its member is passed over.
pub const BULK_BYTES_MAX: usize = 8 << 20;
/// Bytes waiting on a link's control lane before the link is cut and dialled again.
pub const CONTROL_BYTES_MAX: usize = 32 << 20;
/// Body of one `broadcast`.
pub const BROADCAST_BYTES_MAX: usize = 64 << 10;
/// Events kept for a host that has not looked (tests/conformance/surface.toml).
pub const EVENTS_MAX: usize = 1_024;
/// Largest handshake frame; nothing bigger is read from a stranger.
pub const HELLO_BYTES_MAX: usize = 4 << 10;
/// A stranger that has not finished its handshake by then is hung up on.
pub const HELLO_MS: Millis = 5_000;
/// Connections that have not finished their handshake.
pub const STRANGERS_MAX: usize = 256;
/// Of these, from one address where others than this machine can connect. A newcomer beyond it
/// takes the place of the oldest, so that connections that never speak keep nobody out.
pub const STRANGERS_PER_ADDRESS_MAX: usize = 64;
/// Bytes read from a stranger during the TLS handshake, and as many again until it is known: what
/// bounds its memory (core/docs/security.md has the measured figure). A member needs a third of it.
pub const STRANGER_BYTES_MAX: usize = 2 << 10;
/// Bytes more during the TLS handshake where strangers show certificates.
pub const STRANGER_CHAIN_BYTES_MAX: usize = 512;

/// Heartbeats on the control lane of an idle link (protocol.md 1.3).
pub const HEARTBEAT_MS: Millis = 1_000;
/// Silence for this long makes a member suspect: others are asked about it (protocol.md 1.3).
pub const SUSPECT_MS: Millis = 2_000;
/// Silence or a closed link for this long makes a member unreachable (protocol.md 1.3).
pub const UNREACHABLE_MS: Millis = 3_000;
/// A link silent for this long is given up and dialled again: its host may be gone without a word,
/// and after a cut a new connection is there sooner than the old one sends again.
pub const LINK_DEAD_MS: Millis = 6_000;
/// First pause between two dials of one address.
pub const DIAL_MS_MIN: Millis = 100;
/// Longest pause between two dials of one address; dialling never ends.
pub const DIAL_MS_MAX: Millis = 30_000;
/// Longest pause between two dials of an address where nothing answers at all: each dial waits for
/// seconds itself, and whoever is cut off should be met soon after the cut ends.
pub const DIAL_SILENT_MS_MAX: Millis = 2_000;
/// `open` waits this long for a first seed, then serves alone.
pub const SEED_WAIT_MS: Millis = 2_000;
/// `join` gives up after this.
pub const JOIN_MS: Millis = 5_000;
/// Default of `enqueue_timeout_ms`.
pub const ENQUEUE_TIMEOUT_MS: Millis = 5_000;
/// Default of `lease_ms`.
pub const LEASE_MS: Millis = 30_000;
/// Longest lease: a day; longer work extends it.
pub const LEASE_MS_MAX: Millis = 86_400_000;
/// Longest `max_run_ms`: for this long at most a delivery's lease is extended by Primer itself, a year.
pub const RUN_MS_MAX: Millis = 31_536_000_000;
/// Leases of one subscription that are extended in one step; the rest follows at once.
pub const KEEP_STEP_MAX: usize = 1_024;
/// Longest wait of one `receive`.
pub const WAIT_MS_MAX: Millis = 86_400_000;
/// Longest delay of a `nack` or a message, and longest time to live: a year.
pub const DELAY_MS_MAX: Millis = 31_536_000_000;
/// How wrong a member's clock may be (protocol.md 4.5): a copy outlives its message's time by so much,
/// unless its owner says before that it expired.
pub const CLOCK_ERROR_MS_MAX: Millis = 3_600_000;
/// Default of `takeover_after_ms`.
pub const TAKEOVER_AFTER_MS: Millis = 10_000;
/// Default of `repair_after_ms`: a holder away for this long is no copy any more (protocol.md 4.6).
pub const REPAIR_AFTER_MS: Millis = 60_000;
/// Default of `retire_after_ms` (protocol.md 1.2).
pub const RETIRE_AFTER_MS: Millis = 3_600_000;
/// Longest `retire_after_ms`: a year.
pub const RETIRE_AFTER_MS_MAX: Millis = 31_536_000_000;
/// Longest name of a zone, in bytes.
pub const ZONE_BYTES_MAX: usize = 64;
/// How long a row is kept whose member has not come yet. Guess: far longer than a handshake's way through
/// the cluster; a row that is dropped too early comes again with the next whole list.
pub const EARLY_ROW_MS: Millis = 10_000;
/// So often members compare what they count of each other's copies (protocol.md 4.8).
pub const INVENTORY_MS: Millis = 300_000;
/// Step between the ranks of holders that may take a message over (protocol.md 4.6).
pub const TAKEOVER_RANK_MS: Millis = 2_000;
/// A lease that lasts longer than this is told to those who hold copies.
pub const LEASE_HINT_MS: Millis = 20;
/// Leases of other owners that are remembered at most; of more a takeover knows nothing.
pub const LEASE_HINTS_MAX: usize = 100_000;
/// How long a delivery waits for a holder that is told of it before.
pub const ANNOUNCE_MS: Millis = 100;
/// Default of `memory_bytes_max`.
pub const MEMORY_BYTES_MAX: u64 = 1 << 30;
/// A demand that was not answered by then is asked elsewhere.
pub const DEMAND_MS: Millis = 2_000;
/// A nack, release or extend that its owner did not answer by then is in doubt.
pub const SETTLE_MS: Millis = 5_000;
/// First pause before unfinished acks are sent again to a member; doubles (protocol.md 4.5).
pub const ACK_RETRY_MS_MIN: Millis = 1_000;
/// Longest pause before unfinished acks are sent again to a member.
pub const ACK_RETRY_MS_MAX: Millis = 180_000;
/// A holder that did not ack itself starts a round only for tombstones older than this.
pub const TOMBSTONE_ADOPT_MS: Millis = 30_000;
/// How long a finished id is remembered after its last trace is gone: far above any frame's life.
pub const FORGET_GRACE_MS: Millis = 600_000;
/// First pause of a nack without a delay; doubles with each attempt.
pub const NACK_MS_MIN: Millis = 1_000;
/// Longest pause of a nack without a delay.
pub const NACK_MS_MAX: Millis = 600_000;
/// A copyset is kept this long, then drawn anew (protocol.md 4.3).
pub const COPYSET_MS: Millis = 10_000;
/// Copysets a member holds at a time.
pub const COPYSETS: usize = 4;
/// `leave` hands its copies over for at most this long by default.
pub const DRAIN_MS: Millis = 30_000;
/// `close` flushes what is queued for at most this long.
pub const FLUSH_MS: Millis = 1_000;
