//! `flotilla-secret-printer`: a script's accident, many times. Says the hash of each secret that it is given, then prints each in every
//! encoding, with writes that end anywhere.
//!
//! usage: flotilla-secret-printer SEED SECRET..., each the path of a file or `env:NAME`.

use flotilla_protocol::sha256;
use flotilla_tests::leaks::encodings::ENCODINGS;
use flotilla_tests::random::Random;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

/// A text up to this length is sometimes written byte by byte.
const MOST_BYTEWISE: usize = 96;
/// Longer than a possible beginning of a secret is held back.
const LONG_PAUSE: Duration = Duration::from_millis(1_100);

fn main() -> ExitCode {
    match print_all() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(io::stderr(), "flotilla-secret-printer: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn print_all() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let seed = arguments.next().and_then(|seed| seed.parse().ok()).ok_or_else(|| io::Error::other("no seed"))?;
    let mut random = Random::new(seed);
    let secrets = arguments.map(|argument| read(&argument)).collect::<io::Result<Vec<_>>>()?;
    for (index, secret) in secrets.iter().enumerate() {
        let hash: String = sha256(&[secret]).iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(io::stdout(), "hash {index} {hash}")?;
    }
    // It takes a while, so once or not at all.
    let mut long_pauses = usize::from(random.percent(50));
    for secret in &secrets {
        for encoding in ENCODINGS {
            let printed = [b"> ".as_slice(), &(encoding.encode)(secret), b" <\n"].concat();
            if random.percent(60) {
                write_cut(&mut io::stdout(), &printed, &mut random, &mut long_pauses)?;
            } else {
                write_cut(&mut io::stderr(), &printed, &mut random, &mut long_pauses)?;
            }
        }
    }
    Ok(())
}

fn read(argument: &str) -> io::Result<Vec<u8>> {
    match argument.strip_prefix("env:") {
        Some(name) => std::env::var(name).map(String::into_bytes).map_err(io::Error::other),
        None => std::fs::read(argument),
    }
}

/// Writes a text in pieces, each with a write of its own.
fn write_cut(stream: &mut impl Write, text: &[u8], random: &mut Random, long_pauses: &mut usize) -> io::Result<()> {
    let cuts = match random.below(10) {
        0 | 1 => 0,
        2 | 3 if text.len() <= MOST_BYTEWISE => text.len(),
        _ => 1 + random.index(5),
    };
    let mut places: Vec<usize> =
        if cuts == text.len() { (0..cuts).collect() } else { (0..cuts).map(|_| random.index(text.len())).collect() };
    places.push(text.len());
    places.sort_unstable();
    let mut from = 0;
    for to in places {
        stream.write_all(text.get(from..to).unwrap_or_default())?;
        stream.flush()?;
        from = to;
        if *long_pauses > 0 && random.percent(10) {
            *long_pauses -= 1;
            std::thread::sleep(LONG_PAUSE);
        } else if random.percent(30) {
            std::thread::sleep(random.moment(Duration::from_millis(3)));
        }
    }
    Ok(())
}
