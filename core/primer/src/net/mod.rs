//! Sockets: who may connect, what a link is, and how frames get onto it.
//!
//! A link to another member is two TCP connections, so that a body on its way never delays an ack
//! ([`link`], [`lane`]). [`listen`] takes strangers in ([`lobby`] bounds them, [`refusals`] tells of
//! them), [`dial`] goes out, both by [`handshake`] on a [`channel`]. Each direction of a link is a
//! [`half`], plain between processes of one machine and else in TLS ([`tls`]).

pub(crate) mod channel;
pub(crate) mod counters;
pub(crate) mod dial;
pub(crate) mod half;
pub(crate) mod handshake;
pub(crate) mod lane;
pub(crate) mod link;
pub(crate) mod listen;
pub(crate) mod lobby;
pub(crate) mod refusals;
pub(crate) mod tls;

use std::sync::Arc;
use std::time::Duration;

use primer_proto::base::limits;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::run::driver::Driver;
use crate::run::runtime;
use link::Link;
use refusals::Refusals;

/// What other threads ask of the one with the sockets.
pub(crate) enum Order {
    /// Connect to that address.
    Dial(String),
    /// Flush and end.
    Close,
}

/// Everything that the member's thread does until it is told to close.
pub(crate) async fn serve(
    driver: Arc<Driver>,
    listener: Option<TcpListener>,
    mut orders: mpsc::UnboundedReceiver<Order>,
) {
    let mut tasks = JoinSet::new();
    let refusals = Arc::<Refusals<String>>::default();
    tasks.spawn(runtime::keep_time(driver.clone()));
    if let Some(listener) = listener {
        tasks.spawn(listen::accept(driver.clone(), listener));
    }
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Dial(address)) => {
                    tasks.spawn(dial::dial(driver.clone(), refusals.clone(), address));
                }
                Some(Order::Close) | None => break,
            },
            // Finished dials are collected as they end.
            Some(ended) = tasks.join_next() => {
                report(ended);
            }
        }
    }
    hang_up(&driver.links()).await;
}

/// Tells of a task that panicked: its connection is gone, everything else goes on.
/// Answers what the others ended with.
pub(crate) fn report<T>(ended: Result<T, tokio::task::JoinError>) -> Option<T> {
    match ended {
        Ok(end) => Some(end),
        Err(error) => {
            if error.is_panic() {
                tracing::error!(%error, "a connection's task panicked");
            }
            None
        }
    }
}

/// Hangs up on every link: what is queued is written, for `limits::FLUSH_MS` at most.
async fn hang_up(links: &[Arc<Link>]) {
    for link in links {
        link.hang_up();
    }
    let until = Instant::now() + Duration::from_millis(limits::FLUSH_MS);
    for link in links {
        if timeout_at(until, link.over()).await.is_err() {
            return;
        }
    }
}
