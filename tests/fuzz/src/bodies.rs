//! Every body that there is: the first byte says which.

use flotilla_protocol::capability::command::{CommandOrder, CommandProgress, CommandRebooting, CommandResult};
use flotilla_protocol::capability::health::NodeHealth;
use flotilla_protocol::capability::{OrderPayload, ReportPayload};
use flotilla_protocol::document::{Action, Plan, Refuse, RunShellScript, Step};
use flotilla_protocol::enrolment::{ClaimBody, ClaimReplyBody, ClaimRequest};
use flotilla_protocol::hello::{HelloBody, WelcomeBody};
use flotilla_protocol::order::{CancelBody, OrderBody};
use flotilla_protocol::report::{Gap, OutputBody, OutputReceiptBody, ReceiptBody, ReportBody};
use flotilla_protocol::status::Admission;
use flotilla_protocol::trust::TrustBundle;
use flotilla_protocol::wire::{Payload, decode, encode};

/// Reads the bytes as one of the types, in the order of the list; what can be read is the same after it was written.
macro_rules! read_as {
    ($number:expr, $bytes:expr, [$($body:ty),+ $(,)?]) => {{
        let readers: &[fn(&[u8])] = &[$(|bytes| {
            if let Ok(body) = decode::<$body>(bytes) {
                assert_eq!(decode::<$body>(&encode(&body)).as_ref(), Ok(&body), "what was read is written otherwise");
            }
        }),+];
        if let Some(reader) = readers.get(usize::from($number)) {
            reader($bytes);
        }
    }};
}

/// Any body, and the payloads that bodies carry.
pub(crate) fn body(bytes: &[u8]) {
    let Some((number, bytes)) = bytes.split_first() else { return };
    if let Some(kind) = number.checked_sub(128) {
        return payload(u16::from(kind), bytes);
    }
    read_as!(
        *number,
        bytes,
        [
            OrderBody,
            CancelBody,
            ReceiptBody,
            OutputReceiptBody,
            WelcomeBody,
            HelloBody,
            ReportBody,
            OutputBody,
            TrustBundle,
            ClaimBody,
            ClaimRequest,
            ClaimReplyBody,
            CommandOrder,
            CommandProgress,
            CommandResult,
            RunShellScript,
            Plan,
            Refuse,
            Gap,
            Admission,
            CommandRebooting,
            NodeHealth,
        ]
    );
}

/// A payload of a kind, in each of the places where payloads stand.
fn payload(kind: u16, bytes: &[u8]) {
    let payload = Payload { kind, body: bytes.to_vec() };
    if let Ok(order) = OrderPayload::decode(&payload) {
        assert_eq!(OrderPayload::decode(&order.encode()).as_ref(), Ok(&order));
    }
    if let Ok(report) = ReportPayload::decode(&payload) {
        assert_eq!(ReportPayload::decode(&report.encode()).as_ref(), Ok(&report));
    }
    let step = Step { action: payload, ..Step::new("step", &Action::Unsupported(0)) };
    let _action = step.action();
    let _checked = Plan { steps: vec![step] }.check(3);
}
