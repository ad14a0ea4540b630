//! What the node's settings say to steps.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where steps find programs unless the settings say something else, whatever the agent itself was started with.
pub const DEFAULT_SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Most bytes that one step downloads unless the settings say something else.
pub const DEFAULT_DOWNLOAD_LIMIT_BYTES: u64 = 1024 * 1024 * 1024;

/// The part of the settings that reaches a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tools {
    /// Folders with `:` between them, in which programs are looked for; the `PATH` of scripts.
    pub search_path: String,
    /// Most bytes that one step downloads.
    pub download_limit_bytes: u64,
    /// The certificates of the authorities that servers are checked by, in PEM. None: where the distribution has them.
    pub certificate_authorities: Option<PathBuf>,
    /// Where objects come from.
    pub s3: ObjectStore,
}

/// An S3 service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectStore {
    /// Its address, `https://host[:port]`; Amazon's own service when absent.
    pub endpoint: Option<String>,
    /// Its region; `us-east-1` when absent and not in the object's address.
    pub region: Option<String>,
    /// A file with `aws_access_key_id` and `aws_secret_access_key`, for its owner only. None: requests are not signed.
    pub credentials_file: Option<PathBuf>,
}

impl Default for Tools {
    fn default() -> Self {
        Self {
            search_path: DEFAULT_SEARCH_PATH.to_owned(),
            download_limit_bytes: DEFAULT_DOWNLOAD_LIMIT_BYTES,
            certificate_authorities: None,
            s3: ObjectStore::default(),
        }
    }
}
