//! The batches of a large log as lines, by several threads: each looks at parts of the log ahead of the walk.
//!
//! The walk takes of a part what it comes to itself, and with it the lines: see [`crate::scan::parts`].

use std::ops::Range;

use super::lines::{Lines, Page};
use super::threads::Blanks;
use super::walk::{Log, Wanted};
use crate::report::reporter::Reporter;
use crate::scan::parts::Part;
use crate::scan::{LogSoFar, ScanOptions, ScannedBatch};
use crate::store::window::Scratch;

/// The smallest log that is worth it, in bytes.
pub(super) const WORTH_PARTS: u64 = 2 << 20;

/// Where among the lines of a part that of a batch is; empty if it is not wanted.
pub(super) type Line = Range<usize>;

/// What a thread has made of a part.
pub(super) struct LookedAhead {
    pub(super) part: Part<Line>,
    pub(super) lines: Vec<u8>,
    /// Where the next part begins to be looked for.
    pub(super) end: u64,
}

/// One of the threads.
pub(super) struct LookAhead<'a> {
    pub(super) log: &'a Log<'a>,
    pub(super) so_far: LogSoFar,
    pub(super) options: ScanOptions<'a>,
    pub(super) wanted: &'a Wanted<'a>,
    pub(super) lines: Lines<'a>,
    pub(super) reporter: Reporter,
    pub(super) scratch: Scratch,
    pub(super) blanks: &'a Blanks,
}

impl LookAhead<'_> {
    /// Puts the batches that begin in `range` into lines. What cannot be read is met again by the walk, which says so.
    pub(super) fn look(&mut self, range: Range<u64>) -> LookedAhead {
        let mut page = Page::onto(self.blanks.take());
        let Self { log, so_far, options, wanted, lines, reporter, scratch, .. } = self;
        let end = range.end;
        let part = Part::walk(log.storage, *so_far, range, *options, scratch, |scanned| {
            let start = page.out.len();
            let ScannedBatch { position, header, .. } = *scanned;
            if wanted.takes(header) {
                // More than its line is to be said: the walk does that.
                if header.compression().is_err() {
                    return None;
                }
                lines.batch_line(reporter, &mut page, &log.path, position, header, true);
            }
            Some(start..page.out.len())
        });
        LookedAhead { part: part.unwrap_or_else(|_| Part::none()), lines: page.out, end }
    }
}
