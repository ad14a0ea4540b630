//! Tables of the page whose lines follow from the code or from files: nothing is forgotten, and nothing stays that is gone.

use super::trace::fields;
use crate::fixture::{files_below, root};
use flotilla_protocol::capability::command::{
    Captured, CommandOrder, CommandProgress, CommandRebooting, CommandResult, Parameter, StepResult,
};
use flotilla_protocol::capability::health::{NodeHealth, SpoolState};
use flotilla_protocol::capability::inventory::{Change, InventoryReport};
use flotilla_protocol::delivery::{Delivery, NodeData};
use flotilla_protocol::document::docker::{DockerAction, RunDockerAction};
use flotilla_protocol::document::download::{Credentials, DownloadContent, GitSource, HttpSource, S3Source, TextSource};
use flotilla_protocol::document::{Control, OnFailure, Plan, Precondition, Refuse, RunShellScript, SoftwareInventory, Step, Value};
use flotilla_protocol::enrolment::{Activation, ClaimBody, ClaimRefusal, ClaimReplyBody, ClaimRequest, Enrolled, RenewalBody};
use flotilla_protocol::envelope::Domain;
use flotilla_protocol::hello::{Facts, Held, HelloBody, WelcomeBody};
use flotilla_protocol::order::{CancelBody, OnCrash, OrderBody, Targets};
use flotilla_protocol::report::{Gap, LossCause, MemoryLost, OutputBody, OutputReceiptBody, OutputStream, ReceiptBody, ReportBody, Stream};
use flotilla_protocol::secret::{SealedSecret, SealedSecrets};
use flotilla_protocol::session::SealedSession;
use flotilla_protocol::status::{Outcome, RejectReason, StepStatus};
use flotilla_protocol::tenure::TenureBody;
use flotilla_protocol::topic::{DownKind, UpKind};
use flotilla_protocol::trust::{Class, Label, NodeLabels, OperatorRule, Role, RoleEntry, TrustBundle, TrustKey, Window};
use flotilla_protocol::wire::Payload;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// The first cells of the lines of a table.
pub(crate) fn of(name: &str) -> Vec<Vec<String>> {
    match name {
        "domains" => Domain::ALL.into_iter().map(|domain| vec![(domain as u8).to_string(), format!("{domain:?}")]).collect(),
        "streams" => Stream::ALL.into_iter().map(|stream| vec![stream.number().to_string(), stream.as_str().to_owned()]).collect(),
        "down kinds" => DownKind::ALL.iter().map(|kind| vec![code(kind.as_str())]).collect(),
        "up kinds" => UpKind::ALL.iter().map(|kind| vec![code(kind.as_str())]).collect(),
        "roles" => Role::ALL.iter().map(|role| vec![u8::from(*role).to_string(), code(role.as_str())]).collect(),
        "classes" => Class::ALL.iter().map(|class| vec![u8::from(*class).to_string(), code(class.as_str())]).collect(),
        "reject reasons" => variants(|reason: &RejectReason| reason.as_str().to_owned()),
        "claim refusals" => variants(|refusal: &ClaimRefusal| format!("{refusal:?}")),
        "on_crash" => variants(|value: &OnCrash| format!("{value:?}")),
        "loss causes" => variants(|value: &LossCause| value.as_str().to_owned()),
        "output streams" => variants(|value: &OutputStream| format!("{value:?}")),
        "outcomes" => variants(|value: &Outcome| format!("{value:?}")),
        "step status" => variants(|value: &StepStatus| format!("{value:?}")),
        "on_failure" => variants(|value: &OnFailure| format!("{value:?}")),
        "docker actions" => variants(|value: &DockerAction| value.name().to_owned()),
        "hostile" => hostile(),
        "golden" => golden(),
        _ => structs(name),
    }
}

fn structs(name: &str) -> Vec<Vec<String>> {
    macro_rules! of {
        ($($type:ident)+) => {
            match name {
                $(stringify!($type) => fields::<$type>(),)+
                other => panic!("there are no rows of {other}"),
            }
        };
    }
    let fields = of!(Activation CancelBody Captured Change ClaimBody ClaimReplyBody ClaimRequest CommandOrder CommandProgress CommandRebooting
        CommandResult Control Credentials Delivery DownloadContent Enrolled Facts Gap GitSource Held HelloBody HttpSource InventoryReport Label MemoryLost
        NodeData NodeHealth NodeLabels OperatorRule OrderBody OutputBody OutputReceiptBody Parameter Payload Plan Precondition ReceiptBody
        Refuse RenewalBody ReportBody RoleEntry RunDockerAction RunShellScript S3Source SealedSecret SealedSecrets SealedSession SoftwareInventory SpoolState Step
        StepResult Targets TenureBody TextSource TrustBundle TrustKey Value WelcomeBody Window);
    fields.iter().map(|field| vec![code(field)]).collect()
}

/// The variants of an enum without content, by their numbers.
fn variants<T: DeserializeOwned + Debug>(name: impl Fn(&T) -> String) -> Vec<Vec<String>> {
    let known = (0..=127_u8).map_while(|index| postcard::from_bytes::<T>(&[index]).ok().map(|value| (index, value)));
    known.map(|(index, value)| vec![index.to_string(), code(&name(&value))]).collect()
}

fn hostile() -> Vec<Vec<String>> {
    let folder = root().join("hostile");
    let line = |file: String| {
        let text = std::fs::read_to_string(folder.join(&file)).unwrap();
        let mut head = text.lines();
        let reader = head.next().and_then(|line| line.strip_prefix("reader: ")).unwrap().to_owned();
        let refused = head.next().and_then(|line| line.strip_prefix("refused: ")).unwrap();
        vec![code(file.strip_suffix(".txt").unwrap()), reader, code(refused)]
    };
    files_below(&folder).into_iter().map(line).collect()
}

fn golden() -> Vec<Vec<String>> {
    let files = files_below(&root().join(format!("golden/v{}", flotilla_protocol::version::VERSION)));
    files.iter().map(|file| vec![code(file.strip_suffix(".hex").unwrap())]).collect()
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

/// A table anew: its head as it was, a line for each of `rows`, and behind the first cells what stood behind them before, here or among
/// what is planned.
pub(crate) fn table(old: &str, planned: &str, rows: &[Vec<String>]) -> String {
    let mut lines = old.lines();
    let head: Vec<&str> = lines.by_ref().take(2).collect();
    let columns = head.first().map_or(0, |line| line.matches('|').count().saturating_sub(1));
    let known: Vec<&str> = lines.chain(planned.lines()).collect();
    let mut text = String::new();
    for line in &head {
        text += line;
        text.push('\n');
    }
    for row in rows {
        let begin = format!("| {} |", row.join(" | "));
        let rest = known.iter().find_map(|line| line.strip_prefix(begin.as_str()));
        let rest = rest.map_or_else(|| " ? |".repeat(columns.saturating_sub(row.len())), str::to_owned);
        text += &format!("{begin}{rest}\n");
    }
    text
}
