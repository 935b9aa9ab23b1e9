//! The order in which hash maps of Scala and of Java give their keys back.
//!
//! The tool keeps its findings in hash maps keyed by absolute path and prints them as the map has them, so a faithful
//! summary has to know how these maps grow and where they put what.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// How many buckets a map begins with.
const FIRST_BUCKETS: usize = 16;

/// Whose map it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Library {
    /// Grows before a put that would fill three quarters; buckets are sorted by hash, then by age.
    Scala,
    /// Grows at an access when more than three quarters are full; a new key goes to the front of its bucket.
    ///
    /// Buckets of more than eight keys, which Java turns into trees, are not imitated: that takes eight paths of
    /// a few with the same low bits.
    Java,
}

/// Values by path, given back in the order of the original's map.
#[derive(Clone, Debug)]
pub(super) struct PathMap<T> {
    library: Library,
    buckets: Vec<Vec<usize>>,
    entries: Vec<Entry<T>>,
    by_path: HashMap<PathBuf, usize>,
}

#[derive(Clone, Debug)]
struct Entry<T> {
    hash: i32,
    path: PathBuf,
    value: T,
}

impl<T: Default> PathMap<T> {
    pub(super) fn new(library: Library) -> Self {
        Self { library, buckets: vec![Vec::new(); FIRST_BUCKETS], entries: Vec::new(), by_path: HashMap::new() }
    }

    /// The value of `path`, put into the map again even if it is there: that alone can make a map of Scala grow.
    pub(super) fn put(&mut self, path: &Path) -> &mut T {
        self.grow();
        self.find_or_insert(path)
    }

    /// The value of `path`, put into the map only if it is not there.
    pub(super) fn get_or_put(&mut self, path: &Path) -> &mut T {
        if self.library == Library::Java || !self.by_path.contains_key(path) {
            self.grow();
        }
        self.find_or_insert(path)
    }

    /// Paths and values in the order of the map.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Path, &T)> {
        let slots = self.buckets.iter().flatten();
        slots.map(|&slot| (self.entries[slot].path.as_path(), &self.entries[slot].value))
    }

    fn find_or_insert(&mut self, path: &Path) -> &mut T {
        let slot = match self.by_path.get(path) {
            Some(&slot) => slot,
            None => self.insert(path),
        };
        &mut self.entries[slot].value
    }

    fn insert(&mut self, path: &Path) -> usize {
        let slot = self.entries.len();
        let hash = spread_hash(path.as_os_str());
        self.entries.push(Entry { hash, path: path.to_owned(), value: T::default() });
        self.by_path.insert(path.to_owned(), slot);
        let at = hash as usize & (self.buckets.len() - 1);
        let place = match self.library {
            Library::Scala => self.buckets[at].partition_point(|&other| self.entries[other].hash <= hash),
            Library::Java => 0,
        };
        self.buckets[at].insert(place, slot);
        slot
    }

    fn grow(&mut self) {
        let (size, room) = (self.entries.len(), self.buckets.len() / 4 * 3);
        let is_full = match self.library {
            Library::Scala => size + 1 >= room,
            Library::Java => size > room,
        };
        if !is_full {
            return;
        }
        let doubled = self.buckets.len() * 2;
        let old = std::mem::replace(&mut self.buckets, vec![Vec::new(); doubled]);
        // Two keys of one new bucket were in one old bucket, and keep their order.
        for slot in old.into_iter().flatten() {
            self.buckets[self.entries[slot].hash as usize & (doubled - 1)].push(slot);
        }
    }
}

/// Java's hash of a string, its upper half folded into the lower.
fn spread_hash(text: &OsStr) -> i32 {
    let text = text.to_string_lossy();
    let hash = text.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    hash ^ (hash as u32 >> 16) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_hash_as_in_java() {
        // What Java says of `"Kafka".hashCode()` and of one character that is two UTF-16 units.
        for (text, hash_code) in [("", 0), ("Kafka", 72_255_238i32), ("\u{1f600}", 1_772_899)] {
            assert_eq!(spread_hash(OsStr::new(text)), hash_code ^ (hash_code as u32 >> 16) as i32, "{text}");
        }
    }

    /// The numbers of the partitions `/srv/k/t-<number>` in the order of the map, `puts` for each of the first `files`.
    fn order(library: Library, files: usize, name: &str, puts: impl Fn(&mut PathMap<u32>, &Path)) -> Vec<usize> {
        let path = |number: usize| PathBuf::from(format!("/srv/k/t-{number}/{name}"));
        let mut map = PathMap::new(library);
        (0..files).for_each(|number| puts(&mut map, &path(number)));
        map.iter().map(|(found, _)| (0..files).find(|&number| path(number) == found).unwrap()).collect()
    }

    /// The order of headings that kafka-dump-log of 4.0.0 (Scala) and 4.3.1 (Java) print for these very paths.
    #[test]
    fn logs_with_gaps_come_in_the_order_of_the_real_tool() {
        // Each log has three gaps; from 4.3 on its first record counts as a fourth.
        let gaps = |library, files| {
            order(library, files, "0.log", |map, path| {
                for _ in 0..if library == Library::Scala { 3 } else { 4 } {
                    *map.put(path) += 1;
                }
            })
        };
        assert_eq!(gaps(Library::Scala, 11), [0, 7, 5, 2, 1, 6, 10, 3, 9, 8, 4]);
        assert_eq!(gaps(Library::Java, 11), [0, 3, 9, 7, 8, 5, 2, 4, 1, 10, 6]);
        assert_eq!(gaps(Library::Scala, 13), [11, 0, 7, 5, 2, 1, 6, 10, 3, 9, 8, 12, 4]);
        assert_eq!(gaps(Library::Java, 13), [11, 0, 7, 5, 2, 1, 10, 6, 3, 9, 8, 12, 4]);
        assert_eq!(
            gaps(Library::Scala, 26),
            [25, 15, 1, 20, 6, 10, 19, 3, 8, 16, 23, 13, 11, 21, 0, 7, 18, 5, 2, 14, 24, 9, 22, 12, 4, 17]
        );
        assert_eq!(
            gaps(Library::Java, 26),
            [25, 20, 15, 1, 10, 6, 19, 3, 8, 16, 23, 13, 21, 11, 0, 18, 7, 5, 2, 14, 24, 9, 22, 12, 4, 17]
        );
    }

    /// As above, for time indexes with two wrong timestamps each.
    #[test]
    fn wrong_time_indexes_come_in_the_order_of_the_real_tool() {
        let wrong = |library, files| {
            order(library, files, "0.timeindex", |map, path| {
                *map.get_or_put(path) += 1;
                *map.get_or_put(path) += 1;
            })
        };
        assert_eq!(wrong(Library::Scala, 11), [1, 9, 10, 4, 0, 8, 5, 3, 7, 2, 6]);
        assert_eq!(wrong(Library::Java, 11), [9, 1, 10, 8, 4, 0, 5, 7, 3, 6, 2]);
        assert_eq!(wrong(Library::Scala, 13), [9, 8, 5, 12, 7, 11, 6, 1, 10, 4, 0, 3, 2]);
        assert_eq!(wrong(Library::Java, 13), [9, 8, 12, 5, 7, 11, 6, 1, 10, 4, 0, 3, 2]);
        assert_eq!(
            wrong(Library::Scala, 26),
            [9, 8, 5, 7, 6, 15, 16, 25, 18, 14, 17, 24, 13, 23, 12, 19, 22, 11, 1, 21, 10, 4, 0, 20, 3, 2]
        );
        assert_eq!(
            wrong(Library::Java, 26),
            [9, 8, 5, 7, 6, 15, 16, 25, 18, 14, 24, 17, 13, 23, 12, 22, 19, 11, 1, 21, 10, 20, 4, 0, 3, 2]
        );
    }
}
