//! The node's own policy, through the real exec: what it forbids does not run, whoever signs, and what cannot be read forbids everything.
//!
//! Needs to mount a tmpfs, which root may; otherwise the tests say that they are skipped.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test that cannot go on fails, and one that is skipped says so")]

#[cfg(test)]
#[path = "../disk/kit.rs"]
#[expect(dead_code, reason = "the tests of full disks use the rest")]
mod kit;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use flotilla_agent::state::replace_file;
use flotilla_protocol::status::{Outcome, RejectReason};
use kit::{Node, SmallDisk, order_id};

/// Longer than the pause between two looks at what holds a node still.
const PATIENCE: Duration = Duration::from_secs(60);
/// As long as it takes to see that nothing happens.
const SHORT: Duration = Duration::from_millis(700);

/// The only operator who may command everywhere, and the one who may in Berlin.
const EVERYWHERE: u8 = 2;
const IN_BERLIN: u8 = 5;

struct Trial {
    node: Node,
    text: String,
}

impl Trial {
    /// A node that starts with this policy.
    async fn start(text: &str) -> Option<Self> {
        let Some(disk) = SmallDisk::mount() else {
            println!("skipped: this machine lets us mount nothing");
            return None;
        };
        replace_file(&disk.policy(), text.as_bytes()).unwrap();
        Some(Self { node: Node::start(disk).await, text: text.to_owned() })
    }

    fn write(&mut self, text: &str) {
        text.clone_into(&mut self.text);
        replace_file(&self.node.disk.policy(), text.as_bytes()).unwrap();
    }

    fn ran(&self, number: u8) -> bool {
        self.node.disk.beside().join(format!("ran-{number}")).exists()
    }

    fn script(&self, number: u8) -> String {
        format!("touch {}/ran-{number}", self.node.disk.beside().display())
    }

    /// Sends an order and listens until it is over, or for a short while.
    async fn order(&mut self, signer: u8, number: u8) -> Option<Outcome> {
        let script = self.script(number);
        self.node.order_by(signer, number, &script).await;
        let id = order_id(number);
        self.node.listen(SHORT, |heard| heard.results.contains_key(&id) || heard.rejected.contains_key(&id)).await;
        self.node.heard.results.get(&id).copied()
    }

    /// How often a reason was counted, as the next hello says.
    async fn counted(&mut self, reason: RejectReason) -> u32 {
        self.node.heard.refused.clear();
        self.node.reconnect().await;
        let found = self.node.listen(Duration::from_secs(5), |heard| heard.refused.contains_key(&reason)).await;
        if found { self.node.heard.refused.get(&reason).copied().unwrap_or(0) } else { 0 }
    }

    /// The order runs within our patience, sent again and again as a bridge does.
    async fn runs(&mut self, signer: u8, number: u8) {
        let id = order_id(number);
        let end = tokio::time::Instant::now() + PATIENCE;
        while self.order(signer, number).await.is_none() {
            assert!(tokio::time::Instant::now() < end, "order {number} does not run under {}: {}", self.text, self.node.log());
        }
        assert_eq!((self.node.heard.results.get(&id), self.ran(number)), (Some(&Outcome::Succeeded), true));
    }
}

#[tokio::test]
async fn what_the_policy_forbids_does_not_run() {
    let Some(mut trial) = Trial::start("classes = [\"patch\", \"inventory\"]").await else { return };
    assert_eq!(trial.order(EVERYWHERE, 1).await, None);
    assert_eq!(trial.node.heard.rejected.get(&order_id(1)), Some(&RejectReason::Policy), "{}", trial.node.log());

    // More persons than have signed: not for ever, for others may sign the same order.
    trial.write("classes = [\"command\"]\n[minimum_persons]\ncommand = 2");
    assert_eq!(trial.order(EVERYWHERE, 2).await, None);
    assert!(!trial.node.heard.rejected.contains_key(&order_id(2)));
    assert!(trial.counted(RejectReason::Policy).await >= 2);

    // As root, which is who runs these tests.
    trial.write("run_as = [\"somebody-else\"]");
    assert_eq!(trial.order(EVERYWHERE, 3).await, None);
    assert!(trial.node.log().contains("does not allow; see the agent's setting job_user"), "{}", trial.node.log());

    trial.write("[minimum_persons]\ncommand = 1");
    trial.runs(EVERYWHERE, 2).await;
    assert!(!trial.ran(1) && !trial.ran(3));
}

#[tokio::test]
async fn a_scope_goes_by_the_labels_of_the_policy() {
    let Some(mut trial) = Trial::start("[labels]\nsite = \"paris\"").await else { return };
    assert_eq!(trial.order(IN_BERLIN, 1).await, None);
    assert!(!trial.node.heard.rejected.contains_key(&order_id(1)), "another set of signatures could still let it in");
    assert!(trial.counted(RejectReason::Scope).await >= 1);
    assert!(trial.node.log().contains("it is for nodes with site=berlin"), "{}", trial.node.log());
    trial.runs(EVERYWHERE, 2).await;
    trial.write("[labels]\nsite = \"berlin\"");
    trial.runs(IN_BERLIN, 1).await;
}

#[tokio::test]
async fn a_policy_that_cannot_be_gone_by_forbids_everything() {
    let Some(mut trial) = Trial::start("klasses = [\"command\"]").await else { return };
    assert_eq!(trial.order(EVERYWHERE, 1).await, None);
    assert!(trial.node.log().contains("cannot be gone by, and no order is accepted until it can"), "{}", trial.node.log());
    assert!(trial.counted(RejectReason::Policy).await >= 1);

    trial.write("");
    fs::set_permissions(trial.node.disk.policy(), fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(trial.order(EVERYWHERE, 2).await, None);
    assert!(trial.node.log().contains("others than its owner can write it (mode 666)"), "{}", trial.node.log());

    fs::remove_file(trial.node.disk.policy()).unwrap();
    assert_eq!(trial.order(EVERYWHERE, 3).await, None);
    assert!(trial.node.log().contains("it is not there, and the agent's setting policy_file names it"), "{}", trial.node.log());

    assert!(!trial.ran(1) && !trial.ran(2) && !trial.ran(3));
    trial.write("");
    trial.runs(EVERYWHERE, 1).await;
}

#[tokio::test]
async fn while_the_node_is_held_still_orders_wait_and_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let busy = folder.path().join("busy");
    let Some(mut trial) = Trial::start(&format!("inhibit = [\"{}\"]", busy.display())).await else { return };
    replace_file(&busy, b"").unwrap();
    assert_eq!(trial.order(EVERYWHERE, 1).await, None);
    assert!(trial.node.heard.accepted.contains(&order_id(1)) && !trial.ran(1), "{}", trial.node.log());
    trial.node.kill().await;
    trial.node.restart().await;
    let id = order_id(1);
    assert!(!trial.node.listen(SHORT, |heard| heard.results.contains_key(&id)).await && !trial.ran(1), "{}", trial.node.log());
    fs::remove_file(&busy).unwrap();
    assert!(trial.node.listen(PATIENCE, |heard| heard.results.contains_key(&id)).await, "{}", trial.node.log());
    assert!(trial.ran(1));

    // What the policy forbids meanwhile is refused without a start.
    replace_file(&busy, b"").unwrap();
    assert_eq!(trial.order(EVERYWHERE, 2).await, None);
    let id = order_id(2);
    assert!(trial.node.heard.accepted.contains(&id));
    trial.write("classes = [\"patch\"]");
    assert!(trial.node.listen(PATIENCE, |heard| heard.rejected.contains_key(&id)).await, "{}", trial.node.log());
    assert_eq!((trial.node.heard.rejected.get(&id), trial.ran(2)), (Some(&RejectReason::Policy), false));
}
