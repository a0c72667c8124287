//! primer_delivery_t: a message on lease.

use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, Ordering};

use primer::{Delivery, Error, ErrorKind, Result};

use crate::boundary::{boundary, contained, wrong};
use crate::code::{PRIMER_EMPTY, PRIMER_OK, primer_code_t};
use crate::handle::{borrow, free, free_many, give_many, held, look};
use crate::values::{
    NO_BYTES, Out, out, primer_bytes_t, primer_header_t, primer_message_id_t, slice, view,
};

/// A message on lease to this process. Free it with primer_delivery_free: settled before (ack, nack,
/// reject, release) it is merely freed; unsettled it is released, that is, it goes back at once and the attempt
/// is not counted. Bytes that its functions answer are good until then.
pub struct primer_delivery_t {
    _opaque: (),
}

held!(Leased, primer_delivery_t, 3);

/// A delivery, and whether freeing it leaves its lease running.
pub struct Leased {
    /// There until the value is dropped.
    delivery: Option<Delivery>,
    is_kept: AtomicBool,
}

impl Leased {
    pub fn new(delivery: Delivery) -> Self {
        Self {
            delivery: Some(delivery),
            is_kept: AtomicBool::new(false),
        }
    }

    pub fn delivery(&self) -> Result<&Delivery> {
        self.delivery
            .as_ref()
            .ok_or_else(|| Error::new(ErrorKind::Internal).because("the delivery is gone"))
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        // Else it is dropped where it is, which carries nothing about.
        if *self.is_kept.get_mut()
            && let Some(delivery) = self.delivery.take()
        {
            delivery.keep();
        }
    }
}

/// The message's body. Empty for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_delivery_body(
    delivery: *const primer_delivery_t,
) -> primer_bytes_t {
    contained(view(&[]), || {
        // SAFETY: the header's promise: not freed while its bytes are used.
        let leased = unsafe { look::<Leased>(delivery) };
        leased
            .and_then(Leased::delivery)
            .map_or(view(&[]), |delivery| view(delivery.body()))
    })
}

/// The message's identity. All zero for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_delivery_id(
    delivery: *const primer_delivery_t,
) -> primer_message_id_t {
    contained(primer_message_id_t::default(), || {
        borrow::<Leased>(delivery)
            .and_then(|leased| Ok(leased.delivery()?.id().into()))
            .unwrap_or_default()
    })
}

/// How often the message was given out, this time included. 0 for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_delivery_attempts(delivery: *const primer_delivery_t) -> u32 {
    contained(0, || {
        borrow::<Leased>(delivery)
            .and_then(|leased| Ok(leased.delivery()?.attempts()))
            .unwrap_or_default()
    })
}

/// In which order it was given out: 0 (last) to 9 (first). -1 for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_delivery_priority(delivery: *const primer_delivery_t) -> i32 {
    contained(-1, || {
        borrow::<Leased>(delivery)
            .and_then(|leased| Ok(leased.delivery()?.priority().into()))
            .unwrap_or(-1)
    })
}

/// The key that the message was put in with: messages of one key are given out in line. `data` is NULL for a
/// message without one, and for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_delivery_key(delivery: *const primer_delivery_t) -> primer_bytes_t {
    contained(NO_BYTES, || {
        // SAFETY: the header's promise: not freed while its bytes are used.
        let leased = unsafe { look::<Leased>(delivery) };
        let key = leased.and_then(Leased::delivery).map(Delivery::key);
        key.ok()
            .flatten()
            .map_or(NO_BYTES, |key| view(key.as_bytes()))
    })
}

/// How many headers the message has. 0 for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_delivery_headers_len(delivery: *const primer_delivery_t) -> usize {
    contained(0, || {
        borrow::<Leased>(delivery)
            .and_then(|leased| Ok(leased.delivery()?.headers().len()))
            .unwrap_or_default()
    })
}

/// Writes header number `index`, from 0, in the producer's order. PRIMER_EMPTY when there are no more.
/// Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_delivery_header(
    delivery: *const primer_delivery_t,
    index: usize,
    header: *mut primer_header_t,
) -> primer_code_t {
    boundary(|| {
        let none = primer_header_t {
            key: view(&[]),
            value: view(&[]),
        };
        // SAFETY: the header's promise.
        let out = unsafe { out("header", header, none) }?;
        // SAFETY: the header's promise: not freed while its bytes are used.
        let delivery = unsafe { look::<Leased>(delivery) }?.delivery()?;
        let Some((key, value)) = delivery.headers().get(index) else {
            return Ok(PRIMER_EMPTY);
        };
        out.put(primer_header_t {
            key: view(key.as_bytes()),
            value: view(value.as_bytes()),
        });
        Ok(PRIMER_OK)
    })
}

/// Leaves the lease running when the delivery is freed: the message comes back after it. Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_delivery_keep(delivery: *const primer_delivery_t) -> primer_code_t {
    boundary(|| {
        borrow::<Leased>(delivery)?
            .is_kept
            .store(true, Ordering::Relaxed);
        Ok(PRIMER_OK)
    })
}

/// Frees a delivery; unsettled it is released. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_delivery_free(delivery: *mut primer_delivery_t) {
    contained((), || free::<Leased>(delivery));
}

/// Frees `count` deliveries, as primer_delivery_free each; NULLs among them are nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_delivery_free_many(
    deliveries: *const *mut primer_delivery_t,
    count: usize,
) {
    contained((), || {
        // SAFETY: the header's promise.
        if let Ok(deliveries) = unsafe { slice("deliveries", deliveries, count) } {
            free_many::<Leased>(deliveries);
        }
    });
}

/// Hands deliveries out into the caller's room, and how many. PRIMER_EMPTY when there are none.
pub fn hand_out(
    deliveries: Vec<Delivery>,
    room: &mut [MaybeUninit<*mut primer_delivery_t>],
    len: Out<usize>,
) -> Result<primer_code_t> {
    let count = deliveries.len();
    if count > room.len() {
        return Err(wrong("capacity", "is less than what was asked for"));
    }
    let mut room = room.iter_mut();
    give_many(deliveries.into_iter().map(Leased::new), |handle| {
        if let Some(place) = room.next() {
            place.write(handle);
        }
    })?;
    len.put(count);
    Ok(if count == 0 { PRIMER_EMPTY } else { PRIMER_OK })
}
