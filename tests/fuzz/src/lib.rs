//! Fuzz targets: everything that takes bytes from outside, as functions that may do anything with them but panic.
//!
//! `tests/fuzz/run` gives them to libFuzzer, with what it found in earlier runs (`corpus/`). The normal tests run each target over its corpus
//! once, and over the golden and hostile messages of the protocol, so that what was found once stays found.
//!
//! To add a target: a function in the file of its subject and a line in [`TARGETS`].

mod bodies;
mod core;
mod documents;
mod files;
mod fleet;
mod frames;
mod journal;
mod messages;

/// A target: its name and what is done with the bytes.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Names the folder in `corpus/`.
    pub name: &'static str,
    /// Panics when something is wrong, and only then.
    pub run: fn(&[u8]),
}

/// THE LIST.
pub const TARGETS: [Target; 12] = [
    Target { name: "envelope", run: messages::envelope },
    Target { name: "delivery", run: messages::delivery },
    Target { name: "topic", run: messages::topic },
    Target { name: "activation", run: messages::activation },
    Target { name: "trust", run: messages::trust },
    Target { name: "body", run: bodies::body },
    Target { name: "document", run: documents::document },
    Target { name: "order", run: core::order },
    Target { name: "core", run: core::history },
    Target { name: "journal", run: journal::replay },
    Target { name: "frame", run: frames::frame },
    Target { name: "file", run: files::file },
];

/// The target of this name.
#[must_use]
pub fn find(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}
