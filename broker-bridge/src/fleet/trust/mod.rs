//! Trust bundles at run time: an administrator hands in the next one, it is kept, told in the audit log and sent to every node. Nodes that
//! are away get it with their next welcome. The bundles themselves are the signer's.

pub mod api;
#[cfg(test)]
mod tests;
