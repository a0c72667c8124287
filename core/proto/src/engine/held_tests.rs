//! A link that its other end takes up later than this one.

use super::super::command::Command;
use super::super::{Config, Input};
use super::*;
use crate::base::{BootId, ClusterId, StoreId, Ticket};
use crate::queue::{EnqueueOptions, Message as Queue, NewMessage};

const LINK: LinkId = LinkId(7);
const NOW: Now = Now {
    mono: Instant(0),
    wall_ms: 1_700_000_000_000,
};

fn engine(member: u64) -> Engine {
    let (id, boot) = (MemberId(u128::from(member)), BootId(member));
    Engine::new(Config::new(ClusterId(1), id, boot, StoreId(member)), NOW)
}

fn give(engine: &mut Engine, input: Input) -> alloc::vec::Vec<Message> {
    let mut out = alloc::vec::Vec::new();
    engine.handle(NOW, input, &mut out);
    let sent = out.into_iter().filter_map(|effect| match effect {
        Effect::Send(LINK, _, message) => Some(message),
        _ => None,
    });
    sent.collect()
}

fn is_copy(message: &Message) -> bool {
    matches!(message, Message::Queue(queue) if matches!(**queue, Queue::Repl(_)))
}

#[test]
fn what_was_said_before_the_other_end_took_the_link_up_is_said_again() {
    let mut engine = engine(1);
    let hello = alloc::boxed::Box::new(self::engine(2).hello());
    let linked = Input::Linked {
        link: LINK,
        hello,
        dialled: None,
    };
    give(&mut engine, linked);
    let queue = engine.queue("jobs").unwrap();
    let enqueue = Command::Enqueue {
        queue,
        message: NewMessage::default(),
        options: EnqueueOptions {
            copies: Some(2),
            ..EnqueueOptions::default()
        },
    };
    let ticket = Ticket(1);
    let sent = give(
        &mut engine,
        Input::Command {
            ticket,
            command: enqueue,
        },
    );
    assert_eq!(sent.iter().filter(|message| is_copy(message)).count(), 1);
    // It holds the link until it hears what this member knows: what came before it has passed over.
    let message = Message::Meta(Meta {
        delta: alloc::vec::Vec::new(),
        asks: true,
    });
    let sent = give(
        &mut engine,
        Input::Message {
            link: LINK,
            message,
        },
    );
    assert!(matches!(&sent[0], Message::Meta(meta) if !meta.asks));
    assert_eq!(sent.iter().filter(|message| is_copy(message)).count(), 1);
}
