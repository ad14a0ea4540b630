//! Every document in `tests/documents` becomes the plan beside it, whose job is run by the agent's tests.

#![cfg(test)]

use flotilla_document::{Document, Format, Library, Reference, compile};
use flotilla_protocol::capability::command::CommandOrder;
use flotilla_protocol::wire::{Check as _, encode};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/documents")
}

/// The documents by name.
fn documents() -> BTreeMap<String, Document> {
    let mut documents = BTreeMap::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let format = match path.extension().and_then(|ending| ending.to_str()) {
            Some("json") => Format::Json,
            Some("yaml") => Format::Yaml,
            _ => continue,
        };
        let text = std::fs::read_to_string(&path).unwrap();
        let document = Document::parse(&text, format).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        documents.insert(path.file_stem().unwrap().to_str().unwrap().to_owned(), document);
    }
    documents
}

fn hex(bytes: &[u8]) -> String {
    let line = |line: &[u8]| line.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n";
    bytes.chunks(32).map(line).collect()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a plan is written by hand and looked at before it is committed")]
fn every_document_becomes_its_plan() {
    let documents = documents();
    assert!(documents.len() >= 20, "{}", documents.len());
    let reference = |name: &String| Reference { name: name.clone(), version: None };
    let library: Library = documents.iter().map(|(name, document)| (reference(name), document.clone())).collect();
    for (name, document) in &documents {
        let compiled = compile(document, &BTreeMap::new(), &library).unwrap_or_else(|error| panic!("{name}: {error}"));
        let order =
            CommandOrder { document: name.clone(), document_version: "1".to_owned(), parameters: compiled.parameters, plan: compiled.plan };
        order.check().unwrap();
        let path = folder().join(format!("{name}.plan"));
        if !path.exists() && std::env::var_os("FLOTILLA_WRITE_GOLDEN").is_some() {
            std::fs::write(&path, hex(&encode(&order))).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}; see README.md there", path.display()));
        assert_eq!(golden, hex(&encode(&order)), "{name} becomes another plan than before");
    }
}
