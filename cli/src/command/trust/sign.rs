//! Signatures of a draft: made here by a key or an agent, or brought from elsewhere; and the end, when there are enough.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use flotilla_protocol::envelope::{Domain, Envelope, EnvelopeError, SignatureEntry};
use flotilla_protocol::id::KeyId;
use flotilla_protocol::signature::PublicKey;
use flotilla_protocol::trust::{Role, Trust};

use super::folder::{Chain, Draft};
use super::words::{Progress, date, describe, entry, keys};
use super::{Place, TrustCommandError};
use crate::error::{CliError, SUCCESS};
use crate::files;
use crate::keys::{KeysArguments, PassphraseArguments, Signer, of_ssh_signature, open};
use crate::output::Output;

/// Sign the draft with a key of yours, after reading what it says.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  flotilla trust sign .flotilla/trust --key ann
  flotilla trust sign .flotilla/trust --agent SHA256:2tKd…
  flotilla trust sign copy --key ann --yes --passphrase-file /dev/fd/3 --out signed.draft 3< secret")]
pub(super) struct SignArguments {
    #[command(flatten)]
    place: Place,
    /// The key of this name in the folder of your keys, or a file.
    #[arg(long, value_name = "NAME", required_unless_present = "agent", conflicts_with = "agent")]
    key: Option<String>,
    /// A key that the ssh-agent holds: its fingerprint or comment, or nothing when it has only one.
    #[arg(long, value_name = "KEY", num_args = 0..=1, default_missing_value = "")]
    agent: Option<String>,
    /// Do not ask whether to sign.
    #[arg(long)]
    yes: bool,
    /// Write the signed draft to this file [default: in the draft's place].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    keys: KeysArguments,
    #[command(flatten)]
    passphrase: PassphraseArguments,
}

/// Add signatures that were made elsewhere: a file of ssh-keygen, or another copy of the draft.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  flotilla trust attach .flotilla/trust to-sign.sig
  flotilla trust attach .flotilla/trust signed-by-bob.draft")]
pub(super) struct AttachArguments {
    #[command(flatten)]
    place: Place,
    /// The file with the signature, or the other copy.
    file: PathBuf,
}

/// Make the draft the newest bundle, when enough persons have signed it.
#[derive(Debug, Args)]
#[command(after_help = "\
The bridge takes it with `flotilla trust publish`, or when it starts the next time, and gives it to its nodes.

Example:\n  flotilla trust finish .flotilla/trust")]
pub(super) struct FinishArguments {
    #[command(flatten)]
    place: Place,
}

pub(super) fn sign(output: Output, arguments: &SignArguments) -> Result<u8, CliError> {
    let chain = Chain::read(&arguments.place.folder)?;
    let draft = chain.needed_draft(&arguments.place.draft())?;
    output.print(&describe(chain.newest(), &draft.trust, &draft.envelope()?))?;
    if !arguments.yes {
        agree()?;
    }
    let mut signer = signer(arguments)?;
    let raw = signer.raw();
    let wanted: Vec<PublicKey> = roots(&chain, &draft).into_iter().filter(|key| key.raw() == raw).collect();
    if wanted.is_empty() {
        return Err(not_wanted("this key's signature", "it is not of the root, neither of the old bundle nor of the new one"));
    }
    let mut signed = draft;
    for key in wanted {
        let bytes = signer.sign(&key, &signed.envelope()?.covered())?;
        signed = with_signature(signed, &key, &bytes, "this key's signature")?;
    }
    signed.write(arguments.out.as_deref())?;
    print_progress(output, &chain, &signed)
}

fn signer(arguments: &SignArguments) -> Result<Signer, CliError> {
    if let Some(wanted) = &arguments.agent {
        return Ok(Signer::of_agent(wanted)?);
    }
    let name = arguments.key.as_deref().unwrap_or_default();
    let path = if name.contains('/') { PathBuf::from(name) } else { arguments.keys.folder()?.private(name)? };
    let key = open(&path, || arguments.passphrase.of(&path))?;
    Ok(Signer::of_file(&key)?)
}

/// Asks on the terminal.
fn agree() -> Result<(), CliError> {
    if !io::stdin().is_terminal() {
        return Err(TrustCommandError::NotAgreed.into());
    }
    let mut terminal = io::stderr().lock();
    terminal.write_all(b"Sign this? Write yes: ").and_then(|()| terminal.flush()).map_err(CliError::Output)?;
    let mut answer = String::new();
    // A line is enough, and nobody writes a long one.
    io::Read::take(io::stdin().lock(), 100).read_line(&mut answer).map_err(CliError::Output)?;
    if answer.trim() == "yes" { Ok(()) } else { Err(TrustCommandError::NotAgreed.into()) }
}

/// The root keys of the newest bundle and of the draft, each once.
fn roots(chain: &Chain, draft: &Draft) -> Vec<PublicKey> {
    let mut found: Vec<PublicKey> = Vec::new();
    for trust in chain.newest().into_iter().chain([&draft.trust]) {
        let bundle = trust.bundle();
        for key in entry(bundle, Role::Root).into_iter().flat_map(|root| keys(bundle, &root.keys)) {
            if !found.contains(&key.public_key) {
                found.push(key.public_key.clone());
            }
        }
    }
    found
}

/// The draft with one signature more; one that it has already changes nothing.
fn with_signature(draft: Draft, key: &PublicKey, bytes: &[u8], what: &str) -> Result<Draft, CliError> {
    let mut id = [0; 32];
    if key.raw().len() == id.len() {
        id.copy_from_slice(key.raw());
    }
    let added = SignatureEntry { algorithm: key.algorithm(), key: KeyId::of_key(&id), bytes };
    match draft.envelope()?.with_signature(added) {
        Ok(bytes) => Ok(draft.with_bytes(bytes)),
        Err(EnvelopeError::Malformed) => Ok(draft),
        Err(_) => Err(not_wanted(what, "the draft has as many signatures as fit")),
    }
}

pub(super) fn attach(output: Output, arguments: &AttachArguments) -> Result<u8, CliError> {
    let chain = Chain::read(&arguments.place.folder)?;
    let draft = chain.needed_draft(&arguments.place.draft())?;
    let file = &arguments.file;
    let read = |path: &Path| files::read(path).map_err(|source| TrustCommandError::File { action: "read", path: path.to_owned(), source });
    let bytes = read(file)?;
    let what = file.display().to_string();
    let offered = match Envelope::parse(&bytes, Domain::Trust) {
        Ok(copy) if copy.body() != draft.envelope()?.body() => {
            return Err(not_wanted(&what, "it is a draft of another bundle"));
        }
        Ok(copy) => offered_by(&copy, &roots(&chain, &draft)),
        Err(_) => vec![of_ssh_signature(&bytes).map_err(|why| not_wanted(&what, why))?],
    };
    let roots = roots(&chain, &draft);
    let mut signed = draft;
    let mut count = 0;
    for (key, bytes) in offered {
        if !roots.contains(&key) {
            return Err(not_wanted(&what, "its key is not of the root, neither of the old bundle nor of the new one"));
        }
        let covered = signed.envelope()?.covered();
        let verifies = key.verifier().ok().flatten().is_some_and(|verifier| verifier.verifies(&covered, &bytes));
        if !verifies {
            return Err(not_wanted(&what, "it is not a good signature of this draft"));
        }
        signed = with_signature(signed, &key, &bytes, &what)?;
        count += 1;
    }
    if count == 0 {
        return Err(not_wanted(&what, "nobody of the root has signed it"));
    }
    signed.write(None)?;
    print_progress(output, &chain, &signed)
}

/// The signatures of another copy by keys that are wanted.
fn offered_by(copy: &Envelope<'_>, roots: &[PublicKey]) -> Vec<(PublicKey, Vec<u8>)> {
    let mut found = Vec::new();
    for key in roots {
        let Ok(Some(verifier)) = key.verifier() else { continue };
        let named = copy.signatures().iter().find(|entry| entry.algorithm == verifier.algorithm() && entry.key == verifier.id());
        found.extend(named.map(|entry| (key.clone(), entry.bytes.to_vec())));
    }
    found
}

fn not_wanted(what: &str, why: &'static str) -> CliError {
    TrustCommandError::Signature { what: what.to_owned(), why }.into()
}

fn print_progress(output: Output, chain: &Chain, draft: &Draft) -> Result<u8, CliError> {
    let envelope = draft.envelope()?;
    let mut text = String::new();
    for trust in chain.newest().into_iter().chain([&draft.trust]) {
        text.push_str(&format!("Signed for the root of bundle {}: {}\n", trust.bundle().version, Progress::of(trust, &envelope).text()));
    }
    output.print(&text)?;
    Ok(SUCCESS)
}

pub(super) fn finish(output: Output, arguments: &FinishArguments) -> Result<u8, CliError> {
    let chain = Chain::read(&arguments.place.folder)?;
    let draft = chain.needed_draft(&arguments.place.draft())?;
    let envelope = draft.envelope()?;
    for trust in chain.newest().into_iter().chain([&draft.trust]) {
        let progress = Progress::of(trust, &envelope);
        if !progress.is_enough() {
            let words = format!("for the root of bundle {}: {}", trust.bundle().version, progress.text());
            return Err(TrustCommandError::Missing(words).into());
        }
    }
    let accepted = accept(&chain, &draft)?;
    let bundle = accepted.bundle();
    let now = u64::try_from(crate::clock::today().as_millisecond()).unwrap_or(0);
    if accepted.is_expired(now) {
        return Err(TrustCommandError::Expired { version: bundle.version, at: date(bundle.expires_ms) }.into());
    }
    let path = chain.add(bundle.version, draft.bytes())?;
    // The bundle is there: a draft that stays would only be refused.
    std::fs::remove_file(draft.path()).map_err(|source| TrustCommandError::File {
        action: "remove",
        path: draft.path().to_owned(),
        source,
    })?;
    output.print(&format!("Wrote {}\n", path.display()))?;
    Ok(SUCCESS)
}

/// What a node would say, in its own words: the last word here, whatever was counted before.
fn accept(chain: &Chain, draft: &Draft) -> Result<Trust, TrustCommandError> {
    let accepted = match chain.newest() {
        Some(newest) => newest.successor(draft.bytes()),
        None => Trust::from_pinned(&draft.trust.hash(), [draft.bytes()]),
    };
    accepted.map_err(|source| TrustCommandError::Draft { path: draft.path().to_owned(), source })
}
