//! Why a queue delivers nothing: primer_queue_doctor, primer_diagnosis_t.

use std::ffi::{CString, c_char};
use std::ptr;
use std::sync::Mutex;

use primer::{Diagnosis, Facts, Finding, MemberId};

use crate::boundary::{address_of, boundary, contained, terminated};
use crate::code::{PRIMER_EMPTY, PRIMER_OK, primer_code_t};
use crate::completion::{Late, later, primer_completion_t, primer_completions_t, ticket_out};
use crate::handle::{borrow, free, give, held, look};
use crate::queue::{NamedQueue, primer_queue_t};
use crate::values::{handle_out, out};

/// What is the matter with a queue, and what members know of it. Free it with primer_diagnosis_free; its texts are
/// good until then.
pub struct primer_diagnosis_t {
    _opaque: (),
}

held!(Diagnosed, primer_diagnosis_t, 26);

/// A diagnosis, its texts as C reads them.
pub struct Diagnosed {
    findings: Vec<Found>,
    facts: Vec<Told>,
    missing: Vec<CString>,
}

/// A finding and its texts.
struct Found {
    messages: u64,
    code: CString,
    group: Option<CString>,
    members: Vec<CString>,
}

/// Facts and their texts.
struct Told {
    facts: Facts,
    member: CString,
    group: Option<CString>,
    paused: Option<CString>,
    paused_by: Option<CString>,
    lessees: Vec<CString>,
    owners: Vec<CString>,
}

/// One thing that is the matter with a queue, or with a group of it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct primer_finding_t {
    /// What: "paused_out", "owner_unreachable", "member_missing", "no_group", "no_consumer", "no_credit",
    /// "key_busy", "all_leased", "delayed", "paused_in", "full", "memory", "empty" or "healthy".
    pub code: *const c_char,
    /// In which group; NULL for the queue itself.
    pub group: *const c_char,
    /// How many messages it is about; 0 where it is about none in particular.
    pub messages: u64,
    /// How many members it is about; see primer_diagnosis_finding_member.
    pub members_len: usize,
}

/// What one member knows of a queue, or of one group of it. Counts that do not apply are 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct primer_facts_t {
    /// Whose facts they are: 32 hexadecimal digits.
    pub member: *const c_char,
    /// The group; NULL for the queue itself.
    pub group: *const c_char,
    /// Messages that it owns, and anyone may have.
    pub ready: u64,
    /// Those that it owns, and somebody has.
    pub leased: u64,
    /// Those that it owns, and that wait for their time.
    pub delayed: u64,
    /// Copies that it holds of other owners' messages.
    pub standby: u64,
    /// Those of these whose owner it cannot reach.
    pub stranded: u64,
    /// How long ago the oldest ready one was accepted, in ms.
    pub oldest_ms: u64,
    /// In how long the first delayed one is ready, in ms.
    pub next_ready_ms: u64,
    /// In how long the first lease ends, in ms.
    pub next_lease_ms: u64,
    /// Receives that wait at it.
    pub receives: u64,
    /// Subscriptions that are open at it.
    pub subscriptions: u64,
    /// How many more messages these may be given.
    pub credit: u64,
    /// "in", "out" or "both"; NULL where it is not paused.
    pub paused: *const c_char,
    /// The beginning of names whose policy pauses it; NULL where its own setting does, or nothing.
    pub paused_by: *const c_char,
    /// How many messages it may have; 0 for no maximum.
    pub messages_max: u64,
    /// How many bytes of bodies; 0 for no maximum.
    pub bytes_max: u64,
    /// How many members' consumers have leased ones, some of them; see primer_diagnosis_lessee.
    pub lessees_len: usize,
    /// How many members own what is stranded, some of them; see primer_diagnosis_owner.
    pub owners_len: usize,
    /// How much of the member's memory budget is used, in percent.
    pub memory_percent: u32,
    /// True when one more message would be refused.
    pub is_full: bool,
}

/// Why nothing is delivered: what every member that answers within two seconds knows of the queue and its groups, and
/// what follows from that. Changes nothing. The caller frees the diagnosis. Errors: 101, 203 with too many at a time,
/// 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_queue_doctor(
    queue: *const primer_queue_t,
    diagnosis: *mut *mut primer_diagnosis_t,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { handle_out("diagnosis", diagnosis) }?;
        let queue = borrow::<NamedQueue>(queue)?;
        give(Diagnosed::from(queue.queue.doctor().wait()?), out)?;
        Ok(PRIMER_OK)
    })
}

/// primer_queue_doctor that does not wait: see primer_queue_enqueue_start. The diagnosis is in the completion, see
/// primer_completion_diagnosis.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_queue_doctor_start(
    queue: *const primer_queue_t,
    completions: *const primer_completions_t,
    diagnosis: *mut *mut primer_diagnosis_t,
    ticket: *mut u64,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let ticket = unsafe { ticket_out(ticket) }?;
        // SAFETY: the header's promise.
        let out = unsafe { handle_out("diagnosis", diagnosis) }?;
        let queue = borrow::<NamedQueue>(queue)?;
        let start = || Ok(queue.queue.doctor());
        later(completions, ticket, start, |diagnosis| {
            give(Diagnosed::from(diagnosis), out)
        })
    })
}

/// Takes the diagnosis out of a late answer; the caller frees it. PRIMER_EMPTY when there is none (any more).
/// Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_completion_diagnosis(
    completion: *const primer_completion_t,
    diagnosis: *mut *mut primer_diagnosis_t,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { handle_out("diagnosis", diagnosis) }?;
        let late = borrow::<Late>(completion)?;
        let taken = late
            .diagnosis
            .lock()
            .unwrap_or_else(|held| held.into_inner())
            .take();
        let Some(diagnosis) = taken else {
            return Ok(PRIMER_EMPTY);
        };
        give(Diagnosed::from(diagnosis), out)?;
        Ok(PRIMER_OK)
    })
}

/// Writes finding number `index`, from 0, the most important first; there is one at least. PRIMER_EMPTY when there are no
/// more. Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_diagnosis_finding(
    diagnosis: *const primer_diagnosis_t,
    index: usize,
    finding: *mut primer_finding_t,
) -> primer_code_t {
    boundary(|| {
        let none = primer_finding_t {
            code: c"".as_ptr(),
            group: ptr::null(),
            messages: 0,
            members_len: 0,
        };
        // SAFETY: the header's promise.
        let out = unsafe { out("finding", finding, none) }?;
        // SAFETY: the header's promise: not freed while its texts are used.
        let diagnosed = unsafe { look::<Diagnosed>(diagnosis) }?;
        let Some(found) = diagnosed.findings.get(index) else {
            return Ok(PRIMER_EMPTY);
        };
        out.put(primer_finding_t {
            code: found.code.as_ptr(),
            group: address_of(found.group.as_ref()),
            messages: found.messages,
            members_len: found.members.len(),
        });
        Ok(PRIMER_OK)
    })
}

/// Writes the facts number `index`, from 0: of each member that answered, of the queue itself and of each of its groups,
/// in the order of the members' ids. PRIMER_EMPTY when there are no more. Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_diagnosis_facts(
    diagnosis: *const primer_diagnosis_t,
    index: usize,
    facts: *mut primer_facts_t,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { out("facts", facts, nothing()) }?;
        // SAFETY: the header's promise: not freed while its texts are used.
        let diagnosed = unsafe { look::<Diagnosed>(diagnosis) }?;
        let Some(told) = diagnosed.facts.get(index) else {
            return Ok(PRIMER_EMPTY);
        };
        out.put(shown(told));
        Ok(PRIMER_OK)
    })
}

/// Writes the id of member number `member_index` that finding number `index` is about, both from 0. PRIMER_EMPTY when there
/// are no more. Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_diagnosis_finding_member(
    diagnosis: *const primer_diagnosis_t,
    index: usize,
    member_index: usize,
    member: *mut *const c_char,
) -> primer_code_t {
    // SAFETY: the header's promise.
    unsafe {
        member_of(diagnosis, member, |all| {
            all.findings.get(index)?.members.get(member_index)
        })
    }
}

/// Writes the id of lessee number `member_index` of the facts number `index`, both from 0. PRIMER_EMPTY when there are no
/// more. Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_diagnosis_lessee(
    diagnosis: *const primer_diagnosis_t,
    index: usize,
    member_index: usize,
    member: *mut *const c_char,
) -> primer_code_t {
    // SAFETY: the header's promise.
    unsafe {
        member_of(diagnosis, member, |all| {
            all.facts.get(index)?.lessees.get(member_index)
        })
    }
}

/// Writes the id of owner number `member_index` of what is stranded in the facts number `index`, both from 0. PRIMER_EMPTY
/// when there are no more. Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_diagnosis_owner(
    diagnosis: *const primer_diagnosis_t,
    index: usize,
    member_index: usize,
    member: *mut *const c_char,
) -> primer_code_t {
    // SAFETY: the header's promise.
    unsafe {
        member_of(diagnosis, member, |all| {
            all.facts.get(index)?.owners.get(member_index)
        })
    }
}

/// Writes the id of missing member number `index`, from 0: unreachable, too busy, or too slow. PRIMER_EMPTY when there are no
/// more. Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_diagnosis_missing(
    diagnosis: *const primer_diagnosis_t,
    index: usize,
    member: *mut *const c_char,
) -> primer_code_t {
    // SAFETY: the header's promise.
    unsafe { member_of(diagnosis, member, |all| all.missing.get(index)) }
}

/// Frees a diagnosis. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_diagnosis_free(diagnosis: *mut primer_diagnosis_t) {
    contained((), || free::<Diagnosed>(diagnosis));
}

/// A member's id out of a diagnosis.
///
/// # Safety
/// As [`out`] and [`look`].
unsafe fn member_of(
    diagnosis: *const primer_diagnosis_t,
    member: *mut *const c_char,
    find: impl FnOnce(&Diagnosed) -> Option<&CString>,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the caller's promise.
        let out = unsafe { out("member", member, c"".as_ptr()) }?;
        // SAFETY: the caller's promise: not freed while its texts are used.
        let Some(id) = find(unsafe { look::<Diagnosed>(diagnosis) }?) else {
            return Ok(PRIMER_EMPTY);
        };
        out.put(id.as_ptr());
        Ok(PRIMER_OK)
    })
}

/// A diagnosis in a late answer until it is taken.
pub type Waiting = Mutex<Option<Diagnosis>>;

impl From<Diagnosis> for Diagnosed {
    fn from(diagnosis: Diagnosis) -> Self {
        Self {
            findings: diagnosis.findings.iter().map(Found::from).collect(),
            facts: diagnosis.facts.into_iter().map(Told::from).collect(),
            missing: written(&diagnosis.missing),
        }
    }
}

impl From<&Finding> for Found {
    fn from(finding: &Finding) -> Self {
        Self {
            messages: finding.messages,
            code: terminated(finding.code),
            group: finding.group.as_deref().map(terminated),
            members: written(&finding.members),
        }
    }
}

impl From<Facts> for Told {
    fn from(facts: Facts) -> Self {
        Self {
            member: terminated(&facts.member.to_string()),
            group: facts.group.as_deref().map(terminated),
            paused: facts.paused.map(terminated),
            paused_by: facts.paused_by.as_deref().map(terminated),
            lessees: written(&facts.lessees),
            owners: written(&facts.owners),
            facts,
        }
    }
}

fn written(members: &[MemberId]) -> Vec<CString> {
    let ids = members.iter();
    ids.map(|id| terminated(&id.to_string())).collect()
}

fn shown(told: &Told) -> primer_facts_t {
    let facts = &told.facts;
    primer_facts_t {
        member: told.member.as_ptr(),
        group: address_of(told.group.as_ref()),
        ready: facts.ready,
        leased: facts.leased,
        delayed: facts.delayed,
        standby: facts.standby,
        stranded: facts.stranded,
        oldest_ms: facts.oldest_ms.unwrap_or_default(),
        next_ready_ms: facts.next_ready_ms.unwrap_or_default(),
        next_lease_ms: facts.next_lease_ms.unwrap_or_default(),
        receives: facts.receives,
        subscriptions: facts.subscriptions,
        credit: facts.credit,
        paused: address_of(told.paused.as_ref()),
        paused_by: address_of(told.paused_by.as_ref()),
        messages_max: facts.messages_max.unwrap_or_default(),
        bytes_max: facts.bytes_max.unwrap_or_default(),
        lessees_len: told.lessees.len(),
        owners_len: told.owners.len(),
        memory_percent: facts.memory_percent,
        is_full: facts.is_full,
    }
}

fn nothing() -> primer_facts_t {
    primer_facts_t {
        member: c"".as_ptr(),
        group: ptr::null(),
        ready: 0,
        leased: 0,
        delayed: 0,
        standby: 0,
        stranded: 0,
        oldest_ms: 0,
        next_ready_ms: 0,
        next_lease_ms: 0,
        receives: 0,
        subscriptions: 0,
        credit: 0,
        paused: ptr::null(),
        paused_by: ptr::null(),
        messages_max: 0,
        bytes_max: 0,
        lessees_len: 0,
        owners_len: 0,
        memory_percent: 0,
        is_full: false,
    }
}
