//! What the machine itself can do.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use crate::{BODY, Outcome};

/// Median round trip of 100 bytes over loopback TCP, one at a time, in microseconds.
pub fn round_trip(count: usize) -> Outcome<f64> {
    measure_round_trip(count).map_err(|error| error.to_string())
}

fn measure_round_trip(count: usize) -> std::io::Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let echo = std::thread::spawn(move || -> std::io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let mut buffer = [0; BODY];
        while stream.read_exact(&mut buffer).is_ok() {
            stream.write_all(&buffer)?;
        }
        Ok(())
    });
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut buffer = [1; BODY];
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let begun = Instant::now();
        stream.write_all(&buffer)?;
        stream.read_exact(&mut buffer)?;
        times.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    drop(stream);
    let _ = echo.join();
    Ok(crate::row::median(times))
}

/// Messages a second through a bounded channel between two threads.
pub fn channel(count: usize) -> Outcome<f64> {
    let (sender, receiver) = sync_channel::<Box<[u8]>>(1_000);
    let begun = Instant::now();
    let feeder =
        std::thread::spawn(move || (0..count).all(|_| sender.send(Box::new([0; BODY])).is_ok()));
    let received = receiver.iter().count();
    let took = begun.elapsed().as_secs_f64();
    if received != count || feeder.join().is_err() {
        return Err("the channel lost something".into());
    }
    Ok(count as f64 / took)
}
