//! Tells the system to reboot.
//!
//! It is told by a command, which refuses with an exit code other than 0. What a person or a package manager has put in a reboot's way
//! (`systemd-inhibit`, in mode block) is minded where systemd runs the system; other systems know no such thing. `systemctl` by itself would
//! also refuse while somebody is logged in, which on a device with a console is always. So logind is asked what is blocked: where that is no
//! shutdown, `systemctl` is told not to look. Where it is one, or logind gives no answer, `systemctl` looks for itself, and says who is in the
//! way. The command runs aside: exec is stopped by the reboot like everything else.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Child;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::runner::SYSTEMD;
use crate::process;

/// What is kept of why the command refuses, in bytes.
const MAXIMUM_REASON_BYTES: usize = 512;
/// What is read of logind's answer, in bytes: a list of at most eight short words.
const MAXIMUM_ANSWER_BYTES: usize = 1024;
/// So long logind may take to answer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);
/// So long what a command has left running may hold its output open after its end.
const OUTPUT_PATIENCE: Duration = Duration::from_secs(1);

/// Asks logind for its property BlockInhibited (org.freedesktop.login1(5)): `s "shutdown:sleep"`.
const ASK_LOGIND: [&str; 6] =
    ["busctl", "get-property", "org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager", "BlockInhibited"];

/// How this system reboots, and who hears of it when it does not.
#[derive(Debug)]
pub(super) struct Rebooter {
    way: Way,
    search_path: String,
    refused: mpsc::Sender<String>,
}

/// How the system is told.
#[derive(Debug, Clone)]
enum Way {
    /// As the settings say.
    Command(Vec<String>),
    Systemd,
    /// Neither.
    Plain,
}

impl Rebooter {
    /// With the command of the settings, or the system's own.
    pub(super) fn new(command: Option<Vec<String>>, search_path: &str, refused: mpsc::Sender<String>) -> Self {
        let own = if Path::new(SYSTEMD).is_dir() { Way::Systemd } else { Way::Plain };
        Self { way: command.map_or(own, Way::Command), search_path: search_path.to_owned(), refused }
    }

    /// Tells the system; what it says is sent when it refuses.
    pub(super) fn reboot(&self) {
        let (way, search_path, refused) = (self.way.clone(), self.search_path.clone(), self.refused.clone());
        drop(tokio::spawn(async move {
            let command = way.command(&search_path).await;
            tracing::warn!(command = command.join(" "), "the device is told to reboot");
            if let Err(why) = tell(&command, &search_path).await {
                tracing::warn!(why, "the device does not reboot");
                // Nobody listens only when exec ends; the next exec tells it again when its time is over.
                drop(refused.send(why).await);
            }
        }));
    }
}

impl Way {
    async fn command(self, search_path: &str) -> Vec<String> {
        match self {
            Self::Command(command) => command,
            Self::Plain => vec!["reboot".to_owned()],
            Self::Systemd => {
                let looks = match blocked(search_path).await {
                    Ok(blocked) => blocked.split(':').any(|what| what == "shutdown"),
                    Err(why) => {
                        tracing::info!(why, "logind does not say what inhibits a reboot: whoever is logged in does, too");
                        true
                    }
                };
                let looks = if looks { "--check-inhibitors=yes" } else { "--check-inhibitors=no" };
                ["systemctl", "--no-ask-password", looks, "reboot"].map(str::to_owned).to_vec()
            }
        }
    }
}

/// What somebody has blocked, as logind says it: words with colons between.
async fn blocked(search_path: &str) -> Result<String, String> {
    let [name, arguments @ ..] = ASK_LOGIND;
    let program = process::find_program(search_path, name).ok_or_else(|| format!("there is no program {name} in {search_path}"))?;
    let failed = |error: std::io::Error| format!("{} cannot be run: {error}", program.display());
    let arguments = arguments.map(str::to_owned);
    let mut child = process::start_system_program(&program, &arguments, search_path, Stdio::piped(), Stdio::null()).map_err(failed)?;
    let stdout = child.stdout.take();
    let Ok(done) = timeout(ANSWER_PATIENCE, end_of(&mut child, stdout, MAXIMUM_ANSWER_BYTES)).await else {
        // It is gone by itself when that fails.
        drop(child.start_kill());
        return Err(format!("{} does not answer", program.display()));
    };
    let (status, answer) = done.map_err(failed)?;
    let answer = answer.trim().strip_prefix("s \"").and_then(|answer| answer.strip_suffix('"')).filter(|_| status.success());
    answer.map(str::to_owned).ok_or_else(|| format!("{} ended with {status}", program.display()))
}

async fn tell(command: &[String], search_path: &str) -> Result<(), String> {
    let (name, arguments) = command.split_first().ok_or_else(|| "the setting reboot_command is empty".to_owned())?;
    let program: Option<PathBuf> = if name.contains('/') { Some(name.into()) } else { process::find_program(search_path, name) };
    let program = program.ok_or_else(|| format!("there is no program {name} in {search_path}; see the agent's setting reboot_command"))?;
    let failed = |error: std::io::Error| format!("{} cannot be run: {error}; see the agent's setting reboot_command", program.display());
    let mut child = process::start_system_program(&program, arguments, search_path, Stdio::null(), Stdio::piped()).map_err(failed)?;
    let stderr = child.stderr.take();
    let (status, said) = end_of(&mut child, stderr, MAXIMUM_REASON_BYTES).await.map_err(failed)?;
    if status.success() {
        return Ok(());
    }
    Err(format!("{} ended with {status}: {}", program.display(), said.split_whitespace().collect::<Vec<_>>().join(" ")))
}

/// Waits for the end of a program, and keeps the first bytes of what it writes. The rest is read too: who writes to a pipe that nobody reads
/// waits for ever, and who writes to one that is closed is ended by it. What it leaves running may hold the pipe open, and is not waited for.
async fn end_of(
    child: &mut Child,
    output: Option<impl AsyncRead + Unpin>,
    maximum: usize,
) -> std::io::Result<(std::process::ExitStatus, String)> {
    let Some(mut output) = output else { return Ok((child.wait().await?, String::new())) };
    let mut kept = Vec::new();
    let status = tokio::select! {
        // What cannot be read is not said.
        () = keep(&mut output, &mut kept, maximum) => child.wait().await?,
        status = child.wait() => status?,
    };
    drop(timeout(OUTPUT_PATIENCE, keep(&mut output, &mut kept, maximum)).await);
    Ok((status, String::from_utf8_lossy(&kept).into_owned()))
}

/// Reads up to the end, and keeps the first `maximum` bytes of all.
async fn keep(output: &mut (impl AsyncRead + Unpin), kept: &mut Vec<u8>, maximum: usize) {
    let mut piece = [0; 1024];
    while let Ok(read @ 1..) = output.read(&mut piece).await {
        let room = maximum.saturating_sub(kept.len());
        kept.extend(piece.iter().take(read.min(room)));
    }
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

    #[tokio::test]
    async fn a_command_that_says_much_is_no_refusal_for_that() {
        let path = "/usr/bin:/bin";
        let script = |text: &str| ["sh", "-c", text].map(str::to_owned).to_vec();
        let much = "i=0; while [ $i -lt 3000 ]; do echo a line that nobody asked for >&2; i=$((i+1)); done";
        assert_eq!(tell(&script(&format!("{much}; exit 0")), path).await, Ok(()));
        let why = tell(&script(&format!("echo no; echo first >&2; {much}; exit 3")), path).await.unwrap_err();
        assert!(why.contains("exit status: 3: first a line") && why.len() < 700, "{why}");
        // What reboots the system may go on beside it, with the same standard error.
        let began = crate::clock::boottime_ms();
        assert_eq!(tell(&script("sleep 30 & exit 0"), path).await, Ok(()));
        assert!(crate::clock::boottime_ms() - began < 20_000);
    }

    /// A folder with a `busctl` that answers so.
    fn logind_that(script: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("busctl");
        std::fs::File::create(&path).and_then(|mut file| std::io::Write::write_all(&mut file, script.as_bytes())).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        folder
    }

    #[tokio::test]
    async fn who_is_logged_in_is_in_nobodys_way_and_who_blocks_is() {
        let systemctl = |looks: &str| words(&format!("systemctl --no-ask-password --check-inhibitors={looks} reboot"));
        for (answer, looks) in [
            ("echo 's \"\"'", "no"),
            ("echo 's \"sleep:idle:handle-power-key\"'", "no"),
            ("echo 's \"sleep:shutdown\"'", "yes"),
            ("echo 's \"shutdown\"'", "yes"),
            // Nobody knows: then systemctl looks for itself.
            ("echo 'Failed to get property' >&2; exit 1", "yes"),
            ("echo 's \"\"'; exit 1", "yes"),
            ("echo something else", "yes"),
        ] {
            let folder = logind_that(&format!("#!/bin/sh\n{answer}\n"));
            assert_eq!(Way::Systemd.command(folder.path().to_str().unwrap()).await, systemctl(looks), "{answer}");
        }
        let nothing = tempfile::tempdir().unwrap();
        assert_eq!(Way::Systemd.command(nothing.path().to_str().unwrap()).await, systemctl("yes"));
        assert_eq!(Way::Plain.command("").await, ["reboot"]);
        assert_eq!(Way::Command(words("a b")).command("").await, ["a", "b"]);
    }
}
