//! Random secrets of every kind that a parameter can hold: any text without a zero byte, of up to 8 KiB.
//!
//! None of them stands in a fleet by chance: each that is not all random has something random in it, and runs of one character are long and of
//! characters that nobody repeats. No run is of `*`, which stands for a secret, or of white space, which is no secret.

use super::Secret;
use crate::random::Random;
use flotilla_protocol::secret::MAXIMUM_SECRET_BYTES;

/// Of so many secrets one is given as a variable of the environment.
const VARIABLES: u64 = 10;
/// A run of one character has at least so many.
const LEAST_RUN: usize = 32;
/// What is made of letters and digits alone has at least so many: ids have any few.
const LEAST_OF_LETTERS: usize = 16;
/// Characters of runs.
const RUNS: &[char] = &['x', 'q', '~', '@', '7', '\\', '"', 'ü', '€', '🜁'];
/// Characters beyond ASCII, of two, three and four bytes.
const WIDE: &[char] = &['ä', 'ß', 'ж', 'λ', 'ʞ', '€', '語', '⸘', '😶', '𝄞', '\u{301}', '\u{feff}', '\u{7f}', '\u{80}'];
/// What shells, JSON and URLs quote.
const QUOTED: &[char] = &['"', '\'', '\\', '`', '$', '%', '&', '+', '=', '?', '#', '{', '}', '<', '>', '|', ';', '*', '!', '/'];

/// The kinds.
#[derive(Clone, Copy)]
enum Kind {
    Printable,
    Letters,
    Base64,
    Hex,
    Wide,
    Quoted,
    Lines,
    Words,
    Any,
    Run,
    Repeated,
}

const KINDS: &[Kind] = &[
    Kind::Printable,
    Kind::Letters,
    Kind::Base64,
    Kind::Hex,
    Kind::Wide,
    Kind::Quoted,
    Kind::Lines,
    Kind::Words,
    Kind::Any,
    Kind::Run,
    Kind::Repeated,
];

/// So many secrets, of which some begin as others do or hold others.
#[must_use]
pub fn make(count: usize, random: &mut Random) -> Vec<Secret> {
    let mut secrets: Vec<Secret> = Vec::with_capacity(count);
    while secrets.len() < count {
        let before = secrets.last().filter(|before| before.value.len() < MAXIMUM_SECRET_BYTES).map(|before| before.value.clone());
        let before = before.unwrap_or_default();
        let value = match secrets.len() {
            // The limits.
            0 => text(Kind::Wide, 4, random),
            1 => text(Kind::Printable, MAXIMUM_SECRET_BYTES, random),
            2 => text(Kind::Wide, 5, random),
            _ if random.percent(10) && before.len() >= 2 * LEAST_OF_LETTERS => beginning(&before, random),
            _ if random.percent(5) && (6..=MAXIMUM_SECRET_BYTES / 2).contains(&before.len()) => {
                format!("{before}{}", text(Kind::Letters, 12, random))
            }
            number => {
                let kind = KINDS[number % KINDS.len()];
                let length = length(random);
                surrounded(text(kind, length, random), random)
            }
        };
        // The limits are given as files; one of them is what tests hide on purpose.
        let is_variable = secrets.len() > 2 && random.below(VARIABLES) == 0;
        if secrets.iter().all(|secret| secret.value.trim_ascii() != value.trim_ascii()) {
            secrets.push(Secret { value, is_variable });
        }
    }
    secrets
}

/// From 6 to 8,192, as many of one length as of its double; most are short, as most secrets are.
fn length(random: &mut Random) -> usize {
    let doublings = if random.percent(85) { random.below(7) } else { random.between(7, 11) };
    let least = 6_usize << doublings;
    least + random.index((MAXIMUM_SECRET_BYTES - least).min(least))
}

/// A text of so many bytes, or of more where it could stand anywhere by chance; but that the last character may not fit: then it is filled up with letters.
fn text(kind: Kind, bytes: usize, random: &mut Random) -> String {
    let run = *random.one_of(RUNS);
    let pattern: Vec<char> = (0..5).map(|_| printable(random)).collect();
    let bytes = match kind {
        Kind::Run => bytes.max(LEAST_RUN * run.len_utf8()),
        Kind::Letters | Kind::Base64 | Kind::Hex => bytes.max(LEAST_OF_LETTERS),
        _ => bytes,
    };
    let mut text = String::with_capacity(bytes);
    while text.len() < bytes {
        let next = match kind {
            Kind::Printable => printable(random),
            Kind::Letters => letter(random),
            Kind::Base64 if random.percent(40) => *random.one_of(&['+', '/', '-', '_']),
            Kind::Base64 => letter(random),
            Kind::Hex => char::from_digit(u32::try_from(random.below(16)).unwrap_or(0), 16).unwrap_or('0'),
            Kind::Wide => *random.one_of(WIDE),
            Kind::Quoted if random.percent(50) => *random.one_of(QUOTED),
            Kind::Lines if random.percent(10) => *random.one_of(&['\n', '\n', '\r', '\t']),
            Kind::Words if random.percent(15) => ' ',
            Kind::Quoted | Kind::Lines | Kind::Words => printable(random),
            Kind::Any => char::from_u32(u32::try_from(random.between(1, 0x3000)).unwrap_or(1)).unwrap_or('?'),
            Kind::Run => run,
            Kind::Repeated => pattern[text.chars().count() % pattern.len()],
        };
        if text.len() + next.len_utf8() <= bytes {
            text.push(next);
        } else {
            text.push(letter(random));
        }
    }
    // The white space around it is no part of it.
    text.replace_range(..text.chars().next().map_or(0, char::len_utf8), &first_of(&text, random));
    if text.ends_with(|last: char| last.is_ascii_whitespace()) {
        text.pop();
        text.push(letter(random));
    }
    text
}

fn first_of(text: &str, random: &mut Random) -> String {
    match text.chars().next() {
        Some(first) if !first.is_ascii_whitespace() => first.to_string(),
        _ => letter(random).to_string(),
    }
}

/// Sometimes with white space around it, as files have it at their end.
fn surrounded(text: String, random: &mut Random) -> String {
    if text.len() + 2 > MAXIMUM_SECRET_BYTES {
        return text;
    }
    match random.below(8) {
        0 => format!("{text}\n"),
        1 => format!(" {text}"),
        2 => format!("{text}\r\n"),
        _ => text,
    }
}

/// The first half or so of another secret.
fn beginning(other: &str, random: &mut Random) -> String {
    let wanted = LEAST_OF_LETTERS + random.index(other.len() / 2);
    let end = other.char_indices().map(|(place, _)| place).find(|place| *place >= wanted).unwrap_or(other.len());
    other.get(..end).unwrap_or(other).trim_ascii().to_owned()
}

fn printable(random: &mut Random) -> char {
    u8::try_from(random.between(33, 127)).map_or('x', char::from)
}

fn letter(random: &mut Random) -> char {
    *random.one_of(&[
        'a', 'b', 'c', 'd', 'e', 'g', 'h', 'K', 'L', 'M', 'N', 'p', 'Q', 'R', 's', 'T', 'U', 'v', 'W', 'x', 'Y', 'z', '1', '2', '8', '9',
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_thousand_secrets_are_within_the_limits_and_of_every_kind() {
        let secrets = make(1000, &mut Random::new(3));
        let values: BTreeSet<&str> = secrets.iter().map(|secret| secret.value.trim_ascii()).collect();
        assert_eq!(values.len(), 1000, "no two are the same");
        let lengths: Vec<usize> = secrets.iter().map(|secret| secret.value.len()).collect();
        assert_eq!((lengths.iter().min(), lengths.iter().max()), (Some(&4), Some(&8192)));
        assert!(values.iter().all(|value| !value.is_empty() && !value.contains('\0')));
        for what in ["\n", "\"", "'", "\\", " ", "ä", "😶", "xxxxxxxxxxxxxxxx", "%"] {
            assert!(values.iter().any(|value| value.contains(what)), "{what:?}");
        }
        let begins = values.iter().zip(values.iter().skip(1)).filter(|(one, next)| next.starts_with(*one)).count();
        assert!(begins > 20, "{begins} begin another");
        assert!((50..200).contains(&secrets.iter().filter(|secret| secret.is_variable).count()));
    }
}
