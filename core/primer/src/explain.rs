//! [`Explanation`]: what every member knows of one message.

use primer_proto::engine::{Account as Told, Command, Reply};

use crate::primer::Primer;
use crate::run::driver::Manner;
use crate::run::waiter::unexpected;
use crate::{Known, MemberId, MessageId, Pending};

/// What the members that answered know of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// One or more a member, in the order of the members' ids: one that knows nothing says that, one that knows
    /// the message in several groups, or its dead letter as well, has an account of each.
    pub accounts: Vec<Account>,
    /// Members of the set that did not answer: unreachable, or too slow.
    pub missing: Vec<MemberId>,
}

/// What one member knows of a message, or of it in one group, or of its dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Whose account it is.
    pub member: MemberId,
    /// What the message is there; never [`Known::Missing`].
    pub known: Known,
    /// The id there: in a group, or as a dead letter, one of its own.
    pub id: MessageId,
    /// Its queue; none where that is not known (any more).
    pub queue: Option<String>,
    /// Its group; none for the queue's own.
    pub group: Option<String>,
    /// How often it was given out, as far as is known there.
    pub attempts: u32,
    /// Who owns it, as far as is known there.
    pub owner: Option<MemberId>,
    /// Who may hold it, as far as is known there.
    pub holders: Vec<MemberId>,
    /// How many of these have said that they do, or of a finished one, that they know it.
    pub confirmed: u32,
    /// Of a leased one, the member whose consumer has it.
    pub lessee: Option<MemberId>,
    /// Of a leased one, how long its lease lasts, in milliseconds.
    pub lease_ms: Option<u64>,
    /// When it was accepted, in milliseconds since 1970 by the clock of the member that did.
    pub accepted_ms: Option<u64>,
    /// Of a delayed one, when it is ready, in milliseconds since 1970.
    pub ready_at_ms: Option<u64>,
    /// When it expires, in milliseconds since 1970.
    pub expires_ms: Option<u64>,
}

impl Explanation {
    fn of(told: Vec<Told>) -> Self {
        let is_missing = |account: &Told| account.known == Known::Missing;
        let (missing, told): (Vec<_>, Vec<_>) = told.into_iter().partition(is_missing);
        Self {
            accounts: told.into_iter().map(Account::of).collect(),
            missing: missing.into_iter().map(|account| account.member).collect(),
        }
    }
}

impl Account {
    fn of(told: Told) -> Self {
        let some = |value: u64| (value != 0).then_some(value);
        let named = |name: String| Some(name).filter(|name| !name.is_empty());
        Self {
            member: told.member,
            known: told.known,
            id: told.id,
            attempts: told.attempts,
            owner: told.owner(),
            holders: told.holding(),
            confirmed: told.confirmed,
            lessee: told.lessee,
            lease_ms: (told.known == Known::Leased).then_some(told.lease_ms),
            accepted_ms: some(told.accepted_ms()),
            ready_at_ms: some(told.ready_at_ms),
            expires_ms: some(told.expires_ms),
            queue: named(told.queue),
            group: named(told.group),
        }
    }
}

impl Primer {
    /// What every member of the cluster that answers in time (2 s) knows of a message: who owns it and what it
    /// is doing there, who has a copy, who remembers how it ended, who knows nothing of it. It is told in each
    /// group and with its dead letter. Changes nothing. Errors: 203 with too many at a time, 501.
    pub fn explain(&self, id: MessageId) -> Pending<Explanation> {
        self.driver().call(
            Command::Explain(id),
            Manner::Patient,
            None,
            |_, reply| match reply {
                Reply::Accounts(accounts) => Ok(Explanation::of(accounts)),
                _ => Err(unexpected()),
            },
        )
    }
}
