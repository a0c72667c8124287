//! Options from maps: every key is known, every value in its range.
//!
//! Errors: 101 naming the option.

use std::time::{Duration, SystemTime};

use primer::{
    BrowseOptions, EnqueueOptions, Error, ErrorKind, IfNoGroup, MessageId, OnShort, ReceiveOptions,
    RedriveOptions, Result, State, SubscribeOptions, limits,
};
use rustler::{Atom, Binary, MapIterator, Term};

use crate::atoms;

/// A map of options of which every entry must be asked for.
struct Reader<'a> {
    map: Term<'a>,
    asked: Vec<Atom>,
    /// Entries that were not asked for yet: without any, asking costs nothing.
    left: usize,
}

impl<'a> Reader<'a> {
    fn new(map: Term<'a>) -> Self {
        Self {
            map,
            asked: Vec::new(),
            // What is no map has an entry that nobody asks for.
            left: map.map_size().unwrap_or(usize::MAX),
        }
    }

    fn take(&mut self, key: Atom) -> Option<Term<'a>> {
        if self.left == 0 {
            return None;
        }
        self.asked.push(key);
        let value = self.map.map_get(key).ok()?;
        self.left -= 1;
        Some(value)
    }

    /// A whole number of at most `max`.
    fn number(&mut self, key: Atom, max: u64) -> Result<Option<u64>> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        match value.decode::<u64>() {
            Ok(number) if number <= max => Ok(Some(number)),
            _ => Err(wrong(key, value, "is not a number in its range")),
        }
    }

    /// Milliseconds.
    fn duration(&mut self, key: Atom) -> Result<Option<Duration>> {
        Ok(self.number(key, u64::MAX)?.map(Duration::from_millis))
    }

    /// A date in milliseconds since 1970.
    fn date(&mut self, key: Atom) -> Result<Option<SystemTime>> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        let since = value.decode::<u64>().ok().map(Duration::from_millis);
        since
            .and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since))
            .map(Some)
            .ok_or_else(|| wrong(key, value, "is not a date in milliseconds since 1970"))
    }

    /// False when it is not there.
    fn flag(&mut self, key: Atom) -> Result<bool> {
        let Some(value) = self.take(key) else {
            return Ok(false);
        };
        let flag = value.decode::<bool>();
        flag.map_err(|_| wrong(key, value, "is not true or false"))
    }

    /// A text, such as a group's name; none when it is not there.
    fn text(&mut self, key: Atom) -> Result<Option<String>> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        let text = utf8(value);
        let bad = || wrong(key, value, "is not a binary of UTF-8");
        text.map(Some).ok_or_else(bad)
    }

    /// Refuses what was not asked for.
    fn finish(self) -> Result<()> {
        if self.left == 0 {
            return Ok(());
        }
        let known = |key: &Term| self.asked.iter().any(|asked| asked == key);
        let unknown = MapIterator::new(self.map)
            .and_then(|mut entries| entries.find(|(key, _)| !known(key)))
            .map_or_else(String::new, |(key, _)| shown(key));
        Err(Error::new(ErrorKind::InvalidArgument)
            .because("there is no such option")
            .with("option", unknown))
    }
}

/// 101 for the value of one option.
fn wrong(key: Atom, value: Term, reason: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument)
        .because(reason)
        .with("option", format!("{key:?}"))
        .with("value", shown(value))
}

/// A small term's text. Printing a large one could keep a scheduler busy.
fn shown(term: Term) -> String {
    if let Ok(binary) = Binary::from_term(term) {
        let start = binary.as_slice().get(..40).unwrap_or(binary.as_slice());
        return String::from_utf8_lossy(start).into_owned();
    }
    if term.is_atom() || term.decode::<i64>().is_ok() {
        return format!("{term:?}").chars().take(40).collect();
    }
    String::from("a term of another type")
}

/// `#{copies, on_short, timeout, headers, priority, delay, at, ttl, max_attempts, at_most_once, if_no_group, key, dedup,
/// dedup_window}`.
pub(crate) fn enqueue(map: Term) -> Result<EnqueueOptions> {
    let mut reader = Reader::new(map);
    let copies = reader.number(atoms::copies(), u64::from(u16::MAX))?;
    let on_short = match reader.take(atoms::on_short()) {
        Some(value) => Some(on_short(value)?),
        None => None,
    };
    let timeout = reader.duration(atoms::timeout())?;
    let headers = match reader.take(atoms::headers()) {
        Some(value) => headers(value)?,
        None => Vec::new(),
    };
    let priority = reader.number(atoms::priority(), u64::from(u8::MAX))?;
    let delay = reader.duration(atoms::delay())?;
    let at = reader.date(atoms::at())?;
    let ttl = reader.duration(atoms::ttl())?;
    let max_attempts = reader.number(atoms::max_attempts(), u64::from(u32::MAX))?;
    let at_most_once = reader.flag(atoms::at_most_once())?;
    let if_no_group = match reader.take(atoms::if_no_group()) {
        Some(value) => if_no_group(value)?,
        None => IfNoGroup::default(),
    };
    let key = reader.text(atoms::key())?;
    let dedup = reader.text(atoms::dedup())?;
    let dedup_window = reader.duration(atoms::dedup_window())?;
    reader.finish()?;
    Ok(EnqueueOptions {
        copies: copies.and_then(|number| u16::try_from(number).ok()),
        on_short,
        timeout,
        headers,
        priority: priority.and_then(|number| u8::try_from(number).ok()),
        delay,
        at,
        ttl,
        max_attempts: max_attempts.and_then(|number| u32::try_from(number).ok()),
        at_most_once,
        if_no_group,
        key,
        dedup,
        dedup_window,
    })
}

/// As [`enqueue`]; its `timeout` is how long to wait for the reply.
pub(crate) fn call(map: Term) -> Result<(EnqueueOptions, Duration)> {
    let mut options = enqueue(map)?;
    let usual = Duration::from_millis(limits::CALL_TIMEOUT_MS);
    let timeout = options.timeout.take().unwrap_or(usual);
    Ok((options, timeout))
}

/// `#{headers}`.
pub(crate) fn reply(map: Term) -> Result<Vec<(String, String)>> {
    let mut reader = Reader::new(map);
    let headers = match reader.take(atoms::headers()) {
        Some(value) => headers(value)?,
        None => Vec::new(),
    };
    reader.finish()?;
    Ok(headers)
}

fn on_short(value: Term) -> Result<OnShort> {
    if atoms::degrade() == value {
        Ok(OnShort::Degrade)
    } else if atoms::fail() == value {
        Ok(OnShort::Fail)
    } else if atoms::wait() == value {
        Ok(OnShort::Wait)
    } else {
        Err(wrong(
            atoms::on_short(),
            value,
            "is not degrade, fail or wait",
        ))
    }
}

fn if_no_group(value: Term) -> Result<IfNoGroup> {
    if atoms::hold() == value {
        Ok(IfNoGroup::Hold)
    } else if atoms::drop() == value {
        Ok(IfNoGroup::Drop)
    } else if atoms::refuse() == value {
        Ok(IfNoGroup::Refuse)
    } else {
        Err(wrong(
            atoms::if_no_group(),
            value,
            "is not hold, drop or refuse",
        ))
    }
}

/// A map or a list of pairs of binaries; the list keeps its order.
fn headers(value: Term) -> Result<Vec<(String, String)>> {
    let bad = || wrong(atoms::headers(), value, "is not pairs of UTF-8 binaries");
    let pair = |key: Term, value: Term| Some((utf8(key)?, utf8(value)?));
    // One more than is allowed, so that the verb sees that there are too many.
    let most = limits::HEADERS_MAX + 1;
    if let Some(entries) = MapIterator::new(value) {
        return entries
            .take(most)
            .map(|(key, value)| pair(key, value).ok_or_else(bad))
            .collect();
    }
    cells(value, most, |entry| {
        let (key, value) = entry.decode::<(Term, Term)>().ok()?;
        pair(key, value)
    })
    .ok_or_else(bad)
}

/// Elements that a list is expected to have, so that most need one allocation.
const CELLS: usize = 128;

/// What `read` makes of the first `most` elements of a proper list; none of anything else, or when it
/// makes none of an element. (Rustler's own iterator panics at an improper list.)
pub(crate) fn cells<'a, T>(
    list: Term<'a>,
    most: usize,
    mut read: impl FnMut(Term<'a>) -> Option<T>,
) -> Option<Vec<T>> {
    let mut elements = Vec::with_capacity(most.min(CELLS));
    let mut rest = list;
    while elements.len() < most {
        let Ok((head, tail)) = rest.list_get_cell() else {
            return rest.is_empty_list().then_some(elements);
        };
        elements.push(read(head)?);
        rest = tail;
    }
    Some(elements)
}

/// A binary of UTF-8.
pub(crate) fn utf8(term: Term) -> Option<String> {
    let binary = Binary::from_term(term).ok()?;
    Some(std::str::from_utf8(binary.as_slice()).ok()?.to_owned())
}

/// `#{max, wait, lease, group, backlog}`.
pub(crate) fn receive(map: Term) -> Result<ReceiveOptions> {
    let mut reader = Reader::new(map);
    let max = reader.number(atoms::max(), u64::from(u32::MAX))?;
    let wait = reader.duration(atoms::wait())?;
    let lease = reader.duration(atoms::lease())?;
    let group = reader.text(atoms::group())?;
    let backlog = reader.flag(atoms::backlog())?;
    reader.finish()?;
    let default = ReceiveOptions::default();
    Ok(ReceiveOptions {
        max: max
            .and_then(|number| usize::try_from(number).ok())
            .unwrap_or(default.max),
        wait: wait.unwrap_or(default.wait),
        lease,
        group,
        backlog,
    })
}

/// `#{max, after, group, states, headers, body_bytes_max, timeout}`.
pub(crate) fn browse(map: Term) -> Result<BrowseOptions> {
    let mut reader = Reader::new(map);
    let max = reader.number(atoms::max(), u64::from(u32::MAX))?;
    let after = match reader.take(atoms::after()) {
        None => None,
        // As a page has it.
        Some(value) if atoms::undefined() == value => None,
        Some(value) => {
            let bad = || wrong(atoms::after(), value, "is not a cursor");
            Some(utf8(value).ok_or_else(bad)?)
        }
    };
    let group = reader.text(atoms::group())?;
    let states = match reader.take(atoms::states()) {
        Some(value) => states(value)?,
        None => Vec::new(),
    };
    let headers = match reader.take(atoms::headers()) {
        Some(value) => headers(value)?,
        None => Vec::new(),
    };
    let bytes = reader.number(atoms::body_bytes_max(), u64::from(u32::MAX))?;
    let timeout = reader.duration(atoms::timeout())?;
    reader.finish()?;
    let usual = BrowseOptions::default();
    let number = |number: Option<u64>| number.and_then(|number| u32::try_from(number).ok());
    Ok(BrowseOptions {
        max: number(max).unwrap_or(usual.max),
        after,
        group,
        states,
        headers,
        body_bytes_max: number(bytes).unwrap_or(usual.body_bytes_max),
        timeout: timeout.unwrap_or(usual.timeout),
    })
}

/// `#{to, max, headers, ids, dry_run, timeout}`.
pub(crate) fn redrive(map: Term) -> Result<RedriveOptions> {
    let mut reader = Reader::new(map);
    let to = match reader.take(atoms::to()) {
        Some(value) => {
            let bad = || wrong(atoms::to(), value, "is not a queue's name");
            Some(utf8(value).ok_or_else(bad)?)
        }
        None => None,
    };
    let max = reader.number(atoms::max(), u64::MAX)?;
    let headers = match reader.take(atoms::headers()) {
        Some(value) => headers(value)?,
        None => Vec::new(),
    };
    let ids = match reader.take(atoms::ids()) {
        Some(value) => ids(value)?,
        None => Vec::new(),
    };
    let dry_run = reader.flag(atoms::dry_run())?;
    let timeout = reader.duration(atoms::timeout())?;
    reader.finish()?;
    let usual = RedriveOptions::default();
    Ok(RedriveOptions {
        to,
        max: max.unwrap_or(usual.max),
        headers,
        ids,
        dry_run,
        timeout: timeout.unwrap_or(usual.timeout),
    })
}

fn ids(value: Term) -> Result<Vec<MessageId>> {
    let bad = || wrong(atoms::ids(), value, "is not a list of messages' ids");
    // One more than is allowed, so that the verb sees that there are too many.
    let most = limits::REDRIVE_IDS_MAX + 1;
    cells(value, most, |id| utf8(id)?.parse().ok()).ok_or_else(bad)
}

fn states(value: Term) -> Result<Vec<State>> {
    let bad = || {
        wrong(
            atoms::states(),
            value,
            "is not a list of ready, delayed and leased",
        )
    };
    let most = State::ALL.len() * 2;
    let read = |term: Term| {
        let mut all = State::ALL.into_iter();
        all.find(|state| state_atom(*state) == term)
    };
    cells(value, most, read).ok_or_else(bad)
}

/// A state's atom.
pub(crate) fn state_atom(state: State) -> Atom {
    match state {
        State::Ready => atoms::ready(),
        State::Delayed => atoms::delayed(),
        State::Leased => atoms::leased(),
    }
}

/// `#{credit, credit_bytes, lease, max_run, mode, group, backlog}`; true for push, the default mode.
pub(crate) fn subscribe(map: Term) -> Result<(SubscribeOptions, bool)> {
    let mut reader = Reader::new(map);
    let credit = reader.number(atoms::credit(), u64::from(u32::MAX))?;
    let credit_bytes = reader.number(atoms::credit_bytes(), u64::MAX)?;
    let lease = reader.duration(atoms::lease())?;
    let max_run = reader.duration(atoms::max_run())?;
    let pushes = match reader.take(atoms::mode()) {
        None => true,
        Some(mode) if atoms::push() == mode => true,
        Some(mode) if atoms::pull() == mode => false,
        Some(mode) => return Err(wrong(atoms::mode(), mode, "is not push or pull")),
    };
    let group = reader.text(atoms::group())?;
    let backlog = reader.flag(atoms::backlog())?;
    reader.finish()?;
    let default = SubscribeOptions::default();
    let credit = credit
        .and_then(|number| u32::try_from(number).ok())
        .unwrap_or(default.credit);
    let options = SubscribeOptions {
        credit,
        credit_bytes,
        lease,
        max_run,
        group,
        backlog,
    };
    Ok((options, pushes))
}

/// One duration of that name, or none.
pub(crate) fn one_duration(map: Term, key: Atom) -> Result<Option<Duration>> {
    let mut reader = Reader::new(map);
    let duration = reader.duration(key)?;
    reader.finish()?;
    Ok(duration)
}

/// `#{backlog}`.
pub(crate) fn create_group(map: Term) -> Result<bool> {
    let mut reader = Reader::new(map);
    let backlog = reader.flag(atoms::backlog())?;
    reader.finish()?;
    Ok(backlog)
}

/// `#{drain, force}`.
pub(crate) fn leave(map: Term) -> Result<(Option<Duration>, bool)> {
    let mut reader = Reader::new(map);
    let drain = reader.duration(atoms::drain())?;
    let force = reader.flag(atoms::force())?;
    reader.finish()?;
    Ok((drain, force))
}
