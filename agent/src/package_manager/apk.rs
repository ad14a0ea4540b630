//! The database of apk-tools 2 and 3 (Alpine, newer OpenWrt): `lib/apk/db/installed`.
//!
//! Fields have one letter: `P` name, `V` version, `A` architecture, `U` URL, `T` description, `m` maintainer, `t` build time, `o` origin.
//! The files of a package follow it in the same paragraph, under `F`, `R`, `a`, `Z` and `M`. `s` and `f` mark what is broken.

use super::database::{self, Piece};
use super::{Package, PackageError, Packages, State};
use std::io::BufRead;

/// Reads the packages of a database, in the order in which they stand there.
///
/// # Errors
/// A database that cannot be read, and one with more packages than an inventory takes.
pub fn read(installed: impl BufRead) -> Result<Packages, PackageError> {
    let mut packages = Packages::default();
    let mut package = Package::default();
    let mut has_anything = false;
    database::read(installed, |piece| match piece {
        Piece::Field { name, value } => {
            has_anything = true;
            match name {
                "P" => package.set_name(value),
                "V" => package.set_version(value),
                "A" => package.set(|package| &mut package.architecture, value),
                "U" => package.set(|package| &mut package.url, value),
                "T" => package.set(|package| &mut package.summary, value),
                "m" => package.set(|package| &mut package.publisher, value),
                "o" => package.set(|package| &mut package.section, value),
                // Broken files, scripts or hardlinks.
                "f" => package.state = State::Broken,
                _ => {}
            }
        }
        Piece::End => {
            let done = std::mem::take(&mut package);
            if std::mem::take(&mut has_anything) {
                packages.add(done);
            }
        }
    })
    .map_err(PackageError::Unreadable)?;
    packages.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_with_their_files_between() {
        let installed = b"C:Q1p78yvTLG094tHE1+dToJGbmYzQE=\nP:musl\nV:1.2.5-r9\nA:aarch64\nS:390000\nI:622592\nT:the musl c library (libc)\n\
            U:https://musl.libc.org/\nL:MIT\no:musl\nm:Somebody <somebody@example.org>\nt:1700000000\nc:abc\nF:lib\nR:libc.musl-aarch64.so.1\n\
            a:0:0:777\nZ:Q17yJ3JFNypA4mxhJJr0ou6CzsJVI=\n\nP:busybox\nV:1.37.0-r12\nA:aarch64\nf:f\n\n\n";
        let packages = read(installed.as_slice()).unwrap();
        let seen: Vec<_> = packages
            .list
            .iter()
            .map(|package| (package.name.as_str(), package.version.as_str(), package.release.as_str(), package.state))
            .collect();
        assert_eq!(seen, [("musl", "1.2.5", "r9", State::Installed), ("busybox", "1.37.0", "r12", State::Broken)]);
        assert_eq!(packages.skipped, 0);
    }
}
