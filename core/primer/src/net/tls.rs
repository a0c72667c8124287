//! [`Tls`]: the encryption of one connection that is part of a link.
//!
//! Its writers and its reader share one TLS connection under a small lock, which is held while
//! records are made or opened and never while a socket is waited for. Plain bytes come from the
//! lane's buffer and records go into it ([`Tls::seal`]), so a batch is still one write.
//!
//! Floods of key updates, alerts or empty records are bounded by rustls: 32 key updates without data
//! between them end the connection, and at most one answer to them waits to be sent.

use std::io::{BufRead, ErrorKind, Write};

use crate::run::sync::Mutex;
use bytes::{BufMut, BytesMut};
use rustls::Connection;

/// Plain bytes that are sealed at a time: one record, so that its memory is used again.
const RECORD_BYTES: usize = 16 << 10;

/// One connection's encryption.
pub(crate) struct Tls(Mutex<Box<Connection>>);

/// What opening brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Opened {
    /// More may come.
    Open,
    /// The peer said that this is all.
    Closed,
}

/// The connection is of no use any more.
#[derive(Debug)]
pub(crate) struct Broken;

impl Tls {
    /// Takes over a connection whose handshake is done.
    pub(crate) fn new(mut connection: Box<Connection>) -> Self {
        // What is sealed is taken out at once; a limit would only cut a large frame in two.
        connection.set_buffer_limit(None);
        Self(Mutex::new(connection))
    }

    /// Appends the records of `plain` to `wire`.
    pub(crate) fn seal(&self, plain: &[u8], wire: &mut BytesMut) -> Result<(), Broken> {
        let mut connection = self.0.lock();
        for part in plain.chunks(RECORD_BYTES) {
            connection.writer().write_all(part).map_err(|_| Broken)?;
            take(&mut connection, wire)?;
        }
        Ok(())
    }

    /// Appends "this is all" to `wire`.
    pub(crate) fn close(&self, wire: &mut BytesMut) -> Result<(), Broken> {
        let mut connection = self.0.lock();
        connection.send_close_notify();
        take(&mut connection, wire)
    }

    /// Opens `wire` and appends what was in it to `plain`; the beginning of a record is kept for
    /// the next time.
    pub(crate) fn open(&self, mut wire: &[u8], plain: &mut BytesMut) -> Result<Opened, Broken> {
        let mut connection = self.0.lock();
        loop {
            let opened = drain(&mut connection, plain)?;
            if opened == Opened::Closed || wire.is_empty() {
                return Ok(opened);
            }
            if connection.read_tls(&mut wire).map_err(|_| Broken)? == 0 {
                return Err(Broken);
            }
            connection.process_new_packets().map_err(|error| {
                tracing::warn!(%error, "malformed record");
                Broken
            })?;
        }
    }
}

fn take(connection: &mut Connection, wire: &mut BytesMut) -> Result<(), Broken> {
    while connection.wants_write() {
        connection
            .write_tls(&mut wire.writer())
            .map_err(|_| Broken)?;
    }
    Ok(())
}

/// Moves what is decrypted to `plain`.
fn drain(connection: &mut Connection, plain: &mut BytesMut) -> Result<Opened, Broken> {
    let mut reader = connection.reader();
    loop {
        match reader.fill_buf() {
            Ok([]) => return Ok(Opened::Closed),
            Ok(chunk) => {
                plain.extend_from_slice(chunk);
                let length = chunk.len();
                reader.consume(length);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Opened::Open),
            Err(_) => return Err(Broken),
        }
    }
}
