//! [`Channel`]: one connection until it is a member's: plain, or in TLS.
//!
//! What a stranger can make it hold is bounded by what is read at all: `limits::STRANGER_BYTES_MAX`
//! until the TLS handshake is done (more with certificates) and as many again until the stranger is
//! known. TLS is fed whole records only, so it never gathers a part of one.
//! core/docs/security.md has what was measured.

use std::io::{Read, Write};
use std::net::SocketAddr;

use primer_proto::base::limits;
use primer_proto::membership::greeting::{self, Refused, Why};
use primer_proto::{Error, ErrorKind};
use rustls::Connection;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::half::{Sink, Source};

/// Bytes of a frame's length.
const LENGTH_BYTES: usize = 4;
/// Bytes that tell TLS from our own frames: a record's header, or a length and a kind.
const SNIFF_BYTES: usize = 5;
/// Bytes of a stranger that are read at a time.
const SIP_BYTES: usize = 512;
/// First byte of a TLS handshake record, and the second of every record.
const TLS_HANDSHAKE: u8 = 22;
const TLS_MAJOR: u8 = 3;

/// One connection before it is part of a link.
pub(crate) struct Channel {
    stream: TcpStream,
    tls: Option<Envelope>,
}

/// The TLS of a channel.
struct Envelope {
    /// In a box from its making on: it is large, and every future that it passes through keeps a
    /// place for it.
    connection: Box<Connection>,
    /// Read and not fed: at most a record that is not whole, and what followed the handshake.
    pending: Vec<u8>,
    /// Bytes that may still be read.
    allowance: usize,
}

impl Channel {
    /// Frames go over `stream` as they are.
    pub(crate) fn plain(stream: TcpStream) -> Self {
        Self { stream, tls: None }
    }

    /// Shakes hands over `stream` by TLS, as the side that `connection` is.
    /// It reads `allowance` bytes at most. Errors: what the other end is not.
    pub(crate) async fn secure(
        stream: TcpStream,
        connection: Box<Connection>,
        allowance: usize,
    ) -> Result<Self, Refused> {
        let mut channel = Self {
            stream,
            tls: Some(Envelope {
                connection,
                pending: Vec::new(),
                allowance,
            }),
        };
        channel.sniff().await?;
        channel.shake().await?;
        if let Some(tls) = &mut channel.tls {
            tls.allowance = limits::STRANGER_BYTES_MAX;
        }
        Ok(channel)
    }

    /// The TLS connection, if there is one; its handshake is done.
    pub(crate) fn connection(&self) -> Option<&Connection> {
        self.tls.as_ref().map(|tls| &*tls.connection)
    }

    /// The addresses of this end and of the other, as the socket has them. Errors: it is broken.
    pub(crate) fn addresses(&self) -> Result<(SocketAddr, SocketAddr), Refused> {
        let both = self
            .stream
            .local_addr()
            .and_then(|here| Ok((here, self.stream.peer_addr()?)));
        both.map_err(|error| ended(&error))
    }

    /// Both directions, for a link.
    pub(crate) fn split(self) -> (Source, Sink) {
        let (input, output) = self.stream.into_split();
        match self.tls {
            None => (Source::plain(input), Sink::plain(output)),
            Some(tls) => super::half::secure(input, output, tls.connection, &tls.pending),
        }
    }

    /// The next frame of a handshake, never a byte more. Errors: the connection ended, or holds
    /// what no member sends.
    pub(crate) async fn read(&mut self) -> Result<(u8, Vec<u8>), Refused> {
        let mut header = [0; LENGTH_BYTES];
        self.read_exact(&mut header).await?;
        if self.tls.is_none() && header.starts_with(&[TLS_HANDSHAKE, TLS_MAJOR]) {
            self.refuse(&no_secret_here()).await;
            return Err(Refused::new(Why::Transport, no_secret_here()));
        }
        let length = u32::from_le_bytes(header) as usize;
        if !greeting::is_length(length) {
            return Err(Refused::malformed("a handshake that no member sends"));
        }
        // It grows with what comes, not with what was announced.
        let mut frame = Vec::new();
        while frame.len() < length {
            let before = frame.len();
            frame.resize(length.min(before + SIP_BYTES), 0);
            self.read_exact(frame.get_mut(before..).unwrap_or_default())
                .await?;
        }
        if frame.is_empty() {
            return Err(Refused::malformed("a handshake that no member sends"));
        }
        let kind = frame.remove(0);
        Ok((kind, frame))
    }

    async fn read_exact(&mut self, mut bytes: &mut [u8]) -> Result<(), Refused> {
        let Some(tls) = &mut self.tls else {
            let read = self.stream.read_exact(bytes).await;
            return read.map(drop).map_err(|error| ended(&error));
        };
        while !bytes.is_empty() {
            let read = match tls.connection.reader().read(bytes) {
                Ok(0) => return Err(gone()),
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    tls.feed_or_sip(&mut self.stream).await?;
                    continue;
                }
                Err(error) => return Err(ended(&error)),
            };
            bytes = bytes.get_mut(read..).unwrap_or_default();
        }
        Ok(())
    }

    /// Sends `bytes`, whole frames. Errors: 202.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        let Some(tls) = &mut self.tls else {
            let written = self.stream.write_all(bytes).await;
            return written.map_err(|error| ended(&error));
        };
        tls.connection
            .writer()
            .write_all(bytes)
            .map_err(|error| ended(&error))?;
        tls.send(&mut self.stream).await
    }

    /// Sends a refusal and ends the connection. The peer may be gone, which is as well.
    pub(crate) async fn refuse(&mut self, error: &Error) {
        let mut out = Vec::new();
        greeting::refuse(error, &mut out);
        let _ = self.write(&out).await;
        self.end().await;
    }

    /// Ends the connection: the peer reads what was sent.
    pub(crate) async fn end(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.connection.send_close_notify();
            let _ = tls.send(&mut self.stream).await;
        }
        let _ = self.stream.shutdown().await;
    }

    /// Looks whether the other end speaks TLS at all, before it is fed to it. A member that does not
    /// is told in its own way.
    async fn sniff(&mut self) -> Result<(), Refused> {
        let Some(tls) = &mut self.tls else {
            return Ok(());
        };
        let is_dialler = matches!(*tls.connection, Connection::Client(_));
        // Only the dialler has something to say before it has read.
        tls.send(&mut self.stream).await?;
        while tls.pending.len() < SNIFF_BYTES {
            tls.sip(&mut self.stream).await?;
        }
        // Alerts have another first byte; all records have this second one, and no first frame of
        // ours is that long.
        if tls.pending.get(1) == Some(&TLS_MAJOR) {
            return Ok(());
        }
        let length = tls
            .pending
            .first_chunk()
            .map(|length| u32::from_le_bytes(*length));
        let is_ours = length.is_some_and(|length| greeting::is_length(length as usize))
            && matches!(
                tls.pending.get(LENGTH_BYTES),
                Some(&(greeting::KIND_HELLO | greeting::KIND_REFUSAL))
            );
        if !is_ours {
            return Err(Refused::malformed("neither TLS nor a member"));
        }
        if is_dialler {
            return Err(Refused::new(Why::Transport, no_secret_there()));
        }
        self.tls = None;
        self.refuse(&secret_here()).await;
        Err(Refused::new(Why::Transport, secret_here()))
    }

    async fn shake(&mut self) -> Result<(), Refused> {
        let Some(tls) = &mut self.tls else {
            return Ok(());
        };
        while tls.connection.is_handshaking() {
            tls.feed_or_sip(&mut self.stream).await?;
        }
        Ok(())
    }
}

impl Envelope {
    /// Feeds one whole record if there is one, else reads more; sends what came of it.
    async fn feed_or_sip(&mut self, stream: &mut TcpStream) -> Result<(), Refused> {
        let Some(length) = whole_record(&self.pending) else {
            return self.sip(stream).await;
        };
        let fed = self.feed(length);
        self.pending.drain(..length.min(self.pending.len()));
        if self.pending.is_empty() {
            self.pending = Vec::new();
        }
        // Also an alert that says what was wrong.
        let sent = self.send(stream).await;
        fed.and(sent)
    }

    fn feed(&mut self, length: usize) -> Result<(), Refused> {
        let mut record = self.pending.get(..length).unwrap_or_default();
        while !record.is_empty() {
            let read = self.connection.read_tls(&mut record);
            if read.map_err(|error| ended(&error))? == 0 {
                // It said goodbye; what follows means nothing.
                return Ok(());
            }
            self.connection.process_new_packets().map_err(from_tls)?;
        }
        Ok(())
    }

    /// Reads a little more of the stranger.
    async fn sip(&mut self, stream: &mut TcpStream) -> Result<(), Refused> {
        let most = SIP_BYTES.min(self.allowance);
        if most == 0 {
            return Err(Refused::malformed("more than a handshake needs"));
        }
        loop {
            stream.readable().await.map_err(|error| ended(&error))?;
            // Not kept while it waits: there are many strangers.
            let mut sip = [0; SIP_BYTES];
            let read = match stream.try_read(sip.get_mut(..most).unwrap_or_default()) {
                Ok(0) => return Err(gone()),
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(ended(&error)),
            };
            self.allowance -= read;
            self.pending.reserve_exact(read);
            self.pending
                .extend_from_slice(sip.get(..read).unwrap_or_default());
            return Ok(());
        }
    }

    async fn send(&mut self, stream: &mut TcpStream) -> Result<(), Refused> {
        let mut out = Vec::new();
        while self.connection.wants_write() {
            self.connection
                .write_tls(&mut out)
                .map_err(|error| ended(&error))?;
        }
        if out.is_empty() {
            return Ok(());
        }
        stream.write_all(&out).await.map_err(|error| ended(&error))
    }
}

/// How long the record is that `pending` begins with, if it is there as a whole.
fn whole_record(pending: &[u8]) -> Option<usize> {
    let header = pending.first_chunk::<SNIFF_BYTES>()?;
    let length = SNIFF_BYTES + usize::from(u16::from_be_bytes([header[3], header[4]]));
    (pending.len() >= length).then_some(length)
}

/// What a failed TLS handshake means.
fn from_tls(error: rustls::Error) -> Refused {
    use rustls::AlertDescription as Alert;
    use rustls::Error as Tls;
    let (why, reason) = match &error {
        Tls::InvalidCertificate(_) => (
            Why::Secret,
            "the certificate is not of this cluster's authority",
        ),
        Tls::NoCertificatesPresented => (Why::Secret, "the other end has no certificate"),
        Tls::AlertReceived(
            Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError
            | Alert::CertificateRequired,
        ) => (
            Why::Secret,
            "the other end does not take this member's certificate",
        ),
        // One has certificates and the other has not.
        Tls::PeerIncompatible(_)
        | Tls::AlertReceived(Alert::HandshakeFailure | Alert::UnsupportedExtension) => (
            Why::Transport,
            "one end has certificates and the other has not",
        ),
        _ => {
            let error = Error::new(ErrorKind::Corrupt)
                .because("a TLS handshake that no member makes")
                .with("cause", error);
            return Refused::new(Why::Malformed, error);
        }
    };
    let told = Error::new(ErrorKind::ClusterMismatch).because(reason);
    Refused::new(why, told.with("cause", error))
}

fn ended(error: &std::io::Error) -> Refused {
    let error = Error::new(ErrorKind::Unreachable)
        .because("the connection ended during the handshake")
        .with("cause", error);
    Refused::new(Why::Malformed, error)
}

fn gone() -> Refused {
    ended(&std::io::ErrorKind::UnexpectedEof.into())
}

fn no_secret_here() -> Error {
    Error::new(ErrorKind::ClusterMismatch).because("this member has no secret; the other end has")
}

fn no_secret_there() -> Error {
    Error::new(ErrorKind::ClusterMismatch).because("the member there has no secret; this one has")
}

fn secret_here() -> Error {
    Error::new(ErrorKind::ClusterMismatch)
        .because("this cluster has a secret: every member needs it")
}
