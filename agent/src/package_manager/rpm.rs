//! What `rpm` says of its database (RHEL and its family, SUSE): the database itself has had three forms, and rpm reads them all.
//!
//! Each package is a line with tab-separated values, in the order of [`QUERY`]; rpm writes `(none)` for what a package lacks. A tab or a line
//! break within a value would move the rest, so what has not all of its values is skipped.

use super::{Package, PackageError, Packages};
use std::io::{BufRead, Read as _};

/// The arguments of `rpm` that give the lines.
pub const QUERY: [&str; 3] = [
    "-qa",
    "--queryformat",
    "%{NAME}\\t%{EPOCH}\\t%{VERSION}\\t%{RELEASE}\\t%{ARCH}\\t%{GROUP}\\t%{VENDOR}\\t%{URL}\\t%{INSTALLTIME}\\t%{SUMMARY}\\n",
];

/// Longest line, in bytes.
const MAXIMUM_LINE_BYTES: u64 = 16 * 1024;
/// Values of a line.
const VALUES: usize = 10;
/// Keys that signed packages stand in the database as if they were packages.
const KEY: &str = "gpg-pubkey";

/// Reads the lines.
///
/// # Errors
/// What cannot be read, and more packages than an inventory takes.
pub fn read(mut lines: impl BufRead) -> Result<Packages, PackageError> {
    let mut packages = Packages::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = lines.by_ref().take(MAXIMUM_LINE_BYTES).read_until(b'\n', &mut line).map_err(PackageError::Unreadable)?;
        if length == 0 {
            return packages.finish();
        }
        let text = String::from_utf8_lossy(&line);
        let values: Vec<&str> = text.trim_end_matches('\n').split('\t').map(|value| if value == "(none)" { "" } else { value }).collect();
        let [name, epoch, version, release, architecture, group, vendor, url, installed, summary] = values.as_slice() else {
            packages.skipped += 1;
            continue;
        };
        debug_assert_eq!(values.len(), VALUES);
        if *name == KEY {
            continue;
        }
        let mut package = Package { installed_s: installed.parse().ok(), ..Package::default() };
        package.set_name(name);
        package.set(|package| &mut package.epoch, epoch);
        package.set(|package| &mut package.version, version);
        package.set(|package| &mut package.release, release);
        package.set(|package| &mut package.architecture, architecture);
        package.set(|package| &mut package.section, if *group == "Unspecified" { "" } else { group });
        package.set(|package| &mut package.publisher, vendor);
        package.set(|package| &mut package.url, url);
        package.set(|package| &mut package.summary, summary);
        packages.add(package);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_and_without_an_epoch() {
        let lines = "bash\t(none)\t5.1.8\t9.el9\tx86_64\tUnspecified\tAlmaLinux\thttps://www.gnu.org/software/bash\t1700000000\tThe shell\n\
            gpg-pubkey\t(none)\tb86b3716\t61e69f29\t(none)\tPublic Keys\t(none)\t(none)\t1700000000\tkey\n\
            half a line\n\
            openssl\t1\t3.0.7\t27.el9\tx86_64\tUnspecified\t(none)\t(none)\tx\tTLS\n";
        let packages = read(lines.as_bytes()).unwrap();
        let seen: Vec<_> =
            packages.list.iter().map(|package| (package.name.as_str(), package.epoch.as_str(), package.release.as_str())).collect();
        assert_eq!((seen, packages.skipped), (vec![("bash", "", "9.el9"), ("openssl", "1", "27.el9")], 1));
    }
}
