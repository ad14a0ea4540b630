//! Ports of this machine that nobody else of the tests takes while they are held.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

/// Below the ports that the kernel gives to outgoing connections, so that none of them sits on a port of ours while its owner
/// is dead for a moment.
const FIRST: u16 = 20_000;
const LAST: u16 = 32_000;

/// A TCP port on loopback that is free, and kept from other tests by a UDP socket of the same number.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _reserved: UdpSocket,
}

impl Port {
    /// Finds one.
    ///
    /// # Panics
    /// When none is free.
    #[must_use]
    pub fn free() -> Self {
        let start = u16::try_from(std::process::id() % u32::from(LAST - FIRST)).expect("the remainder is small");
        for step in 0..LAST - FIRST {
            let number = FIRST + (start.wrapping_add(step.wrapping_mul(7))) % (LAST - FIRST);
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, number));
            let Ok(reserved) = UdpSocket::bind(address) else { continue };
            if TcpListener::bind(address).is_ok() {
                return Self { number, _reserved: reserved };
            }
        }
        panic!("no port is free on this machine");
    }

    /// `127.0.0.1` with the port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_ports_differ() {
        let (one, other) = (Port::free(), Port::free());
        assert_ne!(one.address(), other.address());
    }
}
