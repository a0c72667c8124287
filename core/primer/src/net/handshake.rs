//! The first frame of a connection, both ways: a length, a kind, and a
//! [`Hello`] or a [`Refusal`] (`primer_proto::membership::Hello` says what it states).
//!
//! Exactly that frame is read, never a byte more, and never more than `limits::HELLO_BYTES_MAX`:
//! what follows on the connection belongs to the link.

use std::io;

use primer_proto::base::limits;
use primer_proto::engine::{KIND_HELLO, KIND_REFUSAL};
use primer_proto::membership::{Hello, Refusal};
use primer_proto::{Error, ErrorKind, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A lane's number in a hello.
pub(crate) const LANE_CONTROL: u32 = 0;
/// A lane's number in a hello.
pub(crate) const LANE_BULK: u32 = 1;

/// What a peer may begin with.
pub(crate) enum First {
    Hello(Hello),
    Refusal(Error),
}

/// Reads the first frame. Errors: 202 when the connection ends before it, 503 for bytes that are
/// no such frame.
pub(crate) async fn read(stream: &mut TcpStream) -> Result<First> {
    let length = stream.read_u32_le().await.map_err(|error| ended(&error))? as usize;
    if length == 0 || length > limits::HELLO_BYTES_MAX {
        return Err(malformed());
    }
    let mut frame = vec![0_u8; length];
    stream
        .read_exact(&mut frame)
        .await
        .map_err(|error| ended(&error))?;
    match frame.split_first() {
        Some((&KIND_HELLO, hello)) => Ok(First::Hello(Hello::from_bytes(hello)?)),
        Some((&KIND_REFUSAL, refusal)) => {
            Ok(First::Refusal(Refusal::from_bytes(refusal)?.to_error()))
        }
        _ => Err(malformed()),
    }
}

/// Writes a hello as the first frame. Errors: 202.
pub(crate) async fn greet(stream: &mut TcpStream, hello: &Hello) -> Result<()> {
    write(stream, KIND_HELLO, &hello.to_bytes()).await
}

/// Writes a refusal and ends the connection. The peer may be gone, which is as well.
pub(crate) async fn refuse(stream: &mut TcpStream, error: &Error) {
    let refusal = Refusal::of(error);
    let _ = write(stream, KIND_REFUSAL, &refusal.to_bytes()).await;
    let _ = stream.shutdown().await;
}

async fn write(stream: &mut TcpStream, kind: u8, body: &[u8]) -> Result<()> {
    let length = u32::try_from(body.len() + 1).map_err(|_| malformed())?;
    let mut frame = Vec::with_capacity(body.len() + 5);
    frame.extend_from_slice(&length.to_le_bytes());
    frame.push(kind);
    frame.extend_from_slice(body);
    stream
        .write_all(&frame)
        .await
        .map_err(|error| ended(&error))
}

fn ended(error: &io::Error) -> Error {
    Error::new(ErrorKind::Unreachable)
        .because("the connection ended during the handshake")
        .with("cause", error)
}

fn malformed() -> Error {
    Error::new(ErrorKind::Corrupt).because("a handshake that no member sends")
}
