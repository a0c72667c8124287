//! The courier: one thread a member that carries wake-ups to the host, and rings its alarms.
//!
//! UniFFI wakes a host by calling into it from whatever thread finished the work. From Primer's own
//! thread that would be wrong: Ruby makes a foreign caller wait for its interpreter lock, so a busy
//! host would stop heartbeats and look dead to the cluster. So a [`Pending`] is polled with a waker
//! that only leaves a note here, and this thread calls the host (bindings.md, rule 1).

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use primer::{Error, ErrorKind, Pending};

use crate::error::PrimerError;

/// A member's courier. Its thread ends when this value is dropped; nobody waits for it, because it
/// may be inside a host that waits for us.
pub(crate) struct Courier(Arc<Office>);

struct Office {
    desk: Mutex<Desk>,
    bell: Condvar,
}

#[derive(Default)]
struct Desk {
    notes: Vec<Waker>,
    alarms: BTreeMap<(Instant, u64), Waker>,
    alarms_set: u64,
    is_closed: bool,
}

impl Courier {
    /// Starts the thread. Errors: 502 when there can be none.
    pub(crate) fn start() -> Result<Courier, PrimerError> {
        let office = Arc::new(Office {
            desk: Mutex::default(),
            bell: Condvar::new(),
        });
        let hired = Arc::clone(&office);
        std::thread::Builder::new()
            .name("primer-uniffi".into())
            .spawn(move || hired.work())
            .map_err(|error| Error::new(ErrorKind::Io).because(error.to_string()))?;
        Ok(Courier(office))
    }

    /// Awaits `pending`; the host is woken by this courier. Errors: the verb's own.
    pub(crate) async fn carry<T>(&self, pending: Pending<T>) -> Result<T, PrimerError> {
        let mut pending = pin!(pending);
        let answer = poll_fn(|context| {
            let waker = self.relay(context);
            pending.as_mut().poll(&mut Context::from_waker(&waker))
        });
        Ok(answer.await?)
    }

    /// Awaits `pending` for at most `wait`; none when that passed, and what would have come later
    /// goes back. Errors: the verb's own.
    pub(crate) async fn carry_for<T>(
        &self,
        pending: Pending<T>,
        wait: Duration,
    ) -> Result<Option<T>, PrimerError> {
        let mut pending = pin!(pending);
        let mut alarm = self.alarm(wait);
        let answer = poll_fn(|context| {
            let waker = self.relay(context);
            match pending.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(answer) => Poll::Ready(answer.map(Some)),
                Poll::Pending if alarm.has_rung(context.waker()) => Poll::Ready(Ok(None)),
                Poll::Pending => Poll::Pending,
            }
        });
        Ok(answer.await?)
    }

    fn relay(&self, context: &Context<'_>) -> Waker {
        Waker::from(Arc::new(Relay {
            office: Arc::clone(&self.0),
            host: context.waker().clone(),
        }))
    }

    /// An alarm at `wait` from now; one too far ahead for the clock never rings.
    fn alarm(&self, wait: Duration) -> Alarm<'_> {
        Alarm {
            office: &self.0,
            at: Instant::now().checked_add(wait),
            key: None,
        }
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        self.0.desk().is_closed = true;
        self.0.bell.notify_one();
    }
}

impl Office {
    // A panic cannot happen while the desk is held, so a poisoned one is as good as any.
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut desk = self.desk();
        loop {
            desk.collect_due(Instant::now());
            if !desk.notes.is_empty() {
                let notes = std::mem::take(&mut desk.notes);
                // The host may call us back on this very thread: never with the desk held.
                drop(desk);
                notes.into_iter().for_each(Waker::wake);
                desk = self.desk();
            } else if desk.is_closed {
                return;
            } else {
                desk = self.sleep(desk);
            }
        }
    }

    fn sleep<'a>(&self, desk: MutexGuard<'a, Desk>) -> MutexGuard<'a, Desk> {
        let Some((at, _)) = desk.alarms.first_key_value().map(|(key, _)| *key) else {
            return self.bell.wait(desk).unwrap_or_else(PoisonError::into_inner);
        };
        let span = at.saturating_duration_since(Instant::now());
        let woken = self.bell.wait_timeout(desk, span);
        woken.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Desk {
    /// Turns the alarms that are due into notes.
    fn collect_due(&mut self, now: Instant) {
        while let Some(entry) = self.alarms.first_entry() {
            if entry.key().0 > now {
                return;
            }
            self.notes.push(entry.remove());
        }
    }
}

/// A waker that leaves a note for the courier instead of calling the host.
struct Relay {
    office: Arc<Office>,
    host: Waker,
}

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.office.desk().notes.push(self.host.clone());
        self.office.bell.notify_one();
    }
}

/// A point in time at which the courier wakes the host; taken back when dropped.
struct Alarm<'a> {
    office: &'a Office,
    at: Option<Instant>,
    key: Option<(Instant, u64)>,
}

impl Alarm<'_> {
    /// True when its time has come; else `host` will be woken then.
    fn has_rung(&mut self, host: &Waker) -> bool {
        let Some(at) = self.at else {
            return false;
        };
        if Instant::now() >= at {
            return true;
        }
        let mut desk = self.office.desk();
        let key = *self.key.get_or_insert_with(|| {
            desk.alarms_set += 1;
            (at, desk.alarms_set)
        });
        desk.alarms.insert(key, host.clone());
        self.office.bell.notify_one();
        false
    }
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.office.desk().alarms.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// A host that tells on which thread it was woken.
    struct Host(Mutex<Sender<Option<String>>>);

    impl Wake for Host {
        fn wake(self: Arc<Self>) {
            let thread = std::thread::current().name().map(str::to_owned);
            self.0.lock().unwrap().send(thread).unwrap();
        }
    }

    fn host() -> (Waker, Receiver<Option<String>>) {
        let (sender, woken) = channel();
        (Waker::from(Arc::new(Host(Mutex::new(sender)))), woken)
    }

    #[test]
    fn whoever_wakes_the_host_is_woken_by_the_courier() {
        let courier = Courier::start().unwrap();
        let (host, woken) = host();
        let relay = courier.relay(&Context::from_waker(&host));
        std::thread::spawn(move || {
            relay.wake_by_ref();
            relay.wake();
        });
        for _ in 0..2 {
            assert_eq!(woken.recv().unwrap().as_deref(), Some("primer-uniffi"));
        }
    }

    #[test]
    fn an_alarm_wakes_the_host_when_its_time_has_come_and_not_before() {
        let courier = Courier::start().unwrap();
        let (host, woken) = host();
        let mut far = courier.alarm(Duration::MAX);
        let mut near = courier.alarm(Duration::from_millis(5));
        assert!(!far.has_rung(&host));
        if !near.has_rung(&host) {
            assert_eq!(woken.recv().unwrap().as_deref(), Some("primer-uniffi"));
        }
        assert!(near.has_rung(&host));
        assert!(!far.has_rung(&host));
    }

    #[test]
    fn an_alarm_that_is_dropped_is_taken_back() {
        let courier = Courier::start().unwrap();
        let (host, _woken) = host();
        let mut alarm = courier.alarm(Duration::from_secs(3_600));
        assert!(!alarm.has_rung(&host) && !alarm.has_rung(&host));
        assert_eq!(courier.0.desk().alarms.len(), 1);
        drop(alarm);
        assert!(courier.0.desk().alarms.is_empty());
    }

    #[test]
    fn a_courier_that_is_dropped_delivers_what_it_has_and_ends() {
        let courier = Courier::start().unwrap();
        let (host, woken) = host();
        let office = Arc::downgrade(&courier.0);
        courier.relay(&Context::from_waker(&host)).wake();
        drop((courier, host));
        assert!(woken.recv().unwrap().is_some());
        // The thread drops the host's last waker, then its office: nobody can send any more.
        assert!(woken.recv().is_err());
        while office.strong_count() > 0 {
            std::thread::yield_now();
        }
    }
}
