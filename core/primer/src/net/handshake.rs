//! The handshake of a connection that is plain or in TLS: `primer_proto::membership::greeting` says
//! what is said, this file sends and reads it.

use primer_proto::engine;
use primer_proto::membership::greeting::{
    Greeting, KIND_HELLO, KIND_REFUSAL, Refused, Role, Turn, Why,
};
use primer_proto::membership::{Hello, NONCE_BYTES};
use primer_proto::{Error, ErrorKind, Result as Answer};
use rustls::Connection;
use tokio::net::TcpStream;

use super::channel::Channel;
use crate::trust::{Proofs, Trust};

/// A lane's number in a hello.
pub(crate) const LANE_CONTROL: u32 = 0;
/// A lane's number in a hello.
pub(crate) const LANE_BULK: u32 = 1;

// The link's frames and the handshake's share one table (core/docs/wire.md).
const _: () = assert!(KIND_HELLO == engine::KIND_HELLO && KIND_REFUSAL == engine::KIND_REFUSAL);

/// What a handshake ends with.
pub(crate) type Outcome<T> = std::result::Result<T, Refused>;

/// A stranger who is known by now and waits to be taken in. It goes about in a box, because each
/// future that it passes through would keep a place for it.
pub(crate) struct Guest {
    channel: Channel,
    greeting: Greeting<Proofs>,
    hello: Hello,
}

/// Makes a channel of a connection that goes out.
pub(crate) async fn reach(stream: TcpStream, trust: Option<&Trust>) -> Outcome<Channel> {
    channel(stream, trust, Trust::dialler).await
}

/// Makes a channel of a connection that came in.
pub(crate) async fn receive(stream: TcpStream, trust: Option<&Trust>) -> Outcome<Channel> {
    channel(stream, trust, Trust::listener).await
}

async fn channel(
    stream: TcpStream,
    trust: Option<&Trust>,
    side: fn(&Trust) -> Answer<Option<Box<Connection>>>,
) -> Outcome<Channel> {
    let Some(trust) = trust else {
        return Ok(Channel::plain(stream));
    };
    match side(trust).map_err(own)? {
        None => Ok(Channel::plain(stream)),
        Some(connection) => Channel::secure(stream, connection, trust.handshake_bytes_max()).await,
    }
}

/// The dialler's handshake: what the member there said of itself.
pub(crate) async fn greet(
    channel: &mut Channel,
    mut own_hello: Hello,
    trust: Option<&Trust>,
) -> Outcome<Hello> {
    let mut out = Vec::new();
    let proofs = proofs(channel, &mut own_hello, Role::Dialler, trust)?;
    let mut greeting = Greeting::dial(own_hello, proofs, &mut out);
    channel.write(&out).await?;
    while hear(channel, &mut greeting, trust).await? != Turn::Done {}
    said(&greeting)
}

/// The listener's handshake, up to the decision.
pub(crate) async fn welcome(
    channel: Channel,
    mut own_hello: Box<Hello>,
    trust: Option<&Trust>,
) -> Outcome<Box<Guest>> {
    let proofs = proofs(&channel, &mut own_hello, Role::Listener, trust)?;
    let mut guest = Box::new(Guest {
        channel,
        greeting: Greeting::listen(*own_hello, proofs),
        hello: Hello::default(),
    });
    let Guest {
        channel, greeting, ..
    } = &mut *guest;
    while hear(channel, greeting, trust).await? != Turn::Decide {}
    guest.hello = said(greeting)?;
    Ok(guest)
}

impl Guest {
    /// Who it is.
    pub(crate) fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Takes it in.
    pub(crate) async fn admit(mut self: Box<Self>) -> Outcome<(Channel, Hello)> {
        let mut out = Vec::new();
        self.greeting.admit(&mut out);
        self.channel.write(&out).await?;
        Ok((self.channel, self.hello))
    }

    /// Tells it why not.
    pub(crate) async fn refuse(mut self: Box<Self>, error: Error) -> Refused {
        self.channel.refuse(&error).await;
        Refused::new(Why::Identity, error)
    }
}

/// One frame in, and what it asks for out.
async fn hear(
    channel: &mut Channel,
    greeting: &mut Greeting<Proofs>,
    trust: Option<&Trust>,
) -> Outcome<Turn> {
    let (kind, body) = channel.read().await?;
    let mut out = Vec::new();
    let mut turn = greeting.hear(kind, &body, &mut out);
    if turn.is_ok()
        && kind == KIND_HELLO
        && let Err(refused) = check_name(channel, greeting, trust)
    {
        out.clear();
        primer_proto::membership::greeting::refuse(&refused.error, &mut out);
        turn = Err(refused);
    }
    let sent = match out.is_empty() {
        true => Ok(()),
        false => channel.write(&out).await,
    };
    if turn.is_err() {
        channel.end().await;
    }
    let turn = turn?;
    sent.map(|()| turn)
}

fn check_name(
    channel: &Channel,
    greeting: &Greeting<Proofs>,
    trust: Option<&Trust>,
) -> Outcome<()> {
    match (trust, channel.connection()) {
        (Some(trust), Some(connection)) => trust.check_name(connection, &said(greeting)?),
        _ => Ok(()),
    }
}

/// What proves this side. Without TLS `hello` gets a nonce for it.
fn proofs(
    channel: &Channel,
    hello: &mut Hello,
    role: Role,
    trust: Option<&Trust>,
) -> Outcome<Option<Proofs>> {
    let Some(trust) = trust else {
        return Ok(None);
    };
    if let Some(connection) = channel.connection() {
        return trust.proofs(connection).map(Some).map_err(own);
    }
    let mut nonce = vec![0; NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(|error| {
        own(Error::new(ErrorKind::Io)
            .because("no random numbers")
            .with("cause", error))
    })?;
    hello.nonce = nonce;
    let (here, there) = channel.addresses()?;
    Ok(Some(match role {
        Role::Dialler => trust.loopback_proofs(here, there),
        Role::Listener => trust.loopback_proofs(there, here),
    }))
}

fn said(greeting: &Greeting<Proofs>) -> Outcome<Hello> {
    greeting
        .theirs()
        .cloned()
        .ok_or_else(|| Refused::malformed("nothing was said"))
}

/// Something of our own failed; the peer is not to blame, but has to come again.
fn own(error: Error) -> Refused {
    Refused::new(Why::Malformed, error)
}

/// `answer`, as the end of a handshake that `why` tells.
pub(crate) fn because<T>(why: Why, answer: Answer<T>) -> Outcome<T> {
    answer.map_err(|error| Refused::new(why, error))
}
