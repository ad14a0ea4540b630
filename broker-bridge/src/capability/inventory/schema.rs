//! Types and their attributes: those of SSM, and what the fleet has of its own. `GetInventorySchema`.

use super::store::{self, CustomType};
use crate::fleet::Fleet;
use crate::platform::http::{ApiError, Caller};
use crate::platform::page::{TokenScope, cut, page_size};
use flotilla_api::inventory::{GetInventorySchemaRequest, GetInventorySchemaResult, InventoryItemAttribute, InventoryItemSchema};
use std::collections::BTreeSet;

/// A type that is not the fleet's own.
#[derive(Debug)]
pub(super) struct KnownType {
    pub(super) name: &'static str,
    /// Versions that are taken; the last is the newest.
    pub(super) versions: &'static [&'static str],
    pub(super) attributes: &'static [&'static str],
}

/// THE LIST of types whose attributes are known, by name. Attributes are SSM's, and what the agent adds to them.
pub(super) const KNOWN: &[KnownType] = &[
    KnownType {
        name: "AWS:Application",
        versions: &["1.0", "1.1"],
        attributes: &[
            "ApplicationType",
            "Architecture",
            "CompType",
            "Epoch",
            "InstalledTime",
            "Name",
            "PackageId",
            "PackageManager",
            "Publisher",
            "Release",
            "State",
            "Summary",
            "URL",
            "Version",
        ],
    },
    KnownType {
        name: "AWS:File",
        versions: &["1.0"],
        attributes: &[
            "CompanyName",
            "Description",
            "FileVersion",
            "InstalledDate",
            "InstalledDir",
            "LastAccessTime",
            "ModificationTime",
            "Name",
            "ProductLanguage",
            "ProductName",
            "ProductVersion",
            "Size",
        ],
    },
    KnownType {
        name: "AWS:InstanceDetailedInformation",
        versions: &["1.0"],
        attributes: &[
            "Board",
            "CPUCores",
            "CPUHyperThreadEnabled",
            "CPUModel",
            "CPUSockets",
            "CPUSpeedMHz",
            "CPUs",
            "Disks",
            "Firmware",
            "KernelVersion",
            "MemoryBytes",
            "OSServicePack",
        ],
    },
    KnownType {
        name: "AWS:InstanceInformation",
        versions: &["1.0"],
        attributes: &[
            "AgentType",
            "AgentVersion",
            "ComputerName",
            "InstanceId",
            "InstanceStatus",
            "IpAddress",
            "PlatformName",
            "PlatformType",
            "PlatformVersion",
            "ResourceType",
        ],
    },
    KnownType {
        name: "AWS:Network",
        versions: &["1.0"],
        attributes: &["DHCPServer", "DNSServer", "Gateway", "IPV4", "IPV6", "MacAddress", "Name", "SubnetMask"],
    },
    KnownType {
        name: "AWS:Service",
        versions: &["1.0"],
        attributes: &["DependentServices", "DisplayName", "Name", "ServiceType", "ServicesDependedOn", "StartType", "Status"],
    },
    KnownType { name: "AWS:Tag", versions: &["1.0"], attributes: &["Key", "Value"] },
];

/// The type of this name, if it is in THE LIST.
pub(super) fn known(name: &str) -> Option<&'static KnownType> {
    KNOWN.iter().find(|known| known.name == name)
}

/// The names of the fleet's own types.
pub(super) async fn custom_names(fleet: &Fleet) -> Result<BTreeSet<String>, ApiError> {
    let names: Vec<String> = sqlx::query_scalar("SELECT type_name FROM inventory_type").fetch_all(fleet.store.reader()).await?;
    Ok(names.into_iter().collect())
}

/// Whether there is such a type: in THE LIST, the fleet's own, or said by a node.
pub(super) async fn exists(fleet: &Fleet, name: &str) -> Result<bool, ApiError> {
    if known(name).is_some() {
        return Ok(true);
    }
    let sql = "SELECT 1 WHERE EXISTS (SELECT 1 FROM inventory_type WHERE type_name = $1) \
               OR EXISTS (SELECT 1 FROM inventory_node WHERE type_name = $1)";
    let found: Option<i64> = sqlx::query_scalar(sql).bind(name).fetch_optional(fleet.store.reader()).await?;
    Ok(found.is_some())
}

fn of_known(known: &KnownType) -> InventoryItemSchema {
    let attribute = |name: &&str| InventoryItemAttribute { name: (*name).to_owned(), data_type: "string".to_owned() };
    InventoryItemSchema {
        type_name: known.name.to_owned(),
        version: known.versions.last().map(|version| (*version).to_owned()),
        attributes: known.attributes.iter().map(attribute).collect(),
        display_name: known.name.strip_prefix("AWS:").map(str::to_owned),
    }
}

fn of_custom(custom: &CustomType) -> InventoryItemSchema {
    let attribute = |name: String| InventoryItemAttribute { name, data_type: "string".to_owned() };
    InventoryItemSchema {
        type_name: custom.type_name.clone(),
        version: Some(custom.schema_version.clone()),
        attributes: custom.shown().into_iter().map(attribute).collect(),
        display_name: custom.type_name.strip_prefix("Custom:").map(str::to_owned),
    }
}

pub(super) async fn get_inventory_schema(
    fleet: &Fleet,
    _caller: &Caller,
    request: GetInventorySchemaRequest,
) -> Result<GetInventorySchemaResult, ApiError> {
    let size = page_size(request.max_results, 50..=200)?;
    let beginning = request.type_name.unwrap_or_default();
    if !["AWS:", "Custom:"].iter().any(|kind| beginning.starts_with(kind) || kind.starts_with(&beginning)) {
        let words = format!("no name of a type begins with {beginning:?}: they begin with AWS: or Custom:");
        return Err(ApiError::new("InvalidTypeNameException", words));
    }
    let scope = TokenScope::new("GetInventorySchema", &(&beginning, request.aggregator, request.sub_type));
    let after = scope.after(request.next_token.as_deref())?.unwrap_or_default();
    // No type has others within it.
    if request.sub_type == Some(true) {
        return Ok(GetInventorySchemaResult { schemas: Some(Vec::new()), next_token: None });
    }
    let mut connection = fleet.store.reader().acquire().await?;
    let custom = store::custom_types(&mut connection).await?;
    let custom = custom.iter().filter(|custom| !custom.is_disabled()).map(of_custom);
    let all = KNOWN.iter().map(of_known).chain(custom);
    // A type without an attribute was put without an entry: there is nothing to say of it.
    let wanted = |schema: &InventoryItemSchema| {
        schema.type_name.starts_with(&beginning) && schema.type_name > after && !schema.attributes.is_empty()
    };
    let taken = usize::try_from(size).unwrap_or(usize::MAX).saturating_add(1);
    let mut schemas: Vec<_> = all.filter(wanted).take(taken).collect();
    let next_token = cut(&mut schemas, size, &scope, |schema| schema.type_name.clone());
    Ok(GetInventorySchemaResult { schemas: Some(schemas), next_token })
}
