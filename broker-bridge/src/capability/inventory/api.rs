//! The endpoints of inventory.

use super::deletion::{delete_inventory, describe_inventory_deletions};
use super::items::list_inventory_items;
use super::list::{get_inventory, list_inventory_entries};
use super::put::put_inventory;
use super::schema::get_inventory_schema;
use crate::fleet::Fleet;
use crate::platform::http::{Access, Registry};
use flotilla_api::inventory::{
    DeleteInventoryRequest, DescribeInventoryDeletionsRequest, GetInventoryRequest, GetInventorySchemaRequest, ListInventoryEntriesRequest,
    ListInventoryItemsRequest, PutInventoryRequest,
};

/// Adds the endpoints.
pub fn endpoints(registry: &mut Registry<Fleet>) {
    registry.endpoint::<GetInventoryRequest>(Access::Viewer, get_inventory);
    registry.endpoint::<GetInventorySchemaRequest>(Access::Viewer, get_inventory_schema);
    registry.endpoint::<ListInventoryEntriesRequest>(Access::Viewer, list_inventory_entries);
    registry.endpoint::<PutInventoryRequest>(Access::Operator, put_inventory);
    registry.endpoint::<DeleteInventoryRequest>(Access::Operator, delete_inventory);
    registry.endpoint::<DescribeInventoryDeletionsRequest>(Access::Viewer, describe_inventory_deletions);
    registry.own_endpoint::<ListInventoryItemsRequest>(Access::Viewer, list_inventory_items);
}
