//! Downloads: what servers may do to a node, limits, and their end by a time-out or a cancel.

use std::path::Path;

use flotilla_agent::exec::jobs::{Fate, Jobs};
use flotilla_agent::job::spec::{JobReport, JobSpec};
use flotilla_agent::job::tools::Tools;
use flotilla_protocol::capability::command::CommandOrder;
use flotilla_protocol::document::docker::{DockerAction, RunDockerAction};
use flotilla_protocol::document::download::{
    Credentials, DownloadContent, GitSource, GitVersion, HttpSource, S3Source, Source, TextSource,
};
use flotilla_protocol::document::{Action, Plan, Step, Template};
use flotilla_protocol::report::OutputStream::{Stderr, Stdout};
use flotilla_protocol::status::{Outcome, StepStatus};

use crate::kit::{Job, lives, of_plan, until};
use crate::server::is_open;
use crate::surroundings::{Surroundings, names, write};
use crate::units::Systemd;

fn http(url: &str, allow_insecure: bool) -> Source {
    Source::Http(HttpSource { url: Template::text(url), credentials: None, allow_insecure, sha256: None })
}

fn git(repository: &str, path: Option<&str>) -> Source {
    Source::Git(GitSource {
        repository: Template::text(repository),
        version: GitVersion::Default,
        path: path.map(Template::text),
        credentials: None,
        private_key: None,
        skip_host_key_check: false,
        allow_insecure: true,
    })
}

fn s3(path: &str) -> Source {
    Source::S3(S3Source { path: Template::text(path), sha256: None })
}

fn step(source: Source, destination: &Path) -> Step {
    let destination_path = Some(Template::text(destination.to_str().unwrap()));
    Step::new("download", &Action::DownloadContent(DownloadContent { source, destination_path, timeout_s: 60 }))
}

fn job(steps: Vec<Step>, tools: Tools) -> Job {
    Job::new(&JobSpec { tools, ..of_plan(Plan { steps }) })
}

/// Downloads to a folder; what it said on its standard error where it failed, and on its standard output where it did not.
fn download(source: Source, destination: &Path, tools: Tools) -> Result<String, String> {
    let job = job(vec![step(source, destination)], tools);
    let JobReport { steps, .. } = job.run();
    match steps[0].status {
        StepStatus::Succeeded => Ok(job.output(0, Stdout)),
        _ => Err(job.output(0, Stderr)),
    }
}

#[test]
fn redirects_are_followed_five_times_and_never_from_https_to_http() {
    let surroundings = Surroundings::new();
    let folder = tempfile::tempdir().unwrap();
    let to = |name: &str| folder.path().join(name);
    for server in [surroundings.url(), surroundings.secure_url()] {
        let name = server.split(':').next().unwrap();
        assert!(download(http(&format!("{server}/redirects/4"), true), &to(name), surroundings.tools()).is_ok());
        let error = download(http(&format!("{server}/redirects/5"), true), &to("never"), surroundings.tools()).unwrap_err();
        assert!(error.contains("redirect"), "{error}");
    }
    *surroundings.https.elsewhere.lock().unwrap() = format!("{}/files/hello.sh", surroundings.url());
    *surroundings.http.elsewhere.lock().unwrap() = format!("{}/elsewhere", surroundings.secure_url());
    let before = surroundings.http.asked.lock().unwrap().len();
    let error = download(http(&format!("{}/elsewhere", surroundings.secure_url()), true), &to("never"), surroundings.tools()).unwrap_err();
    assert!(error.contains("from https to http"), "{error}");
    assert_eq!(surroundings.http.asked.lock().unwrap().len(), before, "nothing was asked for without TLS");
    let error = download(http(&format!("{}/elsewhere", surroundings.url()), true), &to("never"), surroundings.tools()).unwrap_err();
    assert!(error.contains("from https to http"), "{error}");
    assert_eq!(names(folder.path()), ["http", "https"]);
}

#[test]
fn what_is_too_large_cut_or_not_there_leaves_nothing() {
    let surroundings = Surroundings::new();
    let folder = tempfile::tempdir().unwrap();
    let tools = |limit| Tools { download_limit_bytes: limit, ..surroundings.tools() };
    let get = |path: &str, limit| download(http(&format!("{}{path}", surroundings.url()), true), &folder.path().join("file"), tools(limit));
    for path in ["/big", "/big-unannounced"] {
        let error = get(path, 199_999).unwrap_err();
        assert!(error.contains("more than 199999 bytes"), "{path}: {error}");
        assert!(names(folder.path()).is_empty(), "{path}");
        assert_eq!(get(path, 200_000).unwrap(), format!("Content downloaded to {}\n", folder.path().join("file").display()));
        assert_eq!(std::fs::metadata(folder.path().join("file")).unwrap().len(), 200_000);
        std::fs::remove_file(folder.path().join("file")).unwrap();
    }
    for (path, expected) in [("/cut", "cannot be downloaded"), ("/missing", "404"), ("/private/hello.txt", "401")] {
        let error = get(path, 200_000).unwrap_err();
        assert!(error.contains(expected), "{path}: {error}");
    }
    assert!(names(folder.path()).is_empty());
    // A document is content as well.
    let text = Source::Text(TextSource { name: "D".into(), content: "x".repeat(2000) });
    assert!(download(text, folder.path(), tools(1024)).unwrap_err().contains("more than 1024 bytes"));
    assert!(names(folder.path()).is_empty());
}

#[test]
fn a_file_is_replaced_as_a_whole_and_a_folder_is_not() {
    let surroundings = Surroundings::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    write(&file, "before", 0o644);
    let (good, cut) = (format!("{}/files/hello.sh", surroundings.url()), format!("{}/cut", surroundings.url()));
    assert!(download(http(&cut, true), &file, surroundings.tools()).is_err());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "before");
    assert!(download(http(&good, true), &file, surroundings.tools()).is_ok());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "#!/bin/sh\necho hello\n");
    std::fs::create_dir(folder.path().join("hello.sh")).unwrap();
    assert!(download(http(&good, true), folder.path(), surroundings.tools()).unwrap_err().contains("is a directory"));
    assert_eq!(names(folder.path()), ["file", "hello.sh"]);
}

#[test]
fn a_server_with_another_certificate_is_not_taken() {
    let (surroundings, other) = (Surroundings::new(), Surroundings::new());
    let folder = tempfile::tempdir().unwrap();
    let url = format!("{}/files/hello.sh", surroundings.secure_url());
    let error = download(http(&url, false), folder.path(), other.tools()).unwrap_err();
    assert!(error.contains("certificate"), "{error}");
    let error = download(http(&url, false), folder.path(), Tools { certificate_authorities: Some("/nowhere.pem".into()), ..other.tools() });
    assert!(error.unwrap_err().contains("certificate_authorities"));
    assert!(names(folder.path()).is_empty());
    assert!(download(http(&url, false), folder.path(), surroundings.tools()).is_ok());
}

#[test]
fn a_cancel_and_a_time_out_end_a_download_and_leave_nothing() {
    let surroundings = Surroundings::new();
    let folder = tempfile::tempdir().unwrap();
    let url = format!("{}/slow", surroundings.url());
    let asked = || surroundings.http.asked.lock().unwrap().len();
    let cancelled = job(vec![step(http(&url, true), &folder.path().join("file"))], surroundings.tools());
    let running = cancelled.start();
    until("the server to be asked", || (asked() == 1).then_some(()));
    cancelled.folder.request_cancel().unwrap();
    assert_eq!(running.wait().code(), Some(0));
    assert_eq!((cancelled.report().outcome, cancelled.report().steps[0].status), (Outcome::Cancelled, StepStatus::Cancelled));

    let mut slow = step(http(&url, true), &folder.path().join("file"));
    let Ok(Action::DownloadContent(content)) = slow.action() else { panic!("another action") };
    slow.action = Action::DownloadContent(DownloadContent { timeout_s: 5, ..content }).encode();
    let report = job(vec![slow], surroundings.tools()).run();
    assert_eq!((report.outcome, report.steps[0].exit_code), (Outcome::TimedOut, 137));
    assert!(names(folder.path()).is_empty(), "{:?}", names(folder.path()));
}

#[test]
fn a_repository_is_fetched_without_history_hooks_or_a_way_out() {
    let surroundings = Surroundings::new();
    let folder = tempfile::tempdir().unwrap();
    let get = |path: Option<&str>, to: &str, tools| download(git(&surroundings.repository(), path), &folder.path().join(to), tools);
    get(None, "all", surroundings.tools()).unwrap();
    assert_eq!(names(&folder.path().join("all")), ["out", "scripts", "version"]);
    get(Some("scripts"), "all/scripts", surroundings.tools()).unwrap();
    get(Some("scripts/run.sh"), "one/", surroundings.tools()).unwrap();
    get(Some("scripts/run.sh"), "other", surroundings.tools()).unwrap();
    assert_eq!(names(&folder.path().join("one")), ["run.sh"]);
    assert_eq!(std::fs::read(folder.path().join("other")).unwrap(), std::fs::read(folder.path().join("one/run.sh")).unwrap());
    for (path, expected) in
        [("out/passwd", "no name of a file below"), ("missing", "nothing at missing"), ("../x", "no name of a file below")]
    {
        let error = get(Some(path), "never", surroundings.tools()).unwrap_err();
        assert!(error.contains(expected), "{path}: {error}");
    }
    let error = get(None, "never", Tools { download_limit_bytes: 1, ..surroundings.tools() }).unwrap_err();
    assert!(error.contains("git") || error.contains("more than 1 bytes"), "{error}");
    let empty = tempfile::tempdir().unwrap();
    let error = get(None, "never", Tools { search_path: empty.path().display().to_string(), ..surroundings.tools() }).unwrap_err();
    assert!(error.contains("needs git") && error.contains("install git"), "{error}");
    let left: Vec<String> = names(folder.path()).into_iter().filter(|name| name.starts_with('.')).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_small_repository_of_large_files_writes_none_of_them() {
    let surroundings = Surroundings::new();
    surroundings.make_bomb("bomb", 64, 1 << 20);
    let folder = tempfile::tempdir().unwrap();
    let repository = format!("file://{}", surroundings.path().join("bomb").display());
    let get = |path, limit| {
        download(git(&repository, path), &folder.path().join("to"), Tools { download_limit_bytes: limit, ..surroundings.tools() })
    };
    // Of which one is wanted, and all of them would be written.
    let error = get(Some("0"), 8 << 20).unwrap_err();
    assert!(error.contains("more than 8388608 bytes"), "{error}");
    assert!(names(folder.path()).is_empty());
    get(None, 64 << 20).unwrap();
    assert_eq!(names(&folder.path().join("to")).len(), 64);
}

#[test]
fn a_repository_never_writes_through_a_link_that_came_before() {
    let surroundings = Surroundings::new();
    let folder = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(outside.path(), folder.path().join("scripts")).unwrap();
    let error = download(git(&surroundings.repository(), None), folder.path(), surroundings.tools()).unwrap_err();
    assert!(error.contains("scripts cannot be written"), "{error}");
    assert!(names(outside.path()).is_empty());
}

#[test]
fn objects_are_signed_for_their_own_store_only() {
    let surroundings = Surroundings::new();
    let folder = tempfile::tempdir().unwrap();
    let store = format!("{}/bucket", surroundings.url());
    let get = |path: &str, tools| download(s3(path), folder.path(), tools);
    assert!(get(&format!("{store}/scripts/a%20file.txt"), surroundings.tools()).is_ok());
    let with = |change: &dyn Fn(&mut Tools)| {
        let mut tools = surroundings.tools();
        change(&mut tools);
        tools
    };
    let unsigned = get(&format!("{store}/scripts/a%20file.txt"), with(&|tools| tools.s3.credentials_file = None)).unwrap_err();
    assert!(unsigned.contains("403"), "{unsigned}");
    let region = get(&format!("{store}/scripts/a%20file.txt"), with(&|tools| tools.s3.region = Some("other".into()))).unwrap_err();
    assert!(region.contains("403"), "{region}");
    let other = get("https://elsewhere.example/bucket/x", surroundings.tools()).unwrap_err();
    assert!(other.contains("not of the object store"), "{other}");
    let evil = get(&format!("{store}/evil/"), surroundings.tools()).unwrap_err();
    assert!(evil.contains("no name of a file below"), "{evil}");
    let open = surroundings.path().join("open-keys");
    write(&open, "aws_access_key_id=a\naws_secret_access_key=b\n", 0o600);
    std::fs::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
    let refused = get(&format!("{store}/x"), with(&|tools| tools.s3.credentials_file = Some(open.clone()))).unwrap_err();
    assert!(refused.contains("0600"), "{refused}");
    assert_eq!(names(folder.path()), ["a file.txt"]);
}

#[test]
fn an_answer_without_content_is_no_object() {
    let surroundings = Surroundings::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    write(&file, "before", 0o644);
    for status in ["301", "307"] {
        for source in [s3(&format!("{}/bucket/moved/{status}", surroundings.url())), s3(&format!("s3://bucket/moved/{status}"))] {
            let error = download(source, &file, surroundings.tools()).unwrap_err();
            assert!(error.contains(&format!("the status {status}")) && error.contains("s3.region"), "{error}");
        }
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "before");
    }
    // A web server's redirect that leads nowhere.
    let error = download(http(&format!("{}/bucket/moved/301", surroundings.url()), true), &file, surroundings.tools()).unwrap_err();
    assert!(error.contains("301"), "{error}");
    assert_eq!((names(folder.path()), std::fs::read_to_string(&file).unwrap()), (vec!["file".to_owned()], "before".to_owned()));
}

#[test]
fn a_job_user_downloads_what_it_may_write() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let surroundings = Surroundings::new();
    let private = tempfile::tempdir().unwrap();
    let relative = Path::new("");
    let steps = vec![
        step(http(&format!("{}/files/hello.sh", surroundings.secure_url()), false), relative),
        step(s3("s3://bucket/scripts/a file.txt"), relative),
        step(http(&format!("{}/files/hello.sh", surroundings.secure_url()), false), private.path()),
        crate::kit::spec(vec![crate::kit::script(&["ls -A", "stat -c %U hello.sh", "./hello.sh"])]).plan.steps.remove(0),
    ];
    let job = Job::new(&JobSpec { job_user: Some("nobody".into()), tools: surroundings.tools(), ..of_plan(Plan { steps }) });
    let report = job.run();
    let statuses: Vec<StepStatus> = report.steps.iter().map(|step| step.status).collect();
    let expected = [StepStatus::Succeeded, StepStatus::Succeeded, StepStatus::Failed, StepStatus::Succeeded];
    assert_eq!(statuses, expected, "{} {} {}", job.output(0, Stderr), job.output(1, Stderr), job.output(3, Stderr));
    assert_eq!(job.output(3, Stdout), "a file.txt\nhello.sh\nnobody\nhello\n");
    assert!(names(private.path()).is_empty());
    assert!(is_open(surroundings.https.port));
}

#[test]
fn a_job_user_fetches_a_repository_to_where_it_can_walk() {
    let Some(nobody) = nix::unistd::User::from_name("nobody").unwrap().filter(|_| nix::unistd::geteuid().is_root()) else { return };
    let surroundings = Surroundings::new();
    surroundings.give_repository_to("nobody");
    let folder = tempfile::tempdir().unwrap();
    nix::unistd::chown(folder.path(), Some(nobody.uid), None).unwrap();
    let steps = vec![
        step(git(&surroundings.repository(), None), &folder.path().join("all")),
        step(git(&surroundings.repository(), None), Path::new("all")),
    ];
    let job = Job::new(&JobSpec { job_user: Some("nobody".into()), tools: surroundings.tools(), ..of_plan(Plan { steps }) });
    let report = job.run();
    assert_eq!(report.steps[0].status, StepStatus::Succeeded, "{}", job.output(0, Stderr));
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(folder.path().join("all/version")).unwrap());
    assert_eq!(owner, nobody.uid.as_raw());
    assert!(job.output(1, Stderr).contains("give an absolute destinationPath"), "{}", job.output(1, Stderr));
}

#[test]
fn a_cancel_ends_git_too_and_removes_what_it_has_left() {
    let surroundings = Surroundings::new();
    let (programs, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(&programs.path().join("git"), "#!/bin/sh\necho $$; echo part > part; exec sleep 1000\n", 0o755);
    let search_path = format!("{}:/usr/bin:/bin", programs.path().display());
    let job = job(vec![step(git("https://127.0.0.1:9/a", None), folder.path())], Tools { search_path, ..surroundings.tools() });
    let running = job.start();
    let pid = job.pid_from_stdout();
    assert_eq!(names(folder.path()).len(), 1, "it has begun");
    job.folder.request_cancel().unwrap();
    assert_eq!(running.wait().code(), Some(0));
    assert!(!lives(pid));
    assert_eq!(job.report().outcome, Outcome::Cancelled);
    assert!(names(folder.path()).is_empty(), "{:?}", names(folder.path()));
}

#[tokio::test]
async fn what_the_download_of_a_killed_job_has_left_goes_with_the_next_exec() {
    for (same_boot, is_by_systemd) in [(true, false), (false, false), (true, true)] {
        let surroundings = Surroundings::new();
        let (programs, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write(&programs.path().join("git"), "#!/bin/sh\necho $$; exec sleep 1000\n", 0o755);
        let tools = Tools { search_path: format!("{}:/usr/bin:/bin", programs.path().display()), ..surroundings.tools() };
        let Source::Git(source) = git("https://127.0.0.1:9/a", None) else { panic!("another source") };
        let credentials = Some(Credentials { username: Template::text("user"), password: Template::text("secret") });
        let inner = Plan { steps: vec![step(Source::Git(GitSource { credentials, ..source }), folder.path())] };
        let spec = JobSpec { tools, ..of_plan(Plan { steps: vec![Step::new("inner", &Action::RunPlan(inner))] }) };
        let job = Job::new(&spec);
        let mut running = job.start();
        let pid = job.pid_from_stdout();
        running.0.kill().unwrap();
        running.0.wait().unwrap();
        let secret = folder.path().join(format!(".flotilla-{}.partial/credentials", spec.order));
        assert!(std::fs::read_to_string(&secret).unwrap().contains("secret"), "it is what this test is about");
        if !same_boot {
            // A restart ends everything, and nothing of the folder need be there after it.
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
            until("git to be gone", || (!lives(pid)).then_some(()));
            std::fs::remove_file(job.folder.path().join("order")).unwrap();
        }
        let (ended, mut ends) = tokio::sync::mpsc::channel(1);
        let jobs = job.folder.path().parent().unwrap().to_owned();
        let mut jobs = Jobs::new(jobs, 1024, None, spec.boot, ended).with_tools(spec.tools);
        // Exec may not remove it by itself then.
        let systemd = Systemd::new("exec \"$@\"");
        if is_by_systemd {
            jobs = jobs.with_runner(systemd.runner());
        }
        let command =
            CommandOrder { document: spec.document, document_version: spec.document_version, parameters: spec.parameters, plan: spec.plan };
        jobs.recover(spec.order, &command, same_boot, flotilla_agent_core::Attempt::default());
        let ended = ends.recv().await.unwrap();
        assert!(matches!(&ended.fate, Fate::Over(end) if end.outcome == Outcome::Interrupted), "{ended:?}");
        assert!(names(folder.path()).is_empty(), "{:?}", names(folder.path()));
        assert!(!lives(pid));
        if is_by_systemd {
            let said = systemd.said();
            assert!(said.contains("\nclean\n") && said.contains("CapabilityBoundingSet") && !said.contains("secret"), "{said}");
        }
    }
}

#[test]
fn docker_is_needed_where_a_step_asks_for_it() {
    let empty = tempfile::tempdir().unwrap();
    let docker = RunDockerAction {
        action: DockerAction::Ps,
        container: None,
        image: None,
        cmd: None,
        memory: None,
        cpu_shares: None,
        volume: Vec::new(),
        env: None,
        user: None,
        publish: None,
        working_directory: None,
        timeout_s: 60,
    };
    let tools = Tools { search_path: empty.path().display().to_string(), ..Tools::default() };
    let job = job(vec![Step::new("docker", &Action::RunDockerAction(docker))], tools);
    assert_eq!(job.run().steps[0].status, StepStatus::Failed);
    let expected = format!("aws:runDockerAction needs docker, which this node does not have in {}", empty.path().display());
    assert!(job.output(0, Stderr).contains(&expected), "{}", job.output(0, Stderr));
}
