//! Going out: two connections to one address, and the handshake on each.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use primer_proto::base::limits;
use primer_proto::engine::Input;
use primer_proto::membership::Hello;
use primer_proto::membership::greeting::{Refused, Why};
use primer_proto::{Error, ErrorKind, Result};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::channel::Channel;
use super::handshake::{self, LANE_BULK, LANE_CONTROL, Outcome};
use super::link;
use super::refusals::{self, Refusals};
use crate::run::address;
use crate::run::driver::Driver;

/// Connects to `address` and runs the link; the engine hears of a link or of a failure, never of
/// both. `refusals` are those of all dials.
pub(crate) async fn dial(driver: Arc<Driver>, refusals: Arc<Refusals<String>>, address: String) {
    driver.counters().dials.one();
    let limit = Duration::from_millis(limits::HELLO_MS);
    let connected = match timeout(limit, connect(&driver, &address)).await {
        Ok(connected) => connected,
        Err(_) => Err(unreachable("nobody answered in time")),
    };
    match connected {
        Ok((control, bulk, hello)) => {
            link::run(driver, control, bulk, hello, Some(address)).await;
        }
        Err(error) => {
            driver.counters().dials_failed.one();
            let error = error.with("address", &address);
            refusals.note(&address, &error);
            driver.feed([Input::DialFailed { address, error }]);
        }
    }
}

async fn connect(driver: &Driver, text: &str) -> Result<(Channel, Channel, Hello)> {
    let targets = address::resolve("address", text, driver.is_encrypting()).await?;
    let mut own = driver.hello()?;
    own.pair = pair()?;
    own.lane = LANE_CONTROL;
    let mut last = unreachable("nobody answers there");
    for target in targets {
        let stream = match reach(target).await {
            Ok(stream) => stream,
            // A name may have an address of each kind, and the other one may work.
            Err(error) => {
                last = error;
                continue;
            }
        };
        let (control, hello) = told(driver, open(driver, stream, own.clone()).await)?;
        own.lane = LANE_BULK;
        let stream = reach(target).await?;
        let (bulk, again) = told(driver, open(driver, stream, own).await)?;
        if again.member() != hello.member() || again.boot() != hello.boot() {
            return Err(not_a_member());
        }
        return Ok((control, bulk, hello));
    }
    Err(last)
}

async fn reach(target: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(target).await.map_err(|error| {
        let failed = unreachable("nobody answers there").with("cause", &error);
        match error.kind() {
            // Its machine says that nobody listens: the engine need not wait any longer.
            io::ErrorKind::ConnectionRefused => failed.with("refused", true),
            _ => failed,
        }
    })?;
    // Frames are batched here, not by the kernel. Refused only on a socket that is broken.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

async fn open(driver: &Driver, stream: TcpStream, own: Hello) -> Outcome<(Channel, Hello)> {
    let trust = driver.trust();
    let mut channel = handshake::reach(stream, trust).await?;
    let hello = handshake::greet(&mut channel, own, trust).await?;
    Ok((channel, hello))
}

/// Counts what a handshake failed for, and makes of it what a caller is told.
fn told<T>(driver: &Driver, outcome: Outcome<T>) -> Result<T> {
    outcome.map_err(|Refused { why, error }| {
        // A member that is just going down ends handshakes, too: that is no refusal.
        if why != Why::Malformed {
            refusals::count(driver.counters(), why);
        }
        match error.kind() {
            ErrorKind::Corrupt => not_a_member(),
            _ => error,
        }
    })
}

fn pair() -> Result<u64> {
    let random = getrandom::u64().map_err(|error| {
        Error::new(ErrorKind::Io)
            .because("no random numbers")
            .with("cause", error)
    })?;
    Ok(random.max(1))
}

fn not_a_member() -> Error {
    unreachable("what answers there is no member")
}

fn unreachable(reason: &str) -> Error {
    Error::new(ErrorKind::Unreachable).because(reason)
}
