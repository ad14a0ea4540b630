//! `aws:runPowerShellScript`: the lines as one script for `pwsh`, where the node has it.

use super::run_shell_script::Interpreter;
use crate::process::find_program;

/// PowerShell's program on Linux.
const PROGRAM: &str = "pwsh";
/// A script is run as it is: no banner, no profile of a user, no questions.
const ARGUMENTS: [&str; 4] = ["-NoLogo", "-NoProfile", "-NonInteractive", "-File"];

/// PowerShell, found in the folders of a search path.
///
/// # Errors
/// The node has none; the sentence names the plugin and what to install.
pub(crate) fn interpreter(search_path: &str) -> Result<Interpreter, String> {
    let program = find_program(search_path, PROGRAM).ok_or_else(|| {
        format!("aws:runPowerShellScript needs {PROGRAM}, which this node does not have in {search_path}; install PowerShell there")
    })?;
    Ok(Interpreter { program, arguments: ARGUMENTS.map(str::to_owned).into(), ending: "ps1" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{File, Permissions, create_dir, set_permissions};
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn power_shell_is_the_first_program_of_its_name() {
        let place = tempfile::tempdir().unwrap();
        let folders = ["a", "b", "c"].map(|name| place.path().join(name));
        folders.iter().for_each(|folder| create_dir(folder).unwrap());
        let search_path = folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(":");
        let error = interpreter(&search_path).unwrap_err();
        assert!(error.contains("aws:runPowerShellScript") && error.contains("install PowerShell"), "{error}");
        // A folder and a file that cannot be executed are no programs.
        create_dir(folders[0].join("pwsh")).unwrap();
        File::create(folders[1].join("pwsh")).unwrap();
        assert!(interpreter(&search_path).is_err());
        let program = folders[2].join("pwsh");
        File::create(&program).unwrap();
        set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        let found = interpreter(&search_path).unwrap();
        assert_eq!((found.program, found.ending, found.arguments.last().unwrap().as_str()), (program, "ps1", "-File"));
    }
}
