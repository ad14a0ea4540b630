//! The process that gathers the inventory: started with the limits of a collector, and ended when it takes too long.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::Child;
use tokio::time::timeout;

use super::{Runner, Way};
use crate::exec::transient;
use crate::job::profile::Limits;
use crate::process;

/// A collector may take so long: two answers of programs that take their longest, and some.
const LONGEST: Duration = Duration::from_secs(600);
/// What systemd may take beside that.
const SYSTEMD_PATIENCE: Duration = Duration::from_secs(30);
/// The control group of a collector: there is one at a time.
const GROUP: &str = "collect";

impl Runner {
    /// What a collector may use at most.
    pub(in crate::exec) fn collector_limits(&self) -> Limits {
        Limits::of_collector(self.device_memory_bytes, LONGEST)
    }

    /// Has the inventory gathered that `folder` asks for, and waits for its end, which comes within `longest` and some seconds.
    ///
    /// # Errors
    /// Why there is none, for people.
    pub(in crate::exec) async fn collect(&self, folder: &Path, limits: Limits) -> Result<(), String> {
        let mut child = self.spawn_collector(folder, &limits)?;
        let patience = if matches!(self.way, Way::Systemd) { limits.time + SYSTEMD_PATIENCE } else { limits.time };
        let done = end_within(&mut child, patience).await;
        if let Way::Process(Some(cgroups)) = &self.way {
            let cgroups = cgroups.clone();
            drop(tokio::task::spawn_blocking(move || cgroups.end(GROUP)).await);
        }
        done
    }

    fn spawn_collector(&self, folder: &Path, limits: &Limits) -> Result<Child, String> {
        let failed = |error: std::io::Error| format!("it cannot be started: {error}");
        match &self.way {
            Way::Process(cgroups) => {
                let group = cgroups.as_ref().and_then(|cgroups| cgroups.make(GROUP, limits).ok());
                process::start_collector(folder, group.as_deref()).map_err(failed)
            }
            Way::Systemd => {
                let starter = self.find(transient::STARTER)?;
                let mut command = process::own_command("collect");
                command.extend([OsString::from("--folder"), folder.into()]);
                // None of before is waited for: a name of its own each time.
                let name = format!("flotilla-collect-{:016x}", getrandom::u64().map_err(|error| error.to_string())?);
                let arguments = transient::collect_arguments(&name, limits, folder, &command);
                process::start_starter_of_collector(&starter, &arguments, &self.search_path).map_err(failed)
            }
        }
    }
}

/// Waits for the end of a process; what takes longer is killed, with all that is in its process group.
async fn end_within(child: &mut Child, patience: Duration) -> Result<(), String> {
    match timeout(patience, child.wait()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(format!("it ended with {status}")),
        Ok(Err(error)) => Err(format!("it cannot be waited for: {error}")),
        Err(_) => {
            kill_all(child).await;
            Err(format!("it took longer than {} s and was killed", patience.as_secs()))
        }
    }
}

/// Ends the process and what it has started. Of a unit systemd ends what is in it.
async fn kill_all(child: &mut Child) {
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        // Its number is no other's: nobody has waited for it. The starter of systemd leads no group, and then this fails.
        let _no_group = killpg(Pid::from_raw(pid), Signal::SIGKILL);
    }
    drop(child.start_kill());
    drop(child.wait().await);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Stdio;

    async fn run(script: &str) -> (Result<(), String>, Option<u32>) {
        let arguments = ["-c".to_owned(), script.to_owned()];
        let mut child =
            process::start_system_program(Path::new("/bin/sh"), &arguments, "/usr/bin:/bin", Stdio::null(), Stdio::null()).unwrap();
        let pid = child.id();
        (end_within(&mut child, Duration::from_secs(1)).await, pid)
    }

    #[tokio::test]
    async fn a_collector_that_hangs_is_killed_and_one_that_dies_is_noted() {
        let (done, pid) = run("exec sleep 1000").await;
        assert!(done.unwrap_err().contains("took longer than 1 s"));
        assert!(!Path::new(&format!("/proc/{}", pid.unwrap())).exists(), "it is killed and waited for");
        assert!(run("kill -9 $$").await.0.unwrap_err().contains("signal: 9"));
        assert_eq!(run("exit 0").await.0, Ok(()));
    }

    #[test]
    fn a_collector_has_the_limits_of_its_profile() {
        let limits = Runner::default().collector_limits();
        assert_eq!((limits.tasks, limits.time), (64, LONGEST));
        assert!(limits.memory_bytes >= 32 << 20);
    }
}
