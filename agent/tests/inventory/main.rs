//! The inventory of this machine, gathered by a real agent and compared with what the machine's own programs say; what it costs.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test that cannot go on fails, and one that is skipped says so")]

#[cfg(test)]
mod kit;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use flotilla_agent::inventory::collect::{self, Base, Done, Task};
use flotilla_agent::inventory::{Kind, Scope};
use flotilla_agent::package_manager::{Manager, read};
use flotilla_agent::record;
use flotilla_agent::state::replace_file;
use flotilla_protocol::capability::inventory::{Change, Table};
use kit::{Node, PATIENCE, command};
use nix::sys::resource::{UsageWho, getrusage};

/// What a program of this machine says; nothing, and a line, where it is missing.
fn said_by(program: &str, arguments: &[&str]) -> Option<String> {
    match command(program).args(arguments).env("LC_ALL", "C").stderr(Stdio::null()).output() {
        Ok(output) if output.status.success() => Some(String::from_utf8(output.stdout).unwrap()),
        _ => {
            println!("SKIPPED: the comparison with {program}, which this machine does not have");
            None
        }
    }
}

/// The values of some attributes of each row.
fn column(table: &Table, attributes: &[&str]) -> Vec<Vec<String>> {
    let places: Vec<usize> =
        attributes.iter().map(|name| table.attributes().iter().position(|attribute| attribute == name).unwrap()).collect();
    table.rows().map(|row| places.iter().map(|place| row[*place].clone()).collect()).collect()
}

#[tokio::test]
async fn this_machine_is_reported_as_its_own_programs_see_it() {
    let mut node = Node::start(&[]).await;
    let types = ["AWS:Application", "AWS:Network", "AWS:Service", "AWS:InstanceDetailedInformation"];
    assert!(node.listen(PATIENCE, |bridge| types.iter().all(|name| bridge.tables.contains_key(*name))).await, "{}", node.log());
    println!("MEASURED: the reports of the first inventory of this machine have {:?} bytes", node.bridge.sizes);
    let tables = &node.bridge.tables;
    let format = "${Package}\t${Version}\t${Architecture}\t${db:Status-Status}\n";
    if let Some(packages) = said_by("dpkg-query", &["-W", "-f", format]) {
        let expected: BTreeSet<String> = packages.lines().filter_map(|line| Some(line.strip_suffix("\tinstalled")?.to_owned())).collect();
        let joined = |row: Vec<String>| {
            let epoch = if row[1].is_empty() { String::new() } else { format!("{}:", row[1]) };
            let release = if row[3].is_empty() { String::new() } else { format!("-{}", row[3]) };
            format!("{}\t{epoch}{}{release}\t{}", row[0], row[2], row[4])
        };
        let rows = column(&tables["AWS:Application"], &["Name", "Epoch", "Version", "Release", "Architecture", "PackageManager"]);
        let found: BTreeSet<String> = rows.into_iter().filter(|row| row[5] == "dpkg").map(joined).collect();
        assert!(!found.is_empty());
        assert_eq!(found, expected);
        println!("MEASURED: {} packages as dpkg-query says", found.len());
    }
    if let Some(addresses) = said_by("ip", &["-j", "addr"]) {
        let interfaces: serde_json::Value = serde_json::from_str(&addresses).unwrap();
        let rows = column(&tables["AWS:Network"], &["Name", "MacAddress", "IPV4", "IPV6"]);
        let found: BTreeMap<&str, &Vec<String>> = rows.iter().map(|row| (row[0].as_str(), row)).collect();
        for interface in interfaces.as_array().unwrap() {
            let row = found[interface["ifname"].as_str().unwrap()];
            let of = |family: &str| -> BTreeSet<String> {
                let all = interface["addr_info"].as_array().unwrap().iter().filter(|address| address["family"] == family);
                all.map(|address| address["local"].as_str().unwrap().to_owned()).collect()
            };
            let listed = |text: &str| text.split(", ").filter(|word| !word.is_empty()).map(str::to_owned).collect::<BTreeSet<_>>();
            assert_eq!((listed(&row[2]), listed(&row[3])), (of("inet"), of("inet6")), "{}", row[0]);
            if let Some(mac) = interface["address"].as_str().filter(|_| interface["link_type"] == "ether") {
                assert_eq!(row[1], mac);
            }
        }
        assert_eq!(found.len(), interfaces.as_array().unwrap().len());
    }
    if let Some(processor) = said_by("lscpu", &[]) {
        let of = |name: &str| processor.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()));
        let row = column(&tables["AWS:InstanceDetailedInformation"], &["CPUs", "CPUModel"]).remove(0);
        assert_eq!(Some(&row[0]), of("CPU(s):").as_ref());
        if let Some(model) = of("Model name:").filter(|_| !row[1].is_empty()) {
            assert_eq!(row[1], model);
        }
    }
}

fn sensors(count: usize, changed: usize) -> String {
    let entry = |number| format!(r#"{{"Name":"sensor-{number}","Unit":"{}"}}"#, if number == changed { "K" } else { "C" });
    let entries: Vec<String> = (0..count).map(entry).collect();
    format!(r#"{{"TypeName":"Custom:Sensor","SchemaVersion":"1.0","Content":[{}]}}"#, entries.join(","))
}

#[tokio::test]
async fn only_changes_are_said_and_kills_at_any_moment_do_no_harm() {
    let mut node = Node::start(&[("INVENTORY_TYPES", "Custom:*")]).await;
    node.write_custom("sensors.json", &sensors(300, 1000));
    let has = |count| move |bridge: &kit::Bridge| bridge.tables.get("Custom:Sensor").is_some_and(|table| table.rows().len() == count);
    assert!(node.listen(PATIENCE, has(300)).await, "{}", node.log());
    let reports = node.bridge.sizes.len();
    assert!(!node.listen(Duration::from_secs(4), |bridge| bridge.sizes.len() > reports).await, "nothing has changed");
    let gathered = node.log().matches("the inventory is gathered").count();
    assert!(gathered >= 3, "it was gathered again and again: {gathered}");
    node.write_custom("sensors.json", &sensors(300, 7));
    assert!(node.listen(PATIENCE, |bridge| bridge.sizes.len() > reports).await, "{}", node.log());
    let size = *node.bridge.sizes.last().unwrap();
    assert!(size < 450, "{size} bytes for one entry");
    // Each time something is new, and exec is killed at another moment of gathering and saying it.
    for round in 0..12_u64 {
        let count = 301 + usize::try_from(round).unwrap();
        node.write_custom("sensors.json", &sensors(count, 7));
        node.listen(Duration::from_millis(130 * round), |_| false).await;
        node.kill_and_restart().await;
        assert!(node.listen(PATIENCE, has(count)).await, "round {round}: {}", node.log());
    }
    assert_eq!(node.bridge.stale, 0, "{}", node.log());
    println!("MEASURED: {} changes said in 12 rounds of kills; one entry has {size} bytes", node.bridge.changes["Custom:Sensor"]);
}

/// Runs the role over a tree with this dpkg database, and says what was done, and the compressed change of the packages.
fn collect_in(place: &Path, status: &str, said: BTreeMap<String, Option<Base>>) -> (Done, Vec<u8>) {
    let database = place.join("root/var/lib/dpkg/status");
    fs::create_dir_all(database.parent().unwrap()).unwrap();
    replace_file(&database, status.as_bytes()).unwrap();
    let folder = place.join(format!("collection-{}", said.len()));
    fs::create_dir_all(&folder).unwrap();
    fs::create_dir_all(place.join("tables")).unwrap();
    let scope = Scope {
        kinds: [Kind::Application].into(),
        has_custom: false,
        root: place.join("root"),
        search_path: "/usr/bin:/bin".into(),
        has_details: false,
        files: Vec::new(),
        custom: "/none".into(),
    };
    let task = Task { scope, said, tables: place.join("tables"), maximum_change_bytes: 1 << 20, memory_bytes: 64 << 20 };
    replace_file(&folder.join(collect::TASK), &record::encode(&task).unwrap()).unwrap();
    let status = command(env!("CARGO_BIN_EXE_flotilla-agent")).arg("collect").arg("--folder").arg(&folder).status().unwrap();
    assert!(status.success());
    let done: Done = record::decode(&fs::read(folder.join(collect::DONE)).unwrap()).unwrap();
    let change = fs::read(collect::change_file(&folder, "AWS:Application")).unwrap();
    drop(fs::copy(collect::table_file(&folder, "AWS:Application"), place.join("tables/AWS:Application")));
    (done, change)
}

/// Numbers as random as versions and names are, and the same each time.
fn noise(seed: u64) -> u64 {
    let bytes: [u8; 8] = flotilla_protocol::sha256(&[&seed.to_le_bytes()])[..8].try_into().unwrap();
    u64::from_le_bytes(bytes)
}

/// A database of dpkg with so many packages, with names and versions as a distribution has them.
fn generated(count: u64, upgraded: Option<u64>) -> String {
    const WORDS: [&str; 16] =
        ["lib", "python3", "perl", "base", "common", "utils", "dev", "data", "core", "gtk", "ssl", "net", "xml", "crypt", "sys", "font"];
    let mut text = String::new();
    for number in 0..count {
        let [first, second] = [noise(number), noise(number + 1_000_000)];
        let word = |bits: u64| WORDS[usize::try_from(bits % 16).unwrap()];
        let letters: String = (0..4).map(|place| char::from(b'a' + u8::try_from((first >> (8 * place)) % 26).unwrap())).collect();
        let name = format!("{}-{letters}{}", word(first >> 40), word(second >> 40));
        let version = if upgraded == Some(number) { 99 } else { second % 20 };
        let architecture = if second % 3 == 0 { "all" } else { "amd64" };
        writeln!(
            text,
            "Package: {name}\nStatus: install ok installed\nPriority: optional\nSection: libs\nInstalled-Size: {}\n\
             Maintainer: Somebody <somebody@example.org>\nArchitecture: {architecture}\nVersion: {}.{version}.{}-{}\n\
             Depends: libc6 (>= 2.34), zlib1g\nDescription: what it is\n and more of that\n",
            second % 9999,
            first % 9,
            (first >> 8) % 12,
            1 + (first >> 16) % 4,
        )
        .unwrap();
    }
    text
}

#[test]
fn what_a_collection_costs() {
    let place = tempfile::tempdir().unwrap();
    assert!(command(env!("CARGO_BIN_EXE_flotilla-agent")).arg("--version").stdout(Stdio::null()).status().unwrap().success());
    let peak_kib = || getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss();
    let empty_kib = peak_kib();
    let (done, first) = collect_in(place.path(), &generated(400, None), BTreeMap::new());
    let [changed] = done.changed.as_slice() else { panic!("{done:?}") };
    let of_400_kib = peak_kib();
    let said = BTreeMap::from([("AWS:Application".to_owned(), Some(Base { hash: changed.hash, schema_version: changed.schema_version }))]);
    let (done, second) = collect_in(place.path(), &generated(400, Some(77)), said);
    assert_eq!(done.changed[0].base, Some(changed.hash));
    println!(
        "MEASURED: the first change of 400 generated packages has {} bytes, one upgraded package {} bytes; a report has some 250 more",
        first.len(),
        second.len()
    );
    assert!(first.len() + 250 <= 5 * 1024, "{}", first.len());
    assert!(second.len() < 200, "{}", second.len());
    let large = tempfile::tempdir().unwrap();
    let (done, all) = collect_in(large.path(), &generated(2000, None), BTreeMap::new());
    assert_eq!(done.changed.len(), 1);
    let inflated = miniz_oxide::inflate::decompress_to_vec_with_limit(&all, 1 << 21).unwrap();
    let table = Table::default().changed_by(&Change::from_bytes(&inflated).unwrap()).unwrap();
    assert!(table.rows().len() > 1990, "{} packages, for some may have one name", table.rows().len());
    println!(
        "MEASURED: peak memory of this build: {empty_kib} KiB doing nothing, {of_400_kib} KiB for 400 packages, {} KiB for {}, whose change has {} bytes",
        peak_kib(),
        table.rows().len(),
        all.len()
    );
    assert!(peak_kib() < 24 * 1024);
    // And packages as a distribution really has them.
    let Ok(packages) = read(Manager::Dpkg, Path::new("/var/lib/dpkg/status")) else {
        println!("SKIPPED: the packages of this machine, which has no dpkg");
        return;
    };
    let paragraph = |package: &flotilla_agent::package_manager::Package| {
        let (name, version) = (&package.name, package.full_version());
        format!("Package: {name}\nStatus: install ok installed\nArchitecture: {}\nVersion: {version}\n\n", package.architecture)
    };
    let real: String = packages.list.iter().take(400).map(paragraph).collect();
    let small = tempfile::tempdir().unwrap();
    let (_, change) = collect_in(small.path(), &real, BTreeMap::new());
    println!("MEASURED: the first change of {} packages of this machine has {} bytes", packages.list.len().min(400), change.len());
}
