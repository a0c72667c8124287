//! What every member knows of a message: primer_explain, primer_explanation_t.

use std::ffi::{CString, c_char};
use std::ptr;
use std::sync::Mutex;

use primer::{Account, Explanation, MemberId, MessageId};

use crate::boundary::{address_of, boundary, contained, terminated};
use crate::code::{PRIMER_EMPTY, PRIMER_OK, primer_code_t};
use crate::completion::{later, primer_completions_t, ticket_out};
use crate::handle::{borrow, free, give, held, look};
use crate::primer::{Place, primer_t};
use crate::values::{handle_out, out, primer_message_id_t, text};

/// What members know of a message. Free it with primer_explanation_free; its texts are good until then.
pub struct primer_explanation_t {
    _opaque: (),
}

held!(Explained, primer_explanation_t, 24);

/// An explanation, its texts as C reads them.
pub struct Explained {
    accounts: Vec<Told>,
    missing: Vec<CString>,
}

/// An account and its texts.
struct Told {
    account: Account,
    member: CString,
    known: CString,
    queue: Option<CString>,
    group: Option<CString>,
    owner: Option<CString>,
    lessee: Option<CString>,
    holders: Vec<CString>,
}

/// What one member knows of a message, or of it in one group, or of its dead letter.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct primer_account_t {
    /// Whose account it is: 32 hexadecimal digits.
    pub member: *const c_char,
    /// What the message is there: "replicating", "ready", "delayed", "leased", "moving" or "dying" at its owner,
    /// "standby" where a copy is, "acked", "dead", "expired", "aborted" or "forgotten" where it is finished, else
    /// "unknown".
    pub known: *const c_char,
    /// The id there: in a group, or as a dead letter, one of its own.
    pub id: primer_message_id_t,
    /// Its queue; NULL where that is not known any more.
    pub queue: *const c_char,
    /// Its group; NULL for the queue's own.
    pub group: *const c_char,
    /// The id of the member that owns it; NULL where that is not known.
    pub owner: *const c_char,
    /// Of a leased one, the id of the member whose consumer has it; else NULL.
    pub lessee: *const c_char,
    /// How many members may hold it; see primer_explanation_holder.
    pub holders_len: usize,
    /// How many of these have confirmed it.
    pub confirmed: u32,
    /// How often it was given out, as far as is known there.
    pub attempts: u32,
    /// When it was accepted, in ms since 1970 by the clock of the member that did; 0 where that is not known.
    pub accepted_ms: u64,
    /// Of a delayed one, when it is ready, in ms since 1970; else 0.
    pub ready_at_ms: u64,
    /// When it expires, in ms since 1970; 0 for never.
    pub expires_ms: u64,
    /// Of a leased one, how long its lease lasts, in ms; else 0.
    pub lease_ms: u64,
}

/// What every member that answers within two seconds knows of the message of that id, which is as
/// primer_message_id_text writes it: who owns it and what it does there, who has a copy, who remembers its end; in
/// each group, and with its dead letter. Changes nothing. The caller frees the explanation.
/// Errors: 101 (also for what is no id), 203 with too many at a time, 501.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_explain(
    primer: *const primer_t,
    id: *const c_char,
    explanation: *mut *mut primer_explanation_t,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { handle_out("explanation", explanation) }?;
        let place = borrow::<Place>(primer)?;
        // SAFETY: the header's promise.
        let id: MessageId = unsafe { text("id", id) }?.parse()?;
        give(Explained::from(place.primer.explain(id).wait()?), out)?;
        Ok(PRIMER_OK)
    })
}

/// primer_explain that does not wait: see primer_queue_enqueue_start. The explanation is in the completion, see
/// primer_completion_explanation.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_explain_start(
    primer: *const primer_t,
    id: *const c_char,
    completions: *const primer_completions_t,
    explanation: *mut *mut primer_explanation_t,
    ticket: *mut u64,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let ticket = unsafe { ticket_out(ticket) }?;
        // SAFETY: the header's promise.
        let out = unsafe { handle_out("explanation", explanation) }?;
        let place = borrow::<Place>(primer)?;
        // SAFETY: the header's promise.
        let id: MessageId = unsafe { text("id", id) }?.parse()?;
        let start = || Ok(place.primer.explain(id));
        later(completions, ticket, start, |explanation| {
            give(Explained::from(explanation), out)
        })
    })
}

/// How many accounts: one or more a member, in the order of the members' ids. 0 for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_explanation_len(explanation: *const primer_explanation_t) -> usize {
    contained(0, || {
        borrow::<Explained>(explanation).map_or(0, |explained| explained.accounts.len())
    })
}

/// Writes account number `index`, from 0. PRIMER_EMPTY when there are no more. Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_explanation_at(
    explanation: *const primer_explanation_t,
    index: usize,
    account: *mut primer_account_t,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { out("account", account, nothing()) }?;
        // SAFETY: the header's promise: not freed while its texts are used.
        let Some(told) = unsafe { look::<Explained>(explanation) }?
            .accounts
            .get(index)
        else {
            return Ok(PRIMER_EMPTY);
        };
        let account = &told.account;
        out.put(primer_account_t {
            member: told.member.as_ptr(),
            known: told.known.as_ptr(),
            id: account.id.into(),
            queue: address_of(told.queue.as_ref()),
            group: address_of(told.group.as_ref()),
            owner: address_of(told.owner.as_ref()),
            lessee: address_of(told.lessee.as_ref()),
            holders_len: told.holders.len(),
            confirmed: account.confirmed,
            attempts: account.attempts,
            accepted_ms: account.accepted_ms.unwrap_or_default(),
            ready_at_ms: account.ready_at_ms.unwrap_or_default(),
            expires_ms: account.expires_ms.unwrap_or_default(),
            lease_ms: account.lease_ms.unwrap_or_default(),
        });
        Ok(PRIMER_OK)
    })
}

/// Writes the id of holder number `holder_index` of account number `index`, both from 0. PRIMER_EMPTY when there
/// are no more. Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_explanation_holder(
    explanation: *const primer_explanation_t,
    index: usize,
    holder_index: usize,
    member: *mut *const c_char,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { out("member", member, c"".as_ptr()) }?;
        // SAFETY: the header's promise: not freed while its texts are used.
        let told = unsafe { look::<Explained>(explanation) }?
            .accounts
            .get(index);
        let Some(id) = told.and_then(|told| told.holders.get(holder_index)) else {
            return Ok(PRIMER_EMPTY);
        };
        out.put(id.as_ptr());
        Ok(PRIMER_OK)
    })
}

/// How many members did not answer: unreachable, or too slow. 0 for a handle that is not live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_explanation_missing_len(
    explanation: *const primer_explanation_t,
) -> usize {
    contained(0, || {
        borrow::<Explained>(explanation).map_or(0, |explained| explained.missing.len())
    })
}

/// Writes the id of missing member number `index`, from 0. PRIMER_EMPTY when there are no more. Errors: 101.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_explanation_missing_at(
    explanation: *const primer_explanation_t,
    index: usize,
    member: *mut *const c_char,
) -> primer_code_t {
    boundary(|| {
        // SAFETY: the header's promise.
        let out = unsafe { out("member", member, c"".as_ptr()) }?;
        // SAFETY: the header's promise: not freed while its texts are used.
        let Some(id) = unsafe { look::<Explained>(explanation) }?
            .missing
            .get(index)
        else {
            return Ok(PRIMER_EMPTY);
        };
        out.put(id.as_ptr());
        Ok(PRIMER_OK)
    })
}

/// Frees an explanation. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn primer_explanation_free(explanation: *mut primer_explanation_t) {
    contained((), || free::<Explained>(explanation));
}

/// An explanation in a late answer until it is taken.
pub type Waiting = Mutex<Option<Explanation>>;

impl From<Explanation> for Explained {
    fn from(explanation: Explanation) -> Self {
        let accounts = explanation.accounts.into_iter();
        Self {
            accounts: accounts.map(Told::from).collect(),
            missing: explanation.missing.iter().map(written).collect(),
        }
    }
}

impl From<Account> for Told {
    fn from(account: Account) -> Self {
        Self {
            member: written(&account.member),
            known: terminated(account.known.name()),
            queue: account.queue.as_deref().map(terminated),
            group: account.group.as_deref().map(terminated),
            owner: account.owner.as_ref().map(written),
            lessee: account.lessee.as_ref().map(written),
            holders: account.holders.iter().map(written).collect(),
            account,
        }
    }
}

fn written(id: &MemberId) -> CString {
    terminated(&id.to_string())
}

fn nothing() -> primer_account_t {
    primer_account_t {
        member: c"".as_ptr(),
        known: c"".as_ptr(),
        id: primer_message_id_t::default(),
        queue: ptr::null(),
        group: ptr::null(),
        owner: ptr::null(),
        lessee: ptr::null(),
        holders_len: 0,
        confirmed: 0,
        attempts: 0,
        accepted_ms: 0,
        ready_at_ms: 0,
        expires_ms: 0,
        lease_ms: 0,
    }
}
