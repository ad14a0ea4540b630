//! The agent and the bridge as services, under a real systemd: what a person types after the package is installed, and what the units promise.
#![cfg(test)]

use flotilla_api::inventory::ListInventoryEntriesRequest;
use flotilla_tests::calls::{is_terminal, shell_on};
use flotilla_tests::machine::{EXEC, Installed, LINK, Machine};
use flotilla_tests::process;
use flotilla_tests::tally::skipped;
use flotilla_tests::wait;
use nix::sys::signal::Signal;
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);
/// Long enough to be running still when something was done to the agent, which takes a second or two.
const LONG_COMMAND: &str = "sleep 6";

/// A field of `/proc/<pid>/status`.
fn status(pid: i32, field: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).unwrap();
    line.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

fn main_process(installed: &Installed, unit: &str) -> i32 {
    wait::until(LIMIT, &format!("{unit} runs"), || installed.machine.main_process(unit))
}

/// What is installed and is no node does nothing, also where somebody starts it, and says why.
fn an_unregistered_agent_stays_down(installed: &Installed) {
    let machine = &installed.machine;
    assert_eq!(machine.said("systemctl start flotilla-agent 2>&1; systemctl is-active flotilla-agent || true"), "inactive");
    assert_eq!(machine.property(EXEC, "ConditionResult"), "no");
    assert_eq!(machine.said("systemctl list-units --failed --no-legend --plain"), "");
}

/// What each half may do, as the kernel sees it.
fn the_halves_are_confined(installed: &Installed) {
    let (exec, link) = (main_process(installed, EXEC), main_process(installed, LINK));
    let link_user = installed.machine.said("id -u flotilla-link");
    assert_eq!((status(exec, "Uid"), status(link, "Uid")), ("0 0 0 0".to_owned(), [link_user.as_str(); 4].join(" ")));
    for pid in [exec, link] {
        for set in ["CapEff", "CapPrm", "CapBnd", "CapAmb", "CapInh"] {
            assert_eq!(status(pid, set), "0000000000000000", "{set} of {pid}");
        }
        assert_eq!((status(pid, "NoNewPrivs"), status(pid, "Seccomp")), ("1".to_owned(), "2".to_owned()));
    }
    let routes = std::fs::read_to_string(format!("/proc/{exec}/net/dev")).unwrap();
    let devices: Vec<&str> = routes.lines().skip(2).filter_map(|line| line.split(':').next()).map(str::trim).collect();
    assert_eq!(devices, ["lo"], "exec has a network");
    assert!(
        !installed.machine.run("runuser -u flotilla-link -- ls /var/lib/flotilla-agent/exec").status.success(),
        "the link sees exec's keys"
    );
}

fn await_start(installed: &Installed, command: &str, seen: &Path) {
    wait::until_true(LIMIT, "the command has started", || {
        let shown = installed.fleet.invocation(command, &installed.node);
        assert!(seen.exists() || !is_terminal(shown.status.as_deref()), "{shown:?}");
        seen.exists()
    });
}

/// A running command, after something was done to the agent; it must end well.
fn outlives(installed: &Installed, what: &str, strike: impl FnOnce(&Installed)) {
    let marker = format!("/witness/{}", what.replace(' ', "-"));
    let command = installed.fleet.send(&shell_on(&installed.node, &format!("echo once >>{marker}; {LONG_COMMAND}; echo done")));
    let seen = installed.machine.witness().join(what.replace(' ', "-"));
    await_start(installed, &command, &seen);
    let jobs = installed.jobs();
    assert_eq!(jobs.len(), 1, "{what}");
    strike(installed);
    assert_eq!(installed.jobs(), jobs, "the job is the same after {what}");
    let ended = installed.fleet.await_end(&command, &installed.node, LIMIT);
    assert_eq!((ended.status.as_deref(), ended.standard_output_content.as_deref()), (Some("Success"), Some("done\n")), "{what}: {ended:?}");
    assert_eq!(std::fs::read_to_string(seen).unwrap(), "once\n", "{what}");
}

fn commands_outlive_what_is_done_to_the_agent(installed: &Installed) {
    outlives(installed, "a restart", |installed| {
        let before = [EXEC, LINK].map(|unit| main_process(installed, unit));
        assert_eq!(installed.machine.said("systemctl restart flotilla-agent"), "");
        let after = [EXEC, LINK].map(|unit| main_process(installed, unit));
        assert!(before.iter().zip(&after).all(|(before, after)| before != after), "both halves are new: {before:?}, {after:?}");
    });
    for unit in [EXEC, LINK] {
        outlives(installed, &format!("kill -9 of {unit}"), |installed| {
            let killed = installed.kill(unit);
            wait::until_true(LIMIT, "it is started again", || installed.machine.main_process(unit).is_some_and(|pid| pid != killed));
        });
    }
}

/// A half that lives and does no work is ended and started again.
fn the_watchdog_sees_who_stands_still(installed: &Installed) {
    for unit in [EXEC, LINK] {
        let folder = format!("/etc/systemd/system/{unit}.d");
        let short =
            format!("printf '[Service]\\nWatchdogSec=2\\n' >{folder}/watchdog.conf; systemctl daemon-reload; systemctl restart {unit}");
        assert_eq!(installed.machine.said(&short), "");
    }
    installed.await_answer();
    for unit in [EXEC, LINK] {
        let stopped = main_process(installed, unit);
        process::signal(stopped, Signal::SIGSTOP);
        wait::until_true(LIMIT, &format!("the watchdog ends {unit}"), || {
            installed.machine.main_process(unit).is_some_and(|pid| pid != stopped)
        });
    }
    installed.await_answer();
}

/// A script asks for a reboot (exit code 194), and the device really reboots.
fn a_script_reboots_the_device(installed: &mut Installed) {
    let script = "echo run >>/witness/reboots; test \"$(wc -l </witness/reboots)\" -eq 2 || exit 194; echo after";
    let command = installed.fleet.send(&shell_on(&installed.node, script));
    installed.machine.await_reboot();
    let ended = installed.fleet.await_end(&command, &installed.node, LIMIT);
    assert_eq!((ended.status.as_deref(), ended.standard_output_content.as_deref()), (Some("Success"), Some("after\n")), "{ended:?}");
    assert_eq!(std::fs::read_to_string(installed.machine.witness().join("reboots")).unwrap(), "run\nrun\n");
    assert!(installed.machine.is_active(EXEC), "it is enabled, so it starts by itself");
}

/// The inventory is gathered by a unit of its own that may read what exec may not, and leaves nothing behind.
fn the_inventory_is_gathered(installed: &Installed) {
    let folder = "/etc/flotilla/inventory";
    let rack = r#"{"SchemaVersion":"1.0","TypeName":"Custom:Rack","Content":{"Row":"7"}}"#;
    let _nothing = installed.machine.said_with_input(&format!("mkdir -p {folder} && cat >{folder}/rack.json"), rack);
    let _nothing = installed.machine.said(&format!(
        "sed -i 's/^inventory_interval_s = 0/inventory_interval_s = 5/' /etc/flotilla/agent.toml && systemctl restart {EXEC}"
    ));
    let entries = |type_name: &str| {
        let (instance_id, type_name) = (installed.node.clone(), type_name.to_owned());
        let request = ListInventoryEntriesRequest { instance_id, type_name, ..ListInventoryEntriesRequest::default() };
        // A type that nobody has reported yet is none.
        installed.fleet.client.call(&request).ok().and_then(|answer| answer.entries).unwrap_or_default()
    };
    wait::until_true(LIMIT, "the site's own type is known", || !entries("Custom:Rack").is_empty());
    wait::until_true(LIMIT, "the packages are known", || !entries("AWS:Application").is_empty());
    wait::until_true(LIMIT, "services are known", || !entries("AWS:Service").is_empty());
    let _nothing = installed.machine.said(&format!(
        "sed -i 's/^inventory_interval_s = 5/inventory_interval_s = 0/' /etc/flotilla/agent.toml && systemctl restart {EXEC}"
    ));
    installed.await_answer();
    let is_over = || installed.machine.said("systemctl list-units --all --no-legend --plain 'flotilla-collect-*'").is_empty();
    wait::until_true(LIMIT, "no collection is left behind", is_over);
}

/// Power that goes while a command runs: it was interrupted, and nothing runs it again.
fn a_cut_interrupts(installed: &mut Installed) {
    let command = installed.fleet.send(&shell_on(&installed.node, "echo once >>/witness/cut; sleep 600"));
    let seen = installed.machine.witness().join("cut");
    await_start(installed, &command, &seen);
    installed.cut(true);
    assert!(!is_terminal(installed.fleet.invocation(&command, &installed.node).status.as_deref()), "nobody knows yet");
    installed.machine.boot();
    let ended = installed.fleet.await_end(&command, &installed.node, LIMIT);
    assert_eq!((ended.status.as_deref(), ended.response_code), (Some("Failed"), Some(-1)), "{ended:?}");
    installed.await_answer();
    assert_eq!(std::fs::read_to_string(seen).unwrap(), "once\n");
}

#[test]
fn the_agent_is_a_service_that_deserves_root() {
    let mut installed = match Installed::unregistered() {
        Ok(installed) => installed,
        Err(why) => return skipped("the agent as a service", &why),
    };
    an_unregistered_agent_stays_down(&installed);
    installed.register();
    the_halves_are_confined(&installed);
    commands_outlive_what_is_done_to_the_agent(&installed);
    the_inventory_is_gathered(&installed);
    the_watchdog_sees_who_stands_still(&installed);
    a_script_reboots_the_device(&mut installed);
    a_cut_interrupts(&mut installed);
    assert_eq!(installed.machine.said("systemctl list-units --failed --no-legend --plain 'flotilla*'"), "");
}

#[test]
fn the_bridge_is_a_service() {
    let folder = tempfile::tempdir().unwrap();
    let mut machine = match Machine::new(folder.path(), &[]) {
        Ok(machine) => machine,
        Err(why) => return skipped("the bridge as a service", &why),
    };
    machine.install_bridge();
    machine.boot();
    // Without a fleet there is nothing to serve.
    assert_eq!(machine.said("systemctl start flotilla-bridge; systemctl is-active flotilla-bridge || true"), "inactive");
    let init = "flotilla-bridge init --home /var/lib/flotilla-bridge --name test --api-listen 127.0.0.1:8080 --broker-listen 127.0.0.1:8883 \
                --claim-listen 127.0.0.1:8884 2>&1 && chown -R flotilla-bridge: /var/lib/flotilla-bridge";
    drop(machine.said(init));
    assert_eq!(machine.said("systemctl enable --now flotilla-bridge 2>/dev/null"), "");
    let answers = "for port in 8080 8883 8884; do timeout 1 bash -c \"exec 3<>/dev/tcp/127.0.0.1/$port\" || exit 1; done";
    wait::until_true(LIMIT, "the bridge listens", || machine.run(answers).status.success());
    let pid = machine.main_process("flotilla-bridge").unwrap();
    assert_eq!((status(pid, "CapBnd"), status(pid, "NoNewPrivs"), status(pid, "Seccomp")), ("0".repeat(16), "1".into(), "2".into()));
    process::signal(pid, Signal::SIGKILL);
    wait::until_true(LIMIT, "it comes back", || machine.main_process("flotilla-bridge").is_some_and(|now| now != pid));
    wait::until_true(LIMIT, "the bridge listens again", || machine.run(answers).status.success());
    assert_eq!(machine.said("systemctl stop flotilla-bridge && systemctl is-failed flotilla-bridge || true"), "inactive");
    assert!(!Path::new("/var/lib/flotilla-bridge").exists(), "a machine has written to this system");
}
