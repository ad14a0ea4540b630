//! Frozen targets: one signature over the root of a SHA-256 Merkle tree of the sorted targets.
//!
//! leaf = H(0x00 ‖ SHA-256(node key) ‖ H(node data)), inner = H(0x01 ‖ left ‖ right). The tree is that of RFC 6962: the
//! left part holds the largest power of two that is smaller than the number of leaves. One target is a tree of one.
//! The count is signed beside the root, so a proof has exactly one possible length for each index.

use crate::sha256;
use alloc::vec::Vec;

/// Most targets of one order: a cell of the fleet.
pub const MAXIMUM_TARGETS: u32 = 1 << 20;

/// Longest proof: the height of a tree of [`MAXIMUM_TARGETS`].
pub const MAXIMUM_PROOF: usize = 20;

/// The leaf of one target: its identity key, and the data that differs per node.
#[must_use]
pub fn leaf(identity_key: &[u8; 32], node_data: &[u8]) -> [u8; 32] {
    leaf_of_hash(identity_key, &sha256(&[node_data]))
}

/// The same, for those who do not have the node data any more and have kept its SHA-256.
#[must_use]
pub fn leaf_of_hash(identity_key: &[u8; 32], node_data_sha256: &[u8; 32]) -> [u8; 32] {
    sha256(&[&[0], &sha256(&[identity_key]), node_data_sha256])
}

fn inner(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    sha256(&[&[1], left, right])
}

/// How many leaves the left part of a tree of `count` (at least 2) has.
fn left_size(count: usize) -> usize {
    (count.next_power_of_two()) / 2
}

/// A tree of targets, kept whole to prove each of its leaves.
#[derive(Debug)]
pub struct TargetTree {
    /// Row 0 is the leaves; a node without a sibling moves up a row as it is, which builds RFC 6962's tree.
    rows: Vec<Vec<[u8; 32]>>,
}

impl TargetTree {
    /// Builds the tree over `leaves` in their order. The caller sorts the targets by identity key, byte by byte.
    #[must_use]
    pub fn new(leaves: Vec<[u8; 32]>) -> Self {
        let mut rows = alloc::vec![leaves];
        while let Some(row) = rows.last().filter(|row| row.len() > 1) {
            let next = row
                .chunks(2)
                .map(|pair| match pair {
                    [left, right] => inner(left, right),
                    [single] => *single,
                    _ => [0; 32],
                })
                .collect();
            rows.push(next);
        }
        Self { rows }
    }

    /// The root that is signed; 32 zero bytes for no targets.
    #[must_use]
    pub fn root(&self) -> [u8; 32] {
        self.rows.last().and_then(|row| row.first()).copied().unwrap_or([0; 32])
    }

    /// The siblings from leaf `index` up to the root; `None` when there is no such leaf.
    #[must_use]
    pub fn proof(&self, index: usize) -> Option<Vec<[u8; 32]>> {
        self.rows.first()?.get(index)?;
        let mut position = index;
        let mut proof = Vec::new();
        for row in &self.rows {
            proof.extend(row.get(position ^ 1));
            position /= 2;
        }
        Some(proof)
    }
}

/// Whether `leaf` is at `index` of the `count` leaves under `root`.
#[must_use]
pub fn is_proven(leaf: [u8; 32], index: u32, count: u32, proof: &[[u8; 32]], root: &[u8; 32]) -> bool {
    fn climb(leaf: [u8; 32], index: usize, count: usize, proof: &[[u8; 32]]) -> Option<[u8; 32]> {
        if count == 1 {
            return proof.is_empty().then_some(leaf);
        }
        let (sibling, below) = proof.split_last()?;
        let left = left_size(count);
        if index < left {
            Some(inner(&climb(leaf, index, left, below)?, sibling))
        } else {
            Some(inner(sibling, &climb(leaf, index - left, count - left, below)?))
        }
    }
    let (Ok(index), Ok(size)) = (usize::try_from(index), usize::try_from(count)) else { return false };
    index < size && count <= MAXIMUM_TARGETS && proof.len() <= MAXIMUM_PROOF && climb(leaf, index, size, proof).as_ref() == Some(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(count: u8) -> Vec<[u8; 32]> {
        (0..count).map(|number| leaf(&[number; 32], b"")).collect()
    }

    #[test]
    fn every_leaf_of_every_tree_up_to_70_is_proven_at_its_index_only() {
        for count in 1..=70_u8 {
            let leaves = leaves(count);
            let tree = TargetTree::new(leaves.clone());
            for (index, leaf) in leaves.iter().enumerate() {
                let proof = tree.proof(index).unwrap();
                for other in 0..u32::from(count) + 2 {
                    let proven = is_proven(*leaf, other, u32::from(count), &proof, &tree.root());
                    assert_eq!(proven, usize::try_from(other).unwrap() == index, "leaf {index} at {other} of {count}");
                }
            }
        }
    }

    #[test]
    fn a_stranger_changed_data_and_a_changed_count_are_not_proven() {
        let tree = TargetTree::new(leaves(5));
        let proof = tree.proof(2).unwrap();
        let root = tree.root();
        assert!(is_proven(leaf(&[2; 32], b""), 2, 5, &proof, &root));
        assert!(!is_proven(leaf(&[9; 32], b""), 2, 5, &proof, &root));
        assert!(!is_proven(leaf(&[2; 32], b"x"), 2, 5, &proof, &root));
        assert!(!is_proven(leaf(&[2; 32], b""), 2, 9, &proof, &root));
        assert!(!is_proven(leaf(&[2; 32], b""), 2, u32::MAX, &proof, &root));
        assert!(!is_proven(root, 0, 1, &proof, &root), "an inner node is not a leaf");
    }
}
