//! Who is at the other end of a local socket, by what the kernel says (`SO_PEERCRED`).

use std::io;

use thiserror::Error;
use tokio::net::UnixStream;

/// Why a peer is not let in.
#[derive(Debug, Error)]
pub enum PeerError {
    /// The kernel does not say who it is.
    #[error("the kernel does not say who is at the other end of the socket")]
    Unknown(#[source] io::Error),
    /// It is a user who has no business here.
    #[error("user {uid} may not speak to this socket")]
    Foreign {
        /// The user's number.
        uid: u32,
    },
}

/// Lets in root, the user of this process, and `link_user`, the user that the link runs as where that is another one.
///
/// # Errors
/// See [`PeerError`].
pub fn check(stream: &UnixStream, link_user: Option<u32>) -> Result<(), PeerError> {
    let uid = stream.peer_cred().map_err(PeerError::Unknown)?.uid();
    if is_let_in(uid, nix::unistd::geteuid().as_raw(), link_user) { Ok(()) } else { Err(PeerError::Foreign { uid }) }
}

fn is_let_in(uid: u32, own: u32, link_user: Option<u32>) -> bool {
    uid == 0 || uid == own || Some(uid) == link_user
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_the_own_and_the_links_user_are_let_in() {
        assert!(is_let_in(0, 5, None));
        assert!(is_let_in(5, 5, None));
        assert!(is_let_in(7, 5, Some(7)));
        assert!(!is_let_in(7, 5, None));
        assert!(!is_let_in(7, 0, Some(8)));
    }

    #[tokio::test]
    async fn the_own_process_is_let_in() {
        let (one, other) = UnixStream::pair().unwrap();
        check(&one, None).unwrap();
        check(&other, None).unwrap();
    }
}
