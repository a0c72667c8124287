//! What queues are told: primer_queue_configure and its kin, policies, primer_settings_t, primer_policies_t.

use std::ffi::{CString, c_char};
use std::ptr;

use primer::QueueOptions;

use crate::boundary::{boundary, contained, terminated};
use crate::code::{PRIMER_EMPTY, PRIMER_OK, primer_code_t};
use crate::handle::{borrow, free, give, held, look};
use crate::primer::{Place, primer_t};
use crate::queue::{NamedQueue, primer_queue_t};
use crate::values::{handle_out, out, pairs, text};

/// Settings of a queue or a policy at one moment. Free it with primer_settings_free; its texts are good
/// until then.
pub struct primer_settings_t {
    _opaque: (),
}

held!(Settings, primer_settings_t, 22);

/// Settings, as C reads them.
pub struct Settings(Vec<(CString, CString)>);

impl From<&QueueOptions> for Settings {
    fn from(options: &QueueOptions) -> Self {
        let settings = options.iter();
        Self(
            settings
                .map(|(key, value)| (terminated(key), terminated(value)))
                .collect(),
        )
    }
}

/// Policies at one moment. Free it with primer_policies_free; its texts are good until then.
pub struct primer_policies_t {
    _opaque: (),
}

held!(Policies, primer_policies_t, 23);

/// Policies by their prefixes, which are as C reads them.
pub struct Policies(Vec<(CString, QueueOptions)>);

/// Changes settings of the queue, for the whole cluster: here at once, elsewhere soon. `keys` and `values`
/// hold `count` texts each; a setting that is not named stays, one whose value is "" is unset. They are what
/// holds where a message or a call does not say. Keys (times in milliseconds, sizes in bytes): copies, on_short
/// (degrade | fail | wait), enqueue_timeout_ms, lease_ms, max_attempts, ttl_ms, backoff_ms and backoff_ms_max (of
/// a nack without a delay), dead_letters (a queue), messages_max and bytes_max (of the queue, or of each of its
/// groups), overflow (refuse | drop_oldest), takeover_after_ms, key_concurrency, paused (none | in | out | both). Never waits.
/// Errors: 101 (the message names the nearest known key), 104, 201, 203, 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_queue_configure(
    queue: *const primer_queue_t,
    keys: *const *const c_char,
    values: *const *const c_char,
    count: usize,
) -> primer_code_t {
    boundary(|| {
        let queue = borrow::<NamedQueue>(queue)?;
        // SAFETY: the header's promise.
        let options = unsafe { pairs(keys, values, count) }?.into_iter().collect();
        queue.queue.configure(&options)?;
        Ok(PRIMER_OK)
    })
}

/// The settings that hold for the queue, as this member knows them: its own, and for what it does not set those
/// of the longest policy that its name begins with. The caller frees them. Never waits. Errors: 101, 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_queue_configuration(
    queue: *const primer_queue_t,
    settings: *mut *mut primer_settings_t,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { handle_out("settings", settings) }?;
        let queue = borrow::<NamedQueue>(queue)?;
        give(Settings::from(&queue.queue.configuration()?), out)?;
        Ok(PRIMER_OK)
    })
}

/// Stops the queue for the whole cluster: "in" for producers, who get 204; "out" for consumers, who get nothing
/// more but keep what they have; or "both". Never waits. Errors: 101, 201, 203, 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_queue_pause(
    queue: *const primer_queue_t,
    direction: *const c_char,
) -> primer_code_t {
    boundary(|| {
        let queue = borrow::<NamedQueue>(queue)?;
        // SAFETY: the header's promise.
        queue
            .queue
            .pause(unsafe { text("direction", direction) }?)?;
        Ok(PRIMER_OK)
    })
}

/// The queue goes on, in both directions. Never waits. Errors: 101, 201, 203, 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_queue_resume(queue: *const primer_queue_t) -> primer_code_t {
    boundary(|| {
        borrow::<NamedQueue>(queue)?.queue.resume()?;
        Ok(PRIMER_OK)
    })
}

/// Ends everything that is in the queue and its groups by now, on every member, also what consumers have: their
/// acks get 402. Never waits. Errors: 101, 201, 203, 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_queue_purge(queue: *const primer_queue_t) -> primer_code_t {
    boundary(|| {
        borrow::<NamedQueue>(queue)?.queue.purge()?;
        Ok(PRIMER_OK)
    })
}

/// Settings, as primer_queue_configure's, for every queue whose name begins with `prefix`, "" for all, in place of
/// those that the policy had. The longest prefix counts, whole; a queue's own settings are above it. Never waits.
/// Errors: 101, 104, 201, 203, 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_set_policy(
    primer: *const primer_t,
    prefix: *const c_char,
    keys: *const *const c_char,
    values: *const *const c_char,
    count: usize,
) -> primer_code_t {
    boundary(|| {
        let place = borrow::<Place>(primer)?;
        // SAFETY: the header's promise.
        let prefix = unsafe { text("prefix", prefix) }?;
        // SAFETY: the header's promise.
        let options = unsafe { pairs(keys, values, count) }?.into_iter().collect();
        place.primer.set_policy(prefix, &options)?;
        Ok(PRIMER_OK)
    })
}

/// Removes a policy; one that is not there is no error. Never waits. Errors: 101, 203, 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_remove_policy(
    primer: *const primer_t,
    prefix: *const c_char,
) -> primer_code_t {
    boundary(|| {
        let place = borrow::<Place>(primer)?;
        // SAFETY: the header's promise.
        place
            .primer
            .remove_policy(unsafe { text("prefix", prefix) }?)?;
        Ok(PRIMER_OK)
    })
}

/// The policies as this member knows them, by their prefixes; there may be none. The caller frees them. Never
/// waits. Errors: 101, 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_policies(
    primer: *const primer_t,
    policies: *mut *mut primer_policies_t,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { handle_out("policies", policies) }?;
        let rows = borrow::<Place>(primer)?.primer.policies()?.into_iter();
        let rows = rows.map(|(prefix, options)| (terminated(&prefix), options));
        give(Policies(rows.collect()), out)?;
        Ok(PRIMER_OK)
    })
}

/// How many settings. 0 for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_settings_len(settings: *const primer_settings_t) -> usize {
    contained(0, || {
        borrow::<Settings>(settings).map_or(0, |settings| settings.0.len())
    })
}

/// Writes key and value of setting number `index`, from 0, in the order of their keys. PRIMER_EMPTY when there are
/// no more. Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_settings_at(
    settings: *const primer_settings_t,
    index: usize,
    key: *mut *const c_char,
    value: *mut *const c_char,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let key = unsafe { out("key", key, c"".as_ptr()) }?;
        // SAFETY: the header's promise.
        let value = unsafe { out("value", value, c"".as_ptr()) }?;
        // SAFETY: the header's promise: not freed while its texts are used.
        let Some(setting) = unsafe { look::<Settings>(settings) }?.0.get(index) else {
            return Ok(PRIMER_EMPTY);
        };
        key.put(setting.0.as_ptr());
        value.put(setting.1.as_ptr());
        Ok(PRIMER_OK)
    })
}

/// Frees the settings. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_settings_free(settings: *mut primer_settings_t) {
    contained((), || free::<Settings>(settings));
}

/// How many policies. 0 for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_policies_len(policies: *const primer_policies_t) -> usize {
    contained(0, || {
        borrow::<Policies>(policies).map_or(0, |policies| policies.0.len())
    })
}

/// Writes the prefix of policy number `index`, from 0, in their order, and its settings, which the caller frees.
/// PRIMER_EMPTY, and NULL, when there are no more. Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_policies_at(
    policies: *const primer_policies_t,
    index: usize,
    prefix: *mut *const c_char,
    settings: *mut *mut primer_settings_t,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let prefix = unsafe { out("prefix", prefix, ptr::null()) }?;
        // SAFETY: the header's promise.
        let out = unsafe { handle_out("settings", settings) }?;
        // SAFETY: the header's promise: not freed while its texts are used.
        let Some(policy) = unsafe { look::<Policies>(policies) }?.0.get(index) else {
            return Ok(PRIMER_EMPTY);
        };
        give(Settings::from(&policy.1), out)?;
        prefix.put(policy.0.as_ptr());
        Ok(PRIMER_OK)
    })
}

/// Frees the policies. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_policies_free(policies: *mut primer_policies_t) {
    contained((), || free::<Policies>(policies));
}
