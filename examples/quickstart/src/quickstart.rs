//! The quickstart itself, from the top to the bottom.

use std::ffi::OsStr;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use flotilla_api::client::{CallError, Client, ClientSettings};
use flotilla_api::nodes::DescribeInstanceInformationRequest;

use crate::arguments::Arguments;
use crate::binaries::{self, Binaries};
use crate::child::Child;
use crate::error::QuickstartError;
use crate::home::Home;
use crate::session::Session;
use crate::signals::Signals;
use crate::story::{Step, say};
use crate::{first_command, nodes};

/// How long the bridge may take to serve: it opens a database and binds three ports.
const BRIDGE_LIMIT: Duration = Duration::from_secs(30);
/// How long one attempt to connect to the own machine may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// Does it all; returns whether the first command succeeded, or true when it ran on until Ctrl-C.
pub(crate) fn run(arguments: &Arguments, signals: Signals) -> Result<bool, QuickstartError> {
    say("Flotilla quickstart");
    let binaries = binaries::prepare(!arguments.no_build, &signals)?;
    let home = Home::open(arguments.home.as_deref(), &binaries, &signals)?;
    let mut session = Session::new(signals, home.folder().to_owned());
    let client = Client::new(ClientSettings::from_operator_env(&home.operator_env())?)?;

    start_bridge(&home, &binaries, &client, &mut session)?;
    let mut ids = Vec::new();
    for number in 1..=nodes::count(&home, arguments.nodes) {
        ids.push(nodes::start(number, &home, &binaries, &client, &mut session)?);
    }
    let succeeded = first_command::run(&ids, &client, &mut session)?;

    let rested = if arguments.once {
        Ok(())
    } else {
        say(&next_commands(&home, &binaries, client.endpoint(), succeeded));
        session.rest_until_told()
    };
    say("\nstopping");
    drop(session);
    nodes::tell_of_jobs(home.folder());
    rested?;
    say("stopped; the next `cargo quickstart` goes on with the same fleet");
    Ok(succeeded || !arguments.once)
}

fn start_bridge(home: &Home, binaries: &Binaries, client: &Client, session: &mut Session) -> Result<(), QuickstartError> {
    let step = Step::begin();
    let arguments: [&OsStr; 3] = [OsStr::new("run"), OsStr::new("--home"), home.folder().as_os_str()];
    session.add_bridge(Child::start("the bridge".to_owned(), &binaries.bridge, &arguments, home.bridge_log())?);
    // A signed call says more than that something answers: the key is known and the database is open.
    session.wait_for("an answer of the API", BRIDGE_LIMIT, || match client.call(&DescribeInstanceInformationRequest::default()) {
        Ok(_) => Ok(Some(())),
        Err(CallError::Connect { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    })?;
    for address in [home.ports.claim(), home.ports.broker()] {
        session.wait_for(&format!("an answer of the broker at {address}"), BRIDGE_LIMIT, || Ok(accepts(address)))?;
    }
    step.done(&format!("the bridge runs; API {}, broker {}", client.endpoint(), home.ports.broker()));
    Ok(())
}

fn accepts(mut address: SocketAddr) -> Option<()> {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { std::net::Ipv4Addr::LOCALHOST.into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
    }
    TcpStream::connect_timeout(&address, CONNECT_LIMIT).ok().map(drop)
}

fn next_commands(home: &Home, binaries: &Binaries, endpoint: &str, succeeded: bool) -> String {
    let folder = shown(home.folder());
    let flotilla = shown(&binaries.command_line);
    let outcome = if succeeded {
        "It works. The fleet goes on until Ctrl-C."
    } else {
        "The first command did not succeed; the fleet goes on until Ctrl-C."
    };
    format!(
        "\n{outcome}\n\n  \
         API          {endpoint}\n  \
         access key   {folder}/operator.env\n  \
         logs         {folder}/bridge.log, {folder}/nodes/*.log\n\n\
         Try next, in another terminal:\n\n  \
         {flotilla} --home {folder} nodes\n  \
         {flotilla} --home {folder} run --all -- uptime\n  \
         set -a; . {folder}/operator.env; set +a; aws ssm describe-instance-information"
    )
}

/// A path as one types it: from the current folder where it is in there, and quoted where a shell needs it.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let short = here.and_then(|here| path.strip_prefix(here).ok().map(|rest| Path::new(".").join(rest)));
    let text = short.as_deref().unwrap_or(path).to_string_lossy().into_owned();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+@,:=".contains(&byte);
    if text.bytes().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_shown_as_one_types_them() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(shown(&here.join(".flotilla")), "./.flotilla");
        assert_eq!(shown(Path::new("/srv/a fleet's")), r"'/srv/a fleet'\''s'");
    }
}
