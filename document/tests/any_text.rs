//! Whatever a text holds, reading it ends with a document or a sentence, compiling that ends with a plan or a sentence, and neither is larger
//! than an order may be by far. Texts are arbitrary, or documents of `tests/documents` with pieces changed.

#![cfg(test)]

use flotilla_document::{CompileError, Document, Format, Library, Reference, compile};
use flotilla_protocol::wire::{MAXIMUM_MESSAGE_BYTES, encode};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

/// Together 20,000 texts.
const ARBITRARY_CASES: u32 = 8_000;
const CHANGED_CASES: u32 = 12_000;
/// What an order holds beside what the compiler counts: parameters, control and preconditions of at most as many steps as fit into one.
const ROOM_FOR_THE_REST: usize = 16;

/// Pieces with a meaning, to be put where they have none.
const PIECES: [&str; 28] = [
    "{{",
    "}}",
    "{{ x }}",
    "{{ssm:x}}",
    "- ",
    ": ",
    "\n",
    "  ",
    "\"",
    "'",
    "{",
    "}",
    "[",
    "]",
    ",",
    "null",
    "-1",
    "1e99",
    "0x7fffffff",
    "&a ",
    "*a",
    "<<: ",
    "!!binary ",
    "schemaVersion",
    "aws:downloadContent",
    "aws:runDockerAction",
    "\u{0}",
    "\u{fffd}",
];

/// The texts of all documents, and the documents as a library.
static DOCUMENTS: LazyLock<(Vec<(String, Format)>, Library)> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/documents");
    let (mut texts, mut library) = (Vec::new(), Library::new());
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let format = match path.extension().and_then(|ending| ending.to_str()) {
            Some("json") => Format::Json,
            Some("yaml") => Format::Yaml,
            _ => continue,
        };
        let (text, name) = (std::fs::read_to_string(&path).unwrap(), path.file_stem().unwrap().to_str().unwrap().to_owned());
        library.insert(Reference { name, version: None }, Document::parse(&text, format).unwrap());
        texts.push((text, format));
    }
    texts.sort_by(|left: &(String, Format), right| left.0.cmp(&right.0));
    (texts, library)
});

fn read_and_compile(text: &str, format: Format, values: &BTreeMap<String, Vec<String>>) {
    let Ok(document) = Document::parse(text, format) else { return };
    match compile(&document, values, &DOCUMENTS.1) {
        Ok(compiled) => {
            let bytes = encode(&compiled.plan).len();
            assert!(bytes <= ROOM_FOR_THE_REST * MAXIMUM_MESSAGE_BYTES, "{bytes} bytes");
            // A plan that the compiler makes is one that nodes take, as far as limits go that only the whole order can be over.
            compiled.plan.check(compiled.parameters.len()).unwrap();
        }
        Err(CompileError::Needs(reference)) => assert!(!reference.name.is_empty()),
        Err(CompileError::Parameter(error)) => assert!(!error.message.is_empty()),
    }
}

fn change(text: &str, changes: &[(Index, Index, usize, u8)]) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    for (from, to, piece, kind) in changes {
        let (from, to) = (from.index(characters.len() + 1), to.index(characters.len() + 1));
        let (from, to) = (from.min(to), from.max(to));
        let piece = PIECES[piece % PIECES.len()].chars();
        match kind % 4 {
            0 => drop(characters.splice(from..to.min(from + 40), [])),
            1 => drop(characters.splice(from..from, piece)),
            2 => drop(characters.splice(from..to.min(from + 10), piece)),
            _ => {
                let copy: Vec<char> = characters[from..to.min(from + 200)].to_vec();
                characters.splice(to..to, copy);
            }
        }
    }
    characters.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ARBITRARY_CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_end_in_a_document_or_a_sentence(
        text in prop_oneof![
            vec(any::<u8>(), 0..256).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
            vec(0..PIECES.len(), 0..24).prop_map(|pieces| pieces.into_iter().map(|piece| PIECES[piece]).collect()),
        ],
        is_json: bool,
    ) {
        read_and_compile(&text, if is_json { Format::Json } else { Format::Yaml }, &BTreeMap::new());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CHANGED_CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_documents_end_in_a_plan_or_a_sentence(
        which in any::<Index>(),
        changes in vec(any::<(Index, Index, usize, u8)>(), 0..5),
        values in vec("[{} a-z:/\"\\PC]{0,12}", 0..3),
    ) {
        let (text, format) = &DOCUMENTS.0[which.index(DOCUMENTS.0.len())];
        let text = change(text, &changes);
        let names = DOCUMENTS.1.values().flat_map(|document| document.parameters.keys());
        let given = names.take(values.len()).cloned().map(|name| (name, values.clone())).collect();
        read_and_compile(&text, *format, &given);
    }
}

/// Three documents of 64 steps, each of which runs the next: 262,144 steps, were there no end.
#[test]
fn documents_that_run_documents_do_not_multiply() {
    let steps = |action: &str| {
        format!(
            "schemaVersion: '2.2'\nmainSteps:\n{}",
            (0..64).map(|index| format!("  - {{name: s{index}, {action}}}\n")).collect::<String>()
        )
    };
    let runs = |name: &str| steps(&format!("action: 'aws:runDocument', inputs: {{documentType: SSMDocument, documentPath: {name}}}"));
    let parse = |text: String| Document::parse(&text, Format::Yaml).unwrap();
    let named = |name: &str| Reference { name: name.to_owned(), version: None };
    let leaf = parse(steps("action: 'aws:runShellScript', inputs: {runCommand: ['true']}"));
    let library = Library::from([(named("B"), parse(runs("C"))), (named("C"), leaf)]);
    let error = compile(&parse(runs("B")), &BTreeMap::new(), &library).unwrap_err().to_string();
    assert!(error.contains("no order holds"), "{error}");
}
