//! What every reader of news does, whatever it reads: events, broadcasts, changes.
//!
//! The exported functions stand in each reader's own module, because the header is made of what is
//! written there; they only name the types of what is done here.

use std::ffi::c_int;

use primer::{Completions, Outcome, Pending, Result};

use crate::boundary::{boundary, contained};
use crate::code::{PRIMER_EMPTY, PRIMER_OK, primer_code_t};
use crate::completion::{Inbox, later, primer_completions_t, ticket_out};
use crate::handle::{Held, borrow, free, give, give_many};
use crate::options::patience;
use crate::subscription::Bell;
use crate::values::{handle_out, out, slice_out};

/// A source of news of one kind.
pub trait News: Send + Sync + 'static {
    /// What it brings.
    type Item: Into<Outcome>;
    /// That as C holds it.
    type Shown: Held + for<'a> From<&'a Self::Item>;
    /// The kind of a late answer that holds one.
    const KIND: i32;

    fn next(&self) -> Pending<Self::Item>;
    fn take(&self, max: usize) -> Vec<Self::Item>;
    fn missed(&self) -> u64;
    fn close(&self);
    fn notify(&self, completions: &Completions, token: u64);
    /// The item of a late answer; none when it holds something else.
    fn open(outcome: Outcome) -> Option<Self::Item>;
}

/// Declares a reader of the middle's as a source of news.
macro_rules! news {
    ($reader:ty, $item:ident, $shown:ty, $kind:expr) => {
        impl $crate::reader::News for $reader {
            type Item = primer::$item;
            type Shown = $shown;
            const KIND: i32 = $kind;

            fn next(&self) -> primer::Pending<primer::$item> {
                <$reader>::next(self)
            }
            fn take(&self, max: usize) -> Vec<primer::$item> {
                <$reader>::take(self, max)
            }
            fn missed(&self) -> u64 {
                <$reader>::missed(self)
            }
            fn close(&self) {
                <$reader>::close(self);
            }
            fn notify(&self, completions: &primer::Completions, token: u64) {
                <$reader>::notify(self, completions, token);
            }
            fn open(outcome: primer::Outcome) -> Option<primer::$item> {
                match outcome {
                    primer::Outcome::$item(item) => Some(item),
                    _ => None,
                }
            }
        }
    };
}
pub(crate) use news;

/// A reader, and its descriptor once somebody asked for it.
pub struct Reader<N> {
    news: N,
    bell: Bell,
}

/// What C calls a reader of this kind.
type Handle<N> = <Reader<N> as Held>::Opaque;
/// What C calls an item of it.
type Item<N> = <<N as News>::Shown as Held>::Opaque;

impl<N: News> Reader<N> {
    pub fn new(news: N) -> Self {
        Self {
            news,
            bell: Bell::default(),
        }
    }

    /// Rings the bell from the next item on, and at once when there is one.
    fn listen(&self) {
        self.bell
            .hang(|completions| self.news.notify(completions, 0));
    }
}

/// The next item, waiting for it; `argument` names the output.
///
/// # Safety
/// `item` is NULL or may be written.
pub unsafe fn next<N: News>(
    reader: *const Handle<N>,
    wait_ms: i64,
    argument: &'static str,
    item: *mut *mut Item<N>,
) -> primer_code_t
where
    Reader<N>: Held,
{
    boundary(|| {
        // SAFETY: the caller's promise.
        let out = unsafe { handle_out(argument, item) }?;
        let reader = borrow::<Reader<N>>(reader)?;
        let mut next = wait(reader.news.next(), wait_ms)?;
        if next.is_none() && reader.bell.reset() {
            // One may have come between the look and the reset: look again, or it would not ring.
            next = wait(reader.news.next(), 0)?;
            reader.listen();
        }
        let Some(item) = next else {
            return Ok(PRIMER_EMPTY);
        };
        give(N::Shown::from(&item), out)?;
        Ok(PRIMER_OK)
    })
}

/// The next item, or a ticket for it.
///
/// # Safety
/// `item` and `ticket` are NULL or may be written.
pub unsafe fn next_start<N: News>(
    reader: *const Handle<N>,
    completions: *const primer_completions_t,
    argument: &'static str,
    item: *mut *mut Item<N>,
    ticket: *mut u64,
) -> primer_code_t
where
    Reader<N>: Held,
{
    boundary(|| {
        // SAFETY: the caller's promise.
        let ticket = unsafe { ticket_out(ticket) }?;
        // SAFETY: the caller's promise.
        let out = unsafe { handle_out(argument, item) }?;
        let reader = borrow::<Reader<N>>(reader)?;
        let start = || Ok(reader.news.next());
        later(completions, ticket, start, |item| {
            give(N::Shown::from(&item), out)
        })
    })
}

/// Items that are there.
///
/// # Safety
/// `taken` is NULL or has room for `capacity`, `len` is NULL or may be written.
pub unsafe fn take<N: News>(
    reader: *const Handle<N>,
    taken: *mut *mut Item<N>,
    capacity: usize,
    len: *mut usize,
) -> primer_code_t
where
    Reader<N>: Held,
{
    boundary(|| {
        // SAFETY: the caller's promise.
        let len = unsafe { out("len", len, 0) }?;
        // SAFETY: the caller's promise.
        let mut room = unsafe { slice_out("taken", taken, capacity) }?.iter_mut();
        let reader = borrow::<Reader<N>>(reader)?;
        let mut items = reader.news.take(capacity);
        if items.is_empty() && reader.bell.reset() {
            items = reader.news.take(capacity);
            reader.listen();
        }
        let count = items.len();
        give_many(items.iter().map(N::Shown::from), |handle| {
            if let Some(place) = room.next() {
                place.write(handle);
            }
        })?;
        len.put(count);
        Ok(if count == 0 { PRIMER_EMPTY } else { PRIMER_OK })
    })
}

/// How many items it was too slow for.
pub fn missed<N: News>(reader: *const Handle<N>) -> u64
where
    Reader<N>: Held,
{
    contained(0, || {
        borrow::<Reader<N>>(reader).map_or(0, |reader| reader.news.missed())
    })
}

/// Its descriptor, made when it is first asked for; -1 for none.
pub fn descriptor<N: News>(reader: *const Handle<N>) -> c_int
where
    Reader<N>: Held,
{
    contained(-1, || {
        let Ok(reader) = borrow::<Reader<N>>(reader) else {
            return -1;
        };
        let (descriptor, is_new) = reader.bell.descriptor();
        if is_new {
            reader.listen();
        }
        descriptor
    })
}

/// Has it tell a queue of late answers.
pub fn notify<N: News>(
    reader: *const Handle<N>,
    completions: *const primer_completions_t,
    token: u64,
) -> primer_code_t
where
    Reader<N>: Held,
{
    boundary(|| {
        let reader = borrow::<Reader<N>>(reader)?;
        let inbox = borrow::<Inbox>(completions)?;
        reader.news.notify(&inbox.completions, token);
        Ok(PRIMER_OK)
    })
}

/// Has it hear nothing more.
pub fn close<N: News>(reader: *const Handle<N>) -> primer_code_t
where
    Reader<N>: Held,
{
    boundary(|| {
        borrow::<Reader<N>>(reader)?.news.close();
        Ok(PRIMER_OK)
    })
}

/// Closes and frees it.
pub fn end<N: News>(reader: *const Handle<N>)
where
    Reader<N>: Held,
{
    contained((), || {
        // Here, not by the drop: a thread that waits in it keeps the value until it is woken.
        if let Ok(reader) = borrow::<Reader<N>>(reader) {
            reader.news.close();
        }
        free::<Reader<N>>(reader);
    });
}

/// Waits for an answer for as long as a caller said; none when it did not come.
fn wait<T>(mut pending: Pending<T>, wait_ms: i64) -> Result<Option<T>> {
    match patience(wait_ms)? {
        None => pending.wait().map(Some),
        Some(time) if time.is_zero() => pending.ready().transpose(),
        Some(time) => pending.wait_for(time).transpose(),
    }
}
