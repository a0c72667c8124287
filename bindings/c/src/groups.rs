//! Groups of a queue: primer_queue_create_group and its kin, primer_groups_t.

use std::ffi::{CString, c_char};

use crate::boundary::{boundary, contained, terminated};
use crate::code::{PRIMER_EMPTY, PRIMER_OK, primer_code_t};
use crate::handle::{borrow, free, give, held, look};
use crate::queue::{NamedQueue, primer_queue_t};
use crate::values::{handle_out, out, text};

/// The groups of a queue at one moment. Free it with primer_groups_free; its texts are good until then.
pub struct primer_groups_t {
    _opaque: (),
}

held!(Groups, primer_groups_t, 16);

/// Names of groups, as C reads them.
pub struct Groups(Vec<CString>);

/// Creates a named group of the queue: from now on each message goes to every group once, and the
/// consumers of one group share its messages. With `backlog` it gets what waits in the queue, too. One that
/// exists stays as it is; consuming in a group creates it as well. Never waits.
/// Errors: 101, 201 (64 groups), 203, 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_queue_create_group(
    queue: *const primer_queue_t,
    group: *const c_char,
    backlog: bool,
) -> primer_code_t {
    boundary(|| {
        let queue = borrow::<NamedQueue>(queue)?;
        // SAFETY: the header's promise.
        let group = unsafe { text("group", group) }?;
        queue.queue.create_group(group, backlog)?;
        Ok(PRIMER_OK)
    })
}

/// Removes a group with what it was still owed, on every member; one that is not there is no error. Never
/// waits. Errors: 101, 203, 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_queue_remove_group(
    queue: *const primer_queue_t,
    group: *const c_char,
) -> primer_code_t {
    boundary(|| {
        let queue = borrow::<NamedQueue>(queue)?;
        // SAFETY: the header's promise.
        queue.queue.remove_group(unsafe { text("group", group) }?)?;
        Ok(PRIMER_OK)
    })
}

/// The queue's groups as this member knows them, ascending; there may be none. Never waits.
/// Errors: 101, 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_queue_groups(
    queue: *const primer_queue_t,
    groups: *mut *mut primer_groups_t,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { handle_out("groups", groups) }?;
        let queue = borrow::<NamedQueue>(queue)?;
        let names = queue.queue.groups()?;
        let names = names.iter().map(|name| terminated(name)).collect();
        give(Groups(names), out)?;
        Ok(PRIMER_OK)
    })
}

/// How many groups. 0 for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_groups_len(groups: *const primer_groups_t) -> usize {
    contained(0, || {
        borrow::<Groups>(groups).map_or(0, |groups| groups.0.len())
    })
}

/// Writes the name of group number `index`, from 0. PRIMER_EMPTY when there are no more. Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_groups_at(
    groups: *const primer_groups_t,
    index: usize,
    name: *mut *const c_char,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { out("name", name, c"".as_ptr()) }?;
        // SAFETY: the header's promise: not freed while its texts are used.
        let Some(name) = unsafe { look::<Groups>(groups) }?.0.get(index) else {
            return Ok(PRIMER_EMPTY);
        };
        out.put(name.as_ptr());
        Ok(PRIMER_OK)
    })
}

/// Frees the list. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_groups_free(groups: *mut primer_groups_t) {
    contained((), || free::<Groups>(groups));
}
