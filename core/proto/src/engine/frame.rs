//! The versioned envelope around every room's messages (core/docs/wire.md).
//!
//! A frame is a length (u32, little-endian), a kind (u8) and a body. Kinds 0 and 1 belong to the
//! handshake. Control kinds are prost structs, the others have tight layouts of their own. A kind
//! that this version does not know is skipped.

use alloc::boxed::Box;
use alloc::sync::Arc;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message as Prost;

use crate::base::{Error, ErrorKind, Result, limits};
use crate::copies::{Repl, ReplNo, ReplOk};
use crate::membership::{Heartbeat, Meta};
use crate::metadata::Stock;
use crate::queue::Message as Queue;
use crate::queue::{Claim, Deliver, Done};
use crate::wire::{Ids, Reader};

/// A message between two members.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// Liveness.
    Heartbeat(Heartbeat),
    /// The member set and, later, all metadata.
    Meta(Meta),
    /// Who has ready messages.
    Stock(Stock),
    /// "Tell me your whole stock row."
    StockAsk,
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
const REPL: u8 = 16;
const REPL_OK: u8 = 17;
const REPL_NO: u8 = 18;
const DELIVER: u8 = 19;
const SET_DONE: u8 = 20;
const DONE_OK: u8 = 21;
const FORGET: u8 = 22;
const CLAIM: u8 = 23;

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
            Message::Stock(stock) => {
                let names = stock.stocked.iter().chain(&stock.empty);
                16 + names.map(|name| name.len() + 2).sum::<usize>()
            }
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
            is_known: true,
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
        (Queue::ReplOk(open), Queue::ReplOk(next)) if open.store == next.store => {
            (&mut open.ids, &next.ids)
        }
        (Queue::SetDone(open), Queue::SetDone(next))
        | (Queue::DoneOk(open), Queue::DoneOk(next))
            if open.ending == next.ending && open.holders == next.holders =>
        {
            (&mut open.ids, &next.ids)
        }
        (Queue::Forget(open), Queue::Forget(next)) => (open, next),
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
        Message::Stock(stock) => put(stock, out),
        Message::StockAsk => {}
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
        Queue::Forget(ids) => ids.write(out),
        Queue::Claim(claim) => claim.write(out),
        Queue::Settle(settle) => put(settle, out),
        Queue::Settled(settled) => put(settled, out),
    }
}

fn kind(message: &Message) -> u8 {
    match message {
        Message::Heartbeat(_) => HEARTBEAT,
        Message::Meta(_) => META,
        Message::Stock(_) => STOCK,
        Message::StockAsk => STOCK_ASK,
        Message::Queue(queue) => match queue.as_ref() {
            Queue::Demand(_) => DEMAND,
            Queue::Settle(_) => SETTLE,
            Queue::Settled(_) => SETTLED,
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
        STOCK => Message::Stock(get(frame)?),
        STOCK_ASK => Message::StockAsk,
        DEMAND => Message::Queue(Box::new(Queue::Demand(get(frame)?))),
        SETTLE => Message::Queue(Box::new(Queue::Settle(get(frame)?))),
        SETTLED => Message::Queue(Box::new(Queue::Settled(get(frame)?))),
        _ => {
            let mut reader = Reader::new(frame);
            return match decode_batch(kind, &mut reader)? {
                Some(queue) => reader
                    .finish()
                    .map(|()| Some(Message::Queue(Box::new(queue)))),
                None => Ok(None),
            };
        }
    };
    Ok(Some(message))
}

fn decode_batch(kind: u8, reader: &mut Reader) -> Result<Option<Queue>> {
    Ok(Some(match kind {
        REPL => Queue::Repl(Repl::read(reader)?),
        REPL_OK => Queue::ReplOk(ReplOk::read(reader)?),
        REPL_NO => Queue::ReplNo(ReplNo::read(reader)?),
        DELIVER => Queue::Deliver(Deliver::read(reader)?),
        SET_DONE => Queue::SetDone(Done::read(reader)?),
        DONE_OK => Queue::DoneOk(Done::read(reader)?),
        FORGET => Queue::Forget(Ids::read(reader, crate::copies::IDS_MAX)?),
        CLAIM => Queue::Claim(Claim::read(reader)?),
        _ => return Ok(None),
    }))
}

fn get<T: Prost + Default>(frame: Bytes) -> Result<T> {
    T::decode(frame).map_err(|_| Error::new(ErrorKind::Corrupt).because("a malformed frame"))
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
