//! What happened, line by line: a hash over all lines, and the last of them for whoever looks into a failure.

use std::collections::VecDeque;
use std::fmt::Write as _;

/// Lines that are kept.
const TAIL: usize = 80;

#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    lines: u64,
    tail: VecDeque<String>,
    buffer: String,
}

impl Trace {
    pub(crate) fn new() -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, lines: 0, tail: VecDeque::new(), buffer: String::new() }
    }

    pub(crate) fn line(&mut self, now_ms: u64, what: std::fmt::Arguments<'_>) {
        self.buffer.clear();
        write!(self.buffer, "{:>4}:{:02}:{:02}.{:03} {what}", now_ms / 3_600_000, now_ms / 60_000 % 60, now_ms / 1000 % 60, now_ms % 1000)
            .unwrap();
        // FNV-1a: it is to tell runs apart, not to withstand anybody.
        for byte in self.buffer.bytes().chain([b'\n']) {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.lines += 1;
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(self.buffer.clone());
        if std::env::var_os("FLOTILLA_TRACE").is_some() {
            super::say(&self.buffer);
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn lines(&self) -> u64 {
        self.lines
    }

    pub(crate) fn tail(&self) -> String {
        self.tail.iter().map(|line| format!("  {line}\n")).collect()
    }
}
