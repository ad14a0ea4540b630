//! `flotilla-bench`: measures a real fleet beside a floor of the same machine in the same run.
//!
//! `tests/bench/run roundtrip [--json]` builds and calls it. A benchmark judges nothing: it prints figures and ratios, and fails only
//! when it cannot measure. To add one: a file with a `run` that returns a [`report::Report`], and a line in [`measure`].

mod floor;
mod report;
mod roundtrip;
mod statistics;
mod targets;

use report::Report;
use std::io::Write as _;
use std::process::ExitCode;

const USAGE: &str = "\
usage: tests/bench/run BENCHMARK [--json] [--trials N]

benchmarks:
  targets     one signature over 100,000 nodes with a proof for each, beside a signature for each
  roundtrip   an API call, the node, and the result in the database, beside MQTT echo + fork/exec + a durable commit on each side
";

struct Arguments {
    benchmark: String,
    json: bool,
    trials: Option<usize>,
}

fn main() -> ExitCode {
    let Some(arguments) = parse(std::env::args().skip(1)) else { return say(USAGE, ExitCode::from(2)) };
    let Some(report) = measure(&arguments) else { return say(USAGE, ExitCode::from(2)) };
    say(&if arguments.json { report.to_json() + "\n" } else { report.to_table() }, ExitCode::SUCCESS)
}

fn measure(arguments: &Arguments) -> Option<Report> {
    match arguments.benchmark.as_str() {
        "targets" => Some(targets::run(arguments.trials.unwrap_or(targets::TRIALS))),
        "roundtrip" => Some(roundtrip::run(arguments.trials.unwrap_or(roundtrip::TRIALS))),
        _ => None,
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Option<Arguments> {
    let mut arguments = Arguments { benchmark: words.next()?, json: false, trials: None };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--json" => arguments.json = true,
            "--trials" => arguments.trials = Some(words.next()?.parse().ok().filter(|trials| *trials > 0)?),
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
