//! Which processes exist, read from `/proc`: the members of a job's session and of a step's group.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A process that exists and is not merely waiting to be reaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// Its process group.
    pub group: i32,
    /// Its session.
    pub session: i32,
}

/// The processes for which `wanted` holds, at this moment; without `/proc` none.
pub fn find(wanted: impl Fn(&Process) -> bool) -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    numbers.filter_map(look_at).filter(wanted).collect()
}

/// Whether a variable stands in the environment that a process was started with.
#[must_use]
pub fn has_variable(pid: i32, name: &str, value: &str) -> bool {
    let wanted = format!("{name}={value}");
    let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { return false };
    environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
}

/// Sends a signal to each of the processes; those that are gone by now do not matter.
pub fn signal(processes: &[Process], signal: Signal) {
    for process in processes {
        if let Err(error) = kill(Pid::from_raw(process.pid), signal)
            && error != nix::Error::ESRCH
        {
            tracing::warn!(pid = process.pid, %signal, %error, "a process could not be signalled");
        }
    }
}

fn look_at(pid: i32) -> Option<Process> {
    parse_stat(pid, &fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// The format of proc_pid_stat(5). The program's name may hold anything, also `)` and spaces: what counts follows the last `)`.
fn parse_stat(pid: i32, stat: &[u8]) -> Option<Process> {
    let end_of_name = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::ffi::OsStr::from_bytes(stat.get(end_of_name + 1..)?).to_str()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let _parent = fields.next()?;
    let group = fields.next()?.parse().ok()?;
    let session = fields.next()?.parse().ok()?;
    // Z and X: dead already.
    (!matches!(state, "Z" | "X")).then_some(Process { pid, group, session })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_process_is_found_and_a_name_cannot_confuse() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(find(|process| process.pid == own).len(), 1);
        let stat = b"7 (a) Z 1 2 3) S 1 42 43 0 -1";
        assert_eq!(parse_stat(7, stat), Some(Process { pid: 7, group: 42, session: 43 }));
        assert_eq!(parse_stat(7, b"7 (a) Z 1 42 43 0 -1"), None);
        assert_eq!(parse_stat(7, b"7 (a) S 1"), None);
        assert_eq!(parse_stat(7, b""), None);
    }
}
