//! What a benchmark prints: a table for people, or one JSON object with name, commit, machine, figures and ratios.

use flotilla_tests::process;
use serde_json::{Map, Value, json};
use std::path::Path;

/// The outcome of a benchmark.
#[derive(Debug)]
pub(crate) struct Report {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// What was measured: name with unit, and value.
    pub(crate) figures: Vec<(String, f64)>,
    /// Figures divided by their floor.
    pub(crate) ratios: Vec<(String, f64)>,
}

impl Report {
    pub(crate) fn to_json(&self) -> String {
        let object = |list: &[(String, f64)]| list.iter().map(|(name, value)| (name.clone(), rounded(*value))).collect::<Map<_, _>>();
        let (figures, ratios) = (object(&self.figures), object(&self.ratios));
        json!({ "name": self.name, "commit": commit(), "machine": machine(), "figures": figures, "ratios": ratios }).to_string()
    }

    pub(crate) fn to_table(&self) -> String {
        let mut text = format!("{}  (commit {}, {})\n", self.name, commit(), machine());
        for (name, value) in self.figures.iter().chain(&self.ratios) {
            text.push_str(&format!("{name:<44} {value:>10.3}\n"));
        }
        text
    }
}

fn rounded(value: f64) -> Value {
    json!((value * 1000.0).round() / 1000.0)
}

/// The commit of the working tree, with `+` where it has changes.
fn commit() -> String {
    let git = |arguments: &[&str]| {
        let mut command = process::command(Path::new("git"));
        command.arg("-C").arg(env!("CARGO_MANIFEST_DIR")).args(arguments);
        let output = command.output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|text| !text.is_empty());
    git(&["rev-parse", "--short=12", "HEAD"]).map_or_else(|| "unknown".to_owned(), |id| if changed { id + "+" } else { id })
}

/// The machine in one line: processor, cores, kernel, and whether this is an optimised build.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model =
        cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("unknown processor", |(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let build = if cfg!(debug_assertions) { "dev build" } else { "release build" };
    format!("{model}, {cores} cores, Linux {}, {build}", read("/proc/sys/kernel/osrelease").trim())
}
