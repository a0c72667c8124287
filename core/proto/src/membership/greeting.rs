//! [`Greeting`]: the handshake of one connection, as a machine without a socket.
//!
//! It is fed whole frames and says what to send. Every message is legal exactly once and in one
//! place; anything else ends it. Where there is a [`Prover`], both sides prove what they hold, the
//! listener first, and only then is anything believed that a member would act on: before its proof a
//! peer may say no more than that it is of another version or cluster.
//!
//! ```text
//! dialler                          listener
//! hello                  ->
//!                        <-        hello                     (without a prover: done)
//!                        <-        proof
//! proof                  ->
//!                        <-        welcome, or refusal
//! ```
//!
//! Knows nothing of keys: a proof is bytes that the prover makes and judges.

use alloc::vec::Vec;

use super::{Hello, Refusal};
use crate::base::{ClusterId, Error, ErrorKind, MemberId, limits};

/// The frame of a [`Hello`].
pub const KIND_HELLO: u8 = 0;
/// The frame of a [`Refusal`].
pub const KIND_REFUSAL: u8 = 1;
/// The frame of a proof.
pub const KIND_PROOF: u8 = 25;
/// The empty frame by which a listener takes a connection in.
pub const KIND_WELCOME: u8 = 26;

/// Why a handshake ended, as it is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// Bytes that no member sends there, or none any more.
    Malformed,
    /// Another wire version.
    Version,
    /// Another cluster.
    Cluster,
    /// A secret or a certificate that is not this cluster's.
    Secret,
    /// A member that may not take part: this one, one in use, an evicted one.
    Identity,
    /// One side encrypts and the other does not.
    Transport,
    /// Not done in time.
    Timeout,
    /// Too many at a time.
    Crowd,
    /// The other end refused, for a reason that it counts.
    Told,
}

/// The end of a handshake that led to nothing.
#[derive(Clone, Debug)]
pub struct Refused {
    /// How it is counted.
    pub why: Why,
    /// What is told.
    pub error: Error,
}

impl Refused {
    /// A refusal for a reason.
    #[must_use]
    pub fn new(why: Why, error: Error) -> Self {
        Self { why, error }
    }

    /// Bytes that no member sends: 503.
    #[must_use]
    pub fn malformed(reason: &str) -> Self {
        Self::new(
            Why::Malformed,
            Error::new(ErrorKind::Corrupt).because(reason),
        )
    }
}

/// Who of the two proves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// The one that connected.
    Dialler,
    /// The one that was connected to.
    Listener,
}

/// What a proof is about, beside the channel itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claim {
    /// Whose proof it is.
    pub prover: Role,
    /// Who connected.
    pub dialler: MemberId,
    /// Who was connected to.
    pub listener: MemberId,
    /// The cluster of both.
    pub cluster: ClusterId,
    /// The lane of the connection.
    pub lane: u32,
    /// The number of the link.
    pub pair: u64,
    /// What the dialler drew; empty where the channel itself is proof enough of being new.
    pub dialler_nonce: Vec<u8>,
    /// What the listener drew.
    pub listener_nonce: Vec<u8>,
}

/// Makes and judges the proofs of one channel.
pub trait Prover {
    /// The proof of a claim of ours.
    fn prove(&self, claim: &Claim) -> Vec<u8>;
    /// Judges the proof of a claim of theirs. Errors: why it is none.
    fn judge(&self, claim: &Claim, proof: &[u8]) -> Result<(), Refused>;
}

/// What is to be done next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// Send what there is and feed the next frame.
    Listen,
    /// The peer is who it says: [`Greeting::admit`] it, or tell it a refusal. Listeners only.
    Decide,
    /// The connection is a member's.
    Done,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Hello,
    Proof,
    Decision,
    Verdict,
    Over,
}

/// One side's handshake.
pub struct Greeting<P> {
    own: Hello,
    role: Role,
    prover: Option<P>,
    state: State,
    theirs: Option<Hello>,
}

impl<P: Prover> Greeting<P> {
    /// The dialler's side; `out` gets its first frame. `own` names the lane and the pair.
    pub fn dial(own: Hello, prover: Option<P>, out: &mut Vec<u8>) -> Self {
        put(KIND_HELLO, &own.to_bytes(), out);
        Self::new(own, Role::Dialler, prover)
    }

    /// The listener's side: the other one speaks first, and chooses lane and pair.
    pub fn listen(own: Hello, prover: Option<P>) -> Self {
        Self::new(own, Role::Listener, prover)
    }

    fn new(own: Hello, role: Role, prover: Option<P>) -> Self {
        Self {
            own,
            role,
            prover,
            state: State::Hello,
            theirs: None,
        }
    }

    /// What the peer said of itself; it counts when the turn is [`Turn::Decide`] or [`Turn::Done`].
    pub fn theirs(&self) -> Option<&Hello> {
        self.theirs.as_ref()
    }

    /// Takes the peer's next frame; `out` gets what is to be sent, also where this is an error.
    /// Errors: the handshake is over.
    pub fn hear(&mut self, kind: u8, body: &[u8], out: &mut Vec<u8>) -> Result<Turn, Refused> {
        let state = core::mem::replace(&mut self.state, State::Over);
        let heard = match (state, self.role, kind) {
            (State::Hello, Role::Listener, KIND_HELLO) => self.hear_dialler(body, out),
            (State::Hello, Role::Dialler, KIND_HELLO) => self.hear_listener(body),
            (State::Hello, Role::Dialler, KIND_REFUSAL) => Err(self.told(body)),
            (State::Proof, _, KIND_PROOF) => self.hear_proof(body, out),
            // The listener's proof convinced nobody.
            (State::Proof, Role::Listener, KIND_REFUSAL) => Err(told(body, Why::Secret)),
            (State::Verdict, _, KIND_WELCOME) => Ok((State::Over, Turn::Done)),
            (State::Verdict, _, KIND_REFUSAL) => Err(told(body, Why::Told)),
            _ => Err(Refused::malformed("a handshake that no member sends")),
        };
        match heard {
            Ok((state, turn)) => {
                self.state = state;
                Ok(turn)
            }
            Err(refused) => {
                let is_answered = matches!(kind, KIND_HELLO | KIND_PROOF)
                    && !matches!(refused.why, Why::Malformed);
                if is_answered {
                    refuse(&refused.error, out);
                }
                Err(refused)
            }
        }
    }

    /// Takes the peer in. Only after [`Turn::Decide`]; else it does nothing.
    pub fn admit(&mut self, out: &mut Vec<u8>) {
        if core::mem::replace(&mut self.state, State::Over) != State::Decision {
            return;
        }
        if self.prover.is_some() {
            put(KIND_WELCOME, &[], out);
        } else {
            put(KIND_HELLO, &self.own.to_bytes(), out);
        }
    }

    fn hear_dialler(&mut self, body: &[u8], out: &mut Vec<u8>) -> Result<(State, Turn), Refused> {
        let theirs = read_hello(body)?;
        check_cluster(&theirs, &self.own)?;
        self.own.lane = theirs.lane;
        self.own.pair = theirs.pair;
        self.theirs = Some(theirs);
        let Some(prover) = &self.prover else {
            return Ok((State::Decision, Turn::Decide));
        };
        put(KIND_HELLO, &self.own.to_bytes(), out);
        put(KIND_PROOF, &prover.prove(&self.claim(Role::Listener)), out);
        Ok((State::Proof, Turn::Listen))
    }

    fn hear_listener(&mut self, body: &[u8]) -> Result<(State, Turn), Refused> {
        let theirs = read_hello(body)?;
        check_cluster(&theirs, &self.own)?;
        if theirs.lane != self.own.lane || theirs.pair != self.own.pair {
            return Err(Refused::malformed("an answer to something else"));
        }
        self.theirs = Some(theirs);
        if self.prover.is_some() {
            return Ok((State::Proof, Turn::Listen));
        }
        self.check_identity()?;
        Ok((State::Over, Turn::Done))
    }

    fn hear_proof(&mut self, body: &[u8], out: &mut Vec<u8>) -> Result<(State, Turn), Refused> {
        let Some(prover) = &self.prover else {
            return Err(Refused::malformed("a proof where none is asked for"));
        };
        match self.role {
            Role::Listener => {
                prover.judge(&self.claim(Role::Dialler), body)?;
                Ok((State::Decision, Turn::Decide))
            }
            Role::Dialler => {
                prover.judge(&self.claim(Role::Listener), body)?;
                self.check_identity()?;
                put(KIND_PROOF, &prover.prove(&self.claim(Role::Dialler)), out);
                Ok((State::Verdict, Turn::Listen))
            }
        }
    }

    fn check_identity(&self) -> Result<(), Refused> {
        let theirs = self.theirs.as_ref();
        theirs.map_or(Ok(()), |theirs| {
            theirs
                .check_identity(&self.own)
                .map_err(|error| Refused::new(Why::Identity, error))
        })
    }

    fn claim(&self, prover: Role) -> Claim {
        let theirs = self.theirs.as_ref().unwrap_or(&self.own);
        let (dialler, listener) = match self.role {
            Role::Dialler => (&self.own, theirs),
            Role::Listener => (theirs, &self.own),
        };
        Claim {
            prover,
            dialler: dialler.member(),
            listener: listener.member(),
            cluster: self.own.cluster(),
            lane: self.own.lane,
            pair: self.own.pair,
            dialler_nonce: dialler.nonce.clone(),
            listener_nonce: listener.nonce.clone(),
        }
    }

    /// A refusal instead of a hello. From one that has proven nothing only that is believed which
    /// changes nothing: a member must not give up its place because a stranger says so.
    fn told(&self, body: &[u8]) -> Refused {
        let mut refused = told(body, Why::Told);
        let is_mild = matches!(
            refused.error.kind(),
            ErrorKind::Unsupported | ErrorKind::ClusterMismatch
        );
        if self.prover.is_some() && !is_mild {
            refused.error = Error::new(ErrorKind::Unreachable)
                .because("what answers there refused this member without proving itself");
        }
        refused
    }
}

/// Tells why: the last frame of a handshake.
pub fn refuse(error: &Error, out: &mut Vec<u8>) {
    put(KIND_REFUSAL, &Refusal::of(error).to_bytes(), out);
}

fn put(kind: u8, body: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(body.len() + 1).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.push(kind);
    out.extend_from_slice(body);
}

/// Whether a frame of a handshake may be that long: its kind and its body.
#[must_use]
pub fn is_length(length: usize) -> bool {
    (1..=limits::HELLO_BYTES_MAX).contains(&length)
}

fn read_hello(body: &[u8]) -> Result<Hello, Refused> {
    Hello::from_bytes(body).map_err(|error| Refused::new(Why::Malformed, error))
}

fn check_cluster(theirs: &Hello, own: &Hello) -> Result<(), Refused> {
    theirs.check_cluster(own).map_err(|error| {
        let why = match error.kind() {
            ErrorKind::Unsupported => Why::Version,
            ErrorKind::ClusterMismatch => Why::Cluster,
            _ => Why::Malformed,
        };
        Refused::new(why, error)
    })?;
    if theirs.nonce.is_empty() == own.nonce.is_empty() {
        return Ok(());
    }
    let error = Error::new(ErrorKind::ClusterMismatch).because(
        "one end takes part by this machine's own secret (`discover`) and the other does not; \
         give both the same `secret`, or `discover=none`",
    );
    Err(Refused::new(Why::Transport, error))
}

fn told(body: &[u8], why: Why) -> Refused {
    match Refusal::from_bytes(body) {
        Ok(refusal) => Refused::new(why, refusal.to_error()),
        Err(error) => Refused::new(Why::Malformed, error),
    }
}

#[cfg(test)]
#[path = "greeting_tests.rs"]
mod tests;
