//! Ends a suite that does not end by itself, and says why, before the runner of the tests would: a runner that ends a test hides the cause.
//!
//! A thread looks at the clock while a suite runs. It names a trial that takes long, on standard error, while it is still under way. When the
//! limit has passed it says what broke so far and what is under way, and lets every wait of the kit fail ([`look`]), so that the suite ends and
//! cleans up after itself. A suite that does not even come to that is ended with its process.

use crate::clock;
use crate::process;
use nix::sys::signal::Signal;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A trial that takes longer than this is named.
pub const SLOW: Duration = Duration::from_secs(20);
/// How long a suite may take to end itself once it is past its limit.
const GRACE: Duration = Duration::from_secs(30);
/// How often the clock is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Of what is broken, so much is said again at the limit.
const SHOWN: usize = 20;
/// Exit code of a suite that did not end itself.
const STUCK: i32 = 101;

/// A suite of this process is past its limit: nothing is waited for any more.
static IS_PAST: AtomicBool = AtomicBool::new(false);

/// Fails the test when its suite is past its limit; to be called wherever something is waited for.
///
/// # Panics
/// Then, unless the thread panics already and only cleans up.
pub fn look() {
    let is_past = IS_PAST.load(Ordering::Relaxed) && !std::thread::panicking();
    assert!(!is_past, "the suite is past its hard limit; what broke and what was under way is on standard error");
}

/// What is under way.
#[derive(Debug)]
struct Suite {
    name: String,
    seed: u64,
    trials: u64,
    /// What the trial does, as far as its suite has said.
    what: String,
    begun: Instant,
    /// The trial was named already.
    is_named: bool,
    broken: Vec<String>,
    is_over: bool,
}

impl Suite {
    fn trial(&self) -> String {
        let number = self.trials + 1;
        let Self { name, what, seed, .. } = self;
        let seconds = self.begun.elapsed().as_secs_f32();
        format!("{name}: trial {number} ({what}; FLOTILLA_SEED={seed}) for {seconds:.0} s by now")
    }

    /// Everything that is known, for whoever finds the suite stopped.
    fn story(&self, limit: Duration) -> String {
        let broken: String = self.broken.iter().take(SHOWN).map(|broken| format!("\n  {broken}")).collect();
        let (count, trial) = (self.broken.len(), self.trial());
        format!("past the hard limit of {limit:?}. Under way: {trial}. {count} promises were broken before{broken}")
    }
}

#[derive(Debug)]
struct Shared {
    suite: Mutex<Suite>,
    over: Condvar,
}

impl Shared {
    fn change(&self, change: impl FnOnce(&mut Suite)) {
        change(&mut self.suite.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Watches over one suite until it is dropped.
#[derive(Debug)]
pub struct Watchdog {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Begins to watch.
    ///
    /// # Panics
    /// When no thread can be started.
    #[must_use]
    pub fn start(name: &str, seed: u64, limit: Duration) -> Self {
        let now = clock::now();
        let suite = Suite {
            name: name.to_owned(),
            seed,
            trials: 0,
            what: "the first".to_owned(),
            begun: now,
            is_named: false,
            broken: Vec::new(),
            is_over: false,
        };
        let shared = Arc::new(Shared { suite: Mutex::new(suite), over: Condvar::new() });
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || watch(&of_thread, now, limit));
        Self { shared, thread: Some(thread) }
    }

    /// A trial begins.
    ///
    /// # Panics
    /// See [`look`].
    pub fn begin(&self, what: String) {
        self.shared.change(|suite| (suite.what, suite.begun, suite.is_named) = (what, clock::now(), false));
        look();
    }

    /// A trial is over, and this broke in it; what follows until the next [`Watchdog::begin`] counts as the next one.
    ///
    /// # Panics
    /// See [`look`].
    pub fn over(&self, broken: &[String]) {
        self.shared.change(|suite| {
            if suite.begun.elapsed() > SLOW {
                say(&format!("slow, and over: {}", suite.trial()));
            }
            suite.trials += 1;
            suite.broken.extend_from_slice(broken);
            (suite.begun, suite.is_named) = (clock::now(), false);
        });
        look();
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.shared.change(|suite| suite.is_over = true);
        self.shared.over.notify_all();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
        // Another suite of this process has its own limit.
        IS_PAST.store(false, Ordering::Relaxed);
    }
}

/// What is to be done at a look at the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Nothing,
    /// The trial takes long: it is named, once.
    Name,
    /// The limit has passed: what is known is said, and nothing is waited for any more.
    Stop,
    /// The suite has not ended itself.
    End,
}

fn due(suite: &Suite, taken: Duration, of_trial: Duration, limit: Duration, is_past: bool) -> Due {
    match is_past {
        true if taken > limit + GRACE => Due::End,
        true => Due::Nothing,
        false if taken > limit => Due::Stop,
        false if of_trial > SLOW && !suite.is_named => Due::Name,
        false => Due::Nothing,
    }
}

fn watch(shared: &Shared, begun: Instant, limit: Duration) {
    let mut suite = shared.suite.lock().unwrap_or_else(PoisonError::into_inner);
    let mut is_past = false;
    while !suite.is_over {
        match due(&suite, begun.elapsed(), suite.begun.elapsed(), limit, is_past) {
            Due::Nothing => {}
            Due::Name => {
                suite.is_named = true;
                say(&format!("slow: {}", suite.trial()));
            }
            Due::Stop => {
                is_past = true;
                say(&suite.story(limit));
                IS_PAST.store(true, Ordering::Relaxed);
            }
            Due::End => {
                say(&format!("{}: does not end by itself, and is ended", suite.name));
                return end();
            }
        }
        let waited = shared.over.wait_timeout(suite, LOOK_EVERY);
        suite = waited.unwrap_or_else(PoisonError::into_inner).0;
    }
}

/// Ends this process, and what it has started itself.
#[expect(clippy::exit, reason = "the thread of the suite is stuck: nothing else ends it with an account of what happened")]
fn end() {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    for child in process::find(|found| found.parent == own) {
        process::signal(child.pid, Signal::SIGKILL);
    }
    std::process::exit(STUCK);
}

/// Past the harness, which keeps what a test prints until its end: a suite that is ended with its process has none.
fn say(text: &str) {
    drop(writeln!(std::io::stderr(), "{text}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suite() -> Suite {
        Suite {
            name: "F0".to_owned(),
            seed: 7,
            trials: 2,
            what: "EIO at openat 3".to_owned(),
            begun: clock::now(),
            is_named: false,
            broken: vec!["trial 1: lost: c1 is gone".to_owned()],
            is_over: false,
        }
    }

    #[test]
    fn the_story_names_the_trial_and_what_broke_before() {
        let story = suite().story(Duration::from_secs(9));
        for part in ["limit of 9s", "F0: trial 3 (EIO at openat 3; FLOTILLA_SEED=7)", "1 promises", "trial 1: lost: c1 is gone"] {
            assert!(story.contains(part), "{story}");
        }
    }

    #[test]
    fn a_slow_trial_is_named_once_and_the_limit_stops_the_suite_and_then_ends_it() {
        let (mut suite, seconds) = (suite(), Duration::from_secs);
        let limit = seconds(100);
        assert_eq!(due(&suite, seconds(99), seconds(19), limit, false), Due::Nothing);
        assert_eq!(due(&suite, seconds(99), seconds(21), limit, false), Due::Name);
        suite.is_named = true;
        assert_eq!(due(&suite, seconds(99), seconds(22), limit, false), Due::Nothing);
        assert_eq!(due(&suite, seconds(101), seconds(1), limit, false), Due::Stop);
        assert_eq!(due(&suite, seconds(101), seconds(1), limit, true), Due::Nothing, "it may clean up");
        assert_eq!(due(&suite, limit + GRACE + seconds(1), seconds(1), limit, true), Due::End);
    }

    #[test]
    fn a_suite_that_is_watched_may_end_at_any_time() {
        let watchdog = Watchdog::start("F0", 7, Duration::from_secs(60));
        watchdog.begin("a trial".to_owned());
        watchdog.over(&["lost: c1".to_owned()]);
        assert_eq!(watchdog.shared.suite.lock().unwrap().trials, 1);
        drop(watchdog);
        look();
    }
}
