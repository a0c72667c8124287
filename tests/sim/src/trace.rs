//! One line an event: the hash of all lines is the run's identity, and the lines are shown on demand.
//!
//! Lines are hashed as numbers, not as text: formatting a few million of them would take longer than
//! the run.

use primer_proto::Input;

use crate::agenda::Micros;

/// The lines of one run.
pub(crate) struct Trace {
    hash: u64,
    lines: u64,
    is_shown: bool,
}

impl Trace {
    pub fn new(is_shown: bool) -> Self {
        Self {
            hash: 0xcbf2_9ce4_8422_2325,
            lines: 0,
            is_shown,
        }
    }

    /// Adds a line: when, at which member, what, and two numbers; `detail` is made only to be shown.
    pub fn line(
        &mut self,
        at: Micros,
        seat: usize,
        what: &'static str,
        numbers: [u64; 2],
        detail: impl FnOnce() -> String,
    ) {
        self.lines += 1;
        self.mix(at);
        self.mix(seat as u64);
        let mut word = [0; 8];
        for (to, from) in word.iter_mut().zip(what.bytes()) {
            *to = from;
        }
        self.mix(u64::from_le_bytes(word));
        for number in numbers {
            self.mix(number);
        }
        if self.is_shown {
            let [a, b] = numbers;
            let (ms, us) = (at / 1_000, at % 1_000);
            println!("{ms:>7}.{us:03} m{seat} {what:8} {a:x} {b:x} {}", detail());
        }
    }

    /// A line of a person's interest that is no part of the hash.
    pub fn remark(&self, at: Micros, remark: impl FnOnce() -> String) {
        if self.is_shown {
            println!("{:>7}.{:03} -- {}", at / 1_000, at % 1_000, remark());
        }
    }

    /// Bytes that belong to the last line.
    pub fn bytes(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            for (to, from) in word.iter_mut().zip(chunk) {
                *to = *from;
            }
            self.mix(u64::from_le_bytes(word));
        }
    }

    fn mix(&mut self, number: u64) {
        self.hash = (self.hash.rotate_left(23) ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    pub fn hash(&self) -> u64 {
        self.hash ^ self.lines
    }
}

/// The word and the number that stand for an input in the trace.
pub(crate) fn name_of(input: &Input) -> (&'static str, u64) {
    match input {
        Input::Command { ticket, .. } => ("command", ticket.0),
        Input::Cancel(ticket) => ("cancel", ticket.0),
        Input::Linked { link, .. } => ("linked", link.0),
        Input::Unlinked(link) => ("unlinked", link.0),
        Input::DialFailed { error, .. } => ("undialed", u64::from(error.number())),
        Input::Message { link, .. } => ("message", link.0),
        Input::Pressure { link, is_full } => ("pressure", link.0 * 2 + u64::from(*is_full)),
        Input::Found { source, .. } => ("found", u64::from(*source)),
        Input::Wake => ("wake", 0),
    }
}
