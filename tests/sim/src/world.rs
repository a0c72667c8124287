//! The world of one seed: its time, its members, its network, its users, and the loop over them.
//!
//! Everything happens in one thread, in the order of the agenda; every choice is drawn from the
//! seed. The engines are the real ones, behind the same door as in a process: what comes out of
//! [`Engine::handle`] is carried out here as the real driver would, only that the wire lies.

use std::collections::{BTreeMap, VecDeque};

use primer_proto::base::{BootId, ClusterId, Instant, MemberId, Now, QueueKey, StoreId, Ticket};
use primer_proto::engine::{Canary, Command, Effect};
use primer_proto::{Engine, Input};

use crate::agenda::{Agenda, Micros};
use crate::dice::Dice;
pub(crate) use crate::event::{Event, Local, Phase};
use crate::fences::Fences;
use crate::forward::ForwardBook;
use crate::late::LateBook;
use crate::ledger::Ledger;
use crate::letters::LettersBook;
use crate::lines::LinesBook;
use crate::net::Link;
use crate::once::Once;
use crate::plan::{Class, Plan};
use crate::remember::Disk;
use crate::returns::Returns;
use crate::sometimes::Sometimes;
use crate::talk::Talk;
use crate::terms::TermsBook;
use crate::told::Told;
use crate::trace::{Trace, name_of};
use crate::twins::Twins;
use crate::users::{Users, What};

/// The one cluster of every run.
pub(crate) const CLUSTER: ClusterId = ClusterId(0x5131);
/// Wall time at the start of every run: some day in 2026.
pub(crate) const WALL_MS: u64 = 1_780_000_000_000;
/// An engine that is called this often within one millisecond turns in circles.
const CALLS_PER_MS_MAX: u32 = 50_000;
/// Violations told of one seed; the first is nearly always the one that matters.
const VIOLATIONS_MAX: usize = 20;

/// A member's place; its process may be up or not.
pub(crate) struct Seat {
    pub member: MemberId,
    pub address: Option<String>,
    pub seeds: Vec<String>,
    pub life: Option<Life>,
    /// Grows with every boot.
    pub lives: u32,
    pub is_paused: bool,
    /// Since when it has had more metadata out of order than is usual.
    pub clouded: Option<Micros>,
    /// What a paused process will find.
    pub inbox: VecDeque<Local>,
    /// How far its wall clock is off.
    pub skew_ms: i64,
    /// Grows with every boot and every leave: what it remembered before is gone.
    pub generation: u32,
    /// Its process was told to join, and has no seeds.
    pub is_seedless: bool,
    /// Its process has left the cluster, and has no seeds since.
    pub has_left: bool,
    /// Somebody evicted it, some time.
    pub may_be_evicted: bool,
    /// It was asked to leave and has not answered yet; true with `force`.
    pub leaving: Option<bool>,
    /// What its processes have kept.
    pub disk: Disk,
    /// Former memories of this seat that the present one has taken over, and up to when.
    pub inherits: BTreeMap<u32, Micros>,
    /// Ended lives, for looking at what they held.
    pub graves: Vec<(StoreId, Engine)>,
}

/// One life of a member's process.
pub(crate) struct Life {
    pub engine: Engine,
    pub number: u32,
    pub boot: BootId,
    /// What its copies are called now.
    pub store: StoreId,
    /// What they have been called since it last had none, that one included.
    pub stores: Vec<StoreId>,
    /// How often it left or was evicted, and so has begun anew.
    pub wipes: u32,
    pub keys: Vec<QueueKey>,
    started: Micros,
    mono_base: u64,
    wake_at: Micros,
    /// The millisecond of the last call and how many there were in it.
    calls: (u64, u32),
}

/// Everything.
pub(crate) struct World {
    pub seed: u64,
    pub plan: Plan,
    pub canary: Canary,
    pub now: Micros,
    pub phase: Phase,
    pub agenda: Agenda<Event>,
    pub seats: Vec<Seat>,
    pub links: Vec<Link>,
    /// How many partitions forbid the way from one seat to another.
    pub cuts: Vec<Vec<u32>>,
    pub users: Users,
    pub ledger: Ledger,
    /// Messages that die and come back.
    pub returns: Returns,
    /// Queues that are told things while they are used.
    pub told: Told,
    /// Orders that are put in again and again.
    pub once: Once,
    pub fences: Fences,
    pub talk: Talk,
    pub terms: TermsBook,
    pub forwards: ForwardBook,
    pub lines: LinesBook,
    /// Which processes speak an earlier version.
    pub older_dice: Dice,
    /// By how much.
    pub oldest_dice: Dice,
    pub letters: LettersBook,
    pub late: LateBook,
    pub twins: Twins,
    /// The identity of the seat that is empty until a twin takes it.
    pub spare_member: MemberId,
    /// Frames and bytes that each seat sent.
    pub sent: Vec<(u64, u64)>,
    pub net_dice: Dice,
    pub fault_dice: Dice,
    pub user_dice: Dice,
    pub large_dice: Dice,
    /// Who uses the queue with groups.
    pub fan_dice: Dice,
    pub browse_dice: Dice,
    pub leak_dice: Dice,
    pub return_dice: Dice,
    pub id_dice: Dice,
    pub trace: Trace,
    pub sometimes: Sometimes,
    pub violations: Vec<String>,
    /// When the members agreed again; from then on nobody may change its opinion of anybody.
    pub agreed_at: Option<Micros>,
    pub next_survey: Micros,
    pub surveys: u64,
    /// How long calls took whose times are measured.
    pub timed: Vec<Micros>,
    next_ticket: u64,
    effects: Vec<Effect>,
    is_broken: bool,
}

impl Life {
    pub fn new(engine: Engine, number: u32, ids: (BootId, StoreId), at: (Micros, u64)) -> Self {
        Self {
            engine,
            number,
            boot: ids.0,
            store: ids.1,
            stores: vec![ids.1],
            wipes: 0,
            keys: Vec::new(),
            started: at.0,
            mono_base: at.1,
            wake_at: Micros::MAX,
            calls: (0, 0),
        }
    }

    pub fn mono(&self, now: Micros) -> Instant {
        Instant(self.mono_base + now.saturating_sub(self.started) / 1_000)
    }

    /// When the engine's `wake` is, in the world's time.
    fn moment(&self, wake: Instant) -> Micros {
        let ms = wake.0.saturating_sub(self.mono_base);
        self.started.saturating_add(ms.saturating_mul(1_000))
    }
}

impl Seat {
    /// The next input may make it drop all that it holds.
    pub fn is_in_danger(&self) -> bool {
        self.may_be_evicted || self.leaving.is_some()
    }

    pub fn wall_ms(&self, now: Micros) -> u64 {
        (WALL_MS + now / 1_000).saturating_add_signed(self.skew_ms)
    }
}

impl World {
    pub fn new(seed: u64, plan: Plan, canary: Canary, is_traced: bool) -> Self {
        let members = plan.seats();
        let mut world = Self {
            seed,
            canary,
            now: 0,
            phase: Phase::Load,
            agenda: Agenda::new(),
            seats: Vec::new(),
            links: Vec::new(),
            cuts: vec![vec![0; members]; members],
            users: Users::default(),
            ledger: Ledger::default(),
            returns: Returns::default(),
            told: Told::new(seed),
            once: Once::new(seed, plan.dedup_window),
            fences: Fences::default(),
            talk: Talk::default(),
            terms: TermsBook::new(seed),
            letters: LettersBook::new(seed),
            late: LateBook::new(seed, &plan),
            twins: Twins::default(),
            spare_member: MemberId(0),
            sent: vec![(0, 0); members],
            net_dice: Dice::new(seed, 2),
            fault_dice: Dice::new(seed, 3),
            user_dice: Dice::new(seed, 4),
            large_dice: Dice::new(seed, 41),
            fan_dice: Dice::new(seed, 10),
            forwards: ForwardBook::default(),
            lines: LinesBook::new(seed),
            older_dice: Dice::new(seed, 23),
            oldest_dice: Dice::new(seed, 36),
            browse_dice: Dice::new(seed, 11),
            leak_dice: Dice::new(seed, 29),
            return_dice: Dice::new(seed, 21),
            id_dice: Dice::new(seed, 5),
            trace: Trace::new(is_traced),
            sometimes: Sometimes::default(),
            violations: Vec::new(),
            agreed_at: None,
            next_survey: 0,
            surveys: 0,
            timed: Vec::new(),
            next_ticket: 0,
            effects: Vec::new(),
            is_broken: false,
            plan,
        };
        world.found();
        world
    }

    /// A broken promise. The run goes on: what follows may explain it.
    pub fn violation(&mut self, what: &str, detail: String) {
        self.trace
            .remark(self.now, || format!("VIOLATION {what}: {detail}"));
        if self.violations.len() < VIOLATIONS_MAX {
            let ms = self.now / 1_000;
            self.violations
                .push(format!("{what}: {detail} (at {ms} ms)"));
        }
    }

    /// A violation after which nothing else can be learnt.
    pub fn give_up(&mut self, what: &str, detail: String) {
        self.violation(what, detail);
        self.is_broken = true;
    }

    pub fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Lets everything happen that is due before `limit`.
    pub fn until(&mut self, limit: Micros) {
        while self.now < limit && !self.is_broken {
            let stop = limit.min(self.next_survey.max(self.now));
            while let Some((at, event)) = self.agenda.pop(stop) {
                self.now = at;
                self.happen(event);
                if self.is_broken {
                    return;
                }
            }
            self.now = stop;
            if self.now >= self.next_survey {
                self.survey();
            }
        }
    }

    /// As [`World::until`], ending early when `is_true`, asked every 100 ms. Answers whether it was.
    pub fn until_true(&mut self, limit: Micros, is_true: fn(&mut World) -> bool) -> bool {
        while self.now < limit && !self.is_broken {
            if is_true(self) {
                return true;
            }
            self.until(limit.min(self.now + 100_000));
        }
        !self.is_broken && is_true(self)
    }

    pub fn local(&mut self, at: Micros, seat: usize, life: u32, what: Local) {
        self.agenda.add(at, Event::Local { seat, life, what });
    }

    /// As [`World::local`] for the life that the seat has now; nothing when it has none.
    pub fn local_now(&mut self, at: Micros, seat: usize, what: Local) {
        if let Some(life) = self.life(seat).map(|life| life.number) {
            self.local(at, seat, life, what);
        }
    }

    pub fn life(&self, seat: usize) -> Option<&Life> {
        self.seats[seat].life.as_ref()
    }

    /// Every seat whose process is up, paused ones too.
    pub fn living(&self) -> impl Iterator<Item = (usize, &Life)> {
        let seats = self.seats.iter().enumerate();
        seats.filter_map(|(at, seat)| seat.life.as_ref().map(|life| (at, life)))
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Local { seat, life, what } => {
                let place = &mut self.seats[seat];
                if place.life.as_ref().map(|life| life.number) != Some(life) {
                    return;
                }
                if place.is_paused {
                    place.inbox.push_back(what);
                } else {
                    self.inside(seat, what);
                }
            }
            Event::Dial {
                seat,
                life,
                address,
                until,
            } => self.dial(seat, life, address, until),
            Event::Trouble(class) => self.trouble(class),
            Event::Split => self.split(),
            Event::Mend(partition) => self.mend(&partition),
            Event::Meet(partition) => self.meet(&partition),
            Event::Boot(seat) => self.boot(seat),
            Event::Resume(seat) => self.resume(seat),
        }
    }

    pub fn inside(&mut self, seat: usize, what: Local) {
        match what {
            Local::Wake => {
                let is_due = match &mut self.seats[seat].life {
                    // Only the last alarm that was set rings.
                    Some(life) if life.wake_at <= self.now => {
                        life.wake_at = Micros::MAX;
                        true
                    }
                    _ => false,
                };
                if is_due {
                    self.feed(seat, Input::Wake);
                }
            }
            Local::Frame {
                link,
                side,
                lane,
                frame,
            } => self.frame(link, side, lane, frame),
            Local::Linked { link, side } => self.linked(link, side),
            Local::Unlinked { link, side } => self.unlinked(link, side),
            Local::DialFailed { address, error } => {
                self.feed(seat, Input::DialFailed { address, error });
            }
            Local::Flush { link, side, lane } => self.flush(link, side, lane),
            Local::Pressure {
                link,
                side,
                is_full,
            } => self.pressure(link, side, is_full),
            Local::User(act) => self.act(seat, act),
        }
    }

    /// Asks a command of a member's engine; `what` says what its answer is for.
    pub fn ask(&mut self, seat: usize, command: Command, what: What) -> Ticket {
        if matches!(command, Command::Join(_)) {
            self.asked_back();
        }
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        // Before the call: the answer may come within it.
        self.users.expect(ticket, seat, self.now, what);
        self.feed(seat, Input::Command { ticket, command });
        ticket
    }

    /// One call of an engine, and everything that it wants done.
    pub fn feed(&mut self, seat: usize, input: Input) {
        if self.seats[seat].is_in_danger() {
            self.watch_letters(seat);
        }
        let held = self.at_risk(seat, &input);
        let before = self.before_look(seat, &input);
        let told = self.before_told(seat);
        let once = self.before_once(seat, &input);
        let now = Now {
            mono: Instant(0),
            wall_ms: self.seats[seat].wall_ms(self.now),
        };
        let Some(life) = &mut self.seats[seat].life else {
            return self.after_told(told);
        };
        let now = Now {
            mono: life.mono(self.now),
            ..now
        };
        let ms = self.now / 1_000;
        life.calls = if life.calls.0 == ms {
            (ms, life.calls.1 + 1)
        } else {
            (ms, 1)
        };
        if life.calls.1 > CALLS_PER_MS_MAX {
            self.give_up("spin", format!("m{seat} never comes to rest"));
            return;
        }
        let (what, number) = name_of(&input);
        self.trace
            .line(self.now, seat, what, [number, now.mono.0], || {
                format!("{input:?}")
            });
        let mut effects = std::mem::take(&mut self.effects);
        life.engine.handle(now, input, &mut effects);
        self.after_look(seat, before);
        self.track_identity(seat, &effects);
        self.track_store(seat, &effects, held.as_deref());
        self.after_once(seat, &once, &effects);
        for effect in effects.drain(..) {
            self.apply(seat, effect);
        }
        self.effects = effects;
        self.after_told(told);
        self.arm(seat);
    }

    /// Sets the alarm of a member to what its engine wants.
    fn arm(&mut self, seat: usize) {
        let Some(life) = &mut self.seats[seat].life else {
            return;
        };
        let wake = life.engine.next_wake();
        if wake == Instant::NEVER {
            return;
        }
        let mut at = life.moment(wake).max(self.now);
        if at < life.wake_at {
            let lag = if self.plan.has(Class::Lag) && self.phase == Phase::Load {
                self.net_dice.exponential(3_000)
            } else {
                0
            };
            life.wake_at = at;
            at += lag;
            let life = life.number;
            self.local(at, seat, life, Local::Wake);
        }
    }

    fn apply(&mut self, seat: usize, effect: Effect) {
        match effect {
            Effect::Reply(ticket, answer) => {
                let number = match &answer {
                    Ok(_) => 0,
                    Err(error) => u64::from(error.number()),
                };
                self.trace
                    .line(self.now, seat, "reply", [ticket.0, number], || {
                        format!("{answer:?}")
                    });
                self.answered(seat, ticket, answer);
            }
            Effect::Deliver(session, leased) => {
                let count = leased.len() as u64;
                self.trace
                    .line(self.now, seat, "deliver", [session.0, count], || {
                        format!("{:?}", leased.iter().map(|l| &l.handle).collect::<Vec<_>>())
                    });
                self.delivered(seat, session, leased);
            }
            Effect::Send(link, lane, message) => {
                self.trace
                    .line(self.now, seat, "send", [link.0, lane as u64], || {
                        format!("{message:?}")
                    });
                self.note_sent(seat, link, &message);
                self.send(seat, link, lane, message);
            }
            Effect::Dial(address) => {
                self.trace
                    .line(self.now, seat, "dial", [0, 0], || address.clone());
                self.trace.bytes(address.as_bytes());
                self.dialled(seat, address);
            }
            Effect::Hangup(link, error) => {
                let number = u64::from(error.number());
                self.trace
                    .line(self.now, seat, "hangup", [link.0, number], || {
                        error.to_string()
                    });
                self.hangup(seat, link, error);
            }
            Effect::Change(change) => {
                self.trace
                    .line(self.now, seat, "change", [0, 0], || format!("{change:?}"));
                self.trace.bytes(change.key.as_bytes());
            }
            Effect::Topic(broadcast) => {
                self.trace
                    .line(self.now, seat, "topic", [0, 0], || format!("{broadcast:?}"));
                self.trace.bytes(&broadcast.body);
                self.heard(seat, &broadcast);
            }
            // No host of the simulator has a handler.
            Effect::Host(_) => {}
            Effect::Event(event) => {
                let kind = event.kind as u64;
                self.trace
                    .line(self.now, seat, "event", [kind, event.at_ms], || {
                        format!("{event:?}")
                    });
                self.told(seat, &event);
            }
        }
    }
}
