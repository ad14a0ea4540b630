//! What a job may use at most: by what its steps do, and over that what the node's settings say.

use std::fs;
use std::time::Duration;

use flotilla_protocol::document::{Action, Plan, Step};

use super::REPORT_PATIENCE;

/// How long a job may take besides, in all: to begin, and to end.
const MARGIN: Duration = Duration::from_secs(600);
/// How long each step may take besides its time-out: to be killed, and to hand over its output.
const STEP_MARGIN: Duration = Duration::from_secs(30);

/// A job may always have this much memory, in bytes: less would not even hold the agent's own part of it and a shell.
const LEAST_MEMORY_BYTES: u64 = 32 * 1024 * 1024;
/// What is taken for the device's memory where the kernel does not say, in bytes.
const UNKNOWN_MEMORY_BYTES: u64 = 512 * 1024 * 1024;

/// Where the kernel says how much memory there is (proc_meminfo(5)).
const MEMINFO: &str = "/proc/meminfo";

/// What class of work a job is, the smallest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    /// Looks at the device, or does nothing.
    Collector,
    /// Runs programs that an operator has written or named.
    Shell,
    /// Installs software: unpacks, runs the scripts of packages, makes boot images.
    PackageManager,
}

/// What the settings say instead of the profile.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GivenLimits {
    /// Memory of all processes of a job together, in bytes.
    pub memory_bytes: Option<u64>,
    /// Processes and threads of a job together.
    pub tasks: Option<u64>,
}

/// What one job may use at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Memory of all its processes together, in bytes.
    pub memory_bytes: u64,
    /// Its processes and threads together.
    pub tasks: u64,
    /// After so long it is ended from outside. It ends its steps and itself before that, unless it hangs.
    pub time: Duration,
}

impl Profile {
    /// The profile of a plan: that of its largest step.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        plan.steps.iter().map(Self::of_step).max().unwrap_or(Self::Collector)
    }

    /// THE TABLE of steps. A new kind of step belongs here; no kind of today only looks, or installs.
    fn of_step(step: &Step) -> Self {
        match step.action() {
            Ok(Action::RunPlan(plan)) => Self::of(&plan),
            Ok(Action::RunShellScript(_) | Action::RunPowerShellScript(_) | Action::DownloadContent(_) | Action::RunDockerAction(_)) => {
                Self::Shell
            }
            // They run nothing.
            Ok(Action::SoftwareInventory(_) | Action::Refuse(_) | Action::Unsupported(_)) | Err(_) => Self::Collector,
        }
    }

    /// The share of the device's memory, in percent: whatever one job does, the device stays reachable.
    const fn memory_percent(self) -> u64 {
        match self {
            Self::Collector => 25,
            Self::Shell => 50,
            Self::PackageManager => 75,
        }
    }

    const fn tasks(self) -> u64 {
        match self {
            Self::Collector => 64,
            Self::Shell => 1024,
            Self::PackageManager => 2048,
        }
    }
}

impl Limits {
    /// The limits of a plan on a device with so much memory, in bytes.
    #[must_use]
    pub fn of(plan: &Plan, given: GivenLimits, device_memory_bytes: u64) -> Self {
        let profile = Profile::of(plan);
        let share = device_memory_bytes / 100 * profile.memory_percent();
        Self {
            memory_bytes: given.memory_bytes.unwrap_or_else(|| share.max(LEAST_MEMORY_BYTES)),
            tasks: given.tasks.unwrap_or_else(|| profile.tasks()),
            time: time_of(plan),
        }
    }
}

impl Limits {
    /// The limits of what gathers the inventory by the node's own settings, on a device with so much memory, in bytes.
    #[must_use]
    pub fn of_collector(device_memory_bytes: u64, time: Duration) -> Self {
        let profile = Profile::Collector;
        let share = device_memory_bytes / 100 * profile.memory_percent();
        Self { memory_bytes: share.max(LEAST_MEMORY_BYTES), tasks: profile.tasks(), time }
    }
}

/// The longest that a job can take which ends its steps when their time is up, and then waits until its report has room on a full disk.
fn time_of(plan: &Plan) -> Duration {
    let steps = plan.steps.iter().map(|step| Duration::from_secs(step.time_out_s().into()) + STEP_MARGIN);
    steps.fold(MARGIN + REPORT_PATIENCE, Duration::saturating_add)
}

/// How much memory this device has, in bytes.
#[must_use]
pub fn device_memory_bytes() -> u64 {
    fs::read_to_string(MEMINFO).ok().and_then(|text| total_bytes(&text)).unwrap_or(UNKNOWN_MEMORY_BYTES)
}

fn total_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flotilla_protocol::document::{Refuse, RunShellScript};

    fn shell(timeout_s: u32) -> Step {
        let script = RunShellScript { run_command: Vec::new(), working_directory: None, environment: Default::default(), timeout_s };
        Step::new("shell", &Action::RunShellScript(script))
    }

    #[test]
    fn the_largest_step_decides_however_deep_it_is() {
        let refuse = Step::new("refuse", &Action::Refuse(Refuse { why: "no".into() }));
        let of = |steps: Vec<Step>| Profile::of(&Plan { steps });
        assert_eq!(of(vec![refuse.clone()]), Profile::Collector);
        assert_eq!(of(vec![refuse.clone(), shell(60)]), Profile::Shell);
        let inner = Step::new("inner", &Action::RunPlan(Plan { steps: vec![shell(60), refuse.clone()] }));
        assert_eq!(of(vec![refuse, inner]), Profile::Shell);
    }

    #[test]
    fn the_settings_come_before_the_profile_and_the_job_s_own_time_out_before_ours() {
        let plan = Plan { steps: vec![shell(3600), shell(60)] };
        let limits = Limits::of(&plan, GivenLimits::default(), 1 << 30);
        assert_eq!((limits.memory_bytes, limits.tasks), ((1 << 30) / 100 * 50, 1024));
        assert_eq!(limits.time.as_secs(), 3660 + 24 * 3600 + 600 + 2 * 30);
        let given = GivenLimits { memory_bytes: Some(1), tasks: Some(9) };
        let limits = Limits::of(&plan, given, 1 << 30);
        assert_eq!((limits.memory_bytes, limits.tasks), (1, 9));
        assert_eq!(Limits::of(&plan, GivenLimits::default(), 1024).memory_bytes, LEAST_MEMORY_BYTES, "a tiny device");
        let unreadable = Plan { steps: vec![Step::new("new", &Action::Unsupported(999))] };
        assert!(Limits::of(&unreadable, given, 0).time > Duration::from_secs(172_800));
    }

    #[test]
    fn memory_is_read_as_the_kernel_writes_it() {
        assert_eq!(total_bytes("Other: 1 kB\nMemTotal:       2048 kB\n"), Some(2 << 20));
        assert_eq!(total_bytes("MemTotal: many kB"), None);
        assert!(device_memory_bytes() > LEAST_MEMORY_BYTES);
    }
}
