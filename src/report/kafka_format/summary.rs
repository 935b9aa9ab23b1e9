//! What the tool says on stderr after the last file: mismatches, group by group.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::Profile;
use super::hash_order::{Library, PathMap};
use super::text::{put, put_int};

/// Two numbers that do not go together, the one that was looked at first.
type Pairs = Vec<(i64, i64)>;

/// Everything that is told only at the end. Paths are absolute.
#[derive(Clone, Debug)]
pub struct Summary {
    profile: Profile,
    index_mismatches: PathMap<Pairs>,
    timestamp_mismatches: PathMap<Pairs>,
    out_of_order_timestamps: PathMap<Pairs>,
    offsets_not_found: PathMap<Pairs>,
    non_consecutive: PathMap<Pairs>,
}

impl Summary {
    /// An empty summary.
    pub fn new(profile: Profile) -> Self {
        let library = if profile.has_java_maps() { Library::Java } else { Library::Scala };
        let empty = || PathMap::new(library);
        Self {
            profile,
            index_mismatches: empty(),
            timestamp_mismatches: empty(),
            out_of_order_timestamps: empty(),
            offsets_not_found: empty(),
            non_consecutive: empty(),
        }
    }

    /// An entry of an offset index leads to a batch that ends with another offset.
    pub fn index_mismatch(&mut self, file: &Path, index_offset: i64, log_offset: i64) {
        self.index_mismatches.put(file).push((index_offset, log_offset));
    }

    /// An entry of a time index has another timestamp than the batch that it names.
    pub fn timestamp_mismatch(&mut self, file: &Path, index_timestamp: i64, log_timestamp: i64) {
        self.timestamp_mismatches.get_or_put(file).push((index_timestamp, log_timestamp));
    }

    /// An entry of a time index is not later than the one before.
    pub fn out_of_order_timestamp(&mut self, file: &Path, index_timestamp: i64, previous_timestamp: i64) {
        self.out_of_order_timestamps.get_or_put(file).push((index_timestamp, previous_timestamp));
    }

    /// The offset of a time index entry ends no batch; `log_offset` ends the next one, −1 stands for none.
    pub fn offset_not_found(&mut self, file: &Path, index_offset: i64, log_offset: i64) {
        self.offsets_not_found.get_or_put(file).push((index_offset, log_offset));
    }

    /// Two records follow each other whose offsets do not.
    pub fn non_consecutive(&mut self, file: &Path, offset: i64, next_offset: i64) {
        self.non_consecutive.put(file).push((offset, next_offset));
    }

    /// Appends the whole summary: nothing where nothing was found.
    pub fn write(&self, out: &mut Vec<u8>) {
        for (file, pairs) in self.index_mismatches.iter() {
            heading(out, "Mismatches in :", file);
            for (index, log) in self.ordered(pairs, true) {
                pair(out, "  Index offset: ", index, ", log offset: ", log);
            }
        }
        for (file, pairs) in self.timestamp_mismatches.iter() {
            heading(out, "Found timestamp mismatch in :", file);
            for &(index, log) in pairs {
                pair(out, "  Index timestamp: ", index, ", log timestamp: ", log);
            }
        }
        for (file, pairs) in self.out_of_order_timestamps.iter() {
            heading(out, "Found out of order timestamp in :", file);
            for &(index, previous) in pairs {
                pair(out, "  Index timestamp: ", index, ", Previously indexed timestamp: ", previous);
            }
        }
        for (file, pairs) in self.offsets_not_found.iter() {
            if self.profile.names_file_of_lost_offsets() {
                heading(out, "The following indexed offsets are not found in :", file);
            } else {
                put(out, "The following indexed offsets are not found in the log.\n");
            }
            for &(index, log) in pairs {
                pair(out, "Indexed offset: ", index, ", found log offset: ", log);
            }
        }
        for (file, pairs) in self.non_consecutive.iter() {
            heading(out, "Non-consecutive offsets in ", file);
            for (offset, next) in self.ordered(pairs, false) {
                pair(out, "  ", offset, " is followed by ", next);
            }
        }
    }

    /// Scala prepends to a list. Java sorts into a map, where a later pair replaces an earlier one with the same key.
    fn ordered(&self, pairs: &Pairs, descending: bool) -> Pairs {
        let mut ordered = if self.profile.has_java_maps() {
            pairs.iter().copied().collect::<BTreeMap<_, _>>().into_iter().collect()
        } else {
            pairs.clone()
        };
        if descending || !self.profile.has_java_maps() {
            ordered.reverse();
        }
        ordered
    }
}

fn heading(out: &mut Vec<u8>, text: &str, file: &Path) {
    put(out, text);
    out.extend_from_slice(file.as_os_str().as_bytes());
    put(out, "\n");
}

fn pair(out: &mut Vec<u8>, first_label: &str, first: i64, second_label: &str, second: i64) {
    put_int(out, first_label, first);
    put_int(out, second_label, second);
    put(out, "\n");
}
