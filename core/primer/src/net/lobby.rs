//! [`Lobby`]: those who connected and are not known yet, and halves that wait for their other half.
//!
//! There are at most `limits::STRANGERS_MAX` strangers, and, where others than this machine can
//! connect, `limits::STRANGERS_PER_ADDRESS_MAX` from one address (of IPv6: from one /64, which is what
//! one customer gets). When they are too many the oldest of the most crowded address makes room: a
//! member needs milliseconds, who is still here after seconds means no good.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use primer_proto::base::{BootId, MemberId, limits};
use primer_proto::membership::Hello;
use primer_proto::membership::greeting::Refused;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use super::channel::Channel;
use crate::run::sync::Mutex;

/// Everybody who is not a link yet.
#[derive(Default)]
pub(crate) struct Lobby {
    strangers: Mutex<Strangers>,
    /// Control connections by the number of their pair, each waiting for its bulk connection.
    halves: Mutex<HashMap<u64, Half>>,
}

#[derive(Default)]
struct Strangers {
    count: usize,
    last: u64,
    /// The oldest first.
    by_address: HashMap<IpAddr, VecDeque<(u64, Option<AbortHandle>)>>,
}

struct Half {
    member: MemberId,
    boot: BootId,
    bulk: oneshot::Sender<Channel>,
}

/// One stranger; it leaves the lobby when this is dropped.
pub(crate) struct Stranger {
    lobby: Arc<Lobby>,
    address: IpAddr,
    number: u64,
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut strangers = self.lobby.strangers.lock();
        strangers.remove(self.address, self.number);
    }
}

/// A control connection's place among the halves; given up when it is dropped.
pub(crate) struct Place<'a> {
    lobby: &'a Lobby,
    pair: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.lobby.halves.lock().remove(&self.pair);
    }
}

impl Lobby {
    /// Lets one in from `address`; who has to go for it, and from where. `is_open` where others than
    /// this machine can connect.
    pub(crate) fn enter(
        self: &Arc<Self>,
        address: IpAddr,
        is_open: bool,
    ) -> (Stranger, Option<(IpAddr, AbortHandle)>) {
        let address = origin(address);
        let mut strangers = self.strangers.lock();
        let evicted = strangers.make_room(address, is_open);
        strangers.last += 1;
        strangers.count += 1;
        let number = strangers.last;
        let neighbours = strangers.by_address.entry(address).or_default();
        neighbours.push_back((number, None));
        let stranger = Stranger {
            lobby: self.clone(),
            address,
            number,
        };
        (stranger, evicted)
    }

    /// How to end the stranger who entered last.
    pub(crate) fn keep(&self, address: IpAddr, handle: AbortHandle) {
        let mut strangers = self.strangers.lock();
        let neighbours = strangers.by_address.get_mut(&origin(address));
        if let Some((_, kept)) = neighbours.and_then(VecDeque::back_mut) {
            *kept = Some(handle);
        }
    }

    /// Puts a control connection among the halves. Errors: another one has its number.
    pub(crate) fn put(
        &self,
        hello: &Hello,
        bulk: oneshot::Sender<Channel>,
    ) -> Result<Place<'_>, Refused> {
        match self.halves.lock().entry(hello.pair) {
            Entry::Occupied(_) => Err(Refused::malformed("that number is taken")),
            Entry::Vacant(entry) => {
                entry.insert(Half {
                    member: hello.member(),
                    boot: hello.boot(),
                    bulk,
                });
                Ok(Place {
                    lobby: self,
                    pair: hello.pair,
                })
            }
        }
    }

    /// Takes the half that waits for the bulk connection of `hello`. Errors: there is none.
    pub(crate) fn take(&self, hello: &Hello) -> Result<oneshot::Sender<Channel>, Refused> {
        let half = self.halves.lock().remove(&hello.pair);
        half.filter(|half| half.boot == hello.boot() && half.member == hello.member())
            .map(|half| half.bulk)
            .ok_or_else(|| Refused::malformed("no connection waits for this one"))
    }
}

impl Strangers {
    fn make_room(&mut self, address: IpAddr, is_open: bool) -> Option<(IpAddr, AbortHandle)> {
        let neighbours = self.by_address.get(&address).map_or(0, VecDeque::len);
        let crowded = if is_open && neighbours >= limits::STRANGERS_PER_ADDRESS_MAX {
            address
        } else if self.count >= limits::STRANGERS_MAX {
            *self.by_address.iter().max_by_key(|(_, all)| all.len())?.0
        } else {
            return None;
        };
        let (number, handle) = self.by_address.get(&crowded)?.front()?.clone();
        self.remove(crowded, number);
        handle.map(|handle| (crowded, handle))
    }

    fn remove(&mut self, address: IpAddr, number: u64) {
        let Entry::Occupied(mut neighbours) = self.by_address.entry(address) else {
            return;
        };
        let before = neighbours.get().len();
        neighbours.get_mut().retain(|(other, _)| *other != number);
        self.count -= before - neighbours.get().len();
        if neighbours.get().is_empty() {
            neighbours.remove();
        }
    }
}

/// What counts as one address.
fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let net = address.to_bits() & (u128::MAX << 64);
            IpAddr::V6(Ipv6Addr::from_bits(net))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(lobby: &Lobby) -> usize {
        let strangers = lobby.strangers.lock();
        let listed: usize = strangers.by_address.values().map(VecDeque::len).sum();
        assert_eq!(strangers.count, listed);
        listed
    }

    /// Lets one in whose task never ends by itself.
    fn enter(lobby: &Arc<Lobby>, address: &str, is_open: bool) -> (Stranger, Option<IpAddr>) {
        let address: IpAddr = address.parse().unwrap();
        let (stranger, evicted) = lobby.enter(address, is_open);
        lobby.keep(
            address,
            tokio::spawn(std::future::pending::<()>()).abort_handle(),
        );
        (stranger, evicted.map(|(from, _)| from))
    }

    #[tokio::test]
    async fn the_oldest_of_a_crowded_address_makes_room() {
        let lobby = Arc::<Lobby>::default();
        let mut crowd = Vec::new();
        for _ in 0..limits::STRANGERS_PER_ADDRESS_MAX {
            let (stranger, evicted) = enter(&lobby, "10.0.0.1", true);
            assert!(evicted.is_none());
            crowd.push(stranger);
        }
        let (_other, evicted) = enter(&lobby, "10.0.0.2", true);
        assert!(evicted.is_none());
        let (_next, evicted) = enter(&lobby, "10.0.0.1", true);
        assert_eq!(evicted, Some("10.0.0.1".parse().unwrap()));
        let before = count(&lobby);
        assert_eq!(before, limits::STRANGERS_PER_ADDRESS_MAX + 1);
        // The one that was evicted is off the books: its drop changes nothing.
        drop(crowd.remove(0));
        assert_eq!(count(&lobby), before);
        drop(crowd);
        assert_eq!(count(&lobby), 2);
    }

    #[tokio::test]
    async fn a_crowd_from_many_addresses_pays_for_itself() {
        let lobby = Arc::<Lobby>::default();
        let mut all = vec![enter(&lobby, "192.0.2.1", true).0];
        let many = (0..limits::STRANGERS_MAX * 2).map(|i| format!("10.0.{}.1", i % 8));
        let evicted: Vec<IpAddr> = many
            .filter_map(|address| {
                let (stranger, evicted) = enter(&lobby, &address, true);
                all.push(stranger);
                evicted
            })
            .collect();
        assert_eq!(evicted.len(), limits::STRANGERS_MAX + 1);
        assert!(!evicted.contains(&"192.0.2.1".parse().unwrap()));
        assert_eq!(count(&lobby), limits::STRANGERS_MAX);
        drop(all);
        assert_eq!(count(&lobby), 0);
        assert!(lobby.strangers.lock().by_address.is_empty());
    }

    #[test]
    fn one_network_of_ipv6_is_one_address() {
        let of = |text: &str| origin(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_ne!(of("10.0.0.2"), of("10.0.0.1"));
    }
}
