//! The fleet's trust bundles, as the bridge gives them.

use flotilla_api::audit::HexBytes;
use flotilla_api::client::Client;
use flotilla_api::trust::ListTrustBundlesRequest;

use crate::error::CliError;

/// Most bundles of a fleet: what the bridge takes, too.
pub(crate) const MAXIMUM_BUNDLES: usize = 256;

/// All bundles, from the first. Nothing is believed of them yet.
pub(crate) fn read(client: &Client) -> Result<Vec<HexBytes>, CliError> {
    let mut bundles: Vec<HexBytes> = Vec::new();
    loop {
        let after_version = u32::try_from(bundles.len()).ok();
        let more = client.call(&ListTrustBundlesRequest { after_version })?.bundles.unwrap_or_default();
        if more.is_empty() {
            return Ok(bundles);
        }
        bundles.extend(more);
        if bundles.len() > MAXIMUM_BUNDLES {
            return Err(CliError::Senseless(format!("more than {MAXIMUM_BUNDLES} trust bundles")));
        }
    }
}
