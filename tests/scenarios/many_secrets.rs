//! 1,000 random secrets on the whole path, each printed by its job in every encoding with writes that end anywhere: none is found in any file
//! of bridge, broker and nodes, in any answer of the API, nor in the arguments and environments of processes. Every script has had its secrets,
//! which it says by their hashes; and what is hidden on purpose is found.
#![cfg(test)]

use flotilla_api::audit::{Hex, ListAuditEntriesRequest};
use flotilla_api::commands::{GetCommandInvocationResult, ListCommandsRequest, SendCommandRequest};
use flotilla_api::documents::{CreateDocumentRequest, DescribeDocumentRequest, GetDocumentRequest};
use flotilla_api::operation::Operation;
use flotilla_protocol::secret::{MAXIMUM_SECRET_BYTES, MAXIMUM_SECRETS, MAXIMUM_SECRETS_BYTES};
use flotilla_tests::leaks::encodings::ENCODINGS;
use flotilla_tests::leaks::{Account, Finder, Place, Secret, secrets};
use flotilla_tests::node::Node;
use flotilla_tests::process::{Child, command};
use flotilla_tests::random::Random;
use flotilla_tests::tally::trials;
use flotilla_tests::{Broker, Fleet, wait};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// No measure: a machine with much else to do is slow.
const LIMIT: Duration = Duration::from_secs(120);
const NODES: usize = 4;
/// Pause between two looks at all processes.
const LOOK_PAUSE: Duration = Duration::from_millis(20);
/// Of what is found, so much is shown.
const SHOWN: usize = 20;
const MASK: &str = "****";

/// The program that prints them.
fn printer() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_flotilla-secret-printer"))
}

/// Says that everything is over, also where a test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The secrets of one command, by their index.
struct Batch {
    secrets: Vec<usize>,
    are_variables: bool,
}

impl Batch {
    fn document(&self) -> String {
        format!("Print-{}-{}", self.secrets.len(), if self.are_variables { "Variables" } else { "Files" })
    }
}

/// As many secrets a command as one may have.
fn batches(secrets: &[Secret]) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    for are_variables in [false, true] {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for (index, secret) in secrets.iter().enumerate().filter(|(_, secret)| secret.is_variable == are_variables) {
            if batch.len() == MAXIMUM_SECRETS || bytes + secret.value.len() > MAXIMUM_SECRETS_BYTES {
                batches.push(Batch { secrets: std::mem::take(&mut batch), are_variables });
                bytes = 0;
            }
            batch.push(index);
            bytes += secret.value.len();
        }
        batches.push(Batch { secrets: batch, are_variables });
    }
    batches.retain(|batch| !batch.secrets.is_empty());
    batches
}

fn name_of(number: usize) -> String {
    format!("k{number:02}")
}

/// A document whose script hands so many secrets to the printer: by the paths of their files, or in variables.
fn make_document(fleet: &Fleet, batch: &Batch) {
    let names: Vec<String> = (0..batch.secrets.len()).map(name_of).collect();
    let kind = if batch.are_variables { r#","interpolationType":"ENV_VAR""# } else { "" };
    let parameters: String = names.iter().map(|name| format!(r#","{name}":{{"type":"SecureString"{kind}}}"#)).collect();
    let argument = |name: &String| if batch.are_variables { format!(" env:SSM_{name}") } else { format!(" {{{{ {name} }}}}") };
    let lines = [format!("{} {{{{ seed }}}}{}", printer().display(), names.iter().map(argument).collect::<String>())];
    let lines = serde_json::to_string(&lines).unwrap();
    let content = format!(
        r#"{{"schemaVersion":"2.2","parameters":{{"seed":{{"type":"String"}}{parameters}}},"mainSteps":[
        {{"action":"aws:runShellScript","name":"print","inputs":{{"runCommand":{lines}}}}}]}}"#
    );
    let request = CreateDocumentRequest {
        name: batch.document(),
        content,
        document_type: Some("Command".to_owned()),
        document_format: Some("JSON".to_owned()),
        ..CreateDocumentRequest::default()
    };
    let _made = fleet.call(&request);
}

fn send(fleet: &Fleet, batch: &Batch, secrets: &[Secret], node: &str, seed: u64) -> String {
    let values = batch.secrets.iter().enumerate().map(|(number, index)| (name_of(number), vec![secrets[*index].value.clone()]));
    let parameters: BTreeMap<String, Vec<String>> = values.chain([("seed".to_owned(), vec![seed.to_string()])]).collect();
    fleet.send(&SendCommandRequest {
        document_name: batch.document(),
        instance_ids: Some(vec![node.to_owned()]),
        parameters: Some(parameters),
        ..SendCommandRequest::default()
    })
}

/// The script had each of its secrets, and what it printed of them was redacted and not lost.
fn assert_printed(ended: &GetCommandInvocationResult, batch: &Batch, secrets: &[Secret]) {
    let [stdout, stderr] = [&ended.standard_output_content, &ended.standard_error_content].map(|text| text.clone().unwrap_or_default());
    assert_eq!(ended.status.as_deref(), Some("Success"), "{stdout}{stderr}");
    for (number, index) in batch.secrets.iter().enumerate() {
        let hash = Hex(flotilla_protocol::sha256(&[secrets[*index].value.as_bytes()]));
        assert!(stdout.contains(&format!("hash {number} {hash}\n")), "secret {index} did not arrive: {stdout}");
    }
    let masks = stdout.matches(MASK).count() + stderr.matches(MASK).count();
    assert!(masks >= batch.secrets.len() * ENCODINGS.len(), "{masks} masks for {} secrets: {stdout}{stderr}", batch.secrets.len());
    assert_eq!(stdout.matches(" <\n").count() + stderr.matches(" <\n").count(), batch.secrets.len() * ENCODINGS.len(), "{stdout}{stderr}");
}

fn json<Request: Operation>(fleet: &Fleet, request: &Request) -> Vec<u8> {
    serde_json::to_vec(&fleet.call(request)).unwrap()
}

/// What the API says of everything, as it says it, and as a program reads it.
fn look_at_answers(account: &mut Account, finder: &Finder, fleet: &Fleet, ended: &[GetCommandInvocationResult], documents: &[String]) {
    for one in ended {
        let texts = [&one.standard_output_content, &one.standard_error_content, &one.status_details];
        for text in texts.into_iter().flatten() {
            account.look(finder, text.as_bytes(), Place::Text, "GetCommandInvocation");
        }
        account.look(finder, &serde_json::to_vec(one).unwrap(), Place::Text, "GetCommandInvocation");
    }
    let mut next_token = None;
    loop {
        let page = fleet.call(&ListCommandsRequest { next_token, ..Default::default() });
        for values in page.commands.iter().flatten().flat_map(|command| command.parameters.iter().flatten()) {
            account.look(finder, values.1.concat().as_bytes(), Place::Text, "ListCommands");
        }
        account.look(finder, &serde_json::to_vec(&page).unwrap(), Place::Text, "ListCommands");
        next_token = page.next_token;
        if next_token.is_none() {
            break;
        }
    }
    for invocation in fleet.invocations(None) {
        account.look(finder, &serde_json::to_vec(&invocation).unwrap(), Place::Text, "ListCommandInvocations");
    }
    for name in documents {
        let described = DescribeDocumentRequest { name: name.clone(), ..Default::default() };
        account.look(finder, &json(fleet, &described), Place::Text, "DescribeDocument");
        account.look(finder, &json(fleet, &GetDocumentRequest { name: name.clone(), ..Default::default() }), Place::Text, "GetDocument");
    }
    let mut next_token = None;
    loop {
        let page = fleet.call(&ListAuditEntriesRequest { next_token, ..Default::default() });
        account.look(finder, &serde_json::to_vec(&page).unwrap(), Place::Text, "ListAuditEntries");
        next_token = page.next_token;
        if next_token.is_none() {
            break;
        }
    }
}

/// A Mosquitto that keeps what it has on disk, and does so soon.
fn fleet_whose_broker_persists() -> Fleet {
    let mut fleet = Fleet::start(Broker::Mosquitto);
    let path = fleet.folder().join("broker/mosquitto.conf");
    let folder = fleet.folder().join("broker").display().to_string();
    let settings = std::fs::read_to_string(&path).unwrap();
    let persistence = format!("persistence true\npersistence_location {folder}/\nautosave_on_changes true\nautosave_interval 20\n");
    let changed = settings.replace("persistence false\n", &persistence);
    assert_ne!(settings, changed);
    write(&path, changed.as_bytes());
    fleet.mosquitto.as_mut().unwrap().restart();
    fleet.add_nodes(NODES);
    fleet
}

#[expect(clippy::disallowed_methods, reason = "files of a test are not kept over a power cut")]
fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}

/// What is where none may be is found: in a file, as an argument, as a variable, in an answer.
fn assert_finds(finder: &Finder, fleet: &Fleet, secrets: &[Secret]) {
    // The first of the longest is of random characters: nothing of it is shared with one that may be in an environment.
    let index = secrets.iter().position(|secret| secret.value.len() == MAXIMUM_SECRET_BYTES && !secret.is_variable).unwrap();
    let value = &secrets[index].value;
    let planted = fleet.home().path().join("planted");
    for encoding in ENCODINGS {
        write(&planted, &[b"begin ", (encoding.encode)(value.as_bytes()).as_slice()].concat());
        let mut account = Account::default();
        account.look_below(finder, fleet.folder());
        assert!(account.hits.len() == 1 && account.hits[0].contains("planted"), "{}: {:?}", encoding.name, account.hits);
    }
    std::fs::remove_file(&planted).unwrap();
    let mark = fleet.folder().display().to_string();
    for as_argument in [true, false] {
        let mut sleep = command(Path::new("/bin/sh"));
        sleep.args(["-c", "sleep 60; :", &mark]);
        if as_argument {
            sleep.arg(value)
        } else {
            sleep.env("PLANTED", value)
        };
        let child = Child::start("planted", sleep, &fleet.folder().join("logs/planted.log"));
        let what = if as_argument { "cmdline" } else { "environ" };
        wait::until_true(LIMIT, "a planted secret is found", || {
            let mut account = Account::default();
            account.look_at_processes(finder, std::slice::from_ref(&mark));
            account.hits.iter().any(|hit| hit.starts_with(&format!("{what} of {}", child.pid())))
        });
    }
    let answer = GetCommandInvocationResult { standard_output_content: Some(format!("so {value} is it")), ..Default::default() };
    assert!(finder.find(&serde_json::to_vec(&answer).unwrap(), Place::Text).contains(&index));
}

#[test]
fn a_thousand_secrets_are_nowhere() {
    let mut random = Random::seeded("secrets");
    let count = usize::try_from(trials(1_000, 10_000)).unwrap();
    let secrets = secrets::make(count, &mut random);
    let finder = Finder::new(&secrets, &mut random);
    let batches = batches(&secrets);
    let mut fleet = fleet_whose_broker_persists();
    let mut documents: Vec<String> = Vec::new();
    for batch in &batches {
        if !documents.contains(&batch.document()) {
            make_document(&fleet, batch);
            documents.push(batch.document());
        }
    }
    let nodes = fleet.node_ids();
    let marks = [fleet.folder().display().to_string(), printer().display().to_string()];
    let is_over = AtomicBool::new(false);
    let (mut account, ended) = std::thread::scope(|scope| {
        let look = || {
            let mut account = Account::default();
            while !is_over.load(Ordering::Relaxed) {
                account.look_at_processes(&finder, &marks);
                wait::let_pass(LOOK_PAUSE);
            }
            account
        };
        let looking = scope.spawn(look);
        let over = Over(&is_over);
        let sent = batches.iter().zip(nodes.iter().cycle());
        let sent: Vec<(String, &String)> = sent.map(|(batch, node)| (send(&fleet, batch, &secrets, node, random.number()), node)).collect();
        let mut account = Account::default();
        let mut ended = Vec::new();
        for (number, (id, node)) in sent.iter().enumerate() {
            // What is there only while jobs run.
            if number % 16 == 0 {
                account.look_below(&finder, fleet.folder());
            }
            ended.push(fleet.await_end(id, node, LIMIT));
        }
        drop(over);
        account.add(looking.join().unwrap());
        (account, ended)
    });
    for (ended, batch) in ended.iter().zip(&batches) {
        assert_printed(ended, batch, &secrets);
    }
    look_at_answers(&mut account, &finder, &fleet, &ended, &documents);
    account.look_below(&finder, fleet.folder());
    let kept: Vec<PathBuf> = account.files.iter().filter(|path| path.ends_with("broker/mosquitto.db")).cloned().collect();
    assert_eq!(kept.len(), 1, "the broker's persistence was looked into");
    fleet.nodes.iter_mut().for_each(Node::stop);
    fleet.stop_bridge();
    account.look_below(&finder, fleet.folder());
    assert_finds(&finder, &fleet, &secrets);
    let (forms, bytes, files, processes) = (finder.forms(), account.bytes, account.files.len(), account.processes.len());
    let (hits, seed) = (account.hits.len(), random.seed());
    println!(
        "secrets: {count} secrets, {forms} forms searched in {bytes} bytes of {files} files and {processes} processes: {hits} hits, seed {seed}"
    );
    assert!(account.hits.is_empty(), "{:#?}", account.hits.iter().take(SHOWN).collect::<Vec<_>>());
    assert!(processes > batches.len() && files > batches.len(), "{processes} processes and {files} files are too few");
}
