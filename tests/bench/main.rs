//! `flotilla-bench`: measures a real fleet beside a floor of the same machine in the same run.
//!
//! `tests/bench/run roundtrip [--json]` builds and calls it. A benchmark judges no time: it prints figures and ratios, and fails only
//! when it cannot measure, or when a size is past its budget. To add one: a file with a `run` that returns a [`report::Report`], and a
//! line in [`measure`].

mod floor;
mod footprint;
mod report;
mod roundtrip;
mod statistics;
mod targets;

use flotilla_tests::process;
use report::Report;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "\
usage: tests/bench/run BENCHMARK [--json] [--trials N] [--agent PATH] [--idle SECONDS]

benchmarks:
  footprint   what a node costs: size, memory, start, idle processor and wire, each beside its goal; fails past a budget
  targets     one signature over 100,000 nodes with a proof for each, beside a signature for each
  roundtrip   an API call, the node, and the result in the database, beside MQTT echo + fork/exec + a durable commit on each side
";

struct Arguments {
    benchmark: String,
    json: bool,
    trials: Option<usize>,
    /// The agent that `footprint` measures.
    agent: Option<PathBuf>,
    /// How long `footprint` watches a node to which nothing happens.
    idle: Option<Duration>,
}

fn main() -> ExitCode {
    let Some(arguments) = parse(std::env::args().skip(1)) else { return say(USAGE, ExitCode::from(2)) };
    let Some(report) = measure(&arguments) else { return say(USAGE, ExitCode::from(2)) };
    let exceeded = report.exceeded();
    for line in &exceeded {
        let _written = writeln!(std::io::stderr(), "{line}");
    }
    let code = if exceeded.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    say(&if arguments.json { report.to_json() + "\n" } else { report.to_table() }, code)
}

fn measure(arguments: &Arguments) -> Option<Report> {
    match arguments.benchmark.as_str() {
        "footprint" => {
            let agent = arguments.agent.clone().unwrap_or_else(|| process::binary("flotilla-agent"));
            Some(footprint::run(&agent, arguments.idle.unwrap_or(footprint::IDLE)))
        }
        "targets" => Some(targets::run(arguments.trials.unwrap_or(targets::TRIALS))),
        "roundtrip" => Some(roundtrip::run(arguments.trials.unwrap_or(roundtrip::TRIALS))),
        _ => None,
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Option<Arguments> {
    let mut arguments = Arguments { benchmark: words.next()?, json: false, trials: None, agent: None, idle: None };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--json" => arguments.json = true,
            "--trials" => arguments.trials = Some(words.next()?.parse().ok().filter(|trials| *trials > 0)?),
            "--agent" => arguments.agent = Some(std::path::absolute(words.next()?).ok()?),
            "--idle" => arguments.idle = Some(Duration::from_secs(words.next()?.parse().ok().filter(|seconds| *seconds > 0)?)),
            _ => return None,
        }
    }
    Some(arguments)
}

fn say(text: &str, code: ExitCode) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => code,
        Err(_) => ExitCode::FAILURE,
    }
}
