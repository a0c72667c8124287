//! Members on a simulated net: seeded delays, loss, cuts and churn; every frame goes through bytes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::println;

use bytes::{Bytes, BytesMut};

use super::tests::read;
use super::{Delivery, Message, Out, Plumtree, handler};
use crate::base::{Chance, Instant, MemberId, Millis};

/// Least and most milliseconds from one member to another.
type Delay = (u64, u64);
/// A LAN with some jitter.
const LAN: Delay = (1, 5);
/// Machines far from each other.
const WAN: Delay = (20, 60);

fn id(index: usize) -> MemberId {
    // Any order on the ring but that of the index.
    let mut chance = Chance::new(index as u64);
    MemberId((u128::from(chance.bits()) << 64) | u128::from(chance.bits()))
}

/// What a message is after a trip as bytes.
fn travelled(message: &Message) -> Message {
    let mut out = BytesMut::new();
    message.write(&mut out);
    assert!(out.len() <= 64 + message.weight() * 2);
    let read = read(message, out.freeze()).unwrap();
    assert_eq!(read, *message);
    read
}

struct Flight {
    from: usize,
    to: usize,
    life: u64,
    message: Message,
}

/// What became of one broadcast.
#[derive(Default, Clone)]
struct Trace {
    sent_at: u64,
    /// Who it reached, with the hops.
    reached: BTreeMap<usize, u16>,
    last_ms: Millis,
}

impl Trace {
    fn last_hop(&self) -> u16 {
        self.reached.values().copied().max().unwrap_or(0)
    }
}

struct Net {
    now: u64,
    chance: Chance,
    delay: Delay,
    members: BTreeMap<usize, Plumtree>,
    index: HashMap<MemberId, usize>,
    /// Both ends, the lower first, and the life of the link.
    links: HashMap<(usize, usize), u64>,
    lives: u64,
    flights: BTreeMap<(u64, u64), Flight>,
    order: u64,
    /// When the last frame of a direction arrives: links keep order.
    arrivals: HashMap<(usize, usize), u64>,
    alarms: BTreeSet<(Instant, usize)>,
    alarm_of: HashMap<usize, Instant>,
    loss_percent: u64,
    traces: BTreeMap<(MemberId, u64, u64), Trace>,
    pushes: u64,
    ihave_ids: u64,
    pushes_by: HashMap<usize, u64>,
}

impl Net {
    fn new(seed: u64) -> Self {
        Self {
            now: 1_000,
            chance: Chance::new(seed),
            delay: LAN,
            members: BTreeMap::new(),
            index: HashMap::new(),
            links: HashMap::new(),
            lives: 0,
            flights: BTreeMap::new(),
            order: 0,
            arrivals: HashMap::new(),
            alarms: BTreeSet::new(),
            alarm_of: HashMap::new(),
            loss_percent: 0,
            traces: BTreeMap::new(),
            pushes: 0,
            ihave_ids: 0,
            pushes_by: HashMap::new(),
        }
    }

    /// `count` members, all linked, all told of each other.
    fn mesh(count: usize, seed: u64) -> Self {
        let mut net = Self::new(seed);
        for index in 0..count {
            net.add(index, 1);
        }
        net.tell_members();
        for a in 0..count {
            for b in 0..a {
                net.link(a, b);
            }
        }
        net.run(500);
        net
    }

    fn at(&self) -> Instant {
        Instant(self.now)
    }

    fn add(&mut self, index: usize, incarnation: u64) {
        let member = Plumtree::new(id(index), incarnation);
        self.index.insert(id(index), index);
        self.members.insert(index, member);
    }

    /// Every member learns the present set.
    fn tell_members(&mut self) {
        let set: Vec<MemberId> = self.members.keys().map(|index| id(*index)).collect();
        let now = self.at();
        for index in self.members.keys().copied().collect::<Vec<_>>() {
            self.members.get_mut(&index).unwrap().set_members(now, &set);
            self.collect(index);
        }
    }

    fn is_linked(&self, a: usize, b: usize) -> bool {
        self.links.contains_key(&(a.min(b), a.max(b)))
    }

    fn link(&mut self, a: usize, b: usize) {
        if a == b || self.is_linked(a, b) {
            return;
        }
        self.lives += 1;
        self.links.insert((a.min(b), a.max(b)), self.lives);
        let now = self.at();
        for (one, other) in [(a, b), (b, a)] {
            self.members.get_mut(&one).unwrap().link_up(now, id(other));
            self.collect(one);
        }
    }

    fn cut(&mut self, a: usize, b: usize) {
        if self.links.remove(&(a.min(b), a.max(b))).is_none() {
            return;
        }
        let now = self.at();
        for (one, other) in [(a, b), (b, a)] {
            if let Some(member) = self.members.get_mut(&one) {
                member.link_down(now, id(other));
                self.collect(one);
            }
        }
    }

    /// A member dies: its links go, its process with them.
    fn kill(&mut self, index: usize) {
        for other in self.members.keys().copied().collect::<Vec<_>>() {
            self.cut(index, other);
        }
        self.members.remove(&index);
        // What its next life hears is that life's first time.
        for trace in self.traces.values_mut() {
            trace.reached.remove(&index);
        }
        if let Some(at) = self.alarm_of.remove(&index) {
            self.alarms.remove(&(at, index));
        }
    }

    fn broadcast(&mut self, index: usize) -> (MemberId, u64, u64) {
        self.broadcast_body(index, Bytes::from_static(b"hello"))
    }

    fn broadcast_body(&mut self, index: usize, body: Bytes) -> (MemberId, u64, u64) {
        let now = self.at();
        let member = self.members.get_mut(&index).unwrap();
        member.broadcast(now, handler::TOPIC, body).unwrap();
        let name = (id(index), member.incarnation, member.sequence);
        let trace = self.traces.entry(name).or_default();
        trace.sent_at = self.now;
        self.collect(index);
        name
    }

    /// Puts what a member wants sent on the way, notes what was delivered, and its next alarm.
    fn collect(&mut self, index: usize) {
        let mut out = Vec::new();
        let member = self.members.get_mut(&index).unwrap();
        member.swap_out(&mut out);
        let next = member.next_wake();
        for out in out {
            match out {
                Out::Send(to, message) => self.send(index, to, &message),
                Out::Deliver(delivery) => self.deliver(index, &delivery),
            }
        }
        if let Some(old) = self.alarm_of.insert(index, next) {
            self.alarms.remove(&(old, index));
        }
        self.alarms.insert((next, index));
    }

    fn send(&mut self, from: usize, to: MemberId, message: &Message) {
        let to = self.index[&to];
        let Some(life) = self.links.get(&(from.min(to), from.max(to))).copied() else {
            panic!("a message to a member that is not linked");
        };
        match message {
            Message::Push(_) => {
                self.pushes += 1;
                *self.pushes_by.entry(from).or_default() += 1;
            }
            Message::IHave(ihave) => {
                let ids = ihave.groups.iter().map(|group| group.ids.len() as u64);
                self.ihave_ids += ids.sum::<u64>();
            }
            _ => {}
        }
        if self.chance.percent(self.loss_percent) {
            return;
        }
        let (low, high) = self.delay;
        let at = self.now + low + self.chance.below(high - low + 1);
        let last = self.arrivals.entry((from, to)).or_default();
        let at = at.max(*last);
        *last = at;
        self.order += 1;
        let flight = Flight {
            from,
            to,
            life,
            message: travelled(message),
        };
        self.flights.insert((at, self.order), flight);
    }

    fn deliver(&mut self, index: usize, delivery: &Delivery) {
        let name = (delivery.origin, delivery.incarnation, delivery.sequence);
        assert_ne!(delivery.origin, id(index), "one's own broadcast came back");
        let trace = self.traces.get_mut(&name).expect("nobody sent that");
        let before = trace.reached.insert(index, delivery.hops);
        assert_eq!(before, None, "delivered twice");
        trace.last_ms = self.now - trace.sent_at;
    }

    /// Lets that much time pass.
    fn run(&mut self, span: Millis) {
        let end = self.now + span;
        loop {
            let flight = self.flights.keys().next().map(|key| key.0);
            let alarm = self.alarms.first().map(|(at, _)| at.0);
            let next = flight.into_iter().chain(alarm).min().unwrap_or(u64::MAX);
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            if flight.is_some_and(|at| at <= self.now) {
                self.land();
            } else {
                let (_, index) = *self.alarms.first().unwrap();
                let now = self.at();
                self.members.get_mut(&index).unwrap().wake(now);
                self.collect(index);
            }
        }
        self.now = end;
    }

    fn land(&mut self) {
        let (_, flight) = self.flights.pop_first().unwrap();
        let (from, to) = (flight.from, flight.to);
        // Frames of a link that was cut meanwhile are lost.
        if self.links.get(&(from.min(to), from.max(to))) != Some(&flight.life) {
            return;
        }
        let now = self.at();
        let member = self.members.get_mut(&to).unwrap();
        member.hear(now, id(from), flight.message);
        self.collect(to);
    }

    fn reached(&self, name: &(MemberId, u64, u64)) -> usize {
        self.traces[name].reached.len()
    }

    /// Payloads that so many broadcasts of the first member took, each having reached everyone by
    /// the end of its span; and how many they would take at best.
    fn payloads(&mut self, rounds: u64, span: Millis) -> (u64, u64) {
        let others = self.members.len() - 1;
        self.pushes = 0;
        for _ in 0..rounds {
            let name = self.broadcast(0);
            self.run(span);
            assert_eq!(self.reached(&name), others);
        }
        (self.pushes, rounds * others as u64)
    }

    fn stat(&self, name: &str) -> u64 {
        let each = self.members.values().map(|member| {
            let mut stats = BTreeMap::new();
            member.stats(&mut stats);
            stats[name]
        });
        each.sum()
    }
}

const SIZES: [usize; 7] = [2, 3, 5, 8, 9, 25, 100];

#[test]
fn every_broadcast_reaches_every_member_once() {
    for count in SIZES {
        for seed in 0..if count == 100 { 1 } else { 4 } {
            let mut net = Net::mesh(count, seed);
            let mut names = Vec::new();
            for _ in 0..60 {
                let who = net.chance.below(count as u64) as usize;
                names.push(net.broadcast(who));
                let pause = net.chance.below(40);
                net.run(pause);
            }
            net.run(2_000);
            for name in &names {
                assert_eq!(net.reached(name), count - 1, "{count} members, seed {seed}");
            }
            assert_eq!(net.stat("broadcasts_delivered"), 60 * (count as u64 - 1));
            assert_eq!(net.stat("broadcast_missing"), 0);
        }
    }
}

#[test]
fn a_tree_settles_to_one_payload_a_member() {
    for count in SIZES {
        let mut net = Net::mesh(count, 7);
        for _ in 0..30 {
            net.broadcast(0);
            net.run(300);
        }
        let (payloads, once) = net.payloads(50, 300);
        assert!(
            payloads >= once && payloads <= once + once / 50,
            "{count}: {payloads} of {once}"
        );
    }
}

#[test]
fn a_tree_over_long_links_settles_too() {
    for count in [5, 9, 25] {
        let mut net = Net::mesh(count, 8);
        net.delay = WAN;
        let all: Vec<usize> = (0..count).collect();
        for a in &all {
            for b in &all {
                let member = net.members.get_mut(a).unwrap();
                member.rtt(id(*b), WAN.0 + WAN.1);
            }
        }
        for _ in 0..40 {
            net.broadcast(0);
            net.run(1_500);
        }
        let (payloads, once) = net.payloads(50, 3_000);
        println!("{count} members, 20 to 60 ms apart: {payloads} payloads of {once}");
        assert!(payloads <= once + once / 5, "{count}: {payloads} of {once}");
    }
}

#[test]
fn with_lost_frames_most_arrive_and_none_twice() {
    for count in [5, 8, 9, 25, 100] {
        let (mut reached, mut wanted) = (0, 0);
        for seed in 0..if count == 100 { 1 } else { 4 } {
            let mut net = Net::mesh(count, seed);
            net.loss_percent = 10;
            let mut names = Vec::new();
            for _ in 0..100 {
                let who = net.chance.below(3) as usize;
                names.push(net.broadcast(who));
                let pause = net.chance.below(100);
                net.run(pause);
            }
            net.run(3_000);
            reached += names.iter().map(|name| net.reached(name)).sum::<usize>();
            wanted += names.len() * (count - 1);
        }
        println!("{count} members, 10 % of frames lost: {reached} of {wanted}");
        assert!(
            reached * 1_000 >= wanted * 990,
            "{count}: {reached} of {wanted}"
        );
    }
}

#[test]
fn a_cluster_whose_links_are_cut_here_and_there_is_reached_whole() {
    for count in [5, 8, 9, 25, 100] {
        for seed in 0..if count == 100 { 1 } else { 4 } {
            let mut net = Net::mesh(count, seed);
            for who in 0..count {
                net.broadcast(who);
            }
            net.run(100);
            for a in 0..count {
                for b in 0..a {
                    // The chain 0, 1, 2, ... stays, so that all can be reached at all.
                    if b + 1 != a && net.chance.percent(50) {
                        net.cut(a, b);
                    }
                }
            }
            net.run(500);
            let names: Vec<_> = (0..count).map(|who| net.broadcast(who)).collect();
            net.run(5_000);
            for name in &names {
                assert_eq!(net.reached(name), count - 1, "{count} members, seed {seed}");
            }
        }
    }
}

#[test]
fn two_halves_with_one_bridge_hear_each_other() {
    for count in [3, 5, 8, 9, 25, 60] {
        for seed in 0..3 {
            let mut net = Net::mesh(count, seed);
            let first = net.broadcast(1);
            net.run(500);
            assert_eq!(net.reached(&first), count - 1);
            for a in 1..count {
                for b in 1..a {
                    if a % 2 != b % 2 {
                        net.cut(a, b);
                    }
                }
            }
            net.run(500);
            for round in 0..3 {
                let names: Vec<_> = (0..count).map(|who| net.broadcast(who)).collect();
                net.run(3_000);
                for name in &names {
                    assert_eq!(
                        net.reached(name),
                        count - 1,
                        "{count} members, seed {seed}, round {round}"
                    );
                }
            }
        }
    }
}

#[test]
fn an_island_of_any_size_is_whole_and_so_is_the_healed_cluster() {
    for (count, seed) in [(5, 1), (9, 2), (25, 3), (25, 4), (40, 5)] {
        for island in [2, count / 3 + 1, count / 2] {
            let mut net = Net::mesh(count, seed);
            let mut order: Vec<usize> = (0..count).collect();
            net.chance.shuffle(&mut order);
            let (small, large) = order.split_at(island);
            for a in small {
                for b in large {
                    net.cut(*a, *b);
                }
            }
            net.run(500);
            for side in [small, large] {
                let name = net.broadcast(side[0]);
                net.run(3_000);
                assert_eq!(net.reached(&name), side.len() - 1, "{island} of {count}");
            }
            for a in small {
                for b in large {
                    net.link(*a, *b);
                }
            }
            net.run(500);
            for who in [small[0], large[0], large[1]] {
                let name = net.broadcast(who);
                net.run(3_000);
                assert_eq!(net.reached(&name), count - 1, "healed: {island} of {count}");
            }
        }
    }
}

#[test]
fn members_come_and_go_while_others_speak() {
    for seed in 0..6 {
        let mut net = Net::mesh(6, seed);
        let mut next = 6;
        for step in 0..60_u64 {
            let alive: Vec<usize> = net.members.keys().copied().collect();
            let who = alive[net.chance.below(alive.len() as u64) as usize];
            if net.chance.percent(60) && alive.len() < 40 || alive.len() < 4 {
                net.add(next, 1);
                for other in &alive {
                    net.link(next, *other);
                }
                next += 1;
                net.tell_members();
            } else if net.chance.percent(50) {
                net.kill(who);
                net.tell_members();
            } else {
                // Back at once, as a later life with the same name.
                net.kill(who);
                net.add(who, step + 2);
                for other in &alive {
                    net.link(who, *other);
                }
                net.tell_members();
            }
            for _ in 0..3 {
                let alive: Vec<usize> = net.members.keys().copied().collect();
                let who = alive[net.chance.below(alive.len() as u64) as usize];
                net.broadcast(who);
                let pause = net.chance.below(60);
                net.run(pause);
            }
        }
        net.run(1_000);
        let alive: Vec<usize> = net.members.keys().copied().collect();
        for who in &alive {
            let name = net.broadcast(*who);
            net.run(500);
            assert_eq!(net.reached(&name), alive.len() - 1, "seed {seed}");
        }
    }
}

#[test]
fn a_burst_at_the_limit_arrives_whole() {
    for count in [5, 25] {
        let mut net = Net::mesh(count, 3);
        let body = Bytes::from(vec![7; 900]);
        let mut names = Vec::new();
        for _ in 0..4 {
            for _ in 0..super::limit::COUNT_MAX {
                names.push(net.broadcast_body(0, body.clone()));
            }
            net.run(super::limit::SPAN_MS);
        }
        net.run(3_000);
        for name in &names {
            assert_eq!(net.reached(name), count - 1);
        }
    }
}

#[test]
fn memory_falls_back_to_nothing_when_all_are_silent() {
    let mut net = Net::mesh(25, 1);
    for who in 0..25 {
        net.broadcast(who);
    }
    net.run(1_000);
    assert!(net.stat("broadcast_cached_bytes") > 0);
    net.run(60_000);
    assert_eq!(net.stat("broadcast_cached_bytes"), 0);
    // And there is nothing to wake for.
    let next = net.members.values().map(Plumtree::next_wake).min();
    assert_eq!(next, Some(Instant::NEVER));
}

/// `cargo test --profile sim -p primer-proto -- --ignored --nocapture table`: what a broadcast costs.
#[test]
#[ignore = "prints a table for core/docs"]
fn the_table_of_redundancy_and_hops() {
    println!(
        "| N | first: payloads | hops | ms | settled: payloads | hops mean / max | ms | ids announced | most by one | flat push by one |"
    );
    for count in [5, 8, 9, 25, 32, 100, 300, 1_000] {
        let mut net = Net::mesh(count, 11);
        net.run(500);
        let others = (count - 1) as f64;
        net.pushes = 0;
        let first = net.broadcast(0);
        net.run(3_000);
        let trace = net.traces[&first].clone();
        assert_eq!(trace.reached.len(), count - 1);
        let first_pushes = net.pushes as f64 / others;
        for _ in 0..40 {
            net.broadcast(0);
            net.run(1_000);
        }
        (net.pushes, net.ihave_ids) = (0, 0);
        net.pushes_by.clear();
        let rounds = 50;
        let (mut hops, mut hops_max, mut ms) = (0.0, 0, 0.0);
        for _ in 0..rounds {
            let name = net.broadcast(0);
            net.run(1_000);
            let trace = &net.traces[&name];
            assert_eq!(trace.reached.len(), count - 1);
            hops += f64::from(trace.last_hop()) / f64::from(rounds);
            hops_max = hops_max.max(trace.last_hop());
            ms += trace.last_ms as f64 / f64::from(rounds);
        }
        let each = others * f64::from(rounds);
        let most = net.pushes_by.values().max().copied().unwrap_or(0) as f64 / f64::from(rounds);
        println!(
            "| {count} | {first_pushes:.2} | {} | {} | {:.2} | {hops:.1} / {hops_max} | {ms:.0} | {:.1} | {most:.1} | {} |",
            trace.last_hop(),
            trace.last_ms,
            net.pushes as f64 / each,
            net.ihave_ids as f64 / each,
            count - 1,
        );
    }
}
