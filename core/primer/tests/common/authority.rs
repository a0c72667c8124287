//! A certificate authority for one test, and the files it hands out.
//!
//! The certificates are written byte by byte (DER, RFC 5280): a handful of fields, Ed25519 keys.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use primer_proto::base::{ClusterId, MemberId};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};

/// An authority whose files lie in a directory that goes with it.
pub struct Authority {
    directory: PathBuf,
    key: Key,
}

/// Paths of one member's files.
#[derive(Clone)]
pub struct Files {
    pub ca: String,
    pub cert: String,
    pub key: String,
}

struct Key {
    pair: Ed25519KeyPair,
    pkcs8: Vec<u8>,
}

impl Key {
    fn new() -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pkcs8 = document.as_ref().to_vec();
        let pair = Ed25519KeyPair::from_pkcs8(&pkcs8).unwrap();
        Self { pair, pkcs8 }
    }
}

impl Authority {
    pub fn new() -> Self {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let name = format!("primer-authority-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir(&directory).unwrap();
        let key = Key::new();
        // Basic constraints, critical: it is an authority.
        let is_ca = sequence(&[&der(1, &[0xff])]);
        let extension = sequence(&[&der(6, &[85, 29, 19]), &der(1, &[0xff]), &der(4, &is_ca)]);
        let root = certificate("authority", &key, "authority", &key, &extension);
        fs::write(directory.join("ca.pem"), pem("CERTIFICATE", &root)).unwrap();
        Self { directory, key }
    }

    /// A certificate with that URI, or that DNS name, and its key in files called `file`.
    pub fn issue(&self, file: &str, name: &str) -> Files {
        self.issue_with(file, name, "member")
    }

    /// As [`Authority::issue`], with a subject.
    pub fn issue_with(&self, file: &str, name: &str, subject: &str) -> Files {
        let key = Key::new();
        let tag = if name.contains("://") { 0x86 } else { 0x82 };
        let names = sequence(&[&der(tag, name.as_bytes())]);
        let extension = sequence(&[&der(6, &[85, 29, 17]), &der(4, &names)]);
        let certificate = certificate(subject, &key, "authority", &self.key, &extension);
        let path = |end: &str| self.directory.join(format!("{file}.{end}"));
        fs::write(path("pem"), pem("CERTIFICATE", &certificate)).unwrap();
        fs::write(path("key"), pem("PRIVATE KEY", &key.pkcs8)).unwrap();
        fs::set_permissions(path("key"), fs::Permissions::from_mode(0o600)).unwrap();
        let text = |path: PathBuf| path.to_str().unwrap().to_string();
        Files {
            ca: text(self.directory.join("ca.pem")),
            cert: text(path("pem")),
            key: text(path("key")),
        }
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// `subject`'s certificate by `issuer`, with one extension.
fn certificate(subject: &str, key: &Key, issuer: &str, by: &Key, extension: &[u8]) -> Vec<u8> {
    let ed25519 = sequence(&[&der(6, &[43, 101, 112])]);
    let name = |text: &str| {
        let common = sequence(&[&der(6, &[85, 4, 3]), &der(12, text.as_bytes())]);
        sequence(&[&der(0x31, &common)])
    };
    let validity = sequence(&[&der(23, b"200101000000Z"), &der(24, b"21200101000000Z")]);
    let public = sequence(&[&ed25519, &bits(key.pair.public_key().as_ref())]);
    let tbs = sequence(&[
        &der(0xa0, &der(2, &[2])),
        &der(2, &[1]),
        &ed25519,
        &name(issuer),
        &validity,
        &name(subject),
        &public,
        &der(0xa3, &sequence(&[extension])),
    ]);
    let signature = by.pair.sign(&tbs);
    sequence(&[&tbs, &ed25519, &bits(signature.as_ref())])
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let head = match length {
        [0, short @ 0..=127] => vec![tag, short],
        [high, low] => vec![tag, 0x82, high, low],
    };
    // Lengths from 128 to 255 have a shorter form, and no other.
    let head = match head[..] {
        [tag, 0x82, 0, low] => vec![tag, 0x81, low],
        _ => head,
    };
    [&head, content].concat()
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    der(0x30, &parts.concat())
}

fn bits(content: &[u8]) -> Vec<u8> {
    der(3, &[&[0], content].concat())
}

fn pem(label: &str, bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = format!("-----BEGIN {label}-----\n");
    for (index, three) in bytes.chunks(3).enumerate() {
        if index > 0 && index % 16 == 0 {
            text.push('\n');
        }
        let mut word = [0; 4];
        word[1..=three.len()].copy_from_slice(three);
        let word = u32::from_be_bytes(word);
        for place in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * place)) as usize & 63];
            text.push(if place > three.len() {
                '='
            } else {
                digit.into()
            });
        }
    }
    text + &format!("\n-----END {label}-----\n")
}

/// The cluster of that name.
pub fn cluster_id(name: &str) -> ClusterId {
    let hash = blake3::hash(name.as_bytes());
    ClusterId(u128::from_le_bytes(*hash.as_bytes().first_chunk().unwrap()))
}

/// The member of that name.
pub fn member_id(cluster: ClusterId, name: &str) -> MemberId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&cluster.0.to_le_bytes());
    hasher.update(name.as_bytes());
    let hash = hasher.finalize();
    MemberId(u128::from_le_bytes(*hash.as_bytes().first_chunk().unwrap()))
}
