//! The socket where the link finds exec.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, lchown};

use tokio::net::{UnixListener, UnixSocket};

use super::ExecError;
use crate::settings::Settings;

/// Connections that wait to be accepted: there is one link.
const BACKLOG: u32 = 16;
/// Who may connect where the link runs as exec's own user.
const OWN_MODE: u32 = 0o600;
/// Who may connect where the link has a user of its own: that user's group, too.
const GROUP_MODE: u32 = 0o660;

/// Opens the socket. Nobody can connect before it is whose it is to be: until it listens the kernel refuses everybody.
pub(super) fn listen(settings: &Settings) -> Result<UnixListener, ExecError> {
    try_listen(settings).map_err(|source| ExecError::Socket { path: settings.socket.clone(), source })
}

fn try_listen(settings: &Settings) -> io::Result<UnixListener> {
    let path = &settings.socket;
    // The journal's lock says that no other exec lives, so a socket that is there is a dead one's.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    if let Some(user) = &settings.link_user {
        // An exec without the right to give files away must have the group itself.
        lchown(path, None, Some(user.gid))?;
    }
    let mode = if settings.link_user.is_some() { GROUP_MODE } else { OWN_MODE };
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    socket.listen(BACKLOG)
}
