//! Taking strangers in.
//!
//! A connection is a stranger until its link is up. How many there may be is the [`Lobby`]'s to say;
//! each has `limits::HELLO_MS` and little memory, and whatever they send or leave unsent disturbs
//! nobody else.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use primer_proto::base::limits;
use primer_proto::membership::Hello;
use primer_proto::membership::greeting::{Refused, Why};
use primer_proto::{Error, ErrorKind};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::channel::Channel;
use super::handshake::{self, Guest, LANE_CONTROL, Outcome, because};
use super::lobby::{Lobby, Stranger};
use super::refusals::Refusals;
use super::{link, report};
use crate::run::address;
use crate::run::driver::Driver;

/// Pause after the operating system refused a connection: it is out of descriptors. Doubled as long
/// as it goes on.
const BREATH: Duration = Duration::from_millis(50);
/// Longest pause.
const BREATH_MAX: Duration = Duration::from_secs(1);

/// Both connections of a link and what the peer said.
type Pair = (Channel, Channel, Hello);

/// What all strangers of one member share.
struct Porch {
    driver: Arc<Driver>,
    lobby: Arc<Lobby>,
    refusals: Refusals<IpAddr>,
}

/// Takes connections in, for ever.
pub(crate) async fn accept(driver: Arc<Driver>, listener: TcpListener) {
    let porch = Arc::new(Porch {
        driver,
        lobby: Arc::default(),
        refusals: Refusals::default(),
    });
    let mut tasks = JoinSet::new();
    let mut breath = BREATH;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(ended) = tasks.join_next() => {
                report(ended);
                continue;
            }
        };
        match accepted {
            Ok((stream, from)) => {
                breath = BREATH;
                porch.let_in(stream, from.ip(), &mut tasks);
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(breath).await;
                breath = (breath * 2).min(BREATH_MAX);
            }
        }
    }
}

impl Porch {
    fn let_in(self: &Arc<Self>, stream: TcpStream, from: IpAddr, tasks: &mut JoinSet<()>) {
        self.driver.counters().strangers.one();
        let is_open = self.driver.is_encrypting();
        // The socket says where it comes from, nothing that is sent.
        if !is_open && !address::is_loopback(from) {
            let error = Error::new(ErrorKind::ClusterMismatch).because("not from this machine");
            return self.note(from, &Refused::new(Why::Transport, error));
        }
        let (stranger, evicted) = self.lobby.enter(from, is_open);
        if let Some((address, handle)) = evicted {
            handle.abort();
            let error = Error::new(ErrorKind::Overloaded).because("too many strangers at a time");
            self.note(address, &Refused::new(Why::Crowd, error));
        }
        let receive = receive(self.clone(), stranger, stream, from);
        self.lobby.keep(from, tasks.spawn(receive));
    }

    fn note(&self, from: IpAddr, refused: &Refused) {
        self.refusals.note(self.driver.counters(), from, refused);
    }
}

async fn receive(porch: Arc<Porch>, stranger: Stranger, stream: TcpStream, from: IpAddr) {
    let limit = Duration::from_millis(limits::HELLO_MS);
    let became = match timeout(limit, welcome(&porch, stranger, stream)).await {
        Ok(became) => became,
        Err(_) => {
            let error = Error::new(ErrorKind::Unreachable).because("no handshake in time");
            Err(Refused::new(Why::Timeout, error))
        }
    };
    match became {
        // The second half of somebody's link.
        Ok(None) => {}
        Ok(Some((control, bulk, hello))) => {
            // In a box, so that strangers do not pay for what links need.
            Box::pin(link::run(porch.driver.clone(), control, bulk, hello, None)).await;
        }
        Err(refused) => porch.note(from, &refused),
    }
}

/// Shakes hands. A link, or none when the connection was handed to the one that waited for it.
async fn welcome(porch: &Porch, stranger: Stranger, stream: TcpStream) -> Outcome<Option<Pair>> {
    let _ = stream.set_nodelay(true);
    let (driver, lobby) = (&*porch.driver, &*porch.lobby);
    let trust = driver.trust();
    let own = Box::new(because(Why::Malformed, driver.hello())?);
    let channel = handshake::receive(stream, trust).await?;
    let guest = handshake::welcome(channel, own, trust).await?;
    if let Err(error) = driver.admit(guest.hello()) {
        return Err(guest.refuse(error).await);
    }
    // One that has proven itself is no stranger any more, and no crowd takes its place.
    let _stranger = match trust {
        Some(_) => {
            drop(stranger);
            None
        }
        None => Some(stranger),
    };
    if guest.hello().lane == LANE_CONTROL {
        return await_bulk(lobby, guest).await.map(Some);
    }
    let half = lobby.take(guest.hello())?;
    let (channel, _) = guest.admit().await?;
    match half.send(channel) {
        Ok(()) => Ok(None),
        Err(_) => Err(Refused::malformed("its other half is gone")),
    }
}

/// Takes a control connection in and waits for the bulk connection with the same number.
async fn await_bulk(lobby: &Lobby, guest: Box<Guest>) -> Outcome<Pair> {
    let (bulk, arrives) = oneshot::channel();
    // Before the answer: the peer may be back with its second connection at once.
    let _place = lobby.put(guest.hello(), bulk)?;
    let (control, hello) = guest.admit().await?;
    let bulk = arrives
        .await
        .map_err(|_| Refused::malformed("its other half was refused"))?;
    Ok((control, bulk, hello))
}
