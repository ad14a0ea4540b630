//! A client of `ssh-agent`: lists its ed25519 keys and has it sign (OpenSSH `PROTOCOL.agent`; two messages of it).
//!
//! Written here because the crate for it brings RSA and three curves that are not wanted, and a second ed25519.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use ssh_key::PublicKey;

use super::KeyError;

const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
/// Longest answer, in bytes: OpenSSH's own limit.
const MAXIMUM_ANSWER_BYTES: usize = 256 * 1024;
/// Most keys of an agent that are looked at.
const MAXIMUM_IDENTITIES: usize = 1024;
/// How long an answer may take: a person may have to touch a key, or to confirm.
const LIMIT: Duration = Duration::from_secs(120);

/// A key of the agent, and the bytes by which the agent knows it.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// The public key with its comment.
    pub(crate) key: PublicKey,
    blob: Vec<u8>,
}

/// A connection to an agent.
#[derive(Debug)]
pub(crate) struct Agent {
    socket: UnixStream,
}

impl Agent {
    /// Connects to the agent that `SSH_AUTH_SOCK` names.
    pub(crate) fn connect() -> Result<Self, KeyError> {
        let path = std::env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty()).map(PathBuf::from).ok_or(KeyError::NoAgent)?;
        let socket = UnixStream::connect(path).map_err(KeyError::Agent)?;
        socket.set_read_timeout(Some(LIMIT)).and_then(|()| socket.set_write_timeout(Some(LIMIT))).map_err(KeyError::Agent)?;
        Ok(Self { socket })
    }

    /// The ed25519 keys of the agent, those on security keys too; others are passed over.
    pub(crate) fn identities(&mut self) -> Result<Vec<Identity>, KeyError> {
        let (kind, answer) = self.ask(&[REQUEST_IDENTITIES]).map_err(KeyError::Agent)?;
        if kind != IDENTITIES_ANSWER {
            return Err(KeyError::AgentRefused("does not tell its keys"));
        }
        identities(&answer).ok_or(KeyError::AgentRefused("gives an answer that makes no sense"))
    }

    /// Has `identity` sign `message`; returns the signature as OpenSSH encodes it.
    pub(crate) fn sign(&mut self, identity: &Identity, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut request = vec![SIGN_REQUEST];
        write_string(&mut request, &identity.blob);
        write_string(&mut request, message);
        request.extend_from_slice(&0_u32.to_be_bytes());
        let (kind, answer) = self.ask(&request).map_err(KeyError::Agent)?;
        if kind != SIGN_RESPONSE {
            return Err(KeyError::AgentRefused("refuses to sign with this key"));
        }
        let mut rest = answer.as_slice();
        let signature = read_string(&mut rest).filter(|_| rest.is_empty()).map(<[u8]>::to_vec);
        signature.ok_or(KeyError::AgentRefused("gives an answer that makes no sense"))
    }

    /// Sends a message and reads the answer: its kind and its content.
    fn ask(&mut self, message: &[u8]) -> io::Result<(u8, Vec<u8>)> {
        let mut frame = Vec::with_capacity(message.len() + 4);
        write_string(&mut frame, message);
        self.socket.write_all(&frame)?;
        let mut length = [0; 4];
        self.socket.read_exact(&mut length)?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if !(1..=MAXIMUM_ANSWER_BYTES).contains(&length) {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        let mut answer = vec![0; length];
        self.socket.read_exact(&mut answer)?;
        let kind = answer.remove(0);
        Ok((kind, answer))
    }
}

fn identities(answer: &[u8]) -> Option<Vec<Identity>> {
    let (count, mut rest) = answer.split_first_chunk::<4>()?;
    let count = usize::try_from(u32::from_be_bytes(*count)).ok().filter(|count| *count <= MAXIMUM_IDENTITIES)?;
    let mut found = Vec::new();
    for _ in 0..count {
        let blob = read_string(&mut rest)?;
        let comment = read_string(&mut rest)?;
        // Certificates, and keys of other kinds, are of no use here.
        if let Ok(mut key) = PublicKey::from_bytes(blob)
            && super::public::of_ssh(key.key_data()).is_some()
        {
            key.set_comment(String::from_utf8_lossy(comment));
            found.push(Identity { key, blob: blob.to_vec() });
        }
    }
    rest.is_empty().then_some(found)
}

fn write_string(bytes: &mut Vec<u8>, string: &[u8]) {
    // Messages here are keys and trust bundles: far shorter than 4 GiB.
    bytes.extend_from_slice(&u32::try_from(string.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(string);
}

fn read_string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let (string, after) = after.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    *rest = after;
    Some(string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_damaged_ones_refused() {
        let mut answer = 2_u32.to_be_bytes().to_vec();
        let data = ssh_key::public::KeyData::Ed25519(ssh_key::public::Ed25519PublicKey([1; 32]));
        for (blob, comment) in [(PublicKey::from(data).to_bytes().unwrap(), "ann"), (b"another kind".to_vec(), "old")] {
            write_string(&mut answer, &blob);
            write_string(&mut answer, comment.as_bytes());
        }
        let found = identities(&answer).unwrap();
        assert_eq!((found.len(), found[0].key.comment()), (1, "ann"));
        for length in 0..answer.len() {
            assert!(identities(&answer[..length]).is_none(), "{length}");
        }
        answer.push(0);
        assert!(identities(&answer).is_none(), "a byte more");
        assert!(identities(&u32::MAX.to_be_bytes()).is_none(), "a count that nothing backs");
    }
}
