//! What SQLite and PostgreSQL do not share.

/// Begins a transaction that will write: SQLite takes the lock now, not at the first write, so that two writers wait for one
/// another instead of failing.
pub(super) const BEGIN_WRITE: &str = "BEGIN IMMEDIATE";

/// Primary result codes of SQLite (sqlite.org/rescode.html); extended codes hold them in their low byte.
pub(super) const CODE_BUSY: i32 = 5;
/// The table is locked by a shared cache.
pub(super) const CODE_LOCKED: i32 = 6;
/// An I/O error of the disk.
pub(super) const CODE_IO: i32 = 10;
/// The file is malformed.
pub(super) const CODE_CORRUPT: i32 = 11;
/// The disk is full.
pub(super) const CODE_FULL: i32 = 13;
/// The file is no database.
pub(super) const CODE_NOT_A_DATABASE: i32 = 26;
