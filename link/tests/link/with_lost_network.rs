//! How soon a link is back after its network was, in virtual time, and how soon it notices that a connection is dead.
//!
//! The broker is real loopback; only time is not. The clock stands still and jumps to the next timer when nothing else can be done, and the
//! kernel needs a moment of real time for each packet, which the clock must not use for jumps: [`virtual_until`] makes the steps.

use std::time::Duration;

use flotilla_link::{BackoffLimits, Event};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

use crate::harness::{Link, publish, settings};
use crate::scripted::{GRANTED, PUBLISH, ScriptedBroker, WELCOME};

/// What DESIGN promises where a failure is seen.
const BACK_LIMIT: Duration = Duration::from_secs(60);
/// A step of virtual time; the tests measure with this grain.
const STEP: Duration = Duration::from_millis(250);
/// A step while nothing is measured.
const COARSE_STEP: Duration = Duration::from_secs(2);
/// What the kernel and the other tasks get of real time in each step.
const BREATH: Duration = Duration::from_micros(300);

/// An agent's settings, as it has them when nobody sets any.
fn of_an_agent(port: u16, broker: &ScriptedBroker) -> flotilla_link::Settings {
    let mut settings = settings(port, broker.authority.client_config("alice"), "alice", "f/+/d");
    settings.keep_alive = Duration::from_secs(300);
    settings.backoff = BackoffLimits { minimum: Duration::from_millis(500), maximum: Duration::from_secs(30) };
    settings
}

/// Lets virtual time pass in steps, and real time for the kernel between them, until `done`. How much virtual time that was.
async fn virtual_until(limit: Duration, step: Duration, mut done: impl FnMut() -> bool) -> Option<Duration> {
    let begun = Instant::now();
    while begun.elapsed() < limit {
        if done() {
            return Some(begun.elapsed());
        }
        tokio::time::advance(step).await;
        for _ in 0..4 {
            std::thread::sleep(BREATH);
            tokio::task::yield_now().await;
        }
    }
    done().then(|| begun.elapsed())
}

/// Without a broker on the port for `lost`, and then with one: how long until somebody knocks, in virtual time.
async fn knocks_after(lost: Duration) -> Duration {
    let broker = ScriptedBroker::start().await;
    let empty = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = empty.local_addr().unwrap().port();
    drop(empty);
    let mut alice = Link::start(of_an_agent(port, &broker));
    tokio::time::pause();
    let mut failures = 0_u32;
    assert_eq!(
        virtual_until(lost, COARSE_STEP, || {
            while alice.events.try_recv().is_ok() {
                failures += 1;
            }
            false
        })
        .await,
        None
    );
    assert!(failures >= 3, "{failures} attempts in {lost:?}");
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap().into_std().unwrap();
    let back = virtual_until(10 * BACK_LIMIT, STEP, || listener.accept().is_ok()).await;
    alice.task.abort();
    back.expect("it comes back")
}

/// Prints the times, because they are promised.
async fn is_back_soon(what: &str, lost: Duration, trials: u32) {
    let mut worst = Duration::ZERO;
    for _ in 0..trials {
        worst = worst.max(knocks_after(lost).await);
        tokio::time::resume();
    }
    println!("after {what} without a network (virtual time, {trials} trials) the link is back within {worst:.1?}");
    assert!(worst < BACK_LIMIT, "{worst:?}");
}

#[tokio::test]
async fn after_ten_minutes_it_is_back_within_a_minute() {
    is_back_soon("10 min", Duration::from_secs(600), 3).await;
}

#[tokio::test]
async fn after_six_hours_it_is_back_within_a_minute() {
    is_back_soon("6 h", Duration::from_secs(6 * 3_600), 1).await;
}

/// Ten real seconds.
#[tokio::test]
async fn after_ten_seconds_it_is_back_within_a_minute() {
    let mut broker = ScriptedBroker::start().await;
    let mut alice = Link::start(of_an_agent(broker.port, &broker));
    let session = broker.accept_with(WELCOME, GRANTED).await;
    alice.connected().await;
    broker.close();
    drop(session);
    alice.disconnected().await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    broker.open_again().await;
    let since = Instant::now();
    // As long as the link takes at the longest, and then as `accept_with`.
    let _session = timeout(BACK_LIMIT, broker.accept_patiently(WELCOME, GRANTED)).await.expect("it is back within a minute");
    alice.connected().await;
    println!("after 10 s without a network (real time) the link is back within {:.1?}", since.elapsed());
}

/// The keep-alive is five minutes. Who has something to say does not wait for it.
#[tokio::test]
async fn a_message_that_nobody_acknowledges_ends_the_connection_long_before_the_keep_alive() {
    let broker = ScriptedBroker::start().await;
    let mut alice = Link::start(of_an_agent(broker.port, &broker));
    let mut session = broker.accept_with(WELCOME, GRANTED).await;
    alice.connected().await;
    alice.send(publish(1, "f/x", "1")).await;
    session.expect(PUBLISH).await;
    tokio::time::pause();
    let mut reason = None;
    let after = virtual_until(2 * BACK_LIMIT, STEP, || {
        while let Ok(event) = alice.events.try_recv() {
            if let Event::Disconnected { reason: why } = event {
                reason = Some(why);
            }
        }
        reason.is_some()
    })
    .await
    .expect("it notices");
    assert_eq!(reason.as_deref(), Some("the broker did not acknowledge a message in time"));
    println!("a connection that acknowledges nothing is left after {after:.1?} (virtual time)");
    assert!((Duration::from_secs(19)..Duration::from_secs(30)).contains(&after), "{after:?}");
}

/// An idle connection that answers nothing more is found by the ping: two keep-alives, and then an attempt.
#[tokio::test]
async fn an_idle_half_open_connection_is_found_within_two_keep_alives() {
    let broker = ScriptedBroker::start().await;
    let mut alice = Link::start(of_an_agent(broker.port, &broker));
    let _session = broker.accept_with(WELCOME, GRANTED).await;
    alice.connected().await;
    tokio::time::pause();
    let keep_alive = Duration::from_secs(300);
    let after = virtual_until(3 * keep_alive, STEP, || {
        while let Ok(event) = alice.events.try_recv() {
            if matches!(event, Event::Disconnected { .. }) {
                return true;
            }
        }
        false
    })
    .await
    .expect("it notices");
    println!("an idle half-open connection (keep-alive {keep_alive:?}) is left after {after:.1?} (virtual time)");
    assert!(after <= 2 * keep_alive + BACK_LIMIT, "{after:?}");
}
