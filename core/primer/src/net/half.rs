//! One direction of a link's connection: [`Source`] to read, [`Sink`] to write, plain or in TLS.

use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use rustls::Connection;
use tokio::io::AsyncReadExt;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::counters::Counters;
use super::tls::{Opened, Tls};

/// Encrypted bytes that the first reads take; an idle link holds no more.
const READ_BYTES_MIN: usize = 4 << 10;
/// Encrypted bytes that one read takes at most.
const READ_BYTES_MAX: usize = 64 << 10;

/// The direction that is read.
pub(crate) struct Source {
    socket: OwnedReadHalf,
    opener: Option<Opener>,
}

struct Opener {
    tls: Arc<Tls>,
    /// Read, not opened. Grows as long as reads fill it.
    wire: BytesMut,
}

/// The direction that is written.
pub(crate) struct Sink {
    pub(super) socket: OwnedWriteHalf,
    pub(super) tls: Option<Arc<Tls>>,
}

/// Both directions of a connection whose TLS handshake is done; `pending` was read after it.
pub(crate) fn secure(
    input: OwnedReadHalf,
    output: OwnedWriteHalf,
    connection: Box<Connection>,
    pending: &[u8],
) -> (Source, Sink) {
    let tls = Arc::new(Tls::new(connection));
    let mut wire = BytesMut::with_capacity(READ_BYTES_MIN.max(pending.len()));
    wire.extend_from_slice(pending);
    let opener = Opener {
        tls: tls.clone(),
        wire,
    };
    let source = Source {
        socket: input,
        opener: Some(opener),
    };
    let sink = Sink {
        socket: output,
        tls: Some(tls),
    };
    (source, sink)
}

impl Source {
    /// Bytes are read as they are.
    pub(crate) fn plain(socket: OwnedReadHalf) -> Self {
        Self {
            socket,
            opener: None,
        }
    }

    /// Appends what comes next to `buffer`; how many bytes that were, none at the end.
    /// Errors: the connection failed, or ended without the peer's word.
    pub(crate) async fn fill(
        &mut self,
        buffer: &mut BytesMut,
        counters: &Counters,
    ) -> io::Result<usize> {
        let Some(opener) = &mut self.opener else {
            let read = self.socket.read_buf(buffer).await?;
            count(read, counters);
            return Ok(read);
        };
        let before = buffer.len();
        loop {
            let opened = opener
                .tls
                .open(&opener.wire, buffer)
                .map_err(|_| io::ErrorKind::InvalidData)?;
            opener.clear();
            // What came before the end counts first; the end is seen again.
            if buffer.len() > before {
                return Ok(buffer.len() - before);
            }
            if opened == Opened::Closed {
                return Ok(0);
            }
            let read = self.socket.read_buf(&mut opener.wire).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            count(read, counters);
        }
    }
}

fn count(read: usize, counters: &Counters) {
    counters.bytes_in.add(read as u64);
    if read > 0 {
        counters.socket_reads.one();
    }
}

impl Opener {
    /// Empties the buffer, and gives it more room when it was full.
    fn clear(&mut self) {
        let capacity = self.wire.capacity();
        let was_full = self.wire.len() == capacity;
        self.wire.clear();
        if was_full && capacity < READ_BYTES_MAX {
            self.wire = BytesMut::with_capacity((capacity * 2).min(READ_BYTES_MAX));
        }
    }
}

impl Sink {
    /// Bytes are written as they are.
    pub(crate) fn plain(socket: OwnedWriteHalf) -> Self {
        Self { socket, tls: None }
    }
}
