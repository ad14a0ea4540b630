//! What passes by itself ends nothing, and what may have happened is told.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::bridge::{self, Bridge};
use crate::{COMMAND_ID, flotilla_at, interrupt, texts};

/// How long a test waits for what should come at once.
const PATIENCE: Duration = Duration::from_secs(20);

fn ended(operation: &str) -> (u16, Value) {
    match operation {
        "SendCommand" => (200, json!({ "Command": { "CommandId": COMMAND_ID, "Status": "Pending", "TargetCount": 1 } })),
        "ListCommands" => (200, json!({ "Commands": [{ "CommandId": COMMAND_ID, "Status": "Success", "TargetCount": 1 }] })),
        "ListCommandInvocations" => (200, json!({ "CommandInvocations": [{ "InstanceId": "mi-1", "Status": "Success" }] })),
        _ => (200, json!({ "InstanceId": "mi-1", "Status": "Success", "StandardOutputContent": "done\n" })),
    }
}

#[test]
fn a_broken_connection_sends_the_same_command_again() {
    let sends = AtomicUsize::new(0);
    let bridge = Bridge::start(move |operation, _| match operation {
        "SendCommand" if sends.fetch_add(1, Ordering::Relaxed) == 0 => (0, Value::Null),
        other => ended(other),
    });
    let output = flotilla_at(&bridge, &["run", "--all", "--", "x"]).output().unwrap();
    let (out, errors) = texts(&output);
    assert_eq!((output.status.code(), out.as_str()), (Some(0), "== mi-1  Success ==\ndone\n"), "{errors}");
}

#[test]
fn what_may_have_been_sent_is_not_advised_to_be_sent_again() {
    for (arguments, look) in
        [(["run", "--all", "--", "x"].as_slice(), "flotilla commands list"), (&["activation", "create"], "flotilla activation list")]
    {
        let calls = AtomicUsize::new(0);
        let bridge = Bridge::start(move |_, _| match calls.fetch_add(1, Ordering::Relaxed) {
            0 => (0, Value::Null),
            _ => bridge::refuse("AccessDeniedException", "no"),
        });
        let output = flotilla_at(&bridge, arguments).output().unwrap();
        let errors = texts(&output).1;
        assert_eq!(output.status.code(), Some(4), "{errors}");
        assert!(errors.contains("may have reached the bridge") && errors.contains(look), "{errors}");
    }
}

#[test]
fn a_busy_bridge_does_not_end_a_wait() {
    let refusals = Mutex::new(vec![
        (400, json!({ "__type": "ThrottlingException", "message": "busy" })),
        (400, json!({ "__type": "RequestTimeoutException", "message": "slow" })),
        (500, json!({ "__type": "InternalServerError", "message": "disk" })),
        (502, json!("<html>")),
    ]);
    let bridge = Bridge::start(move |operation, _| refusals.lock().unwrap().pop().unwrap_or_else(|| ended(operation)));
    let output = flotilla_at(&bridge, &["wait", COMMAND_ID]).output().unwrap();
    let (out, errors) = texts(&output);
    assert_eq!((output.status.code(), out.as_str()), (Some(0), "== mi-1  Success ==\ndone\n"), "{errors}");
    assert!(errors.contains("the bridge is busy") && errors.contains("lost the bridge"), "{errors}");
}

#[test]
fn what_cannot_be_read_of_a_command_names_it() {
    for refused in ["ListCommands", "GetCommandInvocation"] {
        let bridge = Bridge::start(move |operation, _| match operation {
            _ if operation == refused => bridge::refuse("AccessDeniedException", "no"),
            other => ended(other),
        });
        let output = flotilla_at(&bridge, &["run", "--all", "--", "x"]).output().unwrap();
        let errors = texts(&output).1;
        assert_eq!(output.status.code(), Some(3), "{errors}");
        assert!(errors.contains(&format!("command {COMMAND_ID}, which was sent: the bridge refused {refused}")), "{errors}");
        assert!(errors.contains(&format!("flotilla commands show {COMMAND_ID}")), "{errors}");
    }
}

#[test]
fn the_first_ctrl_c_ends_the_reading_of_results() {
    let (reading, is_reading) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let bridge = Bridge::start(move |operation, _| {
        if operation == "GetCommandInvocation" {
            reading.send(()).unwrap();
            assert_eq!(released.recv_timeout(PATIENCE), Err(mpsc::RecvTimeoutError::Disconnected), "it was ended before");
        }
        ended(operation)
    });
    let mut child = flotilla_at(&bridge, &["wait", COMMAND_ID]).spawn().unwrap();
    is_reading.recv_timeout(PATIENCE).unwrap();
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    drop(release);
}
