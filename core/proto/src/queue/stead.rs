//! What members say where one accepts messages in another's stead (protocol.md 4.8, ENQUEUE_FOR).

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::{BufMut, BytesMut};
use prost::Message as _;

use super::delivery::{Headers, IfNoGroup, NewMessage, OnShort, Receipt};
use super::limits;
use super::message::Header;
use crate::base::{BootId, Error, ErrorKind, MessageId, Millis, Result};
use crate::copies::{Terms, own_body, read_headers, read_terms, weigh, write_headers};
use crate::wire::{Put, Reader, SEQUENCE_MAX};

/// A frame's head: all but its messages, at most.
const HEAD_BYTES: usize = 1 << 10;

const HAS_HEADERS: u8 = 1;
/// Parts of one enqueue at most: two neighbours fill more than a frame, and all together are bounded.
const PARTS_MAX: u32 = 2 * (limits::FORWARD_BYTES_MAX / limits::FRAME_BYTES_MAX) as u32 + 1;
/// The names of values that an enqueue's error may carry.
const NAMES: &[&str] = &[
    "bytes",
    "bytes_max",
    "bytes_used",
    "copies",
    "copies_max",
    "enqueues",
    "enqueues_max",
    "got",
    "group",
    "headers",
    "headers_max",
    "least",
    "member",
    "member_with_room",
    "memory_bytes_max",
    "memory_level",
    "messages",
    "messages_max",
    "most",
    "queue",
    "queues_max",
    "reachable",
    "retry_after_ms",
    "wanted",
];

/// "Accept these as if you were called." Answered by one [`Taken`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EnqueueFor {
    /// Names this at its sender, ever higher in one life of it.
    pub number: u64,
    /// The queue's name.
    pub queue: String,
    /// How long the caller waits for its copies, in ms.
    pub wait_ms: Millis,
    /// Copies wanted; none for what the taker would make.
    pub copies: Option<u16>,
    /// What to do with fewer; none for what the taker would do.
    pub on_short: Option<OnShort>,
    /// What becomes of them where the taker knows of no group.
    pub if_no_group: IfNoGroup,
    /// Their terms, with the dates that they had when they were asked for.
    pub terms: Option<Arc<Terms>>,
    /// All are accepted, or none.
    pub messages: Vec<(bytes::Bytes, Option<Headers>)>,
}

/// One part of an enqueue that is too large for one frame. All parts say the same but for their messages,
/// which are those of the whole in their order; it is asked for when the last of them is there.
#[derive(Debug, Clone, PartialEq)]
pub struct EnqueuePart {
    /// Which part, the first from 0.
    pub part: u32,
    /// Of how many.
    pub parts: u32,
    /// Its own messages, and what all are asked for.
    pub asked: EnqueueFor,
}

/// What became of an [`EnqueueFor`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Taken {
    /// Which.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// 0, or an error's number.
    #[prost(uint32, tag = "2")]
    pub code: u32,
    /// What happened, as a phrase.
    #[prost(string, tag = "3")]
    pub reason: String,
    /// The values that matter.
    #[prost(message, repeated, tag = "4")]
    pub context: Vec<Header>,
    /// The receiver leaves: nothing was done, another may do it.
    #[prost(bool, tag = "5")]
    pub is_leaving: bool,
    /// The origin of the messages.
    #[prost(fixed64, tag = "6")]
    pub origin: u64,
    /// The first one's sequence; the others follow.
    #[prost(uint64, tag = "7")]
    pub first: u64,
    /// Copies that were asked for.
    #[prost(uint32, tag = "8")]
    pub wanted: u32,
    /// Copies of each.
    #[prost(uint32, repeated, tag = "9")]
    pub copies: Vec<u32>,
    /// The message was there already, by its dedup key.
    #[prost(bool, tag = "10")]
    pub is_duplicate: bool,
}

impl EnqueueFor {
    pub(super) fn weight(&self) -> usize {
        let messages = self.messages.iter();
        let messages = messages.map(|(body, headers)| weight_of(body, headers.as_ref()));
        HEAD_BYTES + messages.sum::<usize>()
    }

    /// What `messages` weigh that are not asked for yet.
    pub(super) fn weight_with(messages: &[NewMessage]) -> usize {
        let messages = messages.iter();
        let messages = messages.map(|one| weight_of(&one.body, one.headers.as_ref()));
        HEAD_BYTES + messages.sum::<usize>()
    }

    /// Its parts, in order, each of them less than a frame.
    pub(super) fn in_parts(&self) -> Vec<EnqueuePart> {
        let mut all: Vec<EnqueueFor> = Vec::new();
        let mut bytes = usize::MAX;
        for message in &self.messages {
            let weight = weight_of(&message.0, message.1.as_ref());
            bytes = bytes.saturating_add(weight);
            match all.last_mut() {
                Some(open) if bytes <= limits::FRAME_BYTES_MAX => {
                    open.messages.push(message.clone());
                }
                _ => {
                    bytes = HEAD_BYTES + weight;
                    let messages = Vec::from([message.clone()]);
                    all.push(EnqueueFor {
                        messages,
                        ..self.head()
                    });
                }
            }
        }
        let parts = all.len() as u32;
        let all = (0..).zip(all);
        all.map(|(part, asked)| EnqueuePart { part, parts, asked })
            .collect()
    }

    /// All but its messages.
    fn head(&self) -> Self {
        Self {
            number: self.number,
            queue: self.queue.clone(),
            wait_ms: self.wait_ms,
            copies: self.copies,
            on_short: self.on_short,
            if_no_group: self.if_no_group,
            terms: self.terms.clone(),
            messages: Vec::new(),
        }
    }

    /// Appends it.
    pub fn write(&self, out: &mut BytesMut) {
        out.put_varint(self.number);
        out.put_slice_with_length(self.queue.as_bytes());
        out.put_varint(self.wait_ms);
        out.put_varint(u64::from(self.copies.unwrap_or(0)));
        out.put_u8(self.on_short.map_or(0, |on_short| on_short as u8 + 1));
        out.put_u8(self.if_no_group as u8);
        let terms = self
            .terms
            .as_ref()
            .map_or_else(Vec::new, |terms| terms.encode_to_vec());
        out.put_slice_with_length(&terms);
        out.put_varint(self.messages.len() as u64);
        for (body, headers) in &self.messages {
            out.put_u8(if headers.is_some() { HAS_HEADERS } else { 0 });
            if let Some(headers) = headers {
                write_headers(headers, out);
            }
            out.put_slice_with_length(body);
        }
    }

    /// Reads one. Errors: 503.
    pub fn read(reader: &mut Reader) -> Result<Self> {
        let number = reader.varint()?;
        let queue = reader.string()?;
        let wait_ms = reader.varint()?.min(limits::WAIT_MS_MAX);
        let copies = reader.varint32()?;
        let on_short = match reader.u8()? {
            0 => None,
            1 => Some(OnShort::Degrade),
            2 => Some(OnShort::Fail),
            3 => Some(OnShort::Wait),
            _ => return Err(corrupt("an unknown way to deal with too few copies")),
        };
        let if_no_group = match reader.u8()? {
            0 => IfNoGroup::Hold,
            1 => IfNoGroup::Drop,
            2 => IfNoGroup::Refuse,
            _ => return Err(corrupt("an unknown way to deal with no group")),
        };
        let terms = read_terms(reader)?;
        let count = reader.count(2)?;
        if count > limits::BATCH_MAX {
            return Err(corrupt("too many messages in one enqueue"));
        }
        let mut messages = Vec::with_capacity(count);
        for _ in 0..count {
            let has_headers = reader.u8()? & HAS_HEADERS != 0;
            let headers = has_headers.then(|| read_headers(reader)).transpose()?;
            messages.push((own_body(reader)?, headers));
        }
        Ok(Self {
            number,
            queue,
            wait_ms,
            copies: (copies > 0).then(|| copies.min(u32::from(u16::MAX)) as u16),
            on_short,
            if_no_group,
            terms: (*terms != Terms::default()).then_some(terms),
            messages,
        })
    }
}

impl EnqueuePart {
    /// Appends it.
    pub fn write(&self, out: &mut BytesMut) {
        out.put_varint(self.part.into());
        out.put_varint(self.parts.into());
        self.asked.write(out);
    }

    /// Reads one. Errors: 503.
    pub fn read(reader: &mut Reader) -> Result<Self> {
        let (part, parts) = (reader.varint32()?, reader.varint32()?);
        if part >= parts || parts > PARTS_MAX {
            return Err(corrupt("a part of an enqueue that cannot be"));
        }
        let asked = EnqueueFor::read(reader)?;
        Ok(Self { part, parts, asked })
    }
}

/// What one message takes in a frame, with a length beside each of its parts.
fn weight_of(body: &bytes::Bytes, headers: Option<&Headers>) -> usize {
    let headers = headers.map_or(0, |headers| weigh(headers) + 4 * headers.len() + 4);
    body.len() + headers + 5
}

pub(super) fn corrupt(why: &str) -> Error {
    Error::new(ErrorKind::Corrupt).because(why)
}

impl Taken {
    pub(super) fn weight(&self) -> usize {
        let context = self.context.iter();
        let context = context.map(|one| one.name.len() + one.value.len() + 6);
        48 + self.reason.len() + context.sum::<usize>() + self.copies.len() * 2
    }

    /// What was decoded, when it is within the limits. Errors: 503.
    pub fn checked(self) -> Result<Self> {
        let is_within = self.copies.len() <= limits::BATCH_MAX
            && self.first <= SEQUENCE_MAX
            && self.context.len() <= limits::HEADERS_MAX
            && self.weight() <= limits::HEADER_BYTES_MAX;
        if is_within {
            return Ok(self);
        }
        Err(corrupt("the answer to an enqueue is over the limit"))
    }

    /// The error in it.
    pub(super) fn to_error(&self) -> Error {
        let kind = u16::try_from(self.code).ok();
        let kind = kind.and_then(ErrorKind::from_number);
        let error = Error::new(kind.unwrap_or(ErrorKind::Internal));
        let mut reason = self.reason.clone();
        let mut context = Vec::new();
        for one in &self.context {
            match NAMES.iter().find(|name| **name == one.name) {
                Some(name) => context.push((*name, &one.value)),
                // A later version's: hosts make atoms of names, so they are none but those known here.
                None => reason += &format!(" ({} = {})", one.name, one.value),
            }
        }
        let error = error.because(reason);
        let context = context.into_iter();
        context.fold(error, |error, (name, value)| error.with(name, value))
    }

    /// The receipts in it.
    pub(super) fn receipts(&self) -> Vec<Receipt> {
        let receipts = (self.first..).zip(&self.copies);
        let receipts = receipts.map(|(sequence, copies)| Receipt {
            id: MessageId {
                origin: BootId(self.origin),
                sequence,
            },
            copies: *copies as u16,
            durable_copies: 0,
            wanted: self.wanted as u16,
            is_duplicate: self.is_duplicate,
        });
        receipts.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn header(name: &str) -> Header {
        Header {
            name: name.into(),
            value: "7".into(),
        }
    }

    #[test]
    fn parts_are_less_than_frames_and_together_the_whole_in_its_order() {
        for sizes in [
            vec![512 << 10, 512 << 10],
            vec![500 << 10; 17],
            vec![1_000; 4_096],
        ] {
            let numbered = (0..).zip(&sizes);
            let message = |(n, size): (u32, &usize)| {
                let mut body = vec![0; *size];
                body[..4].copy_from_slice(&n.to_le_bytes());
                (body.into(), None)
            };
            let asked = EnqueueFor {
                number: 7,
                queue: "q".repeat(255),
                wait_ms: limits::WAIT_MS_MAX,
                copies: Some(3),
                on_short: None,
                if_no_group: IfNoGroup::Hold,
                terms: None,
                messages: numbered.map(message).collect(),
            };
            let parts = asked.in_parts();
            assert!(parts.len() > 1 && parts.len() as u32 <= PARTS_MAX);
            let mut whole = Vec::new();
            for (n, part) in parts.iter().enumerate() {
                assert_eq!((part.part, part.parts), (n as u32, parts.len() as u32));
                let mut out = BytesMut::new();
                part.write(&mut out);
                assert!(out.len() + 8 < limits::FRAME_BYTES_MAX);
                let mut reader = Reader::new(out.freeze());
                let read = EnqueuePart::read(&mut reader).unwrap();
                assert_eq!(&read, part);
                assert_eq!(read.asked.head(), asked.head());
                whole.extend(read.asked.messages);
            }
            assert_eq!(whole, asked.messages);
        }
    }

    #[test]
    fn an_error_survives_its_way() {
        let taken = Taken {
            code: 201,
            reason: "full".into(),
            context: ["messages_max", "moon"].map(header).into(),
            ..Taken::default()
        };
        let error = taken.to_error().to_string();
        assert_eq!(error, "201 Full: full (moon = 7) (messages_max = 7)");
        let unknown = Taken {
            code: 7,
            ..Taken::default()
        };
        assert_eq!(unknown.to_error().number(), 599);
    }
}
