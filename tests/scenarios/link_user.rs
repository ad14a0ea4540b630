//! A node whose link runs as a user who may do nothing, started by root without a service manager.
#![cfg(test)]

use flotilla_tests::calls::shell_on;
use flotilla_tests::node::Half;
use flotilla_tests::{Broker, Fleet, tally, wait};
use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
/// Every Linux has this user; a package makes one of the agent's own.
const USER: &str = "nobody";
/// So short that the link must renew its certificate, and write it, while the test runs.
const CERTIFICATE_LIFE_S: u64 = 60;
const RENEWED: &str = "the new certificate works and has replaced the old one";

/// `/proc/<pid>/task/<thread>/status` of every thread.
fn threads(pid: i32) -> Vec<BTreeMap<String, String>> {
    let folder = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let statuses = folder.map(|thread| std::fs::read_to_string(thread.unwrap().path().join("status")).unwrap());
    let fields = |status: String| {
        status.lines().filter_map(|line| line.split_once(':')).map(|(name, value)| (name.into(), value.trim().into())).collect()
    };
    statuses.map(fields).collect()
}

/// Appends the life of certificates to the settings of the bridge, which is started again.
#[expect(clippy::disallowed_methods, reason = "files of a test are not kept over a power cut")]
fn let_certificates_live(fleet: &mut Fleet, seconds: u64) {
    fleet.stop_bridge();
    let path = fleet.home().settings();
    let before = std::fs::read_to_string(&path).unwrap();
    let kept = before.split("\n[limits]").next().unwrap();
    std::fs::write(&path, format!("{kept}\n[limits]\ncertificate_life_s = {seconds}\n")).unwrap();
    fleet.start_bridge();
}

/// Whose it is, and its mode.
fn owner_and_mode(path: &Path) -> (u32, u32) {
    let metadata = std::fs::symlink_metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    (metadata.uid(), metadata.mode() & 0o777)
}

/// Runs a command on the only node; it must succeed.
fn run(fleet: &Fleet, script: &str) -> String {
    let [node] = fleet.node_ids().try_into().unwrap();
    let command = fleet.send(&shell_on(&node, script));
    let ended = fleet.await_end(&command, &node, LIMIT);
    assert_eq!(ended.status.as_deref(), Some("Success"), "{ended:?}");
    ended.standard_output_content.unwrap_or_default()
}

/// Every thread of the link is the user's, without capabilities and groups, and stays so.
fn judge_link(fleet: &mut Fleet, uid: u32) -> i32 {
    let [link, exec] = [Half::Link, Half::Exec].map(|half| fleet.nodes[0].half(half));
    for status in threads(link) {
        let numbers: Vec<u32> = status["Uid"].split_whitespace().map(|number| number.parse().unwrap()).collect();
        assert_eq!(numbers, [uid; 4], "real, effective, saved and of the file system");
        assert_eq!(status["NoNewPrivs"], "1");
        for name in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(status[name].trim_start_matches('0'), "", "{name}");
        }
        assert_eq!(status["Groups"], "", "it is in no other group");
    }
    assert!(threads(exec).iter().all(|status| status["Uid"].starts_with("0\t")), "exec is root's");
    assert_eq!(owner_and_mode(Path::new(&format!("/proc/{link}/mem"))).0, 0, "its memory is not its user's to look into");
    link
}

#[test]
fn the_link_of_a_root_agent_is_a_user_who_may_do_nothing() {
    if !nix::unistd::geteuid().is_root() {
        return tally::skipped("the link's user", "only root can run a half as somebody else");
    }
    let user = nix::unistd::User::from_name(USER).unwrap().expect("every Linux has this user");
    let uid = user.uid.as_raw();
    let mut fleet = Fleet::start(Broker::Mosquitto);
    let_certificates_live(&mut fleet, CERTIFICATE_LIFE_S);
    // The link finds its way to its own folder, as it does in /var/lib.
    std::fs::set_permissions(fleet.folder(), std::fs::Permissions::from_mode(0o711)).unwrap();

    // Registered before there was that setting, as nodes of an older release are.
    fleet.add_nodes(1);
    let state = fleet.nodes[0].state();
    assert_eq!(owner_and_mode(&state.join("link")), (0, 0o700));
    assert_eq!(run(&fleet, "echo before"), "before\n");
    fleet.nodes[0].stop();
    fleet.nodes[0].add_settings(&format!("link_user = \"{USER}\"\n"));
    fleet.nodes[0].start();
    fleet.await_online();
    assert_eq!(run(&fleet, "id -u"), "0\n", "what an order may do is not the link's affair");
    let link = judge_link(&mut fleet, uid);

    // What is whose on the disk: a file of exec's can be reached by nobody but root.
    for (path, expected) in [
        (state.clone(), (0, 0o711)),
        (state.join("link"), (uid, 0o700)),
        (state.join("exec"), (0, 0o700)),
        (state.join("registered"), (0, 0o600)),
        (state.join("agent.sock"), (0, 0o660)),
    ] {
        assert_eq!(owner_and_mode(&path), expected, "{}", path.display());
    }
    assert_eq!(std::fs::metadata(state.join("agent.sock")).unwrap().gid(), user.gid.as_raw());
    for entry in std::fs::read_dir(state.join("link")).unwrap() {
        assert_eq!(owner_and_mode(&entry.unwrap().path()), (uid, 0o600));
    }

    // What it renews it keeps in its own folder.
    wait::until_true(LIMIT, "the certificate is renewed", || fleet.nodes[0].log().contains(RENEWED));
    assert_eq!(owner_and_mode(&state.join("link/credentials")), (uid, 0o600));

    // A link that dies comes back as the same user, and is heard by the same exec.
    fleet.nodes[0].kill_half(Half::Link);
    fleet.await_online();
    assert_eq!(run(&fleet, "echo again"), "again\n");
    assert_ne!(judge_link(&mut fleet, uid), link);

    // Registering again, while the agent runs as well, leaves the link's what is the link's.
    let activation = fleet.activation(1);
    let again = fleet.nodes[0].try_register(&activation, &["--again"]);
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    for entry in std::fs::read_dir(state.join("link")).unwrap() {
        assert_eq!(owner_and_mode(&entry.unwrap().path()), (uid, 0o600));
    }
    fleet.nodes[0].kill_half(Half::Link);
    fleet.await_online();
    assert_eq!(run(&fleet, "echo renewed"), "renewed\n");
    let log = fleet.nodes[0].log();
    assert!(log.contains("the link is confined") || log.contains("the link is not confined to its files"), "{log}");
}
