//! How the batches of one file become lines: one walk leads over them, alone or with threads that work for it.

use std::io;
use std::ops::{ControlFlow, Range};
use std::sync::{Arc, mpsc};

use super::ahead::{BatchInLines, LookAhead, LookedAhead};
use super::lines::{Counts, Lines, Page};
use super::threads::{self, Blanks, Done, Sizes, Then, Walk, Worker};
use super::{Dump, DumpLogArgs, Failure, Outcome};
use crate::cli::filter::Filter;
use crate::cli::output::Output;
use crate::cli::signals;
use crate::format::Position;
use crate::format::batch::{BatchHeader, RECORD_BATCH_OVERHEAD};
use crate::format::compression::Compression;
use crate::report::log::{self, Damaged};
use crate::report::reporter::Reporter;
use crate::scan::parts::{self, JoinedScan, LookedAt};
use crate::scan::{BatchScan, Damage, LogSoFar, ScanEnd, ScanOptions, TransactionOutcomes, Verdict, Verify};
use crate::store::ReadStorage;
use crate::store::window::Scratch;

/// How far a walk has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// To where it was to go, inside the file.
    InTheFile,
    /// Through all of the file that is wanted.
    BehindTheFile,
    /// Through all that is wanted.
    Ended,
}

/// Which batches are wanted.
pub(super) struct Wanted<'a> {
    pub(super) filter: &'a Filter,
    /// What became of the transactions, where only what is committed is wanted.
    pub(super) outcomes: Option<Arc<TransactionOutcomes>>,
    /// Whether the batch before lies behind what is wanted.
    pub(super) is_past: bool,
}

impl Wanted<'_> {
    /// Whether no batch from this one on can be wanted. One batch past the window may have a changed base offset, which
    /// no checksum covers: it takes two, one behind the other.
    pub(super) fn is_behind(&mut self, header: &BatchHeader) -> bool {
        std::mem::replace(&mut self.is_past, self.filter.is_past(header)) && self.is_past
    }

    pub(super) fn takes(&self, header: &BatchHeader) -> bool {
        self.filter.takes_batch(header)
            && self.outcomes.as_ref().is_none_or(|outcomes| outcomes.verdict(header) == Verdict::Delivered)
    }
}

/// A file of batches that is being dumped.
pub(super) struct Log<'s> {
    pub(super) storage: &'s dyn ReadStorage,
    pub(super) path: String,
    /// A running broker may be writing to it.
    pub(super) may_change: bool,
}

impl<'s> Log<'s> {
    /// A walk from `start` on that lends batches of up to `most` bytes.
    pub(super) fn scan(&self, start: Position, so_far: LogSoFar, args: &DumpLogArgs, most: u64) -> BatchScan<'s> {
        BatchScan::new(self.storage, so_far, self.options(start, args, most))
    }

    /// Whether the batch at `position` is compressed: so, mostly, are the others. Their lines may take much more than they.
    pub(super) fn is_compressed(&self, position: Position) -> bool {
        let mut scratch = Vec::new();
        let end = position.0.saturating_add(RECORD_BATCH_OVERHEAD as u64).min(self.storage.len());
        let header = self.storage.window(position.0..end, &mut scratch).map(BatchHeader::read);
        header.is_ok_and(|header| header.is_ok_and(|header| header.compression() != Ok(Compression::None)))
    }

    pub(super) fn options(&self, start: Position, args: &DumpLogArgs, most: u64) -> ScanOptions<'static> {
        ScanOptions {
            start,
            verify: Verify::Checksum,
            bodies: args.looks_into_batches(),
            max_batch_bytes: most,
            stop: Some(signals::stop()),
        }
    }
}

/// Lines that were made ahead and are about to be written, together as long as they lie side by side.
struct Ready<'l> {
    lines: &'l [u8],
    range: Range<usize>,
}

impl Ready<'_> {
    fn add(&mut self, range: Range<usize>, output: &mut Output) -> io::Result<()> {
        if self.range.end != range.start {
            self.pass(output)?;
            self.range.start = range.start;
        }
        self.range.end = range.end;
        Ok(())
    }

    fn pass(&mut self, output: &mut Output) -> io::Result<()> {
        output.pass(&self.lines[std::mem::take(&mut self.range)])
    }
}

impl<'a> Dump<'a> {
    /// Dumps what one walk from `start` on shows, up to `end` or to the end of the file.
    pub(super) fn walk_alone(
        &mut self,
        log: &Log<'_>,
        start: Position,
        so_far: LogSoFar,
        end: Option<Position>,
    ) -> Outcome {
        let most = self.args.rendering.max_batch_bytes;
        let (mut no_parts, mut wanted) = (std::iter::empty(), self.wanted());
        let mut scan = JoinedScan::new(log.scan(start, so_far, self.args, most), &mut no_parts);
        let way = self.walk(log, &mut scan, &mut wanted, end, &[])?;
        if end.is_none() {
            self.run.seen.bytes += scan.walk().position().0 - start.0;
        }
        Ok(if way == Way::Ended { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    /// Goes on with a walk, up to `end` or to the end of the file, and dumps what it shows. The lines of batches that
    /// were looked at ahead are among `lines`.
    fn walk(
        &mut self,
        log: &Log<'_>,
        scan: &mut JoinedScan<'_, BatchInLines>,
        wanted: &mut Wanted<'_>,
        end: Option<Position>,
        lines: &[u8],
    ) -> Result<Way, Failure> {
        loop {
            let mut ready = Ready { lines, range: 0..0 };
            let way = self.walk_to_damage(log, scan, wanted, end, &mut ready)?;
            ready.pass(&mut self.run.output)?;
            if way != Way::InTheFile {
                return Ok(way);
            }
            match scan.walk().end() {
                Some(ScanEnd::Stopped) => return Ok(Way::Ended),
                Some(end) => self.end(log, end)?,
                None => return Ok(Way::InTheFile),
            }
            if self.args.stop_at_damage || !scan.skip_damage() {
                return Ok(Way::BehindTheFile);
            }
        }
    }

    fn walk_to_damage(
        &mut self,
        log: &Log<'_>,
        scan: &mut JoinedScan<'_, BatchInLines>,
        wanted: &mut Wanted<'_>,
        end: Option<Position>,
        ready: &mut Ready<'_>,
    ) -> Result<Way, Failure> {
        while end.is_none_or(|end| scan.walk().position() < end)
            && let Some((batch, looked_at)) = scan.next_batch()?
        {
            if wanted.is_behind(batch.header) {
                return Ok(Way::BehindTheFile);
            }
            if let LookedAt::Ahead(Some(ahead)) = looked_at {
                self.count(&ahead.counts);
                ready.add(ahead.lines, &mut self.run.output)?;
                continue;
            }
            if !wanted.takes(batch.header) {
                continue;
            }
            ready.pass(&mut self.run.output)?;
            if matches!(looked_at, LookedAt::Ahead(_)) {
                // It was left to this thread, and its bytes are not at hand.
                let end = Position(batch.position.0 + batch.header.size_in_bytes());
                if self.walk_alone(log, batch.position, LogSoFar::unknown(), Some(end))?.is_break() {
                    return Ok(Way::Ended);
                }
                continue;
            }
            let left = self.left;
            let shown = self.write(|lines, reporter, page| {
                lines.batch(reporter, page, &batch, &log.path, left);
            })?;
            self.left -= if self.args.records { shown.records } else { shown.batches };
            if self.left == 0 {
                return Ok(Way::Ended);
            }
        }
        Ok(Way::InTheFile)
    }

    /// Dumps a large log from `start` on: other threads look at parts of it ahead of the walk.
    pub(super) fn looking_ahead(&mut self, log: &Log<'_>, start: Position, so_far: LogSoFar) -> Outcome {
        let (args, jobs) = (self.args, self.jobs);
        let (wanted_ahead, mut wanted) = (self.wanted(), self.wanted());
        let most = Sizes::of(&jobs).output;
        let (blanks, reporter) = (Blanks::of_at_most(most), self.run.reporter.twin());
        let options = log.options(start, args, args.rendering.max_batch_bytes.min(threads::LARGEST_HELD));
        let limit = args.rendering.decompression_limit().min(threads::LARGEST_DECOMPRESSED);
        let worker = || LookAhead {
            log,
            so_far,
            options,
            wanted: &wanted_ahead,
            lines: Lines::new(args, reporter.zone(), limit),
            reporter: reporter.twin(),
            scratch: Scratch::default(),
            most,
            blanks: &blanks,
        };
        let (sender, parts) = mpsc::channel();
        let mut parts = parts.try_iter();
        let scan = log.scan(start, so_far, args, args.rendering.max_batch_bytes);
        let mut scan = JoinedScan::new(scan, &mut parts);
        // As many again are about to be written or begun.
        let ranges = parts::ranges(start.0..log.storage.len(), 2 * jobs.most_in_flight());
        let way = jobs.run(
            ranges,
            worker,
            |worker, range| worker.look(range),
            |LookedAhead { part, lines, end }| {
                // The walk that takes it is this thread's own.
                let _ = sender.send(part);
                let way = self.walk(log, &mut scan, &mut wanted, Some(Position(end)), &lines);
                blanks.give_back(lines);
                match way {
                    Ok(Way::InTheFile) => ControlFlow::Continue(()),
                    way => ControlFlow::Break(way),
                }
            },
        );
        self.run.seen.bytes += scan.walk().position().0 - start.0;
        match way {
            ControlFlow::Break(Err(failure)) => Err(failure),
            ControlFlow::Break(Ok(Way::Ended)) => Ok(ControlFlow::Break(())),
            _ if signals::is_stopped() => Ok(ControlFlow::Break(())),
            _ => Ok(ControlFlow::Continue(())),
        }
    }

    /// Dumps the records of the log from `start` on with several threads.
    pub(super) fn in_threads(&mut self, log: &Log<'_>, start: Position, so_far: LogSoFar) -> Outcome {
        let (args, jobs) = (self.args, self.jobs);
        let sizes = Sizes::of(&jobs);
        let most = args.rendering.max_batch_bytes.min(threads::LARGEST_HELD);
        let walk = Walk {
            scan: log.scan(start, so_far, args, most),
            wanted: self.wanted(),
            stop_at_damage: args.stop_at_damage,
            unit: sizes.input,
            has_ended: false,
        };
        let limit = args.rendering.decompression_limit().min(threads::LARGEST_DECOMPRESSED);
        let (blanks, reporter) = (Blanks::of_at_most(sizes.output), self.run.reporter.twin());
        let worker = || Worker {
            lines: Lines::new(args, reporter.zone(), limit),
            reporter: reporter.twin(),
            file: &log.path,
            most: sizes.output,
            blanks: &blanks,
        };
        let mut end = start;
        let flow = jobs.run(
            walk,
            worker,
            |worker, unit| worker.write(unit),
            |done| {
                end = done.end;
                match self.take(log, done, &blanks) {
                    Ok(ControlFlow::Continue(())) => ControlFlow::Continue(()),
                    outcome => ControlFlow::Break(outcome),
                }
            },
        );
        self.run.seen.bytes += end.0 - start.0;
        match flow {
            ControlFlow::Break(outcome) => outcome,
            ControlFlow::Continue(()) if signals::is_stopped() => Ok(ControlFlow::Break(())),
            ControlFlow::Continue(()) => Ok(ControlFlow::Continue(())),
        }
    }

    /// Writes what a thread has put into lines, does what it has left, and says what the walk has met behind it.
    fn take(&mut self, log: &Log<'_>, done: Done, blanks: &Blanks) -> Outcome {
        let Done { page, rest, then, .. } = done;
        self.account(&page);
        self.run.output.pass(&page.out)?;
        blanks.give_back(page.out);
        if let Some(rest) = rest
            && self.walk_alone(log, rest.start, LogSoFar::unknown(), Some(rest.end))?.is_break()
        {
            return Ok(ControlFlow::Break(()));
        }
        match then {
            Then::Next => {}
            Then::Failed(error) => return Err(error.into()),
            Then::End(ScanEnd::Stopped) => return Ok(ControlFlow::Break(())),
            Then::End(end) => self.end(log, &end)?,
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Writes what `write` puts onto a page; returns what that comes to.
    fn write(&mut self, write: impl FnOnce(&mut Lines<'a>, &mut Reporter, &mut Page)) -> io::Result<Counts> {
        let mut page = Page::onto(std::mem::take(&mut self.run.output.buffer));
        write(&mut self.lines, &mut self.run.reporter, &mut page);
        self.account(&page);
        self.run.output.buffer = page.out;
        self.run.output.drain()?;
        Ok(page.counts)
    }

    fn count(&mut self, counts: &Counts) {
        self.run.seen.batches += counts.batches;
        self.run.seen.records += counts.records;
        (0..counts.damaged).for_each(|_| self.run.damage());
    }

    fn account(&mut self, page: &Page) {
        self.count(&page.counts);
        let limit = self.args.rendering.max_batch_bytes;
        for words in &page.refused {
            self.run.refused(
                words,
                Some(&format!("--max-batch-bytes {limit} is the limit: give a larger one to see them")),
            );
        }
    }

    /// How a walk ended, where it did not end with the file.
    fn end(&mut self, log: &Log<'_>, end: &ScanEnd) -> io::Result<()> {
        let words = log::end_words(end);
        let Log { path, may_change, .. } = log;
        if let ScanEnd::Damaged(Damage { header: Some(header), position, .. }) = end {
            // Shown, and not built on: its records are not decoded.
            self.write(|lines, reporter, page| lines.batch_line(reporter, page, path, *position, header, false))?;
        }
        let Some(line) = Damaged::of_end(path, end, &words) else { return Ok(()) };
        let position = line.position;
        if *may_change && line.next_intact.is_none() {
            self.run.remark(format!("{path}: {words} (position {position}); a running broker is writing to it"));
        } else {
            log::damaged(&mut self.run.reporter, &mut self.run.output.buffer, &line);
            self.run.damage();
        }
        Ok(())
    }
}
