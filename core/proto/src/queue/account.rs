//! The values of an explanation and how they travel: one account says what one member knows of one message,
//! or of it in one group.

use alloc::string::String;
use alloc::vec::Vec;
use bytes::{BufMut, BytesMut};

use super::message::Ending;
use crate::base::{
    BootId, Error, ErrorKind, MemberId, MessageId, Millis, Result, Stamp, StoreId, limits,
};
use crate::copies::{Holder, Holders, Own, read_holders, read_own, write_holders, write_own};
use crate::wire::{Put, Reader};

macro_rules! knowledge {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// What a message is to a member.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub enum Known {
            /// Nothing: it was never here, or so long ago that nothing of it is left.
            #[default]
            Unknown = 0,
            $($(#[$doc])* $name = $number,)*
        }

        impl Known {
            /// Its name, the same in every face.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    Known::Unknown => "unknown",
                    $(Known::$name => $text,)*
                }
            }

            fn of(number: u8) -> Option<Self> {
                match number {
                    0 => Some(Known::Unknown),
                    $($number => Some(Known::$name),)*
                    _ => None,
                }
            }
        }
    };
}

knowledge! {
    /// It owns it; copies are on their way, and it is not accepted yet.
    Replicating = 1, "replicating";
    /// It owns it; anyone may have it.
    Ready = 2, "ready";
    /// It owns it; it waits for its time.
    Delayed = 3, "delayed";
    /// It owns it; somebody has it.
    Leased = 4, "leased";
    /// It holds a copy of another owner's.
    Standby = 5, "standby";
    /// It gives it to another member, because it leaves.
    Moving = 6, "moving";
    /// It owns it; its dead letter's copies are on their way.
    Dying = 7, "dying";
    /// It was acked; not all holders have confirmed that yet.
    Acked = 8, "acked";
    /// It went on as a dead letter.
    Dead = 9, "dead";
    /// Its time to live was over.
    Expired = 10, "expired";
    /// Its enqueue failed.
    Aborted = 11, "aborted";
    /// It is finished, and all that is left is that it was.
    Forgotten = 12, "forgotten";
    /// The member did not answer: unreachable, or too slow.
    Missing = 13, "missing";
}

impl From<Ending> for Known {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Acked => Known::Acked,
            Ending::Dead => Known::Dead,
            Ending::Expired => Known::Expired,
            Ending::Aborted => Known::Aborted,
        }
    }
}

/// What one member knows of a message, or of it in one group, or of its dead letter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Account {
    /// Whose account it is.
    pub member: MemberId,
    /// What the message is there.
    pub known: Known,
    /// The id there: in a group, or as a dead letter, one of its own.
    pub id: MessageId,
    /// Its queue; empty where that is not known any more.
    pub queue: String,
    /// Its group; empty for the queue itself.
    pub group: String,
    /// How often it was given out, as far as is known there.
    pub attempts: u32,
    /// Who owns it, as far as is known there.
    pub own: Own,
    /// Who may hold it.
    pub holders: Holders,
    /// How many of these have said that they do, or that it is finished.
    pub confirmed: u32,
    /// Of a leased one the member whose consumer has it.
    pub lessee: Option<MemberId>,
    /// Of a leased one how long its lease lasts.
    pub lease_ms: Millis,
    /// When it was accepted; 0 where that is not known any more.
    pub stamp: Stamp,
    /// Of a delayed one, when it is ready, in wall-clock milliseconds since 1970; else 0.
    pub ready_at_ms: u64,
    /// When it expires, in wall-clock milliseconds since 1970; 0 for never.
    pub expires_ms: u64,
}

/// What an account takes at least.
const ACCOUNT_BYTES_MIN: usize = 44;
const HAS_LESSEE: u8 = 1;

impl Account {
    fn weight(&self) -> usize {
        120 + self.queue.len() + self.group.len() + self.holders.len() * 24
    }

    fn write(&self, out: &mut BytesMut) {
        out.put_u8(self.known as u8);
        out.put_u8(u8::from(self.lessee.is_some()) * HAS_LESSEE);
        out.put_u64_le(self.id.origin.0);
        out.put_varint(self.id.sequence);
        out.put_slice_with_length(self.queue.as_bytes());
        out.put_slice_with_length(self.group.as_bytes());
        out.put_varint(u64::from(self.attempts));
        write_own(self.own, out);
        write_holders(&self.holders, out);
        out.put_varint(u64::from(self.confirmed));
        if let Some(lessee) = self.lessee {
            out.put_u128_le(lessee.0);
        }
        out.put_varint(self.lease_ms);
        out.put_u64_le(self.stamp.0);
        out.put_varint(self.ready_at_ms);
        out.put_varint(self.expires_ms);
    }

    fn read(reader: &mut Reader) -> Result<Self> {
        let wrong = |what| Error::new(ErrorKind::Corrupt).because(what);
        let known = Known::of(reader.u8()?).ok_or_else(|| wrong("a state that is none"))?;
        let flags = reader.u8()?;
        let mut account = Self {
            known,
            id: MessageId {
                origin: BootId(reader.u64()?),
                sequence: reader.varint()?,
            },
            queue: reader.string()?,
            group: reader.string()?,
            attempts: reader.varint32()?,
            own: read_own(reader)?,
            holders: read_holders(reader)?,
            confirmed: reader.varint32()?,
            ..Self::default()
        };
        if account.queue.len().max(account.group.len()) > limits::NAME_BYTES_MAX {
            return Err(wrong("a name is too long"));
        }
        if flags & HAS_LESSEE != 0 {
            account.lessee = Some(MemberId(reader.u128()?));
        }
        account.lease_ms = reader.varint()?;
        account.stamp = Stamp(reader.u64()?);
        account.ready_at_ms = reader.varint()?;
        account.expires_ms = reader.varint()?;
        Ok(account)
    }

    /// When it was accepted, in wall-clock milliseconds since 1970 by the clock of who did; 0 where that is not known.
    #[must_use]
    pub fn accepted_ms(&self) -> u64 {
        self.stamp.0 >> 16
    }

    /// The stores that may hold it, without what is said twice.
    #[must_use]
    pub fn holding(&self) -> Vec<MemberId> {
        let mut members: Vec<MemberId> = self.holders.iter().map(|one| one.member).collect();
        members.dedup();
        members
    }

    /// Who owns it: one of its holders, where that is known.
    #[must_use]
    pub fn owner(&self) -> Option<MemberId> {
        let is_its = |holder: &&Holder| holder.store == self.own.store;
        let owner = self.holders.iter().find(is_its);
        owner
            .filter(|_| self.own.store != StoreId::default())
            .map(|holder| holder.member)
    }
}

/// "What do you know of that message?" Answered by one [`Explained`].
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Explain {
    /// Names this at its sender.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// The id's origin.
    #[prost(fixed64, tag = "2")]
    pub origin: u64,
    /// The id's sequence.
    #[prost(uint64, tag = "3")]
    pub sequence: u64,
}

/// One member's answer to an [`Explain`]: nothing where it knows nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Explained {
    /// The explain.
    pub number: u64,
    /// What is known.
    pub accounts: Vec<Account>,
}

impl Explained {
    pub(super) fn weight(&self) -> usize {
        32 + self.accounts.iter().map(Account::weight).sum::<usize>()
    }

    /// Appends it.
    pub fn write(&self, out: &mut BytesMut) {
        out.put_varint(self.number);
        out.put_varint(self.accounts.len() as u64);
        self.accounts.iter().for_each(|account| account.write(out));
    }

    /// Reads one. Errors: 503.
    pub fn read(reader: &mut Reader) -> Result<Self> {
        let number = reader.varint()?;
        let count = reader.count(ACCOUNT_BYTES_MIN)?;
        if count > limits::ACCOUNTS_MAX {
            return Err(Error::new(ErrorKind::Corrupt).because("an answer explains too much"));
        }
        let mut accounts = Vec::with_capacity(count);
        for _ in 0..count {
            accounts.push(Account::read(reader)?);
        }
        Ok(Self { number, accounts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_takes_at_least_is_not_more_than_it_takes() {
        let smallest = Account::default();
        let mut out = BytesMut::new();
        smallest.write(&mut out);
        assert_eq!(out.len(), ACCOUNT_BYTES_MIN);
        let account = Account::read(&mut Reader::new(out.freeze())).unwrap();
        assert_eq!(account, smallest);
    }
}
