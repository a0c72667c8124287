//! A relay between a member and another: it passes bytes on and keeps what it saw.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What one connection carried.
#[derive(Default)]
pub struct Seen {
    /// From the one that connected.
    pub there: Mutex<Vec<u8>>,
    /// From the one that was connected to.
    pub back: Mutex<Vec<u8>>,
}

/// A relay to one address. Its threads end with the connections.
pub struct Relay {
    address: String,
    seen: Arc<Mutex<Vec<Arc<Seen>>>>,
}

impl Relay {
    /// Passes on to `target`.
    pub fn to(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen = Arc::<Mutex<Vec<Arc<Seen>>>>::default();
        let all = seen.clone();
        thread::spawn(move || {
            for near in listener.incoming() {
                let (Ok(near), Ok(far)) = (near, TcpStream::connect(&target)) else {
                    return;
                };
                let one = Arc::<Seen>::default();
                all.lock().unwrap().push(one.clone());
                let (near_too, far_too) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                let other = one.clone();
                thread::spawn(move || {
                    pass(near, far, |bytes| one.there.lock().unwrap().extend(bytes))
                });
                thread::spawn(move || {
                    pass(far_too, near_too, |bytes| {
                        other.back.lock().unwrap().extend(bytes)
                    });
                });
            }
        });
        Self { address, seen }
    }

    /// Where to connect.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Every connection, the oldest first.
    pub fn seen(&self) -> Vec<Arc<Seen>> {
        self.seen.lock().unwrap().clone()
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, mut see: impl FnMut(&[u8])) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        see(&buffer[..read]);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
