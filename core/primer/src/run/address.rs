//! Which addresses may be used: any where the cluster has a secret or certificates, else loopback.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use primer_proto::{Error, ErrorKind, Result};

use super::discovery::name::{self, Name};

/// Addresses of one name that are tried.
const TARGETS_MAX: usize = 8;

/// An address as people write it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Address {
    /// An IP address and a port.
    Socket(SocketAddr),
    /// A host's name and a port.
    Name(Name),
}

/// The address in `text`, "host:port". A host is an IP address, `localhost`, which is 127.0.0.1, or,
/// where `is_trusted`, a name. `option` names where the text came from.
///
/// Errors: 101 for what is no address, 106 for one that is not on this machine where nothing says
/// whom to trust.
pub(crate) fn parse(option: &'static str, text: &str, is_trusted: bool) -> Result<Address> {
    let address = read(option, text)?;
    let is_near = match &address {
        Address::Socket(address) => is_loopback(address.ip()),
        Address::Name(_) => false,
    };
    if is_near || is_trusted {
        return Ok(address);
    }
    Err(Error::new(ErrorKind::Unsupported)
        .because("other machines need a secret: set `secret` (openssl rand -base64 32) on every member, or tls_ca, tls_cert and tls_key")
        .with(option, shorten(text)))
}

fn read(option: &'static str, text: &str) -> Result<Address> {
    let wrong = |reason: &str| {
        Error::new(ErrorKind::InvalidArgument)
            .because(reason)
            .with(option, shorten(text))
    };
    if let Ok(address) = text.parse() {
        return Ok(Address::Socket(address));
    }
    let (host, port) = text
        .rsplit_once(':')
        .ok_or_else(|| wrong("an address is host:port"))?;
    let port: u16 = port
        .parse()
        .map_err(|_| wrong("an address ends in a port from 0 to 65535"))?;
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(Address::Socket((Ipv4Addr::LOCALHOST, port).into()));
    }
    Name::parse(text)
        .map(Address::Name)
        .ok_or_else(|| wrong("an address is host:port"))
}

/// As [`parse`], for an address to connect to. Errors: also 101 for port 0.
pub(crate) fn parse_remote(option: &'static str, text: &str, is_trusted: bool) -> Result<Address> {
    let address = parse(option, text, is_trusted)?;
    let leads_nowhere = match &address {
        Address::Socket(address) => address.port() == 0,
        Address::Name(name) => name.leads_nowhere(),
    };
    if leads_nowhere {
        return Err(Error::new(ErrorKind::InvalidArgument)
            .because("nobody can be reached at port 0")
            .with(option, shorten(text)));
    }
    Ok(address)
}

/// Where to connect for `text`: what a name leads to now, at most a few.
/// Errors: those of [`parse_remote`], and 202 for a name that leads nowhere.
pub(crate) async fn resolve(
    option: &'static str,
    text: &str,
    is_trusted: bool,
) -> Result<Vec<SocketAddr>> {
    match parse_remote(option, text, is_trusted)? {
        Address::Socket(address) => Ok(vec![address]),
        Address::Name(name) => {
            let mut targets = name::resolve(&name).await?;
            targets.truncate(TARGETS_MAX);
            Ok(targets)
        }
    }
}

/// Whether that is this machine and no other.
pub(crate) fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

fn shorten(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number<T: std::fmt::Debug>(answer: Result<T>) -> u16 {
        answer.unwrap_err().number()
    }

    #[test]
    fn loopback_addresses_are_read() {
        let read = |text| match parse("listen", text, false).unwrap() {
            Address::Socket(address) => address.to_string(),
            Address::Name(_) => panic!("{text} is no name"),
        };
        assert_eq!(read("127.0.0.1:0"), "127.0.0.1:0");
        assert_eq!(read("127.8.7.6:99"), "127.8.7.6:99");
        assert_eq!(read("[::1]:5"), "[::1]:5");
        assert_eq!(read("LocalHost:7"), "127.0.0.1:7");
        assert_eq!(number(parse_remote("seeds", "localhost:0", false)), 101);
        assert_eq!(number(parse_remote("seeds", "example.org:0", true)), 101);
    }

    #[test]
    fn other_machines_need_trust_and_nonsense_is_an_error() {
        for foreign in [
            "0.0.0.0:1",
            "10.0.0.1:1",
            "[::]:1",
            "example.org:80",
            "a_b.c:1",
        ] {
            let error = parse("seeds", foreign, false).unwrap_err();
            assert_eq!(error.number(), 106, "{foreign}");
            assert!(error.to_string().contains("openssl rand"), "{error}");
            assert!(parse("seeds", foreign, true).is_ok(), "{foreign}");
        }
        for nonsense in [
            "",
            ":1",
            "x",
            "127.0.0.1",
            "127.0.0.1:65536",
            "a b:1",
            "a..b:1",
            "localhost:-1",
        ] {
            for is_trusted in [false, true] {
                let read = parse("seeds", nonsense, is_trusted);
                assert_eq!(number(read), 101, "{nonsense}");
            }
        }
    }

    #[tokio::test]
    async fn an_address_is_its_own_target_and_a_name_is_looked_up() {
        let targets = resolve("address", "10.0.0.1:80", true).await.unwrap();
        assert_eq!(targets, ["10.0.0.1:80".parse().unwrap()]);
        assert_eq!(number(resolve("address", "10.0.0.1:80", false).await), 106);
        // Never a name (RFC 6761), whatever the resolver says.
        assert_eq!(
            number(resolve("address", "nobody.invalid:80", true).await),
            202
        );
    }
}
