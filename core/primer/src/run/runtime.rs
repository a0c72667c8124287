//! The thread of a member, `primer-io`: sockets and the timer, on a runtime of its own. (A member with a
//! directory has another one, for the disk.)
//!
//! The runtime is made, used and dropped on that thread, so no host thread ever drops one.

use std::cell::Cell;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::time::{Duration, Instant};

use primer_proto::{Error, ErrorKind, Result};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use super::discovery::Discovery;
use super::driver::Driver;
use crate::net::{self, Order};

thread_local! {
    static IS_IO_THREAD: Cell<bool> = const { Cell::new(false) };
}

/// How long the timer sleeps at most, so that the wall clock is read again now and then.
const NAP: Duration = Duration::from_secs(60);

/// Names that are looked up at a time; the others wait. Guess.
const LOOKUPS_MAX: usize = 4;

/// True on a `primer-io` thread: whoever blocks there waits for itself.
pub(crate) fn is_io_thread() -> bool {
    // False while the thread's own values are being destroyed: nothing of ours runs there then.
    IS_IO_THREAD.try_with(Cell::get).unwrap_or(false)
}

/// The error of a blocking call on a `primer-io` thread.
pub(crate) fn would_deadlock() -> Error {
    Error::new(ErrorKind::Unsupported).because("a blocking call on one of Primer's own threads")
}

/// Starts the thread and waits until it is ready to serve. Errors: 502.
pub(crate) fn start(
    driver: &Arc<Driver>,
    listener: Option<TcpListener>,
    discovery: Discovery,
    orders: mpsc::UnboundedReceiver<Order>,
) -> Result<()> {
    let (ready, is_ready) = std_mpsc::sync_channel(1);
    let own = driver.clone();
    let thread = std::thread::Builder::new()
        .name("primer-io".into())
        .spawn(move || run(&own, listener, discovery, orders, &ready))
        .map_err(|error| refused("cannot start a thread", &error))?;
    driver.own_thread(thread);
    is_ready.recv().unwrap_or_else(|_| {
        Err(Error::new(ErrorKind::Internal).because("the thread ended before it began"))
    })
}

fn run(
    driver: &Arc<Driver>,
    listener: Option<TcpListener>,
    discovery: Discovery,
    orders: mpsc::UnboundedReceiver<Order>,
    ready: &std_mpsc::SyncSender<Result<()>>,
) {
    IS_IO_THREAD.set(true);
    let _over = Over(driver);
    let prepared = prepare(listener).and_then(|prepared| {
        driver.start_saving()?;
        Ok(prepared)
    });
    let (runtime, listener) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    let _ = ready.send(Ok(()));
    runtime.spawn(discovery.run(driver.clone()));
    runtime.block_on(net::serve(driver.clone(), listener, orders));
    // Ends every task. A name that the resolver still asks for is not waited for: it may take long.
    runtime.shutdown_background();
}

fn prepare(listener: Option<TcpListener>) -> Result<(Runtime, Option<tokio::net::TcpListener>)> {
    let runtime = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        // For names alone.
        .max_blocking_threads(LOOKUPS_MAX)
        .build()
        .map_err(|error| refused("cannot start the runtime", &error))?;
    let _entered = runtime.enter();
    let listener = match listener {
        None => None,
        Some(listener) => Some(
            tokio::net::TcpListener::from_std(listener)
                .map_err(|error| refused("cannot listen", &error))?,
        ),
    };
    drop(_entered);
    Ok((runtime, listener))
}

/// Says that the thread is over, whichever way it ends.
struct Over<'a>(&'a Arc<Driver>);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let error = Error::new(ErrorKind::Internal).because("the member's thread panicked");
            self.0.shut(&error);
        }
        self.0.release_home();
        self.0.over();
    }
}

/// Wakes the engine whenever its time has come, for ever.
pub(crate) async fn keep_time(driver: Arc<Driver>) {
    loop {
        let nap = Instant::now() + NAP;
        let until = driver.wake().map_or(nap, |at| at.min(nap));
        tokio::select! {
            () = tokio::time::sleep_until(until.into()) => {}
            () = driver.alarmed() => {}
        }
    }
}

/// 502 with what the operating system said.
pub(crate) fn refused(what: &str, cause: &std::io::Error) -> Error {
    Error::new(ErrorKind::Io).because(what).with("cause", cause)
}
