//! Whatever the bridge can do, the command line can ask for.

use std::path::{Path, PathBuf};

use flotilla_api::operations::BUILT;

fn sources(folder: &Path, found: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else {
            found.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_built_operation_has_a_command() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    sources(&root.join("src"), &mut text);
    let groups = std::fs::read_to_string(root.join("../api/src/groups.rs")).unwrap();
    let of_groups: Vec<&str> = groups.split("pub struct ").filter_map(|part| part.split_once("Request {").map(|(name, _)| name)).collect();
    assert!(of_groups.len() >= 7, "{of_groups:?}");
    let own: String = ["audit/mod.rs", "inventory.rs", "orders.rs", "trust.rs"]
        .map(|file| std::fs::read_to_string(root.join("../api/src").join(file)).unwrap())
        .concat();
    let own: Vec<&str> = own.split("pub struct ").filter_map(|part| part.split_once("Request {").map(|(name, _)| name)).collect();
    assert!(own.len() >= 8, "{own:?}");
    let missing: Vec<&str> = BUILT
        .iter()
        .copied()
        .chain(of_groups)
        .chain(own)
        .filter(|name| !text.contains(&format!("call(&{name}Request")) && !text.contains(&format!("{name}Request {{")))
        .collect();
    assert_eq!(missing, Vec::<&str>::new(), "these operations are built and no command calls them: add one in cli/src/command");
}
