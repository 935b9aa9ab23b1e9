//! What a lookup finds where nothing is taken on trust: by a walk over the log, or by a shorter way that is proven to
//! lead to the same batch.
//!
//! The walk of a segment is that of [`BatchScan`] with every checksum, damage skipped. Two shorter ways end in the same
//! place:
//!
//! - A walk over headers alone that checksums only batches which can be the answer. While every header continues the
//!   one before, both walks meet the same batches: where `BatchScan` meets damage below such a header, it follows the
//!   very lengths that this walk follows. At the first header that does not fit, the segment is walked again with all
//!   checksums.
//! - For an offset, the same walk from an entry of the offset index on (see `hint`). Since offsets rise
//!   in a log, everything before a batch that begins at or below the offset ends below it. What is believed is that the
//!   log goes through the place that the entry names. It is shown by headers that continue one another from there, through
//!   the batch of the answer, whose checksum holds, to the place that the next entry names (or some way, or to the end).
//!
//! No such thing holds for timestamps, which may come in any order: what a time index says could only be checked by
//! looking at all headers before, and then it is not needed any more. It is only compared with the answer, so that a
//! wrong one does not go unnoticed.

use super::hint::{self, Landing};
use super::read::LogReader;
use super::trace::{Step, Trace};
use super::view::{BatchPlace, PartitionView, RecordPlace, first_record};
use crate::format::batch::{BatchHeader, RECORD_BATCH_OVERHEAD};
use crate::format::record::Record;
use crate::format::{Offset, Position};
use crate::scan::{BatchScan, LogSoFar, ScanEnd, ScanOptions};
use crate::store::StoreError;

/// How the truth is found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// By the indexes as far as the log confirms them, and by headers.
    Checked,
    /// By every batch with its checksum.
    Scan,
}

/// Where an offset is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetAnswer {
    /// In this batch, or this is the first batch behind a gap that the offset lies in.
    Batch {
        /// The batch.
        batch: BatchPlace,
        /// Whether the offset lies in a gap in front of the batch, and unreadable bytes lie there too.
        is_behind_damage: bool,
    },
    /// Nowhere yet: it is the log end offset, which the next record will get.
    NotYetWritten {
        /// The log end offset.
        log_end_offset: Offset,
    },
    /// Below the log end, and there is no batch at or behind it any more.
    NothingBehind {
        /// The log end offset.
        log_end_offset: Offset,
    },
    /// Outside of the log.
    OutOfRange {
        /// The first offset that can be read.
        log_start_offset: Offset,
        /// The log end offset (exclusive).
        log_end_offset: Offset,
    },
}

/// Where a reader finds `target`: the first batch that reaches it, in the segment that owns it or a later one.
///
/// Errors: a file could not be read.
pub fn offset(
    view: &PartitionView<'_>,
    target: Offset,
    reading: Reading,
    trace: &mut Trace,
) -> Result<OffsetAnswer, StoreError> {
    let log_start_offset = view.log_start_offset();
    let owner = view.floor_segment(target).filter(|_| target >= log_start_offset);
    let Some(owner) = owner else {
        let log_end_offset = log_end_offset(view, reading, trace)?;
        return Ok(if target == log_end_offset && target == log_start_offset {
            OffsetAnswer::NotYetWritten { log_end_offset }
        } else {
            OffsetAnswer::OutOfRange { log_start_offset, log_end_offset }
        });
    };
    for (at, segment) in view.segments().iter().enumerate().skip(owner) {
        trace.add(Step::Segment { segment: segment.base_offset });
        let is_gap = |header: &BatchHeader| header.base_offset().is_some_and(|base| base > target);
        let is_hinted = at == owner && reading == Reading::Checked;
        let search = Search {
            from: if is_hinted { hint::landing(view, at, target, trace)? } else { None },
            is_long: false,
            wants: |header: &BatchHeader| header.last_offset() >= target,
            needs_the_batch_before: is_gap,
        };
        let found = search.run(view, at, reading, trace, |_, batch, follows_damage| {
            Ok(Some(OffsetAnswer::Batch { batch, is_behind_damage: follows_damage && is_gap(&batch.header) }))
        })?;
        if let Some(found) = found {
            return Ok(found);
        }
    }
    let log_end_offset = log_end_offset(view, reading, trace)?;
    Ok(match target.cmp(&log_end_offset) {
        std::cmp::Ordering::Less => OffsetAnswer::NothingBehind { log_end_offset },
        std::cmp::Ordering::Equal => OffsetAnswer::NotYetWritten { log_end_offset },
        std::cmp::Ordering::Greater => OffsetAnswer::OutOfRange { log_start_offset, log_end_offset },
    })
}

/// The offset behind the last intact batch of the last segment, or that segment's base offset if there is none in it.
///
/// Errors: a file could not be read.
pub fn log_end_offset(view: &PartitionView<'_>, reading: Reading, trace: &mut Trace) -> Result<Offset, StoreError> {
    let Some(at) = view.segments().len().checked_sub(1) else { return Ok(view.log_start_offset()) };
    let Some(segment) = view.segments().get(at) else { return Ok(view.log_start_offset()) };
    let behind = |header: &BatchHeader| Offset(header.last_offset().0.saturating_add(1));
    if reading == Reading::Checked {
        let start = hint::landing(view, at, Offset(i64::MAX), trace)?;
        let mut walk = HeaderWalk::new(segment.reader()?, view.so_far(at), start.unwrap_or_default().start);
        let mut last = None;
        let ended = loop {
            match walk.next()? {
                Met::Batch(position, header) => last = Some((position, header)),
                Met::End => break true,
                Met::Odd(position) => {
                    trace.add(Step::OddHeader { segment: segment.base_offset, position });
                    break false;
                }
            }
        };
        trace.add(walk.step(segment.base_offset));
        match last {
            Some((position, header)) if ended && walk.reader.damage_of(position.0, &header)?.is_none() => {
                return Ok(behind(&header));
            }
            None if ended => return Ok(segment.base_offset),
            _ => {}
        }
    }
    let log = segment.log()?;
    let mut scan = BatchScan::new(log.as_ref(), view.so_far(at), ScanOptions::default());
    let (mut end, mut count) = (segment.base_offset, 0);
    loop {
        while let Some(batch) = scan.next_batch()? {
            end = behind(&batch.header);
            count += 1;
        }
        trace.ended(segment.base_offset, scan.end());
        if !scan.skip_damage() {
            break;
        }
    }
    trace.add(Step::Batches { segment: segment.base_offset, from: Position(0), count, checksummed: true });
    Ok(end)
}

/// The first record, in the order of the log, at or above the log start offset and at or after `timestamp`
/// (milliseconds). Batches whose header rules that out are not opened.
///
/// Errors: a file could not be read.
pub fn timestamp(
    view: &PartitionView<'_>,
    timestamp: i64,
    reading: Reading,
    trace: &mut Trace,
) -> Result<Option<RecordPlace>, StoreError> {
    let log_start_offset = view.log_start_offset();
    let mut found = None;
    for at in 0..view.segments().len() {
        found = timestamp_in_segment(view, at, timestamp, log_start_offset, reading, trace)?;
        if found.is_some() {
            break;
        }
    }
    if let (Reading::Checked, Some(found)) = (reading, found) {
        hint::compare_time_index(view, found, timestamp, trace)?;
    }
    Ok(found)
}

/// The same in one segment, at or above `log_start_offset`.
pub(super) fn timestamp_in_segment(
    view: &PartitionView<'_>,
    at: usize,
    timestamp: i64,
    log_start_offset: Offset,
    reading: Reading,
    trace: &mut Trace,
) -> Result<Option<RecordPlace>, StoreError> {
    let search = Search::of_all(|header: &BatchHeader| {
        header.max_timestamp().is_some_and(|most| most >= timestamp) && header.last_offset() >= log_start_offset
    });
    let base_offset = view.segments().get(at).map_or(Offset(0), |segment| segment.base_offset);
    let mut unreadable = Vec::new();
    let found = search.run(view, at, reading, trace, |reader, batch, _| {
        let reaches = |time: Option<i64>| time.is_some_and(|time| time >= timestamp);
        let found =
            first_record(reader, batch, |record| reaches(record.timestamp) && record.offset >= log_start_offset)?;
        Ok(found.unwrap_or_else(|_| {
            unreadable.push((batch.position, batch.header.size_in_bytes()));
            None
        }))
    })?;
    unreadable.dedup();
    for (position, size_in_bytes) in unreadable {
        trace.add(Step::Unreadable { segment: base_offset, position, size_in_bytes });
    }
    Ok(found)
}

/// What keeps the records of a segment from being found by a timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hidden {
    /// No batch has a timestamp.
    NoTimestamps,
    /// A batch reaches the timestamp, and no record does that can be seen: compaction has emptied the batch, or the
    /// records lie below the log start offset.
    BehindHeaders,
    /// Nothing: a record is there, or no batch reaches the timestamp.
    Nothing,
}

/// What keeps a record at or after `timestamp` (milliseconds) from being found in the segment at `at`.
///
/// Errors: a file could not be read.
pub fn hidden_in_segment(view: &PartitionView<'_>, at: usize, timestamp: i64) -> Result<Hidden, StoreError> {
    let mut trace = Trace::default();
    let mut most = None;
    each_batch_of_segment(view, at, &mut trace, |_, batch| {
        most = most.max(batch.header.max_timestamp());
        Ok(())
    })?;
    let start = view.log_start_offset();
    Ok(match most {
        None => Hidden::NoTimestamps,
        Some(most) if most < timestamp => Hidden::Nothing,
        Some(_) => match timestamp_in_segment(view, at, timestamp, start, Reading::Scan, &mut trace)? {
            Some(_) => Hidden::Nothing,
            None => Hidden::BehindHeaders,
        },
    })
}

/// The record with the largest timestamp at or above the log start offset, the first of them in the order of the log.
/// Where no record has a timestamp, it is the first that could have one, which is a record of magic 1 or 2, and its
/// timestamp is `None`. `None` where there is no such record.
///
/// Errors: a file could not be read.
pub fn max_timestamp(
    view: &PartitionView<'_>,
    reading: Reading,
    trace: &mut Trace,
) -> Result<Option<RecordPlace>, StoreError> {
    let log_start_offset = view.log_start_offset();
    let Some(place) = most_in_headers(view, reading, trace)? else { return without_timestamp(view, trace) };
    let Some(most) = place.header.max_timestamp() else { return Ok(None) };
    // Most often a record has the largest timestamp that any header names.
    if let Some(segment) = view.segments().get(place.segment) {
        let mut reader = segment.reader()?;
        let has_it = |record: &Record<'_>| record.timestamp == Some(most) && record.offset >= log_start_offset;
        if reader.damage_of(place.position.0, &place.header)?.is_none()
            && let Ok(Some(found)) = first_record(&mut reader, place, has_it)?
        {
            if reading == Reading::Checked {
                hint::compare_time_index(view, found, most, trace)?;
            }
            return Ok(Some(found));
        }
    }
    // The batch that had it is damaged or was emptied by compaction, or its records lie below the log start.
    let mut best: Option<RecordPlace> = None;
    each_batch(view, trace, |reader, batch| {
        loop {
            let least = best.and_then(|best| best.timestamp);
            if batch.header.last_offset() < log_start_offset || batch.header.max_timestamp() <= least {
                return Ok(());
            }
            let larger =
                first_record(reader, batch, |record| record.timestamp > least && record.offset >= log_start_offset)?;
            match larger {
                Ok(Some(larger)) => best = Some(larger),
                _ => return Ok(()),
            }
        }
    })?;
    match best {
        Some(best) => Ok(Some(best)),
        None => without_timestamp(view, trace),
    }
}

/// The first record of magic 1 or 2 at or above the log start, in a log where none has a timestamp.
fn without_timestamp(view: &PartitionView<'_>, trace: &mut Trace) -> Result<Option<RecordPlace>, StoreError> {
    let log_start_offset = view.log_start_offset();
    for at in 0..view.segments().len() {
        let can_have = |header: &BatchHeader| header.magic() > 0 && header.last_offset() >= log_start_offset;
        let found = Search::of_all(can_have).by_scan(view, at, trace, |reader, batch, _| {
            Ok(first_record(reader, batch, |record| record.offset >= log_start_offset)?.ok().flatten())
        })?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The first batch whose header names the largest timestamp that any header names, if one does: no record at or above the
/// log start exceeds it.
fn most_in_headers(
    view: &PartitionView<'_>,
    reading: Reading,
    trace: &mut Trace,
) -> Result<Option<BatchPlace>, StoreError> {
    let log_start_offset = view.log_start_offset();
    let take = |most: &mut Option<BatchPlace>, place: BatchPlace| {
        let known = most.and_then(|most| most.header.max_timestamp());
        if place.header.last_offset() >= log_start_offset && place.header.max_timestamp() > known {
            *most = Some(place);
        }
    };
    let mut most = None;
    for (at, segment) in view.segments().iter().enumerate() {
        let mut ended = false;
        let before = most;
        if reading == Reading::Checked {
            let reader = segment.reader()?.for_a_long_walk();
            let mut walk = HeaderWalk::new(reader, view.so_far(at), Position(0));
            loop {
                match walk.next()? {
                    Met::Batch(position, header) => take(&mut most, BatchPlace { segment: at, position, header }),
                    Met::End => break ended = true,
                    Met::Odd(position) => {
                        trace.add(Step::OddHeader { segment: segment.base_offset, position });
                        most = before;
                        break;
                    }
                }
            }
            trace.add(walk.step(segment.base_offset));
        }
        if !ended {
            each_batch_of_segment(view, at, trace, |_, batch| {
                take(&mut most, batch);
                Ok(())
            })?;
        }
    }
    Ok(most)
}

/// Every intact batch of the partition.
fn each_batch(
    view: &PartitionView<'_>,
    trace: &mut Trace,
    mut take: impl FnMut(&mut LogReader, BatchPlace) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    (0..view.segments().len()).try_for_each(|at| each_batch_of_segment(view, at, trace, &mut take))
}

fn each_batch_of_segment(
    view: &PartitionView<'_>,
    at: usize,
    trace: &mut Trace,
    mut take: impl FnMut(&mut LogReader, BatchPlace) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    Search::of_all(|_: &BatchHeader| true).by_scan(view, at, trace, |reader, batch, _| {
        take(reader, batch)?;
        Ok(None::<()>)
    })?;
    Ok(())
}

/// A search for a batch in one segment.
struct Search<W, G> {
    /// Where the walk over headers may begin.
    from: Option<Landing>,
    /// Whether most of a segment is likely to be walked over.
    is_long: bool,
    /// Which batches are handed out.
    wants: W,
    /// Of these, which only together with the knowledge whether the batch before is intact.
    needs_the_batch_before: G,
}

impl<W: Fn(&BatchHeader) -> bool> Search<W, fn(&BatchHeader) -> bool> {
    /// All batches of the segment that it `wants`, wherever the damage lies.
    fn of_all(wants: W) -> Self {
        Self { from: None, is_long: true, wants, needs_the_batch_before: |_| false }
    }
}

impl<W: Fn(&BatchHeader) -> bool, G: Fn(&BatchHeader) -> bool> Search<W, G> {
    /// Hands out intact batches in order, each with the knowledge whether it follows damage, until `take` has found
    /// something.
    fn run<T>(
        &self,
        view: &PartitionView<'_>,
        at: usize,
        reading: Reading,
        trace: &mut Trace,
        mut take: impl FnMut(&mut LogReader, BatchPlace, bool) -> Result<Option<T>, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        if reading == Reading::Checked {
            match self.by_headers(view, at, trace, &mut take)? {
                Walked::Found(found) => return Ok(Some(found)),
                Walked::End => return Ok(None),
                Walked::Odd => {}
            }
        }
        self.by_scan(view, at, trace, take)
    }

    fn by_headers<T>(
        &self,
        view: &PartitionView<'_>,
        at: usize,
        trace: &mut Trace,
        take: &mut impl FnMut(&mut LogReader, BatchPlace, bool) -> Result<Option<T>, StoreError>,
    ) -> Result<Walked<T>, StoreError> {
        let Some(segment) = view.segments().get(at) else { return Ok(Walked::End) };
        let reader = view.reader(at, segment)?;
        let reader = if self.is_long { reader.for_a_long_walk() } else { reader };
        let mut walk = HeaderWalk::new(reader, view.so_far(at), self.from.unwrap_or_default().start);
        walk.leads_to = self.from.and_then(|landing| landing.leads_to);
        let mut before: Option<(Position, BatchHeader, bool)> = None;
        let mut damaged = Vec::new();
        let walked = loop {
            let (position, header) = match walk.next()? {
                Met::Batch(position, header) => (position, header),
                Met::End => break Walked::End,
                Met::Odd(position) => {
                    trace.add(Step::OddHeader { segment: segment.base_offset, position });
                    break Walked::Odd;
                }
            };
            if !(self.wants)(&header) {
                before = Some((position, header, true));
                continue;
            }
            if let Some(damage) = walk.reader.damage_of(position.0, &header)? {
                damaged.push(damage);
                before = Some((position, header, false));
                continue;
            }
            let follows_damage = match before {
                Some((_, _, false)) => true,
                Some((at, before, true)) if (self.needs_the_batch_before)(&header) => {
                    let damage = walk.reader.damage_of(at.0, &before)?;
                    damaged.extend(damage);
                    damage.is_some()
                }
                _ => false,
            };
            let place = BatchPlace { segment: at, position, header };
            if let Some(found) = take(&mut walk.reader, place, follows_damage)? {
                // An entry that leads into a value which holds whole batches of another log is told by what follows.
                if self.from.is_some()
                    && let Some(position) = walk.goes_astray()?
                {
                    trace.add(Step::OddHeader { segment: segment.base_offset, position });
                    break Walked::Odd;
                }
                break Walked::Found(found);
            }
            before = Some((position, header, true));
        };
        trace.add(walk.step(segment.base_offset));
        if !matches!(walked, Walked::Odd) {
            damaged.into_iter().for_each(|damage| trace.ended(segment.base_offset, Some(&ScanEnd::Damaged(damage))));
        }
        if matches!(walked, Walked::Found(_)) {
            view.keep(at, walk.reader);
        }
        Ok(walked)
    }

    fn by_scan<T>(
        &self,
        view: &PartitionView<'_>,
        at: usize,
        trace: &mut Trace,
        mut take: impl FnMut(&mut LogReader, BatchPlace, bool) -> Result<Option<T>, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let Some(segment) = view.segments().get(at) else { return Ok(None) };
        let log = segment.log()?;
        let mut reader = LogReader::new(segment.log()?);
        let mut scan = BatchScan::new(log.as_ref(), view.so_far(at), ScanOptions::default());
        let (mut found, mut count, mut follows_damage) = (None, 0, false);
        'segment: loop {
            while let Some(batch) = scan.next_batch()? {
                count += 1;
                if (self.wants)(&batch.header) {
                    let place = BatchPlace { segment: at, position: batch.position, header: batch.header };
                    found = take(&mut reader, place, follows_damage)?;
                    if found.is_some() {
                        break 'segment;
                    }
                }
                follows_damage = false;
            }
            trace.ended(segment.base_offset, scan.end());
            if !scan.skip_damage() {
                break;
            }
            follows_damage = true;
        }
        trace.add(Step::Batches { segment: segment.base_offset, from: Position(0), count, checksummed: true });
        Ok(found)
    }
}

enum Walked<T> {
    Found(T),
    End,
    Odd,
}

/// A walk over headers that goes on only while each continues the log.
struct HeaderWalk {
    reader: LogReader,
    so_far: LogSoFar,
    from: Position,
    /// Where a batch must begin.
    leads_to: Option<Position>,
    position: u64,
    count: u64,
}

/// How many headers are looked at behind an answer, where no further entry of the index says how far.
const MOST_BEHIND: usize = 8;

enum Met {
    Batch(Position, BatchHeader),
    /// The last batch ends where the file does.
    End,
    /// No batch that can come next.
    Odd(Position),
}

impl HeaderWalk {
    fn new(reader: LogReader, so_far: LogSoFar, from: Position) -> Self {
        Self { reader, so_far, from, leads_to: None, position: from.0, count: 0 }
    }

    fn next(&mut self) -> Result<Met, StoreError> {
        let position = self.position;
        match self.leads_to {
            Some(next) if next.0 < position => return Ok(Met::Odd(next)),
            Some(next) if next.0 == position => self.leads_to = None,
            _ => {}
        }
        let left = self.reader.len().saturating_sub(position);
        if left == 0 {
            return Ok(Met::End);
        }
        let header = BatchHeader::read(self.reader.header_bytes(position)?);
        let Ok(header) = header else { return Ok(Met::Odd(Position(position))) };
        if header.size_in_bytes() > left || !self.so_far.continues_with(&header) {
            return Ok(Met::Odd(Position(position)));
        }
        self.so_far.take(&header);
        self.position += header.size_in_bytes();
        self.count += 1;
        Ok(Met::Batch(Position(position), header))
    }

    /// Goes on to where a batch must begin, or some way, and says where the headers do not go on.
    fn goes_astray(&mut self) -> Result<Option<Position>, StoreError> {
        let mut more = if self.leads_to.is_none() { MOST_BEHIND } else { 0 };
        while self.leads_to.is_some() || more > 0 {
            match self.next()? {
                Met::Odd(position) => return Ok(Some(position)),
                Met::End => break,
                Met::Batch(..) => more = more.saturating_sub(1),
            }
        }
        Ok(None)
    }

    fn step(&self, segment: Offset) -> Step {
        Step::Batches { segment, from: self.from, count: self.count, checksummed: false }
    }
}

const _: () = assert!(RECORD_BATCH_OVERHEAD == 61, "a header is read in one piece");
