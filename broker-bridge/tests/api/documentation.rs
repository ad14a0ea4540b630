//! docs/api.md, written from the registry and the tables of the contract. The test fails when the page is stale; to write it anew:
//!
//! ```sh
//! FLOTILLA_WRITE_DOCS=1 cargo test -p flotilla-broker-bridge --test api documentation
//! ```

use flotilla_api::model::{self, Shape, Span};
use flotilla_api::operations;
use flotilla_broker_bridge::command::registry;
use flotilla_broker_bridge::platform::http::{Access, MAXIMUM_BODY_BYTES};
use flotilla_broker_bridge::platform::repeat::{MAXIMUM_CALLS, REMEMBERED_MS};
use flotilla_broker_bridge::platform::sigv4::{MAXIMUM_AUTHORIZATION_BYTES, MAXIMUM_SKEW_MS};
use std::collections::BTreeSet;
use std::path::Path;

const WRITE: &str = "FLOTILLA_WRITE_DOCS";

/// What differs from AWS, by operation. An operation that is not here answers as AWS documents it, as far as we know.
const DIFFERENCES: &[(&str, &str)] = &[
    ("AddTagsToResource", "Resources are `ManagedInstance` and `Document`; others answer `InvalidResourceType`."),
    (
        "CreateActivation",
        "The code is a text of its own form that also names the broker and the trust root: give it to `flotilla-agent register`. \
         `IamRole` is kept and shown, and means nothing. How far ahead it may expire is a setting. Safe to repeat: see above.",
    ),
    ("CreateGroup", "Queries are `TAG_FILTERS_1_0` over nodes; a `Configuration` is refused. At most 1,000 groups."),
    (
        "DeleteInventory",
        "Types that begin with `Custom:` only. It is done when the answer comes. A node that goes on reporting the type says changes of what is \
         deleted; it has the type again when it says all of it anew. How it works is in [capability/inventory.md](capability/inventory.md).",
    ),
    (
        "GetInventory",
        "Filters on one type hold for one and the same entry; where a type has nothing but `NotEqual`, the node has no entry that is equal. \
         `LessThan` and `GreaterThan` compare digits as numbers: `1.10` is more than `1.9`. `Exists` takes `true` or `false`. Counts are of \
         nodes, all in one answer; nested expressions are counted together, and those of one type within one entry.",
    ),
    (
        "GetInventorySchema",
        "Every type can be counted, so `Aggregator` changes nothing. There are no types within types: with `SubType` the list is empty.",
    ),
    ("ListInventoryEntries", "Keys of filters are attributes, with or without the type before them."),
    (
        "ListInventoryItems",
        "Which node has how many entries of which type, since when, from whom (`node` or `api`), and whether that is stale: the node has \
         something else by now and will say all of it anew.",
    ),
    (
        "PutInventory",
        "Refused: `AWS:InstanceInformation` and `AWS:Tag`, which the bridge makes itself; a type that the node reports itself \
         (`InvalidItemContentException`); types of AWS that nodes of a fleet cannot have; a `Context`. A `ContentHash` that is there already \
         leaves the content as it is. A fleet has at most 100 types of its own, of 200 KiB each; a node at most 30 types and 8 MiB. \
         `SubTypeCountLimitExceededException` and `InvalidInventoryItemContextException` are never answered.",
    ),
    ("DescribeInstanceProperties", "`DocumentName` is refused. `LessThan` and `GreaterThan` compare `AgentVersion` only."),
    ("DescribeInstanceInformation", "Also filters by `SourceTypes` and `SourceIds`. Every node runs `Linux` and is a `ManagedInstance`."),
    (
        "GetCommandInvocation",
        "`StandardOutputUrl` and `StandardErrorUrl` are links to the whole stream as the bridge keeps it, up to 1 MiB for each step; empty \
         where there is nothing. They are fetched with GET, without a signature in headers, for an hour and as long as the user who asked is \
         there. Two members are not in the model: `StandardOutputBytes` and `StandardErrorBytes`, the number of bytes behind the links.",
    ),
    ("GetAuditHead", "What the bridge has signed of its audit log: the newest entry, and the last that was removed as old."),
    (
        "GetConnectionStatus",
        "A target that nobody knows is `notconnected`, as at AWS. `Health` is not in the model: what the node last said of how it is, when it \
         came (`received_ms`), and how many of its reports it dropped and how many are missing; absent before it has said anything.",
    ),
    (
        "GetPreparedOrder",
        "`Envelope` is the order in the bytes that are signed, with the signatures that count under the newest trust bundle; what stands beside \
         it is the bridge's word. Errors: `PreparedOrderNotFoundException`.",
    ),
    ("GetGroup", "Only the newer address, `POST /get-group`."),
    (
        "ListCommandInvocations",
        "With `Details`, each plugin has the links `StandardOutputUrl` and `StandardErrorUrl`, and the two members that are not in the model, \
         `StandardOutputBytes` and `StandardErrorBytes`, as in GetCommandInvocation. An invocation's own links are empty.",
    ),
    (
        "ListAuditEntries",
        "The newest first; with `AfterSequence` in the order of their numbers behind that one. Every thousandth has the bridge's signature, \
         `Checkpoint`. What is in an entry, and how a log is checked, is in [security.md](security.md#the-audit-log).",
    ),
    (
        "GetTrustStatus",
        "The newest version, when it runs out, and how many nodes have said which version in their last hello. For auditors.",
    ),
    (
        "ListPreparedOrderTargets",
        "The nodes of an order with the keys that make up the root of its targets, by node id. Errors: `PreparedOrderNotFoundException`.",
    ),
    ("ListPreparedOrders", "The newest first. What people sign is described in [security.md](security.md#operators-own-keys)."),
    ("ListGroupResources", "Resources are nodes, of the type `AWS::SSM::ManagedInstance`."),
    ("ListTagsForResource", "Resources are `ManagedInstance` and `Document`."),
    (
        "ListTrustBundles",
        "The fleet's trust bundles as people have signed them, each in hexadecimal digits, at most eight at a time: ask again behind the last \
         until none comes. Who knows the SHA-256 of bundle 1 follows them to the newest without believing the bridge.",
    ),
    (
        "PutOrderSignature",
        "Verified against the newest trust bundle. With enough signatures the order is released in the same transaction. Errors: \
         `PreparedOrderNotFoundException`, `OrderExpiredException`, `OrderCancelledException`, `OrderReleasedException`, \
         `KeyNotAuthorisedException`, `OrderBytesMismatchException`, `InvalidOrderSignatureException`, `AlreadySignedException`.",
    ),
    (
        "PutTrustBundle",
        "The envelope in base64. Only a bundle that follows the newest one is taken, by its own signatures; it counts at once and goes to \
         every node. One that is known changes nothing and is sent once more. For administrators.",
    ),
    (
        "RejectPreparedOrder",
        "Cancels the command of an order that awaits signatures. Errors: `PreparedOrderNotFoundException`, `OrderExpiredException`, \
         `OrderCancelledException`, `OrderReleasedException`.",
    ),
    ("RemoveTagsFromResource", "Resources are `ManagedInstance` and `Document`."),
    ("SearchResources", "Finds nodes only."),
    (
        "SendCommand",
        "Refused, each with its own error: output to S3 or a log group, alarms. `NotificationArn` names a webhook of the bridge's settings, \
         `arn:aws:sns:<region>:000000000000:<name>`; another is `InvalidNotificationConfig`. Without `NotificationEvents` all are meant, \
         without `NotificationType` the command. `ServiceRoleArn` is kept and shown, and means nothing. Target keys: `InstanceIds` (`*` is every \
         node), `tag:<key>`, `tag-key`, `resource-groups:Name`, `resource-groups:ResourceTypeFilters`; a group that does not exist is \
         `InvalidParameters`. The targets are frozen when the command is sent. Where people must sign what runs, the command is \
         `Pending` until enough have signed, and `TimeoutSeconds`, up to 30 days, is how long they and the nodes have; where nobody may, the \
         answer is `AccessDeniedException`. Safe to repeat: see above.",
    ),
    ("UpdateManagedInstanceRole", "The role is kept and shown as `IamRole`, and means nothing."),
];

/// What stands before the operations of a service.
fn about(title: &str) -> &'static str {
    match title {
        "Operations of Flotilla" => {
            "\nCalled as those of SSM, with `Flotilla.` in place of `AmazonSSM.` in the header `X-Amz-Target`, and signed for the service `ssm`. \
             `flotilla audit`, `flotilla orders` and `flotilla trust` call them; the `aws` command does not know them.\n"
        }
        _ => "",
    }
}

fn difference(name: &str) -> &'static str {
    DIFFERENCES.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text)
}

fn page() -> String {
    let registry = registry();
    let ssm: Vec<(&str, Access)> = registry.operations().collect();
    let mut groups: Vec<(&str, Access)> = registry.rest_operations().collect();
    groups.sort_unstable();
    let own: Vec<(&str, Access)> = registry.own_operations().collect();
    let built: BTreeSet<&str> = ssm.iter().map(|(name, _)| *name).collect();
    let mut page = format!(
        "# The API\n\n\
         This page is generated from the bridge's own lists; a test fails when it is stale, and says how to write it anew.\n\n\
         The bridge answers the API of AWS Systems Manager (SSM), version 2014-11-06, at `POST /`, and some operations of AWS Resource \
         Groups, version 2017-11-27, at their own addresses on the same port. Requests are signed with Signature Version 4, for the service \
         `ssm` or `resource-groups`, and any region. The `aws` command, boto3 and the SDKs need the address and an access key only: \
         `AWS_ENDPOINT_URL_SSM` and `AWS_ENDPOINT_URL_RESOURCE_GROUPS`, or `--endpoint-url`.\n\n\
         Of the {} operations of SSM {} are built, and {} of Resource Groups. The others of SSM answer an error that the service model \
         lists for them. Flotilla has {} of its own, below.\n\n\
         ## What is different for every operation\n\n\
         - A role stands in place of policies: a viewer looks, an auditor also reads the audit log, an operator runs commands too and changes \
         documents, tags and groups, an admin does all of it and changes the fleet itself. Without the role the answer is `AccessDeniedException`, of Resource Groups \
         `ForbiddenException`.\n\
         - A request with a member that the model does not have is refused.\n\
         - Every limit of the service model is held, and a violation answered in AWS's words: `ValidationException`, of Resource Groups \
         `BadRequestException`.\n\
         - A signature of a call that changes something counts once.\n\
         - There are no session tokens, and no signatures in addresses but in the links that answers hold.\n\
         - Lists can have short and even empty pages with a `NextToken`, since what a page examines is bounded: follow the token, as the \
         paginators of the SDKs and the `aws` command do.\n\
         - `SendCommand` and `CreateActivation` are safe to repeat: attempts of one user with the same header `amz-sdk-invocation-id` \
         and the same body within {} hours make one command or activation, answered to each of them. The SDKs, boto3 and the `aws` \
         command send the header by themselves; it counts whether it is signed or not. With another body the answer is \
         `ValidationException`, since neither operation lists `IdempotentParameterMismatch`.\n\
         - ARNs have the account `000000000000` and the region of the settings.\n\n\
         ## Limits of the bridge\n\n\
         - A request has at most {} bytes, its `Authorization` at most {}.\n\
         - The clocks of client and bridge differ by at most {} minutes.\n\
         - At most {} repeatable calls are remembered; beyond that the oldest is forgotten early. A name of a call has at most 128 \
         characters; a longer one is none.\n",
        operations::OPERATION_COUNT,
        ssm.len(),
        groups.len(),
        own.len(),
        REMEMBERED_MS / 3_600_000,
        MAXIMUM_BODY_BYTES,
        MAXIMUM_AUTHORIZATION_BYTES,
        MAXIMUM_SKEW_MS / 60_000,
        MAXIMUM_CALLS,
    );
    for (title, operations, shape_of) in [
        ("Operations of SSM", &ssm, model::of_ssm as fn(&str) -> Option<&'static Shape>),
        ("Operations of Resource Groups", &groups, model::of_groups),
        ("Operations of Flotilla", &own, model::of_flotilla),
    ] {
        page.push_str(&format!("\n## {title}\n"));
        page.push_str(about(title));
        for (name, access) in operations {
            page.push_str(&format!("\n### {name}\n\nNeeds the role {}. {}", access.name(), difference(name)));
            page.truncate(page.trim_end().len());
            let mut limits = String::new();
            describe(&mut limits, shape_of(name).expect("the registry takes only operations of the tables"), "", false, 0);
            page.push_str(&format!("\n{}{limits}", if limits.is_empty() { "" } else { "\n" }));
        }
    }
    let unbuilt: Vec<String> =
        operations::all().iter().map(|listed| listed.name).filter(|name| !built.contains(name)).map(|name| format!("`{name}`")).collect();
    page.push_str(&format!("\n## Operations of SSM that are not built\n\n{}.\n", unbuilt.join(", ")));
    page
}

/// Writes a line for every limit in a shape.
fn describe(lines: &mut String, shape: &Shape, path: &str, required: bool, depth: usize) {
    let (own, inner): (String, Vec<(String, bool, &Shape)>) = match shape {
        Shape::Structure(members) => {
            let place = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            (String::new(), members.iter().map(|member| (place(member.name), member.required, member.shape)).collect())
        }
        Shape::List(span, entry) => (span_text(*span, " entries"), vec![(format!("{path}[]"), false, *entry)]),
        Shape::Map(span, key, value) => {
            (span_text(*span, " keys"), vec![(format!("{path} key"), false, *key), (format!("{path} value"), false, *value)])
        }
        Shape::Text(span, pattern) => {
            let pattern = pattern.map(|pattern| format!("pattern `{}`", pattern.model));
            let length = Some(span_text(*span, " characters")).filter(|text| !text.is_empty());
            (length.into_iter().chain(pattern).collect::<Vec<_>>().join(", "), Vec::new())
        }
        Shape::Word(words) => {
            (format!("one of {}", words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")), Vec::new())
        }
        Shape::Number(span) => (span_text(*span, ""), Vec::new()),
        Shape::Free => (String::new(), Vec::new()),
    };
    let required = if required { "required" } else { "" };
    let both: Vec<&str> = [required, own.as_str()].into_iter().filter(|text| !text.is_empty()).collect();
    if !both.is_empty() {
        lines.push_str(&format!("- `{path}`: {}\n", both.join(", ")));
    }
    // A shape can hold itself.
    if depth < 5 {
        for (place, required, shape) in inner {
            describe(lines, shape, &place, required, depth + 1);
        }
    }
}

fn span_text(span: Span, unit: &str) -> String {
    match (span.least.filter(|least| *least != 0 || unit.is_empty()), span.most) {
        (None, None) => String::new(),
        (Some(least), None) => format!("at least {least}{unit}"),
        (None, Some(most)) => format!("at most {most}{unit}"),
        (Some(least), Some(most)) if least == most => format!("{least}{unit}"),
        (Some(least), Some(most)) => format!("{least}…{most}{unit}"),
    }
}

#[test]
fn the_page_of_the_api_is_not_stale() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/api.md");
    let page = page();
    if std::env::var_os(WRITE).is_some() {
        #[expect(clippy::disallowed_methods, reason = "a page of the documentation, written on demand by the person who commits it")]
        std::fs::write(&path, &page).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == page, "docs/api.md is stale: run {WRITE}=1 cargo test -p flotilla-broker-bridge --test api documentation");
}

#[test]
fn differences_are_of_built_operations() {
    let registry = registry();
    let built: BTreeSet<&str> =
        registry.operations().chain(registry.rest_operations()).chain(registry.own_operations()).map(|(name, _)| name).collect();
    for (name, text) in DIFFERENCES {
        assert!(built.contains(name), "{name} is not built");
        assert!(text.ends_with('.'), "{name}: {text}");
    }
}
