//! [`Link`]: the two connections to one other member, from the handshake's end to theirs.
//!
//! A link lives as four tasks, a reader and a writer for each lane, under one that watches them:
//! when any of them ends the link is gone, and the engine is told so exactly once. A peer that
//! closes in peace is read to the end on both lanes first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use primer_proto::base::{LinkId, limits};
use primer_proto::engine::{self, HEADER_BYTES, Message};
use primer_proto::membership::Hello;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::channel::Channel;
use super::counters::Counters;
use super::half::{Sink, Source};
use super::lane::{Flushed, Lane};
use super::report;
use crate::run::driver::Driver;

/// Room that a read finds at least.
const READ_BYTES: usize = 64 << 10;
/// When less than this is left of a buffer, the next read gets a new one.
const READ_BYTES_MIN: usize = 8 << 10;

/// How one of a link's tasks ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// The peer said all that it had to say on that lane.
    Read,
    /// Its connection failed, or the peer sent nonsense.
    Broken,
    /// Nothing can be written on that lane any more.
    Written,
}

/// A link that is up, for whoever sends on it.
pub(crate) struct Link {
    id: LinkId,
    control: Lane,
    bulk: Lane,
    /// Nothing more is sent or heard; what is queued is still written.
    is_hung_up: AtomicBool,
    /// Wakes the watching task: the link was hung up, or must be cut.
    word: Notify,
    is_cut: AtomicBool,
    /// The link is gone.
    over: Notify,
}

impl Link {
    /// A link over two connections.
    fn new(id: LinkId, control: Sink, bulk: Sink) -> Arc<Self> {
        Arc::new(Self {
            id,
            control: Lane::new(control),
            bulk: Lane::new(bulk),
            is_hung_up: AtomicBool::new(false),
            word: Notify::new(),
            is_cut: AtomicBool::new(false),
            over: Notify::new(),
        })
    }

    /// Its number.
    pub(crate) fn id(&self) -> LinkId {
        self.id
    }

    /// Queues a message. True when the bulk lane became full by it: the engine must be told.
    /// Called under the driver's lock.
    pub(crate) fn queue(&self, lane: engine::Lane, message: Message) -> bool {
        match lane {
            engine::Lane::Control => {
                if self.control.push(message) > limits::CONTROL_BYTES_MAX {
                    self.cut();
                }
                false
            }
            engine::Lane::Bulk => {
                self.bulk.push(message) > limits::BULK_BYTES_MAX
                    && !self.bulk.full().swap(true, Ordering::Relaxed)
            }
        }
    }

    /// Gets queued messages on their way: by this thread when `is_urgent`, else by the lanes' own
    /// tasks, which gather more. True when [`Driver::relieve`] should be asked.
    pub(crate) fn start_writing(&self, is_urgent: bool, counters: &Counters) -> bool {
        for lane in [&self.control, &self.bulk] {
            if lane.backlog() == 0 {
                continue;
            }
            if !is_urgent {
                lane.wake();
                continue;
            }
            match lane.flush(counters) {
                Flushed::Done => {}
                Flushed::Busy | Flushed::Blocked => lane.wake(),
                Flushed::Broken => self.cut(),
            }
        }
        self.is_relieved()
    }

    fn is_relieved(&self) -> bool {
        self.bulk.full().load(Ordering::Relaxed) && self.bulk.backlog() < limits::BULK_BYTES_MAX / 2
    }

    /// True when the bulk lane was full and is not any more. Called under the driver's lock.
    pub(crate) fn stop_being_full(&self) -> bool {
        self.is_relieved() && self.bulk.full().swap(false, Ordering::Relaxed)
    }

    /// Ends the link after what is queued on it.
    pub(crate) fn hang_up(&self) {
        self.is_hung_up.store(true, Ordering::Release);
        self.word.notify_one();
    }

    /// Ends the link now.
    fn cut(&self) {
        self.is_cut.store(true, Ordering::Release);
        self.word.notify_one();
    }

    /// Returns when the link is gone; for one caller.
    pub(crate) async fn over(&self) {
        self.over.notified().await;
    }

    /// Writes what is queued, then ends the writing directions, until `until` at most.
    async fn finish(&self, counters: &Counters, until: Instant) {
        let write = async {
            self.control.write_all(counters, || ()).await;
            self.bulk.write_all(counters, || ()).await;
        };
        let _ = timeout_at(until, write).await;
        self.control.end();
        self.bulk.end();
    }
}

/// Tells the engine that a link is gone, whichever way its tasks end.
struct Gone {
    driver: Arc<Driver>,
    link: Arc<Link>,
}

impl Drop for Gone {
    fn drop(&mut self) {
        self.link.control.end();
        self.link.bulk.end();
        self.driver.unlinked(self.link.id);
        self.link.over.notify_one();
    }
}

/// Runs a link over two connections whose handshakes are done, until it is gone.
pub(crate) async fn run(
    driver: Arc<Driver>,
    control: Channel,
    bulk: Channel,
    hello: Hello,
    dialled: Option<String>,
) {
    let (control_in, control_out) = control.split();
    let (bulk_in, bulk_out) = bulk.split();
    let link = Link::new(driver.next_link(), control_out, bulk_out);
    tracing::info!(link = link.id.0, member = %hello.member(), dialled, "link up");
    if !driver.linked(link.clone(), hello, dialled) {
        return;
    }
    let _gone = Gone {
        driver: driver.clone(),
        link: link.clone(),
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(read(driver.clone(), link.clone(), control_in));
    tasks.spawn(read(driver.clone(), link.clone(), bulk_in));
    tasks.spawn(write_control(driver.clone(), link.clone()));
    tasks.spawn(write_bulk(driver.clone(), link.clone()));
    watch(&driver, &link, &mut tasks).await;
    tracing::info!(link = link.id.0, "link down");
}

/// Returns when the link is over. The tasks end with their set.
async fn watch(driver: &Driver, link: &Link, tasks: &mut JoinSet<End>) {
    loop {
        tokio::select! {
            Some(ended) = tasks.join_next() => {
                if report(ended) == Some(End::Read) {
                    // It closes both lanes; what is still on the other one counts.
                    let until = Instant::now() + Duration::from_millis(limits::FLUSH_MS);
                    let _ = timeout_at(until, other_lane(tasks)).await;
                }
                return;
            }
            () = link.word.notified() => {}
        }
        if link.is_cut.load(Ordering::Acquire) {
            driver.counters().links_cut.one();
            tracing::warn!(link = link.id.0, "link cut");
            return;
        }
        if link.is_hung_up.load(Ordering::Acquire) {
            let until = Instant::now() + Duration::from_millis(limits::FLUSH_MS);
            link.finish(driver.counters(), until).await;
            // The readers go on until the peer has read to the end and closes, too: closing with
            // bytes unread would take back what is on its way to it.
            let both_ways = async { while tasks.join_next().await.is_some() {} };
            let _ = timeout_at(until, both_ways).await;
            return;
        }
    }
}

/// Returns when the second of the two readers has ended.
async fn other_lane(tasks: &mut JoinSet<End>) {
    while let Some(ended) = tasks.join_next().await {
        if report(ended) != Some(End::Written) {
            return;
        }
    }
}

async fn write_control(driver: Arc<Driver>, link: Arc<Link>) -> End {
    link.control.keep_writing(driver.counters(), || ()).await;
    End::Written
}

async fn write_bulk(driver: Arc<Driver>, link: Arc<Link>) -> End {
    let relieve = || {
        if link.is_relieved() {
            driver.relieve(&link);
        }
    };
    link.bulk.keep_writing(driver.counters(), relieve).await;
    End::Written
}

/// Reads one lane until its end: all whole frames of one read go to the engine together.
async fn read(driver: Arc<Driver>, link: Arc<Link>, mut source: Source) -> End {
    let counters = driver.counters();
    let mut buffer = BytesMut::with_capacity(READ_BYTES);
    let mut messages = Vec::new();
    loop {
        if buffer.capacity() - buffer.len() < READ_BYTES_MIN {
            buffer.reserve(room(&buffer));
        }
        match source.fill(&mut buffer, counters).await {
            Ok(0) => return End::Read,
            Err(_) => return End::Broken,
            Ok(_) => {}
        }
        if link.is_hung_up.load(Ordering::Acquire) {
            buffer.clear();
            continue;
        }
        let is_well_formed = decode(&mut buffer, &mut messages, counters);
        // What came before a malformed frame is good. When this member serves no more its links
        // are hung up in a moment; ending here would lose what is queued on them.
        driver.messages(link.id, &mut messages);
        messages.clear();
        if !is_well_formed {
            return End::Broken;
        }
    }
}

/// How much room the next read needs: a large frame's rest, so that it is moved once, but never
/// more than as much again as has come, however long the frame says it is.
fn room(buffer: &BytesMut) -> usize {
    let length = buffer
        .first_chunk::<HEADER_BYTES>()
        .map_or(0, |header| u32::from_le_bytes(*header) as usize);
    (length + HEADER_BYTES)
        .saturating_sub(buffer.len())
        .min(buffer.len())
        .max(READ_BYTES)
}

/// Moves the messages of all whole frames out of `buffer`. False when the peer sends nonsense.
fn decode(buffer: &mut BytesMut, messages: &mut Vec<Message>, counters: &Counters) -> bool {
    loop {
        let decoded = match engine::cut(buffer, limits::FRAME_BYTES_MAX) {
            Ok(None) => return true,
            Ok(Some(frame)) => {
                counters.frames_in.one();
                engine::decode(frame)
            }
            Err(error) => Err(error),
        };
        match decoded {
            Ok(Some(message)) => messages.push(message),
            Ok(None) => counters.frames_skipped.one(),
            Err(error) => {
                counters.frames_malformed.one();
                tracing::warn!(%error, "malformed frame");
                return false;
            }
        }
    }
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
