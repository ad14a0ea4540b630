//! How much room the journal must have for what was promised: each accepted order will need its end recorded.
//!
//! The shell says how many bytes a whole journal may have ([`crate::Input::Storage`]); here is how many are spoken for. So an order is taken
//! only when its end can be recorded, on a disk that has filled up meanwhile too.

use flotilla_protocol::wire::MAXIMUM_MESSAGE_BYTES;

/// What a record costs beside its bytes: frame, length, discriminants, a fixed member or two.
const RECORD_OVERHEAD: u64 = 96;

/// A signed report without output: an admission, a progress report, an end before the start.
const SMALL_REPORT: u64 = 512;

/// For what every journal has: its beginning, floor, trust, chain, and records on their way that cost nothing in a snapshot.
const BASE: u64 = 16 * 1024;

/// What a running job's end may take: a result is at most a message.
pub(crate) fn of_running_job() -> u64 {
    bytes(MAXIMUM_MESSAGE_BYTES) + RECORD_OVERHEAD
}

/// What an order that has asked for a reboot takes beside its end: its steps so far, which are at most a result, and what is said of it.
pub(crate) fn of_reboot() -> u64 {
    of_running_job() + 3 * (SMALL_REPORT + RECORD_OVERHEAD)
}

/// What an order that waits takes: its envelope and node data, its admission, the progress report of its start, and an end before its start.
pub(crate) fn of_waiting_order(body_bytes: usize) -> u64 {
    bytes(body_bytes) + 3 * (SMALL_REPORT + RECORD_OVERHEAD)
}

/// What the whole of these takes: orders with an outcome and lanes, reports without a receipt, streams on their way, each with its number.
pub(crate) fn of_the_rest(ids: usize, reports: (usize, usize), streams: usize) -> u64 {
    let (report_count, report_bytes) = reports;
    BASE + (bytes(ids) + bytes(report_count) + bytes(streams)) * RECORD_OVERHEAD + bytes(report_bytes)
}

fn bytes(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
