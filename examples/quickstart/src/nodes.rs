//! The nodes on this machine: registered once, then started again and again.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flotilla_api::activations::CreateActivationRequest;
use flotilla_api::client::Client;
use flotilla_api::nodes::{DescribeInstanceInformationRequest, InstanceInformationStringFilter};
use serde::Deserialize;

use crate::arguments::MAXIMUM_NODES;
use crate::binaries::Binaries;
use crate::child::{self, Child};
use crate::error::QuickstartError;
use crate::home::{self, Home};
use crate::session::Session;
use crate::story::{Step, say};

/// How long a registration may take: one exchange of messages.
const REGISTER_LIMIT: Duration = Duration::from_secs(30);
/// How long a node may take until the bridge has heard of it.
const ONLINE_LIMIT: Duration = Duration::from_secs(30);
/// The API wants a role; a fleet gives it no meaning.
const ROLE: &str = "none";

/// How many nodes to run: as many as asked for, else as many as there are, one at least.
pub(crate) fn count(home: &Home, wanted: Option<u16>) -> u16 {
    let registered = (1..=MAXIMUM_NODES).take_while(|number| is_registered(home, *number)).count();
    wanted.unwrap_or_else(|| u16::try_from(registered).unwrap_or(MAXIMUM_NODES).max(1))
}

/// Registers a node where it is not yet one, starts its agent, and waits until the bridge has heard of it. Returns its id.
pub(crate) fn start(
    number: u16,
    home: &Home,
    binaries: &Binaries,
    client: &Client,
    session: &mut Session,
) -> Result<String, QuickstartError> {
    let settings = write_settings(home, number)?;
    if !is_registered(home, number) {
        register(number, &settings, binaries, client, session)?;
    }
    let id = node_id(home, number)?;
    let step = Step::begin();
    let arguments: [&OsStr; 3] = [OsStr::new("run"), OsStr::new("--settings"), settings.as_os_str()];
    session.add_agent(Child::start(format!("the agent of node {number}"), &binaries.agent, &arguments, home.node_log(number))?);
    session.wait_for(&format!("the connection of node {number}"), ONLINE_LIMIT, || {
        Ok(ping_status(client, &id)?.filter(|status| status == "Online"))
    })?;
    step.done(&format!("node {number} is online: {id}"));
    Ok(id)
}

fn register(number: u16, settings: &Path, binaries: &Binaries, client: &Client, session: &Session) -> Result<(), QuickstartError> {
    let step = Step::begin();
    let activation = client.call(&CreateActivationRequest {
        description: Some("made by cargo quickstart".to_owned()),
        default_instance_name: Some(format!("quickstart-{number}")),
        iam_role: ROLE.to_owned(),
        ..CreateActivationRequest::default()
    })?;
    let missing = QuickstartError::Answer { operation: "CreateActivation", member: "ActivationCode" };
    let code = activation.activation_code.ok_or(missing)?;
    let arguments = ["register", "--activation", "-", "--settings"].into_iter().map(OsStr::new).chain([settings.as_os_str()]);
    let arguments: Vec<&OsStr> = arguments.collect();
    child::run("registering the node", &binaries.agent, &arguments, &code, REGISTER_LIMIT, &session.signals)?;
    step.done(&format!("made an activation and registered node {number} with it"));
    Ok(())
}

/// The agent's settings. They name the folder in full, and the clone may have been moved: so they are written at every start.
fn write_settings(home: &Home, number: u16) -> Result<PathBuf, QuickstartError> {
    let folder = home.node(number);
    let escaped = folder.to_string_lossy().replace('\\', r"\\").replace('"', r#"\""#);
    let path = home.node_settings(number);
    let text = format!("# Written by cargo quickstart at every start.\nstate_folder = \"{escaped}\"\n");
    write_file(&path, &text).map_err(|source| QuickstartError::Write { path: path.clone(), source })?;
    Ok(path)
}

fn write_file(path: &Path, text: &str) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(text.as_bytes())?;
    fs::rename(temporary, path)
}

fn is_registered(home: &Home, number: u16) -> bool {
    home.node(number).join("registered").exists()
}

/// The agent keeps its node's id where its link reads it. Should the file take another form, this quickstart says so.
fn node_id(home: &Home, number: u16) -> Result<String, QuickstartError> {
    #[derive(Deserialize)]
    struct Connection {
        node: String,
    }
    let path = home.node(number).join("link/connection.toml");
    let text =
        fs::read_to_string(&path).map_err(|source| QuickstartError::Read { path: path.clone(), home: home.folder().to_owned(), source })?;
    let connection: Connection = home::read_toml(&text).map_err(|error| QuickstartError::Content { path, what: error.to_string() })?;
    Ok(connection.node)
}

fn ping_status(client: &Client, id: &str) -> Result<Option<String>, QuickstartError> {
    let filter = InstanceInformationStringFilter { key: "InstanceIds".to_owned(), values: vec![id.to_owned()] };
    let request = DescribeInstanceInformationRequest { filters: Some(vec![filter]), ..DescribeInstanceInformationRequest::default() };
    let mut nodes = client.call(&request)?.instance_information_list.unwrap_or_default();
    Ok(nodes.pop().and_then(|node| node.ping_status))
}

/// Tells of commands that go on: an agent's jobs outlive it, here as on a device.
pub(crate) fn tell_of_jobs(home: &Path) {
    let Ok(entries) = fs::read_dir("/proc") else { return };
    for process in entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok()) {
        let Ok(words) = fs::read(format!("/proc/{process}/cmdline")) else { continue };
        if is_job_of(&words, home) {
            say(&format!(
                "  a command goes on without its agent, as on a device (process {process}); its result is reported at the next start"
            ));
        }
    }
}

/// Whether a command line, its words ended by NULs, is that of a job in this home.
fn is_job_of(words: &[u8], home: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt as _;
    let mut words = words.split(|byte| *byte == 0).skip(1);
    let job = words.next() == Some(b"job".as_slice()) && words.next() == Some(b"--folder".as_slice());
    job && words.next().is_some_and(|folder| Path::new(OsStr::from_bytes(folder)).starts_with(home))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_told_from_other_processes() {
        let home = Path::new("/srv/fleet");
        assert!(is_job_of(b"flotilla-agent\0job\0--folder\0/srv/fleet/nodes/1/exec/jobs/x\0", home));
        for other in ["flotilla-agent\0job\0--folder\0/srv/fleet2/nodes/1\0", "flotilla-agent\0run\0--folder\0/srv/fleet/x\0", ""] {
            assert!(!is_job_of(other.as_bytes(), home), "{other}");
        }
    }
}
