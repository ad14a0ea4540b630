//! What this device says of itself, for people. Nothing is decided by it, so a fact that cannot be read is left empty.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use flotilla_link::BrokerAddress;
use flotilla_protocol::hello::{Facts, MAXIMUM_FACT_BYTES};

/// Where distributions say what they are: the second for systems whose `/etc` is empty.
const RELEASE_FILES: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];
/// An address for documentation (RFC 5737): stands for "somewhere on the internet".
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// Reads the facts. No packet is sent and no name is looked up.
#[must_use]
pub fn gather(broker: &BrokerAddress) -> Facts {
    let release = RELEASE_FILES.iter().find_map(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
    let platform_name = release_value(&release, "NAME").unwrap_or_else(|| "Linux".to_owned());
    let host_name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    Facts {
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        platform_name: bounded(platform_name),
        platform_version: bounded(release_value(&release, "VERSION_ID").unwrap_or_default()),
        architecture: std::env::consts::ARCH.to_owned(),
        computer_name: bounded(host_name),
        ip_address: own_address(broker).map(|address| address.to_string()).unwrap_or_default(),
    }
}

/// The value of a key in the form of os-release(5): shell assignments, quoted or not.
fn release_value(release: &str, key: &str) -> Option<String> {
    let assigned = |line: &str| line.strip_prefix(key)?.strip_prefix('=').map(str::to_owned);
    let value = release.lines().find_map(assigned)?;
    let value = value.trim();
    let quoted = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    Some(quoted('"').or_else(|| quoted('\'')).unwrap_or(value).to_owned())
}

/// The address that the kernel would send from on the way to the broker. A broker with a name is taken to be elsewhere:
/// looking names up is not for the process without a network.
fn own_address(broker: &BrokerAddress) -> Option<IpAddr> {
    let broker_ip = broker.host.parse().unwrap_or(ELSEWHERE);
    let any: SocketAddr = if broker_ip.is_ipv6() { "[::]:0".parse().ok()? } else { "0.0.0.0:0".parse().ok()? };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect((broker_ip, broker.port)).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

fn bounded(mut fact: String) -> String {
    fact.truncate(fact.floor_char_boundary(MAXIMUM_FACT_BYTES));
    fact
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn os_release_is_read_quoted_or_not() {
        let release = "ID=alpine\nNAME=\"Alpine Linux\"\nVERSION_ID=3.22.1\nPRETTY_NAME='x'\n";
        assert_eq!(release_value(release, "NAME").as_deref(), Some("Alpine Linux"));
        assert_eq!(release_value(release, "VERSION_ID").as_deref(), Some("3.22.1"));
        assert_eq!(release_value(release, "PRETTY_NAME").as_deref(), Some("x"));
        assert_eq!(release_value(release, "VERSION"), None);
    }

    #[test]
    fn facts_pass_their_own_check_and_know_the_way_to_the_broker() {
        let facts = gather(&BrokerAddress { host: "127.0.0.1".into(), port: 8883 });
        facts.check().unwrap();
        assert_eq!(facts.ip_address, "127.0.0.1");
        assert_eq!(bounded("ä".repeat(200)).len(), 254);
    }
}
