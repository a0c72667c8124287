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
        is_duplicate: false,
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

/// What is said of dedup keys.
pub(super) fn dedups() -> Vec<(&'static str, Message)> {
    let queue = |message: Queue| Message::Queue(message.into());
    let (derived, until) = (1 << 63 | ORIGIN.0, 1_795_000_300_000);
    let memento = Memento {
        origin: derived,
        sequence: 7,
        home: 0x1122_3344_5566_7788,
        until,
        window: 300_000,
        is_of_groups: true,
    };
    vec![
        (
            "recall",
            queue(Queue::Recall(Recall {
                number: 300,
                queue: "jobs".into(),
                origins: vec![derived, derived + 1, derived + 2],
                sequences: vec![7, 8, 9],
            })),
        ),
        (
            "recalled",
            queue(Queue::Recalled(Recalled {
                number: 300,
                known: vec![
                    Recollection {
                        place: 0,
                        until,
                        is_over: true,
                        copies: 0,
                    },
                    Recollection {
                        place: 1,
                        until: 0,
                        is_over: false,
                        copies: 3,
                    },
                ],
            })),
        ),
        (
            "remember",
            queue(Queue::Remember(Remember { all: vec![memento] })),
        ),
    ]
}

/// An enqueue with a dedup key, and that there is its message already.
pub(super) fn duplicates() -> Vec<(&'static str, Message)> {
    let queue = |message: Queue| Message::Queue(message.into());
    let terms = Terms {
        dedup: "order-42".into(),
        dedup_window: 300_000,
        dedup_until: 1_795_000_300_000,
        ..Terms::default()
    };
    vec![
        (
            "taken_duplicate",
            queue(Queue::Taken(Taken {
                number: 300,
                origin: 1 << 63 | ORIGIN.0,
                first: 7,
                wanted: 2,
                copies: vec![3],
                is_duplicate: true,
                ..Taken::default()
            })),
        ),
        (
            "enqueue_for_dedup",
            queue(Queue::EnqueueFor(EnqueueFor {
                number: 301,
                queue: "jobs".into(),
                wait_ms: 4_375,
                copies: None,
                on_short: None,
                if_no_group: IfNoGroup::Hold,
                terms: Some(Arc::new(terms)),
                messages: vec![(Bytes::from_static(b"one"), None)],
            })),
        ),
    ]
}
