//! A disk in memory: what was written is seen at once and comes to stay only with a sync; a cut keeps any part of the rest.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use crate::exec::journal::disk::Disk;

/// What the disk writes at once.
const SECTOR: usize = 512;

/// What a call comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Fault {
    #[default]
    None,
    /// The power goes at this call, and with this seed it is drawn what of the unsynced comes to stay.
    Cut { call: usize, seed: u64 },
    /// This call fails, and so many after it.
    Fail { call: usize, calls: usize, error: io::ErrorKind },
}

#[derive(Debug, Default, Clone)]
struct File {
    seen: Vec<u8>,
    durable: Vec<u8>,
    /// Writes since the last sync, as sectors; a sync that fails forgets them, as Linux does.
    pending: Vec<(usize, Vec<u8>)>,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, File>,
    /// The names that a cut leaves: name, and the name under which its file is known in `files` or was when it was synced.
    durable_names: BTreeMap<String, File>,
    names_changed: bool,
    calls: usize,
    fault: Fault,
    is_off: bool,
    room: Option<usize>,
    /// Files that the medium does not give, by the number of the error; the error stays with the file, whatever it is called.
    unreadable: BTreeMap<String, i32>,
}

/// Clones share the disk.
#[derive(Debug, Default, Clone)]
pub(super) struct Simulated(Arc<Mutex<State>>);

impl Simulated {
    pub(super) fn set(&self, fault: Fault) {
        let mut state = self.0.lock().unwrap();
        (state.fault, state.calls) = (fault, 0);
    }

    /// The medium does not give this file any more.
    pub(super) fn break_file(&self, name: &str, error: nix::Error) {
        self.0.lock().unwrap().unreadable.insert(name.to_owned(), error as i32);
    }

    /// No file may grow beyond so many bytes in all.
    pub(super) fn set_room(&self, room: Option<usize>) {
        self.0.lock().unwrap().room = room;
    }

    pub(super) fn calls(&self) -> usize {
        self.0.lock().unwrap().calls
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.0.lock().unwrap().files.keys().cloned().collect()
    }

    pub(super) fn content(&self, name: &str) -> Vec<u8> {
        self.0.lock().unwrap().files[name].seen.clone()
    }

    /// Replaces a file behind the journal's back; `None` removes it.
    pub(super) fn replace(&self, name: &str, content: Option<Vec<u8>>) {
        let mut state = self.0.lock().unwrap();
        match content {
            Some(bytes) => {
                let file = File { seen: bytes.clone(), durable: bytes, pending: Vec::new() };
                state.files.insert(name.to_owned(), file.clone());
                state.durable_names.insert(name.to_owned(), file);
            }
            None => {
                state.files.remove(name);
                state.durable_names.remove(name);
            }
        }
    }

    /// The power comes back: only what came to stay is there. Without a cut before, everything unsynced is drawn by `seed` now.
    pub(super) fn restart(&self, seed: u64) {
        let mut state = self.0.lock().unwrap();
        let mut draw = Draw(seed);
        // Names change in their order or not at all, as in a file system's journal.
        let keeps_names = !state.names_changed || draw.bit();
        let files = std::mem::take(&mut state.files);
        let mut after = if keeps_names { files.clone() } else { BTreeMap::new() };
        if !keeps_names {
            for (name, before) in &state.durable_names {
                // The same file, wherever it is called now: its content is what was written to it since.
                after.insert(name.clone(), files.get(name).cloned().unwrap_or_else(|| before.clone()));
            }
        }
        for file in after.values_mut() {
            for (at, bytes) in std::mem::take(&mut file.pending) {
                if draw.bit() {
                    put(&mut file.durable, at, &bytes);
                }
            }
            file.seen = file.durable.clone();
        }
        state.durable_names = after.clone();
        (state.files, state.names_changed, state.is_off, state.fault) = (after, false, false, Fault::None);
    }
}

/// A small generator: the seed is the whole history.
struct Draw(u64);

impl Draw {
    fn bit(&mut self) -> bool {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 63 == 1
    }
}

fn put(bytes: &mut Vec<u8>, at: usize, new: &[u8]) {
    if bytes.len() < at + new.len() {
        bytes.resize(at + new.len(), 0);
    }
    bytes[at..at + new.len()].copy_from_slice(new);
}

fn sectors(at: usize, bytes: &[u8]) -> Vec<(usize, Vec<u8>)> {
    let mut pieces = Vec::new();
    let mut done = 0;
    while done < bytes.len() {
        let end = ((at + done) / SECTOR + 1) * SECTOR - at;
        let end = end.min(bytes.len());
        pieces.push((at + done, bytes[done..end].to_vec()));
        done = end;
    }
    pieces
}

impl State {
    fn call(&mut self) -> io::Result<()> {
        self.calls += 1;
        match self.fault {
            _ if self.is_off => Err(io::Error::other("the power is off")),
            Fault::Cut { call, .. } if self.calls >= call => {
                self.is_off = true;
                Err(io::Error::other("the power goes"))
            }
            Fault::Fail { call, calls, error } if (call..call + calls).contains(&self.calls) => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn write(&mut self, name: &str, at: usize, bytes: &[u8]) {
        if !self.files.contains_key(name) {
            self.names_changed = true;
        }
        let file = self.files.entry(name.to_owned()).or_default();
        put(&mut file.seen, at, bytes);
        file.pending.extend(sectors(at, bytes));
    }
}

impl Disk for Simulated {
    fn read(&mut self, name: &str, _maximum: u64) -> io::Result<Option<Vec<u8>>> {
        let state = self.0.lock().unwrap();
        match state.unreadable.get(name) {
            Some(number) => Err(io::Error::from_raw_os_error(*number)),
            None => Ok(state.files.get(name).map(|file| file.seen.clone())),
        }
    }

    fn exists(&mut self, name: &str) -> io::Result<bool> {
        Ok(self.0.lock().unwrap().files.contains_key(name))
    }

    fn resize(&mut self, name: &str, length: u64) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.call()?;
        let length = usize::try_from(length).unwrap();
        let others: usize = state.files.iter().filter(|(of, _)| *of != name).map(|(_, file)| file.seen.len()).sum();
        if state.room.is_some_and(|room| others + length > room) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.names_changed |= !state.files.contains_key(name);
        let file = state.files.entry(name.to_owned()).or_default();
        file.seen.resize(length, 0);
        file.durable = file.seen.clone();
        file.pending.clear();
        Ok(())
    }

    fn write_at(&mut self, name: &str, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let at = usize::try_from(at).unwrap();
        let done = state.call();
        match done {
            Ok(()) => state.write(name, at, bytes),
            // Half of it is written.
            Err(_) => state.write(name, at, &bytes[..bytes.len() / 2]),
        }
        done
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let done = state.call();
        let is_off = state.is_off;
        if let Some(file) = state.files.get_mut(name) {
            match done {
                Ok(()) => {
                    for (at, bytes) in std::mem::take(&mut file.pending) {
                        put(&mut file.durable, at, &bytes);
                    }
                }
                Err(_) if is_off => {}
                // The pages are clean from now on, and were never written.
                Err(_) => file.pending.clear(),
            }
        }
        done
    }

    fn close(&mut self, _name: &str) {}

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.call()?;
        let file = state.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.files.insert(to.to_owned(), file);
        if let Some(error) = state.unreadable.remove(from) {
            state.unreadable.insert(to.to_owned(), error);
        }
        state.names_changed = true;
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.call()?;
        state.names_changed |= state.files.remove(name).is_some();
        Ok(())
    }

    fn sync_names(&mut self) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.call()?;
        (state.durable_names, state.names_changed) = (state.files.clone(), false);
        Ok(())
    }
}
