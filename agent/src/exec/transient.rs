//! Jobs as transient units of systemd: what is said to `systemd-run` and `systemctl`.
//!
//! PID 1 starts the job, so it lives in a control group of its own, with the capabilities and the network that exec does not have; it outlives
//! exec, and PID 1 refuses a second unit of its name. When the job ends, whatever it has left running is ended with it.
//!
//! Exec needs no capability for this: PID 1 listens on `/run/systemd/private` for whoever is root, and takes from root whatever it is told.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use flotilla_agent_core::Attempt;
use flotilla_protocol::id::OrderId;

use crate::job::profile::Limits;

/// The program that starts a unit.
pub(super) const STARTER: &str = "systemd-run";
/// The program that ends one.
pub(super) const CONTROL: &str = "systemctl";
/// The slice of all jobs: what the site says of it holds for all of them together.
const SLICE: &str = "flotilla-jobs.slice";
/// After the job's end, what it has left running has so long, in seconds, between SIGTERM and SIGKILL.
const STOP_S: u64 = 5;
/// What removing needs: the files of a job belong to whomever its steps have given them to.
const CLEANER_CAPABILITIES: &str = "CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER";

/// What reading takes: what services and packages keep from others.
const COLLECTOR_CAPABILITIES: &str = "CAP_DAC_READ_SEARCH";

/// The unit of one start of an order.
pub(super) fn unit(order: OrderId, attempt: Attempt) -> String {
    if attempt == Attempt::default() { format!("flotilla-job-{order}.service") } else { format!("flotilla-job-{order}-{attempt}.service") }
}

/// What `systemd-run` is told to start a job: no part of it is secret.
pub(super) fn start_arguments(order: OrderId, attempt: Attempt, limits: &Limits, command: &[OsString]) -> Vec<OsString> {
    let Limits { memory_bytes, tasks, time } = limits;
    let mut arguments = common_arguments(&unit(order, attempt), &format!("Flotilla job {order}"));
    arguments.extend(properties(&[
        // Also what has left its step's process group and session.
        "KillMode=control-group".to_owned(),
        format!("TimeoutStopSec={STOP_S}s"),
        format!("RuntimeMaxSec={}s", time.as_secs()),
        format!("MemoryMax={memory_bytes}"),
        format!("TasksMax={tasks}"),
        // The kernel ends the program that was too large; the job goes on and reports that.
        "OOMPolicy=continue".to_owned(),
        "Delegate=no".to_owned(),
    ]));
    arguments.extend(escaped(command));
    arguments
}

/// What `systemd-run` is told to have something of a job removed. `name`: of the unit, without its kind.
pub(super) fn clean_arguments(name: &str, command: &[OsString]) -> Vec<OsString> {
    let mut arguments = common_arguments(&format!("{name}.service"), "Flotilla removes what a job has left");
    arguments.extend(properties(&[format!("CapabilityBoundingSet={CLEANER_CAPABILITIES}"), "NoNewPrivileges=yes".to_owned()]));
    arguments.extend(escaped(command));
    arguments
}

/// What `systemd-run` is told to have the inventory gathered. `name`: of the unit, without its kind. `into`: the one folder that it may write.
pub(super) fn collect_arguments(name: &str, limits: &Limits, into: &Path, command: &[OsString]) -> Vec<OsString> {
    let Limits { memory_bytes, tasks, time } = limits;
    let mut arguments = common_arguments(&format!("{name}.service"), "Flotilla gathers the inventory");
    arguments.extend(properties(&[
        format!("RuntimeMaxSec={}s", time.as_secs()),
        format!("TimeoutStopSec={STOP_S}s"),
        format!("MemoryMax={memory_bytes}"),
        format!("TasksMax={tasks}"),
        "Nice=10".to_owned(),
        // It reads what only root may, and does nothing else.
        format!("CapabilityBoundingSet={COLLECTOR_CAPABILITIES}"),
        "NoNewPrivileges=yes".to_owned(),
        "ProtectSystem=strict".to_owned(),
        "ProtectHome=read-only".to_owned(),
    ]));
    let mut writable = OsString::from("--property=ReadWritePaths=");
    writable.push(quoted(into.as_os_str()));
    arguments.push(writable);
    arguments.extend(escaped(command));
    arguments
}

/// What `systemctl` is told to end all that is left of a start, one call after the other.
pub(super) fn end_arguments(order: OrderId, attempt: Attempt) -> [Vec<String>; 2] {
    let unit = unit(order, attempt);
    let call = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).chain([unit.clone()]).collect();
    [call(&["--no-ask-password", "--quiet", "kill", "--signal=SIGKILL"]), call(&["--no-ask-password", "--quiet", "stop"])]
}

fn common_arguments(unit: &str, description: &str) -> Vec<OsString> {
    let arguments = [
        "--system",
        "--no-ask-password",
        "--quiet",
        // It is forgotten when it has ended, however that was: what is known of it stands in its folder.
        "--collect",
        // Input and log as they are here, open files and no paths; and systemd-run waits for the end.
        "--pipe",
        "--wait",
        "--service-type=exec",
    ];
    let own = [format!("--slice={SLICE}"), format!("--unit={unit}"), format!("--description={description}")];
    arguments.into_iter().map(OsString::from).chain(own.map(OsString::from)).collect()
}

fn properties(properties: &[String]) -> impl Iterator<Item = OsString> {
    properties.iter().map(|property| OsString::from(format!("--property={property}")))
}

/// The command, so that PID 1 takes no part of it for a variable of its own. The program itself it takes as it is.
fn escaped(command: &[OsString]) -> Vec<OsString> {
    let (program, arguments) = command.split_at(command.len().min(1));
    let arguments = arguments.iter().map(|argument| doubled(argument));
    [OsString::from("--")].into_iter().chain(program.iter().cloned()).chain(arguments).collect()
}

/// A path for a property that is a list: white space would part it (systemd.syntax(7)).
fn quoted(path: &OsStr) -> OsString {
    let mut bytes = vec![b'"'];
    for byte in path.as_bytes() {
        if matches!(byte, b'"' | b'\\') {
            bytes.push(b'\\');
        }
        bytes.push(*byte);
    }
    bytes.push(b'"');
    OsString::from_vec(bytes)
}

fn doubled(argument: &OsStr) -> OsString {
    let mut bytes = Vec::with_capacity(argument.len());
    for byte in argument.as_bytes() {
        bytes.push(*byte);
        if *byte == b'$' {
            bytes.push(b'$');
        }
    }
    OsString::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const ORDER: OrderId = OrderId([0x0a; 16]);
    const ID: &str = "0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a";
    const LATER: Attempt = Attempt { reboots: 2, tries: 1 };

    fn words(arguments: &[OsString]) -> Vec<&str> {
        arguments.iter().map(|argument| argument.to_str().unwrap()).collect()
    }

    #[test]
    fn a_unit_is_named_after_the_order_and_its_start() {
        assert_eq!(unit(ORDER, Attempt::default()), format!("flotilla-job-{ID}.service"));
        assert_eq!(unit(ORDER, LATER), format!("flotilla-job-{ID}-2.1.service"));
    }

    #[test]
    fn a_job_is_started_with_its_limits_and_its_command_as_it_is() {
        let limits = Limits { memory_bytes: 1 << 20, tasks: 64, time: Duration::from_millis(90_500) };
        let command = ["/a $b/agent", "job", "--folder", "/srv/$HOME/100%/${x}"].map(OsString::from);
        let arguments = start_arguments(ORDER, LATER, &limits, &command);
        let arguments = words(&arguments);
        let unit = format!("--unit=flotilla-job-{ID}-2.1.service");
        for expected in [
            unit.as_str(),
            "--slice=flotilla-jobs.slice",
            "--pipe",
            "--wait",
            "--collect",
            "--property=KillMode=control-group",
            "--property=MemoryMax=1048576",
            "--property=TasksMax=64",
            "--property=RuntimeMaxSec=90s",
            "--property=OOMPolicy=continue",
        ] {
            assert!(arguments.contains(&expected), "{expected}: {arguments:?}");
        }
        let end = arguments.iter().position(|argument| *argument == "--").unwrap();
        assert_eq!(arguments[end + 1..], ["/a $b/agent", "job", "--folder", "/srv/$$HOME/100%/$${x}"]);
    }

    #[test]
    fn the_inventory_is_gathered_with_limits_and_writes_one_folder() {
        let limits = Limits { memory_bytes: 1 << 20, tasks: 64, time: Duration::from_secs(600) };
        let command = ["/agent", "collect", "--folder", r#"/srv/x "y"#].map(OsString::from);
        let arguments = collect_arguments("flotilla-collect-0", &limits, Path::new(r#"/srv/x "y"#), &command);
        for expected in [
            "--unit=flotilla-collect-0.service",
            "--property=MemoryMax=1048576",
            "--property=RuntimeMaxSec=600s",
            "--property=ProtectSystem=strict",
            r#"--property=ReadWritePaths="/srv/x \"y""#,
        ] {
            assert!(words(&arguments).contains(&expected), "{expected}: {arguments:?}");
        }
        assert!(!words(&arguments).iter().any(|word| word.contains("PrivateTmp")), "files of /tmp may be in a rule, too");
    }

    #[test]
    fn what_is_left_is_killed_and_then_waited_for() {
        let [kill, stop] = end_arguments(ORDER, Attempt::default());
        let unit = format!("flotilla-job-{ID}.service");
        assert_eq!(kill[2..], ["kill", "--signal=SIGKILL", &unit]);
        assert_eq!(stop[2..], ["stop", &unit]);
        let command = ["/agent", "clean", "--folder", "/x"].map(OsString::from);
        assert!(words(&clean_arguments("flotilla-clean-x", &command)).contains(&"--unit=flotilla-clean-x.service"));
    }
}
