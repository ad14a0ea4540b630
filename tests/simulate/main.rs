//! `flotilla-simulated-fleet`: gives a fleet a thousand nodes of this one process, to see how the API and the command line are with many.
//!
//! The nodes are those of the tests ([`flotilla_tests::simulated_fleet`]): real keys, certificates, connections and the real core of the
//! agent, and jobs that run nothing. What becomes of a job is drawn from the node and the script, so that the same command ends in the
//! same way on the same node number.

use flotilla_api::activations::CreateActivationRequest;
use flotilla_api::client::{Client, ClientSettings};
use flotilla_api::tags::Tag;
use flotilla_protocol::capability::command::CommandOrder;
use flotilla_protocol::sha256;
use flotilla_tests::SimulatedFleet;
use flotilla_tests::process::allow_descriptors;
use flotilla_tests::simulated_fleet::{DESCRIPTORS_OF_A_NODE, End, Play, script_of};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

const USAGE: &str = "\
usage: flotilla-simulated-fleet [--home DIR] [--nodes N]

Adds N simulated nodes (1,000 where not said, at most 10,000) to the fleet of DIR (.flotilla where not said), whose bridge must run.
They are there until Ctrl-C, and stay in the fleet's list, offline: use a fleet of their own. Each has one of the tags ring=0 to ring=9.
";
const DEFAULT_NODES: usize = 1_000;
const MAXIMUM_NODES: usize = 10_000;
/// Each has an activation of its own, which is for 1,000 nodes at most.
const RINGS: usize = 10;
/// Descriptors for everything but the nodes.
const OTHER_DESCRIPTORS: u64 = 500;
/// How often it looks whether it is still wanted; the end comes by a signal.
const PAUSE: Duration = Duration::from_secs(3_600);

struct Arguments {
    home: PathBuf,
    nodes: usize,
}

fn main() -> ExitCode {
    let Some(arguments) = parse(std::env::args().skip(1)) else { return say(USAGE, ExitCode::from(2)) };
    let client = match client(&arguments) {
        Ok(client) => client,
        Err(error) => return say(&format!("{error}\n"), ExitCode::FAILURE),
    };
    let nodes = u64::try_from(arguments.nodes).unwrap_or(u64::MAX);
    allow_descriptors(nodes.saturating_mul(DESCRIPTORS_OF_A_NODE).saturating_add(OTHER_DESCRIPTORS));
    let mut activations = Vec::new();
    for ring in 0..RINGS {
        let count = (arguments.nodes + ring) / RINGS;
        if count > 0 {
            match activation(&client, ring, count) {
                Ok(code) => activations.push((code, count)),
                Err(error) => return say(&format!("no activation can be made: {error}\n"), ExitCode::FAILURE),
            }
        }
    }
    let fleet = SimulatedFleet::join(&activations, Arc::new(play));
    let seconds = fleet.age().as_secs_f64();
    say(&format!("{} simulated nodes are enrolled after {seconds:.1} s and connect; Ctrl-C ends them\n", arguments.nodes), ());
    loop {
        std::thread::sleep(PAUSE);
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Arguments> {
    let mut parsed = Arguments { home: PathBuf::from(".flotilla"), nodes: DEFAULT_NODES };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--home" => parsed.home = arguments.next()?.into(),
            "--nodes" => parsed.nodes = arguments.next()?.parse().ok().filter(|nodes| (1..=MAXIMUM_NODES).contains(nodes))?,
            _ => return None,
        }
    }
    Some(parsed)
}

fn client(arguments: &Arguments) -> Result<Client, Box<dyn std::error::Error>> {
    let settings = ClientSettings::from_operator_env(&arguments.home.join("operator.env"))?;
    Ok(Client::new(settings)?)
}

fn activation(client: &Client, ring: usize, count: usize) -> Result<String, Box<dyn std::error::Error>> {
    let request = CreateActivationRequest {
        iam_role: "none".to_owned(),
        description: Some("simulated nodes".to_owned()),
        registration_limit: Some(i32::try_from(count)?),
        tags: Some(vec![Tag { key: "ring".to_owned(), value: ring.to_string() }]),
        ..CreateActivationRequest::default()
    };
    client.call(&request)?.activation_code.ok_or_else(|| "the bridge gave no code".into())
}

/// Nine in ten succeed within some seconds; of the rest half fail, and others run too long or are very late.
fn play(index: usize, command: &CommandOrder) -> Play {
    let script = script_of(command);
    let drawn = sha256(&[&index.to_le_bytes(), script.as_bytes()]);
    let [share, first, second, ..] = drawn;
    let after = Duration::from_millis(200 + u64::from(u16::from_le_bytes([first, second])) * 3 / 64);
    match share {
        0..=12 => Play { after, end: End::Exit(1), output: format!("node {index}: simulated failure\n") },
        13..=18 => Play::end(after * 4, End::TimedOut),
        19..=25 => Play { after: after * 10, end: End::Exit(0), output: format!("node {index}: late\n") },
        _ => Play { after, end: End::Exit(0), output: format!("node {index}: {}\n", script.lines().next().unwrap_or_default()) },
    }
}

fn say<Then>(text: &str, then: Then) -> Then {
    // Whoever closed our output does not want to read it.
    drop(std::io::stdout().write_all(text.as_bytes()));
    then
}
