//! Tells the system to reboot.
//!
//! It is told by a command, which refuses with an exit code other than 0. systemd is asked to mind what inhibits a reboot (`systemd-inhibit`,
//! which package managers take); other systems know no such thing. The command runs aside: exec is stopped by the reboot like everything else.

use std::path::Path;

use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;

use crate::process;

/// There while systemd is what runs the system (sd_booted(3)).
const SYSTEMD: &str = "/run/systemd/system";
/// What is kept of why the command refuses, in bytes.
const MAXIMUM_REASON_BYTES: u64 = 512;

/// How this system reboots, and who hears of it when it does not.
#[derive(Debug)]
pub(super) struct Rebooter {
    command: Vec<String>,
    search_path: String,
    refused: mpsc::Sender<String>,
}

impl Rebooter {
    /// With the command of the settings, or the system's own.
    pub(super) fn new(command: Option<Vec<String>>, search_path: &str, refused: mpsc::Sender<String>) -> Self {
        let own = || own_command(Path::new(SYSTEMD).is_dir()).iter().map(|&word| word.to_owned()).collect();
        Self { command: command.unwrap_or_else(own), search_path: search_path.to_owned(), refused }
    }

    /// Tells the system; what it says is sent when it refuses.
    pub(super) fn reboot(&self) {
        let (command, search_path, refused) = (self.command.clone(), self.search_path.clone(), self.refused.clone());
        tracing::warn!(command = command.join(" "), "the device is told to reboot");
        drop(tokio::spawn(async move {
            if let Err(why) = tell(&command, &search_path).await {
                tracing::warn!(why, "the device does not reboot");
                // Nobody listens only when exec ends; the next exec tells it again when its time is over.
                drop(refused.send(why).await);
            }
        }));
    }
}

fn own_command(has_systemd: bool) -> &'static [&'static str] {
    if has_systemd { &["systemctl", "--no-ask-password", "--check-inhibitors=yes", "reboot"] } else { &["reboot"] }
}

async fn tell(command: &[String], search_path: &str) -> Result<(), String> {
    let (name, arguments) = command.split_first().ok_or_else(|| "the setting reboot_command is empty".to_owned())?;
    let program = if name.contains('/') { Some(name.into()) } else { process::find_program(search_path, name) };
    let program = program.ok_or_else(|| format!("there is no program {name} in {search_path}; see the agent's setting reboot_command"))?;
    let failed = |error: std::io::Error| format!("{} cannot be run: {error}; see the agent's setting reboot_command", program.display());
    let mut child = process::start_reboot(&program, arguments, search_path).map_err(failed)?;
    let mut said = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        // What cannot be read is not said.
        drop(stderr.take(MAXIMUM_REASON_BYTES).read_to_end(&mut said).await);
    }
    let status = child.wait().await.map_err(failed)?;
    if status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&said);
    Err(format!("{} ended with {status}: {}", program.display(), said.split_whitespace().collect::<Vec<_>>().join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[tokio::test]
    async fn a_refusal_is_an_exit_code_with_its_reason() {
        let path = "/usr/bin:/bin";
        assert_eq!(tell(&words("true"), path).await, Ok(()));
        let why = tell(&words("ls --no-such-option-of-ls"), path).await.unwrap_err();
        assert!(why.contains("/ls ended with exit status: 2") && why.contains("no-such-option-of-ls"), "{why}");
        let why = tell(&words("no-such-program"), path).await.unwrap_err();
        assert!(why.contains("no program no-such-program in /usr/bin:/bin"), "{why}");
        let why = tell(&words("/no/such/program"), path).await.unwrap_err();
        assert!(why.contains("/no/such/program cannot be run"), "{why}");
    }

    #[test]
    fn systemd_is_asked_to_mind_what_inhibits_a_reboot() {
        assert!(own_command(true).contains(&"--check-inhibitors=yes"));
        assert_eq!(own_command(false), ["reboot"]);
    }
}
