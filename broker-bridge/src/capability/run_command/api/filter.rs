//! The filters of both lists, understood once: which commands by their time, which states, which document.

use super::super::model::{Aside, InvocationState};
use super::super::rules::COMMAND_WORDS;
use crate::platform::http::ApiError;
use crate::platform::time::from_iso;
use flotilla_api::commands::CommandFilter;

/// Most filters of one request (the model's limit).
const MAXIMUM_FILTERS: usize = 5;
/// Longest value of a filter, in characters (the model's limit).
const MAXIMUM_VALUE: usize = 128;
/// The statuses of commands that have not ended.
const UNFINISHED: [&str; 3] = ["Pending", "InProgress", "Cancelling"];
/// The first moment that no command id can hold any more, in Unix milliseconds: they have 48 bits for it.
const END_OF_TIME_MS: u64 = 1 << 48;
/// Above every command id: these are lower-case hexadecimal digits and dashes.
const ABOVE_ALL_IDS: &str = "g";

/// Filters of one request. All must hold.
#[derive(Debug, Default)]
pub(super) struct Filters {
    after_ms: i64,
    before_ms: Option<i64>,
    /// Statuses, or their details written without spaces.
    words: Vec<String>,
    documents: Vec<String>,
    /// Whether it has ended.
    complete: Vec<bool>,
}

/// What the words of an invocation are made of.
pub(super) type Shown = (InvocationState, Aside);

impl Filters {
    /// Reads the filters of a request.
    ///
    /// # Errors
    /// `InvalidFilterKey`, and `ValidationException` for a value that cannot be one.
    pub(super) fn parse(filters: Option<&[CommandFilter]>) -> Result<Self, ApiError> {
        let filters = filters.unwrap_or_default();
        if filters.len() > MAXIMUM_FILTERS {
            return Err(ApiError::validation(format!("at most {MAXIMUM_FILTERS} filters are taken")));
        }
        let mut known = Self::default();
        for filter in filters {
            known.add(filter)?;
        }
        Ok(known)
    }

    fn add(&mut self, filter: &CommandFilter) -> Result<(), ApiError> {
        let CommandFilter { key, value } = filter;
        if !(1..=MAXIMUM_VALUE).contains(&value.chars().count()) {
            return Err(ApiError::validation(format!("the value of filter {key} must have 1 to {MAXIMUM_VALUE} characters")));
        }
        let time = || {
            from_iso(value).ok_or_else(|| ApiError::validation(format!("filter {key}: {value:?} is no time such as 2026-07-07T00:00:00Z")))
        };
        match key.as_str() {
            "InvokedAfter" => self.after_ms = self.after_ms.max(time()?),
            "InvokedBefore" => self.before_ms = Some(self.before_ms.map_or(time()?, |before| before.min(time().unwrap_or(before)))),
            "Status" => self.words.push(value.clone()),
            "DocumentName" => self.documents.push(value.clone()),
            "ExecutionStage" => match value.as_str() {
                "Executing" => self.complete.push(false),
                "Complete" => self.complete.push(true),
                _ => return Err(ApiError::validation(format!("filter ExecutionStage is Executing or Complete, not {value:?}"))),
            },
            _ => {
                return Err(ApiError::new(
                    "InvalidFilterKey",
                    format!("{key:?} is no filter key; use InvokedAfter, InvokedBefore, Status, ExecutionStage or DocumentName"),
                ));
            }
        }
        Ok(())
    }

    /// Where the command ids of the time that was asked for begin, and before which they end. Ids begin with the time of their
    /// command, in milliseconds, and that is the time that lists show.
    pub(super) fn range(&self) -> (String, String) {
        (first_id(self.after_ms), self.before_ms.map_or_else(|| ABOVE_ALL_IDS.to_owned(), first_id))
    }

    /// The document; an error of nothing where two are asked for, which no command has.
    pub(super) fn document(&self) -> Result<Option<&str>, Nothing> {
        match self.documents.as_slice() {
            [] => Ok(None),
            [first, others @ ..] if others.iter().all(|other| other == first) => Ok(Some(first)),
            _ => Err(Nothing),
        }
    }

    /// Whether the filters say anything about statuses.
    pub(super) fn has_words(&self) -> bool {
        !self.words.is_empty() || !self.complete.is_empty()
    }

    /// Whether this status is all that the filters want of statuses.
    pub(super) fn is_status(&self, status: &str) -> bool {
        !self.words.is_empty() && self.words.iter().all(|word| word == status)
    }

    /// What invocations are in that the filters let through.
    pub(super) fn invocations(&self) -> Vec<Shown> {
        let all = InvocationState::ALL.iter().flat_map(|state| Aside::ALL.map(|aside| (*state, aside)));
        all.filter(|(state, aside)| {
            let words = state.words(*aside);
            self.words.iter().all(|word| says(word, words.status, words.details))
                && self.complete.iter().all(|complete| *complete == state.is_terminal())
        })
        .collect()
    }

    /// The status and the details of commands that the filters let through.
    pub(super) fn commands(&self) -> Vec<(&'static str, &'static str)> {
        let all = COMMAND_WORDS.iter().map(|words| (words.status, words.details));
        all.filter(|(status, details)| {
            self.words.iter().all(|word| says(word, status, details))
                && self.complete.iter().all(|complete| *complete != UNFINISHED.contains(status))
        })
        .collect()
    }
}

/// There is no such thing, whatever the database holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Nothing;

fn says(word: &str, status: &str, details: &str) -> bool {
    status == word || details.replace(' ', "") == word
}

/// Whether commands of this status have not ended.
pub(super) fn is_unfinished(status: &str) -> bool {
    UNFINISHED.contains(&status)
}

/// The least command id of this time, in Unix milliseconds.
fn first_id(time_ms: i64) -> String {
    match u64::try_from(time_ms).unwrap_or(0) {
        0 => String::new(),
        END_OF_TIME_MS.. => ABOVE_ALL_IDS.to_owned(),
        time_ms => uuid::Builder::from_unix_timestamp_millis(time_ms, &[0; 10]).into_uuid().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(all: &[(&str, &str)]) -> Filters {
        let all: Vec<CommandFilter> =
            all.iter().map(|(key, value)| CommandFilter { key: (*key).to_owned(), value: (*value).to_owned() }).collect();
        Filters::parse(Some(&all)).unwrap()
    }

    #[test]
    fn a_time_is_a_range_of_ids() {
        let id = |time_ms, random| uuid::Builder::from_unix_timestamp_millis(time_ms, &[random; 10]).into_uuid().to_string();
        let (low, high) = filters(&[("InvokedAfter", "2026-07-07T00:00:00Z"), ("InvokedBefore", "2026-07-07T00:00:01Z")]).range();
        let second = 1_783_382_400_000;
        assert!(id(second - 1, 255) < low && low <= id(second, 0), "{low}");
        assert!(id(second + 999, 255) < high && high <= id(second + 1000, 0), "{high}");
        assert_eq!(filters(&[]).range(), (String::new(), "g".to_owned()));
        let (low, _) = filters(&[("InvokedAfter", "9000-12-31T00:00:00Z"), ("InvokedAfter", "2026-07-07T00:00:00Z")]).range();
        assert!(low > id(second, 255), "the later of two counts");
        let (_, high) = filters(&[("InvokedBefore", "1960-01-01T00:00:00Z"), ("InvokedBefore", "2026-07-07T00:00:00Z")]).range();
        assert_eq!(high, "", "before all commands");
        assert_eq!(first_id(i64::MAX), "g");
    }

    #[test]
    fn words_of_one_filter_and_of_several() {
        assert_eq!(filters(&[("Status", "AccessDenied")]).invocations().len(), 3, "whatever stands beside the state");
        assert_eq!(filters(&[("Status", "Delayed")]).invocations(), [(InvocationState::Sent, Aside::Delayed)]);
        assert_eq!(filters(&[("Status", "Cancelling")]).invocations().len(), 3);
        assert!(filters(&[("Status", "Failed"), ("ExecutionStage", "Executing")]).invocations().is_empty());
        assert_eq!(filters(&[("Status", "Failed"), ("Status", "AccessDenied")]).commands(), [("Failed", "Access Denied")]);
        assert_eq!(filters(&[("Status", "Canceled")]).commands(), [("Cancelled", "Canceled")]);
        assert!(filters(&[("Status", "Nonsense")]).commands().is_empty());
        assert_eq!(filters(&[("ExecutionStage", "Executing")]).commands().len(), 3);
        assert_eq!(filters(&[("DocumentName", "a"), ("DocumentName", "b")]).document(), Err(Nothing));
        assert_eq!(filters(&[("DocumentName", "a"), ("DocumentName", "a")]).document(), Ok(Some("a")));
    }

    #[test]
    fn a_status_of_commands_is_told_by_one_word() {
        // What the walk over one status relies on: no word is a status here and the details of another one there.
        for words in COMMAND_WORDS {
            for word in [words.status.to_owned(), words.details.replace(' ', "")] {
                let found = filters(&[("Status", &word)]).commands();
                assert!(found.iter().all(|(status, _)| *status == words.status), "{word}: {found:?}");
            }
        }
    }
}
