//! How much of something one address may hold at once, so that nobody alone can
//! hold all of it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// Places that are held by name, so many by each.
#[derive(Debug)]
pub struct Crowd<K> {
    each: usize,
    held: Arc<Mutex<HashMap<K, usize>>>,
}

/// One place; given back when this is dropped.
#[derive(Debug)]
pub struct Place<K: Hash + Eq> {
    name: K,
    held: Arc<Mutex<HashMap<K, usize>>>,
}

impl<K: Hash + Eq + Clone> Crowd<K> {
    /// So many places for each name.
    pub fn new(each: usize) -> Self {
        Self {
            each,
            held: Arc::default(),
        }
    }

    /// A place for `name`, unless it holds all of its own.
    pub fn enter(&self, name: K) -> Option<Place<K>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(name.clone()).or_insert(0);
        if *count >= self.each {
            return None;
        }
        *count += 1;
        drop(held);
        Some(Place {
            name,
            held: self.held.clone(),
        })
    }
}

impl<K: Hash + Eq> Drop for Place<K> {
    fn drop(&mut self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.name) {
            *count -= 1;
            // The map holds nobody who holds nothing, so that it cannot grow.
            if *count == 0 {
                held.remove(&self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_its_own_places_and_gets_them_back() {
        let crowd = Crowd::new(2);
        let first = crowd.enter("a").unwrap();
        let _second = crowd.enter("a").unwrap();
        assert!(crowd.enter("a").is_none());
        let other = crowd.enter("b").unwrap();
        drop(first);
        let _third = crowd.enter("a").unwrap();
        drop(other);
        assert_eq!(crowd.held.lock().unwrap().len(), 1);
    }
}
