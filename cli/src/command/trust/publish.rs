//! `flotilla trust publish` and `nodes`: the bridge takes a new bundle while it runs, and says which nodes go by it.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use flotilla_api::trust::{GetTrustStatusRequest, NodesOfVersion, PutTrustBundleRequest};

use super::TrustCommandError;
use crate::connection::Connection;
use crate::error::{CliError, SUCCESS};
use crate::files;
use crate::output::Output;

/// Hand the next bundle to the running bridge, which sends it to every node.
#[derive(Debug, Args)]
#[command(after_help = "\
FILE is one bundle, or a trust folder: of that, every bundle that the bridge does not have. Publishing one again changes nothing, and sends \
it to the nodes once more.

Examples:
  flotilla trust publish trust/2.bundle
  flotilla trust publish trust")]
pub(super) struct PublishArguments {
    /// The bundle, or a trust folder.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Show how many nodes go by which version of trust, as each has said in its last hello.
#[derive(Debug, Args)]
#[command(after_help = "\
A node says it within seconds of taking a new bundle, and when it connects. Version 0 are nodes that have no trust, or never connected.

Example:
  flotilla trust nodes")]
pub(super) struct NodesArguments {}

pub(super) fn publish(connection: &Connection, output: Output, arguments: &PublishArguments) -> Result<u8, CliError> {
    let files = if arguments.file.is_dir() { missing(connection, &arguments.file)? } else { vec![arguments.file.clone()] };
    if files.is_empty() {
        output.print("the bridge has every bundle of the folder\n")?;
    }
    for path in files {
        let failed = |source| TrustCommandError::File { action: "read", path: path.clone(), source };
        let bundle = STANDARD.encode(files::read(&path).map_err(failed)?);
        let put = connection.client.call(&PutTrustBundleRequest { bundle })?;
        let what = if put.is_new { "counts from now on" } else { "was there already, and is sent once more" };
        output.print(&format!("bundle {} (sha256 {}) {what}\n", put.version, put.sha256))?;
    }
    Ok(SUCCESS)
}

/// The bundles of a folder after the bridge's newest.
fn missing(connection: &Connection, folder: &Path) -> Result<Vec<PathBuf>, CliError> {
    let newest = connection.client.call(&GetTrustStatusRequest {})?.version;
    let paths = (newest.saturating_add(1)..).map(|version| folder.join(format!("{version}.bundle")));
    Ok(paths.take_while(|path| path.exists()).collect())
}

pub(super) fn nodes(connection: &Connection, output: Output) -> Result<u8, CliError> {
    let found = connection.client.call(&GetTrustStatusRequest {})?;
    output.print_list(&found.nodes, &["VERSION", "NODES", "ONLINE"], row)?;
    Ok(SUCCESS)
}

fn row(of: &NodesOfVersion) -> Vec<String> {
    vec![of.version.to_string(), of.nodes.to_string(), of.online.to_string()]
}
