//! JetStream with three replicas in memory, in the same run: `nats-server` from PATH or NATS_SERVER.

use std::future::IntoFuture;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use async_nats::jetstream::{self, stream};
use futures::StreamExt;
use futures::stream::FuturesUnordered;

use crate::{BODY, Outcome};

/// Three servers, their folders and a client.
pub struct Nats {
    servers: Vec<Child>,
    folder: std::path::PathBuf,
    runtime: tokio::runtime::Runtime,
    context: jetstream::Context,
}

impl Nats {
    /// Starts the servers, if there is a `nats-server`, and waits until a stream can be made.
    pub fn start() -> Outcome<Option<Self>> {
        let program = std::env::var("NATS_SERVER").unwrap_or_else(|_| "nats-server".into());
        if Command::new(&program)
            .arg("--version")
            .stdout(Stdio::null())
            .status()
            .is_err()
        {
            return Ok(None);
        }
        let folder = std::env::temp_dir().join(format!("primer-bench-nats-{}", std::process::id()));
        let ports = free_ports(6)?;
        let (clients, routes) = ports.split_at(3);
        let peers: Vec<String> = routes
            .iter()
            .map(|port| format!("nats://127.0.0.1:{port}"))
            .collect();
        let mut servers = Vec::new();
        for (index, (client, route)) in clients.iter().zip(routes).enumerate() {
            let mut command = Command::new(&program);
            command.args(["-a", "127.0.0.1", "-p", &client.to_string(), "-js"]);
            command.arg("-sd").arg(folder.join(index.to_string()));
            command.args(["--name", &format!("n{index}"), "--cluster_name", "bench"]);
            command.args(["--cluster", &format!("nats://127.0.0.1:{route}")]);
            command.args(["--routes", &peers.join(",")]);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            servers.push(command.spawn().map_err(text)?);
        }
        let runtime = tokio::runtime::Runtime::new().map_err(text)?;
        let address = format!("127.0.0.1:{}", clients.first().copied().unwrap_or_default());
        let context = runtime.block_on(connect(&address))?;
        Ok(Some(Self {
            servers,
            folder,
            runtime,
            context,
        }))
    }

    /// Publishes with up to `window` under way, every one acknowledged; messages a second.
    pub fn windowed(&self, bytes: usize, window: usize, count: usize) -> Outcome<f64> {
        self.runtime.block_on(async {
            make_stream(&self.context).await?;
            let begun = Instant::now();
            publish(&self.context, bytes, window, count).await?;
            Ok(count as f64 / begun.elapsed().as_secs_f64())
        })
    }

    /// One message at a time; the median in microseconds.
    pub fn latency(&self, count: usize) -> Outcome<f64> {
        self.runtime.block_on(async {
            make_stream(&self.context).await?;
            let mut times = Vec::with_capacity(count);
            for _ in 0..count {
                let begun = Instant::now();
                publish(&self.context, BODY, 1, 1).await?;
                times.push(begun.elapsed().as_secs_f64() * 1e6);
            }
            times.sort_by(f64::total_cmp);
            Ok(times.get(count / 2).copied().unwrap_or_default())
        })
    }

    /// The same as [`Nats::windowed`] while a pull consumer fetches and acks all of it; messages a second.
    pub fn through(&self, window: usize, count: usize) -> Outcome<f64> {
        self.runtime.block_on(async {
            make_stream(&self.context).await?;
            let stream = self.context.get_stream("BENCH").await.map_err(text)?;
            let config = jetstream::consumer::pull::Config {
                durable_name: Some("bench".into()),
                max_ack_pending: 10_000,
                ..Default::default()
            };
            let consumer = stream.create_consumer(config).await.map_err(text)?;
            let begun = Instant::now();
            let context = self.context.clone();
            let producer =
                tokio::spawn(async move { publish(&context, BODY, window, count).await });
            let mut messages = consumer.messages().await.map_err(text)?;
            for _ in 0..count {
                let message = messages.next().await.ok_or("the consumer ended")?;
                message.map_err(text)?.ack().await.map_err(text)?;
            }
            producer.await.map_err(text)??;
            Ok(count as f64 / begun.elapsed().as_secs_f64())
        })
    }
}

async fn publish(
    context: &jetstream::Context,
    bytes: usize,
    window: usize,
    count: usize,
) -> Outcome<()> {
    let payload = primer::Bytes::from(vec![b'x'; bytes]);
    let mut under_way = FuturesUnordered::new();
    for _ in 0..count {
        let sent = context.publish("bench", payload.clone()).await;
        under_way.push(sent.map_err(text)?.into_future());
        if under_way.len() >= window {
            under_way.next().await.transpose().map_err(text)?;
        }
    }
    while let Some(answer) = under_way.next().await {
        answer.map_err(text)?;
    }
    Ok(())
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

async fn connect(address: &str) -> Outcome<jetstream::Context> {
    let mut last = String::new();
    for _ in 0..200 {
        match async_nats::connect(address).await {
            Ok(client) => {
                let context = jetstream::new(client);
                match make_stream(&context).await {
                    Ok(()) => return Ok(context),
                    Err(why) => last = why,
                }
            }
            Err(error) => last = error.to_string(),
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    Err(last)
}

async fn make_stream(context: &jetstream::Context) -> Outcome<()> {
    // Absent in the first round.
    let _ = context.delete_stream("BENCH").await;
    let config = stream::Config {
        name: "BENCH".into(),
        subjects: vec!["bench".into()],
        storage: stream::StorageType::Memory,
        num_replicas: 3,
        ..stream::Config::default()
    };
    context.create_stream(config).await.map(drop).map_err(text)
}

fn free_ports(count: usize) -> Outcome<Vec<u16>> {
    let listeners: Result<Vec<_>, _> = (0..count)
        .map(|_| std::net::TcpListener::bind("127.0.0.1:0"))
        .collect();
    let listeners = listeners.map_err(text)?;
    let ports = listeners
        .iter()
        .map(|listener| listener.local_addr().map(|address| address.port()));
    ports.collect::<Result<_, _>>().map_err(text)
}

impl Drop for Nats {
    fn drop(&mut self) {
        for server in &mut self.servers {
            let _ = server.kill();
            let _ = server.wait();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
