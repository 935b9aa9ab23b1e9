//! Puts batches and their records into lines. Knows nothing of what comes before or after a batch, so that any thread
//! can do it.

use jiff::tz::TimeZone;

use super::DumpLogArgs;
use crate::format::Position;
use crate::format::batch::{BatchHeader, RecordBatch};
use crate::format::compression::{DecompressError, Decompressor};
use crate::format::control::ControlRecord;
use crate::format::record::RecordError;
use crate::report::log::{self, Damaged, RecordLines, RecordStyle};
use crate::report::reporter::{Format, Reporter};
use crate::report::time::Clock;
use crate::scan::ScannedBatch;

/// Lines, and what they come to.
#[derive(Default)]
pub(super) struct Page {
    /// The lines.
    pub(super) out: Vec<u8>,
    pub(super) counts: Counts,
    /// Why records that are wanted are not shown, a sentence a batch.
    pub(super) refused: Vec<String>,
}

/// How many batches and records were shown, and how many places are damaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) batches: u64,
    pub(super) records: u64,
    pub(super) damaged: u64,
}

/// One thread's means to write batches down.
pub(super) struct Lines<'a> {
    args: &'a DumpLogArgs,
    records: RecordLines,
    clock: Clock,
    decompressor: Decompressor,
}

impl<'a> Lines<'a> {
    /// Lines for what `args` ask for, with times in `zone`; a batch that decompresses to more than `limit` bytes is refused.
    pub(super) fn new(args: &'a DumpLogArgs, zone: &TimeZone, limit: usize) -> Self {
        let style = RecordStyle {
            key: args.rendering.key_format.into(),
            value: args.rendering.value_format.into(),
            most_in_text: usize::try_from(args.rendering.max_value_bytes).unwrap_or(usize::MAX),
        };
        Self {
            args,
            records: RecordLines::new(style, zone),
            clock: Clock::new(zone),
            decompressor: Decompressor::new(limit),
        }
    }

    /// How many bytes all batches so far were decompressed to.
    pub(super) fn decompressed(&self) -> u64 {
        self.decompressor.spent()
    }

    /// One batch whose checksum holds, and its records; at most `left` lines that count.
    pub(super) fn batch(
        &mut self,
        reporter: &mut Reporter,
        page: &mut Page,
        scanned: &ScannedBatch<'_>,
        file: &str,
        left: u64,
    ) {
        let (ScannedBatch { position, header, .. }, batch) = (scanned, scanned.batch());
        if !self.args.records {
            let is_wanted = !self.args.filter.looks_into_records()
                || batch.is_none_or(|batch| self.records(reporter, page, &batch, *position, file, left) > 0);
            if is_wanted {
                self.batch_line(reporter, page, file, *position, header, true);
            }
            return;
        }
        let before = page.out.len();
        // A table of records has a column for everything but their batches.
        if reporter.format() == Format::Table {
            page.counts.batches += 1;
        } else {
            self.batch_line(reporter, page, file, *position, header, true);
        }
        let Some(batch) = batch else {
            page.refuse(file, *position, &format!("it has {} bytes", header.size_in_bytes()));
            return;
        };
        if self.records(reporter, page, &batch, *position, file, left) == 0 && !self.args.filter.takes_whole_batches() {
            // Nothing of it was wanted: as if it had not been said.
            page.out.truncate(before);
            page.counts.batches -= 1;
        }
    }

    /// The same for all of its records, unless that takes unusual memory, or the page holds `most` bytes already: then
    /// `false`, and the page is as it was.
    pub(super) fn usual_batch(
        &mut self,
        reporter: &mut Reporter,
        page: &mut Page,
        scanned: &ScannedBatch<'_>,
        file: &str,
        most: usize,
    ) -> bool {
        let (length, counts) = (page.out.len(), page.counts);
        let is_usual =
            !self.args.looks_into_batches() || (scanned.bytes.is_some() && !has_many_records(scanned.header, most));
        if length >= most || !is_usual {
            return false;
        }
        self.batch(reporter, page, scanned, file, u64::MAX);
        if page.refused.is_empty() {
            return true;
        }
        page.out.truncate(length);
        page.counts = counts;
        page.refused.clear();
        false
    }

    /// The line of a batch, whose checksum holds or not.
    pub(super) fn batch_line(
        &mut self,
        reporter: &mut Reporter,
        page: &mut Page,
        file: &str,
        position: Position,
        header: &BatchHeader,
        is_valid: bool,
    ) {
        log::batch(reporter, &mut self.clock, &mut page.out, file, position, header, is_valid);
        page.counts.batches += 1;
        if let (Err(id), false) = (header.compression(), self.args.records) {
            let words = format!("compression id {id} does not exist: nobody can read the records");
            page.damaged(reporter, file, position, header, "unknownCodec", &words);
        }
    }

    /// The records of a batch; returns how many were wanted.
    fn records(
        &mut self,
        reporter: &mut Reporter,
        page: &mut Page,
        batch: &RecordBatch<'_>,
        position: Position,
        file: &str,
        left: u64,
    ) -> u64 {
        let header = batch.header();
        self.records.batch(file, position);
        let mut taken = 0;
        let mut broken_control = None;
        let problem = match batch.records(&mut self.decompressor) {
            Err(error) => Some(error),
            Ok(records) => {
                let mut problem = None;
                let takes_all = self.args.filter.takes_whole_batches();
                let is_control = header.is_control();
                for record in records {
                    let record = match record {
                        Ok(record) => record,
                        Err(error) => {
                            problem = Some(error);
                            break;
                        }
                    };
                    if !takes_all && !self.args.filter.takes_record(&record) {
                        continue;
                    }
                    taken += 1;
                    if !self.args.records {
                        break;
                    }
                    let mut control = None;
                    if is_control {
                        match ControlRecord::parse(record.key, record.value) {
                            Ok(parsed) => control = Some(parsed),
                            Err(error) => broken_control = Some((record.offset, error)),
                        }
                    }
                    match reporter.format() {
                        Format::Json => self.records.json(&mut page.out, &record, control.as_ref()),
                        Format::Text => self.records.text(&mut page.out, &record, control.as_ref()),
                        Format::Table => self.records.table(reporter, &mut page.out, &record, control.as_ref()),
                    }
                    if taken == left {
                        break;
                    }
                }
                problem
            }
        };
        if self.args.records {
            page.counts.records += taken;
        }
        if let Some((offset, error)) = broken_control {
            let words = format!("the control record at offset {offset} cannot be read: {error}");
            page.damaged(reporter, file, position, header, "malformedControlRecord", &words);
            taken += 1;
        }
        if let Some(RecordError::Decompress(error @ (DecompressError::Limit { .. } | DecompressError::OutOfMemory))) =
            &problem
        {
            page.refuse(file, position, &error.to_string());
            taken += 1;
        } else if let Some(error) = problem {
            let words = format!("the checksum holds, but the records cannot be read: {error}");
            page.damaged(reporter, file, position, header, "recordsUnreadable", &words);
            taken += 1;
        }
        taken
    }
}

/// The shortest line of a record, about.
const LEAST_LINE: usize = 40;

/// Whether the records of a batch take more than `most` bytes of lines, however small they are.
fn has_many_records(header: &BatchHeader, most: usize) -> bool {
    header.records_count().is_some_and(|count| usize::try_from(count).unwrap_or(0) > most / LEAST_LINE)
}

impl Page {
    /// An empty page that is written onto what is there.
    pub(super) fn onto(out: Vec<u8>) -> Self {
        Self { out, ..Self::default() }
    }

    /// Records that are not shown because they would take too much memory: not looked at, which is no damage.
    fn refuse(&mut self, file: &str, position: Position, why: &str) {
        self.refused.push(format!("{file}: the records of the batch at position {position} are not shown: {why}"));
    }

    fn damaged(
        &mut self,
        reporter: &mut Reporter,
        file: &str,
        position: Position,
        header: &BatchHeader,
        reason: &str,
        words: &str,
    ) {
        let length = header.size_in_bytes();
        let next_intact = Some(Position(position.0 + length));
        let line = Damaged { file, position, length, reason, words, next_intact, next_step: None };
        log::damaged(reporter, &mut self.out, &line);
        self.counts.damaged += 1;
    }
}
