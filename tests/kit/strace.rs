//! Faults at system calls: a program under strace, of which one call, counted out beforehand, kills it or fails.
//!
//! strace counts each system call for itself in each thread. Children are let go as soon as they become another program, so what is traced is
//! one program with its threads. The kill comes before the call is made: so the points are every state between two calls.

use crate::process;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

const STRACE: &str = "strace";

/// Calls that change what outlives a process, or that start, end and tell others: between two of them nothing happens that matters. A name
/// with a question mark is not there on every processor.
pub const CALLS: &str = "?open,openat,write,pwrite64,writev,pwritev,fsync,fdatasync,?rename,renameat,renameat2,?link,linkat,?unlink,unlinkat,\
                         ?mkdir,mkdirat,?rmdir,ftruncate,fallocate,flock,?fork,?vfork,clone,clone3,kill,sendto,sendmsg,setsid,chdir";

/// Of these, those that a failing or full disk lets fail.
pub const DISK_CALLS: &str = "?open,openat,write,pwrite64,writev,pwritev,fsync,fdatasync,?rename,renameat,renameat2,?link,linkat,?unlink,unlinkat,\
                              ?mkdir,mkdirat,?rmdir,ftruncate,fallocate";

/// What a call does instead of its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It kills the process with SIGKILL, unmade.
    Kill,
    /// It fails with this error, by its name, unmade.
    Error(&'static str),
}

/// A call in the life of a program: the `number`th of its name, from 1 on, in whichever thread comes so far first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// The call's name.
    pub call: String,
    /// Its number.
    pub number: u64,
}

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.call, self.number)
    }
}

/// A fault at a point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Injection {
    /// Where.
    pub point: Point,
    /// What.
    pub fault: Fault,
}

/// Whether strace works here.
///
/// # Errors
/// A sentence that says why not: it is not installed, or nobody may trace here.
pub fn available() -> Result<(), String> {
    let mut command = process::command(Path::new(STRACE));
    command.args(["-f", "-b", "execve", "-o", "/dev/null", "-e", "trace=openat", "-e", "inject=openat:error=EIO:when=65535", "true"]);
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("strace fails: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("strace cannot be run: {error}")),
    }
}

/// strace's arguments before the program's own.
fn arguments(log: &Path, injection: Option<&Injection>) -> Vec<String> {
    let mut arguments: Vec<String> = ["-f", "-b", "execve", "-q", "-s", "0", "-o"].map(str::to_owned).to_vec();
    arguments.push(log.to_str().expect("temporary folders have plain names").to_owned());
    arguments.extend(["-e".to_owned(), format!("trace={CALLS}")]);
    if let Some(Injection { point: Point { call, number }, fault }) = injection {
        let fault = match fault {
            Fault::Kill => "signal=SIGKILL".to_owned(),
            Fault::Error(name) => format!("error={name}"),
        };
        arguments.extend(["-e".to_owned(), format!("inject={call}:{fault}:when={number}")]);
    }
    arguments
}

/// A program under strace, which writes its calls to `log`. Arguments may be added.
#[must_use]
pub fn command(program: &Path, log: &Path, injection: Option<&Injection>) -> Command {
    let mut command = process::command(Path::new(STRACE));
    command.args(arguments(log, injection)).arg(program);
    command
}

/// The strace of a process that runs already, with the threads that it has, from the moment at which it is held.
#[must_use]
pub fn attach(pid: i32, log: &Path, injection: Option<&Injection>) -> Command {
    let mut command = process::command(Path::new(STRACE));
    command.args(arguments(log, injection)).args(["-p", &pid.to_string()]);
    command
}

/// A shell script that is put in a program's place: its first run is the program under strace, with the process id of the script and strace
/// in a session of its own; every later run is the program alone. `once` is the folder by which it knows.
#[must_use]
pub fn script(program: &Path, log: &Path, once: &Path, injection: Option<&Injection>) -> String {
    let quoted: Vec<String> = arguments(log, injection).iter().map(|argument| format!("'{argument}'")).collect();
    let (program, once) = (program.display(), once.display());
    format!(
        "#!/bin/sh\nmkdir '{once}' 2>/dev/null && exec {STRACE} -DDD {} '{program}' \"$@\"\nexec '{program}' \"$@\"\n",
        quoted.join(" ")
    )
}

/// How often each call was made so far, in each thread, by a log.
#[must_use]
pub fn counts(log: &Path) -> BTreeMap<(u32, String), u64> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let mut counts = BTreeMap::new();
    for line in text.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        // The other half of a call that another thread's has cut in two is no second one.
        let (Ok(thread), Some((call, _))) = (thread.parse(), call.trim_start().split_once('(')) else { continue };
        if call.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_') && !call.is_empty() {
            *counts.entry((thread, call.to_owned())).or_insert(0) += 1;
        }
    }
    counts
}

/// The points of calls that were made after `before` was counted.
#[must_use]
pub fn points(before: &BTreeMap<(u32, String), u64>, after: &BTreeMap<(u32, String), u64>) -> Vec<Point> {
    let mut points = BTreeSet::new();
    for ((thread, call), last) in after {
        let first = before.get(&(*thread, call.clone())).copied().unwrap_or(0) + 1;
        points.extend((first..=*last).map(|number| Point { call: call.clone(), number }));
    }
    points.into_iter().collect()
}

/// The points whose call is one of a list.
#[must_use]
pub fn of_calls(points: &[Point], calls: &str) -> Vec<Point> {
    let names: BTreeSet<&str> = calls.split(',').map(|name| name.trim_start_matches('?')).collect();
    points.iter().filter(|point| names.contains(point.call.as_str())).cloned().collect()
}

/// Whether the fault has happened, by a log.
#[must_use]
pub fn has_happened(log: &Path, fault: Fault) -> bool {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    match fault {
        Fault::Kill => text.contains("+++ killed by SIGKILL +++"),
        Fault::Error(_) => text.contains("(INJECTED)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally;

    #[test]
    fn calls_are_counted_and_the_one_that_is_named_fails_or_kills() {
        if let Err(why) = available() {
            return tally::skipped("faults at system calls", &why);
        }
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let made = |name: &str| folder.path().join(name).exists();
        let run = |injection: Option<&Injection>| {
            let mut command = command(Path::new("mkdir"), &log, injection);
            command.current_dir(folder.path()).args(["a", "b", "c"]);
            process::output(command).status
        };
        assert!(run(None).success());
        let all = counts(&log);
        let points = of_calls(&points(&BTreeMap::new(), &all), "?mkdir,mkdirat");
        assert_eq!(points.len(), 3, "{all:?}");
        for name in ["a", "b", "c"] {
            std::fs::remove_dir(folder.path().join(name)).unwrap();
        }
        let failing = Injection { point: points[1].clone(), fault: Fault::Error("ENOSPC") };
        assert!(!run(Some(&failing)).success());
        assert!(has_happened(&log, failing.fault) && made("a") && !made("b") && made("c"));
        std::fs::remove_dir(folder.path().join("c")).unwrap();
        let killing = Injection { point: points[2].clone(), fault: Fault::Kill };
        assert!(run(Some(&killing)).code().is_none(), "it was killed");
        assert!(has_happened(&log, killing.fault) && made("b") && !made("c"));
    }
}
