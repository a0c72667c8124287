//! Looking for members whose addresses nobody wrote down.
//!
//! Two ways, and each says again and again, as a whole, what it knows at that time; the engine dials
//! it as it dials seeds. A seed that is a [`name`] is looked up for ever and stands for every address
//! it leads to. The members of one user on one machine meet in a directory ([`place`]) that only
//! that user can see into ([`local`]).
//!
//! Both look often at first and seldom later ([`pace`]), and at once when a link was lost.
//! What the directory holds is looked at again and again, not watched by the kernel: each watch costs one
//! of a user's few inotify instances (128 by default, and hundreds of members share them), and
//! nobody waits for it, since a newcomer reads the directory after it has written itself in.

pub(crate) mod local;
pub(crate) mod name;
pub(crate) mod outward;
pub(crate) mod pace;
pub(crate) mod place;

use std::net::SocketAddr;
use std::sync::Arc;

use primer_proto::base::Chance;
use primer_proto::engine::Input;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::local::Local;
use self::name::Name;
use self::pace::Pace;
use super::address;
use super::driver::Driver;

/// Looks at the directory after which every file's lock is tried again: about half a minute.
const THOROUGH_EVERY: u32 = 15;

/// The ways in which one member looks for others.
#[derive(Default)]
pub(crate) struct Discovery {
    pub(crate) names: Vec<Name>,
    pub(crate) local: Option<Local>,
    /// For jitter.
    pub(crate) seed: u64,
}

impl Discovery {
    /// How many sources will tell the engine what they found.
    pub(crate) fn sources(&self) -> u32 {
        let count = self.names.len() + usize::from(self.local.is_some());
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Looks for ever.
    pub(crate) async fn run(self, driver: Arc<Driver>) {
        let mut chance = Chance::new(self.seed);
        let mut tasks = JoinSet::new();
        let mut sources = 0_u32..;
        let mut source = || sources.next().unwrap_or(u32::MAX);
        for name in self.names {
            let pace = Pace::names(Chance::new(chance.bits()));
            let (driver, source) = (driver.clone(), source());
            let stirred = driver.stirred();
            tasks.spawn(async move {
                let is_everywhere = driver.is_encrypting();
                let tell = |found| {
                    let addresses = allowed(&name, found, is_everywhere);
                    driver.feed([Input::Found { source, addresses }])
                };
                follow(&name, name::lookup, pace, stirred, tell).await;
            });
        }
        if let Some(local) = self.local {
            let pace = Pace::local(Chance::new(chance.bits()));
            tasks.spawn(watch_place(local, pace, driver, source()));
        }
        // They end with the member; one that panicked says so by the host's panic hook.
        while tasks.join_next().await.is_some() {}
    }
}

/// What may be dialled of what a name leads to. Addresses in the options that may not are an error
/// when a member starts; a name can only be found out later.
fn allowed(name: &Name, mut found: Vec<SocketAddr>, is_everywhere: bool) -> Vec<String> {
    let count = found.len();
    found.retain(|address| is_everywhere || address::is_loopback(address.ip()));
    if found.len() < count {
        let refused = count - found.len();
        tracing::warn!(%name, refused, "the name leads to other machines, and there is no secret");
    }
    found.iter().map(ToString::to_string).collect()
}

/// Looks a name up again and again; tells when the answer differs, and what was known stays known
/// while there is none. Ends when nobody listens.
async fn follow(
    name: &Name,
    mut lookup: impl AsyncFnMut(&Name) -> primer_proto::Result<Vec<SocketAddr>>,
    mut pace: Pace,
    mut stirred: watch::Receiver<()>,
    mut tell: impl FnMut(Vec<SocketAddr>) -> bool,
) {
    let mut known: Option<Vec<SocketAddr>> = None;
    let mut is_failing = false;
    loop {
        match lookup(name).await {
            Ok(found) => {
                is_failing = false;
                if known.as_ref() != Some(&found) {
                    tracing::debug!(%name, addresses = found.len(), "name resolved");
                    known = Some(found.clone());
                    if !tell(found) {
                        return;
                    }
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut is_failing, true) {
                    tracing::warn!(%name, %error, "name not resolved; tried again for ever");
                }
            }
        }
        pace.rest(&mut stirred).await;
    }
}

/// Looks at the directory again and again; tells when what is there differs.
async fn watch_place(mut local: Local, mut pace: Pace, driver: Arc<Driver>, source: u32) {
    let mut stirred = driver.stirred();
    let mut known: Option<Vec<String>> = None;
    let mut is_failing = false;
    let mut looks = 0_u32;
    let mut was_stirred = true;
    loop {
        // A member that left is not to be found: whoever dialled it would bring it back.
        if !driver.is_seeking() {
            local.withdraw();
            return;
        }
        // On this thread: a few system calls on memory, where a thread for it would cost more.
        let is_thorough = was_stirred || looks.is_multiple_of(THOROUGH_EVERY);
        looks = looks.wrapping_add(1);
        match local.look(is_thorough) {
            Ok(addresses) => {
                is_failing = false;
                if known.as_ref() != Some(&addresses) {
                    known = Some(addresses.clone());
                    if !driver.feed([Input::Found { source, addresses }]) {
                        return;
                    }
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut is_failing, true) {
                    tracing::warn!(%error, "members on this machine cannot be looked for");
                }
            }
        }
        was_stirred = pace.rest(&mut stirred).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::collections::VecDeque;

    type Answer = primer_proto::Result<Vec<SocketAddr>>;

    fn found(addresses: &[&str]) -> Answer {
        Ok(addresses.iter().map(|text| text.parse().unwrap()).collect())
    }

    fn none() -> Answer {
        Err(primer_proto::ErrorKind::Unreachable.into())
    }

    /// Follows a name whose look-ups are answered with `answers`; what was told.
    async fn told(answers: impl IntoIterator<Item = Answer>) -> Vec<Vec<String>> {
        let answers = RefCell::new(answers.into_iter().collect::<VecDeque<_>>());
        let told = RefCell::new(Vec::new());
        let (stir, stirred) = watch::channel(());
        let name = Name::parse("db.internal:7000").unwrap();
        let lookup = async |_: &Name| {
            stir.send_replace(());
            let answer = answers.borrow_mut().pop_front();
            match answer {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        };
        let tell = |addresses| {
            told.borrow_mut().push(allowed(&name, addresses, true));
            // Nobody listens any more once everything was answered.
            !answers.borrow().is_empty()
        };
        follow(&name, lookup, Pace::quick(), stirred, tell).await;
        told.into_inner()
    }

    #[tokio::test]
    async fn a_name_is_looked_up_for_ever_and_each_new_answer_is_told_whole() {
        let told = told([
            none(),
            found(&["127.0.0.1:7000"]),
            found(&["127.0.0.1:7000"]),
            none(),
            found(&["127.0.0.1:7000", "127.0.0.2:7000"]),
            found(&["127.0.0.3:7000"]),
        ]);
        let told = told.await;
        assert_eq!(
            told,
            [
                vec!["127.0.0.1:7000"],
                vec!["127.0.0.1:7000", "127.0.0.2:7000"],
                vec!["127.0.0.3:7000"],
            ]
        );
    }

    #[test]
    fn other_machines_are_not_dialled_without_a_secret() {
        let name = Name::parse("db.internal:7").unwrap();
        let all = found(&["10.0.0.1:7", "127.0.0.2:7", "[::1]:7", "[2001:db8::1]:7"]).unwrap();
        assert_eq!(allowed(&name, all.clone(), true).len(), 4);
        assert_eq!(allowed(&name, all, false), ["127.0.0.2:7", "[::1]:7"]);
    }
}
