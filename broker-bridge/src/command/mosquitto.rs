//! `flotilla-bridge mosquitto`: everything that a Mosquitto needs to serve this fleet, in one folder.

use crate::clock::Clock;
use crate::fleet::signer::{Signer, SignerError};
use crate::platform::files;
use crate::platform::mosquitto::{CLAIM_LINK_NAME, MosquittoSettings, configuration, installed_plugin};
use crate::platform::pki::PkiError;
use crate::settings::{HomeError, Settings, SettingsError};
use clap::Args;
use std::io;
use std::path::{Path, PathBuf};

/// How long the claim broker's certificate is valid, in days: as long as the others that `init` makes.
const VALIDITY_DAYS: u32 = 3650;

#[derive(Debug, Args)]
pub(super) struct MosquittoOptions {
    /// The home that `init` made
    #[arg(long)]
    home: PathBuf,
    /// A new folder for the files; it holds private keys
    #[arg(long)]
    output: PathBuf,
    /// The user that Mosquitto becomes when root starts it; must be able to read the folder
    #[arg(long, default_value = "mosquitto")]
    user: String,
    /// Mosquitto's dynamic security plugin, a file; without this, the one that is installed on this machine, if any
    #[arg(long, value_name = "FILE")]
    dynamic_security: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum MosquittoError {
    #[error("the settings cannot be read")]
    Settings(#[from] SettingsError),
    #[error("the home cannot be read")]
    Home(#[from] HomeError),
    #[error("the fleet's keys cannot be read")]
    Signer(#[from] SignerError),
    #[error("no certificate can be issued")]
    Pki(#[from] PkiError),
    #[error("no randomness can be had from the system: {0}")]
    Random(getrandom::Error),
    #[error("{path} cannot be written; the folder must not exist yet and its name must be plain text without line breaks")]
    Output {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

pub(super) fn write(options: &MosquittoOptions, clock: &Clock) -> Result<String, MosquittoError> {
    let settings = Settings::load(&options.home)?;
    let signer = Signer::load(settings.home.path(), clock.now_ms())?;
    let folder = std::path::absolute(&options.output).map_err(failed(&options.output))?;
    let text = folder.to_str().filter(|text| !text.contains(char::is_control)).ok_or(io::ErrorKind::InvalidInput);
    let text = text.map_err(|kind| failed(&options.output)(kind.into()))?.to_owned();
    let mut random = [0_u8; 16];
    getrandom::fill(&mut random).map_err(MosquittoError::Random)?;
    let authorities = settings.home.read_authorities()?;
    let server = settings.home.read_certificate("broker")?;
    // The claim broker trusts what its own certificate folder says: both authorities during a rotation.
    let link = authorities.current.issue_client(CLAIM_LINK_NAME, clock.now_ms() / 1000, VALIDITY_DAYS)?;
    let given = options.dynamic_security.as_ref().map(|plugin| plugin.display().to_string());
    let dynamic_security = given.or_else(installed_plugin);
    let rendered = configuration(&MosquittoSettings {
        listen: settings.broker.listen,
        claim_listen: settings.broker.claim_listen,
        fleet: signer.fleet(),
        folder: text.clone(),
        user: options.user.clone(),
        dynamic_security: dynamic_security.clone(),
        claim_link_id: random.iter().map(|byte| format!("{byte:02x}")).collect(),
    });
    files::create_folder(&folder).map_err(failed(&folder))?;
    let secret =
        |name: &str, content: &str| files::create_secret(&folder.join(name), content.as_bytes()).map_err(failed(&folder.join(name)));
    for (name, content) in &rendered {
        secret(name, content)?;
    }
    secret("ca.pem", &authorities.pem())?;
    secret("server.pem", &server.certificate_pem())?;
    secret("server.key", &server.private_key_pem())?;
    secret("claims.pem", &link.certificate_pem())?;
    secret("claims.key", &link.private_key_pem())?;
    files::sync_folder(&folder).map_err(failed(&folder))?;
    Ok(format!(
        "Wrote the configuration, certificates and keys of two brokers to {text}.\n\
         Let Mosquitto read them:   chown -R {user} {text}\n\
         Nodes and bridges:         mosquitto -c {text}/mosquitto.conf\n\
         Devices being enrolled:    mosquitto -c {text}/claim.conf\n\
         Then set mode = \"external\"{and_plugin} under [broker] in {settings_file}, and start the bridge again.",
        and_plugin = if dynamic_security.is_some() { " and dynamic_security = true" } else { "" },
        user = options.user,
        settings_file = settings.home.settings().display(),
    ))
}

fn failed(path: &Path) -> impl Fn(io::Error) -> MosquittoError {
    move |source| MosquittoError::Output { path: path.to_owned(), source }
}
