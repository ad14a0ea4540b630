//! Labels: what a node is, for the scopes of rules. They come from the node's own policy and from the root, never from a bridge.

use super::TrustBundle;
use crate::id::NodeId;
use crate::wire::{DecodeError, limit};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// Most labels of a scope, or of a node in a bundle.
pub const MAXIMUM_LABELS: usize = 16;
/// Longest key of a label, in bytes.
pub const MAXIMUM_LABEL_KEY_BYTES: usize = 64;
/// Longest value of a label, in bytes.
pub const MAXIMUM_LABEL_VALUE_BYTES: usize = 128;

/// A key and its value, both not empty and without control characters. The key has no `=`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Label {
    /// At most [`MAXIMUM_LABEL_KEY_BYTES`].
    pub key: String,
    /// At most [`MAXIMUM_LABEL_VALUE_BYTES`].
    pub value: String,
}

impl Label {
    /// Whether it is within its limits.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let is_text = |text: &str, most: usize| (1..=most).contains(&text.len()) && !text.chars().any(char::is_control);
        is_text(&self.key, MAXIMUM_LABEL_KEY_BYTES) && is_text(&self.value, MAXIMUM_LABEL_VALUE_BYTES) && !self.key.contains('=')
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

/// What the root says of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeLabels {
    /// The node; each at most once in a bundle, in ascending order.
    pub node: NodeId,
    /// In ascending order of their keys, each key once.
    pub labels: Vec<Label>,
}

/// Refuses labels that are not sound, not in ascending order, or have a key twice.
pub(super) fn check(labels: &[Label]) -> Result<(), DecodeError> {
    let is_sorted = labels.iter().zip(labels.iter().skip(1)).all(|(one, next)| one.key < next.key);
    limit(labels.len() <= MAXIMUM_LABELS && is_sorted && labels.iter().all(Label::is_sound), "the labels of a trust bundle")
}

/// The labels by which a node judges scopes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels(BTreeMap<String, String>);

impl Labels {
    /// Those that the node's own policy names; of two with one key the last counts.
    pub fn of_policy(labels: impl IntoIterator<Item = Label>) -> Self {
        Self(labels.into_iter().map(|label| (label.key, label.value)).collect())
    }

    /// With what the root says of `node` in `bundle`. Where both name a key, the root's value counts: what is signed for a node cannot be
    /// talked away or moved on the node.
    #[must_use]
    pub fn signed_over(&self, bundle: &TrustBundle, node: NodeId) -> Self {
        let mut labels = self.clone();
        for signed in bundle.labels.iter().filter(|entry| entry.node == node).flat_map(|entry| &entry.labels) {
            labels.0.insert(signed.key.clone(), signed.value.clone());
        }
        labels
    }

    /// Whether the node has this label.
    #[must_use]
    pub fn has(&self, label: &Label) -> bool {
        self.0.get(&label.key) == Some(&label.value)
    }
}
