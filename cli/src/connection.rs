//! From the global options to a client of the bridge.

use std::path::{Path, PathBuf};

use flotilla_api::client::{Client, ClientSettings, SettingsError};

use crate::arguments::GlobalArguments;
use crate::quoting::quote;

/// The file in a home folder that says where the bridge is and with which key to sign.
const OPERATOR_ENV: &str = "operator.env";
/// The setting that `--endpoint-url` stands in for.
const ENDPOINT: &str = "AWS_ENDPOINT_URL_SSM";

/// A client, and how to write further commands that reach the same bridge.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) client: Client,
    home: Option<PathBuf>,
}

impl Connection {
    /// Options win over operator.env or, without `--home`, over the environment.
    pub(crate) fn open(arguments: &GlobalArguments) -> Result<Self, SettingsError> {
        let mut settings = match &arguments.home {
            Some(home) => ClientSettings::from_operator_env(&home.join(OPERATOR_ENV))?,
            None => ClientSettings::from_variables(|name| {
                let option = arguments.endpoint_url.clone().filter(|_| name == ENDPOINT);
                option.or_else(|| std::env::var(name).ok())
            })?,
        };
        if let Some(endpoint) = &arguments.endpoint_url {
            settings.endpoint.clone_from(endpoint);
        }
        if let Some(region) = &arguments.region {
            settings.region.clone_from(region);
        }
        if let Some(path) = &arguments.ca_certificate {
            settings.set_ca_certificate(path)?;
        }
        Ok(Self { client: Client::new(settings)?, home: arguments.home.clone() })
    }

    /// A command line for people to type, which reaches the same fleet.
    pub(crate) fn command_line(&self, rest: &str) -> String {
        command_line(self.home.as_deref(), rest)
    }
}

fn command_line(home: Option<&Path>, rest: &str) -> String {
    match home.and_then(Path::to_str) {
        Some(home) => format!("flotilla --home {} {rest}", quote(home)),
        None => format!("flotilla {rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_commands_name_the_same_home() {
        assert_eq!(command_line(None, "nodes"), "flotilla nodes");
        assert_eq!(command_line(Some(Path::new("my fleet")), "nodes"), "flotilla --home 'my fleet' nodes");
    }
}
