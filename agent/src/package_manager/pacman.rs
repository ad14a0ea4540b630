//! pacman's database (Arch Linux ARM): a folder a package under `/var/lib/pacman/local`, with a file `desc`.
//!
//! A field is its name between `%` on a line of its own, and its value on the lines after it, up to an empty one.

use super::{Package, PackageError, Packages};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

/// What is read of one package's file, in bytes: the fields of interest stand at its beginning.
const MAXIMUM_FILE_BYTES: u64 = 64 * 1024;

/// Reads the packages of a database.
///
/// # Errors
/// A folder that cannot be read, and one with more packages than an inventory takes. A package whose file cannot be read is skipped and
/// counted.
pub fn read(folder: &Path) -> Result<Packages, PackageError> {
    let mut packages = Packages::default();
    for entry in std::fs::read_dir(folder).map_err(PackageError::Unreadable)? {
        let description = entry.map_err(PackageError::Unreadable)?.path().join("desc");
        // The folder has a file that names the version of the database.
        let Ok(file) = File::open(&description) else { continue };
        let mut package = Package::default();
        let mut field = String::new();
        for line in BufReader::new(file.take(MAXIMUM_FILE_BYTES)).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            if let Some(name) = line.strip_prefix('%').and_then(|line| line.strip_suffix('%')) {
                name.clone_into(&mut field);
                continue;
            }
            match field.as_str() {
                "NAME" => package.set_name(&line),
                "VERSION" => package.set_version(&line),
                "ARCH" => package.set(|package| &mut package.architecture, &line),
                "URL" => package.set(|package| &mut package.url, &line),
                "DESC" => package.set(|package| &mut package.summary, &line),
                "PACKAGER" => package.set(|package| &mut package.publisher, &line),
                "INSTALLDATE" => package.installed_s = line.trim().parse().ok(),
                _ => {}
            }
            // Lists go on over lines; of these fields the first line is all.
            field.clear();
        }
        packages.add(package);
    }
    packages.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_a_package() {
        let folder = tempfile::tempdir().unwrap();
        File::create(folder.path().join("ALPM_DB_VERSION")).unwrap();
        let description = "%NAME%\nbash\n\n%VERSION%\n1:5.2.037-1\n\n%DESC%\nThe shell\n\n%ARCH%\naarch64\n\n%LICENSE%\nGPL\nother\n\n\
            %INSTALLDATE%\n1700000000\n\n%DEPENDS%\nreadline\n";
        for (name, text) in [("bash-5.2", description), ("damaged-1", "%NAME%\n"), ("empty-1", "")] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            let mut file = File::create(folder.path().join(name).join("desc")).unwrap();
            std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        }
        let packages = read(folder.path()).unwrap();
        assert_eq!((packages.list.len(), packages.skipped), (1, 2));
        let bash = &packages.list[0];
        assert_eq!((bash.epoch.as_str(), bash.version.as_str(), bash.release.as_str()), ("1", "5.2.037", "1"));
        assert_eq!((bash.installed_s, bash.summary.as_str()), (Some(1_700_000_000), "The shell"));
    }
}
