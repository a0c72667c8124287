//! Restarts that remember: what a data directory keeps of the metadata, written now and then, perhaps
//! old, perhaps damaged.
//!
//! The real keeper (`core/primer`) writes the identity before anything goes out that the engine said, and
//! the metadata some time later; a leave makes both worthless. So it is here.

use std::collections::BTreeMap;

use primer_proto::base::BootId;
use primer_proto::engine::Config;

use crate::agenda::{Micros, SECOND};
use crate::plan::Class;
use crate::world::World;

/// What a seat's disk holds.
#[derive(Default)]
pub(crate) struct Disk {
    /// The highest incarnation that its processes have shown.
    incarnation: u64,
    saved: Option<Saved>,
}

struct Saved {
    bytes: Vec<u8>,
    version: u64,
    /// The cluster it is of: a leave ends it.
    era: BootId,
    /// The memory that wrote it, when, and what that one had inherited.
    generation: u32,
    at: Micros,
    inherits: BTreeMap<u32, Micros>,
}

impl World {
    /// Whether the processes of a seat keep anything. Every third does not, even where the class is on.
    pub fn has_disk(&self, seat: usize) -> bool {
        self.plan.has(Class::Remember) && seat % 3 != 2
    }

    /// Now and then each process saves its metadata, where it changed.
    pub fn save_now_and_then(&mut self) {
        for seat in 0..self.seats.len() {
            if !self.has_disk(seat) || self.seats[seat].is_paused {
                continue;
            }
            let (at, is_due) = (self.now, self.fault_dice.percent(15));
            let place = &mut self.seats[seat];
            let Some(life) = &place.life else { continue };
            let era = life.engine.era();
            // What was known of a cluster that this member left is dropped at once.
            place.disk.saved.take_if(|saved| saved.era != era);
            let version = life.engine.metadata_version();
            let is_known = place
                .disk
                .saved
                .as_ref()
                .is_some_and(|saved| saved.version == version);
            if is_due && !is_known {
                place.disk.saved = Some(Saved {
                    bytes: life.engine.metadata(),
                    version,
                    era,
                    generation: place.generation,
                    at,
                    inherits: place.inherits.clone(),
                });
            }
        }
    }

    /// A process ends: what it has shown of its incarnation is on its disk.
    pub fn note_identity(&mut self, seat: usize) {
        let place = &mut self.seats[seat];
        if let Some(life) = &place.life {
            let era = life.engine.era();
            place.disk.incarnation = life.engine.identity().1;
            place.disk.saved.take_if(|saved| saved.era != era);
        }
    }

    /// What a new process finds on its disk.
    pub fn remember(&mut self, seat: usize, config: &mut Config) {
        self.seats[seat].inherits.clear();
        if !self.has_disk(seat) {
            return;
        }
        config.is_ephemeral = false;
        let known = self.seats[seat].disk.incarnation;
        config.incarnation = config.incarnation.max(known + 1);
        let Some(saved) = self.seats[seat].disk.saved.take() else {
            return;
        };
        let mut bytes = saved.bytes;
        let draw = self.fault_dice.below(100);
        if draw < 25 && !bytes.is_empty() {
            let at = self.fault_dice.index(bytes.len());
            bytes[at] ^= 1 << self.fault_dice.below(8);
            self.sometimes.hit("metadata damaged");
        } else if draw < 30 {
            // A write that was torn.
            let at = self.fault_dice.index(bytes.len().max(1));
            bytes.truncate(at);
            self.sometimes.hit("metadata torn");
        } else if draw < 35 {
            config.is_metadata_doubtful = true;
            self.sometimes.hit("metadata doubted");
        } else {
            // It knows all that the former memory knew by then, and counts as that one.
            let mut inherits = saved.inherits;
            inherits.insert(saved.generation, saved.at);
            self.seats[seat].inherits = inherits;
            self.sometimes.hit("metadata remembered");
            if self.now > saved.at + 5 * SECOND {
                self.sometimes.hit("old metadata remembered");
            }
        }
        config.metadata = Some(bytes);
    }

    /// Whether what a seat's memory knew at a moment is known there still.
    pub fn still_knows(&self, seat: usize, generation: u32, at: Micros) -> bool {
        let place = &self.seats[seat];
        let until = place.inherits.get(&generation);
        place.life.is_some() && (place.generation == generation || until.is_some_and(|u| at <= *u))
    }
}
