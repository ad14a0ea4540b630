//! What lists examine: the plan of every combination of filters, and pages through many rows.

use super::filter::Filters;
use super::list::{list_command_invocations, list_commands};
use super::source::{Ids, commands_walk, invocations_walk};
use super::walk::{Key, MAXIMUM_EXAMINED, Walk};
use crate::capability::run_command::model::InvocationState;
use crate::device::test_kit::Kit;
use crate::schema::MIGRATIONS;
use flotilla_api::commands::{CommandFilter, ListCommandInvocationsRequest, ListCommandsRequest};
use std::collections::BTreeSet;

/// Command ids begin with the time of their command.
const COMMAND: &str = "019ac000-0000-7000-8000-000000000001";
const NODE: &str = "mi-00000000000000001";

fn filters(all: &[(&str, &str)]) -> Vec<CommandFilter> {
    all.iter().map(|(key, value)| CommandFilter { key: (*key).to_owned(), value: (*value).to_owned() }).collect()
}

/// Every choice of one value, or none, of each filter.
fn combinations() -> Vec<Vec<(&'static str, &'static str)>> {
    const CHOICES: [(&str, &[&str]); 5] = [
        ("InvokedAfter", &["2026-07-07T00:00:00Z"]),
        ("InvokedBefore", &["2026-12-07T00:00:00Z"]),
        (
            "Status",
            &["Pending", "Delayed", "InProgress", "Cancelling", "Success", "Failed", "TimedOut", "Cancelled", "AccessDenied", "Incomplete"],
        ),
        ("ExecutionStage", &["Executing", "Complete"]),
        ("DocumentName", &["AWS-RunShellScript"]),
    ];
    let mut all = vec![Vec::new()];
    for (key, values) in CHOICES {
        let with: Vec<_> = all
            .iter()
            .flat_map(|before: &Vec<_>| values.iter().map(move |value| before.iter().copied().chain([(key, *value)]).collect()))
            .collect();
        all.extend(with);
    }
    all
}

async fn plan(kit: &Kit, sql: &str) -> Vec<String> {
    let steps: Vec<(i64, i64, i64, String)> = sqlx::query_as(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql} LIMIT 10")))
        .fetch_all(kit.fleet.store.reader())
        .await
        .unwrap();
    steps.into_iter().map(|(.., step)| step).collect()
}

async fn check_plans(kit: &Kit, walk: &Walk, what: &str) {
    let ended = Key { command_id: COMMAND.to_owned(), node_id: NODE.to_owned() };
    for after in [None, Some(&ended)] {
        for query in walk.queries(after) {
            let steps = plan(kit, query.sql().as_str()).await;
            let wrong = |step: &String| step.contains("SCAN") || step.contains("TEMP B-TREE");
            assert!(!steps.iter().any(wrong), "{what}: {steps:?}");
            // The walk is a range of command ids, or within one command a range of nodes; or it is a row by its whole key.
            let first = &steps[0];
            assert!(first.contains("command_id<?") || first.contains("command_id=?"), "{what}: {first}");
        }
    }
}

#[tokio::test]
async fn no_combination_of_filters_reads_a_whole_table_or_sorts_it() {
    let kit = Kit::new().await;
    let some = |given: bool, id: &str| given.then(|| id.to_owned());
    let mut checked = 0;
    for (command, node) in [(false, false), (true, false), (false, true), (true, true)] {
        let ids = Ids { command_id: some(command, COMMAND), node_id: some(node, NODE) };
        for chosen in combinations() {
            let known = Filters::parse(Some(&filters(&chosen))).unwrap();
            let what = format!("{ids:?} {chosen:?}");
            for walk in [commands_walk(&known, ids.clone()), invocations_walk(&known, ids.clone())].into_iter().flatten() {
                check_plans(&kit, &walk, &what).await;
                checked += 1;
            }
        }
    }
    assert!(checked > 1_000, "{checked}");
}

#[tokio::test]
async fn each_walk_takes_the_index_that_leads_past_the_fewest() {
    let kit = Kit::new().await;
    let none = Ids::default();
    let of_node = Ids { node_id: Some(NODE.to_owned()), ..Ids::default() };
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a Ids, &'a str, &'a str);
    let cases: [Case<'_>; 9] = [
        (&[], &none, "sqlite_autoindex_command_1 (", "sqlite_autoindex_invocation_1 ("),
        (
            &[("Status", "Failed")],
            &none,
            "COVERING INDEX command_by_status (status=?",
            "COVERING INDEX invocation_unsuccessful (command_id",
        ),
        (&[("Status", "AccessDenied")], &none, "COVERING INDEX command_by_status (", "COVERING INDEX invocation_unsuccessful ("),
        (&[("Status", "InProgress")], &none, "COVERING INDEX command_by_status (", "INDEX command_unfinished ("),
        (&[("ExecutionStage", "Executing")], &none, "INDEX command_unfinished (", "INDEX command_unfinished ("),
        (&[("ExecutionStage", "Complete")], &none, "sqlite_autoindex_command_1 (", "sqlite_autoindex_invocation_1 ("),
        (&[("DocumentName", "a")], &none, "INDEX command_by_document (document_name=?", "INDEX command_by_document (document_name=?"),
        (&[("DocumentName", "a"), ("Status", "Failed")], &none, "COVERING INDEX command_by_status (", "invocation_unsuccessful ("),
        (&[("Status", "Failed")], &of_node, "INDEX invocation_by_node (node_id=?", "INDEX invocation_by_node (node_id=?"),
    ];
    for (chosen, ids, of_commands, of_invocations) in cases {
        let known = Filters::parse(Some(&filters(chosen))).unwrap();
        let walks = [(commands_walk(&known, ids.clone()), of_commands), (invocations_walk(&known, ids.clone()), of_invocations)];
        for (walk, index) in walks {
            let query = walk.unwrap().queries(None).pop().unwrap();
            let steps = plan(&kit, query.sql().as_str()).await;
            assert!(steps[0].contains(index), "{chosen:?}: {steps:?} and not {index}");
        }
    }
}

/// 2,500 commands on 100 nodes each and one, in their midst, on 50,000: nearly all succeeded, one in 5,000 failed, and some
/// commands have nodes that still run. Every tenth is of another document.
const FILL: &str = "
CREATE TEMP TABLE made AS WITH RECURSIVE number (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n < 2500)
  SELECT n, substr(printf('%012x', 1795219200000 + n * 1000), 1, 8) || '-' || substr(printf('%012x', 1795219200000 + n * 1000), 9)
    || '-7000-8000-000000000000' AS id, CASE WHEN n = 1200 THEN 50000 ELSE 100 END AS nodes FROM number;
INSERT INTO command (command_id, envelope, requester, document_name, document_version, steps, comment, parameters, instance_ids, targets,
  requested_ms, expires_ms, timeout_seconds, max_concurrency, max_errors, limit_concurrency, limit_errors, status, status_details,
  count_pending, count_sent, count_active, count_succeeded, count_failed, count_execution_timed_out, count_cancelled,
  count_delivery_timed_out, count_refused, count_undeliverable, count_terminated)
  SELECT id, zeroblob(3000), '', CASE WHEN n % 10 = 0 THEN 'Tenth' ELSE 'Common' END, '1', '[]', '', '{}', '[]', '[]',
    1795219200000 + n * 1000, 0, 30, '1', '0', 1, 1, '', '', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 FROM made;
WITH RECURSIVE number (k) AS (SELECT 0 UNION ALL SELECT k + 1 FROM number WHERE k < 49999)
INSERT INTO invocation (command_id, node_id, leaf_index, proof, requested_ms, state, give_up_ms)
  SELECT id, 'mi-' || printf('%017x', k * 7919 % 1000003), k, zeroblob(64), 1795219200000 + n * 1000,
    CASE WHEN (n * 100 + k) % 5000 = 17 THEN CASE k % 2 WHEN 0 THEN 'failed' ELSE 'access-denied' END
      WHEN n % 250 = 7 AND k < 3 THEN 'running' WHEN n = 1200 AND k % 10000 = 5 THEN 'running' ELSE 'succeeded' END, 0
  FROM made CROSS JOIN number WHERE k < nodes;
UPDATE command SET count_active = (SELECT COUNT(*) FROM invocation WHERE invocation.command_id = command.command_id AND state = 'running'),
  count_failed = (SELECT COUNT(*) FROM invocation WHERE invocation.command_id = command.command_id AND state = 'failed'),
  count_refused = (SELECT COUNT(*) FROM invocation WHERE invocation.command_id = command.command_id AND state = 'access-denied');
UPDATE command SET status = CASE WHEN count_active > 0 THEN 'InProgress' WHEN count_failed + count_refused > 0 THEN 'Failed' ELSE 'Success' END,
  status_details = CASE WHEN count_active > 0 THEN 'In Progress' WHEN count_failed + count_refused > 0 THEN 'Incomplete' ELSE 'Success' END;
DROP TABLE made;
";

async fn execute(kit: &Kit, sql: &str) {
    let mut write = kit.fleet.store.write().await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(write.connection()).await.unwrap();
    write.commit().await.unwrap();
}

/// The database as it was before its lists had indexes, filled, and then brought up to date: a bridge that is replaced by this one.
async fn filled() -> Kit {
    const BEFORE: &str =
        "DROP INDEX command_by_status; DROP INDEX command_by_document; DROP INDEX command_unfinished; DROP INDEX invocation_unsuccessful";
    let kit = Kit::new().await;
    execute(&kit, BEFORE).await;
    execute(&kit, FILL).await;
    execute(&kit, MIGRATIONS.iter().find(|migration| migration.name == "lists").unwrap().sql).await;
    assert_eq!(kit.count("SELECT COUNT(*) FROM invocation").await, 300_000);
    kit
}

/// The keys that a plain query finds, newest first.
async fn truth(kit: &Kit, columns: &str, condition: &str) -> Vec<String> {
    let sql = format!(
        "SELECT {columns} FROM invocation JOIN command ON command.command_id = invocation.command_id WHERE {condition} \
         GROUP BY 1 ORDER BY 1 DESC"
    );
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_all(kit.fleet.store.reader()).await.unwrap()
}

const OF_INVOCATIONS: &str = "invocation.command_id || '/' || invocation.node_id";

/// One page of invocations through the endpoint: their keys and the token.
async fn page(kit: &Kit, chosen: &[(&str, &str)], command: Option<&str>, token: Option<String>) -> (Vec<String>, Option<String>) {
    let request = ListCommandInvocationsRequest {
        command_id: command.map(str::to_owned),
        filters: Some(filters(chosen)),
        next_token: token,
        ..Default::default()
    };
    let answer = list_command_invocations(&kit.fleet, &Kit::caller(), request).await.unwrap();
    let keys = answer.command_invocations.unwrap().into_iter();
    (keys.map(|shown| format!("{}/{}", shown.command_id.unwrap(), shown.instance_id.unwrap())).collect(), answer.next_token)
}

async fn all_pages(kit: &Kit, chosen: &[(&str, &str)], command: Option<&str>) -> Vec<String> {
    let (mut all, mut token) = (Vec::new(), None);
    loop {
        let (keys, next) = page(kit, chosen, command, token).await;
        all.extend(keys);
        token = next;
        if token.is_none() {
            return all;
        }
    }
}

/// Walks to the end: how many entries were found and examined, and over how many pages. No page may examine too much.
async fn walked(kit: &Kit, walk: &Walk, size: usize) -> (usize, usize, usize) {
    let mut reader = kit.fleet.store.reader().acquire().await.unwrap();
    let (mut found, mut examined, mut pages, mut after) = (BTreeSet::new(), 0, 0, None);
    loop {
        let page = walk.page(&mut reader, after, size).await.unwrap();
        assert!(page.examined <= MAXIMUM_EXAMINED.max(size + 1), "{}", page.examined);
        examined += page.examined;
        pages += 1;
        for key in page.keys {
            assert!(found.insert(key), "an entry came twice");
        }
        after = page.next;
        if after.is_none() {
            return (found.len(), examined, pages);
        }
    }
}

/// Filters, the command or the node that is asked for, and the plain condition that says the same.
type ListCase<'a> = (&'a [(&'a str, &'a str)], Option<&'a str>, &'a str);

#[tokio::test]
async fn pages_through_many_rows_are_complete_and_each_examines_few() {
    let kit = filled().await;
    let large = truth(&kit, "invocation.command_id", "invocation.leaf_index = 49999").await.remove(0);
    let in_large = format!("invocation.command_id = '{large}' AND state IN ('failed', 'access-denied')");
    let cases: [ListCase<'_>; 7] = [
        (&[("Status", "Failed")], None, "state IN ('failed', 'access-denied')"),
        (&[("Status", "AccessDenied")], None, "state = 'access-denied'"),
        (&[("Status", "InProgress")], None, "state = 'running'"),
        (&[("ExecutionStage", "Executing"), ("DocumentName", "Tenth")], None, "state = 'running' AND document_name = 'Tenth'"),
        (&[("Status", "Failed"), ("DocumentName", "Tenth")], None, "state IN ('failed', 'access-denied') AND document_name = 'Tenth'"),
        (&[("Status", "Failed")], Some(&large), &in_large),
        (
            &[("Status", "Success"), ("InvokedAfter", "2026-11-21T00:41:20Z")],
            None,
            "state = 'succeeded' AND invocation.requested_ms >= 1795219200000 + 2480000",
        ),
    ];
    for (chosen, command, condition) in cases {
        let expected = truth(&kit, OF_INVOCATIONS, condition).await;
        assert!(!expected.is_empty(), "{chosen:?}");
        assert_eq!(all_pages(&kit, chosen, command).await, expected, "{chosen:?}");
    }
    for (chosen, most) in [
        // The index holds these only.
        (&[("Status", "Failed")][..], 60),
        (&[("Status", "TimedOut")], 60),
        // The commands with a node that runs: ten small ones and the large one.
        (&[("Status", "InProgress")], 51_000),
        (&[("Status", "Success")], 300_000),
        (&[("DocumentName", "Tenth"), ("ExecutionStage", "Complete")], 75_000),
    ] {
        let known = Filters::parse(Some(&filters(chosen))).unwrap();
        let (_, examined, pages) = walked(&kit, &invocations_walk(&known, Ids::default()).unwrap(), 2_000).await;
        assert!(examined <= most + pages * 1_000, "{chosen:?}: {examined} in {pages} pages");
    }
    let known = Filters::parse(Some(&filters(&[("Status", "Success")]))).unwrap();
    let succeeded = kit.count("SELECT COUNT(*) FROM invocation WHERE state = 'succeeded'").await;
    let (found, ..) = walked(&kit, &invocations_walk(&known, Ids::default()).unwrap(), 2_000).await;
    assert_eq!(i64::try_from(found).unwrap(), succeeded);
    commands_are_complete(&kit).await;
}

async fn commands_are_complete(kit: &Kit) {
    let node = "mi-00000000000000000";
    let cases: [ListCase<'_>; 6] = [
        (&[("Status", "Failed")], None, "status = 'Failed'"),
        (&[("Status", "Incomplete"), ("DocumentName", "Tenth")], None, "status = 'Failed' AND document_name = 'Tenth'"),
        (&[("ExecutionStage", "Executing")], None, "status = 'InProgress'"),
        (&[("DocumentName", "Tenth"), ("ExecutionStage", "Complete")], None, "document_name = 'Tenth' AND status <> 'InProgress'"),
        (&[("Status", "InProgress")], Some(node), "status = 'InProgress'"),
        (&[], None, "1 = 1"),
    ];
    for (chosen, node, condition) in cases {
        let expected = truth(kit, "invocation.command_id", condition).await;
        let (mut all, mut token) = (Vec::new(), None);
        loop {
            let request = ListCommandsRequest {
                instance_id: node.map(str::to_owned),
                filters: Some(filters(chosen)),
                next_token: token,
                ..Default::default()
            };
            let answer = list_commands(&kit.fleet, &Kit::caller(), request).await.unwrap();
            all.extend(answer.commands.unwrap().into_iter().map(|command| command.command_id.unwrap()));
            token = answer.next_token;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(all, expected, "{chosen:?}");
    }
}

#[tokio::test]
async fn commands_that_found_no_node_are_examined_too() {
    let kit = Kit::new().await;
    execute(&kit, FILL_EMPTY).await;
    let known = Filters::parse(Some(&filters(&[("DocumentName", "Empty")]))).unwrap();
    let (found, examined, pages) = walked(&kit, &invocations_walk(&known, Ids::default()).unwrap(), 50).await;
    assert_eq!((found, examined, pages), (0, 12_000, 3));
    let (found, _, pages) = walked(&kit, &commands_walk(&known, Ids::default()).unwrap(), 5_000).await;
    assert_eq!((found, pages), (12_000, 3));
    assert_eq!(all_pages(&kit, &[("DocumentName", "Empty")], None).await, Vec::<String>::new());
}

/// 12,000 commands without a node.
const FILL_EMPTY: &str = "
WITH RECURSIVE number (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n < 11999)
INSERT INTO command (command_id, envelope, requester, document_name, document_version, steps, comment, parameters, instance_ids, targets,
  requested_ms, expires_ms, timeout_seconds, max_concurrency, max_errors, limit_concurrency, limit_errors, status, status_details,
  count_pending, count_sent, count_active, count_succeeded, count_failed, count_execution_timed_out, count_cancelled,
  count_delivery_timed_out, count_refused, count_undeliverable, count_terminated)
  SELECT printf('019ac000-%04x-7000-8000-000000000000', n), '', '', 'Empty', '1', '[]', '', '{}', '[]', '[]', 0, 0, 30, '1', '0', 1, 1,
    'Failed', 'No Instances In Tag', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 FROM number;
";

#[tokio::test]
async fn what_moves_while_it_is_paged_comes_at_most_once_and_what_stays_comes() {
    let kit = filled().await;
    // Between any two pages some runs end and some invocations fail that had succeeded, as when a guess is overridden.
    const MOVE: &str = "UPDATE invocation SET state = 'succeeded' WHERE state IN ('failed', 'access-denied') AND leaf_index % 100 = 17 \
         AND command_id IN (SELECT command_id FROM command WHERE document_name = 'Tenth' ORDER BY requested_ms % 7919 LIMIT 60); \
         UPDATE invocation SET state = 'failed' WHERE leaf_index = 42 AND command_id IN \
         (SELECT command_id FROM command WHERE requested_ms % 13000 = 0 AND document_name = 'Common')";
    let before: BTreeSet<String> = truth(&kit, OF_INVOCATIONS, "state IN ('failed', 'access-denied')").await.into_iter().collect();
    let (mut shown, mut token) = (Vec::new(), None);
    let mut pages = 0;
    loop {
        let (keys, next) = page(&kit, &[("Status", "Failed")], None, token).await;
        shown.extend(keys);
        pages += 1;
        if pages == 1 {
            execute(&kit, MOVE).await;
        }
        token = next;
        if token.is_none() {
            break;
        }
    }
    let after: BTreeSet<String> = truth(&kit, OF_INVOCATIONS, "state IN ('failed', 'access-denied')").await.into_iter().collect();
    let damage: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check").fetch_all(kit.fleet.store.reader()).await.unwrap();
    assert_eq!(damage, ["ok"], "every index holds what its table says");
    let once: BTreeSet<String> = shown.iter().cloned().collect();
    assert!(pages > 1 && after.difference(&before).next().is_some() && before.difference(&after).next().is_some());
    assert_eq!(once.len(), shown.len(), "nothing comes twice");
    assert!(shown.is_sorted_by(|newer, older| newer > older));
    assert!(before.intersection(&after).all(|key| once.contains(key)), "what was failed all the while came");
    assert!(once.iter().all(|key| before.contains(key) || after.contains(key)), "what never was failed did not");
}

#[tokio::test]
async fn each_invocation_has_one_status_and_its_filter_finds_it() {
    const STATUSES: [&str; 8] = ["Pending", "InProgress", "Delayed", "Success", "Cancelled", "TimedOut", "Failed", "Cancelling"];
    let kit = Kit::new().await;
    execute(&kit, FILL_EMPTY).await;
    let command: String = sqlx::query_scalar("SELECT command_id FROM command LIMIT 1").fetch_one(kit.fleet.store.reader()).await.unwrap();
    execute(&kit, "UPDATE command SET count_sent = 1").await;
    let mut node = 0;
    for state in InvocationState::ALL {
        for (asked, next, sends) in [("NULL", "9", 1), ("NULL", "NULL", 1), ("NULL", "9", 5), ("7", "NULL", 9), ("7", "9", 1)] {
            node += 1;
            let sql = format!(
                "INSERT INTO invocation (command_id, node_id, leaf_index, proof, requested_ms, state, give_up_ms, cancel_asked_ms, \
                 next_send_ms, send_count) VALUES ('{command}', 'mi-{node:017}', 0, '', 0, '{}', 0, {asked}, {next}, {sends})",
                state.as_str()
            );
            execute(&kit, &sql).await;
        }
    }
    let mut found = 0;
    for status in STATUSES {
        let request = |next_token| ListCommandInvocationsRequest {
            command_id: Some(command.clone()),
            filters: Some(filters(&[("Status", status)])),
            next_token,
            ..Default::default()
        };
        let mut token = None;
        let mut of_status = 0;
        loop {
            let page = list_command_invocations(&kit.fleet, &Kit::caller(), request(token)).await.unwrap();
            for invocation in page.command_invocations.unwrap() {
                assert_eq!(invocation.status.as_deref(), Some(status));
                of_status += 1;
            }
            token = page.next_token;
            if token.is_none() {
                break;
            }
        }
        assert!(of_status > 0, "{status}");
        assert!(status != "Delayed" || of_status == 2, "offline, and silent for long");
        found += of_status;
    }
    assert_eq!(found, node, "no status is told of two, and none of nothing");
}
