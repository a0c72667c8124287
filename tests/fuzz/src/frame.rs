//! Frames from strangers: nothing panics, nothing is believed, what is written is read.

use bytes::{Bytes, BytesMut};
use primer_proto::base::{Chance, Error, limits};
use primer_proto::copies::{Item, Section};
use primer_proto::engine::{Message, Writer, cut, decode};
use primer_proto::queue::{
    Account, EnqueueFor, Facts, Header, Letter, Memento, Message as Queue, Recollection, Shown,
};
use primer_proto::wire::{Ids, SEQUENCE_MAX};

use crate::corpus::golden;
use crate::make::{self, Pool};

/// What decoding a frame may cost beyond its bytes: a fixed sum and a factor (an item is larger in
/// memory than its five bytes on the wire).
const SPARE_BYTES: usize = 64 << 10;
const FACTOR: usize = 48;
/// The kinds there are (core/docs/wire.md), and a few that there are not.
const KINDS: u64 = 60;

pub(crate) fn run(chance: &mut Chance) {
    let pool = Pool::new(chance);
    match chance.below(4) {
        0 => round_trip(&pool, chance),
        1 => shared_frames(&pool, chance),
        2 => feed(noise(chance), chance),
        _ => {
            let mut bytes = real(&pool, chance);
            make::damage(&mut bytes, chance);
            feed(bytes, chance);
        }
    }
}

fn write(messages: &[Message]) -> BytesMut {
    let mut out = BytesMut::new();
    let mut writer = Writer::default();
    for message in messages {
        writer.push(message, &mut out);
    }
    writer.finish(&mut out);
    out
}

/// The messages of whole frames, up to the first error.
fn read(mut bytes: BytesMut) -> (Vec<Option<Message>>, Option<Error>) {
    let mut messages = Vec::new();
    loop {
        match cut(&mut bytes, limits::FRAME_BYTES_MAX).and_then(|frame| match frame {
            Some(frame) => checked(frame).map(Some),
            None => Ok(None),
        }) {
            Ok(Some(message)) => messages.push(message),
            Ok(None) => return (messages, None),
            Err(error) => return (messages, Some(error)),
        }
    }
}

/// Decodes, and holds the decoder to its bounds.
fn checked(frame: Bytes) -> Result<Option<Message>, Error> {
    let length = frame.len();
    let message = decode(frame)?;
    if let Some(message) = &message {
        let size = footprint(message);
        assert!(
            size <= SPARE_BYTES + FACTOR * length,
            "{length} bytes became {size}"
        );
        again(message);
    }
    Ok(message)
}

/// What was read can be written and read again, and is the same: so a member may pass it on.
fn again(message: &Message) {
    let (read, error) = read_plain(write(std::slice::from_ref(message)));
    assert_eq!(error, None, "our own bytes of {message:?}");
    assert_eq!(read, [Some(message.clone())]);
}

fn read_plain(mut bytes: BytesMut) -> (Vec<Option<Message>>, Option<Error>) {
    let mut messages = Vec::new();
    while let Some(frame) = cut(&mut bytes, limits::FRAME_BYTES_MAX).transpose() {
        match frame.and_then(decode) {
            Ok(message) => messages.push(message),
            Err(error) => return (messages, Some(error)),
        }
    }
    (messages, None)
}

fn round_trip(pool: &Pool, chance: &mut Chance) {
    let message = make::message(pool, chance);
    let bytes = write(std::slice::from_ref(&message));
    let weight = message.weight();
    // The weight bounds what may wait on a link: it must not be fooled by much.
    assert!(
        bytes.len() <= 512 + weight * 2,
        "{} bytes weigh {weight}",
        bytes.len()
    );
    again(&message);
}

/// Neighbours may share frames; what they say, and in which order, stays the same.
fn shared_frames(pool: &Pool, chance: &mut Chance) {
    let mut messages: Vec<Message> = Vec::new();
    for _ in 0..chance.below(12) {
        let is_like_last = chance.percent(60);
        let next = match messages.last() {
            Some(last) if is_like_last => sibling(last, chance),
            _ => make::message(pool, chance),
        };
        messages.push(next);
    }
    let (read, error) = read(write(&messages));
    assert_eq!(error, None);
    let facts = |messages: &[Message]| messages.iter().flat_map(facts_of).collect::<Vec<_>>();
    let read: Vec<Message> = read.into_iter().flatten().collect();
    assert_eq!(facts(&read), facts(&messages));
}

/// A message that could share a frame with `last`.
fn sibling(last: &Message, chance: &mut Chance) -> Message {
    let mut next = last.clone();
    if let Message::Queue(queue) = &mut next {
        match queue.as_mut() {
            Queue::Repl(repl) => {
                for item in &mut repl.section.items {
                    item.sequence = (item.sequence + 1 + chance.below(3)).min(SEQUENCE_MAX);
                }
            }
            Queue::SetDone(done) | Queue::DoneOk(done) => {
                done.ids = Ids::range(done.ids.origin, chance.below(50), 50 + chance.below(50));
            }
            Queue::ReplOk(ok) => {
                ok.ids = Ids::range(ok.ids.origin, chance.below(50), 50 + chance.below(50));
            }
            Queue::Forget(forget) => {
                forget.ids = Ids::range(forget.ids.origin, chance.below(50), 50 + chance.below(50));
            }
            _ => {}
        }
    }
    next
}

/// A message as single statements: one for each copy or id, and whole where nothing is shared.
fn facts_of(message: &Message) -> Vec<String> {
    let each = |ids: &Ids, what: String| -> Vec<String> {
        ids.iter().map(|id| format!("{id} {what}")).collect()
    };
    let Message::Queue(queue) = message else {
        return vec![format!("{message:?}")];
    };
    match queue.as_ref() {
        Queue::Repl(repl) => {
            let head = format!("{:?} {:?}", repl.queue, head_of(&repl.section));
            let items = repl.section.items.iter();
            items.map(|item| format!("copy {head} {item:?}")).collect()
        }
        Queue::ReplOk(ok) => each(&ok.ids, format!("kept in {}", ok.store)),
        Queue::SetDone(done) => each(
            &done.ids,
            format!("set {:?} {:?}", done.ending, done.holders),
        ),
        Queue::DoneOk(done) => each(
            &done.ids,
            format!("ok {:?} {:?}", done.ending, done.holders),
        ),
        Queue::Forget(forget) => each(&forget.ids, format!("forget {:?}", forget.holders)),
        other => vec![format!("{other:?}")],
    }
}

fn head_of(section: &Section) -> Section {
    Section::new(section.origin, section.own, section.holders.clone())
}

fn real(pool: &Pool, chance: &mut Chance) -> Vec<u8> {
    let golden = golden();
    if !golden.is_empty() && chance.percent(30) {
        return golden[chance.below(golden.len() as u64) as usize].to_vec();
    }
    let count = 1 + chance.below(3);
    let messages: Vec<Message> = (0..count).map(|_| make::message(pool, chance)).collect();
    write(&messages).to_vec()
}

/// Bytes of nobody, behind a header that fits so that they reach a decoder.
fn noise(chance: &mut Chance) -> Vec<u8> {
    let length = chance.below(200) as usize;
    let mut bytes: Vec<u8> = (0..length).map(|_| chance.bits() as u8).collect();
    if chance.percent(90) && length >= 5 {
        let body = (length - 4) as u32;
        bytes[..4].copy_from_slice(&body.to_le_bytes());
        bytes[4] = chance.below(KINDS) as u8;
    }
    bytes
}

/// However the bytes arrive, the same comes of them.
fn feed(bytes: Vec<u8>, chance: &mut Chance) {
    let whole = read(BytesMut::from(bytes.as_slice()));
    let mut buffer = BytesMut::new();
    let mut messages = Vec::new();
    let mut failed = None;
    let mut rest = bytes.as_slice();
    while failed.is_none() {
        match cut(&mut buffer, limits::FRAME_BYTES_MAX) {
            Ok(Some(frame)) => match decode(frame) {
                Ok(message) => messages.push(message),
                Err(error) => failed = Some(error),
            },
            Err(error) => failed = Some(error),
            Ok(None) if rest.is_empty() => break,
            Ok(None) => {
                let size = 1 + chance.below(rest.len().min(64) as u64) as usize;
                let (chunk, later) = rest.split_at(size);
                buffer.extend_from_slice(chunk);
                rest = later;
            }
        }
    }
    assert_eq!((messages, failed), whole, "chunks made a difference");
}

/// The same of what is said of dedup keys.
fn of_dedup(queue: &Queue) -> usize {
    match queue {
        Queue::Recall(recall) => {
            (recall.origins.capacity() + recall.sequences.capacity()) * size_of::<u64>()
        }
        Queue::Recalled(recalled) => recalled.known.capacity() * size_of::<Recollection>(),
        Queue::Remember(remember) => remember.all.capacity() * size_of::<Memento>(),
        _ => 0,
    }
}

fn asked_size(asked: &EnqueueFor) -> usize {
    let messages = asked.messages.iter();
    let headers = messages.filter_map(|(_, headers)| headers.as_ref());
    let pairs: usize = headers.map(|headers| headers.len() * 48).sum();
    asked.messages.capacity() * 40 + pairs
}

/// About what a decoded message takes in memory.
fn footprint(message: &Message) -> usize {
    let section = |section: &Section| {
        let items = section.items.capacity() * size_of::<Item>();
        let headers = section
            .items
            .iter()
            .filter_map(|item| item.headers.as_ref());
        let pairs: usize = headers.map(|headers| headers.len() * 48).sum();
        items + pairs + section.holders.len() * 24
    };
    let ids = |ids: &Ids| ids.ranges.capacity() * 16;
    match message {
        Message::Queue(queue) => match queue.as_ref() {
            Queue::Repl(repl) => section(&repl.section),
            Queue::Deliver(deliver) => {
                let spare = deliver.sections.capacity() * size_of::<Section>();
                spare + deliver.sections.iter().map(section).sum::<usize>()
            }
            Queue::ReplOk(ok) => ids(&ok.ids),
            Queue::ReplNo(no) => ids(&no.ids),
            Queue::SetDone(done) | Queue::DoneOk(done) => ids(&done.ids),
            Queue::Forget(forget) => ids(&forget.ids),
            Queue::LeaseHint(hint) => ids(&hint.ids),
            Queue::HintOk(ok) => ids(&ok.ids),
            Queue::Inventory(all) => all.buckets.capacity() * 4 + all.sums.capacity() * 8,
            Queue::Differ(differ) => differ.buckets.capacity() * 4,
            Queue::Claim(claim) => ids(&claim.ids),
            Queue::Replied(replied) => replied.headers.capacity() * size_of::<Header>(),
            Queue::EnqueueFor(asked) => asked_size(asked),
            Queue::EnqueuePart(part) => asked_size(&part.asked),
            Queue::Recall(_) | Queue::Recalled(_) | Queue::Remember(_) => of_dedup(queue),
            Queue::Taken(taken) => {
                taken.copies.capacity() * 4 + taken.context.capacity() * size_of::<Header>()
            }
            Queue::Browse(browse) => browse.headers.capacity() * size_of::<Header>(),
            Queue::Redrive(redrive) => {
                let headers = redrive.headers.capacity() * size_of::<Header>();
                headers + redrive.ids.capacity() * size_of::<Letter>()
            }
            Queue::Examined(examined) => {
                let facts = examined.facts.iter();
                let members =
                    facts.map(|one| (one.lessees.capacity() + one.owners.capacity()) * 24);
                examined.facts.capacity() * size_of::<Facts>() + members.sum::<usize>()
            }
            Queue::Explained(explained) => {
                let holders = explained.accounts.iter().map(|one| one.holders.len() * 24);
                explained.accounts.capacity() * size_of::<Account>() + holders.sum::<usize>()
            }
            Queue::Browsed(browsed) => {
                let messages = browsed.messages.capacity() * size_of::<Shown>();
                let headers = browsed.messages.iter();
                let headers = headers.filter_map(|shown| shown.headers.as_ref());
                messages + headers.map(|headers| headers.len() * 48).sum::<usize>()
            }
            _ => 0,
        },
        Message::Stock(stock) => {
            let names = stock.stocked.iter().chain(&stock.empty);
            names.map(|name| name.capacity() + 24).sum()
        }
        _ => 0,
    }
}
