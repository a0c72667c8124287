//! primer_t: this process's place in a cluster.

use std::ffi::{CString, c_char};

use primer::{Options, Pending, Primer, Result};

use crate::boundary::{address_of, boundary, contained, terminated};
use crate::code::{PRIMER_EMPTY, PRIMER_OK, primer_code_t};
use crate::completion::{later, primer_completions_t, ticket_out};
use crate::handle::{borrow, free, give, held, look};
use crate::options::{number, on_short, options, primer_options_t, span};
use crate::values::{Out, handle_out, out, out_or_null, pairs, slice, text, text_or_null};

/// This process's place in a cluster: one member. Free it with primer_free. The handles of its queues,
/// subscriptions and deliveries stay good until they are freed; their verbs answer 501 once it is
/// closed.
pub struct primer_t {
    _opaque: (),
}

held!(Place, primer_t, 0);

/// A member, and its address as C reads it.
pub struct Place {
    pub primer: Primer,
    address: Option<CString>,
}

/// Opens a member: binds, starts its one thread, dials the seeds and waits until one answered, two
/// seconds at most. It never fails for an absent seed: a member serves alone too. `options` may be
/// NULL: one member in memory, without a socket.
/// Errors: 101, 106 (an address that is not loopback, and neither secret nor certificates), 107 or 108 (a
/// data directory of another cluster, or in use), 502 (it cannot bind or use a directory), 503 (what lies
/// there is damaged).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_open(
    options: *const primer_options_t,
    primer: *mut *mut primer_t,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { handle_out("primer", primer) }?;
        // SAFETY: the header's promise.
        let options = unsafe { open_options(options) }?;
        let primer = options.open_blocking()?;
        give(place(primer), out)?;
        Ok(PRIMER_OK)
    })
}

/// primer_open with options as `count` pairs of texts, for hosts: keys are the names of
/// primer_options_t, and an unknown one is 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_open_pairs(
    keys: *const *const c_char,
    values: *const *const c_char,
    count: usize,
    primer: *mut *mut primer_t,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { handle_out("primer", primer) }?;
        // SAFETY: the header's promise.
        let options = Options::from_pairs(unsafe { pairs(keys, values, count) }?)?;
        give(place(options.open_blocking()?), out)?;
        Ok(PRIMER_OK)
    })
}

/// As primer_open_pairs, without waiting for a seed: for event loops, and to read events from the
/// first one on. See primer_joined.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_start_pairs(
    keys: *const *const c_char,
    values: *const *const c_char,
    count: usize,
    primer: *mut *mut primer_t,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { handle_out("primer", primer) }?;
        // SAFETY: the header's promise.
        let options = Options::from_pairs(unsafe { pairs(keys, values, count) }?)?;
        give(place(Primer::start(options)?), out)?;
        Ok(PRIMER_OK)
    })
}

/// As primer_open, without waiting for a seed. See primer_joined.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_start(
    options: *const primer_options_t,
    primer: *mut *mut primer_t,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { handle_out("primer", primer) }?;
        // SAFETY: the header's promise.
        let options = unsafe { open_options(options) }?;
        give(place(Primer::start(options)?), out)?;
        Ok(PRIMER_OK)
    })
}

/// Waits until a seed answered, or none is configured, or two seconds passed.
/// Errors: 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_joined(primer: *const primer_t) -> primer_code_t {
    boundary(|| done(borrow::<Place>(primer)?.primer.joined()))
}

/// primer_joined that does not wait: see primer_queue_enqueue_start.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_joined_start(
    primer: *const primer_t,
    completions: *const primer_completions_t,
    ticket: *mut u64,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let ticket = unsafe { ticket_out(ticket) }?;
        let place = borrow::<Place>(primer)?;
        done_later(completions, ticket, || Ok(place.primer.joined()))
    })
}

/// Dials `address` ("host:port") and joins its cluster.
/// Errors: 101, 106, 107 (another cluster, or another secret), 108, 202 (nobody answers there), 302, 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_join(
    primer: *const primer_t,
    address: *const c_char,
) -> primer_code_t {
    boundary(|| {
        let place = borrow::<Place>(primer)?;
        // SAFETY: the header's promise.
        let address = unsafe { text("address", address) }?;
        done(place.primer.join(address))
    })
}

/// primer_join that does not wait: see primer_queue_enqueue_start.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_join_start(
    primer: *const primer_t,
    address: *const c_char,
    completions: *const primer_completions_t,
    ticket: *mut u64,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let ticket = unsafe { ticket_out(ticket) }?;
        let place = borrow::<Place>(primer)?;
        // SAFETY: the header's promise.
        let address = unsafe { text("address", address) }?;
        done_later(completions, ticket, || Ok(place.primer.join(address)))
    })
}

/// Hands every copy over to other members, for `drain_ms` at most (PRIMER_DEFAULT: 30 s), and leaves
/// the cluster; the member stays open, alone. With `force` it leaves even with copies left behind.
/// Errors: 101, 205 (with the number of copies; the member stays), 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_leave(
    primer: *const primer_t,
    drain_ms: i64,
    force: bool,
) -> primer_code_t {
    boundary(|| {
        let place = borrow::<Place>(primer)?;
        done(place.primer.leave(span("drain_ms", drain_ms)?, force))
    })
}

/// primer_leave that does not wait: see primer_queue_enqueue_start.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_leave_start(
    primer: *const primer_t,
    drain_ms: i64,
    force: bool,
    completions: *const primer_completions_t,
    ticket: *mut u64,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let ticket = unsafe { ticket_out(ticket) }?;
        let place = borrow::<Place>(primer)?;
        let drain = span("drain_ms", drain_ms)?;
        done_later(completions, ticket, || Ok(place.primer.leave(drain, force)))
    })
}

/// Takes a member, by its id, out of the set for good: it is refused until it has joined afresh. It deletes
/// nothing: what it holds is set aside there (see primer_reclaim). For members that will not come back, so
/// that nothing waits for them, and for those that must not. Never waits.
/// Errors: 101 (no id, or this member's own), 102 (none of the set), 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_evict(
    primer: *const primer_t,
    member: *const c_char,
) -> primer_code_t {
    boundary(|| {
        let place = borrow::<Place>(primer)?;
        // SAFETY: the header's promise.
        let member = unsafe { text("member", member) }?;
        place.primer.evict(member.parse()?)?;
        Ok(PRIMER_OK)
    })
}

/// After this member was evicted (an event tells): gives the messages that it set aside out again, or drops
/// them when `keep` is false; some may have been done elsewhere meanwhile. Writes how many; `count` may be
/// NULL. Never waits. Errors: 101, 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_reclaim(
    primer: *const primer_t,
    keep: bool,
    count: *mut u64,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { out_or_null(count, 0) };
        out.put(borrow::<Place>(primer)?.primer.reclaim(keep)?);
        Ok(PRIMER_OK)
    })
}

/// Takes these secrets instead of those it has, one to three, from now on; links that are up stay. All are
/// proven and all are accepted, so a secret is changed by giving every member the old and the new one, in
/// any order, and then every member the new one alone. Never waits.
/// Errors: 101 (none, too many, or a weak one), 106 (a member that was opened without), 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_rotate(
    primer: *const primer_t,
    secrets: *const *const c_char,
    count: usize,
) -> primer_code_t {
    boundary(|| {
        let place = borrow::<Place>(primer)?;
        // SAFETY: the header's promise.
        let secrets = unsafe { slice("secrets", secrets, count) }?;
        let secrets = secrets
            .iter()
            // SAFETY: the header's promise.
            .map(|secret| unsafe { text("secret", *secret) })
            .collect::<Result<Vec<_>>>()?;
        place.primer.rotate(secrets)?;
        Ok(PRIMER_OK)
    })
}

/// Closes the member: new work is refused, calls that wait answer 501, what is queued for other
/// members is flushed for a second at most, and its thread has ended when this returns. It does not
/// leave the cluster. Idempotent, from any thread; the handle stays, to be freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_close(primer: *const primer_t) -> primer_code_t {
    boundary(|| done(borrow::<Place>(primer)?.primer.close()))
}

/// primer_close that does not wait: see primer_queue_enqueue_start.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_close_start(
    primer: *const primer_t,
    completions: *const primer_completions_t,
    ticket: *mut u64,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let ticket = unsafe { ticket_out(ticket) }?;
        let place = borrow::<Place>(primer)?;
        done_later(completions, ticket, || Ok(place.primer.close()))
    })
}

/// True once the member was closed or failed; also for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_is_closed(primer: *const primer_t) -> bool {
    contained(true, || {
        borrow::<Place>(primer).map_or(true, |place| place.primer.is_closed())
    })
}

/// Where this member listens, "127.0.0.1:7400"; good until the handle is freed. PRIMER_EMPTY, and
/// NULL, when it does not listen.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_address(
    primer: *const primer_t,
    address: *mut *const c_char,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { out("address", address, std::ptr::null()) }?;
        // SAFETY: the header's promise: not freed meanwhile.
        let place = unsafe { look::<Place>(primer) }?;
        out.put(address_of(place.address.as_ref()));
        Ok(if place.address.is_some() {
            PRIMER_OK
        } else {
            PRIMER_EMPTY
        })
    })
}

/// Frees the handle. A member that is still open is closed in the background, whatever queues,
/// subscriptions and deliveries of it are about; primer_close waits for the end. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_free(primer: *mut primer_t) {
    contained((), || {
        // Here, not by the drop: a thread that waits in a call keeps the value until it is woken.
        if let Ok(place) = borrow::<Place>(primer) {
            drop(place.primer.close());
        }
        free::<Place>(primer);
    });
}

fn place(primer: Primer) -> Place {
    Place {
        address: primer.address().map(|address| terminated(&address)),
        primer,
    }
}

/// Waits for an answer without a value.
pub fn done(pending: Pending<()>) -> Result<primer_code_t> {
    pending.wait()?;
    Ok(PRIMER_OK)
}

/// Leaves an answer without a value to the completions.
pub fn done_later(
    completions: *const primer_completions_t,
    ticket: Out<u64>,
    start: impl FnOnce() -> Result<Pending<()>>,
) -> Result<primer_code_t> {
    later(completions, ticket, start, |()| Ok(()))
}

/// # Safety
/// As [`options`]; its texts end in a NUL.
unsafe fn open_options(given: *const primer_options_t) -> Result<Options> {
    // SAFETY: the caller's promise.
    let given = unsafe { options(given) }?;
    let mut pairs: Vec<(&str, String)> = Vec::new();
    for (key, value) in [
        ("cluster", given.cluster),
        ("name", given.name),
        ("listen", given.listen),
        ("seeds", given.seeds),
        ("advertise", given.advertise),
        ("zone", given.zone),
        ("placement", given.placement),
        ("discover", given.discover),
        ("data_dir", given.data_dir),
        ("secret", given.secret),
        ("tls_ca", given.tls_ca),
        ("tls_cert", given.tls_cert),
        ("tls_key", given.tls_key),
    ] {
        // SAFETY: the caller's promise.
        let value = unsafe { text_or_null(key, value) }?;
        pairs.extend(value.map(|value| (key, value.to_owned())));
    }
    for (key, value) in [
        ("copies", given.copies),
        ("enqueue_timeout_ms", given.enqueue_timeout_ms),
        ("lease_ms", given.lease_ms),
        ("max_attempts", given.max_attempts),
        ("takeover_after_ms", given.takeover_after_ms),
        ("repair_after_ms", given.repair_after_ms),
        ("retire_after_ms", given.retire_after_ms),
        ("memory_bytes_max", given.memory_bytes_max),
        ("body_bytes_max", given.body_bytes_max),
    ] {
        let value = number::<u64>(key, value)?;
        pairs.extend(value.map(|value| (key, value.to_string())));
    }
    if let Some(on_short) = on_short(given.on_short)? {
        // The pairs' words are the variants' names in small letters.
        pairs.push(("on_short", format!("{on_short:?}").to_lowercase()));
    }
    Options::from_pairs(pairs)
}
