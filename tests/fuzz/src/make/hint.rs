//! What owners tell of leases.

use primer_proto::base::{Chance, limits};
use primer_proto::queue::{HintOk, LeaseHint, Message as Queue};

use super::{Pool, boot, ids, number, number32, own, pick};

/// A lease that is told of, or the answer to that.
pub(super) fn hint(pool: &Pool, chance: &mut Chance) -> Queue {
    if chance.percent(50) {
        let (ids, attempts) = (ids(pool, chance), number32(chance));
        return Queue::HintOk(HintOk { ids, attempts });
    }
    Queue::LeaseHint(LeaseHint {
        own: own(pool, chance),
        ids: ids(pool, chance),
        attempts: number32(chance),
        remaining_ms: number(chance).min(limits::LEASE_MS_MAX),
        lessee: pick(&pool.holders, chance).member,
        boot: boot(pool, chance),
        asks: chance.percent(50),
    })
}
