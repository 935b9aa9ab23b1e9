//! How an answer was found, step by step.

use crate::format::{Offset, Position};
use crate::scan::ScanEnd;

/// One step of a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A segment was considered for an offset.
    Segment {
        /// Its base offset.
        segment: Offset,
    },
    /// A broker's view on the largest timestamp of a segment.
    LargestTimestamp {
        /// Its base offset.
        segment: Offset,
        /// Milliseconds.
        timestamp: i64,
        /// Whether the file's modification time stands in, because the time index has no entry.
        is_modification_time: bool,
        /// Whether that reaches the timestamp that was asked for.
        is_chosen: bool,
    },
    /// An entry of a time index was followed.
    TimeIndexEntry {
        /// The base offset of its segment.
        segment: Offset,
        /// Its number, from 0; `None` where no entry is low enough.
        slot: Option<usize>,
        /// What it says, or the base offset.
        offset: Offset,
        /// What it says, in milliseconds.
        timestamp: Option<i64>,
    },
    /// An entry of an offset index was followed.
    OffsetIndexEntry {
        /// The base offset of its segment.
        segment: Offset,
        /// Its number, from 0; `None` where no entry is low enough, and the segment's start is taken.
        slot: Option<usize>,
        /// What it says, or the base offset.
        offset: Offset,
        /// What it says, as stored.
        position: i64,
    },
    /// An entry of an offset index was not believed, because the log says otherwise.
    EntryRefused {
        /// The base offset of its segment.
        segment: Offset,
        /// Its number, from 0.
        slot: usize,
        /// What it says.
        offset: Offset,
        /// What it says, as stored.
        position: i64,
    },
    /// The offset index has no entry at all, though the log is not empty: the file is missing, or all zero.
    NoIndex {
        /// The base offset of its segment.
        segment: Offset,
        /// Whether there is a file.
        exists: bool,
    },
    /// Batches were read.
    Batches {
        /// The base offset of their segment.
        segment: Offset,
        /// Where the first of them begins.
        from: Position,
        /// How many.
        count: u64,
        /// Whether every one was checksummed, or only those that matter.
        checksummed: bool,
    },
    /// What headers say does not fit together: the segment was read again with all checksums.
    OddHeader {
        /// The base offset of the segment.
        segment: Offset,
        /// Where.
        position: Position,
    },
    /// A broker has recovered this segment when it started, because it has no offset index.
    Recovered {
        /// Its base offset.
        segment: Offset,
        /// How many bytes of the log it keeps.
        size_in_bytes: u64,
    },
    /// A batch with an intact checksum whose records cannot be decoded was passed over.
    Unreadable {
        /// The base offset of its segment.
        segment: Offset,
        /// Where it begins.
        position: Position,
        /// Its size.
        size_in_bytes: u64,
    },
    /// Bytes that are no intact batch were passed over, or end the log.
    Damaged {
        /// The base offset of their segment.
        segment: Offset,
        /// What they are.
        end: ScanEnd,
    },
    /// Intact batches whose offsets cannot be right: they go back behind those before, or leave the segment.
    Contradiction {
        /// The base offset of their segment.
        segment: Offset,
        /// Where the first of them begins.
        position: Position,
        /// How many bytes they take.
        size_in_bytes: u64,
        /// How many they are.
        count: u64,
        /// The first offset of the first, as stored.
        first_offset: Offset,
        /// The last offset of the last, as stored.
        last_offset: Offset,
        /// Whether the first leaves the segment.
        is_outside: bool,
        /// Where an intact batch follows directly.
        next: Option<Position>,
    },
    /// An entry of a time index leads past records that are there, or to some that are not.
    TimeEntryRefused {
        /// The base offset of its segment.
        segment: Offset,
        /// Its number, from 0.
        slot: usize,
        /// What it says.
        offset: Offset,
        /// What it says, in milliseconds.
        timestamp: i64,
    },
    /// The time index has no entry at all, though the log has timestamps: the file is missing, empty or all zero.
    NoTimeIndex {
        /// The base offset of its segment.
        segment: Offset,
        /// Whether there is a file.
        exists: bool,
    },
}

/// The steps of one lookup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// In the order in which they were done.
    pub steps: Vec<Step>,
}

impl Trace {
    pub(super) fn add(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// How many batches were looked at.
    pub fn batches_read(&self) -> u64 {
        self.steps.iter().map(|step| if let Step::Batches { count, .. } = step { *count } else { 0 }).sum()
    }

    /// The segments of which an index was no help, because it is missing, empty or wrong.
    pub fn helpless(&self) -> impl Iterator<Item = Offset> {
        self.steps.iter().filter_map(|step| match step {
            Step::EntryRefused { segment, .. }
            | Step::NoIndex { segment, .. }
            | Step::TimeEntryRefused { segment, .. }
            | Step::NoTimeIndex { segment, .. } => Some(*segment),
            _ => None,
        })
    }

    /// Whether an index was no help, because it is missing, empty or wrong.
    pub fn index_was_no_help(&self) -> bool {
        self.helpless().next().is_some()
    }

    /// Whether batches were met whose offsets cannot be right.
    pub(super) fn met_contradiction(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Contradiction { .. }))
    }

    /// Adds what a walk ended at, unless that is the end of the log.
    pub(super) fn ended(&mut self, segment: Offset, end: Option<&ScanEnd>) {
        match end {
            None | Some(ScanEnd::CleanEof | ScanEnd::Stopped) => {}
            Some(end) => self.add(Step::Damaged { segment, end: *end }),
        }
    }
}
