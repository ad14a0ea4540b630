//! Every operation of the service model, so that each of them gets an answer that its client understands.
//!
//! An operation that is not built answers a *modelled* error: one that the model lists for this very operation, which
//! SDKs turn into a typed exception. The table is written by `generate/operations.py`, which says how it chooses.

mod table;

/// Operations of the model, version 2014-11-06.
pub const OPERATION_COUNT: usize = 154;

/// The operations that have types in this crate and are built in the bridge, sorted. Add a new one here.
pub const BUILT: &[&str] = &[
    "AddTagsToResource",
    "CancelCommand",
    "CreateActivation",
    "CreateDocument",
    "DeleteActivation",
    "DeleteDocument",
    "DeleteInventory",
    "DeregisterManagedInstance",
    "DescribeActivations",
    "DescribeDocument",
    "DescribeInstanceInformation",
    "DescribeInstanceProperties",
    "DescribeInventoryDeletions",
    "GetCommandInvocation",
    "GetConnectionStatus",
    "GetDocument",
    "GetInventory",
    "GetInventorySchema",
    "ListCommandInvocations",
    "ListCommands",
    "ListDocumentVersions",
    "ListDocuments",
    "ListInventoryEntries",
    "ListTagsForResource",
    "PutInventory",
    "RemoveTagsFromResource",
    "SendCommand",
    "UpdateDocument",
    "UpdateDocumentDefaultVersion",
    "UpdateManagedInstanceRole",
];

/// An operation as the model lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedOperation {
    /// Name in the model.
    pub name: &'static str,
    /// Name of the error to answer while the operation is not built.
    pub unbuilt_error: &'static str,
}

/// All [`OPERATION_COUNT`] operations, sorted by name.
#[must_use]
pub fn all() -> &'static [ListedOperation] {
    table::TABLE
}

/// The operation of this name, if the model has one.
#[must_use]
pub fn find(name: &str) -> Option<&'static ListedOperation> {
    let index = table::TABLE.binary_search_by(|listed| listed.name.cmp(name)).ok()?;
    table::TABLE.get(index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::Operation;
    use crate::{activations, commands, documents, inventory, nodes, tags};

    #[test]
    fn table_is_complete_sorted_and_unique() {
        assert_eq!(all().len(), OPERATION_COUNT);
        assert!(all().is_sorted_by(|left, right| left.name < right.name));
        for listed in all() {
            assert_eq!(find(listed.name), Some(listed));
        }
        assert_eq!(find("NoSuchOperation"), None);
    }

    #[test]
    fn what_is_built_is_listed_and_has_types() {
        let typed = [
            tags::AddTagsToResourceRequest::NAME,
            commands::CancelCommandRequest::NAME,
            activations::CreateActivationRequest::NAME,
            documents::CreateDocumentRequest::NAME,
            activations::DeleteActivationRequest::NAME,
            documents::DeleteDocumentRequest::NAME,
            inventory::DeleteInventoryRequest::NAME,
            nodes::DeregisterManagedInstanceRequest::NAME,
            activations::DescribeActivationsRequest::NAME,
            documents::DescribeDocumentRequest::NAME,
            nodes::DescribeInstanceInformationRequest::NAME,
            nodes::DescribeInstancePropertiesRequest::NAME,
            inventory::DescribeInventoryDeletionsRequest::NAME,
            commands::GetCommandInvocationRequest::NAME,
            nodes::GetConnectionStatusRequest::NAME,
            documents::GetDocumentRequest::NAME,
            inventory::GetInventoryRequest::NAME,
            inventory::GetInventorySchemaRequest::NAME,
            commands::ListCommandInvocationsRequest::NAME,
            commands::ListCommandsRequest::NAME,
            documents::ListDocumentVersionsRequest::NAME,
            documents::ListDocumentsRequest::NAME,
            inventory::ListInventoryEntriesRequest::NAME,
            tags::ListTagsForResourceRequest::NAME,
            inventory::PutInventoryRequest::NAME,
            tags::RemoveTagsFromResourceRequest::NAME,
            commands::SendCommandRequest::NAME,
            documents::UpdateDocumentRequest::NAME,
            documents::UpdateDocumentDefaultVersionRequest::NAME,
            nodes::UpdateManagedInstanceRoleRequest::NAME,
        ];
        assert_eq!(typed.as_slice(), BUILT);
        for name in BUILT {
            assert!(find(name).is_some(), "{name}");
        }
    }
}
