//! The program that `tests/fuzz/run` starts: libFuzzer with the target that `FLOTILLA_FUZZ_TARGET` names.
#![no_main]

use flotilla_fuzz::{Target, find};
use std::sync::OnceLock;

static TARGET: OnceLock<Target> = OnceLock::new();

fn named() -> Target {
    let name = std::env::var("FLOTILLA_FUZZ_TARGET").unwrap_or_default();
    find(&name).unwrap_or_else(|| panic!("FLOTILLA_FUZZ_TARGET is {name:?}, which is no target; see tests/fuzz/src/lib.rs"))
}

libfuzzer_sys::fuzz_target!(init: {
    TARGET.get_or_init(named);
}, |data: &[u8]| {
    (TARGET.get_or_init(named).run)(data);
});
