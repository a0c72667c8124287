//! Key mode: the TLS of a cluster that has a secret and no certificates.
//!
//! The listener shows a raw public key (RFC 7250) that was made when the process started and that
//! nobody knows; it keeps the channel private and gives it a value of its own. Who the ends are is
//! said by the proofs inside ([`super::proof`]), never by this key.

use std::sync::Arc;

use primer_proto::Result;
use ring::rand::SystemRandom;
use ring::signature::Ed25519KeyPair;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{
    CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, DigitallySignedStruct, Error as TlsError, ServerConfig, SignatureScheme,
};
use zeroize::Zeroizing;

use super::{broken, provider};

/// Both configurations, with a new key. Errors: 599.
pub(super) fn configs() -> Result<(ServerConfig, ClientConfig)> {
    let provider = provider();
    let verifier = AnyKey(provider.signature_verification_algorithms);
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(broken)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(key()?)));
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(broken)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok((server, client))
}

fn key() -> Result<Arc<CertifiedKey>> {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(broken)?;
    let bytes = Zeroizing::new(document.as_ref().to_vec());
    let pkcs8 = PrivatePkcs8KeyDer::from(bytes.as_slice());
    let signer = rustls::crypto::ring::sign::any_eddsa_type(&pkcs8).map_err(broken)?;
    let public = signer.public_key().ok_or_else(|| broken("no public key"))?;
    let shown = CertificateDer::from(public.to_vec());
    Ok(Arc::new(CertifiedKey::new(vec![shown], signer)))
}

/// Takes any key that the other end can sign with: the channel's own proof comes later.
#[derive(Debug)]
struct AnyKey(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyKey {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Err(TlsError::General("TLS 1.2 is never offered".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let key = SubjectPublicKeyInfoDer::from(cert.as_ref());
        verify_tls13_signature_with_raw_key(message, &key, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
