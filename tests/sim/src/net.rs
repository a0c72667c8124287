//! The lying network: links of two lanes, frames on their way, partitions.
//!
//! Each message is encoded as the real writer does and decoded at its end, so codec bugs show. Within
//! a lane frames keep their order unless the class `reorder` is on; a partition holds frames back
//! like a stream that retransmits, until it is mended or the link breaks.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use primer_proto::Input;
use primer_proto::base::{Error, ErrorKind, LinkId, StoreId, limits};
use primer_proto::engine::{Lane, Message, Writer, cut, decode};
use primer_proto::membership::{Hello, WIRE_MINOR};
use primer_proto::queue::Message as Queue;

use crate::agenda::{MS, Micros, SECOND};
use crate::plan::Class;
use crate::world::{Event, Local, Phase, World};

/// A dial that nobody answers is given up by then.
const DIAL_TIMEOUT: Micros = 5 * SECOND;
/// No frame takes longer.
pub(crate) const DELAY_MAX: Micros = 5 * SECOND;
/// A dial that meets a partition or a paused process looks again after this.
const DIAL_AGAIN: Micros = 100 * MS;

/// What one end of a link knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// Its engine has not been told yet.
    Opening,
    /// Its engine was told that it is up.
    Up,
    /// Its engine was told, or need not be told, that it is gone.
    Gone,
}

/// One end: side 0 dialled, side 1 was dialled.
pub(crate) struct End {
    pub seat: usize,
    pub life: u32,
    pub state: State,
}

/// What travels.
#[derive(Clone)]
enum Packet {
    Frame(Lane, Bytes),
    /// The sender closed the link; nothing follows.
    End,
}

/// The way out of one end on one lane.
#[derive(Default)]
struct Way {
    waiting: Vec<Message>,
    is_flushing: bool,
    /// When the last frame that was sent will arrive: the next comes after it.
    last: Micros,
}

/// A link between two processes.
pub(crate) struct Link {
    pub ends: [End; 2],
    /// What each end said of itself when they shook hands.
    hellos: [Hello; 2],
    /// By sending side, then lane.
    ways: [[Way; 2]; 2],
    /// By sending side: what a partition holds back.
    held: [VecDeque<Packet>; 2],
    address: String,
    /// It broke: nothing arrives any more, the ends just do not know yet.
    is_broken: bool,
}

/// Ways that are cut together.
#[derive(Clone, Debug)]
pub(crate) struct Partition(pub Vec<(usize, usize)>);

/// The number that an end's engine knows its link by.
pub(crate) fn link_id(link: usize, side: usize) -> LinkId {
    LinkId((link * 2 + side) as u64 + 1)
}

fn place(id: LinkId) -> (usize, usize) {
    let at = id.0.saturating_sub(1) as usize;
    (at / 2, at % 2)
}

fn unreachable() -> Error {
    Error::new(ErrorKind::Unreachable).because("nobody answers at that address")
}

impl World {
    fn delay(&mut self) -> Micros {
        // Some way is never shorter than this, as on a real wire.
        const LEAST: Micros = 20;
        if self.phase != Phase::Load {
            return LEAST + self.net_dice.exponential(MS);
        }
        let mean = self.plan.delay;
        let is_long = self.plan.has(Class::Slow) && self.net_dice.percent(1);
        let long = if is_long { 2 * SECOND } else { 0 };
        let delay = self.net_dice.exponential(mean) + self.net_dice.exponential(long);
        LEAST + delay.min(DELAY_MAX)
    }

    fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cuts[from][to] > 0
    }

    /// An engine asked for a connection.
    pub fn dialled(&mut self, seat: usize, address: String) {
        let Some(life) = self.life(seat).map(|life| life.number) else {
            return;
        };
        let at = self.now + self.delay();
        let is_hanging =
            self.plan.has(Class::Hang) && self.phase == Phase::Load && self.net_dice.percent(20);
        if is_hanging {
            self.sometimes.hit("dial hung");
            let error = unreachable();
            self.local(
                self.now + DIAL_TIMEOUT,
                seat,
                life,
                Local::DialFailed { address, error },
            );
            return;
        }
        let until = self.now + DIAL_TIMEOUT;
        self.agenda.add(
            at,
            Event::Dial {
                seat,
                life,
                address,
                until,
            },
        );
    }

    /// A dial arrives, or looks again.
    pub fn dial(&mut self, seat: usize, life: u32, address: String, until: Micros) {
        let target = self
            .seats
            .iter()
            .position(|other| other.address.as_deref() == Some(&address));
        let fail = |world: &mut World, error: Error| {
            let at = world.now + world.delay();
            let address = address.clone();
            world.local(at, seat, life, Local::DialFailed { address, error });
        };
        let Some(target) = target else {
            fail(self, unreachable());
            return;
        };
        let is_cut = self.is_cut(seat, target) || self.is_cut(target, seat);
        if is_cut || self.seats[target].is_paused {
            if self.now >= until {
                fail(self, unreachable());
            } else {
                self.agenda.add(
                    self.now + DIAL_AGAIN,
                    Event::Dial {
                        seat,
                        life,
                        address,
                        until,
                    },
                );
            }
            return;
        }
        match self.shake_hands(seat, life, target) {
            Ok(hellos) => self.connect((seat, target), hellos, address),
            Err(error) => fail(self, error),
        }
    }

    fn shake_hands(&self, seat: usize, life: u32, target: usize) -> Result<[Hello; 2], Error> {
        let dialler = self.life(seat).filter(|up| up.number == life);
        let (Some(dialler), Some(dialled)) = (dialler, self.life(target)) else {
            // The host is there and says that nobody listens.
            return Err(unreachable().with("refused", true));
        };
        let (theirs, own) = (dialler.engine.hello(), dialled.engine.hello());
        theirs.check(&own)?;
        own.check(&theirs)?;
        Ok([theirs, own])
    }

    fn connect(&mut self, (seat, target): (usize, usize), hellos: [Hello; 2], address: String) {
        let end = |world: &World, seat| End {
            seat,
            life: world.life(seat).map_or(0, |life| life.number),
            state: State::Opening,
        };
        let link = self.links.len();
        let ends = [end(self, seat), end(self, target)];
        let lives = [ends[0].life, ends[1].life];
        // The dialled end is up first; what it sends waits for the dialler.
        let up = [self.now + self.delay(), self.now];
        let way = |last| Way {
            last,
            ..Way::default()
        };
        self.links.push(Link {
            ends,
            hellos,
            ways: [[way(up[1]), way(up[1])], [way(up[0]), way(up[0])]],
            held: Default::default(),
            address,
            is_broken: false,
        });
        self.local(up[1], target, lives[1], Local::Linked { link, side: 1 });
        self.local(up[0], seat, lives[0], Local::Linked { link, side: 0 });
    }

    /// The handshake of one end is done.
    pub fn linked(&mut self, link: usize, side: usize) {
        let place = &self.links[link];
        let (own, other) = (&place.ends[side], &place.ends[1 - side]);
        let (seat, peer) = (own.seat, other.seat);
        let is_dialler = side == 0;
        let is_alive = self
            .life(peer)
            .is_some_and(|life| life.number == other.life);
        let address = place.address.clone();
        // One that hung up at once has said why, and that comes before the end.
        let may = own.state == State::Opening && !place.is_broken && is_alive;
        if !may {
            self.links[link].ends[side].state = State::Gone;
            if is_dialler {
                let error = unreachable();
                self.feed(seat, Input::DialFailed { address, error });
            }
            return;
        }
        self.links[link].ends[side].state = State::Up;
        let mut hello = self.links[link].hellos[1 - side].clone();
        hello.pair = link as u64;
        let id = link_id(link, side);
        let is_fenced = self.life(seat).is_some_and(|life| {
            let engine = &life.engine;
            engine.is_fenced(hello.member(), hello.incarnation, hello.store())
        });
        self.feed(
            seat,
            Input::Linked {
                link: id,
                hello: Box::new(hello.clone()),
                dialled: is_dialler.then_some(address),
            },
        );
        self.watch_handshake(seat, id, &hello, is_fenced);
    }

    /// An end learns that its link is gone.
    pub fn unlinked(&mut self, link: usize, side: usize) {
        let end = &mut self.links[link].ends[side];
        // One that is still shaking hands hears of it when it has done so.
        if std::mem::replace(&mut end.state, State::Gone) != State::Up {
            return;
        }
        let seat = end.seat;
        for way in &mut self.links[link].ways[side] {
            way.waiting.clear();
        }
        self.note_unlinked(seat);
        self.feed(seat, Input::Unlinked(link_id(link, side)));
        let is_over = self.links[link]
            .ends
            .iter()
            .all(|end| end.state == State::Gone);
        if is_over {
            self.links[link].held = Default::default();
        }
    }

    /// An engine closes a link: what was queued goes out first, then the peer learns of it.
    pub fn hangup(&mut self, seat: usize, id: LinkId, _error: Error) {
        let (link, side) = place(id);
        let Some(end) = self.links.get(link).map(|link| &link.ends[side]) else {
            self.violation("hangup", format!("m{seat} closes an unknown link {id:?}"));
            return;
        };
        if end.seat != seat || end.state != State::Up {
            return;
        }
        let life = end.life;
        for lane in [Lane::Control, Lane::Bulk] {
            self.flush(link, side, lane);
        }
        self.transmit(link, side, Packet::End);
        self.local(self.now, seat, life, Local::Unlinked { link, side });
    }

    /// Queues a message; the lane's writer takes what gathered until it gets its turn.
    pub fn send(&mut self, seat: usize, id: LinkId, lane: Lane, message: Message) {
        if self.leaks(&message) {
            return;
        }
        let (link, side) = place(id);
        let lag = if self.plan.has(Class::Lag) && self.phase == Phase::Load {
            5_000
        } else {
            100
        };
        let wait = self.net_dice.below(lag);
        let Some(open) = self.links.get_mut(link) else {
            self.violation("send", format!("m{seat} sends on an unknown link {id:?}"));
            return;
        };
        let end = &open.ends[side];
        if end.seat != seat || end.state != State::Up {
            self.violation(
                "send",
                format!("m{seat} sends on link {id:?}, which it was told is gone"),
            );
            return;
        }
        let life = end.life;
        let way = &mut open.ways[side][lane as usize];
        way.waiting.push(message);
        if !std::mem::replace(&mut way.is_flushing, true) {
            self.local(
                self.now + wait,
                seat,
                life,
                Local::Flush { link, side, lane },
            );
        }
    }

    /// Whether a message is lost although its link lives on. Such as have no answer that somebody waits for
    /// with a deadline: nothing but the next comparison of what is held can tell that they were lost.
    fn leaks(&mut self, message: &Message) -> bool {
        let Message::Queue(message) = message else {
            return false;
        };
        let is_of_copies = matches!(
            message.as_ref(),
            Queue::Repl(_)
                | Queue::ReplOk(_)
                | Queue::ReplNo(_)
                | Queue::Claim(_)
                | Queue::SetDone(_)
                | Queue::DoneOk(_)
                | Queue::Forget(_)
                | Queue::LeaseHint(_)
                | Queue::HintOk(_)
        );
        let may = self.plan.has_leaks && self.phase == Phase::Load && is_of_copies;
        let is_lost = may && self.leak_dice.percent(10);
        if is_lost {
            self.sometimes.hit("message lost on a living link");
        }
        is_lost
    }

    /// The writer's turn: everything that gathered becomes frames.
    pub fn flush(&mut self, link: usize, side: usize, lane: Lane) {
        let way = &mut self.links[link].ways[side][lane as usize];
        way.is_flushing = false;
        let waiting = std::mem::take(&mut way.waiting);
        if waiting.is_empty() {
            return;
        }
        let mut out = BytesMut::new();
        let mut writer = Writer::default();
        for message in &waiting {
            writer.push(message, &mut out);
        }
        writer.finish(&mut out);
        if waiting.len() > 1 {
            self.sometimes.hit("messages batched");
        }
        let sender = self.links[link].ends[side].seat;
        let is_later = self
            .life(sender)
            .is_some_and(|life| life.engine.hello().minor > WIRE_MINOR);
        if is_later && self.net_dice.percent(20) {
            // Whatever a later version says beside what it has in common with this one.
            out.extend_from_slice(&[6, 0, 0, 0, 200, 1, 2, 3, 4, 5]);
        }
        loop {
            match cut(&mut out, limits::FRAME_BYTES_MAX) {
                Ok(Some(frame)) => self.transmit(link, side, Packet::Frame(lane, frame)),
                Ok(None) if out.is_empty() => return,
                Ok(None) => {
                    let detail = format!("{} bytes are no whole frame", out.len());
                    return self.violation("codec", detail);
                }
                Err(error) => return self.violation("codec", format!("our own frame: {error}")),
            }
        }
    }

    fn transmit(&mut self, link: usize, side: usize, packet: Packet) {
        let [from, to] = [side, 1 - side].map(|side| self.links[link].ends[side].seat);
        if self.links[link].is_broken {
            return;
        }
        if let Packet::Frame(_, frame) = &packet {
            let (frames, bytes) = &mut self.sent[from];
            // A frame without its length; TCP and TLS add their own.
            (*frames, *bytes) = (*frames + 1, *bytes + frame.len() as u64 + 4);
        }
        if self.is_cut(from, to) {
            self.links[link].held[side].push_back(packet);
            return;
        }
        let is_load = self.phase == Phase::Load;
        if is_load && self.plan.has(Class::Loss) && self.net_dice.below(2_000) == 0 {
            self.sometimes.hit("frame lost");
            self.break_link(link, 3 * SECOND);
            return;
        }
        let mut at = self.now + self.delay();
        if is_load {
            at += self.plan.stall(to, at);
        }
        if is_load && self.plan.has(Class::Lossy) && self.net_dice.percent(10) {
            // Sent again by the kernel, whose least pause this is.
            at += 200 * MS;
        }
        if is_load && self.plan.has(Class::Reorder) && self.net_dice.percent(5) {
            self.sometimes.hit("frame overtook");
            at += self.delay();
        } else {
            at = self.in_order(link, side, &packet, at);
        }
        if is_load && self.plan.has(Class::Duplicate) && self.net_dice.percent(3) {
            self.sometimes.hit("frame duplicated");
            let again = at + self.delay();
            self.arrive(link, side, packet.clone(), again);
        }
        self.arrive(link, side, packet, at);
    }

    /// No earlier than what was sent before it on its lane; an end follows both lanes.
    fn in_order(&mut self, link: usize, side: usize, packet: &Packet, at: Micros) -> Micros {
        let ways = &mut self.links[link].ways[side];
        match packet {
            Packet::Frame(lane, _) => {
                let way = &mut ways[*lane as usize];
                way.last = at.max(way.last + 1);
                way.last
            }
            Packet::End => ways.iter().map(|way| way.last + 1).fold(at, Micros::max),
        }
    }

    fn arrive(&mut self, link: usize, side: usize, packet: Packet, at: Micros) {
        let to = 1 - side;
        let end = &self.links[link].ends[to];
        let (seat, life) = (end.seat, end.life);
        let what = match packet {
            Packet::Frame(lane, frame) => Local::Frame {
                link,
                side: to,
                lane,
                frame,
            },
            Packet::End => Local::Unlinked { link, side: to },
        };
        self.local(at, seat, life, what);
    }

    /// A frame reaches its end.
    pub fn frame(&mut self, link: usize, side: usize, lane: Lane, frame: Bytes) {
        let end = &self.links[link].ends[side];
        let (seat, life) = (end.seat, end.life);
        if self.links[link].is_broken || end.state == State::Gone {
            return;
        }
        if end.state == State::Opening {
            // It overtook the handshake; a stream would not give it out yet.
            let what = Local::Frame {
                link,
                side,
                lane,
                frame,
            };
            self.local(self.now + MS, seat, life, what);
            return;
        }
        self.trace.line(
            self.now,
            seat,
            "frame",
            [link_id(link, side).0, lane as u64],
            || format!("{} bytes", frame.len()),
        );
        self.trace.bytes(&frame);
        match decode(frame) {
            Ok(Some(message)) => {
                let own = self.note_forward(link, side, &message);
                let moving = self.moving_in(&message);
                let link = link_id(link, side);
                self.feed(seat, Input::Message { link, message });
                self.have_come(seat, &moving);
                self.drop_if_unused(seat, own);
            }
            Ok(None) if self.plan.has(Class::Mixed) => self.sometimes.hit("later version met"),
            Ok(None) => self.violation("codec", "our own frame is of an unknown kind".into()),
            Err(error) => self.violation("codec", format!("our own frame: {error}")),
        }
    }

    /// Breaks a link now; each end learns of it some time within `within`.
    pub fn break_link(&mut self, link: usize, within: Micros) {
        let open = &mut self.links[link];
        open.is_broken = true;
        open.held = Default::default();
        for side in 0..2 {
            let end = &self.links[link].ends[side];
            let (seat, life) = (end.seat, end.life);
            let at = self.now + self.net_dice.below(within);
            self.local(at, seat, life, Local::Unlinked { link, side });
        }
    }

    /// A process is gone: its ends with it. The peers' kernels are told now, or much later.
    pub fn orphan(&mut self, seat: usize, is_silent: bool) {
        for link in 0..self.links.len() {
            for side in 0..2 {
                let end = &mut self.links[link].ends[side];
                if end.seat != seat || end.state == State::Gone {
                    continue;
                }
                end.state = State::Gone;
                if is_silent {
                    let peer = &self.links[link].ends[1 - side];
                    let (seat, life) = (peer.seat, peer.life);
                    let at = self.now + 2 * SECOND + self.net_dice.below(90 * SECOND);
                    let side = 1 - side;
                    self.local(at, seat, life, Local::Unlinked { link, side });
                } else {
                    self.transmit(link, side, Packet::End);
                }
            }
        }
    }

    /// The store of the process at the other end of a link, while that process is up.
    pub fn store_behind(&self, id: LinkId) -> Option<StoreId> {
        let (link, side) = place(id);
        let peer = &self.links.get(link)?.ends[1 - side];
        let life = self.life(peer.seat)?;
        (life.number == peer.life).then_some(life.store)
    }

    /// A full lane, or one that is free again.
    pub fn pressure(&mut self, link: usize, side: usize, is_full: bool) {
        let end = &self.links[link].ends[side];
        if end.state == State::Up {
            let link = link_id(link, side);
            self.feed(end.seat, Input::Pressure { link, is_full });
        }
    }

    /// Cuts the ways of a partition.
    pub fn part(&mut self, partition: &Partition) {
        for (from, to) in &partition.0 {
            self.cuts[*from][*to] += 1;
        }
    }

    /// Ends a partition; what it held back goes on its way.
    pub fn mend(&mut self, partition: &Partition) {
        for (from, to) in &partition.0 {
            self.cuts[*from][*to] = self.cuts[*from][*to].saturating_sub(1);
        }
        for link in 0..self.links.len() {
            for side in 0..2 {
                let [from, to] = [side, 1 - side].map(|side| self.links[link].ends[side].seat);
                if !self.is_cut(from, to) {
                    for packet in std::mem::take(&mut self.links[link].held[side]) {
                        self.transmit(link, side, packet);
                    }
                }
            }
        }
    }

    /// Every link whose both ends are up.
    pub fn open_links(&self) -> Vec<usize> {
        let is_up = |link: &Link| link.ends.iter().all(|end| end.state == State::Up);
        let links = self.links.iter().enumerate();
        links
            .filter(|(_, link)| !link.is_broken && is_up(link))
            .map(|(at, _)| at)
            .collect()
    }
}
