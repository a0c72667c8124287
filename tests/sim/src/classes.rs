//! Which faults a run may have, and what its users do to make life hard.

use std::fmt;

use crate::agenda::{MS, Micros};
use crate::dice::Dice;

macro_rules! classes {
    ($($(#[$doc:meta])* $name:ident = $text:literal),* $(,)?) => {
        /// A class of faults, or of what users do to make life hard.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Class { $($(#[$doc])* $name),* }

        impl Class {
            pub const ALL: &'static [Class] = &[$(Class::$name),*];

            pub const fn name(self) -> &'static str {
                match self { $(Class::$name => $text),* }
            }
        }
    };
}

classes! {
    /// Frames take long, some very long.
    Slow = "slow",
    /// A frame is lost and with it, soon after, its link: what a stream does.
    Loss = "loss",
    /// A frame arrives twice.
    Duplicate = "duplicate",
    /// Frames of one lane overtake each other.
    Reorder = "reorder",
    /// Nothing passes between two groups of members.
    Cut = "cut",
    /// Nothing passes in one direction.
    OneWay = "one-way",
    /// A link breaks; its ends learn of it at different times.
    Reset = "reset",
    /// A dial is not answered.
    Hang = "hang",
    /// A process ends, and comes back without its memory.
    Crash = "crash",
    /// A process stands still.
    Pause = "pause",
    /// The wall clock is wrong, and jumps.
    Skew = "skew",
    /// A bulk lane is full for a while.
    Pressure = "pressure",
    /// Timers and writers are late.
    Lag = "lag",
    /// One frame of ten is sent again, after a pause, and holds up what follows it.
    Lossy = "lossy",
    /// Some members speak a later minor version: kinds and fields that others do not know.
    Mixed = "mixed",
    /// Members leave the cluster and come again. In runs about the cluster only.
    Leave = "leave",
    /// Members are evicted, and come again. In runs about the cluster only.
    Evict = "evict",
    /// Members that are away for some seconds are retired. In runs about the cluster only.
    Retire = "retire",
    /// Two processes have one identity, and meet after a split. In some runs about the cluster.
    Twins = "twins",
    /// Some processes keep their metadata over a restart: old, or damaged, or neither.
    Remember = "remember",
    /// Consumers fail.
    Nack = "nack",
    /// Consumers give back.
    Release = "release",
    /// Consumers need longer than their lease, and say so.
    Extend = "extend",
    /// Consumers need longer than their lease, and do not say so.
    Late = "late",
    /// Consumers ack twice.
    Twice = "twice",
    /// Consumers die with what they hold.
    Die = "die",
    /// Waiting receives are cancelled.
    Cancel = "cancel",
    /// Keys of the metadata are written everywhere.
    Keys = "keys",
    /// Members tell each other of topics.
    Topics = "topics",
    /// Subscriptions keep their leases, and consumers need longer than one.
    Keep = "keep",
    /// Producers wait for replies, and their messages expire.
    Call = "call",
}

impl Class {
    /// True for what changes the set on purpose.
    pub const fn is_of_clusters(self) -> bool {
        matches!(self, Class::Leave | Class::Evict | Class::Retire)
    }

    /// True for classes that came later: drawn by themselves, so that older seeds stay what they were.
    pub const fn is_late(self) -> bool {
        matches!(self, Class::Remember | Class::Keep | Class::Call)
    }

    /// True for what a run is turned into, instead of classes that would hide what it is about.
    pub const fn is_drawn_apart(self) -> bool {
        matches!(self, Class::Twins)
    }

    /// True for what users do: it may happen where nothing fails.
    pub const fn is_of_users(self) -> bool {
        self as u32 >= Class::Nack as u32
    }
}

/// A set of classes.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Classes(u32);

impl Classes {
    pub fn has(self, class: Class) -> bool {
        self.0 & (1 << class as u32) != 0
    }

    pub fn add(&mut self, class: Class) {
        self.0 |= 1 << class as u32;
    }

    pub fn drop(&mut self, class: Class) {
        self.0 &= !(1 << class as u32);
    }

    /// Every eighth run about a few members has twins, and nobody in it ends or begins on purpose: who
    /// is whose twin would be in doubt.
    pub fn draw_twins(&mut self, dice: &mut Dice, members: usize, is_calm: bool) {
        if dice.percent(12) && !is_calm && (3..=10).contains(&members) {
            [Class::Crash, Class::Leave, Class::Evict]
                .iter()
                .for_each(|class| self.drop(*class));
            self.add(Class::Twins);
        }
    }

    /// Each that may be, with one half.
    pub fn draw(dice: &mut Dice, is_cluster: bool, is_calm: bool, is_pristine: bool) -> Self {
        let mut classes = Self::default();
        for class in Class::ALL
            .iter()
            .filter(|class| !class.is_late() && !class.is_drawn_apart())
        {
            let is_drawn = dice.coin();
            let may = if class.is_of_users() {
                !is_pristine
            } else {
                !is_calm
            };
            if is_drawn && may && (is_cluster || !class.is_of_clusters()) {
                classes.add(*class);
            }
        }
        if is_cluster {
            classes.add(Class::Keys);
            classes.add(Class::Topics);
        }
        classes
    }

    /// The same for the classes that came later.
    pub fn draw_late(&mut self, dice: &mut Dice, is_calm: bool, is_pristine: bool) {
        for class in Class::ALL.iter().filter(|class| class.is_late()) {
            let may = if class.is_of_users() {
                !is_pristine
            } else {
                !is_calm
            };
            if dice.coin() && may {
                self.add(*class);
            }
        }
    }

    /// How long a message is on its way, on average.
    pub fn draw_delay(self, dice: &mut Dice) -> Micros {
        if self.has(Class::Slow) {
            dice.range(5, 300) * MS
        } else {
            dice.range(50, 2_000)
        }
    }
}

impl fmt::Display for Classes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lead = "";
        for class in Class::ALL {
            if self.has(*class) {
                write!(f, "{lead}{}", class.name())?;
                lead = "+";
            }
        }
        if lead.is_empty() {
            f.write_str("none")?;
        }
        Ok(())
    }
}
