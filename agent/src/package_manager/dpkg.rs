//! dpkg's database (Debian, Ubuntu, Raspberry Pi OS), and opkg's, which has the same form (OpenWrt, Yocto).
//!
//! The form is that of deb822(5), the fields those of dpkg-query(1). A package is there when the third word of its status is something else
//! than `not-installed` or `config-files`; what is half installed is there, and broken.

use super::database::{self, Piece};
use super::{Package, PackageError, Packages, State};
use std::io::BufRead;

/// Reads the packages of a database, in the order in which they stand there.
///
/// # Errors
/// A database that cannot be read, and one with more packages than an inventory takes.
pub fn read(status: impl BufRead) -> Result<Packages, PackageError> {
    let mut packages = Packages::default();
    let mut package = Package::default();
    let mut state = None;
    database::read(status, |piece| match piece {
        Piece::Field { name, value } => match name {
            "Package" => package.set_name(value),
            "Version" => package.set_version(value),
            "Architecture" => package.set(|package| &mut package.architecture, value),
            "Section" => package.set(|package| &mut package.section, value),
            "Maintainer" => package.set(|package| &mut package.publisher, value),
            "Homepage" => package.set(|package| &mut package.url, value),
            "Description" => package.set(|package| &mut package.summary, value),
            // Seconds since 1970; opkg only.
            "Installed-Time" => package.installed_s = value.parse().ok(),
            "Status" => state = state_of(value),
            _ => {}
        },
        Piece::End => {
            let done = std::mem::take(&mut package);
            if let Some(state) = state.take() {
                packages.add(Package { state, ..done });
            }
        }
    })
    .map_err(PackageError::Unreadable)?;
    packages.finish()
}

/// The state of what is there: want, error flag and state, as in `install ok installed`.
fn state_of(status: &str) -> Option<State> {
    let mut words = status.split_ascii_whitespace();
    let (want, flag, state) = (words.next()?, words.next()?, words.next()?);
    let has = |wanted| flag.split(',').any(|flag| flag == wanted);
    match state {
        "not-installed" | "config-files" => None,
        // opkg writes what it keeps from being removed or upgraded into the middle word.
        "installed" if has("reinstreq") => Some(State::Broken),
        "installed" | "triggers-awaited" | "triggers-pending" => {
            Some(if want == "hold" || has("hold") { State::Held } else { State::Installed })
        }
        _ => Some(State::Broken),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_installed_held_broken_and_gone() {
        let status = b"Package: openssl\nStatus: install ok installed\nSection: utils\nArchitecture: amd64\nVersion: 1:3.0.17-1~deb12u3\n\
            Description: Secure Sockets Layer toolkit\n cryptographic utility\nHomepage: https://www.openssl.org/\n\n\
            Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n\
            Package: kept\nStatus: hold ok installed\nVersion: 2\nArchitecture: all\n\n\
            Package: half\nStatus: install reinstreq half-installed\nVersion: 3\n\n\
            Package: no-status\nVersion: 4\n\nStatus: install ok installed\n\n";
        let packages = read(status.as_slice()).unwrap();
        let seen: Vec<_> = packages.list.iter().map(|package| (package.name.as_str(), package.state)).collect();
        assert_eq!(seen, [("openssl", State::Installed), ("kept", State::Held), ("half", State::Broken)]);
        let openssl = &packages.list[0];
        assert_eq!((openssl.epoch.as_str(), openssl.version.as_str(), openssl.release.as_str()), ("1", "3.0.17", "1~deb12u3"));
        assert_eq!((openssl.section.as_str(), openssl.url.as_str()), ("utils", "https://www.openssl.org/"));
        assert_eq!(packages.skipped, 1, "a paragraph without a name");
    }

    #[test]
    fn the_form_of_opkg() {
        let status = b"Package: busybox\nVersion: 1.36.1-1\nDepends: libc\nStatus: install user installed\nArchitecture: mips_24kc\n\
            Installed-Time: 1700000000\n\nPackage: dnsmasq\nVersion: 2.90-r2\nStatus: install hold installed\nArchitecture: mips_24kc\n";
        let packages = read(status.as_slice()).unwrap().list;
        assert_eq!((packages[0].installed_s, packages[0].state), (Some(1_700_000_000), State::Installed));
        assert_eq!((packages[1].state, packages[1].release.as_str()), (State::Held, "r2"));
    }
}
