//! What every member knows of a message.

use crate::error::PrimerError;
use crate::primer::Primer;

/// What the members that answered know of a message.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Explanation {
    /// One or more a member, in the order of the members' ids.
    pub accounts: Vec<Account>,
    /// The ids of members that did not answer: unreachable, or too slow.
    pub missing: Vec<String>,
}

/// What one member knows of a message, or of it in one group, or of its dead letter.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Account {
    /// Whose account it is, by its id.
    pub member: String,
    /// What the message is there: "replicating", "ready", "delayed", "leased", "moving" or "dying" at its owner,
    /// "standby" where a copy is, "acked", "dead", "expired", "aborted" or "forgotten" where it is finished, else
    /// "unknown".
    pub known: String,
    /// The id there: in a group, or as a dead letter, one of its own.
    pub id: String,
    /// Its queue; absent where that is not known any more.
    pub queue: Option<String>,
    /// Its group; absent: the queue's own.
    pub group: Option<String>,
    /// How often it was given out, as far as is known there.
    pub attempts: u32,
    /// The id of the member that owns it, as far as is known there.
    pub owner: Option<String>,
    /// The ids of members that may hold it, as far as is known there.
    pub holders: Vec<String>,
    /// How many of these have confirmed it.
    pub confirmed: u32,
    /// Of a leased one, the id of the member whose consumer has it.
    pub lessee: Option<String>,
    /// Of a leased one, how long its lease lasts.
    pub lease_ms: Option<u64>,
    /// When it was accepted, in milliseconds since 1970 by the clock of the member that did.
    pub accepted_ms: Option<u64>,
    /// Of a delayed one, when it is ready, in milliseconds since 1970.
    pub ready_at_ms: Option<u64>,
    /// When it expires, in milliseconds since 1970.
    pub expires_ms: Option<u64>,
}

impl From<primer::Explanation> for Explanation {
    fn from(explanation: primer::Explanation) -> Self {
        let accounts = explanation.accounts.into_iter();
        Self {
            accounts: accounts.map(Into::into).collect(),
            missing: texts(&explanation.missing),
        }
    }
}

impl From<primer::Account> for Account {
    fn from(account: primer::Account) -> Self {
        Self {
            member: account.member.to_string(),
            known: account.known.name().to_owned(),
            id: account.id.to_string(),
            queue: account.queue,
            group: account.group,
            attempts: account.attempts,
            owner: account.owner.map(|owner| owner.to_string()),
            holders: texts(&account.holders),
            confirmed: account.confirmed,
            lessee: account.lessee.map(|lessee| lessee.to_string()),
            lease_ms: account.lease_ms,
            accepted_ms: account.accepted_ms,
            ready_at_ms: account.ready_at_ms,
            expires_ms: account.expires_ms,
        }
    }
}

fn texts(members: &[primer::MemberId]) -> Vec<String> {
    members.iter().map(ToString::to_string).collect()
}

#[uniffi::export]
impl Primer {
    /// What every member that answers within two seconds knows of a message, by its id: who owns it and what it
    /// does there, who has a copy, who remembers its end; in each group, and with its dead letter. Changes nothing.
    /// Errors: 101 for what is no id, 203 with too many at a time, 501.
    pub async fn explain(&self, id: String) -> Result<Explanation, PrimerError> {
        let (member, courier) = self.0.get()?;
        let pending = member.explain(id.parse::<primer::MessageId>()?);
        Ok(courier.carry(pending).await?.into())
    }
}
