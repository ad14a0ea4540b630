//! `AWS:Network`: the interfaces with their addresses, the gateway and the name servers.
//!
//! Interfaces and MAC addresses are the kernel's (`/sys/class/net`), IP addresses getifaddrs(3)'s, gateways those of `/proc/net/route`, name
//! servers those of `/etc/resolv.conf`. Who has the same address tomorrow has the same row: counters are no inventory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use flotilla_protocol::capability::inventory::Row;
use nix::ifaddrs::getifaddrs;

use super::{GatherError, row, small_file};

/// SSM's names.
pub(super) const ATTRIBUTES: &[&str] = &["DNSServer", "Gateway", "IPV4", "IPV6", "MacAddress", "Name", "SubnetMask"];

/// Interfaces of one device at most: containers make one each.
const MAXIMUM_INTERFACES: usize = 1_000;

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
    let gateways = small_file(&root.join("proc/net/route")).map_or_else(BTreeMap::new, |_| gateways(root));
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

fn join(values: &BTreeSet<impl ToString>) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
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
    let Ok(text) = fs::read_to_string(root.join("proc/net/route")) else { return BTreeMap::new() };
    let gateway = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let (name, destination, gateway, flags) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let number = |text: &str| u32::from_str_radix(text, 16).ok();
        (number(destination)? == 0 && number(flags)? & HAS_GATEWAY != 0)
            .then(|| number(gateway).map(|address| (name.to_owned(), Ipv4Addr::from(address.to_ne_bytes()))))?
    };
    text.lines().skip(1).filter_map(gateway).collect()
}

fn name_servers(root: &Path) -> Vec<String> {
    let Ok(text) = fs::read_to_string(root.join("etc/resolv.conf")) else { return Vec::new() };
    let server = |line: &str| {
        let address = line.trim().strip_prefix("nameserver")?.trim();
        address.split('%').next()?.parse::<IpAddr>().ok().map(|_| address.to_owned())
    };
    text.lines().filter_map(server).take(8).collect()
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
            std::io::Write::write_all(&mut fs::File::create(root.path().join(name)).unwrap(), text.as_bytes()).unwrap()
        };
        write("proc/net/route", &route);
        write("etc/resolv.conf", "# comment\nnameserver 192.0.2.53\nnameserver fe80::1%eth0\nnameserver nonsense\nsearch example.org\n");
        assert_eq!(gateways(root.path()), BTreeMap::from([("eth0".to_owned(), Ipv4Addr::new(192, 0, 2, 1))]));
        assert_eq!(name_servers(root.path()), ["192.0.2.53", "fe80::1%eth0"]);
    }

    #[test]
    fn this_machine_has_a_loopback() {
        let rows = rows(Path::new("/")).unwrap();
        let name = ATTRIBUTES.iter().position(|attribute| *attribute == "Name").unwrap();
        let lo = rows.iter().find(|row| row[name] == "lo").unwrap();
        assert!(lo.contains(&"00:00:00:00:00:00".to_owned()));
    }
}
