//! Journals that are none any more: moved aside for whoever wants to know what happened, the last few of them.

use std::io;

use super::SLOTS;
use super::disk::Disk;

/// How many lost journals are kept. They take as much room as the journal itself.
const KEPT: u32 = 2;

fn name(slot: &str, age: u32) -> String {
    format!("{slot}.damaged.{age}")
}

/// Moves both slots aside; the oldest that were moved before make place. It may be cut at any moment and called again.
///
/// # Errors
/// Whatever the disk says.
pub(super) fn move_aside(disk: &mut dyn Disk) -> io::Result<()> {
    for slot in SLOTS {
        // A slot that is not there any more was moved before the cut: nothing makes place for it twice.
        if disk.exists(slot)? {
            for age in (1..KEPT).rev() {
                move_if_there(disk, &name(slot, age), &name(slot, age + 1))?;
            }
            move_if_there(disk, slot, &name(slot, 1))?;
        }
    }
    disk.sync_names()
}

/// Removes what was moved aside; whether there was any.
pub(super) fn remove_all(disk: &mut dyn Disk) -> bool {
    let names = SLOTS.into_iter().flat_map(|slot| (1..=KEPT).map(move |age| name(slot, age)));
    let is_removed = |name: String| disk.exists(&name).unwrap_or(false) && disk.remove(&name).is_ok();
    names.map(is_removed).filter(|is_removed| *is_removed).count() > 0
}

fn move_if_there(disk: &mut dyn Disk, from: &str, to: &str) -> io::Result<()> {
    match disk.rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
