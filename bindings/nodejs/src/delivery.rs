//! Verbs of a delivery. Its handle lives until it is finished or let go of, also over a nack or a release,
//! because a late ack of an unfinished message still counts.

use napi_derive::napi;
use primer::{Bytes, ErrorKind, Reply, Result};

use crate::queue::{headers_of, too_short};
use crate::room::{Owned, Room, span, verb};

/// Finishes the message. 0; a finished delivery loses its handle.
#[napi(catch_unwind)]
pub fn ack(delivery: u32) -> f64 {
    verb(|room| {
        let acked = room.delivery(delivery)?.value.ack();
        let is_finished = match &acked {
            Ok(()) => true,
            Err(error) => error.kind() == ErrorKind::AlreadyDone,
        };
        if is_finished {
            drop(room.deliveries.take(delivery));
        }
        acked.map(|()| 0.0)
    })
}

/// Replies to whoever waits for it with the first `length` bytes of `body`, then finishes it. 0; a finished
/// delivery loses its handle.
#[napi(catch_unwind)]
pub fn reply(delivery: u32, body: &[u8], length: u32, headers: Option<Vec<String>>) -> f64 {
    verb(|room| {
        let body = body.get(..length as usize).ok_or_else(too_short)?;
        let reply = Reply {
            body: Bytes::copy_from_slice(body),
            headers: headers_of(headers),
        };
        let replied = room.delivery(delivery)?.value.reply(reply);
        let is_finished = match &replied {
            Ok(()) => true,
            Err(error) => error.kind() == ErrorKind::AlreadyDone,
        };
        if is_finished {
            drop(room.deliveries.take(delivery));
        }
        replied.map(|()| 0.0)
    })
}

/// It failed: again after `delay` ms, negative for the back-off. 0 or a ticket.
#[napi(catch_unwind)]
pub fn nack(delivery: u32, delay: f64) -> f64 {
    settle(delivery, |room, Owned { host, value }| {
        room.answer(*host, value.nack(span(delay)))
    })
}

/// It was not tried: again at once. 0 or a ticket.
#[napi(catch_unwind)]
pub fn release(delivery: u32) -> f64 {
    settle(delivery, |room, Owned { host, value }| {
        room.answer(*host, value.release())
    })
}

/// It can never succeed: a dead letter at once, with the reason. 0 or a ticket.
#[napi(catch_unwind)]
pub fn reject(delivery: u32, reason: String) -> f64 {
    settle(delivery, |room, Owned { host, value }| {
        room.answer(*host, value.reject(&reason))
    })
}

/// It needs `lease` ms from now on, negative for the queue's setting, else the member's default. 0 or a ticket.
#[napi(catch_unwind)]
pub fn extend(delivery: u32, lease: f64) -> f64 {
    settle(delivery, |room, Owned { host, value }| {
        room.answer(*host, value.extend(span(lease)))
    })
}

/// Lets go of a delivery: unsettled, it goes back.
#[napi(catch_unwind)]
pub fn drop_delivery(delivery: u32) -> f64 {
    verb(|room| {
        drop(room.deliveries.take(delivery));
        Ok(0.0)
    })
}

fn settle(delivery: u32, body: impl FnOnce(&Room, &Owned<primer::Delivery>) -> Result<f64>) -> f64 {
    verb(|room| body(room, room.delivery(delivery)?))
}
