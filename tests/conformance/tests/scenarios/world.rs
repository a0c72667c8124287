//! The members, messages and subscriptions of one scenario, and what each step does to them.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use primer::{
    Bytes, Delivery, EnqueueOptions, Events, IfNoGroup, MessageId, OnShort, Options, Pending,
    Primer, Queue, ReceiveOptions, Reply, SubscribeOptions, Subscription, Topic, Watch,
};
use primer_conformance::scenario::{Step, Word};

use crate::expect::{Given, check_delivery, check_receipt, is_only, settle, shown};

/// The limit of every wait for something that must come; never a measure of speed.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub type Told<T> = Result<T, String>;

/// Everything that a file has named.
#[derive(Default)]
pub struct World {
    members: BTreeMap<String, (Primer, Events)>,
    pub messages: BTreeMap<String, MessageId>,
    /// By member and message: those it received, the last one at the end.
    deliveries: BTreeMap<(String, String), Vec<Delivery>>,
    subscriptions: BTreeMap<String, (String, Subscription)>,
    pub topics: BTreeMap<String, Topic>,
    pub calls: BTreeMap<String, Pending<Reply>>,
    pub cursors: BTreeMap<String, String>,
    pub watches: BTreeMap<String, Watch>,
}

impl Drop for World {
    fn drop(&mut self) {
        // Side by side: each flushes for itself.
        let closing: Vec<_> = self
            .members
            .values()
            .map(|(member, _)| member.close())
            .collect();
        for close in closing {
            let _ = close.wait();
        }
    }
}

impl World {
    /// Does one step. Errors: how it differs from what the file says.
    pub fn step(&mut self, step: &Step) -> Told<()> {
        let given = match step.verb.as_str() {
            "open" => self.open(step),
            "join" | "leave" | "close" | "members" | "address" | "event" | "stats" => {
                self.ask_member(step)
            }
            "enqueue" | "enqueue_many" => self.enqueue(step),
            "call" | "reply" | "replied" => self.call(step),
            "receive" => self.receive(step),
            "browse" => self.browse(step),
            "explain" => self.explain(step),
            "redrive" => self.redrive(step),
            "doctor" => self.doctor(step),
            "create_group" | "remove_group" | "groups" => self.group(step),
            "configure" | "configuration" | "pause" | "resume" | "purge" | "set_policy"
            | "remove_policy" | "policies" => self.setting(step),
            "broadcast" | "on" | "heard" | "put" | "delete" | "get" | "list" | "watch"
            | "changed" | "evict" | "reclaim" | "rotate" | "unlisten" => self.gossip(step),
            "subscribe" | "next" | "credit" | "unsubscribe" => self.subscription(step),
            _ => self.settle(step),
        }?;
        match given {
            Some(given) => self.compare(step, given),
            None => Ok(()),
        }
    }

    fn open(&mut self, step: &Step) -> Told<Option<Given>> {
        // Scenarios run side by side, some on one cluster's name: only one that asks for it lets
        // its members meet by that name.
        let mut pairs = Vec::new();
        let is_silent = !step.options.is_empty()
            && !step
                .options
                .iter()
                .any(|word| word.key.as_deref() == Some("discover"));
        if is_silent {
            pairs.push(("discover".to_string(), "none".to_string()));
        }
        for word in &step.options {
            let key = word.key.clone().unwrap_or_default();
            if key == "join" {
                let addresses: Told<Vec<String>> = word
                    .text()
                    .split(',')
                    .map(|name| self.address(name))
                    .collect();
                pairs.push(("seeds".into(), addresses?.join(",")));
            } else {
                pairs.push((key, word.text()));
            }
        }
        let opened = Options::from_pairs(pairs)
            .and_then(Primer::start)
            .and_then(|member| {
                let events = member.events();
                member.joined().wait()?;
                Ok((member, events))
            });
        let Some(opened) = settle(opened, &step.expect)? else {
            return Ok(None);
        };
        self.members.insert(name(step, 0), opened);
        Ok(Some(Given::Done))
    }

    fn ask_member(&mut self, step: &Step) -> Told<Option<Given>> {
        let (member, events) = self.member(&name(step, 0))?;
        let done = match step.verb.as_str() {
            "join" => {
                let to = step.args.get(1).ok_or("join whom?")?;
                let address = if to.is_text {
                    to.text()
                } else {
                    self.address(&to.text())?
                };
                member.join(&address).wait()
            }
            "leave" => {
                let is_forced = option(step, "force").is_some_and(|word| word.value == b"true");
                member.leave(millis(step, "drain")?, is_forced).wait()
            }
            "close" => member.close().wait(),
            "address" => {
                return Ok(Some(Given::Word(if member.address().is_some() {
                    "some"
                } else {
                    "none"
                })));
            }
            "event" => return seen(events, &name(step, 1)).map(|()| Some(Given::Done)),
            "members" => {
                let count = || {
                    Ok(member
                        .members()?
                        .iter()
                        .filter(|one| one.is_reachable)
                        .count() as u64)
                };
                return awaited(step, count);
            }
            _ => {
                let counter = name(step, 1);
                return awaited(step, || Ok(member.stats()?.get(&counter)));
            }
        };
        Ok(settle(done, &step.expect)?.map(|()| Given::Done))
    }

    pub fn enqueue_options(step: &Step) -> Told<EnqueueOptions> {
        let mut options = EnqueueOptions {
            timeout: millis(step, "timeout")?,
            priority: number(step, "priority")?,
            delay: millis(step, "delay")?,
            at: millis(step, "at")?.map(|ms| SystemTime::now() + ms),
            ttl: millis(step, "ttl")?,
            max_attempts: number(step, "max_attempts")?,
            at_most_once: flag(step, "at_most_once"),
            if_no_group: if_no_group(step)?,
            key: text(step, "key"),
            dedup: text(step, "dedup"),
            dedup_window: millis(step, "dedup_window")?,
            ..EnqueueOptions::default()
        };
        options.copies = number(step, "copies")?;
        options.on_short = option(step, "on_short").map(on_short).transpose()?;
        for word in &step.options {
            if let Some(header) = word
                .key
                .as_deref()
                .and_then(|key| key.strip_prefix("header."))
            {
                options.headers.push((header.into(), word.text()));
            }
        }
        Ok(options)
    }

    fn enqueue(&mut self, step: &Step) -> Told<Option<Given>> {
        let options = Self::enqueue_options(step)?;
        let bodies: Vec<Bytes> = step
            .args
            .iter()
            .skip(2)
            .map(|word| Bytes::from(word.value.clone()))
            .collect();
        let receipts =
            self.queue(step)
                .and_then(|queue| match (step.verb.as_str(), bodies.first()) {
                    ("enqueue", Some(body)) => queue
                        .enqueue_with(body.clone(), &options)
                        .wait()
                        .map(|receipt| vec![receipt]),
                    _ => queue.enqueue_many(bodies, &options).wait(),
                });
        Ok(settle(receipts, &step.expect)?.map(Given::Receipts))
    }

    fn receive(&mut self, step: &Step) -> Told<Option<Given>> {
        let options = ReceiveOptions {
            max: number(step, "max")?.unwrap_or(1),
            wait: millis(step, "wait")?.unwrap_or_default(),
            lease: millis(step, "lease")?,
            group: text(step, "group"),
            backlog: flag(step, "backlog"),
        };
        let received = self
            .queue(step)
            .and_then(|queue| queue.receive(&options).wait());
        Ok(settle(received, &step.expect)?.map(Given::Deliveries))
    }

    fn subscription(&mut self, step: &Step) -> Told<Option<Given>> {
        if step.verb == "subscribe" {
            let options = SubscribeOptions {
                credit: number(step, "credit")?.unwrap_or(64),
                credit_bytes: number(step, "credit_bytes")?,
                lease: millis(step, "lease")?,
                max_run: millis(step, "max_run")?,
                group: text(step, "group"),
                backlog: flag(step, "backlog"),
            };
            let opened = self.queue(step).and_then(|queue| queue.subscribe(&options));
            let Some(subscription) = settle(opened, &step.expect)? else {
                return Ok(None);
            };
            let bound = step
                .expect
                .first()
                .and_then(|group| group.first())
                .ok_or("no name to bind")?;
            self.subscriptions
                .insert(bound.text(), (name(step, 0), subscription));
            return Ok(None);
        }
        let subscription = &self
            .subscriptions
            .get(&name(step, 0))
            .ok_or("no such subscription")?
            .1;
        match step.verb.as_str() {
            "next" => {
                let taken = subscription.next_batch(1, millis(step, "wait")?.unwrap_or_default());
                Ok(settle(taken, &step.expect)?.map(Given::Deliveries))
            }
            "credit" => {
                let more = name(step, 1).parse().map_err(|_| "credit takes a number")?;
                Ok(settle(subscription.credit(more), &step.expect)?.map(|()| Given::Done))
            }
            _ => {
                subscription.close();
                Ok(Some(Given::Done))
            }
        }
    }

    fn settle(&mut self, step: &Step) -> Told<Option<Given>> {
        let key = (name(step, 0), name(step, 1));
        if step.verb == "drop" {
            let received = self
                .deliveries
                .get_mut(&key)
                .ok_or("nothing was received")?;
            drop(received.pop().ok_or("nothing is left to drop")?);
            return Ok(Some(Given::Done));
        }
        let deliveries: Told<Vec<&Delivery>> = step
            .args
            .iter()
            .skip(1)
            .map(|word| self.received(&key.0, &word.text()))
            .collect();
        let deliveries = deliveries?;
        let delivery = deliveries.first().ok_or("settle what?")?;
        let queue = delivery.queue();
        let done = match step.verb.as_str() {
            "ack" => queue.ack(delivery),
            "ack_many" => {
                let codes = queue.ack_many(&deliveries);
                return Ok(settle(codes, &step.expect)?.map(Given::Codes));
            }
            "nack" => queue.nack(delivery, millis(step, "delay")?).wait(),
            "release" => queue.release(delivery).wait(),
            "reject" => {
                let reason = option(step, "reason").map(Word::text).unwrap_or_default();
                queue.reject(delivery, &reason).wait()
            }
            "extend" => queue.extend(delivery, millis(step, "lease")?).wait(),
            other => return Err(format!("this runner does not know `{other}`")),
        };
        Ok(settle(done, &step.expect)?.map(|()| Given::Done))
    }

    fn compare(&mut self, step: &Step, given: Given) -> Told<()> {
        let wanted: Vec<String> = step.expect.iter().flatten().map(Word::text).collect();
        let wanted_words = wanted.join(" ");
        match given {
            Given::Receipts(receipts) => self.bind_receipts(step, &receipts),
            Given::Deliveries(deliveries) => self.bind_deliveries(step, deliveries),
            Given::Done if wanted.is_empty() || wanted_words == "ok" => Ok(()),
            Given::Done => Err(format!("wanted {wanted_words}, but it succeeded")),
            Given::Word(word) if wanted.is_empty() || wanted_words == word => Ok(()),
            Given::Word(word) => Err(format!("wanted {wanted_words}, got {word}")),
            Given::Codes(codes) => {
                let codes: Vec<String> = codes.iter().map(u16::to_string).collect();
                let is_right = wanted.is_empty() || wanted == codes;
                is_right
                    .then_some(())
                    .ok_or(format!("wanted {wanted_words}, got {}", codes.join(" ")))
            }
        }
    }

    fn bind_receipts(&mut self, step: &Step, receipts: &[primer::Receipt]) -> Told<()> {
        let Some(words) = step.expect.first() else {
            return Ok(());
        };
        let names: Vec<&Word> = words.iter().filter(|word| word.key.is_none()).collect();
        if names.len() != receipts.len() {
            return Err(format!(
                "{} names for {} receipts",
                names.len(),
                receipts.len()
            ));
        }
        let counts: Vec<Word> = words
            .iter()
            .filter(|word| word.key.is_some())
            .cloned()
            .collect();
        for (bound, receipt) in names.iter().zip(receipts) {
            check_receipt(receipt, &counts)?;
            self.bind(&bound.text(), receipt.id)?;
        }
        Ok(())
    }

    fn bind_deliveries(&mut self, step: &Step, deliveries: Vec<Delivery>) -> Told<()> {
        let is_empty = is_only(&step.expect, "empty");
        let count = if is_empty { 0 } else { step.expect.len() };
        if !step.expect.is_empty() && deliveries.len() != count {
            let got = shown(&deliveries, |id| self.name_of(id));
            return Err(format!("wanted {count} messages, got {got}"));
        }
        let member = match step.verb.as_str() {
            "next" => self
                .subscriptions
                .get(&name(step, 0))
                .map(|(member, _)| member.clone()),
            _ => None,
        };
        let member = member.unwrap_or_else(|| name(step, 0));
        for (index, delivery) in deliveries.into_iter().enumerate() {
            let Some((bound, words)) = step.expect.get(index).and_then(|group| group.split_first())
            else {
                continue;
            };
            self.bind(&bound.text(), delivery.id())?;
            check_delivery(&delivery, words).map_err(|told| format!("{}: {told}", bound.text()))?;
            self.deliveries
                .entry((member.clone(), bound.text()))
                .or_default()
                .push(delivery);
        }
        Ok(())
    }

    /// Binds a new name to an id; a name that is bound must be that id.
    pub fn bind(&mut self, bound: &str, id: MessageId) -> Told<()> {
        match self.messages.get(bound) {
            Some(known) if *known != id => Err(format!("wanted {bound}, got {}", self.name_of(id))),
            Some(_) => Ok(()),
            None => {
                self.messages.insert(bound.into(), id);
                Ok(())
            }
        }
    }

    fn name_of(&self, id: MessageId) -> String {
        let known = self.messages.iter().find(|(_, known)| **known == id);
        known.map_or_else(|| id.to_string(), |(bound, _)| bound.clone())
    }

    pub fn member(&self, member: &str) -> Told<&(Primer, Events)> {
        self.members
            .get(member)
            .ok_or_else(|| format!("there is no member `{member}`"))
    }

    fn address(&self, member: &str) -> Told<String> {
        self.member(member)?
            .0
            .address()
            .ok_or_else(|| format!("`{member}` has no address"))
    }

    pub fn queue(&self, step: &Step) -> primer::Result<Queue> {
        let unknown = primer::Error::new(primer::ErrorKind::NotFound);
        let (member, _) = self
            .members
            .get(&name(step, 0))
            .ok_or(unknown.with("member", name(step, 0)))?;
        member.queue(&name(step, 1))
    }

    pub fn received(&self, member: &str, message: &str) -> Told<&Delivery> {
        let last = self
            .deliveries
            .get(&(member.into(), message.into()))
            .and_then(|all| all.last());
        last.ok_or_else(|| format!("`{member}` never received `{message}`"))
    }
}

/// Waits until a count is the one that the step wants.
fn awaited(step: &Step, mut count: impl FnMut() -> primer::Result<u64>) -> Told<Option<Given>> {
    let end = Instant::now() + PATIENCE;
    loop {
        let Some(now) = settle(count(), &step.expect)? else {
            return Ok(None);
        };
        if step.expect.is_empty() || is_only(&step.expect, &now.to_string()) {
            return Ok(None);
        }
        if Instant::now() > end {
            return Err(format!("it is {now} after {PATIENCE:?}"));
        }
        sleep(Duration::from_millis(10));
    }
}

/// Waits for the next event of that kind; those of other kinds are skipped.
fn seen(events: &Events, kind: &str) -> Told<()> {
    let end = Instant::now() + PATIENCE;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        let mut next = events.next();
        match next.wait_for(left) {
            Some(Ok(event)) if event.kind.name() == kind => return Ok(()),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(format!("no event {kind}: {error}")),
            None => break,
        }
    }
    Err(format!("no event {kind} within {PATIENCE:?}"))
}

pub fn name(step: &Step, index: usize) -> String {
    step.args.get(index).map(Word::text).unwrap_or_default()
}

pub fn option<'a>(step: &'a Step, key: &str) -> Option<&'a Word> {
    step.options
        .iter()
        .find(|word| word.key.as_deref() == Some(key))
}

pub fn number<T: FromStr>(step: &Step, key: &str) -> Told<Option<T>> {
    let parse = |word: &Word| {
        word.text()
            .parse()
            .map_err(|_| format!("`{key}` takes a number"))
    };
    option(step, key).map(parse).transpose()
}

pub fn text(step: &Step, key: &str) -> Option<String> {
    option(step, key).map(Word::text)
}

pub fn flag(step: &Step, key: &str) -> bool {
    option(step, key).is_some_and(|word| word.value == b"true")
}

fn if_no_group(step: &Step) -> Told<IfNoGroup> {
    match text(step, "if_no_group").as_deref() {
        None | Some("hold") => Ok(IfNoGroup::Hold),
        Some("drop") => Ok(IfNoGroup::Drop),
        Some("refuse") => Ok(IfNoGroup::Refuse),
        Some(other) => Err(format!(
            "`if_no_group` is hold, drop or refuse, not {other}"
        )),
    }
}

pub fn millis(step: &Step, key: &str) -> Told<Option<Duration>> {
    Ok(number(step, key)?.map(Duration::from_millis))
}

fn on_short(word: &Word) -> Told<OnShort> {
    match word.value.as_slice() {
        b"degrade" => Ok(OnShort::Degrade),
        b"fail" => Ok(OnShort::Fail),
        b"wait" => Ok(OnShort::Wait),
        _ => Err(format!("no such on_short: {}", word.text())),
    }
}
