//! Properties of any bytes: reading never panics, and what was written is read as it was.

use crate::messages;
use flotilla_protocol::capability::command::{CommandOrder, CommandResult};
use flotilla_protocol::capability::{OrderPayload, ReportPayload};
use flotilla_protocol::delivery::Delivery;
use flotilla_protocol::document::{Action, Plan, Refuse, RunShellScript, Segment, Step, Template};
use flotilla_protocol::enrolment::{Activation, ClaimBody, ClaimReplyBody, ClaimRequest};
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::hello::{HelloBody, WelcomeBody};
use flotilla_protocol::id::{NodeId, OrderId};
use flotilla_protocol::order::{CancelBody, OrderBody};
use flotilla_protocol::report::{OutputBody, OutputReceiptBody, OutputStream, ReceiptBody, ReportBody};
use flotilla_protocol::tenure::TenureBody;
use flotilla_protocol::topic::{DownKind, Topic, UpKind};
use flotilla_protocol::trust::{Trust, TrustBundle};
use flotilla_protocol::wire::{Payload, decode, encode};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

/// Reads bytes as everything that there is; only a panic is wrong.
fn read_as_everything(bytes: &[u8]) {
    macro_rules! bodies {
        ($($body:ty),+) => { $(let _read = decode::<$body>(bytes);)+ };
    }
    bodies!(Delivery, OrderBody, CancelBody, ReceiptBody, OutputReceiptBody, WelcomeBody, HelloBody, ReportBody, OutputBody);
    bodies!(TrustBundle, ClaimBody, ClaimRequest, ClaimReplyBody, CommandOrder, CommandResult, RunShellScript, Plan, Refuse, TenureBody);
    for domain in Domain::ALL {
        if let Ok(envelope) = Envelope::parse(bytes, domain) {
            assert!(!envelope.is_signed_by(&messages::operator().verifying_key()), "arbitrary bytes are signed by nobody");
        }
    }
    let _read = Trust::from_pinned(&messages::root_hash(), [bytes]);
    for kind in 0..8 {
        let payload = Payload { kind, body: bytes.to_vec() };
        let _read = OrderPayload::decode(&payload);
        let _read = ReportPayload::decode(&payload);
        let _read = Step { action: payload, ..Step::new("", &Action::Unsupported(0)) }.action();
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _read = text.parse::<Topic>();
        let _read = text.parse::<NodeId>();
        let _read = text.parse::<OrderId>();
        let _read = Activation::parse(text);
    }
}

fn template() -> impl Strategy<Value = Template> {
    let segment = prop_oneof![any::<String>().prop_map(Segment::Text), (0_u16..3).prop_map(Segment::Parameter)];
    vec(segment, 0..4).prop_map(Template)
}

prop_compose! {
    fn script()(
        run_command in vec(template(), 0..6),
        working_directory in proptest::option::of(template()),
        environment in btree_map("[A-Z_]{1,8}", template(), 0..4),
        timeout_s in 5_u32..=172_800,
    ) -> RunShellScript {
        RunShellScript { run_command, working_directory, environment, timeout_s }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..2048)) {
        read_as_everything(&bytes);
    }

    #[test]
    fn good_messages_with_a_changed_byte_never_panic(index in any::<prop::sample::Index>(), byte in any::<u8>(), which in 0_usize..6) {
        let [enrolled, _] = messages::replies();
        let mut bytes = match which {
            5 => encode(&messages::downloads()),
            0 => encode(&messages::delivery()),
            1 => encode(&messages::order()),
            2 => encode(&messages::hello()),
            3 => encode(&messages::result()),
            _ => encode(&enrolled),
        };
        let place = index.index(bytes.len());
        bytes[place] = byte;
        read_as_everything(&bytes);
    }

    #[test]
    fn a_script_is_read_as_it_was_written(script in script()) {
        let step = Step::new("step", &Action::RunShellScript(script.clone()));
        prop_assert_eq!(step.action(), Ok(Action::RunShellScript(script)));
    }

    #[test]
    fn a_chunk_of_output_is_read_as_it_was_written(offset in any::<u64>(), step in any::<u16>(), bytes in vec(any::<u8>(), 0..16_384)) {
        let output = OutputBody { offset, step, stream: OutputStream::Stdout, bytes, ..messages::output() };
        prop_assert_eq!(decode::<OutputBody>(&encode(&output)), Ok(output));
    }

    #[test]
    fn an_envelope_holds_what_was_sealed(body in vec(any::<u8>(), 0..1024), domain in prop::sample::select(Domain::ALL.to_vec())) {
        let sealed = seal(domain, &body, &[&messages::operator(), &messages::bridge()]);
        let envelope = Envelope::parse(&sealed, domain).unwrap();
        prop_assert_eq!(envelope.body(), body.as_slice());
        prop_assert!(envelope.is_signed_by(&messages::operator().verifying_key()));
        prop_assert!(envelope.is_signed_by(&messages::bridge().verifying_key()));
        prop_assert!(!envelope.is_signed_by(&messages::root().verifying_key()));
    }

    #[test]
    fn a_topic_is_read_as_it_was_written(key in any::<[u8; 32]>(), down in 0..DownKind::ALL.len(), up in 0..UpKind::ALL.len()) {
        let (fleet, node) = (messages::fleet(), NodeId::of_key(&key));
        for topic in [
            Topic::Down { fleet, node, kind: DownKind::ALL[down] },
            Topic::Up { fleet, node, kind: UpKind::ALL[up] },
            Topic::Online { fleet, node },
        ] {
            prop_assert_eq!(topic.to_string().parse(), Ok(topic));
        }
    }
}
