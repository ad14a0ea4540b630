//! Time-outs and cancels.

use std::time::{Duration, Instant};

use flotilla_agent::job::folder::JobState;
use flotilla_protocol::report::OutputStream::Stdout;
use flotilla_protocol::status::{Outcome, StepStatus};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::kit::{Job, Running, lives, script, spec};

fn signal(running: &Running, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(running.0.id()).unwrap()), signal).unwrap();
}

#[test]
fn a_time_out_kills_grandchildren_too_and_the_next_step_runs() {
    // The grandchild takes no notice of SIGTERM.
    let mut slow = script(&["trap '' TERM", "sh -c 'sleep 1000; sleep 1000' &", "echo $!", "wait; sleep 1000"]);
    slow.timeout_s = 5;
    let job = Job::new(&spec(vec![slow, script(&["echo next"])]));
    let running = job.start();
    let grandchild = job.pid_from_stdout();
    assert_eq!(running.wait().code(), Some(0));
    assert!(!lives(grandchild));
    let report = job.report();
    assert_eq!(report.outcome, Outcome::TimedOut);
    let first = &report.steps[0];
    assert_eq!((first.status, first.exit_code), (StepStatus::TimedOut, 137));
    let took_ms = first.ended_uptime_ms.unwrap() - first.started_uptime_ms.unwrap();
    assert!((5_000..14_000).contains(&took_ms), "{took_ms} ms");
    assert!(report.explanation.contains("longer than 5 s"));
    assert_eq!((report.steps[1].status, job.output(1, Stdout).as_str()), (StepStatus::Succeeded, "next\n"));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the limit of ten seconds is what is tested")]
fn a_cancel_ends_the_whole_group_within_ten_seconds_and_no_step_follows() {
    for trap in ["", "trap '' TERM"] {
        let job = Job::new(&spec(vec![script(&[trap, "sleep 1000 & echo $!", "wait; sleep 1000"]), script(&["echo never"])]));
        let running = job.start();
        let grandchild = job.pid_from_stdout();
        let asked = Instant::now();
        job.folder.request_cancel().unwrap();
        assert_eq!(running.wait().code(), Some(0));
        assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
        assert!(!lives(grandchild));
        let report = job.report();
        assert_eq!(report.outcome, Outcome::Cancelled);
        let ends: Vec<_> = report.steps.iter().map(|step| (step.status, step.exit_code)).collect();
        assert_eq!(ends, [(StepStatus::Cancelled, 137), (StepStatus::NotRun, -1)]);
        job.folder.request_cancel().unwrap();
        assert_eq!(job.report(), report, "a cancel after the end changes nothing");
    }
}

#[test]
fn a_cancel_before_the_start_runs_nothing() {
    let job = Job::of(&["echo x > ../effect"]);
    job.folder.request_cancel().unwrap();
    let report = job.run();
    assert_eq!((report.outcome, report.steps[0].status), (Outcome::Cancelled, StepStatus::NotRun));
    assert!(report.explanation.contains("cancelled"));
    assert!(!job.folder.path().join("effect").exists());
}

#[test]
fn a_cancel_whose_signal_was_lost_is_found() {
    let job = Job::of(&["echo $$; sleep 1000"]);
    let running = job.start();
    job.pid_from_stdout();
    // As if exec had died between the file and the signal.
    std::fs::File::create(job.folder.path().join("cancel")).unwrap();
    running.wait();
    assert_eq!(job.report().outcome, Outcome::Cancelled);
}

#[test]
fn signals_without_a_cancel_end_neither_the_job_nor_the_step() {
    let job = Job::of(&["echo $$", "until [ -e go ]; do sleep 0.1; done", "echo end"]);
    let running = job.start();
    job.pid_from_stdout();
    for kind in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM] {
        signal(&running, kind);
    }
    assert!(matches!(job.folder.state().unwrap(), JobState::Running { .. }));
    std::fs::File::create(job.folder.path().join("work/go")).unwrap();
    assert_eq!(running.wait().code(), Some(0));
    assert_eq!(job.report().outcome, Outcome::Succeeded);
    assert!(job.stdout().ends_with("end\n"));
}

#[test]
fn steps_start_with_the_usual_signals() {
    // A pipe that closes early ends its writer, and an interrupt ends a sleep: nothing is ignored or blocked.
    let job = Job::of(&["(while :; do echo y; done) | head -n 1", "grep -E '^Sig(Ign|Blk)' /proc/self/status | cut -f 2"]);
    assert_eq!(job.run().outcome, Outcome::Succeeded);
    let stdout = job.stdout();
    let lines: Vec<_> = stdout.lines().collect();
    assert_eq!(lines[0], "y");
    // Above the first 31 signals are those that a C library keeps for itself.
    let standard = |mask: &str| u64::from_str_radix(mask, 16).unwrap() & 0x7fff_ffff;
    assert_eq!((standard(lines[1]), standard(lines[2])), (0, 0), "{stdout}");
}
