//! primer_members_t and primer_stats_t: what a member knows, as lists that C walks.

use std::ffi::{CString, c_char};

use crate::boundary::{boundary, contained, terminated};
use crate::code::{PRIMER_EMPTY, PRIMER_OK, primer_code_t};
use crate::handle::{borrow, free, give, held, look};
use crate::primer::{Place, primer_t};
use crate::values::{handle_out, out, text};

/// The member set at one moment. Free it with primer_members_free; its texts are good until then.
pub struct primer_members_t {
    _opaque: (),
}

held!(Members, primer_members_t, 8);

/// Members, their texts as C reads them.
pub struct Members(Vec<Row>);

struct Row {
    id: CString,
    name: CString,
    address: CString,
    is_self: bool,
    is_reachable: bool,
    memory_level: u8,
    zone: CString,
}

/// A member as this one sees it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct primer_member_t {
    /// Its id, 32 hexadecimal digits.
    pub id: *const c_char,
    /// Its name; "" when it has none.
    pub name: *const c_char,
    /// Where it listens; "" when it does not.
    pub address: *const c_char,
    /// True for this member itself.
    pub is_self: bool,
    /// This member's own opinion, never the cluster's.
    pub is_reachable: bool,
    /// How near it is to its memory budget, 0 to 4, as it told this member; 0 while there is no link to it.
    pub memory_level: u8,
    /// What fails together with it; empty when it was told none.
    pub zone: *const c_char,
}

/// Counters and gauges at one moment. Free it with primer_stats_free; its texts are good until then.
pub struct primer_stats_t {
    _opaque: (),
}

held!(Counters, primer_stats_t, 9);

/// Counters in the order of their names, the names as C reads them.
pub struct Counters(Vec<(CString, u64)>);

/// The member set as this member sees it, itself included, in the order of their ids. Errors: 101, 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_members(
    primer: *const primer_t,
    members: *mut *mut primer_members_t,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { handle_out("members", members) }?;
        let place = borrow::<Place>(primer)?;
        let rows = place.primer.members()?.into_iter().map(|member| Row {
            id: terminated(&member.id.to_string()),
            name: terminated(&member.name),
            address: terminated(&member.address),
            is_self: member.is_self,
            is_reachable: member.is_reachable,
            memory_level: member.memory_level,
            zone: terminated(&member.zone),
        });
        give(Members(rows.collect()), out)?;
        Ok(PRIMER_OK)
    })
}

/// How many members. 0 for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_members_len(members: *const primer_members_t) -> usize {
    contained(0, || {
        borrow::<Members>(members).map_or(0, |members| members.0.len())
    })
}

/// Writes member number `index`, from 0. PRIMER_EMPTY when there are no more. Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_members_at(
    members: *const primer_members_t,
    index: usize,
    member: *mut primer_member_t,
) -> primer_code_t {
    boundary(|| {
        let none = primer_member_t {
            id: c"".as_ptr(),
            name: c"".as_ptr(),
            address: c"".as_ptr(),
            is_self: false,
            is_reachable: false,
            memory_level: 0,
            zone: c"".as_ptr(),
        };
        // SAFETY: the header's promise.
        let out = unsafe { out("member", member, none) }?;
        // SAFETY: the header's promise: not freed while its texts are used.
        let Some(row) = unsafe { look::<Members>(members) }?.0.get(index) else {
            return Ok(PRIMER_EMPTY);
        };
        out.put(primer_member_t {
            id: row.id.as_ptr(),
            name: row.name.as_ptr(),
            address: row.address.as_ptr(),
            is_self: row.is_self,
            is_reachable: row.is_reachable,
            memory_level: row.memory_level,
            zone: row.zone.as_ptr(),
        });
        Ok(PRIMER_OK)
    })
}

/// Frees the list. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_members_free(members: *mut primer_members_t) {
    contained((), || free::<Members>(members));
}

/// Counters and gauges by stable names. Errors: 101, 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_stats(
    primer: *const primer_t,
    stats: *mut *mut primer_stats_t,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { handle_out("stats", stats) }?;
        let place = borrow::<Place>(primer)?;
        let stats = place.primer.stats()?;
        let rows = stats.iter().map(|(name, value)| (terminated(name), value));
        give(Counters(rows.collect()), out)?;
        Ok(PRIMER_OK)
    })
}

/// How many counters. 0 for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_stats_len(stats: *const primer_stats_t) -> usize {
    contained(0, || {
        borrow::<Counters>(stats).map_or(0, |stats| stats.0.len())
    })
}

/// Writes name and value of counter number `index`, from 0, in the order of their names. PRIMER_EMPTY
/// when there are no more. Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_stats_at(
    stats: *const primer_stats_t,
    index: usize,
    name: *mut *const c_char,
    value: *mut u64,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let name = unsafe { out("name", name, c"".as_ptr()) }?;
        // SAFETY: the header's promise.
        let value = unsafe { out("value", value, 0) }?;
        // SAFETY: the header's promise: not freed while its texts are used.
        let Some(row) = unsafe { look::<Counters>(stats) }?.0.get(index) else {
            return Ok(PRIMER_EMPTY);
        };
        name.put(row.0.as_ptr());
        value.put(row.1);
        Ok(PRIMER_OK)
    })
}

/// Writes the value of the counter of that name. PRIMER_EMPTY, and 0, when there is none. Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_stats_get(
    stats: *const primer_stats_t,
    name: *const c_char,
    value: *mut u64,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let value = unsafe { out("value", value, 0) }?;
        let stats = borrow::<Counters>(stats)?;
        // SAFETY: the header's promise.
        let name = unsafe { text("name", name) }?;
        let row = stats
            .0
            .iter()
            .find(|(known, _)| known.as_bytes() == name.as_bytes());
        let Some((_, found)) = row else {
            return Ok(PRIMER_EMPTY);
        };
        value.put(*found);
        Ok(PRIMER_OK)
    })
}

/// Frees the list. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_stats_free(stats: *mut primer_stats_t) {
    contained((), || free::<Counters>(stats));
}
