//! The versioned envelope around every room's messages (core/docs/wire.md).
//!
//! A frame is a length (u32, little-endian), a kind (u8) and a body. Kinds 0 and 1 belong to the
//! handshake. Control kinds are prost structs, the others have tight layouts of their own. A kind
//! that this version does not know is skipped.

use alloc::boxed::Box;
use alloc::sync::Arc;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message as Prost;

use super::hosts::{self, HostExchange};
use crate::base::{Error, ErrorKind, Result, limits};
use crate::broadcast::{Gone, Graft, IHave, Message as Broadcast, Prune, Push};
use crate::copies::{Repl, ReplNo, ReplOk};
use crate::membership::{CardList, Heartbeat, Meta, Probe, Rival};
use crate::metadata::{Exchange, Stock};
use crate::queue::Message as Queue;
use crate::queue::{
    Browse, Browsed, Claim, Deliver, Differ, Done, EnqueueFor, EnqueuePart, Examined, Explained,
    Forget, HintOk, Inventory, LeaseHint, Recall, Recalled, Redrive, Remember, Replied, Taken,
};
use crate::wire::Reader;

/// A message between two members.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// Liveness.
    Heartbeat(Heartbeat),
    /// A change of the metadata, told directly.
    Meta(Meta),
    /// A step of the exchange that repairs the metadata.
    Exchange(Box<Exchange>),
    /// What everyone is to hear.
    Broadcast(Box<Broadcast>),
    /// How members are called and found.
    Cards(CardList),
    /// Whether somebody is heard.
    Probe(Probe),
    /// Another process has the receiver's identity.
    Rival(Rival),
    /// Who has ready messages.
    Stock(Stock),
    /// "Tell me your whole stock row."
    StockAsk,
    /// A question or an answer of a host's handler.
    Host(Box<HostExchange>),
    /// Everything about queues; boxed, so that every other value in an effect stays small.
    Queue(Box<Queue>),
}

/// The kind of a handshake's [`crate::membership::Hello`].
pub const KIND_HELLO: u8 = 0;
/// The kind of a handshake's [`crate::membership::Refusal`].
pub const KIND_REFUSAL: u8 = 1;
const HEARTBEAT: u8 = 2;
const META: u8 = 3;
const STOCK: u8 = 4;
const STOCK_ASK: u8 = 5;
const DEMAND: u8 = 6;
const SETTLE: u8 = 7;
const SETTLED: u8 = 8;
const PUSH: u8 = 9;
const I_HAVE: u8 = 10;
const GRAFT: u8 = 11;
const PRUNE: u8 = 12;
const GONE: u8 = 13;
const EXCHANGE: u8 = 14;
const CARDS: u8 = 15;
const REPL: u8 = 16;
const REPL_OK: u8 = 17;
const REPL_NO: u8 = 18;
const DELIVER: u8 = 19;
const SET_DONE: u8 = 20;
const DONE_OK: u8 = 21;
const FORGET: u8 = 22;
const CLAIM: u8 = 23;
const PROBE: u8 = 24;
const RIVAL: u8 = 27;
const HOST_EXCHANGE: u8 = 28;
const REPLIED: u8 = 32;
const BROWSE: u8 = 34;
const BROWSED: u8 = 35;
const EXPLAIN: u8 = 36;
const EXPLAINED: u8 = 37;
const REDRIVE: u8 = 38;
const REDRIVEN: u8 = 39;
const EXAMINE: u8 = 40;
const EXAMINED: u8 = 41;
const LEASE_HINT: u8 = 42;
const HINT_OK: u8 = 43;
const ENQUEUE_FOR: u8 = 44;
const TAKEN: u8 = 45;
const RECALL: u8 = 46;
const RECALLED: u8 = 47;
const INVENTORY: u8 = 48;
const DIFFER: u8 = 49;
const REMEMBER: u8 = 50;
const ENQUEUE_PART: u8 = 56;

/// A frame that neighbours may join is closed beyond this, so that its first messages do not wait
/// for its last.
const JOINED_BYTES_MAX: usize = 256 << 10;
/// The same for frames of ids, in ranges.
const JOINED_RANGES_MAX: usize = 4_096;

impl Message {
    /// About how many bytes it takes on the wire, for bounding what waits on a link.
    #[must_use]
    pub fn weight(&self) -> usize {
        match self {
            Message::Heartbeat(_) | Message::StockAsk => 32,
            Message::Meta(meta) => 16 + meta.delta.len(),
            Message::Exchange(exchange) => 16 + exchange.encoded_len(),
            Message::Broadcast(message) => message.weight(),
            Message::Cards(list) => {
                let rows = list.cards.iter();
                rows.map(|card| 64 + card.name.len() + card.address.len())
                    .sum()
            }
            Message::Probe(_) | Message::Rival(_) => 32,
            Message::Stock(stock) => stock.weight(),
            Message::Host(part) => hosts::weight(part),
            Message::Queue(queue) => queue.weight(),
        }
    }
}

/// Writes messages as frames. Copies and acks that are neighbours and alike share a frame: that is
/// the natural batching of protocol.md 4.9, and it costs nothing under the engine's lock.
#[derive(Debug, Default)]
pub struct Writer {
    open: Option<Open>,
}

/// A frame that may still grow.
#[derive(Debug)]
enum Open {
    /// Copies: written but for the length and the count, which stand at these places.
    Copies {
        start: usize,
        count_at: usize,
        count: u32,
        base: (u64, u64),
        /// The first one without its items: what the next must be like.
        head: Repl,
    },
    /// Ids, not written yet.
    Ids(Queue),
}

impl Writer {
    /// Appends `message` to `out`; it may stay open for its neighbour until [`Writer::finish`].
    pub fn push(&mut self, message: &Message, out: &mut BytesMut) {
        let Message::Queue(queue) = message else {
            self.finish(out);
            return write_whole(message, out);
        };
        if self.joins(queue, out) {
            return;
        }
        self.finish(out);
        match queue.as_ref() {
            Queue::Repl(repl) => self.open_copies(repl, out),
            Queue::ReplOk(_) | Queue::SetDone(_) | Queue::DoneOk(_) | Queue::Forget(_) => {
                self.open = Some(Open::Ids(queue.as_ref().clone()));
            }
            _ => write_whole(message, out),
        }
    }

    /// Completes the frame that is open, if any. Call before `out` is written to a socket.
    pub fn finish(&mut self, out: &mut BytesMut) {
        match self.open.take() {
            None => {}
            Some(Open::Ids(queue)) => write_whole(&Message::Queue(Box::new(queue)), out),
            Some(Open::Copies {
                start,
                count_at,
                count,
                ..
            }) => {
                patch(out, count_at, count);
                close(out, start);
            }
        }
    }

    /// Adds `queue` to the open frame if it fits there.
    fn joins(&mut self, queue: &Queue, out: &mut BytesMut) -> bool {
        match (&mut self.open, queue) {
            (
                Some(Open::Copies {
                    start,
                    count,
                    base,
                    head,
                    ..
                }),
                Queue::Repl(repl),
            ) => {
                let bytes = out.len() - *start + repl.section.weight();
                let is_alike = same(&head.queue, &repl.queue)
                    && head.wanted == repl.wanted
                    && head.owed == repl.owed
                    && head.section.is_like(&repl.section)
                    && bytes <= JOINED_BYTES_MAX;
                if is_alike {
                    repl.section.write_items(base, out);
                    *count += repl.section.items.len() as u32;
                }
                is_alike
            }
            (Some(Open::Ids(open)), queue) => joins_ids(open, queue),
            _ => false,
        }
    }

    fn open_copies(&mut self, repl: &Repl, out: &mut BytesMut) {
        let start = begin(REPL, out);
        repl.write_head(out);
        let count_at = out.len();
        out.put_u32_le(0);
        let mut base = (0, 0);
        repl.section.write_items(&mut base, out);
        let section = &repl.section;
        let head = Repl {
            queue: repl.queue.clone(),
            section: crate::copies::Section::new(
                section.origin,
                section.own,
                section.holders.clone(),
            ),
            wanted: repl.wanted,
            owed: repl.owed.clone(),
        };
        self.open = Some(Open::Copies {
            start,
            count_at,
            count: section.items.len() as u32,
            base,
            head,
        });
    }
}

fn same(a: &Arc<str>, b: &Arc<str>) -> bool {
    Arc::ptr_eq(a, b) || a == b
}

/// Appends the ids of `queue` to `open` where they are of one kind and say the same.
fn joins_ids(open: &mut Queue, queue: &Queue) -> bool {
    let (ids, more) = match (open, queue) {
        (Queue::ReplOk(open), Queue::ReplOk(next))
            if (open.store, open.epoch) == (next.store, next.epoch) =>
        {
            (&mut open.ids, &next.ids)
        }
        (Queue::SetDone(open), Queue::SetDone(next))
        | (Queue::DoneOk(open), Queue::DoneOk(next))
            if open.ending == next.ending && open.holders == next.holders =>
        {
            (&mut open.ids, &next.ids)
        }
        (Queue::Forget(open), Queue::Forget(next)) if open.holders == next.holders => {
            (&mut open.ids, &next.ids)
        }
        _ => return false,
    };
    let fits = ids.origin == more.origin
        && ids.ranges.len() + more.ranges.len() <= JOINED_RANGES_MAX
        && ids.count() + more.count() <= crate::copies::IDS_MAX;
    if fits {
        ids.append(more);
    }
    fits
}

fn write_whole(message: &Message, out: &mut BytesMut) {
    let start = begin(kind(message), out);
    match message {
        Message::Heartbeat(heartbeat) => put(heartbeat, out),
        Message::Meta(meta) => put(meta, out),
        Message::Exchange(exchange) => put(exchange.as_ref(), out),
        Message::Broadcast(message) => message.write(out),
        Message::Cards(list) => put(list, out),
        Message::Probe(probe) => put(probe, out),
        Message::Rival(rival) => put(rival, out),
        Message::Stock(stock) => put(stock, out),
        Message::StockAsk => {}
        Message::Host(part) => put(part.as_ref(), out),
        Message::Queue(queue) => write_queue(queue, out),
    }
    close(out, start);
}

fn write_queue(queue: &Queue, out: &mut BytesMut) {
    match queue {
        Queue::Repl(repl) => {
            repl.write_head(out);
            out.put_u32_le(repl.section.items.len() as u32);
            repl.section.write_items(&mut (0, 0), out);
        }
        Queue::ReplOk(ok) => ok.write(out),
        Queue::ReplNo(no) => no.write(out),
        Queue::Demand(demand) => put(demand, out),
        Queue::Deliver(deliver) => deliver.write(out),
        Queue::SetDone(done) | Queue::DoneOk(done) => done.write(out),
        Queue::Forget(forget) => forget.write(out),
        Queue::Claim(claim) => claim.write(out),
        Queue::Settle(settle) => put(settle, out),
        Queue::Settled(settled) => put(settled, out),
        Queue::Replied(replied) => put(replied, out),
        Queue::Browse(browse) => put(browse, out),
        Queue::Browsed(browsed) => browsed.write(out),
        Queue::Explain(explain) => put(explain, out),
        Queue::Explained(explained) => explained.write(out),
        Queue::Redrive(redrive) => put(redrive, out),
        Queue::Redriven(redriven) => put(redriven, out),
        Queue::Examine(examine) => put(examine, out),
        Queue::Inventory(inventory) => put(inventory, out),
        Queue::Differ(differ) => put(differ, out),
        Queue::Examined(examined) => put(examined, out),
        Queue::LeaseHint(hint) => hint.write(out),
        Queue::HintOk(ok) => ok.write(out),
        Queue::EnqueueFor(asked) => asked.write(out),
        Queue::EnqueuePart(part) => part.write(out),
        Queue::Taken(taken) => put(taken, out),
        Queue::Recall(recall) => put(recall, out),
        Queue::Recalled(recalled) => put(recalled, out),
        Queue::Remember(remember) => put(remember, out),
    }
}

fn kind(message: &Message) -> u8 {
    match message {
        Message::Heartbeat(_) => HEARTBEAT,
        Message::Meta(_) => META,
        Message::Exchange(_) => EXCHANGE,
        Message::Broadcast(message) => match message.as_ref() {
            Broadcast::Push(_) => PUSH,
            Broadcast::IHave(_) => I_HAVE,
            Broadcast::Graft(_) => GRAFT,
            Broadcast::Prune(_) => PRUNE,
            Broadcast::Gone(_) => GONE,
        },
        Message::Cards(_) => CARDS,
        Message::Probe(_) => PROBE,
        Message::Rival(_) => RIVAL,
        Message::Stock(_) => STOCK,
        Message::StockAsk => STOCK_ASK,
        Message::Host(_) => HOST_EXCHANGE,
        Message::Queue(queue) => match queue.as_ref() {
            Queue::Demand(_) => DEMAND,
            Queue::Settle(_) => SETTLE,
            Queue::Settled(_) => SETTLED,
            Queue::Replied(_) => REPLIED,
            Queue::Browse(_) => BROWSE,
            Queue::Browsed(_) => BROWSED,
            Queue::Explain(_) => EXPLAIN,
            Queue::Explained(_) => EXPLAINED,
            Queue::Redrive(_) => REDRIVE,
            Queue::Redriven(_) => REDRIVEN,
            Queue::Examine(_) => EXAMINE,
            Queue::Examined(_) => EXAMINED,
            Queue::LeaseHint(_) => LEASE_HINT,
            Queue::HintOk(_) => HINT_OK,
            Queue::EnqueueFor(_) => ENQUEUE_FOR,
            Queue::EnqueuePart(_) => ENQUEUE_PART,
            Queue::Taken(_) => TAKEN,
            Queue::Recall(_) => RECALL,
            Queue::Recalled(_) => RECALLED,
            Queue::Remember(_) => REMEMBER,
            Queue::Inventory(_) => INVENTORY,
            Queue::Differ(_) => DIFFER,
            Queue::Repl(_) => REPL,
            Queue::ReplOk(_) => REPL_OK,
            Queue::ReplNo(_) => REPL_NO,
            Queue::Deliver(_) => DELIVER,
            Queue::SetDone(_) => SET_DONE,
            Queue::DoneOk(_) => DONE_OK,
            Queue::Forget(_) => FORGET,
            Queue::Claim(_) => CLAIM,
        },
    }
}

/// Bytes of a frame's header: its length (u32, little-endian, without these four bytes).
pub const HEADER_BYTES: usize = 4;

fn begin(kind: u8, out: &mut BytesMut) -> usize {
    let start = out.len();
    out.put_u32_le(0);
    out.put_u8(kind);
    start
}

fn close(out: &mut BytesMut, start: usize) {
    let length = out.len() - start - HEADER_BYTES;
    debug_assert!(
        length <= limits::FRAME_BYTES_MAX,
        "invariant: senders cut their batches"
    );
    patch(out, start, length as u32);
}

fn patch(out: &mut BytesMut, at: usize, value: u32) {
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&value.to_le_bytes());
    }
}

fn put(message: &impl Prost, out: &mut BytesMut) {
    // A BytesMut grows, so encoding into one cannot fail.
    let is_written = message.encode(out).is_ok();
    debug_assert!(is_written);
}

/// Cuts the next whole frame off `buffer`: none when more bytes are needed. What it answers shares
/// the buffer's memory.
///
/// Errors: 104 for a frame over `frame_bytes_max`, before any of it is read or allocated for.
pub fn cut(buffer: &mut BytesMut, frame_bytes_max: usize) -> Result<Option<Bytes>> {
    let Some(header) = buffer.first_chunk::<HEADER_BYTES>() else {
        return Ok(None);
    };
    let length = u32::from_le_bytes(*header) as usize;
    if length > frame_bytes_max {
        return Err(Error::new(ErrorKind::TooLarge)
            .because("the peer announced a frame over the limit")
            .with("bytes", length)
            .with("bytes_max", frame_bytes_max));
    }
    if buffer.len() < HEADER_BYTES + length {
        return Ok(None);
    }
    let mut frame = buffer.split_to(HEADER_BYTES + length);
    frame.advance(HEADER_BYTES);
    Ok(Some(frame.freeze()))
}

/// The message in a frame that [`cut`] gave; none for a kind this version does not know, which is
/// skipped and counted. Errors: 503 for malformed bytes: the link must be closed.
pub fn decode(mut frame: Bytes) -> Result<Option<Message>> {
    if frame.is_empty() {
        return Err(Error::new(ErrorKind::Corrupt).because("an empty frame"));
    }
    let kind = frame.get_u8();
    let message = match kind {
        KIND_HELLO | KIND_REFUSAL => {
            return Err(Error::new(ErrorKind::Corrupt).because("a second handshake"));
        }
        HEARTBEAT => Message::Heartbeat(get(frame)?),
        META => Message::Meta(get(frame)?),
        EXCHANGE => Message::Exchange(Box::new(get(frame)?)),
        CARDS => Message::Cards(get(frame)?),
        PROBE => Message::Probe(get(frame)?),
        RIVAL => Message::Rival(get(frame)?),
        STOCK => Message::Stock(get(frame)?),
        STOCK_ASK => Message::StockAsk,
        HOST_EXCHANGE => Message::Host(Box::new(get(frame)?)),
        DEMAND => Message::Queue(Box::new(Queue::Demand(get(frame)?))),
        SETTLE => Message::Queue(Box::new(Queue::Settle(get(frame)?))),
        SETTLED => Message::Queue(Box::new(Queue::Settled(get(frame)?))),
        REPLIED => Message::Queue(Box::new(Queue::Replied(get::<Replied>(frame)?.checked()?))),
        BROWSE => Message::Queue(Box::new(Queue::Browse(get::<Browse>(frame)?.checked()?))),
        EXPLAIN => Message::Queue(Box::new(Queue::Explain(get(frame)?))),
        REDRIVE => Message::Queue(Box::new(Queue::Redrive(get::<Redrive>(frame)?.checked()?))),
        REDRIVEN => Message::Queue(Box::new(Queue::Redriven(get(frame)?))),
        TAKEN => Message::Queue(Box::new(Queue::Taken(get::<Taken>(frame)?.checked()?))),
        RECALL => Message::Queue(Box::new(Queue::Recall(get::<Recall>(frame)?.checked()?))),
        RECALLED => Message::Queue(Box::new(Queue::Recalled(
            get::<Recalled>(frame)?.checked()?,
        ))),
        REMEMBER => Message::Queue(Box::new(Queue::Remember(
            get::<Remember>(frame)?.checked()?,
        ))),
        EXAMINE => Message::Queue(Box::new(Queue::Examine(get(frame)?))),
        INVENTORY => Message::Queue(Box::new(Queue::Inventory(
            get::<Inventory>(frame)?.checked()?,
        ))),
        DIFFER => Message::Queue(Box::new(Queue::Differ(get::<Differ>(frame)?.checked()?))),
        EXAMINED => Message::Queue(Box::new(Queue::Examined(
            get::<Examined>(frame)?.checked()?,
        ))),
        _ => {
            let mut reader = Reader::new(frame);
            let message = match decode_broadcast(kind, &mut reader)? {
                Some(message) => Some(Message::Broadcast(Box::new(message))),
                None => {
                    decode_batch(kind, &mut reader)?.map(|queue| Message::Queue(Box::new(queue)))
                }
            };
            return match message {
                Some(message) => reader.finish().map(|()| Some(message)),
                None => Ok(None),
            };
        }
    };
    Ok(Some(message))
}

fn decode_broadcast(kind: u8, reader: &mut Reader) -> Result<Option<Broadcast>> {
    Ok(Some(match kind {
        PUSH => Broadcast::Push(Push::read(reader)?),
        I_HAVE => Broadcast::IHave(IHave::read(reader)?),
        GRAFT => Broadcast::Graft(Graft::read(reader)?),
        PRUNE => Broadcast::Prune(Prune::read(reader)?),
        GONE => Broadcast::Gone(Gone::read(reader)?),
        _ => return Ok(None),
    }))
}

fn decode_batch(kind: u8, reader: &mut Reader) -> Result<Option<Queue>> {
    Ok(Some(match kind {
        REPL => Queue::Repl(Repl::read(reader)?),
        REPL_OK => Queue::ReplOk(ReplOk::read(reader)?),
        REPL_NO => Queue::ReplNo(ReplNo::read(reader)?),
        DELIVER => Queue::Deliver(Deliver::read(reader)?),
        SET_DONE => Queue::SetDone(Done::read(reader)?),
        DONE_OK => Queue::DoneOk(Done::read(reader)?),
        FORGET => Queue::Forget(Forget::read(reader)?),
        CLAIM => Queue::Claim(Claim::read(reader)?),
        BROWSED => Queue::Browsed(Browsed::read(reader)?),
        EXPLAINED => Queue::Explained(Explained::read(reader)?),
        LEASE_HINT => Queue::LeaseHint(LeaseHint::read(reader)?),
        HINT_OK => Queue::HintOk(HintOk::read(reader)?),
        ENQUEUE_FOR => Queue::EnqueueFor(EnqueueFor::read(reader)?),
        ENQUEUE_PART => Queue::EnqueuePart(EnqueuePart::read(reader)?),
        _ => return Ok(None),
    }))
}

fn get<T: Prost + Default>(frame: Bytes) -> Result<T> {
    T::decode(frame).map_err(|_| Error::new(ErrorKind::Corrupt).because("a malformed frame"))
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
