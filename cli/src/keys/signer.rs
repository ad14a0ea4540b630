//! Whoever signs: a key from a file, or one that an agent holds.

use ed25519_dalek::{Signer as _, SigningKey};
use flotilla_protocol::signature::{PublicKey, SshHash, ssh_frame, ssh_signature};
use ssh_key::private::PrivateKey;
use ssh_key::{HashAlg, Signature};

use super::agent::Identity;
use super::{Agent, KeyError, public};

/// A key that can sign now.
#[derive(Debug)]
pub(crate) enum Signer {
    /// From a file, opened.
    File(Box<SigningKey>),
    /// In an agent.
    Agent {
        /// The connection.
        agent: Agent,
        /// The key of it.
        identity: Box<Identity>,
    },
}

impl Signer {
    /// A key from a file.
    pub(crate) fn of_file(key: &PrivateKey) -> Result<Self, KeyError> {
        let pair = key.key_data().ed25519().ok_or(KeyError::Algorithm("it is not an ed25519 key"))?;
        Ok(Self::File(Box::new(SigningKey::from_bytes(&pair.private.to_bytes()))))
    }

    /// The key of the agent that `wanted` names by its fingerprint or comment; without a name the only one.
    pub(crate) fn of_agent(wanted: &str) -> Result<Self, KeyError> {
        let mut agent = Agent::connect()?;
        let fits = |identity: &Identity| {
            wanted.is_empty() || identity.key.comment() == wanted || identity.key.fingerprint(HashAlg::Sha256).to_string() == wanted
        };
        let mut found = agent.identities()?.into_iter().filter(fits);
        let identity = Box::new(found.next().ok_or(KeyError::AgentRefused("does not have this key"))?);
        if found.next().is_some() {
            return Err(KeyError::AgentRefused("has several keys that fit; name one by its fingerprint"));
        }
        Ok(Self::Agent { agent, identity })
    }

    /// The 32 bytes of the public key, by which it is found in bundles.
    pub(crate) fn raw(&self) -> Vec<u8> {
        match self {
            Self::File(key) => key.verifying_key().to_bytes().to_vec(),
            Self::Agent { identity, .. } => public::of_ssh(identity.key.key_data()).map(|key| key.raw().to_vec()).unwrap_or_default(),
        }
    }

    /// The signature over `covered` by the algorithm of `key`, which is this signer's, as an envelope carries it. It is verified before it
    /// is returned: an agent is another program.
    pub(crate) fn sign(&mut self, key: &PublicKey, covered: &[u8]) -> Result<Vec<u8>, KeyError> {
        // What ssh-keygen uses, too.
        const HASH: SshHash = SshHash::Sha512;
        let bytes = match (self, key) {
            (Self::File(secret), PublicKey::Ed25519(_)) => secret.sign(covered).to_bytes().to_vec(),
            (Self::File(secret), PublicKey::Ssh(_)) => ssh_signature(HASH, &secret.sign(&ssh_frame(HASH, covered)).to_bytes()),
            (Self::Agent { agent, identity }, PublicKey::Ed25519(_)) => agent_signature(agent, identity, covered)?,
            (Self::Agent { agent, identity }, PublicKey::Ssh(_) | PublicKey::SecurityKey { .. }) => {
                let signature = agent_signature(agent, identity, &ssh_frame(HASH, covered))?;
                public::carried(key, HASH, &signature).ok_or(KeyError::Algorithm("the agent holds another kind of key"))?
            }
            (Self::File(_), PublicKey::SecurityKey { .. }) => return Err(KeyError::Algorithm("a security key signs through ssh-agent")),
            (_, PublicKey::Unknown { .. }) => return Err(KeyError::Algorithm("this version does not know its algorithm")),
        };
        let verifies = key.verifier().ok().flatten().is_some_and(|verifier| verifier.verifies(covered, &bytes));
        if verifies { Ok(bytes) } else { Err(KeyError::Algorithm("its signature does not verify")) }
    }
}

fn agent_signature(agent: &mut Agent, identity: &Identity, message: &[u8]) -> Result<Vec<u8>, KeyError> {
    let encoded = agent.sign(identity, message)?;
    let signature =
        Signature::try_from(encoded.as_slice()).map_err(|_malformed| KeyError::AgentRefused("gives an answer that makes no sense"))?;
    Ok(signature.as_bytes().to_vec())
}
