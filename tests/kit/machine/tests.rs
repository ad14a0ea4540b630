use super::*;
use crate::tally;

fn machine(witness: &Path) -> Option<Machine> {
    match Machine::new(witness, &[]) {
        Ok(machine) => Some(machine),
        Err(why) => {
            tally::skipped("a whole machine", &why);
            None
        }
    }
}

#[test]
fn a_machine_boots_keeps_what_was_synchronised_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut machine) = machine(folder.path()) else { return };
    machine.boot();
    assert_eq!(machine.said("cat /proc/1/comm"), "systemd");
    let first = machine.said("cat /proc/sys/kernel/random/boot_id");
    assert_ne!(first, fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap().trim());
    let kept = "echo kept >/var/lib/kept && sync /var/lib/kept && sync /var/lib && echo lost >/var/lib/lost && echo seen >/witness/seen";
    assert_eq!(machine.said(kept), "");
    machine.cut();
    assert_eq!(fs::read_to_string(folder.path().join("seen")).unwrap(), "seen\n");
    machine.boot();
    assert_ne!(machine.said("cat /proc/sys/kernel/random/boot_id"), first, "each boot has an id of its own");
    assert_eq!(machine.said("cat /var/lib/kept; ls /var/lib | grep -c lost || true"), "kept\n0");
    assert_eq!(machine.said("systemctl start --no-block reboot.target; sleep 0"), "");
    machine.await_reboot();
    assert_eq!((machine.said("cat /var/lib/kept").as_str(), machine.boots()), ("kept", 3));
    let (disk, cgroup, processes) = (machine.disk.path().to_owned(), machine.cgroup.processes(), machine.processes());
    assert!(processes.len() > 1, "{processes:?}");
    drop(machine);
    assert!(!cgroup.exists(), "its control group is left");
    assert!(!fs::read_to_string("/proc/self/mounts").unwrap().contains(disk.to_str().unwrap()), "its disk is left mounted");
    assert!(!Path::new("/var/lib/kept").exists(), "it has written to this system");
    wait::until_true(END_LIMIT, "its processes are gone", || processes.iter().all(|pid| !Path::new(&format!("/proc/{pid}")).exists()));
}
