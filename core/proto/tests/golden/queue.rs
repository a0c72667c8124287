//! Frames of the queue room that are neither of every message nor of users' looks.

use super::*;

/// What two members count together.
pub(super) fn inventories() -> Vec<(&'static str, Message)> {
    let queue = |message: Queue| Message::Queue(message.into());
    vec![
        (
            "inventory",
            queue(Queue::Inventory(Inventory {
                is_owners: true,
                buckets: vec![3, 1_023],
                sums: vec![0x77, u64::MAX],
            })),
        ),
        (
            "differ",
            queue(Queue::Differ(Differ {
                buckets: vec![3, 300],
            })),
        ),
    ]
}

/// A redrive, and its answer.
pub(super) fn redrives() -> Vec<(&'static str, Message)> {
    let queue = |message: Queue| Message::Queue(message.into());
    vec![
        (
            "redrive",
            queue(Queue::Redrive(Redrive {
                number: 300,
                queue: "jobs.dead".into(),
                to: "jobs".into(),
                headers: vec![QueueHeader {
                    name: "primer-cause".into(),
                    value: "rejected".into(),
                }],
                ids: vec![Letter {
                    origin: ORIGIN.0,
                    sequence: 7,
                }],
                max: 10_000,
                is_dry_run: true,
                wait_ms: 15_000,
            })),
        ),
        (
            "redriven",
            queue(Queue::Redriven(Redriven {
                number: 300,
                is_busy: false,
                matched: 500,
                moved: 300,
                refused: 2,
                skipped: 1,
                leased: 4,
            })),
        ),
    ]
}

/// An enqueue that another member is to take, and its answers.
pub(super) fn forwards() -> Vec<(&'static str, Message)> {
    let queue = |message: Queue| Message::Queue(message.into());
    let headers = Arc::new(vec![("n".into(), "v".into())]);
    let terms = Terms {
        key: "ada".into(),
        ..Terms::default()
    };
    let taken = Taken {
        number: 300,
        origin: ORIGIN.0,
        first: 7,
        wanted: 3,
        copies: vec![3, 2],
        code: 204,
        reason: "the queue is paused".into(),
        context: vec![QueueHeader::default()],
        is_leaving: true,
    };
    let asked = EnqueueFor {
        number: 300,
        queue: "jobs".into(),
        wait_ms: 4_375,
        copies: Some(3),
        on_short: Some(OnShort::Wait),
        if_no_group: IfNoGroup::Refuse,
        terms: Some(Arc::new(terms)),
        messages: vec![
            (Bytes::from_static(b"one"), Some(headers)),
            (Bytes::new(), None),
        ],
    };
    let part = EnqueuePart {
        part: 1,
        parts: 3,
        asked: asked.clone(),
    };
    vec![
        ("enqueue-for", queue(Queue::EnqueueFor(asked))),
        ("enqueue-part", queue(Queue::EnqueuePart(part))),
        ("taken", queue(Queue::Taken(taken))),
    ]
}
