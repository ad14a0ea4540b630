//! The user as whom the link runs, where that is another one than exec's, and what of the state belongs to that user.
//!
//! With the setting `link_user` the state folder is 0711, so that the link finds its way through it, `link/` is the link user's own, and
//! `exec/` stays root's. [`establish`] makes it so before anything runs, also where the device was registered without that setting.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown, fchown, lchown};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::unistd::{User, geteuid};
use thiserror::Error;

use crate::settings::Settings;
use crate::state::{Layout, StateError, sync_folder};

/// The state folder lets others through and shows them nothing.
const STATE_FOLDER_MODE: u32 = 0o711;
/// Folders that are one user's.
const PRIVATE_FOLDER_MODE: u32 = 0o700;
/// Files that are one user's.
const PRIVATE_FILE_MODE: u32 = 0o600;
/// The folder of the socket: root's, and the link's group comes in.
const RUNTIME_FOLDER_MODE: u32 = 0o750;
/// The bits of a mode that are compared.
const MODE_BITS: u32 = 0o7777;
/// The link has six files; what else its folder holds is not the agent's.
const MAXIMUM_FILES: usize = 64;

/// The user as whom the link runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkUser {
    /// The name in `/etc/passwd`.
    pub name: String,
    /// The user's number; never 0.
    pub uid: u32,
    /// The number of the user's group.
    pub gid: u32,
}

/// Why a name is no user for the link.
#[derive(Debug, Error)]
pub enum LinkUserError {
    /// There is none of this name.
    #[error("the setting link_user names \"{name}\", and this system has no such user; make one, or leave the setting out")]
    Missing {
        /// The name.
        name: String,
    },
    /// It is root, under whatever name.
    #[error("the setting link_user names \"{name}\", which is root; name a user who may do nothing, or leave the setting out")]
    Root {
        /// The name.
        name: String,
    },
    /// The users of the system cannot be read.
    #[error("the user \"{name}\" of the setting link_user cannot be looked up")]
    Unknown {
        /// The name.
        name: String,
        /// Why.
        source: nix::Error,
    },
}

impl LinkUser {
    /// Looks a user up.
    ///
    /// # Errors
    /// See [`LinkUserError`].
    pub fn find(name: &str) -> Result<Self, LinkUserError> {
        let name = name.to_owned();
        match User::from_name(&name) {
            Ok(Some(user)) if user.uid.is_root() => Err(LinkUserError::Root { name }),
            Ok(Some(user)) => Ok(Self { name, uid: user.uid.as_raw(), gid: user.gid.as_raw() }),
            Ok(None) => Err(LinkUserError::Missing { name }),
            Err(source) => Err(LinkUserError::Unknown { name, source }),
        }
    }
}

/// Why the state cannot be parted between two users.
#[derive(Debug, Error)]
pub enum OwnershipError {
    /// Only root can run halves as two users.
    #[error("with the setting link_user (\"{name}\") root must start the agent; do so, or leave the setting out")]
    NotRoot {
        /// The link's user.
        name: String,
    },
    /// A file or folder does not become what it must be.
    #[error("{} cannot be made the link user's or root's as it must be; start flotilla-agent prepare once with all rights of root", .path.display())]
    Refused {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The state cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Has everything belong to whom it must, where `link_user` is set; otherwise it does nothing. May be called any number of times, and
/// touches only what is not as it must be: a root that has lost its rights to do more (a unit without capabilities) gets by with what somebody
/// else has made right before.
///
/// # Errors
/// See [`OwnershipError`].
pub fn establish(settings: &Settings) -> Result<(), OwnershipError> {
    let Some(user) = &settings.link_user else { return Ok(()) };
    if !geteuid().is_root() {
        return Err(OwnershipError::NotRoot { name: user.name.clone() });
    }
    // Whoever has no state yet is told so by whoever reads it.
    if !settings.state_folder.exists() {
        return Ok(());
    }
    let layout = Layout::new(settings);
    set_mode(&settings.state_folder, STATE_FOLDER_MODE)?;
    set_mode(&layout.exec(""), PRIVATE_FOLDER_MODE)?;
    layout.keep_connection()?;
    let link = layout.link("");
    give_folder(&link, user).map_err(|source| OwnershipError::Refused { path: link, source })?;
    make_runtime_folder(settings, user)
}

fn set_mode(path: &Path, mode: u32) -> Result<(), OwnershipError> {
    let refused = |source| OwnershipError::Refused { path: path.to_owned(), source };
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(refused(error)),
        Ok(metadata) if metadata.mode() & MODE_BITS == mode => Ok(()),
        Ok(_) => fs::set_permissions(path, Permissions::from_mode(mode)).map_err(refused),
    }
}

/// The folder itself comes last: while it is root's, nobody changes what is in it, and once it is the user's, all of it is.
fn give_folder(folder: &Path, user: &LinkUser) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    if !metadata.is_dir() {
        return Err(io::Error::from(io::ErrorKind::NotADirectory));
    }
    let is_given = is_of(&metadata, user) && metadata.mode() & MODE_BITS == PRIVATE_FOLDER_MODE;
    let entries = match fs::read_dir(folder) {
        // Root without the right to look into the folders of others.
        Err(error) if is_given && error.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
        other => other?,
    };
    for entry in entries.take(MAXIMUM_FILES) {
        give_file(&entry?.path(), user)?;
    }
    if !is_given {
        fs::set_permissions(folder, Permissions::from_mode(PRIVATE_FOLDER_MODE))?;
        chown(folder, Some(user.uid), Some(user.gid))?;
        sync_folder(folder)?;
    }
    Ok(())
}

/// By a descriptor, and only a plain file of one name: where the folder is the link user's already, that user may put anything there.
fn give_file(path: &Path, user: &LinkUser) -> io::Result<()> {
    let Some(file) = open_plain(path)? else {
        tracing::warn!(path = %path.display(), "this is no file of the agent's, and is left as it is");
        return Ok(());
    };
    let metadata = file.metadata()?;
    if !is_of(&metadata, user) {
        fchown(&file, Some(user.uid), Some(user.gid))?;
    }
    if metadata.mode() & MODE_BITS != PRIVATE_FILE_MODE {
        file.set_permissions(Permissions::from_mode(PRIVATE_FILE_MODE))?;
    }
    Ok(())
}

fn open_plain(path: &Path) -> io::Result<Option<File>> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(path) {
        Ok(file) => file,
        // A symbolic link, a socket, or gone since.
        Err(error) if error.raw_os_error().is_some_and(|code| [nix::libc::ELOOP, nix::libc::ENXIO, nix::libc::ENOENT].contains(&code)) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    Ok((metadata.is_file() && metadata.nlink() == 1).then_some(file))
}

fn is_of(metadata: &fs::Metadata, user: &LinkUser) -> bool {
    (metadata.uid(), metadata.gid()) == (user.uid, user.gid)
}

/// Where nobody else (tmpfiles.d, an init script) has made it. One that is there stays as it is.
fn make_runtime_folder(settings: &Settings, user: &LinkUser) -> Result<(), OwnershipError> {
    let Some(folder) = settings.socket.parent().filter(|folder| !folder.exists()) else { return Ok(()) };
    let refused = |source| OwnershipError::Refused { path: folder.to_owned(), source };
    DirBuilder::new().mode(PRIVATE_FOLDER_MODE).create(folder).map_err(refused)?;
    lchown(folder, None, Some(user.gid)).map_err(refused)?;
    set_mode(folder, RUNTIME_FOLDER_MODE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::SettingsFile;
    use std::ffi::OsString;
    use std::os::unix::fs::symlink;

    const USER: &str = "nobody";

    fn settings(folder: &Path) -> Settings {
        let variables = [
            ("FLOTILLA_AGENT__STATE_FOLDER", folder.join("state").into_os_string()),
            ("FLOTILLA_AGENT__SOCKET", folder.join("run/agent.sock").into_os_string()),
            ("FLOTILLA_AGENT__LINK_USER", USER.into()),
        ];
        let variables = variables.into_iter().map(|(name, value)| (OsString::from(name), value));
        let empty = tempfile::NamedTempFile::new().unwrap();
        Settings::from_sources(&SettingsFile::Named(empty.path().to_owned()), variables).unwrap()
    }

    fn owner_and_mode(path: &Path) -> (u32, u32, u32) {
        let metadata = fs::symlink_metadata(path).unwrap();
        (metadata.uid(), metadata.gid(), metadata.mode() & MODE_BITS)
    }

    #[test]
    fn a_user_is_looked_up_and_root_is_none() {
        assert_eq!(LinkUser::find(USER).unwrap().name, USER);
        assert!(LinkUser::find("root").unwrap_err().to_string().contains("which is root"));
        let missing = LinkUser::find("flotilla-nobody-at-all").unwrap_err().to_string();
        assert!(missing.contains("no such user; make one"), "{missing}");
    }

    #[test]
    fn what_is_the_links_becomes_its_users_and_the_rest_stays_roots() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path());
        if !geteuid().is_root() {
            let error = establish(&settings).unwrap_err().to_string();
            assert!(error.contains("root must start the agent"), "{error}");
            return println!("SKIPPED: parting the state between two users needs root");
        }
        let user = settings.link_user.clone().unwrap();
        establish(&settings).unwrap();
        assert!(!settings.state_folder.exists(), "nothing is made for a device that is no node");

        let layout = Layout::new(&settings);
        // As it was registered before there was that setting.
        layout.create().unwrap();
        crate::state::write_atomically(&layout.link("tls.key"), b"key").unwrap();
        crate::state::write_atomically(&layout.exec("identity.key"), b"secret").unwrap();
        for _ in 0..2 {
            establish(&settings).unwrap();
            assert_eq!(owner_and_mode(&settings.state_folder), (0, 0, 0o711));
            assert_eq!(owner_and_mode(&layout.link("")), (user.uid, user.gid, 0o700));
            assert_eq!(owner_and_mode(&layout.link("tls.key")), (user.uid, user.gid, 0o600));
            assert_eq!(owner_and_mode(&layout.exec("")), (0, 0, 0o700));
            assert_eq!(owner_and_mode(&layout.exec("identity.key")), (0, 0, 0o600));
            assert_eq!(owner_and_mode(&folder.path().join("run")), (0, user.gid, 0o750));
        }
        // What a repair finds: a file that root has written, and a folder that somebody has opened.
        layout.write_link("authority.der", b"a").unwrap();
        assert_eq!(owner_and_mode(&layout.link("authority.der")), (user.uid, user.gid, 0o600), "written for its owner at once");
        crate::state::write_atomically(&layout.link("tls.key"), b"other").unwrap();
        fs::set_permissions(layout.link(""), Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(layout.exec(""), Permissions::from_mode(0o755)).unwrap();
        establish(&settings).unwrap();
        assert_eq!(owner_and_mode(&layout.link("tls.key")), (user.uid, user.gid, 0o600));
        assert_eq!(owner_and_mode(&layout.link("")).2, 0o700);
        assert_eq!(owner_and_mode(&layout.exec("")).2, 0o700);
    }

    #[test]
    fn a_link_that_is_an_attackers_is_given_nothing_that_is_not_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path());
        if !geteuid().is_root() {
            return println!("SKIPPED: parting the state between two users needs root");
        }
        let layout = Layout::new(&settings);
        layout.create().unwrap();
        establish(&settings).unwrap();
        let (secret, other) = (layout.exec("identity.key"), layout.exec("sealing.key"));
        [&secret, &other].into_iter().for_each(|path| crate::state::write_atomically(path, b"secret").unwrap());
        symlink(&secret, layout.link("credentials")).unwrap();
        fs::hard_link(&other, layout.link("tls.key")).unwrap();
        nix::unistd::mkfifo(&layout.link("pipe"), nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        establish(&settings).unwrap();
        assert_eq!(owner_and_mode(&secret), (0, 0, 0o600), "a symbolic link gives nothing away");
        assert_eq!(owner_and_mode(&other), (0, 0, 0o600), "a second name gives nothing away");
        // Nor is anything read through it, and nobody waits for a pipe.
        assert!(crate::state::read(&layout.link("credentials")).is_err());
        assert!(crate::state::read(&layout.link("pipe")).is_err());
    }
}
