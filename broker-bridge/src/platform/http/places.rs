//! Places for requests whose signature is not verified yet: their bodies are still to come.
//!
//! Anybody can claim to have an access key: its id is no secret. So claims of one key take at most a share, and never the places of the
//! requests that are verified.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Most requests that are being read at once.
const MAXIMUM_UNPROVEN: usize = 256;
/// Most of these that claim to come from the same access key.
const MAXIMUM_OF_A_KEY: usize = 64;

/// Who is in.
#[derive(Debug, Default)]
pub(super) struct Places(Mutex<BTreeMap<String, usize>>);

impl Places {
    /// A place, as long as it is held; nothing where there is none.
    pub(super) fn enter<'a>(&'a self, access_key_id: &'a str) -> Option<Place<'a>> {
        let mut inside = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_key = inside.get(access_key_id).copied().unwrap_or(0);
        if of_key >= MAXIMUM_OF_A_KEY || inside.values().sum::<usize>() >= MAXIMUM_UNPROVEN {
            return None;
        }
        inside.insert(access_key_id.to_owned(), of_key + 1);
        Some(Place { places: self, access_key_id })
    }
}

/// A place that is given back when it is let go.
#[derive(Debug)]
pub(super) struct Place<'a> {
    places: &'a Places,
    access_key_id: &'a str,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut inside = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        match inside.get_mut(self.access_key_id) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(inside.remove(self.access_key_id)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_has_a_share_and_gives_it_back() {
        let places = Places::default();
        let taken: Vec<_> = (0..200).map_while(|_| places.enter("a")).collect();
        assert_eq!(taken.len(), 64);
        let others: Vec<_> =
            ["b", "c", "d", "e"].into_iter().flat_map(|key| (0..128).map_while(|_| places.enter(key)).collect::<Vec<_>>()).collect();
        assert_eq!(others.len(), 256 - 64);
        drop(taken);
        assert!(places.enter("a").is_some());
        drop(others);
        assert_eq!(places.0.lock().unwrap().len(), 0);
    }
}
