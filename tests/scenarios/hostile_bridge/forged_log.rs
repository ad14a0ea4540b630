//! What a bridge shows and keeps, changed by whoever has its database and its keys: `flotilla audit verify` says what nodes have not signed, what is
//! missing between their reports, and since when each is silent.

use super::stage::{LIMIT, Stage};
use flotilla_api::audit::{Entry, Hex, REPORT, SignedHead, SignedKind};
use flotilla_tests::process::{binary, command, output};
use serde_json::Value;
use sqlx::Connection as _;
use std::fs::File;
use std::io::Write as _;
use std::time::Duration;

struct Done {
    code: i32,
    out: String,
    errors: String,
}

/// Runs `flotilla audit` with the fleet's home; what it remembers lies in a folder of this name.
fn audit(stage: &Stage, state: &str, arguments: &[&str]) -> Done {
    let mut call = command(&binary("flotilla"));
    call.env_clear().env("XDG_STATE_HOME", stage.fleet.folder().join(state)).arg("--home").arg(stage.fleet.home().path());
    let output = output({
        call.arg("audit").args(arguments);
        call
    });
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Done { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), errors: text(&output.stderr) }
}

fn json(done: &Done) -> Value {
    serde_json::from_str(&done.out).unwrap_or_else(|error| panic!("{error}: {}\n{}", done.out, done.errors))
}

fn verify(stage: &Stage, state: &str) -> (i32, Value) {
    let done = audit(stage, state, &["verify", "--output", "json"]);
    (done.code, json(&done))
}

/// What somebody does who can write the database.
fn edit(stage: &Stage, sql: &str, bound: &[&str]) {
    let path = stage.fleet.home().database();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).busy_timeout(Duration::from_secs(10));
        let mut database = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
        for value in bound {
            query = query.bind(*value);
        }
        assert_eq!(query.execute(&mut database).await.unwrap().rows_affected(), 1, "{sql}");
        database.close().await.unwrap();
    });
}

/// A log as it is exported, and written anew with the bridge's key.
#[derive(Clone)]
struct Log {
    first: Value,
    bundles: Vec<Value>,
    entries: Vec<Entry>,
}

impl Log {
    fn of(export: &str) -> Self {
        let mut log = Self { first: Value::Null, bundles: Vec::new(), entries: Vec::new() };
        for line in export.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            if line.get("Log").is_some() {
                log.first = line;
            } else if line.get("Trust").is_some() {
                log.bundles.push(line);
            } else if let Some(entry) = line.get("Entry") {
                log.entries.push(serde_json::from_value(entry.clone()).unwrap());
            }
        }
        log
    }

    /// Numbered, chained and signed as if it had always been so.
    fn written(&self, stage: &Stage) -> String {
        let fleet = Hex(stage.fleet.id().0);
        let (mut sequence, mut hash) = (0, Hex([0; 32]));
        let mut lines = vec![self.first.clone()];
        lines.extend(self.bundles.iter().cloned());
        for entry in &self.entries {
            let Entry { time_ms, kind, actor, subject, detail, report, .. } = entry.clone();
            let entry = Entry { report, ..Entry::chained(sequence, &hash, time_ms, [kind, actor, subject], detail) };
            (sequence, hash) = (entry.sequence, entry.hash);
            lines.push(serde_json::json!({ "Entry": entry }));
        }
        let head = SignedHead::sign(SignedKind::Head, &fleet, sequence, &hash, flotilla_tests::clock::unix_ms(), &stage.stolen["bridge"]);
        lines.push(serde_json::json!({ "Head": head }));
        lines.iter().map(|line| format!("{line}\n")).collect()
    }

    /// Where the reports of a node stand.
    fn reports(&self, node: &str) -> Vec<usize> {
        let is_report = |entry: &Entry| entry.actor == node && entry.detail.contains_key(REPORT);
        self.entries.iter().enumerate().filter(|(_, entry)| is_report(entry)).map(|(at, _)| at).collect()
    }

    fn number(&self, at: usize) -> u64 {
        self.entries[at].detail[REPORT].parse().unwrap()
    }
}

/// Reports of a command's life, for which one receipt may have come.
const RECEIPTED_LAST: u64 = 3;

/// A finding: its kind, the first and the last report.
type Found = (String, Option<u64>, Option<u64>);

/// The kinds of what was found of a node, with the reports.
fn findings(shown: &Value, node: &str) -> Vec<Found> {
    let all = shown["Nodes"]["Findings"].as_array().cloned().unwrap_or_default();
    let of_node = all.iter().filter(|finding| finding["Node"] == node);
    of_node.map(|finding| (finding["Kind"].as_str().unwrap().to_owned(), finding["From"].as_u64(), finding["To"].as_u64())).collect()
}

fn last_heard(shown: &Value, node: &str) -> (Option<u64>, Option<u64>) {
    let nodes = shown["Nodes"]["Nodes"].as_array().unwrap();
    let heard = nodes.iter().find(|heard| heard["Node"] == node).unwrap();
    (heard["LastReport"].as_u64(), heard["LastHeardMs"].as_u64())
}

pub(crate) fn attack(stage: &mut Stage, half: &(String, Vec<u8>), hidden: (u64, u64)) {
    let nodes = stage.nodes.map(|node| node.to_string());
    // While the bridge was the attacker's it gave receipts for what it hid: the node has forgotten it, and nobody can get it any more.
    let (code, shown) = verify(stage, "state");
    stage.tried(0, "reports hidden behind receipts", None);
    let found = findings(&shown, &nodes[0]);
    assert_eq!((code, shown["Holds"].as_bool(), found.len()), (1, Some(false), 1), "{shown}");
    // A receipt is written lazily: a node that is killed right after it may hold the last reports again, and tell them to the next bridge.
    let last = found[0].2.unwrap_or(0);
    assert!((hidden.1.saturating_sub(RECEIPTED_LAST)..=hidden.1).contains(&last), "{shown}");
    let gap = ("hidden".to_owned(), Some(hidden.0), Some(last));
    assert_eq!(found, std::slice::from_ref(&gap), "{shown}");
    assert_eq!(findings(&shown, &nodes[1]), [], "{shown}");
    let told = audit(stage, "another-state", &["verify", "--output", "table"]);
    let words = format!("the reports {} to {last} of {} are not in the log", hidden.0, nodes[0]);
    assert!(told.code == 1 && told.out.contains(&words) && told.out.contains("was heard last at"), "{}", told.out);
    let (code, again) = verify(stage, "state");
    assert_eq!((code, findings(&again, &nodes[0])), (0, vec![gap.clone()]), "it was told once, and is known: {again}");

    shown_ends(stage, half, &nodes);
    written_anew(stage, &nodes, &gap);
}

/// The table of commands is not in the log: what it says of ends is held against what nodes have signed.
fn shown_ends(stage: &mut Stage, half: &(String, Vec<u8>), nodes: &[String; 2]) {
    let failed = stage.ask(1, "exit 3", &["bob", "cleo"]);
    assert_eq!(stage.fleet.await_end(&failed, &nodes[1], LIMIT).status.as_deref(), Some("Failed"));
    for (what, order, node, words) in [
        ("a success that no node has signed", &half.0, 0, "no end that the node has signed"),
        ("a success where the node has signed a failure", &failed, 1, "the node has signed Failed"),
    ] {
        let change = "UPDATE invocation SET state = $3, signed = 1 WHERE command_id = $1 AND node_id = $2";
        edit(stage, change, &[order, &nodes[node], "succeeded"]);
        assert_eq!(stage.fleet.invocation(order, &nodes[node]).status.as_deref(), Some("Success"), "by design: people are shown it");
        let (code, shown) = verify(stage, "state");
        stage.tried(node, what, None);
        let problem = shown["Problem"].as_str().unwrap_or_default();
        assert!(code == 1 && problem.contains(words) && problem.contains(order.as_str()), "{what}: {shown}");
        edit(stage, change, &[order, &nodes[node], if node == 0 { "pending" } else { "failed" }]);
        let (code, shown) = verify(stage, "state");
        assert_eq!(code, 0, "{shown}");
    }
}

/// The whole log is written anew and signed with the bridge's key. Nobody has looked at it before.
fn written_anew(stage: &mut Stage, nodes: &[String; 2], gap: &(String, Option<u64>, Option<u64>)) {
    let good = Log::of(&audit(stage, "state", &["export"]).out);
    let node = &nodes[1];
    let reports = good.reports(node);
    assert!(reports.len() >= 6, "{reports:?}");
    let file = stage.fleet.folder().join("log.jsonl");
    let check = |stage: &Stage, log: &Log, state: &str| {
        File::create(&file).unwrap().write_all(log.written(stage).as_bytes()).unwrap();
        let done = audit(stage, state, &["verify", "--file", file.to_str().unwrap(), "--output", "json"]);
        let shown = json(&done);
        assert_eq!(findings(&shown, &nodes[0]), std::slice::from_ref(gap), "{shown}");
        (done.code, shown)
    };
    let (_, honest) = check(stage, &good, "fresh");
    assert_eq!(findings(&honest, node), [], "{honest}");
    let (middle, before) = (reports[3], reports[2]);
    let number = good.number(middle);
    let one = |kind: &str, from: Option<u64>, to: Option<u64>| (kind.to_owned(), from, to);
    let mut cases: Vec<(&str, Log, Vec<Found>)> = Vec::new();
    let mut changed = |what, expected, change: &dyn Fn(&mut Vec<Entry>)| {
        let mut log = good.clone();
        change(&mut log.entries);
        cases.push((what, log, expected));
    };
    changed("one report removed from the middle", vec![one("hidden", Some(number), Some(number))], &|entries| drop(entries.remove(middle)));
    changed("three reports removed from the middle", vec![one("hidden", Some(number - 1), Some(number + 1))], &|entries| {
        reports[2..5].iter().rev().for_each(|at| drop(entries.remove(*at)));
    });
    changed("the first report removed", vec![one("hidden", Some(1), Some(1))], &|entries| drop(entries.remove(reports[0])));
    changed("a report exchanged for one without a signature", vec![one("unsigned", None, None)], &|entries| {
        entries[middle].report = None;
        entries[middle].kind = "order-refused".to_owned();
    });
    let forged = vec![one("forged", None, None), one("hidden", Some(number), Some(number))];
    changed("another end than the node has signed", forged.clone(), &|entries| {
        entries[middle].subject = entries[before].subject.clone();
        entries[middle].kind = "order-refused".to_owned();
    });
    changed("a report signed by the bridge", forged.clone(), &|entries| {
        entries[middle].report.as_mut().unwrap().0[20] ^= 1;
    });
    changed("a report of the other node in its place", forged, &|entries| {
        let other = entries.iter().find(|entry| entry.actor == nodes[0] && entry.report.is_some()).unwrap().report.clone();
        entries[middle].report = other;
    });
    changed("one report told twice", vec![one("again", Some(number), Some(number))], &|entries| {
        let copy = entries[middle].clone();
        entries.insert(middle + 1, copy);
    });
    for (what, log, expected) in cases {
        let (code, shown) = check(stage, &log, "fresh");
        stage.tried(1, what, None);
        assert_eq!((code, findings(&shown, node)), (1, expected), "{what}: {shown}");
    }
    // A tail that was cut leaves no gap: it is silence, since a stated time.
    let last = reports[reports.len() - 3];
    let mut cut = good.clone();
    cut.entries.truncate(last + 1);
    let first_gap = cut.reports(&nodes[0]).iter().any(|at| cut.number(*at) > gap.2.unwrap());
    assert!(first_gap, "the gap of the other node lies before");
    let (_, shown) = check(stage, &cut, "fresh");
    stage.tried(1, "the tail removed", None);
    let ((report, heard_ms), (all, latest_ms)) = (last_heard(&shown, node), last_heard(&honest, node));
    assert_eq!((report, findings(&shown, node)), (Some(good.number(last)), vec![]), "{shown}");
    assert!(report < all && heard_ms <= latest_ms && heard_ms.is_some(), "{shown}");

    // Without the bridge's key, in the database itself.
    let sequence = good.entries[middle].sequence.to_string();
    edit(stage, "DELETE FROM audit_entry WHERE sequence = CAST($1 AS INTEGER)", &[&sequence]);
    let done = audit(stage, "unseen", &["verify"]);
    stage.tried(1, "an entry deleted from the database", None);
    assert!(done.code == 1 && done.errors.contains("missing"), "{}\n{}", done.out, done.errors);
}
