//! Groups between the metadata, which says which there are, and the queue room, which serves them.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use super::Engine;
use super::command::{InGroup, Reply};
use super::effect::Effect;
use crate::base::{Birth, Error, ErrorKind, MessageId, Now, QueueKey, Result, Ticket};
use crate::metadata::{GroupEntry, group_key};
use crate::queue::Group;

impl From<GroupEntry> for Group {
    fn from(entry: GroupEntry) -> Self {
        Self {
            name: entry.name,
            births: entry.births,
            created: entry.created,
            takes_backlog: entry.takes_backlog,
        }
    }
}

impl Engine {
    /// Where a consumer of that group is served: none is the queue itself. A group that does not exist
    /// is created, as a queue is by its first use. Errors: 101, 102, 201, 203.
    pub(super) fn served_by(
        &mut self,
        now: Now,
        queue: QueueKey,
        group: Option<InGroup>,
    ) -> Result<QueueKey> {
        let Some(group) = group else {
            return Ok(queue);
        };
        if let Some(key) = self.queues.group(queue, &group.name) {
            return Ok(key);
        }
        self.make_group(now, queue, &group)?;
        let key = self.queues.group(queue, &group.name);
        key.ok_or_else(|| {
            Error::new(ErrorKind::Full).because("this member knows as many queues as it may")
        })
    }

    fn make_group(&mut self, now: Now, queue: QueueKey, group: &InGroup) -> Result<()> {
        let name = self.queues.queue_name(queue);
        let after = self.queues.last_stamp();
        let made =
            self.table
                .create_group(now, &name, &group.name, (group.takes_backlog, after))?;
        if let Some(delta) = made {
            self.publish(now, delta);
        }
        Ok(())
    }

    pub(super) fn create_group(
        &mut self,
        now: Now,
        ticket: Ticket,
        queue: QueueKey,
        group: &InGroup,
    ) {
        let answer = self.make_group(now, queue, group).map(|()| Reply::Done);
        self.out.push(Effect::Reply(ticket, answer));
    }

    pub(super) fn remove_group(&mut self, now: Now, ticket: Ticket, queue: QueueKey, group: &str) {
        let name = self.queues.queue_name(queue);
        let removed = self.table.remove_group(now, &name, group);
        let answer = removed.map(|delta| {
            if let Some(delta) = delta {
                self.publish(now, delta);
            }
            Reply::Done
        });
        self.out.push(Effect::Reply(ticket, answer));
    }

    /// A group's shelf at this member; none while it does not know the group. For tests.
    #[must_use]
    pub fn group(&self, queue: QueueKey, group: &str) -> Option<QueueKey> {
        self.queues.group(queue, group)
    }

    /// To which groups a message that is accepted now under that sequence goes, and under which ids; for
    /// tests.
    #[must_use]
    pub fn fan_of(&self, queue: QueueKey, sequence: u64) -> Vec<(String, MessageId)> {
        self.queues.fan_of(queue, sequence)
    }

    /// What the next message is called that is accepted here; for tests.
    #[must_use]
    pub fn next_id(&self) -> MessageId {
        self.queues.next_id()
    }

    /// The groups of a queue as this member knows them, by name.
    #[must_use]
    pub fn groups(&self, queue: &str) -> Vec<GroupEntry> {
        self.table.groups(queue)
    }

    /// Keys of the metadata have other values: the queue room hears of those that are groups.
    pub(super) fn groups_changed(&mut self, now: Now, keys: &[Vec<u8>]) {
        let queues = keys.iter().filter_map(|key| group_key(key));
        let queues: BTreeSet<&str> = queues.map(|(queue, _)| queue).collect();
        for queue in queues {
            self.tell_groups(now, queue);
        }
    }

    /// The queue room hears of all groups there are: after a restart, or when it began anew.
    pub(super) fn reread_groups(&mut self, now: Now) {
        let queues: Vec<String> = self.table.grouped_queues().into_keys().collect();
        for queue in queues {
            self.tell_groups(now, &queue);
        }
    }

    fn tell_groups(&mut self, now: Now, queue: &str) {
        let groups = self.table.groups(queue).into_iter().map(Group::from);
        let groups: Vec<Group> = groups.collect();
        self.queues.set_groups(now, queue, &groups);
    }

    /// Copies are held for a group that the queue room does not know.
    pub(super) fn judge_birth(&mut self, now: Now, birth: Birth) {
        if self.table.is_birth_over(birth) {
            self.queues.birth_is_over(now, birth);
        }
    }
}
