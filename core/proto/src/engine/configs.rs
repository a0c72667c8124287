//! What queues are told to do, between the metadata, which keep it, and the queue room, which does it.

use alloc::string::String;
use alloc::vec::Vec;

use super::Engine;
use super::command::{Configure, Reply};
use super::effect::Effect;
use crate::base::{MemberId, Now, QueueKey, Result, Ticket};
use crate::crdt::Delta;
use crate::metadata::{Config, Length, Scope, Settings, config_scope};
use crate::queue::check_setting;

impl Engine {
    pub(super) fn configure(&mut self, now: Now, ticket: Ticket, what: Configure) {
        let changed = match what {
            Configure::Queue(queue, changes) => self.configure_queue(now, queue, changes),
            Configure::Policy(prefix, settings) => self.set_policy(now, &prefix, settings),
            Configure::Purge(queue) => {
                let name = self.queues.queue_name(queue);
                let after = self.queues.last_stamp();
                self.table.purge(now, &name, after)
            }
        };
        let answer = changed.map(|delta| {
            if let Some(delta) = delta {
                self.publish(now, delta);
            }
            Reply::Done
        });
        self.out.push(Effect::Reply(ticket, answer));
    }

    fn configure_queue(
        &mut self,
        now: Now,
        queue: QueueKey,
        changes: Vec<(String, String)>,
    ) -> Result<Option<Delta>> {
        let name = self.queues.queue_name(queue);
        let scope = Scope::Queue(&name);
        let mut settings = self.table.config(scope).settings;
        change(&mut settings, changes)?;
        self.table.configure(now, scope, settings)
    }

    fn set_policy(
        &mut self,
        now: Now,
        prefix: &str,
        settings: Vec<(String, String)>,
    ) -> Result<Option<Delta>> {
        let mut written = Settings::new();
        change(&mut written, settings)?;
        self.table.configure(now, Scope::Policy(prefix), written)
    }

    /// The settings that hold for a queue as this member knows them: its own, and those of the longest
    /// policy that its name begins with.
    #[must_use]
    pub fn configuration(&self, queue: &str) -> Settings {
        self.queues.configuration(queue)
    }

    /// The policies as this member knows them, by their prefixes.
    #[must_use]
    pub fn policies(&self) -> Vec<(String, Settings)> {
        let policies = self
            .table
            .configs()
            .filter_map(|(scope, config)| match scope {
                Scope::Policy(prefix) => Some((prefix.into(), config.settings)),
                Scope::Queue(_) => None,
            });
        policies.collect()
    }

    /// Keys of the metadata have other values: the queue room hears of those that are configurations.
    pub(super) fn configs_changed(&mut self, now: Now, keys: &[Vec<u8>]) {
        for scope in keys.iter().filter_map(|key| config_scope(key)) {
            let config = self.table.config(scope);
            self.obey(now, scope, config);
        }
    }

    /// The queue room hears of all configurations there are: after a restart, or when it began anew.
    pub(super) fn reread_configs(&mut self, now: Now) {
        let configs = self.table.configs();
        let configs = configs.map(|(scope, config)| match scope {
            Scope::Queue(name) => (true, String::from(name), config),
            Scope::Policy(prefix) => (false, String::from(prefix), config),
        });
        let configs: Vec<(bool, String, Config)> = configs.collect();
        for (is_queue, name, config) in configs {
            let scope = if is_queue {
                Scope::Queue(&name)
            } else {
                Scope::Policy(&name)
            };
            self.obey(now, scope, config);
        }
    }

    fn obey(&mut self, now: Now, scope: Scope<'_>, config: Config) {
        match scope {
            Scope::Queue(name) => {
                let said = (config.settings, config.purged_before);
                self.queues.set_config(now, name, said);
            }
            Scope::Policy(prefix) => self.queues.set_policy(now, prefix, config.settings),
        }
    }

    /// A member tells how much it has of queues that have a maximum.
    pub(super) fn hear_lengths(
        &mut self,
        now: Now,
        from: MemberId,
        is_whole: bool,
        lengths: Vec<Length>,
    ) {
        if is_whole {
            self.queues.forget_lengths(from);
        }
        for length in lengths {
            let much = (length.messages, length.bytes);
            self.queues.length_elsewhere(now, from, &length.queue, much);
        }
    }
}

/// Takes changes into settings; one without a value is unset. Errors: 101.
fn change(settings: &mut Settings, changes: Vec<(String, String)>) -> Result<()> {
    for (key, value) in changes {
        if value.is_empty() {
            settings.remove(&key);
        } else {
            check_setting(&key, &value)?;
            settings.insert(key, value);
        }
    }
    Ok(())
}
