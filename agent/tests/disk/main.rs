//! F13: the disk fills up, or takes no writes, at each write of a command's life.
//!
//! Half of the disks are tmpfs and half ext4 on a loop device. Needs to mount them, which root may; otherwise the test says that it is skipped. `FLOTILLA_DISK_TRIALS` sets how many trials there are
//! (default 60, in a release 500, in thirds: blocks, inodes, read-only).
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[cfg(test)]
mod kit;

use std::fs;
use std::time::Duration;

use flotilla_agent::exec::journal::Journal;
use flotilla_agent_core::Record;
use flotilla_protocol::status::{Outcome, RejectReason};
use kit::{Heard, Node, SmallDisk, order_id};

/// How long a full disk is left so.
const TROUBLE: Duration = Duration::from_millis(600);

#[derive(Debug, Clone, Copy)]
enum Fault {
    /// So many pages are left.
    Blocks(u64),
    /// So many inodes are left.
    Inodes(usize),
    /// Exec finds the disk read-only when it starts; whether it has a result without a receipt by then.
    ReadOnly(bool),
}

/// What came of the trials.
#[derive(Debug, Default)]
struct Tally {
    trials: u32,
    on_ext4: u32,
    refused: u32,
    failed: u32,
    interrupted: u32,
    succeeded: u32,
    lost: u32,
    double_run: u32,
    unrecorded: u32,
}

fn trials() -> Vec<Fault> {
    let is_release = std::env::var("FLOTILLA_TIER").is_ok_and(|tier| tier == "release");
    let of_tier = if is_release { 500 } else { 60 };
    let count: u64 = std::env::var("FLOTILLA_DISK_TRIALS").ok().and_then(|text| text.parse().ok()).unwrap_or(of_tier);
    let third = count / 3;
    let blocks = (0..third).map(Fault::Blocks);
    let inodes = (0..third).map(|left| Fault::Inodes(usize::try_from(left).unwrap()));
    let read_only = (0..count - 2 * third).map(|number| Fault::ReadOnly(number % 2 == 1));
    blocks.chain(inodes).chain(read_only).collect()
}

fn runs(node: &Node, number: u8) -> usize {
    fs::read_to_string(node.disk.beside().join(format!("ran-{number}"))).map_or(0, |text| text.lines().count())
}

fn script(node: &Node, number: u8) -> String {
    // Output that needs blocks, then the effect.
    format!("head -c 9000 /dev/zero | tr '\\0' x; echo ran >> {}/ran-{number}", node.disk.beside().display())
}

async fn trial(fault: Fault, kills: bool, disk: SmallDisk, tally: &mut Tally) {
    let mut node = Node::start(disk).await;
    let script_1 = script(&node, 1);
    assert!(node.listen(Duration::from_secs(20), |heard| heard.head.0 == 0).await);
    node.insist(9, "true").await;
    match fault {
        Fault::Blocks(left) => node.disk.fill_blocks(left),
        Fault::Inodes(left) => node.disk.fill_inodes(left),
        Fault::ReadOnly(has_result) => {
            node.heard.gives_receipts = !has_result;
            if has_result {
                node.insist(1, &script_1).await;
            }
            node.kill().await;
            assert!(node.disk.set_read_only(true), "something still writes");
            node.restart().await;
            node.heard.gives_receipts = true;
        }
    }
    node.order(1, &script_1).await;
    let is_over = |heard: &Heard| heard.results.contains_key(&order_id(1)) || heard.rejected.contains_key(&order_id(1));
    node.listen(TROUBLE, is_over).await;
    if matches!(fault, Fault::ReadOnly(false)) {
        assert!(!is_over(&node.heard) && !node.heard.accepted.contains(&order_id(1)), "promised on a disk that takes nothing");
        node.order(1, &script_1).await;
        let is_told = |heard: &Heard| heard.refused.contains_key(&RejectReason::Storage);
        assert!(node.listen(Duration::from_secs(20), is_told).await, "nobody is told of the disk: {}", node.log());
        tally.refused += 1;
    }
    if kills {
        node.kill().await;
        node.restart().await;
        node.listen(TROUBLE, is_over).await;
    }
    assert!(node.disk.set_read_only(false));
    node.disk.free();
    node.insist(1, &script_1).await;
    // It has recovered: the next one runs as ever.
    let script_2 = script(&node, 2);
    node.insist(2, &script_2).await;
    assert_eq!((node.heard.results.get(&order_id(2)), runs(&node, 2)), (Some(&Outcome::Succeeded), 1), "{fault:?}: {}", node.log());
    assert_eq!(node.heard.memory_lost, 0, "{fault:?}: {}", node.log());
    node.kill().await;
    let opened = Journal::open(&node.disk.path().join("exec")).unwrap();
    let is_recorded = |record: &Record| match record {
        Record::Starting { order, .. } | Record::Ended { order, .. } | Record::Known { order, .. } | Record::KnownEnd { order, .. } => {
            *order == order_id(1)
        }
        _ => false,
    };
    let (ran, result) = (runs(&node, 1), node.heard.results.get(&order_id(1)).copied());
    tally.trials += 1;
    tally.double_run += u32::from(ran > 1);
    tally.unrecorded += u32::from(ran > 0 && !opened.records.iter().any(is_recorded));
    tally.lost += u32::from(opened.loss.is_some() || result == Some(Outcome::Succeeded) && ran != 1);
    match result {
        Some(Outcome::Succeeded) => tally.succeeded += 1,
        Some(Outcome::Interrupted) => tally.interrupted += 1,
        _ => tally.failed += 1,
    }
}

#[tokio::test]
async fn a_full_disk_costs_neither_a_record_nor_a_second_run() {
    if SmallDisk::mount().is_none() {
        println!("SKIPPED: a full disk: no tmpfs can be mounted here (this needs root)");
        return;
    }
    let has_ext4 = SmallDisk::mount_ext4().is_some();
    if !has_ext4 {
        println!("F13: only tmpfs: no ext4 can be mounted through a loop device here");
    }
    let mut tasks = Vec::new();
    let faults: Vec<(usize, Fault)> = trials().into_iter().enumerate().collect();
    for lane in 0..3 {
        let mine: Vec<(usize, Fault)> = faults.iter().filter(|(index, _)| index % 3 == lane).copied().collect();
        tasks.push(tokio::spawn(async move {
            let mut tally = Tally::default();
            for (index, fault) in mine {
                // By turns, so that each fault meets both kinds of disks, with and without kills.
                let disk = if has_ext4 && index / 9 % 2 == 1 { SmallDisk::mount_ext4() } else { SmallDisk::mount() };
                let Some(disk) = disk else { panic!("the first one could be mounted") };
                tally.on_ext4 += u32::from(has_ext4 && index / 9 % 2 == 1);
                trial(fault, index / 3 % 3 == 1, disk, &mut tally).await;
            }
            tally
        }));
    }
    let mut sum = Tally::default();
    for task in tasks {
        let tally = task.await.unwrap();
        sum.trials += tally.trials;
        sum.on_ext4 += tally.on_ext4;
        sum.refused += tally.refused;
        sum.failed += tally.failed;
        sum.interrupted += tally.interrupted;
        sum.succeeded += tally.succeeded;
        sum.lost += tally.lost;
        sum.double_run += tally.double_run;
        sum.unrecorded += tally.unrecorded;
    }
    println!("F13: {sum:?}");
    println!("F13: {} trials, lost {}, double-run {}", sum.trials, sum.lost, sum.double_run);
    assert_eq!((sum.trials, sum.lost, sum.double_run, sum.unrecorded), (u32::try_from(faults.len()).unwrap(), 0, 0, 0));
    assert!(sum.refused > 0 && sum.succeeded > 0, "the faults were not felt: {sum:?}");
}

#[tokio::test]
async fn a_command_waits_for_the_disk_at_most_six_times() {
    const COMMANDS: u8 = 20;
    let Some(disk) = SmallDisk::mount() else {
        return println!("SKIPPED: syncs per command: no tmpfs can be mounted here (this needs root)");
    };
    let mut node = Node::start(disk).await;
    node.insist(1, "true").await;
    let Some(strace) = node.count_syncs().await else { return println!("SKIPPED: syncs per command: there is no strace here") };
    for number in 2..2 + COMMANDS {
        let script = script(&node, number);
        node.insist(number, &script).await;
        assert_eq!(runs(&node, number), 1);
    }
    let calls = strace.end().await;
    println!("syncs: {} calls for {COMMANDS} commands", calls.len());
    // Accepted and starting together, and the result.
    assert!(calls.len() >= usize::from(COMMANDS) * 2, "a record is not synced: {calls:?}");
    assert!(calls.len() <= usize::from(COMMANDS) * 6, "{calls:?}");
}

#[tokio::test]
async fn an_error_of_the_disk_at_any_sync_or_write_costs_nothing_but_time() {
    let Some(disk) = SmallDisk::mount() else {
        return println!("SKIPPED: errors of the disk: no tmpfs can be mounted here (this needs root)");
    };
    let mut node = Node::start(disk).await;
    let mut trials = 0;
    for (call, last) in [("fdatasync", 4), ("pwrite64", 8)] {
        for number in 1..=last {
            let Some(strace) = node.fail(call, number).await else {
                return println!("SKIPPED: errors of the disk: there is no strace here");
            };
            trials += 1;
            let script = script(&node, trials);
            node.insist(trials, &script).await;
            let failed = strace.end().await.iter().filter(|line| line.contains("INJECTED")).count();
            assert_eq!(
                (node.heard.results[&order_id(trials)], runs(&node, trials)),
                (Outcome::Succeeded, 1),
                "{call} {number}: {}",
                node.log()
            );
            assert!(failed <= 1, "{call} {number}");
        }
    }
    assert!(node.log().contains("no orders are taken"), "no error was felt: {}", node.log());
    println!("errors of the disk: {trials} trials, lost 0, double-run 0");
    // And what is on the disk says so, too.
    node.kill().await;
    node.restart().await;
    node.insist(200, "true").await;
    assert_eq!(node.heard.memory_lost, 0);
}

#[tokio::test]
async fn a_node_whose_journal_is_damaged_lives_on_and_runs_nothing_twice() {
    let Some(disk) = SmallDisk::mount() else {
        return println!("SKIPPED: a damaged journal: no tmpfs can be mounted here (this needs root)");
    };
    let mut node = Node::start(disk).await;
    let script_1 = script(&node, 1);
    let long = format!("{}; sleep 2", script(&node, 2));
    node.insist(1, &script_1).await;
    node.order(2, &long).await;
    let is_running = async {
        while runs(&node, 2) == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), is_running).await.unwrap();
    for loss in 1..=3 {
        node.kill().await;
        for slot in ["log.a", "log.b"] {
            let path = node.disk.path().join("exec/journal").join(slot);
            let mut bytes = fs::read(&path).unwrap();
            bytes[60] ^= 1;
            flotilla_agent::state::write_atomically(&path, &bytes).unwrap();
        }
        node.restart().await;
        assert!(node.listen(Duration::from_secs(20), |heard| heard.memory_lost == loss).await, "the loss is not told: {}", node.log());
        // What comes again is refused: nobody knows whether it ran.
        for (number, script) in [(1, &script_1), (2, &long)] {
            node.heard.results.remove(&order_id(number));
            node.heard.rejected.clear();
            node.order(number, script).await;
            let id = order_id(number);
            assert!(node.listen(Duration::from_secs(20), |heard| heard.rejected.contains_key(&id)).await, "{}", node.log());
            assert_eq!(node.heard.rejected[&id], RejectReason::MemoryLost);
        }
        // What is made later is taken.
        node.now_ms += 120_000;
        node.reconnect().await;
        node.listen(Duration::from_millis(200), |_| false).await;
        let number = 10 + u8::try_from(loss).unwrap();
        let later = script(&node, number);
        node.order_of_now(number, &later).await;
        let id = order_id(number);
        assert!(node.listen(Duration::from_secs(20), |heard| heard.results.contains_key(&id)).await, "{}", node.log());
        assert_eq!((node.heard.results[&id], runs(&node, number)), (Outcome::Succeeded, 1));
    }
    assert_eq!((runs(&node, 1), runs(&node, 2)), (1, 1), "run twice");
    let aside = fs::read_dir(node.disk.path().join("exec/journal")).unwrap();
    let aside = aside.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains("damaged")).count();
    assert!((2..=4).contains(&aside), "{aside} damaged files are kept");
    let jobs = || fs::read_dir(node.disk.path().join("exec/jobs")).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    let is_gone = async {
        while jobs().iter().any(|name| name.to_string_lossy() == order_id(2).to_string()) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(40), is_gone).await.unwrap_or_else(|_| panic!("the folder of a lost job stays: {:?}", jobs()));
}
