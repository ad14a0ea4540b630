//! The role clean: removes what a job has left, with more rights than exec has where systemd runs the jobs.
//!
//! The steps of a job may have given files to any user, and their downloads may be anywhere. Exec has no capabilities there and sees most of
//! the file system read only; so it has systemd run this, as it has it run jobs.

use std::io::{self, Read as _};
use std::path::Path;

use thiserror::Error;

use super::folder::{FolderError, JobFolder};
use super::spec::JobSpec;
use crate::record::{self, RecordError};
use crate::step;

/// Longest specification of a job, in bytes: an order is below 64 KiB.
const MAXIMUM_SPEC_BYTES: u64 = 256 * 1024;

/// Why something of a job stays.
#[derive(Debug, Error)]
pub enum CleanError {
    /// The folder cannot be removed.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The specification cannot be read from standard input.
    #[error("standard input with the job's specification cannot be read")]
    Input(#[source] io::Error),
    /// It is none.
    #[error("standard input is no specification of a job")]
    Spec(#[from] RecordError),
}

/// Removes a job's folder.
///
/// # Errors
/// See [`CleanError`].
pub fn remove_folder(folder: &Path) -> Result<(), CleanError> {
    Ok(JobFolder::at(folder.to_owned()).remove()?)
}

/// Removes what downloads of a job may have left that was killed. Its [`JobSpec`] is the input.
///
/// # Errors
/// See [`CleanError`].
pub fn remove_downloads(folder: &Path, input: impl io::Read) -> Result<(), CleanError> {
    let mut bytes = Vec::new();
    input.take(MAXIMUM_SPEC_BYTES).read_to_end(&mut bytes).map_err(CleanError::Input)?;
    let spec: JobSpec = record::decode(&bytes)?;
    step::remove_leftovers(&spec.plan, &spec, &JobFolder::at(folder.to_owned()).work());
    Ok(())
}
