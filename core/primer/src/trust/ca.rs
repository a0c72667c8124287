//! CA mode: certificates of an authority that the operator runs, shown by both sides.
//!
//! A certificate says by its alternative names (never by its subject) what it is for:
//!
//! | name | for |
//! |---|---|
//! | URI `primer://CLUSTER/MEMBER` | that member |
//! | URI `primer://CLUSTER` | any member of that cluster |
//! | DNS `MEMBER.CLUSTER.primer.internal` | that member |
//! | DNS `CLUSTER.primer.internal` | any member of that cluster |
//!
//! CLUSTER and MEMBER are their ids, 32 digits each, as logs show them. Other names may stand beside
//! them. A name is taken apart and its parts are compared; nothing is matched by pattern.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use primer_proto::base::{ClusterId, MemberId};
use primer_proto::membership::greeting::{Refused, Why};
use primer_proto::{Error, ErrorKind, Result};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, ServerConfig,
    SignatureScheme,
};
use zeroize::Zeroizing;

use super::{broken, provider};

/// Largest PEM file.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Largest chain that is shown. A stranger's must fit into what is read of it during the TLS handshake
/// (`limits::STRANGER_BYTES_MAX` and `limits::STRANGER_CHAIN_BYTES_MAX`) with the rest: 900 bytes where
/// its key is RSA of 4,096 bits.
const CHAIN_BYTES_MAX: usize = 3 << 9;
/// What DNS names end in.
const DOMAIN: &str = ".primer.internal";
/// What URIs begin with.
const SCHEME: &str = "primer://";

/// Paths of PEM files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Pems {
    /// Who is believed.
    pub(crate) ca: String,
    /// This member's certificate, and those between it and the authority.
    pub(crate) cert: String,
    /// Its key, which others must not be able to read.
    pub(crate) key: String,
}

/// Whom a name is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Name {
    cluster: ClusterId,
    /// None: any of the cluster.
    member: Option<MemberId>,
}

/// Both configurations. Errors: 101 for files that do not hold what they should, 502 for files that
/// cannot be read.
pub(super) fn configs(
    pems: &Pems,
    cluster: ClusterId,
    member: MemberId,
) -> Result<(ServerConfig, ClientConfig)> {
    let provider = provider();
    let roots = Arc::new(roots(&pems.ca)?);
    let chain = certificates("tls_cert", &pems.cert)?;
    check_own(&chain, cluster, member).map_err(|error| error.with("tls_cert", &pems.cert))?;
    let key = key(&pems.key)?;
    let client_verifier =
        WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
            // Whom we believe is nobody's business, and a long list would fill the handshake.
            .clear_root_hint_subjects()
            .build()
            .map_err(|error| bad("tls_ca", &pems.ca, &error))?;
    let server_verifier = OurAuthority {
        roots,
        algorithms: provider.signature_verification_algorithms,
    };
    let unfit = |error: TlsError| bad("tls_key", &pems.key, &error);
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(broken)?
        .with_client_cert_verifier(client_verifier)
        .with_single_cert(chain.clone(), key.clone_key())
        .map_err(unfit)?;
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(broken)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(server_verifier))
        .with_client_auth_cert(chain, key)
        .map_err(unfit)?;
    Ok((server, client))
}

/// Whether `certificate`, whose chain is verified, is for `member` of `cluster`.
pub(super) fn check_name(
    certificate: &CertificateDer<'_>,
    cluster: ClusterId,
    member: MemberId,
) -> std::result::Result<(), Refused> {
    let mismatch = |why: Why, kind: ErrorKind, reason: &str| {
        Refused::new(why, Error::new(kind).because(reason))
    };
    let names = names(certificate).ok_or_else(|| Refused::malformed("malformed certificate"))?;
    let of_cluster = |name: &&Name| name.cluster == cluster;
    if !names.iter().any(|name| of_cluster(&name)) {
        let reason = "the certificate is not for this cluster";
        return Err(mismatch(Why::Cluster, ErrorKind::ClusterMismatch, reason));
    }
    let is_for_member = names
        .iter()
        .filter(of_cluster)
        .any(|name| name.member.is_none_or(|named| named == member));
    if is_for_member {
        return Ok(());
    }
    let reason = "the certificate is another member's";
    Err(mismatch(Why::Identity, ErrorKind::ClusterMismatch, reason))
}

/// The names of ours in a certificate; none when it cannot be read.
fn names(certificate: &CertificateDer<'_>) -> Option<Vec<Name>> {
    let parsed = webpki::EndEntityCert::try_from(certificate).ok()?;
    let uris = parsed.valid_uri_names().filter_map(from_uri);
    Some(
        uris.chain(parsed.valid_dns_names().filter_map(from_dns))
            .collect(),
    )
}

fn from_uri(uri: &str) -> Option<Name> {
    let rest = uri.strip_prefix(SCHEME)?;
    let (cluster, member) = match rest.split_once('/') {
        None => (rest, None),
        Some((cluster, member)) => (cluster, Some(member)),
    };
    name(cluster, member)
}

fn from_dns(dns: &str) -> Option<Name> {
    let ids = dns.strip_suffix(DOMAIN)?;
    match ids.split_once('.') {
        None => name(ids, None),
        Some((member, cluster)) => name(cluster, Some(member)),
    }
}

fn name(cluster: &str, member: Option<&str>) -> Option<Name> {
    let cluster = ClusterId(id(cluster)?);
    let member = match member {
        None => None,
        Some(member) => Some(MemberId(id(member)?)),
    };
    Some(Name { cluster, member })
}

/// Exactly 32 digits: no sign, no blank, no shorter form of the same number.
fn id(text: &str) -> Option<u128> {
    let is_id = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

/// A certificate that no peer will take is told to its own operator first.
fn check_own(
    chain: &[CertificateDer<'static>],
    cluster: ClusterId,
    member: MemberId,
) -> Result<()> {
    let length: usize = chain.iter().map(|one| one.len()).sum();
    if length > CHAIN_BYTES_MAX {
        return Err(Error::new(ErrorKind::InvalidArgument)
            .because(
                "the certificates are too long; leave the root out, or use Ed25519 or P-256 keys",
            )
            .with("bytes", length)
            .with("most", CHAIN_BYTES_MAX));
    }
    let Some(own) = chain.first() else {
        return Err(Error::new(ErrorKind::InvalidArgument).because("no certificate in the file"));
    };
    check_name(own, cluster, member).map_err(|refused| {
        Error::new(ErrorKind::InvalidArgument)
            .because(refused.error.reason())
            .with("needs one of", format!("URI:{SCHEME}{cluster}"))
            .with("or", format!("URI:{SCHEME}{cluster}/{member}"))
            .with("or", format!("DNS:{cluster}{DOMAIN}"))
            .with("or", format!("DNS:{member}.{cluster}{DOMAIN}"))
    })
}

fn roots(path: &str) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("tls_ca", path)? {
        roots
            .add(certificate)
            .map_err(|error| bad("tls_ca", path, &error))?;
    }
    Ok(roots)
}

fn certificates(option: &'static str, path: &str) -> Result<Vec<CertificateDer<'static>>> {
    let bytes = read(option, path, |_| Ok(()))?;
    let found = CertificateDer::pem_slice_iter(&bytes)
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|error| bad(option, path, &error))?;
    if found.is_empty() {
        return Err(bad(option, path, &"no certificate in the file"));
    }
    Ok(found)
}

fn key(path: &str) -> Result<PrivateKeyDer<'static>> {
    let bytes = read("tls_key", path, check_private)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| bad("tls_key", path, &error))
}

/// Errors: 101 for a key that others can read, or that they or the group can replace.
#[cfg(unix)]
fn check_private(file: &File) -> std::io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    // A group may read it: that is how orchestrators hand keys to a process that is not root.
    if file.metadata()?.mode() & 0o027 != 0 {
        return Err(std::io::ErrorKind::PermissionDenied.into());
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_private(_file: &File) -> std::io::Result<()> {
    Ok(())
}

/// A whole file, wiped after use. `check` is asked about the file that is read, not about its path:
/// the two may part in between.
fn read(
    option: &'static str,
    path: &str,
    check: fn(&File) -> std::io::Result<()>,
) -> Result<Zeroizing<Vec<u8>>> {
    let failed = |error: std::io::Error| {
        Error::new(ErrorKind::Io)
            .because("cannot read the file")
            .with(option, path)
            .with("cause", error)
    };
    let file = File::open(path).map_err(failed)?;
    check(&file).map_err(|_| {
        Error::new(ErrorKind::InvalidArgument)
            .because("others can read the key: chmod 600")
            .with(option, path)
    })?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(FILE_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    Ok(bytes)
}

fn bad(option: &'static str, path: &str, cause: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidArgument)
        .because("the file does not hold what it should")
        .with(option, path)
        .with("cause", cause)
}

/// Takes certificates of our authority; their names are looked at when the hello is known.
#[derive(Debug)]
struct OurAuthority {
    roots: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for OurAuthority {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, TlsError> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &self.roots,
            intermediates,
            now,
            self.algorithms.all,
        )?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, TlsError> {
        Err(TlsError::General("TLS 1.2 is never offered".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: &str = "0123456789abcdef0123456789ABCDEF";
    const MEMBER: &str = "00000000000000000000000000000007";

    #[test]
    fn names_are_taken_apart() {
        let cluster = ClusterId(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
        let any = Some(Name {
            cluster,
            member: None,
        });
        let one = Some(Name {
            cluster,
            member: Some(MemberId(7)),
        });
        assert_eq!(from_uri(&format!("primer://{CLUSTER}")), any);
        assert_eq!(from_uri(&format!("primer://{CLUSTER}/{MEMBER}")), one);
        assert_eq!(from_dns(&format!("{CLUSTER}.primer.internal")), any);
        assert_eq!(
            from_dns(&format!("{MEMBER}.{CLUSTER}.primer.internal")),
            one
        );
    }

    #[test]
    fn what_only_looks_like_a_name_is_none() {
        for uri in [
            String::new(),
            "primer://".into(),
            format!("Primer://{CLUSTER}"),
            format!("http://{CLUSTER}"),
            format!("primer://{CLUSTER}/"),
            format!("primer://{CLUSTER}/{MEMBER}/"),
            format!("primer://{CLUSTER}/{MEMBER}?x"),
            format!("primer://+{}", &CLUSTER[1..]),
            format!("primer://{CLUSTER}0"),
            format!("primer:// {}", &CLUSTER[1..]),
            format!("primer://{}", &CLUSTER[1..]),
            format!("primer://user@{CLUSTER}"),
        ] {
            assert_eq!(from_uri(&uri), None, "{uri}");
        }
        for dns in [
            "primer.internal".to_string(),
            ".primer.internal".into(),
            format!("*.{CLUSTER}.primer.internal"),
            format!("{CLUSTER}.primer.internal.example.org"),
            format!("{CLUSTER}.primer.example"),
            format!("x.{MEMBER}.{CLUSTER}.primer.internal"),
            format!("{CLUSTER}..primer.internal"),
        ] {
            assert_eq!(from_dns(&dns), None, "{dns}");
        }
    }
}
