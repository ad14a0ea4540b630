//! A network namespace of the test's own with one wire (veth) to this machine, and ways to break that wire: nft rules and a shaper inside it.
//!
//! Only what was made here is touched: names carry this process's id, addresses come from 198.18.0.0/15 (RFC 2544: for tests of networks),
//! and everything is gone when the [`Wire`] is dropped, because the namespace takes its end of the pair with it.

use crate::process;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};

const IP: &str = "/usr/sbin/ip";
const NFT: &str = "/usr/sbin/nft";
const TC: &str = "/usr/sbin/tc";
const NSENTER: &str = "/usr/bin/nsenter";
/// The table of our rules; it lives inside the namespace and nowhere else.
const TABLE: &str = "flotilla";
/// The table of our counters.
const COUNTING_TABLE: &str = "flotilla_count";
/// Wires of one process: their numbers are part of an address.
static NEXT: AtomicU8 = AtomicU8::new(0);

/// How a wire is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The other end of the cable is pulled: the carrier is lost, and the routes with it. The node can see it.
    Unplugged,
    /// Nothing comes in; what goes out arrives.
    DropIncoming,
    /// Nothing goes out; what comes in arrives.
    DropOutgoing,
    /// Every packet of a TCP connection is answered with a reset.
    Reset,
    /// Packets vanish in both directions, and nobody is told.
    BlackHole,
}

/// What has passed a wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Carried {
    /// Packets of IP.
    pub packets: u64,
    /// Their bytes with the headers of IP and TCP.
    pub bytes: u64,
}

/// A namespace, its wire, and this machine's end of it.
#[derive(Debug)]
pub struct Wire {
    name: String,
    outer: String,
    host: Ipv4Addr,
}

impl Wire {
    /// Makes one.
    ///
    /// # Errors
    /// What this machine cannot do or does not have, for the line that says that a test is skipped.
    pub fn new() -> Result<Self, String> {
        if !nix::unistd::geteuid().is_root() {
            return Err("only root can make network namespaces".to_owned());
        }
        if let Some(missing) = [IP, NFT, TC, NSENTER].iter().find(|program| !Path::new(program).exists()) {
            return Err(format!("{missing} is not there (Debian: nftables, iproute2, util-linux)"));
        }
        let (process, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        // 15 bytes at most for the name of an interface: "fl", seven digits, a dash, three digits, "o".
        let name = format!("fl{process}-{number}");
        // One of the 32,768 networks of four addresses: those of processes that run beside each other differ.
        let network = (process.wrapping_mul(4).wrapping_add(u32::from(number))) % (1 << 15);
        let [host, node] = [1, 2].map(|last| Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, 0)) + network * 4 + last));
        run(IP, &["netns", "add", &name])?;
        // From here on the drop cleans up.
        let wire = Self { outer: format!("{name}o"), name, host };
        let inner = format!("{}i", wire.name);
        run(IP, &["link", "add", &wire.outer, "type", "veth", "peer", "name", &inner, "netns", &wire.name])?;
        run(IP, &["addr", "add", &format!("{host}/30"), "dev", &wire.outer])?;
        run(IP, &["link", "set", &wire.outer, "up"])?;
        for arguments in
            [vec!["addr", "add", &format!("{node}/30"), "dev", &inner], vec!["link", "set", &inner, "up"], vec!["link", "set", "lo", "up"]]
        {
            run(IP, &[&["-n", wire.name.as_str()], arguments.as_slice()].concat())?;
        }
        wire.heal()?;
        Ok(wire)
    }

    /// This machine's address on the wire: what the namespace can reach.
    #[must_use]
    pub fn host(&self) -> IpAddr {
        self.host.into()
    }

    /// A command that starts another program inside the namespace.
    #[must_use]
    pub fn enter(&self) -> Vec<String> {
        [NSENTER.to_owned(), format!("--net=/run/netns/{}", self.name), "--".to_owned()].to_vec()
    }

    /// Breaks the wire.
    ///
    /// # Errors
    /// What `ip` or `nft` says.
    pub fn break_with(&self, fault: Fault) -> Result<(), String> {
        let hook = |name: &str, rule: &str| format!("chain {name} {{ type filter hook {name} priority 0; {rule}; }}; ");
        let chains = match fault {
            Fault::Unplugged => return run(IP, &["link", "set", &self.outer, "down"]),
            Fault::DropIncoming => hook("input", "iifname != lo drop"),
            Fault::DropOutgoing => hook("output", "oifname != lo drop"),
            Fault::BlackHole => hook("input", "iifname != lo drop") + &hook("output", "oifname != lo drop"),
            Fault::Reset => {
                hook("input", "iifname != lo meta l4proto tcp reject with tcp reset")
                    + &hook("output", "oifname != lo meta l4proto tcp reject with tcp reset")
            }
        };
        self.inside(NFT, &[&format!("table inet {TABLE} {{ {chains} }}")])
    }

    /// Makes the wire good again: plugged in, without rules. A limit of its rate stays.
    ///
    /// # Errors
    /// What `ip` or `nft` says.
    pub fn heal(&self) -> Result<(), String> {
        run(IP, &["link", "set", &self.outer, "up"])?;
        // Declared first, because one that is not there cannot be deleted.
        self.inside(NFT, &[&format!("table inet {TABLE} {{ }}; delete table inet {TABLE}")])
    }

    /// Limits the rate in both directions, in kbit/s.
    ///
    /// # Errors
    /// What `tc` says.
    pub fn limit(&self, kbit: u32) -> Result<(), String> {
        let rate = format!("{kbit}kbit");
        let shaper = ["root", "tbf", "rate", &rate, "burst", "8kb", "latency", "400ms"];
        run(TC, &[&["qdisc", "replace", "dev", self.outer.as_str()], shaper.as_slice()].concat())?;
        let inner = format!("{}i", self.name);
        self.inside(TC, &[&["qdisc", "replace", "dev", inner.as_str()], shaper.as_slice()].concat())
    }

    /// Begins to count what of TCP passes the wire.
    ///
    /// # Errors
    /// What `nft` says.
    pub fn count(&self) -> Result<(), String> {
        let chain = |name: &str| format!("chain {name} {{ type filter hook {name} priority 10; meta l4proto tcp counter; }}; ");
        self.inside(NFT, &[&format!("table inet {COUNTING_TABLE} {{ {}{} }}", chain("input"), chain("output"))])
    }

    /// What of TCP has passed the wire in both directions since [`Wire::count`].
    ///
    /// # Errors
    /// What `nft` says.
    pub fn carried(&self) -> Result<Carried, String> {
        let listed = self.output(NFT, &["list", "table", "inet", COUNTING_TABLE])?;
        let words: Vec<&str> = listed.split_ascii_whitespace().collect();
        let behind = |name: &str| words.windows(2).filter(|pair| pair[0] == name).filter_map(|pair| pair[1].parse::<u64>().ok()).sum();
        Ok(Carried { packets: behind("packets"), bytes: behind("bytes") })
    }

    fn output(&self, program: &str, arguments: &[&str]) -> Result<String, String> {
        let enter = self.enter();
        let mut command = process::command(Path::new(NSENTER));
        command.args(enter.iter().skip(1)).arg(program).args(arguments);
        let output = process::output(command);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(format!("{program}: {}", text(&output.stderr))) }
    }

    fn inside(&self, program: &str, arguments: &[&str]) -> Result<(), String> {
        let enter = self.enter();
        let words: Vec<&str> = enter.iter().skip(1).map(String::as_str).chain([program]).chain(arguments.iter().copied()).collect();
        run(NSENTER, &words)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // The namespace takes its end of the pair with it, but only when its last process is gone.
        let _gone = run(IP, &["link", "del", &self.outer]);
        let _gone = run(IP, &["netns", "del", &self.name]);
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let mut command: Command = process::command(&PathBuf::from(program));
    command.args(arguments);
    let output = process::output(command);
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally;
    use std::time::Duration;

    fn is_reached(wire: &Wire, port: u16) -> bool {
        let probe = format!("exec 3<>/dev/tcp/{}/{port}", wire.host());
        wire.inside("/usr/bin/timeout", &["0.5", "bash", "-c", &probe]).is_ok()
    }

    #[test]
    fn each_fault_breaks_the_wire_and_healing_mends_it() {
        let wire = match Wire::new() {
            Ok(wire) => wire,
            Err(why) => return tally::skipped("network namespaces", &why),
        };
        let listener = std::net::TcpListener::bind((wire.host(), 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        wire.count().unwrap();
        assert_eq!(wire.carried(), Ok(Carried::default()));
        let plugged = || crate::wait::until_true(Duration::from_secs(10), "the wire is good", || is_reached(&wire, port));
        plugged();
        let carried = wire.carried().unwrap();
        assert!(carried.packets >= 3 && carried.bytes >= carried.packets * 40, "a connection takes packets with headers: {carried:?}");
        for fault in [Fault::Unplugged, Fault::DropIncoming, Fault::DropOutgoing, Fault::Reset, Fault::BlackHole] {
            wire.break_with(fault).unwrap();
            assert!(!is_reached(&wire, port), "{fault:?} lets something through");
            wire.heal().unwrap();
            plugged();
        }
        let name = wire.name.clone();
        drop(wire);
        assert!(!Path::new("/run/netns").join(name).exists(), "the namespace is left behind");
    }
}
