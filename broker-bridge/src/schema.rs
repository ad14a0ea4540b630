//! THE LIST of migrations of all slices, in the order of their versions.
//!
//! To change the schema: add a file `schema/YYYYMMDDNNNN_name.sql` to the slice that owns the table and a line here. A file
//! that was ever released is never edited: the store refuses a database that was made by another text.

use crate::platform::store::Migration;

/// All migrations.
pub const MIGRATIONS: &[Migration] = &[
    Migration { version: 202_611_210_001, name: "user", sql: include_str!("fleet/user/schema/202611210001_user.sql") },
    Migration { version: 202_611_210_002, name: "tag", sql: include_str!("fleet/tag/schema/202611210002_tag.sql") },
    Migration { version: 202_611_210_003, name: "document", sql: include_str!("fleet/document/schema/202611210003_document.sql") },
    Migration { version: 202_611_210_004, name: "activation", sql: include_str!("fleet/activation/schema/202611210004_activation.sql") },
    Migration { version: 202_611_210_005, name: "node", sql: include_str!("fleet/node/schema/202611210005_node.sql") },
    Migration { version: 202_611_210_006, name: "dead_letter", sql: include_str!("platform/ingest/schema/202611210006_dead_letter.sql") },
    Migration {
        version: 202_611_210_007,
        name: "run_command",
        sql: include_str!("capability/run_command/schema/202611210007_run_command.sql"),
    },
    Migration {
        version: 202_611_220_001,
        name: "run_deadline",
        sql: include_str!("capability/run_command/schema/202611220001_run_deadline.sql"),
    },
    Migration { version: 202_611_220_010, name: "resource_group", sql: include_str!("fleet/group/schema/202611220010_resource_group.sql") },
    Migration {
        version: 202_611_220_011,
        name: "document_version",
        sql: include_str!("fleet/document/schema/202611220011_document_version.sql"),
    },
    Migration { version: 202_611_220_100, name: "webhook", sql: include_str!("fleet/webhook/schema/202611220100_webhook.sql") },
    Migration {
        version: 202_611_220_101,
        name: "notification",
        sql: include_str!("capability/run_command/schema/202611220101_notification.sql"),
    },
    Migration { version: 202_611_220_200, name: "lists", sql: include_str!("capability/run_command/schema/202611220200_lists.sql") },
    Migration {
        version: 202_611_220_201,
        name: "answered_call",
        sql: include_str!("platform/repeat/schema/202611220201_answered_call.sql"),
    },
    Migration {
        version: 202_611_220_310,
        name: "node_quarantine",
        sql: include_str!("fleet/node/schema/202611220310_node_quarantine.sql"),
    },
    Migration { version: 202_611_220_320, name: "node_presence", sql: include_str!("fleet/node/schema/202611220320_node_presence.sql") },
    Migration { version: 202_611_220_321, name: "node_version", sql: include_str!("fleet/node/schema/202611220321_node_version.sql") },
    Migration {
        version: 202_611_220_330,
        name: "rebooting",
        sql: include_str!("capability/run_command/schema/202611220330_rebooting.sql"),
    },
    Migration { version: 202_611_220_400, name: "node_health", sql: include_str!("fleet/node/schema/202611220400_node_health.sql") },
    Migration { version: 202_611_220_500, name: "audit", sql: include_str!("platform/audit/schema/202611220500_audit.sql") },
    Migration {
        version: 202_611_220_600,
        name: "prepared_order",
        sql: include_str!("capability/run_command/schema/202611220600_prepared_order.sql"),
    },
    Migration {
        version: 202_611_220_610,
        name: "node_data",
        sql: include_str!("capability/run_command/schema/202611220610_node_data.sql"),
    },
    Migration {
        version: 202_611_220_640,
        name: "node_authorities",
        sql: include_str!("fleet/node/schema/202611220640_node_authorities.sql"),
    },
    Migration { version: 202_611_220_700, name: "dispatch", sql: include_str!("capability/run_command/schema/202611220700_dispatch.sql") },
    Migration {
        version: 202_611_220_710,
        name: "node_data_hash",
        sql: include_str!("capability/run_command/schema/202611220710_node_data_hash.sql"),
    },
    Migration { version: 202_611_220_720, name: "audit_report", sql: include_str!("platform/audit/schema/202611220720_audit_report.sql") },
    Migration { version: 202_611_220_730, name: "window", sql: include_str!("capability/run_command/schema/202611220730_window.sql") },
    Migration { version: 202_611_220_800, name: "inventory", sql: include_str!("capability/inventory/schema/202611220800_inventory.sql") },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_rise_and_are_dates() {
        assert!(MIGRATIONS.is_sorted_by(|earlier, later| earlier.version < later.version));
        for migration in MIGRATIONS {
            let (month, day) = (migration.version / 1_000_000 % 100, migration.version / 10_000 % 100);
            assert!((1..=12).contains(&month) && (1..=31).contains(&day), "{}", migration.version);
            assert!(migration.version / 100_000_000 >= 2026, "{}", migration.version);
        }
    }
}
