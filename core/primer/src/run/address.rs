//! Which addresses may be used: loopback only, until links are encrypted and proven.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use primer_proto::{Error, ErrorKind, Result};

/// The address in `text`, "host:port". A host is an IP address or `localhost`, which is 127.0.0.1.
/// `option` names where the text came from.
///
/// Errors: 101 for what is no address, 106 for one that is not on this machine.
pub(crate) fn parse(option: &'static str, text: &str) -> Result<SocketAddr> {
    let wrong = |reason: &str| {
        let shown: String = text.chars().take(100).collect();
        Error::new(ErrorKind::InvalidArgument)
            .because(reason)
            .with(option, shown)
    };
    let foreign = || {
        let shown: String = text.chars().take(100).collect();
        Error::new(ErrorKind::Unsupported)
            .because("only loopback addresses until links have TLS and the cluster a secret")
            .with(option, shown)
    };
    if let Ok(address) = text.parse::<SocketAddr>() {
        return if is_loopback(address.ip()) {
            Ok(address)
        } else {
            Err(foreign())
        };
    }
    let (host, port) = text
        .rsplit_once(':')
        .ok_or_else(|| wrong("an address is host:port"))?;
    let port: u16 = port
        .parse()
        .map_err(|_| wrong("an address ends in a port from 0 to 65535"))?;
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    let is_name = !host.is_empty()
        && host.split('.').all(|label| {
            !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        });
    Err(if is_name {
        foreign()
    } else {
        wrong("an address is host:port")
    })
}

/// As [`parse`], for an address to connect to. Errors: also 101 for port 0.
pub(crate) fn parse_remote(option: &'static str, text: &str) -> Result<SocketAddr> {
    let address = parse(option, text)?;
    if address.port() == 0 {
        return Err(Error::new(ErrorKind::InvalidArgument)
            .because("nobody can be reached at port 0")
            .with(option, text));
    }
    Ok(address)
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_addresses_are_read() {
        let read = |text| parse("listen", text).unwrap().to_string();
        assert_eq!(read("127.0.0.1:0"), "127.0.0.1:0");
        assert_eq!(read("127.8.7.6:99"), "127.8.7.6:99");
        assert_eq!(read("[::1]:5"), "[::1]:5");
        assert_eq!(read("LocalHost:7"), "127.0.0.1:7");
        assert_eq!(
            parse_remote("seeds", "localhost:0").unwrap_err().number(),
            101
        );
    }

    #[test]
    fn other_machines_are_unsupported_and_nonsense_is_an_error() {
        let number = |text: &str| parse("seeds", text).unwrap_err().number();
        for foreign in ["0.0.0.0:1", "10.0.0.1:1", "[::]:1", "example.org:80"] {
            assert_eq!(number(foreign), 106, "{foreign}");
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
            assert_eq!(number(nonsense), 101, "{nonsense}");
        }
    }
}
