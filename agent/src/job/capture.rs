//! A step's output: always drained, so that the step neither blocks nor is killed for writing, redacted, and kept up to a limit. What counts as
//! written is what redaction leaves.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::watch;

use super::redaction::{LONGEST_HOLD, Redactor};
use super::spec::CapturedFile;

/// What is read at once.
const READ_BYTES: usize = 16 * 1024;

/// Where the output of one stream goes.
#[derive(Debug)]
pub(crate) struct Capture {
    file: File,
    limit_bytes: u64,
    written_bytes: u64,
    kept_bytes: u64,
    hasher: Sha256,
    /// After a failed write nothing more is kept: what is kept has no holes.
    full: bool,
    /// Where the job has secrets.
    redactor: Option<Redactor>,
}

impl Capture {
    /// Makes the file.
    pub(crate) fn create(path: &Path, limit_bytes: u64) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Self { file, limit_bytes, written_bytes: 0, kept_bytes: 0, hasher: Sha256::new(), full: false, redactor: None })
    }

    /// The same, without the secrets that the redactor knows.
    pub(crate) fn redacted(self, redactor: Option<Redactor>) -> Self {
        Self { redactor, ..self }
    }

    /// Goes on with the file of a step that is run again: what it wrote `before` stays, and what it writes now comes after it.
    pub(crate) fn again(path: &Path, limit_bytes: u64, before: &CapturedFile) -> io::Result<Self> {
        // Without a name again where the first run could not even make it.
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        let (mut hasher, mut kept_bytes, mut buffer) = (Sha256::new(), 0_u64, vec![0; READ_BYTES]);
        loop {
            let count = file.read(&mut buffer)?;
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
            hasher.update(bytes);
            kept_bytes = kept_bytes.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        }
        let written_bytes = before.written_bytes.max(kept_bytes);
        // After a hole nothing more is kept.
        Ok(Self { file, limit_bytes, written_bytes, kept_bytes, hasher, full: written_bytes > kept_bytes, redactor: None })
    }

    /// Takes everything until the last writer has closed, or until `stop` is true.
    pub(crate) async fn drain(mut self, mut pipe: impl AsyncRead + Unpin, mut stop: watch::Receiver<bool>) -> Self {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let read = tokio::select! {
                read = pipe.read(&mut buffer) => read,
                _ = stop.wait_for(|stop| *stop) => return self,
                () = tokio::time::sleep(LONGEST_HOLD), if self.redactor.as_ref().is_some_and(Redactor::holds) => {
                    let shown = self.redactor.as_mut().map(Redactor::lose_patience);
                    self.keep(&shown.unwrap_or_default());
                    continue;
                }
            };
            match read.ok().and_then(|count| buffer.get(..count)) {
                Some(bytes) if !bytes.is_empty() => self.take(bytes),
                _ => return self,
            }
        }
    }

    /// Takes what was written.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        match self.redactor.as_mut().map(|redactor| redactor.take(bytes)) {
            Some(shown) => self.keep(&shown),
            None => self.keep(bytes),
        }
    }

    /// Counts bytes, and keeps what still fits.
    fn keep(&mut self, bytes: &[u8]) {
        self.written_bytes = self.written_bytes.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        let room = usize::try_from(self.limit_bytes.saturating_sub(self.kept_bytes)).unwrap_or(usize::MAX);
        let mut rest = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        while !rest.is_empty() && !self.full {
            match self.file.write(rest) {
                Ok(count) if count > 0 => {
                    let (kept, after) = rest.split_at(count.min(rest.len()));
                    self.hasher.update(kept);
                    self.kept_bytes += u64::try_from(kept.len()).unwrap_or(0);
                    rest = after;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                ended => {
                    tracing::warn!(?ended, "output cannot be kept any more");
                    self.full = true;
                }
            }
        }
    }

    /// Says how much it was.
    pub(crate) fn finish(mut self) -> CapturedFile {
        let shown = self.redactor.as_mut().map(Redactor::end);
        self.keep(&shown.unwrap_or_default());
        CapturedFile { written_bytes: self.written_bytes, kept_bytes: self.kept_bytes, sha256: self.hasher.finalize().into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_the_first_and_is_hashed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let mut capture = Capture::create(&path, 5).unwrap();
        for bytes in [b"abc".as_slice(), b"", b"def", b"ghi"] {
            capture.take(bytes);
        }
        let captured = capture.finish();
        assert_eq!((captured.written_bytes, captured.kept_bytes), (9, 5));
        assert_eq!(captured.sha256, flotilla_protocol::sha256(&[b"abcde"]));
        assert_eq!(std::fs::read(&path).unwrap(), b"abcde");
        assert!(Capture::create(&path, 5).is_err(), "output is never overwritten");
    }

    #[test]
    fn secrets_are_not_kept_and_what_is_held_is_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let needles = std::sync::Arc::new(crate::job::redaction::Needles::new([b"hunter2".as_slice()]).unwrap());
        let mut capture = Capture::create(&path, 99).unwrap().redacted(Some(Redactor::new(needles)));
        for bytes in [b"is hun".as_slice(), b"ter2, ", b"h"] {
            capture.take(bytes);
        }
        let captured = capture.finish();
        assert_eq!(std::fs::read(&path).unwrap(), b"is ****, h");
        assert_eq!((captured.written_bytes, captured.kept_bytes), (10, 10), "what is left counts as written");
        assert_eq!(captured.sha256, flotilla_protocol::sha256(&[b"is ****, h"]));
    }

    #[test]
    fn a_step_that_is_run_again_adds_to_what_it_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let mut first = Capture::create(&path, 5).unwrap();
        first.take(b"abc");
        let before = first.finish();
        let mut again = Capture::again(&path, 5, &before).unwrap();
        again.take(b"def");
        let captured = again.finish();
        assert_eq!((captured.written_bytes, captured.kept_bytes), (6, 5));
        assert_eq!(captured.sha256, flotilla_protocol::sha256(&[b"abcde"]));
        let mut third = Capture::again(&path, 9, &captured).unwrap();
        third.take(b"x");
        assert_eq!(third.finish().kept_bytes, 5, "what is kept has no holes");
    }

    #[test]
    fn a_full_disk_truncates_and_does_not_stop_the_step() {
        let file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut capture =
            Capture { file, limit_bytes: 9, written_bytes: 0, kept_bytes: 0, hasher: Sha256::new(), full: false, redactor: None };
        capture.take(b"abc");
        let captured = capture.finish();
        assert_eq!(captured, CapturedFile { written_bytes: 3, ..CapturedFile::default() });
    }
}
