//! [`Proofs`]: that a member holds the cluster's secret, said on one channel.
//!
//! A proof is an HMAC-SHA-256 under the secret over a label, the prover's role, both members, the
//! cluster, the lane and pair, and 32 bytes that stand for this channel alone. So it cannot be sent
//! back (roles), carried to another channel by someone in the middle, or replayed. In TLS the channel's
//! bytes are what TLS derives for it; on loopback without TLS they are a hash of what both ends drew
//! and of both addresses as each end sees them: who relays between two ports has other ones.
//!
//! Every secret that is held is proven, and one that both sides hold is enough: members may learn a
//! new secret in any order. A proof always has [`SLOTS`] slots, the unused ones filled with chance,
//! so it does not tell how many secrets there are.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use primer_proto::base::ClusterId;
use primer_proto::membership::greeting::{Claim, Prover, Refused, Role, Why};
use primer_proto::{Error, ErrorKind, Result};
use ring::{digest, hmac};
use rustls::Connection;

use super::secret::{SECRETS_MAX, Secret};

/// HMACs in a proof.
const SLOTS: usize = SECRETS_MAX;
/// Bytes of one HMAC-SHA-256.
const TAG_BYTES: usize = 32;
/// Separates these HMACs from all others that anyone makes with the same secret.
const LABEL: &[u8] = b"primer proof 1";
/// Begins what a loopback connection's bytes are a hash of.
const LOOPBACK_LABEL: &[u8] = b"primer loopback 1";
/// What TLS is asked to derive (RFC 8446, 7.5).
const EXPORTER_LABEL: &[u8] = b"EXPORTER-primer-proof-1";

/// The proofs of one side of one channel.
pub(crate) struct Proofs {
    secrets: Arc<[Secret]>,
    channel: Binding,
}

/// What stands for a channel.
enum Binding {
    /// Derived by TLS.
    Tls([u8; TAG_BYTES]),
    /// The dialler's address and the listener's; the nonces are in the claim.
    Loopback(SocketAddr, SocketAddr),
}

impl Proofs {
    /// On a loopback connection without TLS, from `dialler` to `listener`.
    pub(super) fn loopback(
        secrets: Arc<[Secret]>,
        dialler: SocketAddr,
        listener: SocketAddr,
    ) -> Self {
        Self {
            secrets,
            channel: Binding::Loopback(dialler, listener),
        }
    }

    /// In TLS. Errors: 599 when the TLS handshake is not done.
    pub(super) fn new(
        secrets: Arc<[Secret]>,
        cluster: ClusterId,
        connection: &Connection,
    ) -> Result<Self> {
        let context = cluster.0.to_le_bytes();
        let channel = connection
            .export_keying_material([0; TAG_BYTES], EXPORTER_LABEL, Some(&context))
            .map_err(|error| {
                Error::new(ErrorKind::Internal)
                    .because("no channel to prove on")
                    .with("cause", error)
            })?;
        Ok(Self {
            secrets,
            channel: Binding::Tls(channel),
        })
    }

    fn tag(&self, secret: &Secret, claim: &Claim) -> hmac::Tag {
        hmac::sign(&key(secret), &self.message(claim))
    }

    /// What is hashed: fields of fixed width in a fixed order.
    fn message(&self, claim: &Claim) -> Vec<u8> {
        let role = match claim.prover {
            Role::Dialler => 1,
            Role::Listener => 2,
        };
        let mut message = Vec::with_capacity(128);
        message.extend_from_slice(LABEL);
        message.push(role);
        message.extend_from_slice(&claim.dialler.0.to_le_bytes());
        message.extend_from_slice(&claim.listener.0.to_le_bytes());
        message.extend_from_slice(&claim.cluster.0.to_le_bytes());
        message.extend_from_slice(&claim.lane.to_le_bytes());
        message.extend_from_slice(&claim.pair.to_le_bytes());
        match &self.channel {
            Binding::Tls(channel) => message.extend_from_slice(channel),
            Binding::Loopback(dialler, listener) => {
                message.extend_from_slice(loopback(claim, *dialler, *listener).as_ref());
            }
        }
        message
    }
}

/// A loopback connection's 32 bytes.
fn loopback(claim: &Claim, dialler: SocketAddr, listener: SocketAddr) -> digest::Digest {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(LOOPBACK_LABEL);
    hash.update(&claim.dialler_nonce);
    hash.update(&claim.listener_nonce);
    for address in [dialler, listener] {
        let ip = match address.ip().to_canonical() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        hash.update(&ip.octets());
        hash.update(&address.port().to_le_bytes());
    }
    hash.finish()
}

fn key(secret: &Secret) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret.bytes())
}

impl Prover for Proofs {
    /// One HMAC a secret; nothing where no secret is held.
    fn prove(&self, claim: &Claim) -> Vec<u8> {
        if self.secrets.is_empty() {
            return Vec::new();
        }
        let mut proof = vec![0; SLOTS * TAG_BYTES];
        let mut secrets = self.secrets.iter();
        for slot in proof.chunks_exact_mut(TAG_BYTES) {
            match secrets.next() {
                Some(secret) => slot.copy_from_slice(self.tag(secret, claim).as_ref()),
                // Without chance the slot stays zero: it tells that it is unused, and no more.
                None => drop(getrandom::fill(slot)),
            }
        }
        proof
    }

    /// Every pair is compared, each in constant time, whatever the others said.
    fn judge(&self, claim: &Claim, proof: &[u8]) -> std::result::Result<(), Refused> {
        if self.secrets.is_empty() {
            // Certificates have said it all.
            return Ok(());
        }
        let mut is_proven = false;
        if proof.len() == SLOTS * TAG_BYTES {
            let message = self.message(claim);
            for secret in self.secrets.iter() {
                let key = key(secret);
                for slot in proof.chunks_exact(TAG_BYTES) {
                    is_proven |= hmac::verify(&key, &message, slot).is_ok();
                }
            }
        }
        if is_proven {
            return Ok(());
        }
        let error =
            Error::new(ErrorKind::ClusterMismatch).because("the secret is not this cluster's");
        Err(Refused::new(Why::Secret, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use primer_proto::base::MemberId;

    const ONE: &str = "8f14e45fceea167a5a36dedd4bea2543";
    const OTHER: &str = "c9f0f895fb98ab9159f51fd0297e236d";
    const THIRD: &str = "45c48cce2e2d7fbdea1afc51c7c6ad26";

    fn proofs(secrets: &str, channel: u8) -> Proofs {
        Proofs {
            secrets: Secret::list(secrets).into(),
            channel: Binding::Tls([channel; TAG_BYTES]),
        }
    }

    fn claim() -> Claim {
        Claim {
            prover: Role::Dialler,
            dialler: MemberId(1),
            listener: MemberId(2),
            cluster: ClusterId(3),
            lane: 0,
            pair: 4,
            dialler_nonce: vec![5; 32],
            listener_nonce: vec![6; 32],
        }
    }

    fn agrees(one: &Proofs, other: &Proofs) -> bool {
        other.judge(&claim(), &one.prove(&claim())).is_ok()
    }

    #[test]
    fn one_shared_secret_is_enough_in_any_place_of_the_list() {
        let lists = [
            ONE.to_string(),
            format!("{OTHER},{ONE}"),
            format!("{OTHER},{THIRD},{ONE}"),
        ];
        for one in &lists {
            for other in &lists {
                assert!(agrees(&proofs(one, 1), &proofs(other, 1)));
            }
        }
        assert!(!agrees(&proofs(ONE, 1), &proofs(OTHER, 1)));
        assert!(!agrees(
            &proofs(&format!("{ONE},{THIRD}"), 1),
            &proofs(OTHER, 1)
        ));
    }

    #[test]
    fn a_proof_is_for_one_claim_on_one_channel() {
        let (near, far) = (proofs(ONE, 1), proofs(ONE, 1));
        let proof = near.prove(&claim());
        assert!(far.judge(&claim(), &proof).is_ok());
        let others: [fn(&mut Claim); 6] = [
            |claim| claim.prover = Role::Listener,
            |claim| claim.dialler = MemberId(9),
            |claim| claim.listener = MemberId(9),
            |claim| claim.cluster = ClusterId(9),
            |claim| claim.lane = 1,
            |claim| claim.pair = 9,
        ];
        for change in others {
            let mut other = claim();
            change(&mut other);
            assert!(far.judge(&other, &proof).is_err(), "{other:?}");
        }
        assert!(proofs(ONE, 2).judge(&claim(), &proof).is_err());
    }

    #[test]
    fn a_proof_on_loopback_is_for_these_nonces_and_addresses() {
        let on = |dialler: &str, listener: &str| {
            let (dialler, listener) = (dialler.parse().unwrap(), listener.parse().unwrap());
            Proofs::loopback(Secret::list(ONE).into(), dialler, listener)
        };
        let (near, far) = ("127.0.0.1:7", "127.0.0.1:8");
        let proof = on(near, far).prove(&claim());
        assert!(on(near, far).judge(&claim(), &proof).is_ok());
        assert!(
            on("[::ffff:127.0.0.1]:7", far)
                .judge(&claim(), &proof)
                .is_ok()
        );
        // Somebody between them has a port of its own.
        for (dialler, listener) in [(near, "127.0.0.1:9"), ("127.0.0.1:9", far), (far, near)] {
            assert!(on(dialler, listener).judge(&claim(), &proof).is_err());
        }
        let others: [fn(&mut Claim); 3] = [
            |claim| claim.dialler_nonce[31] = 9,
            |claim| claim.listener_nonce[0] = 9,
            |claim| std::mem::swap(&mut claim.dialler_nonce, &mut claim.listener_nonce),
        ];
        for change in others {
            let mut other = claim();
            change(&mut other);
            assert!(on(near, far).judge(&other, &proof).is_err());
        }
    }

    #[test]
    fn a_changed_or_cut_proof_is_none() {
        let (near, far) = (proofs(ONE, 1), proofs(ONE, 1));
        let proof = near.prove(&claim());
        assert_eq!(proof.len(), 96);
        for byte in 0..TAG_BYTES {
            let mut changed = proof.clone();
            changed[byte] ^= 1;
            assert!(far.judge(&claim(), &changed).is_err(), "byte {byte}");
        }
        for length in 0..proof.len() {
            assert!(far.judge(&claim(), &proof[..length]).is_err());
        }
        assert!(far.judge(&claim(), &[0; 96]).is_err());
    }

    #[test]
    fn how_many_secrets_are_held_is_not_seen() {
        let one = proofs(ONE, 1).prove(&claim());
        let three = proofs(&format!("{ONE},{OTHER},{THIRD}"), 1).prove(&claim());
        assert_eq!(one.len(), three.len());
        assert_ne!(one[32..64], [0; 32]);
        assert_ne!(proofs(ONE, 1).prove(&claim()), one, "the rest is chance");
    }

    #[test]
    fn the_bytes_that_are_hashed_are_those_of_wire_md() {
        // Computed apart: hmac.new(secret, label + role + ids + cluster + lane + pair + channel).
        let tag = proofs(ONE, 1).tag(&Secret::from(ONE), &claim());
        let hex: String = tag
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            hex,
            "7fccdec9001df29f64dc5f5073c8f248c6355e8bc59c72c319a2fb06876bea05"
        );
    }

    #[test]
    fn who_holds_no_secret_asks_for_none() {
        let none = proofs("", 1);
        assert!(none.prove(&claim()).is_empty());
        assert!(none.judge(&claim(), &[]).is_ok());
        assert!(none.judge(&claim(), &[7; 96]).is_ok());
        assert!(!agrees(&none, &proofs(ONE, 1)));
    }
}
