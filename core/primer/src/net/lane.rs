//! [`Lane`]: one connection of a link, as seen by those who write.
//!
//! Messages wait as plain values in an outbox, in the engine's order. Whoever writes takes all that
//! gathered while the last write was under way, encodes it into one reused buffer and hands it to
//! the socket in one call: batches grow with the load and no timer delays anything. Any thread may
//! write; exactly one does at a time, and it does not stop while the outbox fills again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::{Buf, BytesMut};
use primer_proto::engine::{HEADER_BYTES, Message, Writer};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;

use super::counters::Counters;
use super::half::Sink;
use super::tls::{Broken, Tls};
use crate::run::sync::Mutex;

/// Bytes that one write gathers at least, if there are so many.
const WRITE_BYTES: usize = 256 << 10;
/// A buffer that one large message blew up is given back beyond this.
const KEEP_BYTES: usize = 2 * WRITE_BYTES;

/// Writes in a row before others get their turn.
const ROUNDS_MAX: usize = 8;

/// One connection, for writing.
pub(crate) struct Lane {
    outbox: Mutex<VecDeque<Message>>,
    pen: Mutex<Pen>,
    /// About how many bytes wait, encoded or not.
    backlog: AtomicUsize,
    /// The engine was told that too much waits.
    is_full: AtomicBool,
    /// Wakes the lane's own task, [`Lane::keep_writing`].
    work: Notify,
}

/// What the one who writes needs.
struct Pen {
    socket: Option<Arc<OwnedWriteHalf>>,
    tls: Option<Arc<Tls>>,
    writer: Writer,
    batch: VecDeque<Message>,
    /// Encoded, in TLS also sealed, not written.
    bytes: BytesMut,
    /// Encoded, not sealed; used in TLS only.
    plain: BytesMut,
    /// What the encoded messages weighed in the backlog.
    weight: usize,
}

/// What a message counts in the backlog: never nothing, so that what waits is always seen.
fn weigh(message: &Message) -> usize {
    message.weight().max(1)
}

/// How a flush ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flushed {
    /// Everything is written, or someone else is writing it.
    Done,
    /// More came as fast as it was written; someone should go on.
    Busy,
    /// The socket takes no more now.
    Blocked,
    /// The connection is gone.
    Broken,
}

impl Lane {
    /// A lane that writes to `sink`.
    pub(crate) fn new(sink: Sink) -> Self {
        Self {
            outbox: Mutex::default(),
            pen: Mutex::new(Pen {
                socket: Some(Arc::new(sink.socket)),
                tls: sink.tls,
                writer: Writer::default(),
                batch: VecDeque::new(),
                bytes: BytesMut::new(),
                plain: BytesMut::new(),
                weight: 0,
            }),
            backlog: AtomicUsize::new(0),
            is_full: AtomicBool::new(false),
            work: Notify::new(),
        }
    }

    /// Appends a message; how many bytes wait now.
    pub(crate) fn push(&self, message: Message) -> usize {
        let weight = weigh(&message);
        // Counted first: whoever writes it at once takes it out of the count again.
        let backlog = self.backlog.fetch_add(weight, Ordering::Relaxed) + weight;
        self.outbox.lock().push_back(message);
        backlog
    }

    /// About how many bytes wait.
    pub(crate) fn backlog(&self) -> usize {
        self.backlog.load(Ordering::Relaxed)
    }

    /// Whether the engine was told that too much waits. Written under the driver's lock only.
    pub(crate) fn full(&self) -> &AtomicBool {
        &self.is_full
    }

    /// Lets the lane's own task write.
    pub(crate) fn wake(&self) {
        self.work.notify_one();
    }

    /// Writes what waits, on this thread, without blocking, and not for ever: a caller's thread
    /// does not become everyone's writer.
    pub(crate) fn flush(&self, counters: &Counters) -> Flushed {
        for _ in 0..ROUNDS_MAX {
            let Some(mut pen) = self.pen.try_lock() else {
                return Flushed::Done;
            };
            let flushed = self.write(&mut pen, counters);
            drop(pen);
            // Whoever failed to get the pen relies on this look: it appended before it tried.
            if flushed != Flushed::Done || self.outbox.lock().is_empty() {
                return flushed;
            }
        }
        Flushed::Busy
    }

    fn write(&self, pen: &mut Pen, counters: &Counters) -> Flushed {
        let Some(socket) = pen.socket.clone() else {
            return Flushed::Broken;
        };
        let mut writes = 0;
        loop {
            if pen.bytes.is_empty() {
                self.backlog.fetch_sub(pen.weight, Ordering::Relaxed);
                pen.weight = 0;
                if pen.batch.is_empty() {
                    std::mem::swap(&mut pen.batch, &mut *self.outbox.lock());
                }
                if pen.batch.is_empty() {
                    return Flushed::Done;
                }
                if writes >= ROUNDS_MAX {
                    return Flushed::Busy;
                }
                if pen.encode(counters).is_err() {
                    return Flushed::Broken;
                }
                continue;
            }
            match socket.try_write(&pen.bytes) {
                Ok(0) => return Flushed::Broken,
                Ok(written) => {
                    writes += 1;
                    pen.bytes.advance(written);
                    counters.socket_writes.one();
                    counters.bytes_out.add(written as u64);
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    return Flushed::Blocked;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return Flushed::Broken,
            }
        }
    }

    /// The lane's own task: writes when it is woken, and whenever the socket has room again.
    /// Ends when the connection is gone. `after` is called after each flush.
    pub(crate) async fn keep_writing(&self, counters: &Counters, after: impl Fn()) {
        loop {
            self.work.notified().await;
            if !self.write_all(counters, &after).await {
                return;
            }
        }
    }

    /// Writes until nothing waits. False when the connection is gone.
    pub(crate) async fn write_all(&self, counters: &Counters, after: impl Fn()) -> bool {
        loop {
            let flushed = self.flush(counters);
            after();
            match flushed {
                Flushed::Done => return true,
                Flushed::Busy => tokio::task::yield_now().await,
                Flushed::Broken => return false,
                Flushed::Blocked => {
                    let socket = self.pen.lock().socket.clone();
                    let Some(socket) = socket else { return false };
                    if socket.writable().await.is_err() {
                        return false;
                    }
                }
            }
        }
    }

    /// Ends the writing direction: the peer reads to the end of what was written.
    pub(crate) fn end(&self) {
        let mut pen = self.pen.lock();
        pen.say_goodbye();
        let socket = pen.socket.take();
        drop(pen);
        drop(socket);
        // Its own task finds nothing to write to and ends.
        self.wake();
    }
}

impl Pen {
    /// Encodes what waits, until one write is full. Errors: the encryption is of no use any more.
    fn encode(&mut self, counters: &Counters) -> Result<(), Broken> {
        empty(&mut self.bytes);
        let Some(tls) = self.tls.clone() else {
            let mut bytes = std::mem::take(&mut self.bytes);
            self.encode_into(&mut bytes, counters);
            self.bytes = bytes;
            return Ok(());
        };
        empty(&mut self.plain);
        let mut plain = std::mem::take(&mut self.plain);
        self.encode_into(&mut plain, counters);
        self.plain = plain;
        tls.seal(&self.plain, &mut self.bytes)
    }

    fn encode_into(&mut self, bytes: &mut BytesMut, counters: &Counters) {
        while bytes.len() < WRITE_BYTES {
            let Some(message) = self.batch.pop_front() else {
                break;
            };
            self.weight += weigh(&message);
            self.writer.push(&message, bytes);
        }
        self.writer.finish(bytes);
        counters.frames_out.add(frames(bytes));
    }

    /// In TLS: tells the peer that this is all, if the socket takes it at once. After a record that
    /// was cut off it would mean nothing.
    fn say_goodbye(&mut self) {
        let (Some(tls), Some(socket)) = (&self.tls, &self.socket) else {
            return;
        };
        if self.bytes.is_empty() && tls.close(&mut self.bytes).is_ok() {
            let _ = socket.try_write(&self.bytes);
            self.bytes.clear();
        }
    }
}

/// Empties a buffer, and gives it back when a large message blew it up.
fn empty(bytes: &mut BytesMut) {
    if bytes.capacity() > KEEP_BYTES {
        *bytes = BytesMut::new();
    } else {
        bytes.clear();
    }
}

/// How many frames `bytes` hold.
fn frames(mut bytes: &[u8]) -> u64 {
    let mut count = 0;
    while let Some((header, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() {
        count += 1;
        let length = u32::from_le_bytes(*header) as usize;
        bytes = rest.get(length..).unwrap_or_default();
    }
    count
}
