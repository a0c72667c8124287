//! The address that others are told, where a member listens on every address of its machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Addresses that documentation uses: no packet is sent, only the way there is looked up.
const FAR_V4: (IpAddr, u16) = (IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9);
const FAR_V6: (IpAddr, u16) = (
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
    9,
);

/// `bound` as others can dial it: "every address" would lead each of them to itself, so it becomes
/// the one that packets leave by, which in a container is the container's own. Loopback where there
/// is no way out.
pub(crate) fn told(bound: SocketAddr) -> SocketAddr {
    if !bound.ip().is_unspecified() {
        return bound;
    }
    let (here, far, alone): (SocketAddr, _, IpAddr) = match bound {
        SocketAddr::V4(_) => (
            (Ipv4Addr::UNSPECIFIED, 0).into(),
            FAR_V4,
            Ipv4Addr::LOCALHOST.into(),
        ),
        SocketAddr::V6(_) => (
            (Ipv6Addr::UNSPECIFIED, 0).into(),
            FAR_V6,
            Ipv6Addr::LOCALHOST.into(),
        ),
    };
    let way = UdpSocket::bind(here).and_then(|socket| {
        socket.connect(far)?;
        socket.local_addr()
    });
    let ip = way.map_or(alone, |address| address.ip());
    SocketAddr::new(if ip.is_unspecified() { alone } else { ip }, bound.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_listens_everywhere_tells_one_address() {
        let bound = "127.0.0.1:70".parse().unwrap();
        assert_eq!(told(bound), bound);
        for everywhere in ["0.0.0.0:70", "[::]:70"] {
            let address = told(everywhere.parse().unwrap());
            assert!(!address.ip().is_unspecified(), "{address}");
            assert_eq!(address.port(), 70);
        }
    }
}
