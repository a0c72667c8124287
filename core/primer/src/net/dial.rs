//! Going out: two connections to one address, and the handshake on each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use primer_proto::base::limits;
use primer_proto::engine::Input;
use primer_proto::membership::Hello;
use primer_proto::{Error, ErrorKind, Result};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::handshake::{self, First, LANE_BULK, LANE_CONTROL};
use super::link;
use crate::run::address;
use crate::run::driver::Driver;

/// Connects to `address` and runs the link; the engine hears of a link or of a failure, never of
/// both.
pub(crate) async fn dial(driver: Arc<Driver>, address: String) {
    driver.counters().dials.one();
    let limit = Duration::from_millis(limits::HELLO_MS);
    let connected = match timeout(limit, connect(&driver, &address)).await {
        Ok(connected) => connected,
        Err(_) => Err(Error::new(ErrorKind::Unreachable).because("nobody answered in time")),
    };
    match connected {
        Ok((control, bulk, hello)) => {
            link::run(driver, control, bulk, hello, Some(address)).await;
        }
        Err(error) => {
            driver.counters().dials_failed.one();
            let error = error.with("address", &address);
            tracing::debug!(%error, "dial failed");
            driver.feed([Input::DialFailed { address, error }]);
        }
    }
}

async fn connect(driver: &Driver, text: &str) -> Result<(TcpStream, TcpStream, Hello)> {
    let address = address::parse_remote("address", text)?;
    let mut own = driver.hello()?;
    own.pair = pair()?;
    let (control, hello) = open(address, &mut own, LANE_CONTROL).await?;
    let (bulk, again) = open(address, &mut own, LANE_BULK).await?;
    if again.member() != hello.member() || again.boot() != hello.boot() {
        return Err(not_a_member());
    }
    Ok((control, bulk, hello))
}

async fn open(address: SocketAddr, own: &mut Hello, lane: u32) -> Result<(TcpStream, Hello)> {
    let mut stream = TcpStream::connect(address).await.map_err(|error| {
        Error::new(ErrorKind::Unreachable)
            .because("nobody answers there")
            .with("cause", error)
    })?;
    // Frames are batched here, not by the kernel. Refused only on a socket that is broken.
    let _ = stream.set_nodelay(true);
    own.lane = lane;
    handshake::greet(&mut stream, own).await?;
    match handshake::read(&mut stream).await {
        Ok(First::Hello(hello)) => {
            hello.check(own)?;
            if hello.lane != lane || hello.pair != own.pair {
                return Err(not_a_member());
            }
            Ok((stream, hello))
        }
        Ok(First::Refusal(error)) => Err(error),
        Err(error) if error.kind() == ErrorKind::Corrupt => Err(not_a_member()),
        Err(error) => Err(error),
    }
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
    Error::new(ErrorKind::Unreachable).because("what answers there is no member")
}
