//! What the integration tests share.
#![allow(dead_code, reason = "each test program uses some of it")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use primer::{Delivery, Discover, Options, Primer, Queue, ReceiveOptions};

/// Longer than anything that works takes.
pub const LIMIT: Duration = Duration::from_secs(20);

/// A member alone, without a socket.
pub fn lone() -> Primer {
    Options::default().open_blocking().unwrap()
}

/// Of `cluster`, and never meeting anyone by its name: tests run side by side.
pub fn options(cluster: &str) -> Options {
    Options::new(cluster).discover(Discover::None)
}

/// A member of `cluster`, with `seed` if there is one.
pub fn member(cluster: &str, seed: Option<&Primer>) -> Primer {
    let mut options = options(cluster);
    if let Some(seed) = seed {
        options = options.seed(seed.address().unwrap());
    }
    options.open_blocking().unwrap()
}

/// Waits until `is_so`, by asking; panics with `what` after a generous time.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < end, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until `primer` sees exactly `count` members that it can reach.
pub fn sees(primer: &Primer, count: usize) {
    until("the members are seen", || {
        let members = primer.members().unwrap();
        members.len() == count && members.iter().all(|member| member.is_reachable)
    });
}

/// One message, waiting for it.
pub fn receive(queue: &Queue) -> Delivery {
    let options = ReceiveOptions {
        wait: LIMIT,
        ..ReceiveOptions::default()
    };
    queue.receive(&options).wait().unwrap().remove(0)
}

/// What is there now.
pub fn peek(queue: &Queue) -> Vec<Delivery> {
    queue.receive(&ReceiveOptions::default()).wait().unwrap()
}

/// The smallest executor there is: no runtime, one thread that parks.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}
