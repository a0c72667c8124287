//! What members say of dedup keys.

use primer_proto::base::{BootId, Chance, MessageId, limits};
use primer_proto::copies::Dedup;
use primer_proto::queue::{Memento, Message as Queue, Recall, Recalled, Recollection, Remember};

use super::{Pool, number, number32, pick, queue_name};

/// Often one that an enqueue of the same case has, by a clock that is right.
fn ids(pool: &Pool, chance: &mut Chance) -> [MessageId; 3] {
    let key = *pick(&["k", "l"], chance);
    let window = *pick(&[1, 1_000, limits::DEDUP_WINDOW_MS_MAX], chance);
    let dedup = Dedup::new(&queue_name(pool, chance), key, window);
    dedup.around(1_700_000_000_000 + chance.below(10_000))
}

/// A question, an answer, or what is finished.
pub(super) fn memory(pool: &Pool, chance: &mut Chance) -> Queue {
    match chance.below(3) {
        0 => {
            let ids = ids(pool, chance);
            Queue::Recall(Recall {
                number: number(chance),
                queue: queue_name(pool, chance),
                origins: ids.iter().map(|id| id.origin.0).collect(),
                sequences: ids.iter().map(|id| id.sequence).collect(),
            })
        }
        1 => {
            let known = (0..chance.below(4)).map(|_| Recollection {
                place: chance.below(3) as u32,
                until: number(chance),
                is_over: chance.percent(50),
                copies: number32(chance),
            });
            let known = known.collect();
            // Numbers go on from the boot: of a small one, from the beginning.
            let number = chance.below(20);
            Queue::Recalled(Recalled { number, known })
        }
        _ => {
            let all = (0..chance.below(4)).map(|_| {
                let [_, MessageId { origin, sequence }, _] = ids(pool, chance);
                let BootId(origin) = origin;
                Memento {
                    origin,
                    sequence,
                    home: chance.bits(),
                    until: number(chance),
                    window: *pick(&[1, 1_000, limits::DEDUP_WINDOW_MS_MAX], chance),
                    is_of_groups: chance.percent(30),
                }
            });
            let all = all.collect();
            Queue::Remember(Remember { all })
        }
    }
}
