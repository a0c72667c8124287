//! Strangers who speak the protocol well and do not know the secret: in TLS by hand, and on loopback
//! against the secret of this machine's user.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by panicking"
)]

#[path = "common/authority.rs"]
#[expect(dead_code, reason = "of it only the ids are used")]
mod authority;
mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use authority::cluster_id;
use common::{LIMIT, options, until};
use primer::{Options, Primer};
use primer_proto::base::{BootId, MemberId, StoreId};
use primer_proto::membership::greeting::{
    KIND_HELLO, KIND_PROOF, KIND_REFUSAL, KIND_WELCOME, is_length,
};
use primer_proto::membership::{Hello, NONCE_BYTES, Refusal};
use primer_proto::{Error, ErrorKind};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};

const ONE: &str = "q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k=";
const RUNTIME: &str = "PRIMER_RUNTIME_DIR";

type Secure = StreamOwned<ClientConnection, TcpStream>;

/// Takes any key.
#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        panic!("TLS 1.2")
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// A TLS connection to `member`, as a member makes it, up to the first frame.
fn secure(member: &Primer) -> Secure {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone))
        .with_no_client_auth();
    let name = "primer.internal".try_into().unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(connection, connect(&member.address().unwrap()));
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).unwrap();
    }
    stream
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

fn hello(cluster: &str) -> Hello {
    let ids = (MemberId(99), BootId(98), StoreId(97));
    let mut hello = Hello::new(cluster_id(cluster), ids.0, ids.1, ids.2);
    hello.incarnation = 1;
    hello.pair = 77;
    hello
}

fn send(stream: &mut impl Write, kind: u8, body: &[u8]) {
    let mut frame = (body.len() as u32 + 1).to_le_bytes().to_vec();
    frame.push(kind);
    frame.extend_from_slice(body);
    stream.write_all(&frame).unwrap();
    stream.flush().unwrap();
}

fn read(stream: &mut impl Read) -> (u8, Vec<u8>) {
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let length = u32::from_le_bytes(length) as usize;
    assert!(is_length(length));
    let mut frame = vec![0; length];
    stream.read_exact(&mut frame).unwrap();
    (frame.remove(0), frame)
}

fn refusal(stream: &mut impl Read) -> u32 {
    let (kind, body) = read(stream);
    assert_eq!(kind, KIND_REFUSAL);
    Refusal::from_bytes(&body).unwrap().number
}

/// Reads to the end, however it comes.
fn ended(mut stream: impl Read) {
    let mut rest = Vec::new();
    if let Err(error) = stream.read_to_end(&mut rest) {
        let ends = [
            std::io::ErrorKind::ConnectionReset,
            std::io::ErrorKind::UnexpectedEof,
            std::io::ErrorKind::InvalidData,
        ];
        assert!(ends.contains(&error.kind()), "{error}");
    }
}

fn counted(member: &Primer, name: &str, count: u64) {
    until(name, || member.stats().unwrap().get(name) == count);
    assert_eq!(member.stats().unwrap().get("links_up"), 0);
}

fn holder(cluster: &str) -> Primer {
    options(cluster).secret(ONE).open_blocking().unwrap()
}

#[test]
fn a_members_own_proof_sent_back_proves_nothing() {
    let member = holder("mirror");
    let mut stream = secure(&member);
    send(&mut stream, KIND_HELLO, &hello("mirror").to_bytes());
    assert_eq!(read(&mut stream).0, KIND_HELLO);
    let (kind, proof) = read(&mut stream);
    assert_eq!((kind, proof.len()), (KIND_PROOF, 96));
    send(&mut stream, KIND_PROOF, &proof);
    assert_eq!(refusal(&mut stream), 107);
    ended(stream);
    counted(&member, "refused_secret", 1);
    // Nor does the proof of one connection on another.
    let mut stream = secure(&member);
    send(&mut stream, KIND_HELLO, &hello("mirror").to_bytes());
    assert_eq!(read(&mut stream).0, KIND_HELLO);
    assert_ne!(read(&mut stream).1, proof);
    send(&mut stream, KIND_PROOF, &proof);
    assert_eq!(refusal(&mut stream), 107);
    counted(&member, "refused_secret", 2);
    member.close().wait().unwrap();
}

#[test]
fn each_message_is_legal_once_and_in_its_place() {
    let member = holder("order");
    let (greeting, proof) = (hello("order").to_bytes(), vec![7; 96]);
    let orders: [&[(u8, &[u8])]; 5] = [
        &[(KIND_PROOF, &proof)],
        &[(KIND_WELCOME, &[])],
        &[(KIND_HELLO, &greeting), (KIND_HELLO, &greeting)],
        &[(KIND_HELLO, &greeting), (KIND_WELCOME, &[])],
        // A frame of a link, before there is one.
        &[(KIND_HELLO, &greeting), (3, &[])],
    ];
    for (round, order) in orders.iter().enumerate() {
        let mut stream = secure(&member);
        for (kind, body) in *order {
            send(&mut stream, *kind, body);
        }
        ended(stream);
        counted(&member, "refused_malformed", round as u64 + 1);
    }
    member.close().wait().unwrap();
}

#[test]
fn more_than_a_handshake_needs_is_not_read() {
    let member = holder("more");
    let mut stream = secure(&member);
    // The largest frame that a handshake knows, in small records: within the frame's limit, beyond
    // what a stranger may send.
    let frame = [&4_096_u32.to_le_bytes()[..], &[KIND_HELLO], &[1; 4_095]].concat();
    for part in frame.chunks(64) {
        if stream
            .write_all(part)
            .and_then(|()| stream.flush())
            .is_err()
        {
            break;
        }
    }
    ended(stream);
    counted(&member, "refused_malformed", 1);
    member.close().wait().unwrap();
}

#[test]
fn a_flood_of_key_updates_ends_the_connection() {
    let member = holder("keys");
    let mut stream = secure(&member);
    for _ in 0..64 {
        stream.conn.refresh_traffic_keys().unwrap();
        if stream.conn.write_tls(&mut stream.sock).is_err() {
            break;
        }
    }
    ended(stream);
    counted(&member, "refused_malformed", 1);
    member.close().wait().unwrap();
}

#[test]
fn who_listens_without_the_secret_learns_nothing_and_cannot_send_a_member_away() {
    // It says in the clear that this member's identity is taken, and that it was evicted.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let liar = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let error = Error::new(ErrorKind::IdentityConflict).because("evicted");
        send(&mut stream, KIND_REFUSAL, &Refusal::of(&error).to_bytes());
        let mut seen = Vec::new();
        let _ = stream.read_to_end(&mut seen);
        seen
    });
    let member = options("liar")
        .name("till")
        .secret(ONE)
        .open_blocking()
        .unwrap();
    let error = member.join(&address).wait().unwrap_err();
    assert_eq!(error.number(), 107, "{error}");
    assert!(error.to_string().contains("no secret"), "{error}");
    member.close().wait().unwrap();
    let seen = liar.join().unwrap();
    for word in ["till", "127.0.0.1", ONE] {
        let is_seen = seen.windows(word.len()).any(|some| some == word.as_bytes());
        assert!(!is_seen, "{word}");
    }
}

/// A member of this machine's user, in a process of its own: that is where the runtime directory is
/// told.
struct Local {
    child: Child,
    address: String,
    directory: std::path::PathBuf,
}

impl Local {
    fn open() -> Self {
        let name = format!("primer-impostors-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "local_member", "--ignored", "--nocapture"])
            .env(RUNTIME, &directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines
            .map_while(Result::ok)
            .find_map(|line| Some(line.split_once("listens at ")?.1.to_string()))
            .unwrap();
        Self {
            child,
            address,
            directory,
        }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

#[test]
#[ignore = "run by another test as a process of its own"]
fn local_member() {
    if std::env::var_os(RUNTIME).is_none() {
        return;
    }
    let member = Options::new("local").open_blocking().unwrap();
    println!("listens at {}", member.address().unwrap());
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

#[test]
fn other_users_of_the_machine_are_not_let_in() {
    let local = Local::open();
    // One who knows the cluster's name and nothing else.
    let mut stream = connect(&local.address);
    send(&mut stream, KIND_HELLO, &hello("local").to_bytes());
    assert_eq!(refusal(&mut stream), 107);
    ended(stream);
    // One who knows how it is proven.
    let mut stream = connect(&local.address);
    let mut drawn = hello("local");
    drawn.nonce = vec![7; NONCE_BYTES];
    send(&mut stream, KIND_HELLO, &drawn.to_bytes());
    let (kind, body) = read(&mut stream);
    assert_eq!(kind, KIND_HELLO);
    let answer = Hello::from_bytes(&body).unwrap();
    assert_eq!(answer.nonce.len(), NONCE_BYTES);
    let (kind, proof) = read(&mut stream);
    assert_eq!(kind, KIND_PROOF);
    send(&mut stream, KIND_PROOF, &proof);
    assert_eq!(refusal(&mut stream), 107);
    ended(stream);
    // And members that take no part in it, or have a secret of their own, are told so.
    for (member, reason, counter) in [
        (
            options("local").open_blocking().unwrap(),
            "discover",
            "refused_told",
        ),
        (holder("local"), "no secret", "refused_transport"),
    ] {
        let error = member.join(&local.address).wait().unwrap_err();
        assert_eq!(error.number(), 107, "{error}");
        assert!(error.to_string().contains(reason), "{error}");
        counted(&member, counter, 1);
        member.close().wait().unwrap();
    }
}
