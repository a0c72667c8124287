//! From options to what a member is started from: identities, a port, a directory, and where to look
//! for others.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use primer_proto::base::{BootId, ClusterId, MemberId, StoreId};
use primer_proto::engine::Config;

use super::{Discover, Listen, Options, memory};
use crate::run::address::{self, Address};
use crate::run::clock::{millis, wall_ms};
use crate::run::discovery::local::Local;
use crate::run::discovery::name::Name;
use crate::run::discovery::{Discovery, outward, place};
use crate::run::home::Home;
use crate::run::runtime::refused;
use crate::trust::{Secret, Trust};
use crate::{Error, ErrorKind, Result};

const LISTEN_DEFAULT: &str = "127.0.0.1:0";

/// What a member is started from: options that were checked, and what belongs to it from now on.
pub(crate) struct Plan {
    pub(crate) config: Config,
    pub(crate) listener: Option<TcpListener>,
    pub(crate) home: Option<Arc<Home>>,
    pub(crate) discovery: Discovery,
    pub(crate) trust: Option<Trust>,
}

impl Options {
    /// Checks everything, binds, and makes up what only a running process has.
    /// Errors: 101, 106, 107, 108, 502, 503.
    pub(crate) fn plan(self) -> Result<Plan> {
        self.check()?;
        let cluster = cluster_id(self.cluster.as_deref().unwrap_or("default"));
        let home = self.home(cluster)?;
        let identity = home.as_ref().map(|home| home.identity());
        let member = match &identity {
            Some(identity) => identity.member,
            None => self.member(cluster)?,
        };
        // The top bit marks derived message ids; zero is no boot.
        let boot = BootId((random()? >> 1).max(1));
        let local = self.local(cluster)?;
        let listener = self.bind()?;
        let mut config = Config::new(cluster, member, boot, StoreId(random()?));
        config.incarnation = identity.map_or_else(wall_ms, |identity| identity.incarnation);
        config.seed = random()?;
        config.address = self.told_address(listener.as_ref())?;
        config.is_ephemeral = home.is_none() && self.name.is_empty();
        if let Some(home) = &home {
            config.metadata = home.load_metadata()?;
            if let Some(remains) = home.take_remains() {
                config.metadata = Some(remains);
                config.is_metadata_doubtful = true;
            }
        }
        let trust = self.trust(local.as_ref(), cluster, member)?;
        let discovery = Discovery {
            names: self.names(),
            local: self.publish(local, &config)?,
            seed: random()?,
        };
        config.sources = discovery.sources();
        self.settle(&mut config);
        Ok(Plan {
            config,
            listener,
            home,
            discovery,
            trust,
        })
    }

    /// What needs no more than to be handed on.
    fn settle(self, config: &mut Config) {
        let seeds = self.seeds.into_iter();
        config.seeds = seeds.filter(|seed| Name::parse(seed).is_none()).collect();
        config.name = self.name;
        config.zone = self.zone;
        config.placing = self.placement;
        config.copies = self.copies;
        config.on_short = self.on_short;
        config.memory_bytes_max = self.memory_bytes_max.unwrap_or_else(memory::budget);
        if let Some(timeout) = self.enqueue_timeout {
            config.enqueue_timeout = millis(timeout);
        }
        if let Some(lease) = self.lease {
            config.lease = millis(lease);
        }
        if let Some(attempts) = self.max_attempts {
            config.max_attempts = attempts;
        }
        if let Some(time) = self.takeover_after {
            config.takeover_after = millis(time);
        }
        if let Some(time) = self.repair_after {
            config.repair_after = millis(time);
        }
        if let Some(time) = self.retire_after {
            config.retire_after = millis(time);
        }
        if let Some(bytes) = self.body_bytes_max {
            config.body_bytes_max = bytes;
        }
    }

    fn home(&self, cluster: ClusterId) -> Result<Option<Arc<Home>>> {
        let Some(directory) = &self.data_dir else {
            return Ok(None);
        };
        let home = Home::open(directory, cluster, wall_ms(), || self.member(cluster))?;
        Ok(Some(Arc::new(home)))
    }

    /// What was configured; else the secret that this user's members of the cluster share on this
    /// machine, which proves no more than that; else nothing.
    fn trust(
        &self,
        local: Option<&Local>,
        cluster: ClusterId,
        member: MemberId,
    ) -> Result<Option<Trust>> {
        let configured = Trust::new(&self.secrets, self.pems()?.as_ref(), cluster, member)?;
        Ok(configured
            .or_else(|| local.map(|local| Trust::local(Secret::from(local.secret()), cluster))))
    }

    /// Who this member is where nothing was kept.
    fn member(&self, cluster: ClusterId) -> Result<MemberId> {
        match self.name.as_str() {
            "" => Ok(MemberId(random_wide()?)),
            name => Ok(member_id(cluster, name)),
        }
    }

    fn names(&self) -> Vec<Name> {
        let mut names: Vec<Name> = Vec::new();
        for name in self.seeds.iter().filter_map(|seed| Name::parse(seed)) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// True when the members of this user on this machine are looked for.
    pub(super) fn is_local(&self) -> bool {
        match self.discover {
            Some(discover) => discover == Discover::Local,
            None => {
                let is_led = !self.seeds.is_empty() || !matches!(self.listen, Listen::Default);
                self.cluster.is_some() && !is_led
            }
        }
    }

    /// The cluster's place in the runtime directory: for those who look there, and for the secret of
    /// whoever else names a cluster, because they meet.
    fn local(&self, cluster: ClusterId) -> Result<Option<Local>> {
        let is_named = self.cluster.is_some() && self.discover != Some(Discover::None);
        if !is_named && !self.is_local() {
            return Ok(None);
        }
        let entered = place::find().and_then(|place| Local::enter(&place, cluster));
        match entered {
            Ok(local) => Ok(Some(local)),
            // Nobody asked for it, and a member alone works too: a container without a directory
            // that can be written. What is not safe is an error for everyone.
            Err(error) if error.kind() == ErrorKind::Io && self.discover.is_none() => {
                tracing::warn!(%error, "no runtime directory: members here are not looked for");
                Ok(None)
            }
            Err(error) => Err(error.with("option", "discover")),
        }
    }

    /// `local` for those who look there, with this member written in where it listens.
    fn publish(&self, local: Option<Local>, config: &Config) -> Result<Option<Local>> {
        let Some(mut local) = local.filter(|_| self.is_local()) else {
            return Ok(None);
        };
        if let Some(address) = &config.address {
            local.publish(config.member, config.boot, address)?;
        }
        Ok(Some(local))
    }

    fn bind(&self) -> Result<Option<TcpListener>> {
        let is_in_cluster = self.cluster.is_some()
            || !self.seeds.is_empty()
            || self.advertise.is_some()
            || self.is_local();
        let listen = match &self.listen {
            Listen::At(listen) => listen.as_str(),
            Listen::Default if is_in_cluster => LISTEN_DEFAULT,
            Listen::Default | Listen::Nowhere => return Ok(None),
        };
        let bound = match address::parse("listen", listen, self.is_trusted())? {
            Address::Socket(address) => TcpListener::bind(address),
            Address::Name(name) => TcpListener::bind(name.to_string()),
        };
        let bound = bound.and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        match bound {
            Ok(listener) => Ok(Some(listener)),
            Err(error) => Err(refused("cannot listen", &error).with("listen", listen)),
        }
    }

    /// Where others are to dial this member.
    fn told_address(&self, listener: Option<&TcpListener>) -> Result<Option<String>> {
        let bound = listener.map(TcpListener::local_addr);
        let bound: io::Result<Option<_>> = bound.transpose();
        let bound = bound.map_err(|error| refused("cannot listen", &error))?;
        Ok(match (&self.advertise, bound) {
            (_, None) => None,
            (Some(advertise), Some(_)) => Some(advertise.clone()),
            (None, Some(bound)) => Some(outward::told(bound).to_string()),
        })
    }
}

/// The cluster of that name (protocol.md 1.1).
pub(super) fn cluster_id(name: &str) -> ClusterId {
    ClusterId(first_wide(blake3::hash(name.as_bytes())))
}

/// The place that `name` has in `cluster` (protocol.md 1.1).
pub(super) fn member_id(cluster: ClusterId, name: &str) -> MemberId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&cluster.0.to_le_bytes());
    hasher.update(name.as_bytes());
    MemberId(first_wide(hasher.finalize()))
}

fn first_wide(hash: blake3::Hash) -> u128 {
    hash.as_bytes()
        .first_chunk()
        .map_or(0, |first| u128::from_le_bytes(*first))
}

fn random() -> Result<u64> {
    getrandom::u64().map_err(no_chance)
}

fn random_wide() -> Result<u128> {
    Ok((u128::from(random()?) << 64) | u128::from(random()?.max(1)))
}

fn no_chance(cause: getrandom::Error) -> Error {
    Error::new(ErrorKind::Io)
        .because("no random numbers")
        .with("cause", cause)
}
