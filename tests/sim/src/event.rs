//! What the agenda holds: what happens in the world, and inside one process.

use bytes::Bytes;
use primer_proto::base::Error;
use primer_proto::engine::Lane;

use crate::agenda::Micros;
use crate::net::Partition;
use crate::plan::Class;
use crate::users::Act;

/// Something that happens.
pub(crate) enum Event {
    /// In one life of a member's process; lost when that life is over, later when it is paused.
    Local { seat: usize, life: u32, what: Local },
    /// A dial on its way; tried again until it is answered or given up.
    Dial {
        seat: usize,
        life: u32,
        address: String,
        until: Micros,
    },
    /// A fault of that class is due.
    Trouble(Class),
    /// The members part in halves for the rest of the load.
    Split,
    /// A partition ends.
    Mend(Partition),
    /// The one ends that twins were on the two sides of.
    Meet(Partition),
    /// A process starts.
    Boot(usize),
    /// A process goes on.
    Resume(usize),
}

/// What happens inside a process.
pub(crate) enum Local {
    Wake,
    Frame {
        link: usize,
        side: usize,
        lane: Lane,
        frame: Bytes,
    },
    Linked {
        link: usize,
        side: usize,
    },
    Unlinked {
        link: usize,
        side: usize,
    },
    DialFailed {
        address: String,
        error: Error,
    },
    Flush {
        link: usize,
        side: usize,
        lane: Lane,
    },
    Pressure {
        link: usize,
        side: usize,
        is_full: bool,
    },
    User(Act),
}

/// How far the run is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Phase {
    /// Load and faults.
    Load,
    /// No faults any more; the cluster finds itself again.
    Heal,
    /// Consumers on several members read everything.
    Drain,
    /// Nobody asks for anything; what is kept about finished messages must go.
    Rest,
}
