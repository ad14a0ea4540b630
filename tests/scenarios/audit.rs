//! The audit log of a real fleet: every start on a device is told once, the log holds, and who edits the database is found.
#![cfg(test)]

use flotilla_tests::process::{binary, command, output};
use flotilla_tests::{Broker, Fleet};
use serde_json::Value;
use sqlx::Connection as _;
use std::collections::BTreeSet;

struct Done {
    code: i32,
    out: String,
    errors: String,
}

/// Runs `flotilla` with the fleet's home; what it remembers lies in the fleet's folder.
fn flotilla(fleet: &Fleet, arguments: &[&str]) -> Done {
    let mut call = command(&binary("flotilla"));
    call.env_clear().env("XDG_STATE_HOME", fleet.folder().join("state")).arg("--home").arg(fleet.home().path()).args(arguments);
    let output = output(call);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Done { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), errors: text(&output.stderr) }
}

fn json(done: &Done) -> Value {
    serde_json::from_str(&done.out).unwrap_or_else(|error| panic!("{error}: {}\n{}", done.out, done.errors))
}

fn verify(fleet: &Fleet) -> Done {
    flotilla(fleet, &["audit", "verify", "--output", "json"])
}

/// What somebody does who can write the database.
fn edit(fleet: &Fleet, sql: &'static str) {
    let path = fleet.home().database();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).busy_timeout(std::time::Duration::from_secs(10));
        let mut database = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut database).await.unwrap();
        database.close().await.unwrap();
    });
}

/// The orders of one kind of entry, with the node.
fn told(fleet: &Fleet, kind: &str) -> Vec<(String, String)> {
    let listed = json(&flotilla(fleet, &["audit", "list", "--kind", kind, "--limit", "1000", "--output", "json"]));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    listed.as_array().unwrap().iter().map(|entry| (text(&entry["Subject"]), text(&entry["Actor"]))).collect()
}

#[test]
fn every_start_is_told_once_and_every_blow_is_found() {
    let mut fleet = Fleet::with_nodes(Broker::Embedded, 2);
    let nodes: BTreeSet<String> = fleet.node_ids().into_iter().collect();
    let starts = fleet.folder().join("starts");
    for _ in 0..3 {
        let script = format!("echo x >> {}", starts.display());
        let run = flotilla(&fleet, &["run", "--all", "--", &script]);
        assert_eq!(run.code, 0, "{}\n{}", run.out, run.errors);
    }
    // A2: as many starts are told as there were, each with its node, and each of an order that was signed.
    let started = told(&fleet, "order-started");
    assert_eq!(started.len(), std::fs::read_to_string(&starts).unwrap().lines().count());
    assert_eq!(started.iter().collect::<BTreeSet<_>>().len(), 6, "{started:?}");
    assert_eq!(started.iter().map(|(_, node)| node.clone()).collect::<BTreeSet<_>>(), nodes);
    let orders = |entries: &[(String, String)]| entries.iter().map(|(order, _)| order.clone()).collect::<BTreeSet<_>>();
    assert_eq!(orders(&started), orders(&told(&fleet, "order-signed")));
    assert_eq!(told(&fleet, "order-accepted").len(), 6);
    assert_eq!(told(&fleet, "order-ended").len(), 6);
    assert_eq!(told(&fleet, "node-enrolled").len(), 2);

    let first = verify(&fleet);
    assert_eq!((first.code, json(&first)["Holds"].as_bool()), (0, Some(true)), "{}", first.errors);
    let copy = fleet.folder().join("copy.db");
    // A stop and a start are told, and the log goes on.
    fleet.stop_bridge();
    std::fs::copy(fleet.home().database(), &copy).unwrap();
    fleet.start_bridge();
    let second = verify(&fleet);
    assert_eq!(second.code, 0, "{}", second.errors);
    assert!(json(&second)["SameAsRemembered"].as_u64().is_some(), "{}", second.out);
    assert_eq!((told(&fleet, "bridge-started").len(), told(&fleet, "bridge-stopped").len()), (2, 1));

    // An export stands alone, and a changed one does not hold.
    let export = flotilla(&fleet, &["audit", "export"]);
    let file = fleet.folder().join("audit.jsonl");
    let of_file = |content: &str| {
        std::io::Write::write_all(&mut std::fs::File::create(&file).unwrap(), content.as_bytes()).unwrap();
        flotilla(&fleet, &["audit", "verify", "--file", file.to_str().unwrap(), "--output", "text"])
    };
    let good = of_file(&export.out);
    assert_eq!((good.code, good.out.starts_with("holds\t0\t")), (0, true), "{}", good.errors);
    let bad = of_file(&export.out.replacen("SendCommand", "GetCommand", 1));
    assert_eq!((bad.code, bad.errors.contains("was changed")), (1, true), "{}", bad.errors);

    // An older copy of the database: nothing in it is wrong, and who looked before knows better.
    fleet.stop_bridge();
    std::fs::copy(&copy, fleet.home().database()).unwrap();
    fleet.start_bridge();
    let older = verify(&fleet);
    assert_eq!((older.code, json(&older)["Holds"].as_bool()), (1, Some(false)), "{}", older.out);
    assert_eq!(flotilla(&fleet, &["audit", "verify", "--forget"]).code, 0);

    // An entry is edited while the bridge runs: found by who looks.
    edit(&fleet, "UPDATE audit_entry SET actor = 'nobody' WHERE kind = 'order-signed'");
    let edited = flotilla(&fleet, &["audit", "verify"]);
    assert_eq!((edited.code, edited.errors.contains("its hash does not fit")), (1, true), "{}", edited.errors);
    // The end is cut: the bridge finds it by itself, and says so for ever.
    edit(&fleet, "DELETE FROM audit_entry WHERE sequence > (SELECT MAX(sequence) - 3 FROM audit_entry)");
    assert_eq!(flotilla(&fleet, &["activation", "create"]).code, 0);
    assert_eq!(told(&fleet, "log-damaged").len(), 1);
}
