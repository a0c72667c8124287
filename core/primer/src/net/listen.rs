//! Taking strangers in.
//!
//! A connection is a stranger until its link is up. There are at most `limits::STRANGERS_MAX`, each
//! has `limits::HELLO_MS` and one small buffer, and whatever they send or leave unsent disturbs
//! nobody else.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use primer_proto::base::{BootId, limits};
use primer_proto::membership::Hello;
use primer_proto::{Error, ErrorKind, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::handshake::{self, First, LANE_CONTROL};
use super::{link, report};
use crate::run::driver::Driver;

/// Pause after the operating system refused a connection: it is out of descriptors.
const BREATH: Duration = Duration::from_millis(50);

/// Who waits to become a link.
#[derive(Default)]
struct Lobby {
    strangers: AtomicUsize,
    /// Control connections by the number of their pair, each waiting for its bulk connection.
    halves: Mutex<HashMap<u64, Half>>,
}

struct Half {
    boot: BootId,
    bulk: oneshot::Sender<TcpStream>,
}

/// One stranger; counted until it is dropped.
struct Stranger(Arc<Lobby>);

impl Drop for Stranger {
    fn drop(&mut self) {
        self.0.strangers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A control connection's place among the halves; given up when it is dropped.
struct Place<'a> {
    lobby: &'a Lobby,
    pair: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.lobby.halves.lock().remove(&self.pair);
    }
}

/// Both connections of a link and what the peer said.
type Pair = (TcpStream, TcpStream, Hello);

/// Takes connections in, for ever.
pub(crate) async fn accept(driver: Arc<Driver>, listener: TcpListener) {
    let lobby = Arc::<Lobby>::default();
    let mut tasks = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(ended) = tasks.join_next() => {
                report(ended);
                continue;
            }
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        driver.counters().strangers.one();
        if lobby.strangers.load(Ordering::Relaxed) >= limits::STRANGERS_MAX {
            driver.counters().strangers_refused.one();
            continue;
        }
        lobby.strangers.fetch_add(1, Ordering::Relaxed);
        let stranger = Stranger(lobby.clone());
        tasks.spawn(receive(driver.clone(), stranger, stream));
    }
}

async fn receive(driver: Arc<Driver>, stranger: Stranger, stream: TcpStream) {
    let limit = Duration::from_millis(limits::HELLO_MS);
    let became = match timeout(limit, welcome(&driver, &stranger.0, stream)).await {
        Ok(became) => became,
        Err(_) => Err(Error::new(ErrorKind::Unreachable).because("no handshake in time")),
    };
    drop(stranger);
    match became {
        // The second half of somebody's link.
        Ok(None) => {}
        Ok(Some((control, bulk, hello))) => {
            link::run(driver, control, bulk, hello, None).await;
        }
        Err(error) => {
            driver.counters().strangers_refused.one();
            tracing::debug!(%error, "stranger refused");
        }
    }
}

/// Shakes hands. A link, or none when the connection was handed to the one that waited for it.
async fn welcome(driver: &Driver, lobby: &Lobby, mut stream: TcpStream) -> Result<Option<Pair>> {
    let _ = stream.set_nodelay(true);
    let First::Hello(hello) = handshake::read(&mut stream).await? else {
        return Err(unwelcome("a refusal is no hello"));
    };
    let mut answer = driver.hello()?;
    if let Err(error) = hello.check(&answer) {
        handshake::refuse(&mut stream, &error).await;
        return Err(error);
    }
    answer.lane = hello.lane;
    answer.pair = hello.pair;
    if hello.lane == LANE_CONTROL {
        let bulk = await_bulk(lobby, &mut stream, &hello, &answer).await?;
        return Ok(Some((stream, bulk, hello)));
    }
    let half = lobby.halves.lock().remove(&hello.pair);
    let half = half
        .filter(|half| half.boot == hello.boot())
        .ok_or_else(|| unwelcome("no connection waits for this one"))?;
    handshake::greet(&mut stream, &answer).await?;
    match half.bulk.send(stream) {
        Ok(()) => Ok(None),
        Err(_) => Err(unwelcome("its other half is gone")),
    }
}

/// Answers a control connection and waits for the bulk connection with the same number.
async fn await_bulk(
    lobby: &Lobby,
    stream: &mut TcpStream,
    hello: &Hello,
    answer: &Hello,
) -> Result<TcpStream> {
    let (bulk, arrives) = oneshot::channel();
    // Before the answer: the peer may be back with its second connection at once.
    let _place = lobby.put(hello, bulk)?;
    handshake::greet(stream, answer).await?;
    arrives
        .await
        .map_err(|_| unwelcome("its other half was refused"))
}

impl Lobby {
    fn put(&self, hello: &Hello, bulk: oneshot::Sender<TcpStream>) -> Result<Place<'_>> {
        match self.halves.lock().entry(hello.pair) {
            Entry::Occupied(_) => Err(unwelcome("that number is taken")),
            Entry::Vacant(entry) => {
                let boot = hello.boot();
                entry.insert(Half { boot, bulk });
                Ok(Place {
                    lobby: self,
                    pair: hello.pair,
                })
            }
        }
    }
}

fn unwelcome(reason: &str) -> Error {
    Error::new(ErrorKind::Corrupt).because(reason)
}
