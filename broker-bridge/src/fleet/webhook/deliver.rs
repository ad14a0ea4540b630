//! Delivery: one task for each webhook posts what its outbox says is due, until the receiver takes it.
//!
//! A message is removed after its receiver has answered with success, so a crash between the two has it posted again, under the same
//! id. What is not taken is posted again after a pause with full jitter that grows from a second or two to ten minutes, and given up
//! after a day. While nobody answers, one message at a time is tried: a receiver that is down meets no flood. A receiver that refuses a
//! message has answered: that message alone waits longer and longer.

use super::{Webhook, outbox};
use crate::fleet::Fleet;
use crate::platform::shutdown::Shutdown;
use crate::platform::store::StoreError;
use crate::platform::time::from_column;
use crate::platform::webhook::SendError;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Messages of one webhook that are posted at the same time.
const CONCURRENCY: usize = 4;
/// The longest first pause after a failure, in milliseconds; the longest pause doubles with every further failure.
const FIRST_PAUSE_MS: u64 = 2_000;
/// The shortest pause: full jitter alone would also try again at once.
const SHORTEST_PAUSE_MS: u64 = 1_000;
/// The longest pause ever, in milliseconds.
const LONGEST_PAUSE_MS: u64 = 600_000;
/// After how long a message that nobody takes is given up, in milliseconds.
pub const GIVE_UP_MS: u64 = 86_400_000;
/// Longest sleep: the timers of tokio and the wall clock drift apart, and a changed clock is noticed by then.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
/// Shortest sleep before a due time: a due time that does not move must not become a busy loop.
const SHORTEST_SLEEP: Duration = Duration::from_millis(2);
/// The pause after the database refused, and after a task that ended in disorder.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(5);

/// Delivers to all webhooks of the settings until it is asked to stop. A webhook's task that ends in disorder is started again.
pub async fn run(fleet: Arc<Fleet>, shutdown: Shutdown) {
    if let Err(error) = forget_others(&fleet).await {
        tracing::error!(error = &error as &dyn std::error::Error, "notifications to webhooks of earlier settings could not be removed");
    }
    let mut tasks = JoinSet::new();
    for webhook in fleet.webhooks.0.values() {
        tasks.spawn(supervise(Arc::clone(&fleet), Arc::clone(webhook), shutdown.clone()));
    }
    drop(tasks.join_all().await);
}

/// Gives up what waits for webhooks that are not in the settings any more.
async fn forget_others(fleet: &Fleet) -> Result<(), StoreError> {
    let known: Vec<&str> = fleet.webhooks.names().collect();
    let mut write = fleet.store.write().await?;
    let given_up = outbox::give_up_others(&mut write, &known).await?;
    write.commit().await?;
    if given_up > 0 {
        tracing::warn!(given_up, "notifications to webhooks that are not in the settings any more were given up");
    }
    Ok(())
}

async fn supervise(fleet: Arc<Fleet>, webhook: Arc<Webhook>, mut shutdown: Shutdown) {
    loop {
        let task = tokio::spawn(deliver(Arc::clone(&fleet), Arc::clone(&webhook), shutdown.clone()));
        let Err(error) = task.await else { return };
        tracing::error!(webhook = webhook.name, %error, "the delivery to a webhook ended in disorder; it begins anew");
        tokio::select! {
            () = shutdown.requested() => return,
            () = tokio::time::sleep(PAUSE_AFTER_ERROR) => {}
        }
    }
}

async fn deliver(fleet: Arc<Fleet>, webhook: Arc<Webhook>, mut shutdown: Shutdown) {
    let mut announcements = fleet.store.announcements();
    let mut reach = Reach::default();
    loop {
        // What a round has posted and not yet written when it is cut off here is posted again at the next start.
        let next_due_ms = tokio::select! {
            () = shutdown.requested() => return,
            next_due_ms = round(&fleet, &webhook, &mut reach) => next_due_ms,
        };
        let pause = match next_due_ms {
            Ok(next_due_ms) => {
                let now_ms = fleet.clock.now_ms();
                let pause = next_due_ms.map_or(LONGEST_SLEEP, |due| Duration::from_millis(due.saturating_sub(now_ms)));
                pause.clamp(SHORTEST_SLEEP, LONGEST_SLEEP)
            }
            Err(error) => {
                tracing::error!(webhook = webhook.name, error = &error as &dyn std::error::Error, "a round of delivery failed");
                PAUSE_AFTER_ERROR
            }
        };
        tokio::select! {
            () = shutdown.requested() => return,
            _ = announcements.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Whether a receiver is reached, as far as the last rounds tell.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// Rounds in which the receiver did not really answer, or nothing could be written, since it answered.
    failures: u32,
    /// Nothing was taken in the last round that was answered.
    refuses: bool,
    /// Nothing is posted before this: Unix time in milliseconds.
    hold_until_ms: u64,
}

/// One round: posts some of what is due and writes what came of it. Returns when there is something to do next: Unix time in
/// milliseconds.
///
/// # Errors
/// What the database says; what was posted is posted again then.
pub async fn round(fleet: &Fleet, webhook: &Arc<Webhook>, reach: &mut Reach) -> Result<Option<u64>, StoreError> {
    let now_ms = fleet.clock.now_ms();
    // The hold is a pause from now on: a clock that was set back must not lengthen it for long.
    let hold_ms = reach.hold_until_ms.saturating_sub(now_ms);
    if hold_ms > 0 && hold_ms <= LONGEST_PAUSE_MS {
        return Ok(Some(reach.hold_until_ms));
    }
    let mut reader = fleet.store.reader().acquire().await?;
    let at_once = if reach.failures > 0 { 1 } else { CONCURRENCY };
    let due = outbox::due(&mut reader, &webhook.name, now_ms, at_once).await?;
    drop(reader);
    if due.is_empty() {
        return next_due_ms(fleet, webhook, now_ms).await;
    }
    let attempts = post(webhook, due, now_ms).await;
    let now_ms = fleet.clock.now_ms();
    let any_taken = attempts.iter().any(|(_, posted)| posted.is_ok());
    let any_answer = attempts.iter().any(|(_, posted)| posted.as_ref().map_or_else(is_answer, |()| true));
    let given_up = match settle(fleet, webhook, &attempts, now_ms).await {
        Ok(given_up) => given_up,
        Err(error) => {
            // What was taken is posted again, which must not happen every few seconds for as long as a disk is full.
            reach.fail(now_ms);
            return Err(error);
        }
    };
    if given_up > 0 {
        tracing::warn!(webhook = webhook.name, given_up, "notifications that the receiver did not take were given up");
    }
    note(webhook, &attempts, any_taken, reach);
    if !any_answer {
        reach.fail(now_ms);
        return Ok(Some(reach.hold_until_ms));
    }
    // Where all that was posted is refused, so may all be that waits: no flood of that either, and no long wait for the others.
    let hold_until_ms = if any_taken { 0 } else { now_ms.saturating_add(pause_ms(1, random())) };
    *reach = Reach { failures: 0, refuses: !any_taken, hold_until_ms };
    let next_due_ms = next_due_ms(fleet, webhook, now_ms).await?;
    Ok(next_due_ms.map(|next_due_ms| next_due_ms.max(hold_until_ms)))
}

impl Reach {
    /// Nothing is posted before this: Unix time in milliseconds.
    #[must_use]
    pub fn hold_until_ms(&self) -> u64 {
        self.hold_until_ms
    }

    /// Another round came to nothing: the next waits longer.
    fn fail(&mut self, now_ms: u64) {
        self.failures = self.failures.saturating_add(1);
        self.hold_until_ms = now_ms.saturating_add(pause_ms(i64::from(self.failures), random()));
    }
}

/// Whether the receiver itself says no to this message, and not that it, or what stands before it, can take none now.
fn is_answer(error: &SendError) -> bool {
    const REQUEST_TIMEOUT: u16 = 408;
    const TOO_MANY_REQUESTS: u16 = 429;
    match error {
        SendError::Unanswered(_) => false,
        SendError::Status { status } => *status < 500 && ![REQUEST_TIMEOUT, TOO_MANY_REQUESTS].contains(status),
        SendError::Gone => true,
    }
}

/// When the next message is due, and none is now: never later than after the longest pause.
async fn next_due_ms(fleet: &Fleet, webhook: &Webhook, now_ms: u64) -> Result<Option<u64>, StoreError> {
    let mut reader = fleet.store.reader().acquire().await?;
    let next_due_ms = outbox::next_due_ms(&mut reader, &webhook.name).await?;
    drop(reader);
    let beyond_ms = now_ms.saturating_add(LONGEST_PAUSE_MS);
    if next_due_ms.is_none_or(|next_due_ms| next_due_ms <= beyond_ms) {
        return Ok(next_due_ms);
    }
    let mut write = fleet.store.write().await?;
    let messages = outbox::put_right(&mut write, &webhook.name, beyond_ms, now_ms).await?;
    write.commit().await?;
    tracing::warn!(webhook = webhook.name, messages, "the clock stood ahead: what it put off is posted now");
    Ok(Some(now_ms))
}

/// Writes what came of a round, in one transaction; returns how many messages were given up.
async fn settle(fleet: &Fleet, webhook: &Webhook, attempts: &[Attempt], now_ms: u64) -> Result<u64, StoreError> {
    let give_up_before_ms = now_ms.saturating_sub(GIVE_UP_MS);
    let mut write = fleet.store.write().await?;
    let mut given_up = 0;
    for (message, posted) in attempts {
        let sequence = message.sequence;
        match posted {
            Ok(()) => outbox::delivered(&mut write, &webhook.name, sequence).await?,
            Err(error) if matches!(error, SendError::Gone) || from_column(message.created_ms) < give_up_before_ms => {
                outbox::given_up(&mut write, &webhook.name, sequence).await?;
                given_up += 1;
            }
            Err(_) => {
                let pause_ms = pause_ms(message.attempts.saturating_add(1), random());
                outbox::failed(&mut write, &webhook.name, sequence, now_ms.saturating_add(pause_ms)).await?;
            }
        }
    }
    if attempts.iter().all(|(_, posted)| posted.is_err()) {
        // Most of what waits was not even tried; it is as old all the same.
        given_up += outbox::give_up_before(&mut write, &webhook.name, give_up_before_ms).await?;
    }
    write.commit().await?;
    Ok(given_up)
}

type Attempt = (outbox::Message, Result<(), SendError>);

/// Posts messages at the same time, each on a thread that may block.
async fn post(webhook: &Arc<Webhook>, messages: Vec<outbox::Message>, now_ms: u64) -> Vec<Attempt> {
    let mut posting = JoinSet::new();
    for message in messages {
        let webhook = Arc::clone(webhook);
        posting.spawn_blocking(move || {
            let posted = webhook.sender.post(&message.message_id, now_ms, &message.body);
            (message, posted)
        });
    }
    posting.join_all().await
}

/// Says once that a receiver cannot be reached, and once that it can again.
fn note(webhook: &Webhook, attempts: &[Attempt], any_taken: bool, reach: &Reach) {
    let webhook = webhook.name.as_str();
    if any_taken && reach.failures > 0 {
        tracing::info!(webhook, failures = reach.failures, "notifications are taken again");
    }
    for (message, error) in attempts.iter().filter_map(|(message, posted)| posted.as_ref().err().map(|error| (message, error))) {
        let error = error as &dyn std::error::Error;
        if any_taken || reach.failures > 0 || reach.refuses {
            tracing::debug!(webhook, message = message.message_id, error, "a notification was not taken");
        } else {
            tracing::warn!(webhook, message = message.message_id, error, "a notification was not taken; it is posted again");
        }
    }
}

/// The pause after so many failures in a row, in milliseconds: anything from the shortest up to what doubles each time.
fn pause_ms(failures: i64, random: u64) -> u64 {
    let doublings = u32::try_from(failures.saturating_sub(1).clamp(0, 31)).unwrap_or(31);
    let longest_ms = (FIRST_PAUSE_MS << doublings).min(LONGEST_PAUSE_MS);
    SHORTEST_PAUSE_MS + random % (longest_ms - SHORTEST_PAUSE_MS + 1)
}

/// Without randomness all pauses are the shortest, and messages are delivered all the same.
fn random() -> u64 {
    getrandom::u64().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_an_answer_and_a_receiver_in_need_gives_none() {
        for (status, expected) in [(302, true), (400, true), (404, true), (408, false), (429, false), (500, false), (503, false)] {
            assert_eq!(is_answer(&SendError::Status { status }), expected, "{status}");
        }
        assert!(is_answer(&SendError::Gone) && !is_answer(&SendError::Unanswered(Box::new(ureq::Error::HostNotFound))));
    }

    #[test]
    fn pauses_grow_from_seconds_to_ten_minutes_and_lie_anywhere_below() {
        let longest: Vec<u64> =
            (1..=11).map(|failures| (0..200_000).map(|random| pause_ms(failures, random * 17)).max().unwrap()).collect();
        assert_eq!(longest[..3], [2_000, 4_000, 8_000]);
        assert!(longest.is_sorted() && longest[10] > 590_000, "{longest:?}");
        for failures in [0, 1, 5, 40, i64::MAX] {
            for random in [0, 1, 999, u64::MAX] {
                assert!((SHORTEST_PAUSE_MS..=LONGEST_PAUSE_MS).contains(&pause_ms(failures, random)), "{failures} {random}");
            }
        }
    }
}
