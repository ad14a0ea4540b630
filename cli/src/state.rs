//! Where this program remembers what it has seen of fleets.

use std::path::{Path, PathBuf};

use crate::error::CliError;

/// The folder that was named, else the usual one.
pub(crate) fn folder(named: Option<&Path>) -> Result<PathBuf, CliError> {
    if let Some(folder) = named {
        return Ok(folder.to_owned());
    }
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = variable("XDG_STATE_HOME").filter(|path| path.is_absolute());
    let state = state.or_else(|| variable("HOME").map(|home| home.join(".local/state")));
    let missing = || CliError::Usage("there is no place to remember what was seen: give --state, or set HOME".to_owned());
    Ok(state.ok_or_else(missing)?.join("flotilla"))
}
