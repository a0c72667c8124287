//! Members in namespaces: a cluster, the network under it, and whether its members agree.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::time::{Duration, Instant};

use primer_cluster::cluster::Cluster;
use primer_cluster::member::{Setup, View};
use primer_cluster::{Outcome, text};
use rustix::process::Signal;

use crate::network::{Network, send};
use crate::shape::{Cut, Shape};

/// What is promised within seconds has this long, on a machine that may be busy.
const LIMIT: Duration = Duration::from_secs(90);
/// Between two looks at all members.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Members in namespaces.
pub struct Crew {
    // Before the network: processes end first.
    cluster: Cluster,
    network: Network,
    /// What each member is started with.
    setups: BTreeMap<u64, Setup>,
}

/// How long it took until all agreed.
#[derive(Clone, Copy, Debug)]
pub struct Agreed {
    /// One member set and the same keys everywhere.
    pub on_set: Duration,
    /// Besides, everyone hears everyone.
    pub on_reach: Duration,
}

impl Crew {
    /// Starts so many members, all through the first one, and waits until all see all. Each is what
    /// `fit` makes of its setup.
    pub fn start(members: u64, fit: impl Fn(Setup) -> Setup) -> Outcome<Self> {
        let secret = secret()?;
        let setups = (0..members).map(|index| {
            let setup = Setup {
                index,
                members: members as usize,
                ..Setup::default()
            }
            .with("cluster", "chaos")
            .with("discover", "none")
            .with("listen", Network::listen(index))
            .with(
                "seeds",
                if index == 0 {
                    String::new()
                } else {
                    Network::listen(0)
                },
            )
            .with("secret", &secret);
            (index, fit(setup))
        });
        let mut crew = Self {
            cluster: Cluster::default(),
            network: Network::new(members)?,
            setups: setups.collect(),
        };
        let begun = Instant::now();
        for index in 0..members {
            crew.start_one(index)?;
        }
        crew.cluster.until_ready()?;
        println!(
            "  {members} members see each other after {:.1} s (load {})",
            begun.elapsed().as_secs_f64(),
            crate::machine::load(),
        );
        Ok(crew)
    }

    fn start_one(&mut self, index: u64) -> Outcome<()> {
        let program = std::env::current_exe().map_err(text)?;
        let command = self.network.command(index, &program.to_string_lossy())?;
        let setup = self.setups.get(&index).ok_or("no such member")?;
        self.cluster.start(command, setup)
    }

    /// The processes and what they tell.
    pub fn cluster(&mut self) -> &mut Cluster {
        &mut self.cluster
    }

    /// How many members there are.
    #[must_use]
    pub fn members(&self) -> u64 {
        self.setups.len() as u64
    }

    /// Cuts it into that shape.
    pub fn cut(&self, shape: Shape) -> Outcome<()> {
        self.network.cut(&shape.cut(self.members()))
    }

    /// Ends every cut.
    pub fn heal(&self) -> Outcome<()> {
        self.network.cut(&Cut::new())
    }

    /// Makes a member's link slow, or as it was.
    pub fn slow(&self, member: u64, is_slow: bool) -> Outcome<()> {
        self.network.slow(member, is_slow)
    }

    /// Stops a process where it stands, or lets it go on.
    pub fn pause(&self, member: u64, is_paused: bool) -> Outcome<()> {
        let signal = if is_paused {
            Signal::STOP
        } else {
            Signal::CONT
        };
        let pids = self.cluster.pids();
        send(*pids.get(&member).ok_or("nobody to pause")?, signal)
    }

    /// A new process in place of a killed one.
    pub fn restart(&mut self, member: u64) -> Outcome<()> {
        let setup = self.setups.get_mut(&member).ok_or("no such member")?;
        setup.life += 1;
        // It is not waited for: it may be cut off.
        setup.members = 0;
        self.start_one(member)
    }

    /// Waits until `is_so` for what every member knows. Errors: `what`, with what is still wrong.
    pub fn until(
        &mut self,
        what: &str,
        is_so: impl Fn(&BTreeMap<u64, View>) -> bool,
    ) -> Outcome<BTreeMap<u64, View>> {
        let begun = Instant::now();
        loop {
            let views = self.cluster.look()?;
            if is_so(&views) {
                return Ok(views);
            }
            if begun.elapsed() > LIMIT {
                let complaints = complaints(&views, self.members());
                return Err(format!(
                    "no {what} after {} s: {}",
                    LIMIT.as_secs(),
                    complaints.join("; ")
                ));
            }
            self.cluster.pass(LOOK_EVERY)?;
        }
    }

    /// Waits until every member knows the same and hears everyone. Errors: who still disagrees.
    pub fn until_agreed(&mut self) -> Outcome<(Agreed, BTreeMap<u64, View>)> {
        let (begun, members) = (Instant::now(), self.members());
        self.until("agreement", |views| is_agreed(views, members))?;
        let on_set = begun.elapsed();
        // Who has just been heard again may have more to tell: both at one time.
        let views = self.until("full mesh", |views| {
            is_agreed(views, members) && views.values().all(|view| view.reachable as u64 == members)
        })?;
        let agreed = Agreed {
            on_set,
            on_reach: begun.elapsed(),
        };
        Ok((agreed, views))
    }

    /// Ends the members and gives the cluster with its history back; the network is removed.
    pub fn end(mut self) -> Outcome<Cluster> {
        self.cluster.end()?;
        Ok(self.cluster)
    }
}

fn is_agreed(views: &BTreeMap<u64, View>, members: u64) -> bool {
    let Some(first) = views.values().next() else {
        return false;
    };
    let has_all = first.members.len() as u64 == members;
    has_all
        && views
            .values()
            .all(|view| differences(first, view).is_empty())
}

/// In what two members differ.
fn differences(one: &View, other: &View) -> Vec<&'static str> {
    let set = |view: &View| view.members.iter().cloned().collect::<BTreeSet<_>>();
    let meta = |view: &View| view.stats.get("meta_keys").copied();
    let mut found = Vec::new();
    if set(one) != set(other) {
        found.push("the member set");
    }
    if one.keys != other.keys {
        found.push("the keys");
    }
    if meta(one) != meta(other) {
        found.push("the size of the metadata");
    }
    found
}

/// What each member has that the first has not, or lacks.
fn complaints(views: &BTreeMap<u64, View>, members: u64) -> Vec<String> {
    let Some(first) = views.values().next() else {
        return Vec::new();
    };
    let about = |(index, view): (&u64, &View)| {
        let mut odd = differences(first, view).join(" and ");
        if !odd.is_empty() {
            odd = format!(", other than the first in {odd}");
        }
        let (set, heard, keys) = (view.members.len(), view.reachable, view.keys.len());
        let is_fine = odd.is_empty() && set as u64 == members && heard as u64 == members;
        (!is_fine).then(|| format!("{index} has {set} members, hears {heard}, {keys} keys{odd}"))
    };
    views.iter().filter_map(about).collect()
}

/// How many members know other things than the first.
#[must_use]
pub fn disagreements(views: &BTreeMap<u64, View>) -> u64 {
    let Some(first) = views.values().next() else {
        return 0;
    };
    let odd = views
        .values()
        .filter(|view| !differences(first, view).is_empty());
    odd.count() as u64
}

/// The sum of one of the stats over all members.
#[must_use]
pub fn sum(views: &BTreeMap<u64, View>, stat: &str) -> u64 {
    views
        .values()
        .map(|view| view.stats.get(stat).copied().unwrap_or_default())
        .sum()
}

/// A secret of this run's own.
fn secret() -> Outcome<String> {
    let mut bytes = [0; 32];
    let mut random = std::fs::File::open("/dev/urandom").map_err(text)?;
    random.read_exact(&mut bytes).map_err(text)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(members: &[&str], keys: &[(&str, &str)]) -> View {
        View {
            look: 1,
            members: members.iter().map(ToString::to_string).collect(),
            reachable: members.len(),
            keys: keys
                .iter()
                .map(|(key, value)| (key.to_string(), value.to_string()))
                .collect(),
            stats: BTreeMap::from([("meta_keys".to_string(), keys.len() as u64)]),
        }
    }

    #[test]
    fn members_agree_when_they_know_the_same_and_all_are_there() {
        let whole = view(&["a", "b"], &[("k", "1")]);
        let views = BTreeMap::from([(0, whole.clone()), (1, whole.clone())]);
        assert!(is_agreed(&views, 2));
        assert!(!is_agreed(&views, 3));
        for other in [
            view(&["a", "c"], &[("k", "1")]),
            view(&["a", "b"], &[("k", "2")]),
            view(&["a", "b"], &[("k", "1"), ("l", "1")]),
        ] {
            let views = BTreeMap::from([(0, whole.clone()), (1, other)]);
            assert!(!is_agreed(&views, 2));
            assert_eq!(disagreements(&views), 1);
            assert_eq!(complaints(&views, 2).len(), 1);
        }
    }
}
