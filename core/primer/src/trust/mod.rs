//! Whom a member believes: the cluster's secret, or a certificate authority, or both.
//!
//! Between members there is TLS 1.3 and nothing else; no tickets, no resumption, no early data, so
//! every connection proves itself anew. With a secret ([`secret`]) the certificates are a key that is
//! made at each start ([`key`]) and says nothing; who holds the secret is proven inside the channel
//! ([`proof`]). With an authority ([`ca`]) both sides show certificates whose alternative names say
//! which cluster and member they are for.
//!
//! Processes of one user on one machine share a secret that was generated for them
//! (`run::discovery`). It says no more than that, so it is proven on loopback only and without TLS,
//! where nobody listens in. Without anything there is no [`Trust`] at all. Source: reliability.md 7.2.

mod ca;
mod key;
mod proof;
mod secret;

use std::net::SocketAddr;
use std::sync::Arc;

use crate::run::sync::Mutex;
use primer_proto::base::{ClusterId, MemberId, limits};
use primer_proto::membership::Hello;
use primer_proto::membership::greeting::{Refused, Why};
use primer_proto::{Error, ErrorKind, Result};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};

pub(crate) use ca::Pems;
pub(crate) use proof::Proofs;
pub(crate) use secret::{Secret, check};

/// What both sides say they are about to speak; keeps other protocols' servers from being confused
/// with a member.
const PROTOCOL: &[u8] = b"primer/1";

/// What one member trusts and is trusted by.
pub(crate) struct Trust {
    cluster: ClusterId,
    secrets: Mutex<Arc<[Secret]>>,
    /// None: loopback only, without TLS.
    tls: Option<Tls>,
}

struct Tls {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    has_ca: bool,
}

impl Trust {
    /// Trust by secrets, by certificates, or by both: then both must hold. None when there is
    /// neither.
    ///
    /// Errors: 101 for a weak secret or a bad certificate, 502 for a file that cannot be read.
    pub(crate) fn new(
        secrets: &[Secret],
        pems: Option<&Pems>,
        cluster: ClusterId,
        member: MemberId,
    ) -> Result<Option<Trust>> {
        if secrets.is_empty() && pems.is_none() {
            return Ok(None);
        }
        secret::check(secrets)?;
        let (mut server, mut client) = match pems {
            Some(pems) => ca::configs(pems, cluster, member)?,
            None => key::configs()?,
        };
        server.alpn_protocols = vec![PROTOCOL.to_vec()];
        // A resumed session would skip the certificates; there is nothing to be gained either.
        server.send_tls13_tickets = 0;
        server.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        client.alpn_protocols = vec![PROTOCOL.to_vec()];
        client.resumption = rustls::client::Resumption::disabled();
        client.enable_sni = false;
        Ok(Some(Trust {
            cluster,
            secrets: Mutex::new(secrets.into()),
            tls: Some(Tls {
                server: Arc::new(server),
                client: Arc::new(client),
                has_ca: pems.is_some(),
            }),
        }))
    }

    /// Trust among the processes of one user on one machine, by what was generated for them.
    pub(crate) fn local(secret: Secret, cluster: ClusterId) -> Trust {
        Trust {
            cluster,
            secrets: Mutex::new([secret].into()),
            tls: None,
        }
    }

    /// True where links are encrypted: then members may be anywhere.
    pub(crate) fn is_encrypting(&self) -> bool {
        self.tls.is_some()
    }

    /// Bytes that the other end may send before the TLS handshake is done.
    pub(crate) fn handshake_bytes_max(&self) -> usize {
        match &self.tls {
            Some(tls) if tls.has_ca => {
                limits::STRANGER_BYTES_MAX + limits::STRANGER_CHAIN_BYTES_MAX
            }
            _ => limits::STRANGER_BYTES_MAX,
        }
    }

    /// Takes other secrets from now on; links that are up stay.
    ///
    /// Errors: 101 for none, too many or a weak one, 106 where there was no secret at the start.
    pub(crate) fn rotate(&self, secrets: &[Secret]) -> Result<()> {
        if secrets.is_empty() {
            return Err(secret::wrong("a rotation needs at least one secret"));
        }
        secret::check(secrets)?;
        let mut held = self.secrets.lock();
        if held.is_empty() || self.tls.is_none() {
            return Err(no_secret());
        }
        *held = secrets.into();
        Ok(())
    }

    /// The TLS side of a connection that came in; none where there is no TLS.
    pub(crate) fn listener(&self) -> Result<Option<Box<Connection>>> {
        let Some(tls) = &self.tls else {
            return Ok(None);
        };
        let connection = ServerConnection::new(tls.server.clone()).map_err(broken)?;
        Ok(Some(Box::new(connection.into())))
    }

    /// The TLS side of a connection that goes out; none where there is no TLS. Members are not told
    /// apart by host names.
    pub(crate) fn dialler(&self) -> Result<Option<Box<Connection>>> {
        let Some(tls) = &self.tls else {
            return Ok(None);
        };
        let name = ServerName::try_from("primer.internal").map_err(broken)?;
        let connection = ClientConnection::new(tls.client.clone(), name).map_err(broken)?;
        Ok(Some(Box::new(connection.into())))
    }

    /// What proves this member on `connection`, whose TLS handshake is done, with the secrets that
    /// are held now.
    pub(crate) fn proofs(&self, connection: &Connection) -> Result<Proofs> {
        Proofs::new(self.secrets.lock().clone(), self.cluster, connection)
    }

    /// The same on a connection without TLS, from `dialler` to `listener`.
    pub(crate) fn loopback_proofs(&self, dialler: SocketAddr, listener: SocketAddr) -> Proofs {
        Proofs::loopback(self.secrets.lock().clone(), dialler, listener)
    }

    /// Whether the peer's certificate is for the member that `hello` says. Always, without a CA.
    pub(crate) fn check_name(
        &self,
        connection: &Connection,
        hello: &Hello,
    ) -> std::result::Result<(), Refused> {
        if !self.tls.as_ref().is_some_and(|tls| tls.has_ca) {
            return Ok(());
        }
        let certificate = connection
            .peer_certificates()
            .and_then(<[_]>::first)
            .ok_or_else(|| {
                let error = Error::new(ErrorKind::ClusterMismatch).because("no certificate");
                Refused::new(Why::Secret, error)
            })?;
        ca::check_name(certificate, self.cluster, hello.member())
    }
}

/// The error of a rotation where there is nothing to rotate.
pub(crate) fn no_secret() -> Error {
    Error::new(ErrorKind::Unsupported)
        .because("this member was opened without a secret; only a restart can give it one")
}

/// TLS 1.3 by `ring`, with one key exchange: every member can do it, so nobody asks twice.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = rustls::crypto::ring::default_provider();
    provider.kx_groups = vec![rustls::crypto::ring::kx_group::X25519];
    Arc::new(provider)
}

fn broken(error: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Internal)
        .because("TLS cannot be set up")
        .with("cause", error)
}
