//! Inventory on its whole way: what boto3 and the `aws` command put, find and count, and what a real node gathers, says in changes and is found by.
#![cfg(test)]

use flotilla_api::inventory::{
    GetInventoryRequest, GetInventoryResult, InventoryAggregator, InventoryEntry, InventoryFilter, ListInventoryEntriesRequest,
    ResultAttribute,
};
use flotilla_tests::calls::shell_on;
use flotilla_tests::python::Python;
use flotilla_tests::{Broker, Fleet, process, tally, wait};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Within this what has changed on a node is known, on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// A fleet with a node that gathers each second, and its folder of inventories of the site.
fn fleet() -> (Fleet, String, PathBuf) {
    let mut fleet = Fleet::start(Broker::Embedded);
    let node = fleet.new_node();
    let folder = fleet.folder().join("inventory");
    std::fs::create_dir(&folder).unwrap();
    node.gather(1, &folder);
    let id = node.register(&fleet.activation(1));
    fleet.nodes.push(node);
    (fleet, id, folder)
}

fn rack(folder: &Path, row: &str) {
    let text = format!(r#"{{"SchemaVersion":"1.0","TypeName":"Custom:Rack","Content":{{"Row":"{row}","Height":"2.5"}}}}"#);
    process::write(&folder.join("rack.json"), text.as_bytes());
}

fn filter(key: &str, value: &str) -> InventoryFilter {
    InventoryFilter { key: key.to_owned(), values: vec![value.to_owned()], r#type: None }
}

/// The nodes that are found; none, too, while nobody has reported the type.
fn found(fleet: &Fleet, filter: InventoryFilter) -> Vec<String> {
    let request = GetInventoryRequest { filters: Some(vec![filter]), ..GetInventoryRequest::default() };
    let entities = fleet.client.call(&request).ok().and_then(|answer| answer.entities).unwrap_or_default();
    entities.into_iter().filter_map(|entity| entity.id).collect()
}

/// All entries of a type of a node.
fn entries(fleet: &Fleet, node: &str, type_name: &str) -> Vec<InventoryEntry> {
    let mut all = Vec::new();
    let mut next_token = None;
    loop {
        let request = ListInventoryEntriesRequest {
            instance_id: node.to_owned(),
            type_name: type_name.to_owned(),
            next_token,
            ..ListInventoryEntriesRequest::default()
        };
        let answer = fleet.call(&request);
        all.extend(answer.entries.unwrap_or_default());
        next_token = answer.next_token;
        if next_token.is_none() {
            return all;
        }
    }
}

fn counted(fleet: &Fleet, expression: &str) -> GetInventoryResult {
    let aggregator = InventoryAggregator { expression: Some(expression.to_owned()), ..InventoryAggregator::default() };
    fleet.call(&GetInventoryRequest { aggregators: Some(vec![aggregator]), ..GetInventoryRequest::default() })
}

/// The names of the packages that this system's own tool lists; nothing, and a line, where it has none.
fn packages() -> Option<BTreeSet<String>> {
    let program = Path::new("/usr/bin/dpkg-query");
    if !program.exists() {
        tally::skipped("the comparison of packages", "dpkg-query is not there");
        return None;
    }
    let mut command = process::command(program);
    command.args(["-W", "-f", "${db:Status-Status} ${Package}\\n"]);
    let listed = String::from_utf8(process::output(command).stdout).unwrap();
    Some(listed.lines().filter_map(|line| line.strip_prefix("installed ")).map(str::to_owned).collect())
}

#[test]
fn a_node_is_known_by_what_is_on_it() {
    let (mut fleet, node, folder) = fleet();
    rack(&folder, "7");
    fleet.nodes[0].start();
    wait::until_true(LIMIT, "the node is found by its rack", || found(&fleet, filter("Custom:Rack.Row", "7")) == [node.clone()]);
    assert_eq!(found(&fleet, filter("Custom:Rack.Row", "8")), Vec::<String>::new());
    let request = GetInventoryRequest {
        result_attributes: Some(vec![ResultAttribute { type_name: "Custom:Rack".to_owned() }]),
        ..GetInventoryRequest::default()
    };
    let entities = fleet.call(&request).entities.unwrap_or_default();
    let item = &entities[0].data.as_ref().unwrap()["Custom:Rack"];
    assert_eq!((item.schema_version.as_str(), item.content[0]["Height"].as_str()), ("1.0", "2.5"));
    assert_eq!(counted(&fleet, "Custom:Rack.Row").entities.map(|entities| entities.len()), Some(1));

    if let Some(packages) = packages() {
        let names =
            || entries(&fleet, &node, "AWS:Application").into_iter().filter_map(|mut entry| entry.remove("Name")).collect::<BTreeSet<_>>();
        wait::until_true(LIMIT, "the packages are those of dpkg-query", || names() == packages);
    }

    // What is changed, what goes, and what is changed while nobody listens.
    rack(&folder, "8");
    wait::until_true(LIMIT, "the change is known", || found(&fleet, filter("Custom:Rack.Row", "8")) == [node.clone()]);
    assert_eq!(entries(&fleet, &node, "Custom:Rack").len(), 1);
    fleet.stop_bridge();
    rack(&folder, "9");
    fleet.start_bridge();
    wait::until_true(LIMIT, "what changed meanwhile is known", || found(&fleet, filter("Custom:Rack.Row", "9")) == [node.clone()]);
    std::fs::remove_file(folder.join("rack.json")).unwrap();
    wait::until_true(LIMIT, "what is gone is gone", || entries(&fleet, &node, "Custom:Rack").is_empty());

    // Commands are not held up by any of it.
    let command = fleet.send(&shell_on(&node, "echo here"));
    assert_eq!(fleet.await_end(&command, &node, LIMIT).standard_output_content.as_deref(), Some("here\n"));
}

#[test]
fn boto3_puts_finds_counts_and_deletes() {
    let fleet = Fleet::with_nodes(Broker::Embedded, 2);
    let ids = fleet.node_ids();
    if let Some(python) = Python::find() {
        python.run(&fleet, "inventory.py", &[&ids[0], &ids[1]]);
    }
}
