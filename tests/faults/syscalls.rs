//! F2 and F3: exec and a job are killed before every call of a command's life, and fail at it; what came of the command is compared with what
//! it really did.
//!
//! Without a broker: the real exec, its journal and the real jobs, and the test as link and bridge. The calls of a life are counted first; then
//! each trial is one life with one fault, after which exec is started again and everything must settle.
#![cfg(test)]

use flotilla_broker_bridge::capability::run_command::model::InvocationState;
use flotilla_protocol::id::OrderId;
use flotilla_tests::invariants;
use flotilla_tests::lone::{Lone, Start};
use flotilla_tests::random::Random;
use flotilla_tests::strace::{self, DISK_CALLS, Fault, Injection, Point};
use flotilla_tests::tally::{Broken, Kind, Shard, Tally, is_release, skipped, trials};
use flotilla_tests::verdict;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// After this an order without an answer is sent again: the journal is tried again sooner.
const SEND_AGAIN: Duration = Duration::from_secs(1);

/// How often it is looked whether a node still holds an order.
const LOOKS: usize = 10;

/// Within this a job's folder is removed where nothing fails.
const REMOVAL: Duration = Duration::from_millis(500);

/// Lives before the one whose calls are counted: both slots of the journal are made by then.
const LIVES_BEFORE: usize = 2;

/// Within this a job has begun, if it does.
const BEGIN: Duration = Duration::from_millis(300);

/// Which of the two is traced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    /// Exec, from the moment at which it is ready.
    Exec,
    /// The job, with the whole of its short life.
    Job,
}

/// What happens in the life that is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scenario {
    /// A command runs and is good.
    Plain,
    /// A command fails with an exit code.
    Failing,
    /// A command writes more than its result can carry.
    MuchOutput,
    /// A command runs and is cancelled.
    Cancelled,
    /// Two commands at once.
    Two,
    /// Exec begins anew while a command runs. Where exec is traced, it is the second one, which finds the job again.
    Recovery,
}

const RELEASE: [Scenario; 6] =
    [Scenario::Plain, Scenario::Failing, Scenario::MuchOutput, Scenario::Cancelled, Scenario::Two, Scenario::Recovery];

impl Scenario {
    fn body(self) -> &'static str {
        match self {
            Self::Plain | Self::Two => "true",
            Self::Failing => "exit 3",
            Self::MuchOutput => "head -c 60000 /dev/zero",
            Self::Cancelled => "sleep 30",
            Self::Recovery => "sleep 0.3",
        }
    }

    fn commands(self) -> usize {
        if self == Self::Two { 2 } else { 1 }
    }

    /// The end that the command comes to where nothing of it was hit.
    fn good_end(self) -> InvocationState {
        match self {
            Self::Plain | Self::MuchOutput | Self::Two | Self::Recovery => InvocationState::Succeeded,
            Self::Failing => InvocationState::Failed,
            Self::Cancelled => InvocationState::Cancelled,
        }
    }
}

struct Lives {
    lone: Lone,
    scenario: Scenario,
    half: Half,
    number: u64,
    /// The orders by the marks of their side effects.
    orders: BTreeMap<String, String>,
    /// The ends that each order may have come to.
    excused: BTreeMap<String, BTreeSet<InvocationState>>,
}

impl Lives {
    fn new(scenario: Scenario, half: Half) -> Self {
        Self { lone: Lone::default(), scenario, half, number: 0, orders: BTreeMap::new(), excused: BTreeMap::new() }
    }

    fn begin(&mut self, injection: Option<&Injection>) {
        let how = match self.half {
            Half::Exec => Start::Traced(injection),
            Half::Job => Start::JobTraced(injection),
        };
        self.lone.start(how);
    }

    /// One life of the scenario's commands with one fault, or none; the calls that were made before it began, and what broke.
    fn live(&mut self, injection: Option<&Injection>) -> (BTreeMap<(u32, String), u64>, Vec<Broken>) {
        let what = injection.map_or_else(|| "no fault".to_owned(), |injection| format!("{:?} at {}", injection.fault, injection.point));
        let what = format!("{:?} of {:?}, {what}", self.half, self.scenario);
        let is_recovery = self.scenario == Scenario::Recovery;
        if is_recovery && self.half == Half::Exec {
            self.lone.start(Start::Plain);
        } else {
            self.begin(injection);
        }
        assert!(self.lone.run_until(|lone| lone.bridge.hello.is_some()), "{what}: the node does not say hello");
        let mut before = strace::counts(self.lone.trace());
        let orders: Vec<(OrderId, String)> = (0..self.scenario.commands()).map(|_| self.send(injection)).collect();
        if is_recovery {
            // The job must have left exec's process group, with which it would be killed; one that was hit before may never begin.
            self.lone.run_for(BEGIN, |lone| lone.effects.read().len() >= usize::try_from(self.number).unwrap_or(usize::MAX));
            before.clear();
            match self.half {
                Half::Exec => self.begin(injection),
                Half::Job => self.lone.start(Start::Plain),
            }
        }
        if self.scenario == Scenario::Cancelled {
            self.lone.run_until(|lone| orders.iter().all(|(id, _)| lone.bridge.of(*id).has_progress));
            for (id, _) in &orders {
                let frame = self.lone.bridge.cancel(*id);
                self.lone.say(&frame);
            }
        }
        let broken = orders.iter().flat_map(|(id, mark)| self.settle(*id, mark, injection)).collect::<Vec<_>>();
        let broken = broken.into_iter().chain(self.lone.bridge.take_broken()).chain(self.judge());
        (before, broken.map(|broken| Broken::new(broken.kind, format!("{what}: {}", broken.why))).collect())
    }

    fn send(&mut self, injection: Option<&Injection>) -> (OrderId, String) {
        self.number += 1;
        let mark = format!("c{}", self.number);
        let mut id = [7; 16];
        id[..8].copy_from_slice(&self.number.to_be_bytes());
        let script = self.lone.effects.script(&mark, self.scenario.body());
        self.lone.send(OrderId(id), &script);
        self.orders.insert(mark.clone(), OrderId(id).to_string());
        self.excused.insert(OrderId(id).to_string(), self.excused(injection));
        (OrderId(id), mark)
    }

    /// Waits until an order has its end and the node has let go of it, sends it once more, and looks at what became of it.
    fn settle(&mut self, id: OrderId, mark: &str, injection: Option<&Injection>) -> Vec<Broken> {
        let mut broken = Vec::new();
        let mut say = |holds: bool, why: &str| {
            if !holds {
                broken.push(Broken::new(Kind::Lost, format!("{mark}: {why}")));
            }
        };
        // A node that cannot record an order refuses it for now; the bridge sends it again, as it does with every order without an answer.
        if !self.lone.run_for(SEND_AGAIN, |lone| lone.bridge.of(id).is_answered) {
            let again = self.lone.bridge.again(id);
            self.lone.say(&again);
        }
        say(self.lone.run_until(|lone| !lone.bridge.of(id).ends.is_empty()), "it comes to no end");
        // What cannot be removed is removed by the next exec at the latest.
        let is_kept = matches!(injection.map(|injection| injection.fault), Some(Fault::Error(_)))
            && !self.lone.run_for(REMOVAL, |lone| !lone.keeps_folder(id));
        if is_kept {
            self.lone.start(Start::Plain);
        }
        say(self.lone.run_until(|lone| !lone.keeps_folder(id)), "the folder of its job stays");
        say(self.lone.run_until(|lone| lone.bridge.hello.is_some()), "the node is not there");
        let (again, before) = (self.lone.bridge.again(id), self.lone.bridge.of(id).results);
        self.lone.say(&again);
        // Its end is said again; with the receipt for that the node lets go of it once more.
        self.lone.run_for(SEND_AGAIN, |lone| lone.bridge.of(id).results > before);
        // The fault may hit that as well: then the node says it once more, and lets go of it a little later.
        let mut held = true;
        for _ in 0..LOOKS {
            self.lone.reconnect();
            say(self.lone.run_until(|lone| lone.bridge.hello.is_some()), "the node is not back");
            held = self.lone.bridge.hello.as_ref().is_some_and(|hello| hello.held.contains(&id));
            if !held {
                break;
            }
            self.lone.run_for(REMOVAL, |_| false);
        }
        say(!held, "the node took it again (C6)");
        let known = self.lone.bridge.of(id);
        let has_run = self.lone.effects.read().contains_key(mark);
        if known.ends.contains(&InvocationState::Failed) && has_run && self.scenario.good_end() == InvocationState::Succeeded {
            let explained = known.result.as_ref().is_some_and(|result| !result.explanation.is_empty());
            if !explained {
                broken.push(Broken::new(Kind::Lost, format!("{mark}: it ran and failed, and nothing says why (C4)")));
            }
        }
        broken
    }

    /// What the checker finds in all that has happened so far. Exec is killed for it.
    fn judge(&mut self) -> Vec<Broken> {
        let mut history = self.lone.history(|mark| self.orders.get(mark).cloned());
        for (order, excused) in &self.excused {
            history.command(order).excused = Some(excused.clone());
        }
        invariants::check(&history).into_iter().map(verdict::broken).collect()
    }

    /// The ends that a fault excuses.
    fn excused(&self, injection: Option<&Injection>) -> BTreeSet<InvocationState> {
        use InvocationState::{Failed, Interrupted};
        let good = self.scenario.good_end();
        match injection.map(|injection| (self.half, injection.fault)) {
            // A cancel may come before the start as well as after the end.
            None | Some((Half::Exec, Fault::Kill)) => BTreeSet::from([good]),
            Some((Half::Exec, Fault::Error(_))) => BTreeSet::from([good, Failed]),
            // Who kills a job interrupts it, unless it had not begun or was done.
            Some((Half::Job, _)) => BTreeSet::from([good, Failed, Interrupted]),
        }
    }

    /// The points of one life without a fault. The first lives make files that the later ones find: they are not counted.
    fn points(&mut self) -> Vec<Point> {
        for _ in 0..LIVES_BEFORE {
            let (_, broken) = self.live(None);
            assert_eq!(broken, [], "without any fault");
        }
        let (before, broken) = self.live(None);
        assert_eq!(broken, [], "without any fault");
        let points = strace::points(&before, &strace::counts(self.lone.trace()));
        assert!(points.len() > 10, "a life has more calls than {points:?}");
        points
    }

    /// A trial; whether the fault happened in it.
    fn trial(&mut self, injection: &Injection, tally: &mut Tally) -> bool {
        tally.begin(format!("{:?} of {:?}: {:?} at {}", self.half, self.scenario, injection.fault, injection.point));
        let (_, broken) = self.live(Some(injection));
        let happened = strace::has_happened(self.lone.trace(), injection.fault);
        let is_broken = !broken.is_empty();
        if happened || is_broken {
            tally.trial(broken);
        }
        if is_broken {
            // What broke here must not be found again and again, by each later life of this node.
            self.lone.print_log();
            *self = Self::new(self.scenario, self.half);
        }
        happened
    }

    /// At the very end: nothing started later, either.
    fn check_all(&mut self, tally: &mut Tally) {
        let broken = self.judge();
        if !broken.is_empty() {
            tally.trial(broken);
        }
    }
}

/// In a life without chance every point would be reached; a few calls, such as a wake-up, are made in one life and not in the next.
fn most(happened: usize, points: usize) -> bool {
    happened * 10 >= points * 8
}

/// Those of the tier; in a release all, of which this process makes its part.
fn scenarios(in_ci: &[Scenario]) -> Vec<Scenario> {
    if !is_release() {
        return in_ci.to_vec();
    }
    let shard = Shard::of_environment();
    RELEASE.iter().enumerate().filter(|(index, _)| shard.has(*index)).map(|(_, scenario)| *scenario).collect()
}

/// Of a scenario that the change tier tries beside the one whose points it tries all, it takes every so many-th point, from a random one on.
const SAMPLE: usize = 3;

fn kill_at_every_call(half: Half, name: &str, in_ci: &[Scenario], budget: Duration) {
    if let Err(why) = strace::available() {
        return skipped(name, &why);
    }
    let mut random = Random::seeded(name);
    let mut tally = Tally::new(name, &random, budget);
    for (index, scenario) in scenarios(in_ci).into_iter().enumerate() {
        let mut lives = Lives::new(scenario, half);
        tally.begin(format!("{half:?} of {scenario:?}: counting the calls"));
        let every = if is_release() || index == 0 { 1 } else { SAMPLE };
        let first = usize::try_from(random.below(u64::try_from(every).unwrap())).unwrap();
        let points: Vec<Point> = lives.points().into_iter().skip(first).step_by(every).collect();
        let happened = points.iter().filter(|point| lives.trial(&Injection { point: (*point).clone(), fault: Fault::Kill }, &mut tally));
        let happened = happened.count();
        assert!(most(happened, points.len()), "{scenario:?}: only {happened} of {} points were reached", points.len());
        lives.check_all(&mut tally);
    }
    tally.finish();
}

#[test]
fn f2_kill_exec_at_every_call() {
    kill_at_every_call(Half::Exec, "F2 exec", &[Scenario::Plain, Scenario::Recovery], Duration::from_secs(480));
}

#[test]
fn f2_kill_a_job_at_every_call() {
    kill_at_every_call(Half::Job, "F2 job", &[Scenario::Plain], Duration::from_secs(120));
}

#[test]
fn f3_calls_fail() {
    if let Err(why) = strace::available() {
        return skipped("F3", &why);
    }
    let mut random = Random::seeded("F3");
    let mut tally = Tally::new("F3", &random, Duration::from_secs(120));
    for scenario in scenarios(&[Scenario::Plain]) {
        for half in [Half::Exec, Half::Job] {
            let mut lives = Lives::new(scenario, half);
            tally.begin(format!("{half:?} of {scenario:?}: counting the calls"));
            let points = strace::of_calls(&lives.points(), DISK_CALLS);
            let errors = ["EIO", "ENOSPC"].map(Fault::Error);
            let mut injections: Vec<Injection> =
                errors.iter().flat_map(|fault| points.iter().map(|point| Injection { point: point.clone(), fault: *fault })).collect();
            // In a release all of them, else as many as the tier says, chosen by the seed.
            let wanted = usize::try_from(trials(50, u64::MAX)).unwrap_or(usize::MAX);
            let (mut tried, mut happened) = (0, 0);
            while happened < wanted && !injections.is_empty() {
                let index = usize::try_from(random.below(u64::try_from(injections.len()).unwrap())).unwrap();
                let injection = injections.swap_remove(index);
                tried += 1;
                happened += usize::from(lives.trial(&injection, &mut tally));
            }
            assert!(most(happened, tried), "{half:?} of {scenario:?}: only {happened} of {tried} points were reached");
            lives.check_all(&mut tally);
        }
    }
    tally.finish();
}
