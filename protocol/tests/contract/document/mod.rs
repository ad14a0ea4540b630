//! `docs/protocol.md` against the code and the golden files: what it shows of either is made anew here and compared.
//!
//! The page has blocks between `<!-- kind: name -->` and `<!-- end -->`:
//! - `golden: path`: a golden message byte by byte;
//! - `computed: name`: what follows from the golden messages, see [`computed`];
//! - `rows: name`: a table whose first cells are made here ([`rows`]), one line for each field, number or file. The other cells are written
//!   by hand and kept.
//!
//! With `FLOTILLA_WRITE_GOLDEN=1` the blocks are written anew. A line that was not there has `?` in the cells that are to be written by
//! hand, and the test fails as long as one is left. Cells are also taken from `planned: name` blocks, for lines that are still to come.

mod computed;
mod message;
mod rows;
mod trace;

use crate::fixture::{root, unhex};
use std::collections::BTreeMap;
use std::path::PathBuf;

const END: &str = "<!-- end -->";

fn page() -> PathBuf {
    root().join("../docs/protocol.md")
}

fn golden(name: &str) -> Vec<u8> {
    let path = root().join(format!("golden/v{}/{name}.hex", flotilla_protocol::version::VERSION));
    unhex(&std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// A block: kind, name, and its lines.
struct Block<'p> {
    kind: &'p str,
    name: &'p str,
    content: &'p str,
}

/// The page as text and blocks in turn: what stands before each block with its first line, and the block; and what follows the last.
fn split(page: &str) -> (Vec<(&str, Block<'_>)>, &str) {
    let mut blocks = Vec::new();
    let mut rest = page;
    loop {
        let found = ["golden", "computed", "rows", "planned"].into_iter().filter_map(|kind| {
            let marker = format!("<!-- {kind}: ");
            rest.find(&marker).map(|at| (at, kind, at + marker.len()))
        });
        let Some((_, kind, begin)) = found.min() else { return (blocks, rest) };
        let (name, after) = rest.split_at(begin).1.split_once(" -->\n").expect("the marker ends its line");
        let (content, _) = after.split_once(END).unwrap_or_else(|| panic!("the block {name} has no end"));
        let (text, _) = rest.split_at(rest.len() - after.len());
        (_, rest) = after.split_at(content.len());
        blocks.push((text, Block { kind, name, content }));
    }
}

fn made(block: &Block<'_>, planned: &BTreeMap<&str, String>) -> String {
    match block.kind {
        "golden" => {
            let bytes = golden(block.name);
            format!("```text\n{}```\n", message::text(&message::parts(block.name, &bytes), &bytes))
        }
        "computed" => computed::block(block.name),
        "rows" => rows::table(block.content, planned.get(block.name).map_or("", String::as_str), &rows::of(block.name)),
        _ => block.content.to_owned(),
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the page is written by hand and looked at before it is committed")]
fn the_page_shows_what_is() {
    let old = std::fs::read_to_string(page()).unwrap();
    let (blocks, rest) = split(&old);
    let mut planned: BTreeMap<&str, String> = BTreeMap::new();
    for (_, block) in blocks.iter().filter(|(_, block)| block.kind == "planned") {
        *planned.entry(block.name).or_default() += block.content;
    }
    let mut new = String::new();
    for (text, block) in &blocks {
        new += text;
        new += &made(block, &planned);
    }
    new += rest;
    if old != new && std::env::var_os("FLOTILLA_WRITE_GOLDEN").is_some() {
        std::fs::write(page(), &new).unwrap();
    }
    let now = std::fs::read_to_string(page()).unwrap();
    let stale = now.lines().zip(new.lines()).find(|(now, new)| now != new);
    assert_eq!(stale, None, "docs/protocol.md is stale: write it with FLOTILLA_WRITE_GOLDEN=1 and look at it before you commit it");
    assert_eq!(now.len(), new.len());
    compare_bytes(&now);
    let unwritten: Vec<&str> = now.lines().filter(|line| line.starts_with('|') && line.contains("| ? |")).collect();
    assert_eq!(unwritten, Vec::<&str>::new(), "these lines of docs/protocol.md are still to be written");
}

/// Whatever made the blocks: the bytes that people read are those of the files.
fn compare_bytes(page: &str) {
    let mut names = Vec::new();
    for (_, block) in split(page).0.into_iter().filter(|(_, block)| block.kind == "golden") {
        let lines = block.content.lines().filter(|line| !line.starts_with("```"));
        let hex = |line: &str| line.split_whitespace().nth(1).map(str::to_owned);
        assert_eq!(unhex(&lines.filter_map(hex).collect::<String>()), golden(block.name), "{}", block.name);
        names.push(block.name.to_owned());
    }
    for needed in ["delivery", "bundle", "cancel", "receipt", "result", "hello", "welcome", "claim"] {
        assert!(names.iter().any(|name| name.ends_with(&format!("/{needed}"))), "{needed} is not shown");
    }
}

#[test]
fn every_golden_message_can_be_taken_apart() {
    let folder = root().join(format!("golden/v{}", flotilla_protocol::version::VERSION));
    for file in crate::fixture::files_below(&folder) {
        let name = file.strip_suffix(".hex").unwrap();
        if name == "enrolment/activation" {
            continue;
        }
        let bytes = golden(name);
        let parts = message::parts(name, &bytes);
        assert_eq!(parts.iter().map(|part| part.length).sum::<usize>(), bytes.len(), "{name}");
    }
}
