//! Names that stand for addresses, as Kubernetes gives a headless service: one name, every member.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use primer_proto::base::limits;
use primer_proto::{Error, ErrorKind, Result};
use tokio::net::lookup_host;
use tokio::time::timeout;

/// Guess: a resolver that tries two servers twice takes about as long.
const LOOKUP_MAX: Duration = Duration::from_secs(10);
/// Longest name, without its last dot (RFC 1035).
const NAME_BYTES_MAX: usize = 253;
/// Longest part of a name.
const LABEL_BYTES_MAX: usize = 63;

/// A host's name and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    host: String,
    port: u16,
}

impl Name {
    /// The name in `text`, "host:port"; none when that is an address, or neither. `localhost` is no
    /// name but 127.0.0.1 (`run::address`).
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok()?;
        let labels = host.strip_suffix('.').unwrap_or(host);
        let last = labels.rsplit('.').next().unwrap_or_default();
        let is_name = labels.len() <= NAME_BYTES_MAX
            && labels.split('.').all(is_label)
            // Else it is an IPv4 address, or what old resolvers take for one.
            && !last.chars().all(|digit| digit.is_ascii_digit())
            && !host.eq_ignore_ascii_case("localhost");
        is_name.then(|| Self {
            host: host.into(),
            port,
        })
    }

    /// True for port 0, at which nobody can be reached.
    pub(crate) fn leads_nowhere(&self) -> bool {
        self.port == 0
    }
}

/// Underscores are no host's by the book, and common in the names of containers.
fn is_label(label: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !label.is_empty()
        && label.len() <= LABEL_BYTES_MAX
        && label.chars().all(is_letter)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Every address that the name leads to, each once, in a stable order.
pub(super) async fn lookup(name: &Name) -> Result<Vec<SocketAddr>> {
    let mut found = resolve(name).await?;
    found.sort_unstable();
    found.truncate(limits::MEMBERS_MAX);
    Ok(found)
}

/// Every address that the name leads to, each once, in the resolver's order of preference. Asks the
/// operating system on a thread for such things. Errors: 202 when it knows none, or not in time.
pub(crate) async fn resolve(name: &Name) -> Result<Vec<SocketAddr>> {
    let unknown = |reason: &str| {
        Error::new(ErrorKind::Unreachable)
            .because(reason)
            .with("name", name)
    };
    let found = match timeout(LOOKUP_MAX, lookup_host((name.host.as_str(), name.port))).await {
        Err(_) => return Err(unknown("the name was not resolved in time")),
        Ok(Err(error)) => {
            return Err(unknown("the name does not resolve").with("cause", error));
        }
        Ok(Ok(found)) => found,
    };
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found {
        let ip: IpAddr = address.ip().to_canonical();
        let address = SocketAddr::new(ip, address.port());
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(unknown("the name leads nowhere"));
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_addresses_and_nonsense() {
        for text in [
            "db.internal:7000",
            "primer.default.svc.cluster.local:7000",
            "till:1",
            "till.:1",
            "my_service:1",
            "3com.com:1",
        ] {
            assert_eq!(Name::parse(text).unwrap().to_string(), text);
        }
        let long = format!("{}:1", "a".repeat(64));
        let longer = format!("{}ab:1", "abc.".repeat(63));
        for text in [
            "",
            "till",
            ":1",
            "till:",
            "till:65536",
            "1.2.3.4:5",
            "[::1]:5",
            "::1:5",
            "1.2.3:4",
            "77:4",
            "localhost:1",
            "LocalHost:1",
            "a..b:1",
            ".:1",
            "-a:1",
            "a-:1",
            "a b:1",
            "ä:1",
            &long,
            &longer,
        ] {
            assert_eq!(Name::parse(text), None, "{text}");
        }
    }

    #[tokio::test]
    async fn a_name_that_does_not_exist_is_nobody() {
        // Reserved for this by RFC 6761: no resolver knows it, whether there is one or not.
        let name = Name::parse("nobody.invalid:1").unwrap();
        assert_eq!(lookup(&name).await.unwrap_err().number(), 202);
    }
}
