//! A large log as lines, by several threads: each looks at parts of the log ahead of the walk.
//!
//! The walk takes of a part what it comes to itself, and with it the lines: see [`crate::scan::parts`].

use std::ops::{ControlFlow, Range};

use super::lines::{Counts, Lines, Page};
use super::threads::Blanks;
use super::walk::{Log, Wanted};
use crate::report::reporter::Reporter;
use crate::scan::parts::{Budget, Part};
use crate::scan::{LogSoFar, ScanOptions};
use crate::store::window::Scratch;

/// The smallest log that is worth it, in bytes.
pub(super) const WORTH_PARTS: u64 = 2 << 20;

/// What a batch has become.
#[derive(Debug)]
pub(super) struct BatchInLines {
    /// Where its lines are among those of the part.
    pub(super) lines: Range<usize>,
    pub(super) counts: Counts,
}

/// What a thread has made of a part.
pub(super) struct LookedAhead {
    pub(super) part: Part<BatchInLines>,
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
    /// How long the lines of a part may become, about.
    pub(super) most: usize,
    pub(super) blanks: &'a Blanks,
}

impl LookAhead<'_> {
    /// Puts the batches that begin in `range` into lines. What cannot be read is met again by the walk, which says so; what
    /// takes unusual memory is left to it.
    pub(super) fn look(&mut self, range: Range<u64>) -> LookedAhead {
        let mut page = Page::onto(self.blanks.take());
        let Self { log, so_far, options, wanted, lines, reporter, scratch, most, .. } = self;
        let (end, budget) = (range.end, Budget::of(&range, lines.decompressed()));
        let part = Part::walk(log.storage, *so_far, range, *options, scratch, |scanned| {
            let start = page.out.len();
            page.counts = Counts::default();
            if wanted.takes(scanned.header) {
                if budget.is_used_up(lines.decompressed()) {
                    return ControlFlow::Break(());
                }
                if !lines.usual_batch(reporter, &mut page, scanned, &log.path, *most) {
                    return ControlFlow::Continue(None);
                }
            }
            ControlFlow::Continue(Some(BatchInLines { lines: start..page.out.len(), counts: page.counts }))
        });
        LookedAhead { part: part.unwrap_or_else(|_| Part::none()), lines: page.out, end }
    }
}
