//! primer_subscription_t: deliveries pushed to this process, under credit.
//!
//! Its descriptor is a [`Bell`]: completions of its own that only ever say "ready". The descriptor
//! stays readable while something may be there; the look that finds nothing silences it, and looks
//! once more, so that what came in between rings again.

use std::ffi::c_int;
use std::sync::OnceLock;
use std::time::Duration;

use primer::{Completions, Delivery, Result, Subscription};

use crate::boundary::{boundary, contained};
use crate::code::{PRIMER_EMPTY, PRIMER_OK, primer_code_t};
use crate::completion::{FOREVER, Inbox, later, primer_completions_t, ticket_out};
use crate::delivery::{Leased, hand_out, primer_delivery_t};
use crate::handle::{borrow, free, give, held};
use crate::options::{patience, primer_subscribe_options_t, subscribe_options};
use crate::queue::{NamedQueue, primer_queue_t};
use crate::values::{handle_out, out, slice_out};

/// Deliveries pushed to this process, at most `credit` of them unsettled: settling one makes room for
/// the next. Free it with primer_subscription_free, which closes it.
pub struct primer_subscription_t {
    _opaque: (),
}

held!(Feed, primer_subscription_t, 6);

/// A subscription, and its descriptor once somebody asked for it.
pub struct Feed {
    subscription: Subscription,
    bell: Bell,
}

/// Subscribes to a queue. `options` may be NULL. Errors: 101, 201, 203, 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_queue_subscribe(
    queue: *const primer_queue_t,
    options: *const primer_subscribe_options_t,
    subscription: *mut *mut primer_subscription_t,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { handle_out("subscription", subscription) }?;
        let queue = borrow::<NamedQueue>(queue)?;
        // SAFETY: the header's promise.
        let options = unsafe { subscribe_options(options) }?;
        let feed = Feed {
            subscription: queue.queue.subscribe(&options)?,
            bell: Bell::default(),
        };
        give(feed, out)?;
        Ok(PRIMER_OK)
    })
}

/// The next delivery, waiting for up to `wait_ms` (0: not at all, or PRIMER_FOREVER); the caller frees
/// it. PRIMER_EMPTY when none came. Errors: 101, 501 when the subscription is closed and empty.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_subscription_next(
    subscription: *const primer_subscription_t,
    wait_ms: i64,
    delivery: *mut *mut primer_delivery_t,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { handle_out("delivery", delivery) }?;
        let feed = borrow::<Feed>(subscription)?;
        let Some(delivery) = feed.next(1, wait_ms)?.pop() else {
            return Ok(PRIMER_EMPTY);
        };
        give(Leased::new(delivery), out)?;
        Ok(PRIMER_OK)
    })
}

/// Up to `capacity` deliveries, waiting as primer_subscription_next for the first: writes their handles
/// and how many; the caller frees each. PRIMER_EMPTY when none came. Errors: as primer_subscription_next.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_subscription_next_batch(
    subscription: *const primer_subscription_t,
    wait_ms: i64,
    deliveries: *mut *mut primer_delivery_t,
    capacity: usize,
    len: *mut usize,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let len = unsafe { out("len", len, 0) }?;
        // SAFETY: the header's promise.
        let room = unsafe { slice_out("deliveries", deliveries, capacity) }?;
        let feed = borrow::<Feed>(subscription)?;
        hand_out(feed.next(capacity, wait_ms)?, room, len)
    })
}

/// primer_subscription_next that does not wait: see primer_queue_enqueue_start.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_subscription_next_start(
    subscription: *const primer_subscription_t,
    completions: *const primer_completions_t,
    delivery: *mut *mut primer_delivery_t,
    ticket: *mut u64,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let ticket = unsafe { ticket_out(ticket) }?;
        // SAFETY: the header's promise.
        let out = unsafe { handle_out("delivery", delivery) }?;
        let feed = borrow::<Feed>(subscription)?;
        let start = || Ok(feed.subscription.next());
        let now = |delivery| give(Leased::new(delivery), out);
        later(completions, ticket, start, now)
    })
}

/// A descriptor to poll for reading; the subscription's own, never read, write or close it, good until
/// the subscription is freed. It is readable when deliveries may be there, and when the subscription
/// was closed; it is silent again after primer_subscription_next answered PRIMER_EMPTY, and never once
/// that answered 501: leave the loop then. -1 when the system gives none, or for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_subscription_fd(
    subscription: *const primer_subscription_t,
) -> c_int {
    contained(-1, || {
        let Ok(feed) = borrow::<Feed>(subscription) else {
            return -1;
        };
        let (descriptor, is_new) = feed.bell.descriptor();
        if is_new {
            feed.listen();
        }
        descriptor
    })
}

/// Tells `completions`, with PRIMER_COMPLETION_READY and `token`, whenever the subscription goes from
/// empty to not empty or is closed, and once at once if it is not empty: for loops that keep one
/// descriptor for many subscriptions. Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_subscription_notify(
    subscription: *const primer_subscription_t,
    completions: *const primer_completions_t,
    token: u64,
) -> primer_code_t {
    boundary(|| {
        let feed = borrow::<Feed>(subscription)?;
        let inbox = borrow::<Inbox>(completions)?;
        feed.subscription.notify(&inbox.completions, token);
        Ok(PRIMER_OK)
    })
}

/// Allows `more` unsettled deliveries on top. Errors: 101, 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_subscription_credit(
    subscription: *const primer_subscription_t,
    more: u32,
) -> primer_code_t {
    boundary(|| {
        borrow::<Feed>(subscription)?.subscription.credit(more)?;
        Ok(PRIMER_OK)
    })
}

/// Ends it: what was not taken is released, what was taken stays leased to its taker. Idempotent; the
/// handle stays, to be freed. Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_subscription_close(
    subscription: *const primer_subscription_t,
) -> primer_code_t {
    boundary(|| {
        borrow::<Feed>(subscription)?.subscription.close();
        Ok(PRIMER_OK)
    })
}

/// Ends it for a consumer that died: everything unsettled is released at once, taken or not. Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_subscription_abandon(
    subscription: *const primer_subscription_t,
) -> primer_code_t {
    boundary(|| {
        borrow::<Feed>(subscription)?.subscription.abandon();
        Ok(PRIMER_OK)
    })
}

/// Closes and frees the subscription; threads that wait in it answer 501. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_subscription_free(subscription: *mut primer_subscription_t) {
    contained((), || {
        // Here, not by the drop: a thread that waits in it keeps the value until it is woken.
        if let Ok(feed) = borrow::<Feed>(subscription) {
            feed.subscription.close();
        }
        free::<Feed>(subscription);
    });
}

impl Feed {
    fn next(&self, max: usize, wait_ms: i64) -> Result<Vec<Delivery>> {
        match patience(wait_ms)? {
            Some(Duration::ZERO) => self.take(max),
            Some(time) => self.subscription.next_batch(max, time),
            None => self.subscription.next_batch(max, FOREVER),
        }
    }

    fn take(&self, max: usize) -> Result<Vec<Delivery>> {
        let mut taken = self.subscription.take(max)?;
        if taken.is_empty() && self.bell.reset() {
            // One may have come between the look and the reset: look again, or it would not ring.
            taken = self.subscription.take(max)?;
            self.listen();
        }
        Ok(taken)
    }

    /// Rings the bell from the next delivery on, and at once when there is one.
    fn listen(&self) {
        self.bell
            .hang(|completions| self.subscription.notify(completions, 0));
    }
}

/// A descriptor that is readable while its owner may have something.
#[derive(Default)]
pub struct Bell(OnceLock<Option<Completions>>);

impl Bell {
    /// The descriptor, -1 when the system gives none, and true when this call made it.
    pub fn descriptor(&self) -> (c_int, bool) {
        let mut is_new = false;
        let completions = self.0.get_or_init(|| {
            is_new = true;
            Completions::new().ok()
        });
        let descriptor = completions.as_ref().map_or(-1, Completions::descriptor);
        (descriptor, is_new)
    }

    /// Has its owner ring it.
    pub fn hang(&self, notify: impl FnOnce(&Completions)) {
        if let Some(Some(completions)) = self.0.get() {
            notify(completions);
        }
    }

    /// Silences it. Answers false when nobody listens to it anyway.
    pub fn reset(&self) -> bool {
        let Some(Some(completions)) = self.0.get() else {
            return false;
        };
        completions.drain(usize::MAX);
        true
    }
}
