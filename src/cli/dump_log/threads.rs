//! Records dumped by several threads that share one walk: their output does not depend on how many there are.
//!
//! The walk leads over the file as with one thread: it reads, looks at checksums, passes over damage and knows which
//! batches are wanted. Each thread in turn takes the next [`Unit`] from it, puts that into lines on its own, and hands
//! them to the thread that writes, which has them in order and keeps the account.
//!
//! What is not yet written is bounded. A batch that takes unusual memory, and what follows it in its unit, is handed
//! back: the thread that writes does it when its turn has come.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::lines::{Lines, Page};
use super::walk::Wanted;
use crate::cli::jobs::Jobs;
use crate::format::Position;
use crate::format::batch::BatchHeader;
use crate::format::compression::Compression;
use crate::report::reporter::Reporter;
use crate::scan::{BatchScan, ScanEnd, ScannedBatch};
use crate::store::StoreError;
use crate::store::window::Held;

/// The largest batch that a unit holds.
pub(super) const LARGEST_HELD: u64 = 2 << 20;
/// The most that a batch may decompress to in a thread beside the one that writes.
pub(super) const LARGEST_DECOMPRESSED: usize = 8 << 20;
/// More threads are not fed by one walk.
pub(super) const MOST_JOBS: usize = 16;
/// What all units that are begun may take from the file, about.
const INPUT_BUDGET: u64 = 8 << 20;
/// The lines of all units that are begun, about.
const OUTPUT_BUDGET: usize = 32 << 20;
/// The most that a unit takes from the file: what fits a core's second-level cache.
const LARGEST_UNIT: u64 = 256 << 10;
/// So many bytes come out of a compressed one, as an estimate.
const EXPANSION: u64 = 6;

/// How large units and their lines are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) input: u64,
    pub(super) output: usize,
}

impl Sizes {
    pub(super) fn of(jobs: &Jobs<'_>) -> Self {
        let units = jobs.most_in_flight();
        Self { input: (INPUT_BUDGET / units as u64).min(LARGEST_UNIT), output: OUTPUT_BUDGET / units }
    }
}

/// Some neighbouring batches, and how the walk came to its end there.
pub(super) struct Unit {
    /// From where to where the walk has gone.
    range: Range<Position>,
    /// Those that are wanted.
    batches: Vec<(Position, BatchHeader, Option<Held>)>,
    then: Then,
}

/// What comes behind a unit.
pub(super) enum Then {
    /// The next unit, or nothing if the walk has seen enough.
    Next,
    /// What the walk has met.
    End(ScanEnd),
    Failed(StoreError),
}

/// The walk, cut into units.
pub(super) struct Walk<'w> {
    pub(super) scan: BatchScan<'w>,
    pub(super) wanted: Wanted<'w>,
    pub(super) stop_at_damage: bool,
    /// About how many bytes of the file a unit takes.
    pub(super) unit: u64,
    pub(super) has_ended: bool,
}

impl Iterator for Walk<'_> {
    type Item = Unit;

    fn next(&mut self) -> Option<Unit> {
        if self.has_ended {
            return None;
        }
        let start = self.scan.position();
        let mut batches = Vec::new();
        let then = self.gather(&mut batches).unwrap_or_else(|error| {
            self.has_ended = true;
            Then::Failed(error)
        });
        let range = start..self.scan.position();
        if matches!(then, Then::End(_)) {
            self.has_ended = self.stop_at_damage || !self.scan.skip_damage();
        }
        Some(Unit { range, batches, then })
    }
}

impl Walk<'_> {
    fn gather(&mut self, batches: &mut Vec<(Position, BatchHeader, Option<Held>)>) -> Result<Then, StoreError> {
        let mut weight = 0;
        while weight < self.unit {
            let Some(ScannedBatch { position, header, bytes }) = self.scan.next_batch()? else {
                return Ok(self.scan.end().map_or(Then::Next, |end| Then::End(*end)));
            };
            let (header, is_held) = (*header, bytes.is_some());
            if self.wanted.is_behind(&header) {
                self.has_ended = true;
                break;
            }
            let size = header.size_in_bytes();
            weight += size;
            if self.wanted.takes(&header) {
                let held = if is_held { Some(self.scan.hold(position, &header)?) } else { None };
                batches.push((position, header, held));
                if header.compression() != Ok(Compression::None) {
                    weight += size * (EXPANSION - 1);
                }
            }
        }
        Ok(Then::Next)
    }
}

/// A unit in lines.
pub(super) struct Done {
    pub(super) page: Page,
    /// What of the unit is left to the thread that writes.
    pub(super) rest: Option<Range<Position>>,
    /// Where the walk was behind the unit.
    pub(super) end: Position,
    pub(super) then: Then,
}

/// One of the threads.
pub(super) struct Worker<'a> {
    pub(super) lines: Lines<'a>,
    pub(super) reporter: Reporter,
    pub(super) file: &'a str,
    /// How long its lines may become.
    pub(super) most: usize,
    pub(super) blanks: &'a Blanks,
}

impl Worker<'_> {
    /// Puts a unit into lines.
    pub(super) fn write(&mut self, unit: Unit) -> Done {
        let Unit { range, batches, then } = unit;
        let mut page = Page::onto(self.blanks.take());
        let mut rest = None;
        for (position, header, held) in &batches {
            let bytes = held.as_ref().map(Held::bytes);
            let scanned = ScannedBatch { position: *position, header, bytes };
            if self.lines.usual_batch(&mut self.reporter, &mut page, &scanned, self.file, self.most) {
                continue;
            }
            rest = Some(*position..range.end);
            break;
        }
        Done { page, rest, end: range.end, then }
    }
}

/// Memory for lines that goes round between the threads.
pub(super) struct Blanks {
    free: Mutex<Vec<Vec<u8>>>,
    /// One huge record must not pin more than so many bytes for the rest of the run.
    most: usize,
}

impl Blanks {
    /// Memory of which each piece is kept up to `most` bytes.
    pub(super) fn of_at_most(most: usize) -> Self {
        Self { free: Mutex::default(), most }
    }

    /// Memory that holds nothing.
    pub(super) fn take(&self) -> Vec<u8> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Takes back what is not needed any more.
    pub(super) fn give_back(&self, mut used: Vec<u8>) {
        used.clear();
        used.shrink_to(self.most);
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(used);
    }
}
