//! `AWS:Network`: the interfaces with their addresses, the gateway and the name servers.
//!
//! Interfaces and MAC addresses are the kernel's (`/sys/class/net`), IP addresses getifaddrs(3)'s, gateways those of `/proc/net/route`, name
//! servers those of `/etc/resolv.conf`. Who has the same address tomorrow has the same row: counters are no inventory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use flotilla_protocol::capability::inventory::{MAXIMUM_VALUE_BYTES, Row};
use nix::ifaddrs::getifaddrs;

use super::{GatherError, row, small_file};

/// SSM's names.
pub(super) const ATTRIBUTES: &[&str] = &["DNSServer", "Gateway", "IPV4", "IPV6", "MacAddress", "Name", "SubnetMask"];

/// Interfaces of one device at most: containers make one each.
const MAXIMUM_INTERFACES: usize = 1_000;
/// What is read of a list of routes or name servers, in bytes: a thousand routes, of which those that matter stand first.
const MAXIMUM_LIST_BYTES: u64 = 128 * 1024;
/// Longest address of a name server, in bytes: one of IPv6 and the name of an interface.
const MAXIMUM_ADDRESS_BYTES: usize = 64;

#[derive(Debug, Default)]
struct Addresses {
    v4: BTreeSet<Ipv4Addr>,
    v6: BTreeSet<String>,
    masks: BTreeSet<Ipv4Addr>,
}

/// The interfaces.
pub(super) fn rows(root: &Path) -> Result<Vec<Row>, GatherError> {
    let folder = root.join("sys/class/net");
    let unreadable = |source| GatherError::Unreadable { path: folder.clone(), source };
    let addresses = addresses();
    let gateways = gateways(root);
    let servers = name_servers(root).join(", ");
    let mut rows = Vec::new();
    for entry in fs::read_dir(&folder).map_err(unreadable)?.take(MAXIMUM_INTERFACES) {
        let entry = entry.map_err(unreadable)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        // bonding_masters is a file.
        if !entry.path().is_dir() {
            continue;
        }
        let none = Addresses::default();
        let of_interface = addresses.get(&name).unwrap_or(&none);
        rows.push(row(
            ATTRIBUTES,
            [
                ("DNSServer", servers.clone()),
                ("Gateway", gateways.get(&name).map(ToString::to_string).unwrap_or_default()),
                ("IPV4", join(&of_interface.v4)),
                ("IPV6", join(&of_interface.v6)),
                ("MacAddress", small_file(&entry.path().join("address")).unwrap_or_default()),
                ("Name", name.clone()),
                ("SubnetMask", join(&of_interface.masks)),
            ],
        ));
    }
    Ok(rows)
}

/// As many of the values as a value of an inventory holds, each of them whole.
fn join(values: &BTreeSet<impl ToString>) -> String {
    const BETWEEN: &str = ", ";
    let mut joined = String::new();
    for value in values.iter().map(ToString::to_string) {
        let between = if joined.is_empty() { "" } else { BETWEEN };
        if joined.len() + between.len() + value.len() > MAXIMUM_VALUE_BYTES {
            break;
        }
        joined.extend([between, &value]);
    }
    joined
}

/// The lines of a file, as far as it is read; none where it cannot be.
fn lines(path: &Path) -> impl Iterator<Item = String> {
    let file = File::open(path).ok().map(|file| BufReader::new(file.take(MAXIMUM_LIST_BYTES)));
    file.into_iter().flat_map(|file| file.split(b'\n').map_while(Result::ok)).map(|line| String::from_utf8_lossy(&line).into_owned())
}

/// The addresses by interface; none where the kernel does not say.
fn addresses() -> BTreeMap<String, Addresses> {
    let mut found: BTreeMap<String, Addresses> = BTreeMap::new();
    let Ok(list) = getifaddrs() else { return found };
    for interface in list {
        let of_interface = found.entry(interface.interface_name).or_default();
        let Some(address) = interface.address else { continue };
        if let Some(address) = address.as_sockaddr_in() {
            of_interface.v4.insert(address.ip());
            of_interface.masks.extend(interface.netmask.as_ref().and_then(|mask| mask.as_sockaddr_in().map(|mask| mask.ip())));
        } else if let Some(address) = address.as_sockaddr_in6() {
            of_interface.v6.insert(address.ip().to_string());
        }
    }
    found
}

/// The gateways by interface. Addresses are hexadecimal, in the byte order of the machine (proc_net(5)).
fn gateways(root: &Path) -> BTreeMap<String, Ipv4Addr> {
    const HAS_GATEWAY: u32 = 2;
    let gateway = |line: String| {
        let mut fields = line.split_ascii_whitespace();
        let (name, destination, gateway, flags) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let number = |text: &str| u32::from_str_radix(text, 16).ok();
        (number(destination)? == 0 && number(flags)? & HAS_GATEWAY != 0)
            .then(|| number(gateway).map(|address| (name.to_owned(), Ipv4Addr::from(address.to_ne_bytes()))))?
    };
    lines(&root.join("proc/net/route")).skip(1).filter_map(gateway).collect()
}

fn name_servers(root: &Path) -> Vec<String> {
    let server = |line: String| {
        let address = line.trim().strip_prefix("nameserver")?.trim();
        let is_plain = address.len() <= MAXIMUM_ADDRESS_BYTES && !address.chars().any(char::is_control);
        address.split('%').next()?.parse::<IpAddr>().ok().filter(|_| is_plain).map(|_| address.to_owned())
    };
    lines(&root.join("etc/resolv.conf")).filter_map(server).take(8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateways_and_name_servers_of_files() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc/net")).unwrap();
        fs::create_dir_all(root.path().join("etc")).unwrap();
        let gateway = u32::from_ne_bytes([192, 0, 2, 1]);
        let route = format!(
            "Iface\tDestination\tGateway\tFlags\tRefCnt\neth0\t00000000\t{gateway:08X}\t0003\t0\neth0\t000200C0\t00000000\t0001\t0\nhalf\t0000\n"
        );
        let write = |name: &str, text: &str| {
            std::io::Write::write_all(&mut File::create(root.path().join(name)).unwrap(), text.as_bytes()).unwrap()
        };
        write("proc/net/route", &route);
        write("etc/resolv.conf", "# comment\nnameserver 192.0.2.53\nnameserver fe80::1%eth0\nnameserver nonsense\nsearch example.org\n");
        assert_eq!(gateways(root.path()), BTreeMap::from([("eth0".to_owned(), Ipv4Addr::new(192, 0, 2, 1))]));
        assert_eq!(name_servers(root.path()), ["192.0.2.53", "fe80::1%eth0"]);
    }

    #[test]
    fn no_list_of_addresses_is_longer_than_a_value() {
        let addresses: BTreeSet<Ipv4Addr> = (0..1000).map(|number| Ipv4Addr::from(0xc000_0200 + number)).collect();
        let joined = join(&addresses);
        assert!(joined.len() <= MAXIMUM_VALUE_BYTES && joined.len() > MAXIMUM_VALUE_BYTES - 20);
        assert!(joined.split(", ").all(|address| address.parse::<Ipv4Addr>().is_ok()));
        assert_eq!(join(&BTreeSet::from(["a", "b"])), "a, b");
    }

    #[test]
    fn this_machine_has_a_loopback() {
        let rows = rows(Path::new("/")).unwrap();
        let name = ATTRIBUTES.iter().position(|attribute| *attribute == "Name").unwrap();
        let lo = rows.iter().find(|row| row[name] == "lo").unwrap();
        assert!(lo.contains(&"00:00:00:00:00:00".to_owned()));
    }
}
