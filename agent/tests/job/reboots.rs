//! Steps that ask for a reboot, which is played: the next job process of the folder is started in the same boot.

use flotilla_agent::exec::jobs::{Fate, Jobs};
use flotilla_agent::job::ALREADY_STARTED;
use flotilla_agent::job::folder::{JobFolder, JobState};
use flotilla_agent::job::spec::{JobSpec, RebootAsked};
use flotilla_agent_core::Attempt;
use flotilla_protocol::capability::command::CommandOrder;
use flotilla_protocol::document::{Action, Control, Plan, Step};
use flotilla_protocol::report::OutputStream::{Stderr, Stdout};
use flotilla_protocol::status::{Outcome, StepStatus};

use crate::kit::{Job, of_plan, script, spec};

/// Asks for a reboot as long as it was run fewer times than this.
fn asks_until(runs: u32) -> String {
    format!("echo x >> runs; n=$(wc -l < runs); echo run $n; echo trouble $n >&2; test $n -ge {runs} || exit 194")
}

fn asked(job: &Job) -> RebootAsked {
    match job.folder.state().unwrap() {
        JobState::RebootAsked(asked) => asked,
        other => panic!("it does not ask for a reboot: {other:?}"),
    }
}

fn run_until_it_asks(job: &Job) -> RebootAsked {
    assert_eq!(job.start().wait().code(), Some(0));
    asked(job)
}

fn ends(job: &Job) -> Vec<(StepStatus, i32)> {
    job.report().steps.iter().map(|step| (step.status, step.exit_code)).collect()
}

#[test]
fn the_step_that_asks_is_run_again_and_those_before_it_are_not() {
    let spec = spec(vec![script(&["echo once; exit 3"]), script(&[&asks_until(3)]), script(&["echo last"])]);
    let mut job = Job::new(&spec);
    let first = run_until_it_asks(&job);
    assert_eq!((first.step, first.steps.len()), (1, 2));
    assert_eq!((first.steps[1].status, first.steps[1].exit_code), (StepStatus::Failed, 194));
    assert_eq!(job.start().wait().code(), Some(i32::from(ALREADY_STARTED)), "without a reboot it does not go on");
    job.reboot(&spec);
    assert_eq!(job.folder.state().unwrap(), JobState::NotStarted);
    run_until_it_asks(&job);
    assert_eq!(job.start().wait().code(), Some(i32::from(ALREADY_STARTED)), "each start is made once");
    job.reboot(&spec);
    let report = job.run();
    assert_eq!(report.outcome, Outcome::Failed, "the first step's failure is not forgotten");
    assert_eq!(ends(&job), [(StepStatus::Failed, 3), (StepStatus::Succeeded, 0), (StepStatus::Succeeded, 0)]);
    let said = [job.output(0, Stdout), job.output(1, Stdout), job.output(1, Stderr), job.output(2, Stdout)];
    assert_eq!(said, ["once\n", "run 1\nrun 2\nrun 3\n", "trouble 1\ntrouble 2\ntrouble 3\n", "last\n"]);
    for (step, text) in [(0, &said[0]), (1, &said[1]), (2, &said[3])] {
        let stdout = report.steps[step].stdout;
        assert_eq!(
            (stdout.written_bytes, stdout.sha256),
            (u64::try_from(text.len()).unwrap(), flotilla_protocol::sha256(&[text.as_bytes()]))
        );
    }
}

#[test]
fn a_cancel_comes_before_a_reboot_and_before_what_follows_it() {
    // A cancel that the job has not seen when the step ends by itself.
    let job = Job::of(&["touch ../cancel; exit 194"]);
    assert_eq!(job.run().outcome, Outcome::Cancelled);

    let spec = spec(vec![script(&["echo once"]), script(&[&asks_until(2)]), script(&["echo never"])]);
    let mut job = Job::new(&spec);
    run_until_it_asks(&job);
    job.folder.request_cancel().unwrap();
    job.reboot(&spec);
    assert_eq!(job.run().outcome, Outcome::Cancelled);
    assert_eq!(ends(&job), [(StepStatus::Succeeded, 0), (StepStatus::Cancelled, 194), (StepStatus::NotRun, -1)]);
    assert_eq!((job.output(0, Stdout), job.output(1, Stdout)), ("once\n".to_owned(), "run 1\n".to_owned()));
}

#[test]
fn a_document_within_a_step_goes_on_where_it_was() {
    let step = |name: &str, lines: &[&str]| Step::new(name, &Action::RunShellScript(script(lines)));
    let innermost = Plan { steps: vec![step("a", &["echo a"]), step("b", &[&asks_until(2)]), step("c", &["echo c; exit 169"])] };
    let inner = Plan { steps: vec![step("d", &["echo d"]), Step::new("e", &Action::RunPlan(innermost)), step("f", &["echo f"])] };
    let finally = Step { control: Control { finally: true, ..Control::default() }, ..step("last", &["echo last"]) };
    let spec = of_plan(Plan { steps: vec![step("first", &["echo first"]), Step::new("inner", &Action::RunPlan(inner)), finally] });
    let mut job = Job::new(&spec);
    let asked = run_until_it_asks(&job);
    assert_eq!((asked.step, asked.within.iter().map(|level| level.step).collect::<Vec<_>>()), (1, vec![1, 1]));
    job.reboot(&spec);
    let report = job.run();
    assert_eq!(report.outcome, Outcome::Failed);
    assert_eq!(job.output(1, Stdout), "d\na\nrun 1\nrun 2\nc\nf\n");
    assert_eq!(job.output(2, Stdout), "last\n");
}

#[test]
fn a_step_that_runs_whatever_came_before_is_still_the_only_one_after_a_reboot() {
    let step = |name: &str, lines: &[&str]| Step::new(name, &Action::RunShellScript(script(lines)));
    let finally = Step { control: Control { finally: true, ..Control::default() }, ..step("last", &[&asks_until(2)]) };
    let spec = of_plan(Plan { steps: vec![step("first", &["exit 169"]), step("second", &["echo never"]), finally] });
    let mut job = Job::new(&spec);
    assert_eq!(run_until_it_asks(&job).ended_by.as_deref(), Some("first"));
    job.reboot(&spec);
    assert_eq!(job.run().outcome, Outcome::Failed);
    assert_eq!(ends(&job), [(StepStatus::Failed, 169), (StepStatus::Skipped, 0), (StepStatus::Succeeded, 0)]);
}

#[test]
fn nothing_is_run_when_it_is_lost_what_was_done_before() {
    let spec = spec(vec![script(&["echo once"]), script(&[&asks_until(2)])]);
    let mut job = Job::new(&spec);
    run_until_it_asks(&job);
    std::fs::remove_file(job.folder.path().join("reboot-1")).unwrap();
    job.reboot(&spec);
    let report = job.run();
    assert!(report.outcome == Outcome::Failed && report.explanation.contains("before the reboot is lost"), "{report:?}");
    assert_eq!(job.output(1, Stdout), "run 1\n");
}

#[tokio::test]
async fn a_start_after_a_reboot_that_was_none_is_made_under_another_name() {
    let spec = spec(vec![script(&["echo once"]), script(&[&asks_until(2)])]);
    let mut job = Job::new(&spec);
    run_until_it_asks(&job);
    let (ended, mut ends) = tokio::sync::mpsc::channel(1);
    let mut jobs = Jobs::new(job.folder.path().parent().unwrap().to_owned(), 1024 * 1024, None, spec.boot, ended);
    let JobSpec { order, document, document_version, parameters, plan, .. } = spec.clone();
    let command = CommandOrder { document, document_version, parameters, plan };
    // Exec died before it had prepared the start, and then after that.
    jobs.recover(order, &command, true, Attempt { reboots: 1, tries: 0 });
    assert!(matches!(ends.recv().await.unwrap().fate, Fate::NeverStarted));
    job.reboot(&spec);
    jobs.recover(order, &command, true, Attempt { reboots: 1, tries: 0 });
    assert!(matches!(ends.recv().await.unwrap().fate, Fate::NeverStarted));
    assert_eq!(job.start().wait().code(), Some(i32::from(ALREADY_STARTED)), "the process of the exec that died comes late");
    job.folder = job.folder.clone().of_attempt(Attempt { reboots: 1, tries: 1 });
    job.folder.prepare(&spec).unwrap();
    assert_eq!(job.run().outcome, Outcome::Succeeded);
    assert_eq!((job.output(0, Stdout), job.output(1, Stdout)), ("once\n".to_owned(), "run 1\nrun 2\n".to_owned()));
    let last = JobFolder::at(job.folder.path().to_owned()).of_last_attempt().unwrap();
    assert_eq!(last.attempt(), Attempt { reboots: 1, tries: 1 });
}

#[test]
fn without_the_reboot_only_a_last_step_runs_that_runs_whatever_came_before() {
    let step = |name: &str, lines: &[&str]| Step::new(name, &Action::RunShellScript(script(lines)));
    let finally = Step { control: Control { finally: true, ..Control::default() }, ..step("last", &["echo last"]) };
    let plan = vec![step("first", &["echo first"]), step("asks", &[&asks_until(2)]), step("never", &["echo never"]), finally];
    let spec = of_plan(Plan { steps: plan });
    let mut job = Job::new(&spec);
    run_until_it_asks(&job);
    job.reboot(&JobSpec { without_reboot: Some("the device said no".to_owned()), ..spec });
    let report = job.run();
    assert_eq!(report.outcome, Outcome::Failed);
    assert_eq!(ends(&job), [(StepStatus::Succeeded, 0), (StepStatus::Failed, 194), (StepStatus::Skipped, 0), (StepStatus::Succeeded, 0)]);
    assert_eq!(
        (job.output(0, Stdout), job.output(1, Stdout), job.output(3, Stdout)),
        ("first\n".into(), "run 1\n".into(), "last\n".into())
    );
    assert!(report.explanation.contains("the device said no"), "{report:?}");
    assert!(job.output(2, Stdout).contains("the step asks has ended the document"), "{:?}", job.output(2, Stdout));
}

#[tokio::test]
async fn exec_hears_of_a_cancel_that_an_earlier_exec_handed_on() {
    let spec = spec(vec![script(&[&asks_until(2)])]);
    let job = Job::new(&spec);
    run_until_it_asks(&job);
    for is_cancelled in [false, true] {
        let (ended, mut ends) = tokio::sync::mpsc::channel(1);
        let mut jobs = Jobs::new(job.folder.path().parent().unwrap().to_owned(), 1024, None, spec.boot, ended);
        let JobSpec { order, document, document_version, parameters, plan, .. } = spec.clone();
        jobs.recover(order, &CommandOrder { document, document_version, parameters, plan }, true, Attempt::default());
        let Fate::RebootAsked(asked) = ends.recv().await.unwrap().fate else { panic!("it asked for a reboot") };
        assert_eq!(asked.is_cancelled, is_cancelled);
        // Between the end of the job and the record of what it asks for.
        jobs.cancel(order);
    }
}

#[tokio::test]
async fn exec_hears_of_the_steps_so_far() {
    let spec = spec(vec![script(&["echo once; exit 4"]), script(&[&asks_until(2)])]);
    let job = Job::new(&spec);
    run_until_it_asks(&job);
    let (ended, mut ends) = tokio::sync::mpsc::channel(1);
    let mut jobs = Jobs::new(job.folder.path().parent().unwrap().to_owned(), 1024, None, spec.boot, ended);
    let JobSpec { order, document, document_version, parameters, plan, .. } = spec;
    jobs.recover(order, &CommandOrder { document, document_version, parameters, plan }, true, Attempt::default());
    let Fate::RebootAsked(asked) = ends.recv().await.unwrap().fate else { panic!("it asked for a reboot") };
    assert_eq!((asked.step, asked.steps.len()), (1, 2));
    assert_eq!((asked.steps[0].exit_code, asked.steps[0].stdout.head.as_slice()), (4, b"once\n".as_slice()));
    assert!(asked.steps[1].started_ms <= asked.steps[1].ended_ms && asked.steps[1].started_ms.is_some());
}
