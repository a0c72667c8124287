//! [`Keeper`]: puts what a restart must not forget into the member's directory.
//!
//! Two things, at two times. Who the member is must be on the disk before anyone hears of it, so it is
//! written where the engine says it, under its lock: it changes in a few lives only. What the member knows
//! of the cluster is told to others anyway, so a thread of its own, `primer-disk`, saves it a moment
//! later: once a second at most and for a tenth of the time at most, copied in parts so that
//! messages never wait for it, and once more at the end. A disk that is full or broken is
//! counted and warned of, and tried again; the member works on.
//!
//! After a leave the saved metadata is that of somebody else's cluster: it is removed, and the disk
//! has done so, before `leave` is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::run::sync::{Condvar, Mutex};
use primer_proto::base::{BootId, MemberId};
use primer_proto::engine::Engine;
use primer_proto::{Error, Result};

use super::driver::Driver;
use super::home::{Home, Identity};
use super::runtime::refused;
use crate::stats::Stats;

/// The least between two saves.
const PAUSE: Duration = Duration::from_secs(1);
/// The most between a save that failed and the next one.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// For one part of saving so many parts of not saving.
const CALM: u32 = 9;

/// A member's directory and who writes there.
pub(crate) struct Keeper {
    home: Arc<Home>,
    state: Mutex<State>,
    stirred: Condvar,
    /// Whose cluster may be saved, as [`Engine::era`] says. Locked while a file is replaced, so that
    /// nothing of a former one is written after its end.
    era: Mutex<BootId>,
    thread: Mutex<Option<JoinHandle<()>>>,
    saves: AtomicU64,
    unsaved: AtomicU64,
}

#[derive(Default)]
struct State {
    is_dirty: bool,
    is_closing: bool,
    /// Who the member is, where the disk did not take it.
    owed: Option<Identity>,
}

impl Keeper {
    /// For a member whose engine is this one.
    pub(crate) fn new(home: Arc<Home>, engine: &Engine) -> Arc<Self> {
        Arc::new(Self {
            home,
            state: Mutex::default(),
            stirred: Condvar::default(),
            era: Mutex::new(engine.era()),
            thread: Mutex::default(),
            saves: AtomicU64::new(0),
            unsaved: AtomicU64::new(0),
        })
    }

    /// Starts the thread. Errors: 502.
    pub(crate) fn start(self: &Arc<Self>, driver: &Arc<Driver>) -> Result<()> {
        let (keeper, driver) = (self.clone(), driver.clone());
        let thread = std::thread::Builder::new()
            .name("primer-disk".into())
            .spawn(move || keeper.run(&driver))
            .map_err(|error| refused("cannot start a thread", &error))?;
        *self.thread.lock() = Some(thread);
        Ok(())
    }

    /// Saves what is not saved yet and lets another process have the directory. Blocks for the disk.
    pub(crate) fn close(&self) {
        self.state.lock().is_closing = true;
        self.stirred.notify_all();
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            // One that panicked has said so; there is nothing to be done about it here.
            let _ = thread.join();
        }
        self.home.release();
    }

    /// What was saved, and what not.
    pub(crate) fn tell(&self, stats: &mut Stats) {
        let saves = self.saves.load(Ordering::Relaxed);
        let unsaved = self.unsaved.load(Ordering::Relaxed);
        let damaged = stats.get("metadata_damaged").max(self.home.damaged());
        stats.0.insert("metadata_saves", saves);
        stats.0.insert("metadata_unsaved", unsaved);
        stats.0.insert("metadata_damaged", damaged);
    }

    fn run(&self, driver: &Driver) {
        let mut failed: u32 = 0;
        while self.wait() {
            let begun = Instant::now();
            failed = match self.save(driver) {
                Ok(()) => 0,
                Err(error) => {
                    self.complain(&error, failed == 0);
                    self.stir();
                    failed.saturating_add(1)
                }
            };
            let pause = PAUSE.saturating_mul(1 << failed.min(5)).min(PAUSE_MAX);
            self.rest(pause.max(begun.elapsed() * CALM));
        }
        if self.state.lock().is_dirty
            && let Err(error) = self.save(driver)
        {
            self.complain(&error, true);
        }
    }

    /// Something is to be saved.
    fn stir(&self) {
        let mut state = self.state.lock();
        if !state.is_dirty {
            state.is_dirty = true;
            drop(state);
            self.stirred.notify_all();
        }
    }

    /// Waits until something is to be saved. False when that is left to the end.
    fn wait(&self) -> bool {
        let mut state = self.state.lock();
        while !state.is_dirty && !state.is_closing {
            state = self.stirred.wait(state);
        }
        !state.is_closing
    }

    /// Waits that long, or until the end.
    fn rest(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut state = self.state.lock();
        let mut is_over = false;
        while !state.is_closing && !is_over {
            (state, is_over) = self.stirred.wait_until(state, until);
        }
    }

    /// Errors: 104, 502.
    fn save(&self, driver: &Driver) -> Result<()> {
        // What changes from here on makes it dirty again.
        self.state.lock().is_dirty = false;
        self.keep_owed()?;
        // An engine that panicked is not to be believed: what was saved before is better.
        let Some((era, bytes)) = copy(driver) else {
            return Ok(());
        };
        let current = self.era.lock();
        if *current == era {
            self.home.save_metadata(&bytes)?;
            self.saves.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Keeps who the member is. It goes on without, if it must, and tries again before the next save: its
    /// clock most likely makes its next life a later one all the same.
    fn keep(&self, (member, incarnation): (MemberId, u64)) {
        let identity = Identity {
            member,
            incarnation,
        };
        self.state.lock().owed = Some(identity);
        if let Err(error) = self.keep_owed() {
            self.complain(&error, true);
            self.stir();
        }
    }

    /// Errors: 501, 502; it is owed still.
    fn keep_owed(&self) -> Result<()> {
        let owed = self.state.lock().owed;
        let Some(identity) = owed else {
            return Ok(());
        };
        self.home.keep(identity)?;
        // There may be another one by now.
        let mut state = self.state.lock();
        state.owed = state.owed.filter(|owed| *owed != identity);
        Ok(())
    }

    /// Forgets the cluster that was left.
    fn begin_anew(&self, era: BootId) {
        let mut current = self.era.lock();
        *current = era;
        if let Err(error) = self.home.forget_metadata() {
            self.complain(&error, true);
        }
    }

    fn complain(&self, error: &Error, is_news: bool) {
        self.unsaved.fetch_add(1, Ordering::Relaxed);
        if is_news {
            tracing::warn!(%error, "the member's directory cannot be written; tried again");
        }
    }
}

/// All that is to be saved, and whose; none when the engine serves no more because it failed.
fn copy(driver: &Driver) -> Option<(BootId, Vec<u8>)> {
    let mut begun = None;
    loop {
        let memo = begun.take();
        let step = driver.ask_to_the_end(|engine| {
            let memo = memo.unwrap_or_else(|| engine.memo());
            (engine.era(), engine.go_on(memo))
        });
        match step.ok()? {
            (era, Ok(bytes)) => return Some((era, bytes)),
            (_, Err(mut more)) => {
                more.make_room();
                begun = Some(more);
            }
        }
    }
}

/// Notes what the engine's calls change. Belongs to the engine and is used under its lock.
pub(crate) struct Clerk {
    keeper: Arc<Keeper>,
    identity: (MemberId, u64),
    era: BootId,
    /// None until something was looked at: what begins is saved.
    version: Option<u64>,
}

impl Clerk {
    pub(crate) fn new(keeper: Arc<Keeper>, engine: &Engine) -> Self {
        Self {
            keeper,
            identity: engine.identity(),
            era: engine.era(),
            version: None,
        }
    }

    /// Looks at the engine after a call, before anything that it said goes out.
    pub(crate) fn look(&mut self, engine: &Engine) {
        let (identity, era) = (engine.identity(), engine.era());
        if self.identity != identity {
            self.identity = identity;
            self.keeper.keep(identity);
        }
        if self.era != era {
            self.era = era;
            self.keeper.begin_anew(era);
        }
        let version = Some(engine.metadata_version());
        if self.version != version {
            self.version = version;
            self.keeper.stir();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use primer_proto::base::{ClusterId, Instant, Now, StoreId};
    use primer_proto::engine::Config;

    use super::*;
    use crate::run::private::Scratch;

    const SHOP: ClusterId = ClusterId(5);
    const FIRST: MemberId = MemberId(77);

    fn home(scratch: &Scratch) -> Home {
        Home::open(scratch.path(), SHOP, 1_000, || Ok(FIRST)).unwrap()
    }

    #[test]
    fn who_it_became_is_kept_once_the_disk_takes_it() {
        let scratch = Scratch::new();
        let now = Now {
            mono: Instant(0),
            wall_ms: 1_000,
        };
        let config = Config::new(SHOP, FIRST, BootId(1), StoreId(1));
        let keeper = Keeper::new(Arc::new(home(&scratch)), &Engine::new(config, now));
        // In the way of every new file: no owner's right overcomes this.
        let obstacle = scratch.path().join("identity.new");
        fs::create_dir(&obstacle).unwrap();
        keeper.keep((MemberId(78), 4));
        assert_eq!(keeper.unsaved.load(Ordering::Relaxed), 1);
        assert!(keeper.state.lock().is_dirty, "it is tried again");
        assert_eq!(keeper.keep_owed().unwrap_err().number(), 502);
        fs::remove_dir(&obstacle).unwrap();
        keeper.keep_owed().unwrap();
        assert_eq!(keeper.state.lock().owed, None);
        keeper.close();
        assert_eq!(home(&scratch).identity().member, MemberId(78));
    }
}
