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
    /// What is said beside some of the figures.
    pub(crate) budgets: Vec<Budget>,
}

/// What a figure should be at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    /// The figure's name.
    pub(crate) figure: &'static str,
    /// What is aimed at.
    pub(crate) goal: f64,
    /// Beyond it the benchmark fails; nothing where the machine's mood would decide.
    pub(crate) budget: Option<f64>,
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
            text.push_str(&format!("{name:<44} {value:>10.3}"));
            if let Some(Budget { goal, budget, .. }) = self.budget(name) {
                text.push_str(&format!("   goal {goal}"));
                if let Some(budget) = budget {
                    text.push_str(&format!(", budget {budget}"));
                }
            }
            text.push('\n');
        }
        text
    }

    /// One line for each figure that is past its budget.
    pub(crate) fn exceeded(&self) -> Vec<String> {
        let past = |(name, value): &(String, f64)| {
            let budget = self.budget(name)?.budget.filter(|budget| value > budget)?;
            Some(format!("{name} is {value:.3}, past its budget of {budget}"))
        };
        self.figures.iter().filter_map(past).collect()
    }

    fn budget(&self, figure: &str) -> Option<Budget> {
        self.budgets.iter().find(|budget| budget.figure == figure).copied()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_past_its_budget_is_told_and_one_past_its_goal_is_not() {
        let budgets = vec![Budget { figure: "size", goal: 3.0, budget: Some(4.0) }, Budget { figure: "time", goal: 3.0, budget: None }];
        let of = |size: f64, time: f64| Report {
            name: "footprint",
            figures: vec![("size".to_owned(), size), ("time".to_owned(), time)],
            ratios: Vec::new(),
            budgets: budgets.clone(),
        };
        assert_eq!(of(4.0, 9.0).exceeded(), Vec::<String>::new());
        assert_eq!(of(4.5, 9.0).exceeded(), ["size is 4.500, past its budget of 4"]);
        assert!(of(3.5, 9.0).to_table().contains("3.500   goal 3, budget 4\n"), "{}", of(3.5, 9.0).to_table());
    }
}
