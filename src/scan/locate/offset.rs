//! Where an offset is, and where the log ends.
//!
//! What counts is the walk over all of the segment that an offset belongs to, with every checksum: a batch that holds the
//! offset, wherever it lies, is the answer. Two shorter ways lead to the same batch:
//!
//! - From an entry of the offset index on (see `hint`), over headers that continue one another, to an intact batch that
//!   holds the offset. What is believed is that the log goes through the place that the entry names. It is shown by
//!   headers that go on through the answer to the place that the next entry names (or some way, or to the end).
//! - Over the headers of the whole segment, while each continues the one before: then no batch but the first that reaches
//!   the offset can hold it. So a gap is only claimed where the whole segment was looked at.
//!
//! The log end is found in a walk with checksums from the last index entry but one, which must lead through the last
//! entry to the end, or else from the start of the last segment.

use super::hint;
use super::order::{self, Order};
use super::read::LogReader;
use super::trace::{Step, Trace};
use super::truth::Reading;
use super::view::{BatchPlace, PartitionView};
use crate::format::batch::{BatchHeader, RECORD_BATCH_OVERHEAD};
use crate::format::{Offset, Position};
use crate::scan::{BatchScan, LogSoFar, ScanEnd, ScanOptions};
use crate::store::StoreError;

/// Where an offset is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetAnswer {
    /// In this batch, or this is the first batch behind a gap that the offset lies in.
    Batch {
        /// The batch.
        batch: BatchPlace,
        /// Whether the offset lies in a gap in front of the batch, and unreadable bytes or batches whose offsets cannot
        /// be right lie there too.
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
        /// Whether unreadable bytes lie where it could be.
        is_behind_damage: bool,
    },
    /// Outside of the log.
    OutOfRange {
        /// The first offset that can be read.
        log_start_offset: Offset,
        /// The log end offset (exclusive).
        log_end_offset: Offset,
    },
}

/// Where a log ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogEnd {
    /// The offset behind the last intact batch of the last segment whose offsets can be right, or that segment's base
    /// offset if there is none in it.
    pub offset: Offset,
    /// The leader epoch of that batch.
    pub leader_epoch: Option<i32>,
    /// Where the last intact batch ends.
    pub position: Position,
    /// What follows there, if anything does: bytes that are no intact batch.
    pub tail: Option<ScanEnd>,
    /// Whether intact batches follow the one that the offset comes from, whose offsets cannot be right.
    pub is_contradicted: bool,
}

/// Where a reader finds `target`: the batch that holds it, or else the first that reaches it, in the segment that owns it
/// or a later one.
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
        let log_end_offset = log_end(view, reading, trace)?.offset;
        return Ok(if target == log_end_offset && target == log_start_offset {
            OffsetAnswer::NotYetWritten { log_end_offset }
        } else {
            OffsetAnswer::OutOfRange { log_start_offset, log_end_offset }
        });
    };
    if let Some(segment) = view.segments().get(owner) {
        trace.add(Step::Segment { segment: segment.base_offset });
    }
    if reading == Reading::Checked
        && let Some(batch) = holder_by_headers(view, owner, target, trace)?
    {
        return Ok(OffsetAnswer::Batch { batch, is_behind_damage: false });
    }
    let mut known = None;
    if reading == Reading::Scan {
        let found = by_scan(view, owner, target, trace)?;
        if let Some(answer) = found.answer().filter(|_| found.is_in_order) {
            return Ok(answer);
        }
        known = Some(found);
    }
    if owner + 1 == view.segments().len() {
        let log_end_offset = log_end(view, reading, trace)?.offset;
        match target.cmp(&log_end_offset) {
            std::cmp::Ordering::Less => {}
            std::cmp::Ordering::Equal => return Ok(OffsetAnswer::NotYetWritten { log_end_offset }),
            std::cmp::Ordering::Greater => return Ok(OffsetAnswer::OutOfRange { log_start_offset, log_end_offset }),
        }
    }
    let found = match known {
        Some(known) => known,
        None => in_owner(view, owner, target, trace)?,
    };
    if let Some(answer) = found.answer() {
        return Ok(answer);
    }
    let mut is_damaged = found.is_behind_damage;
    for at in owner + 1..view.segments().len() {
        let InSegment { batch, is_behind_damage, .. } = first_batch(view, at, trace)?;
        is_damaged |= is_behind_damage;
        if let Some(batch) = batch {
            return Ok(OffsetAnswer::Batch { batch, is_behind_damage: is_damaged });
        }
    }
    let log_end_offset = log_end(view, reading, trace)?.offset;
    Ok(OffsetAnswer::NothingBehind { log_end_offset, is_behind_damage: is_damaged })
}

/// Where the log ends. Looked for once.
///
/// Errors: a file could not be read.
pub fn log_end(view: &PartitionView<'_>, reading: Reading, trace: &mut Trace) -> Result<LogEnd, StoreError> {
    if let Some(known) = view.known_end(reading) {
        return Ok(known);
    }
    let found = match view.segments().len().checked_sub(1) {
        Some(last) => match reading {
            Reading::Checked => end_by_index(view, last, trace)?,
            Reading::Scan => None,
        }
        .map_or_else(|| end_of(view, last, None, trace).map(Option::unwrap_or_default), Ok)?,
        None => LogEnd { offset: view.log_start_offset(), ..LogEnd::default() },
    };
    view.keep_end(reading, found);
    Ok(found)
}

/// The same without the walk over the whole segment, where an index leads to its end.
fn end_by_index(view: &PartitionView<'_>, at: usize, trace: &mut Trace) -> Result<Option<LogEnd>, StoreError> {
    let Some(landing) = hint::landing(view, at, Offset(i64::MAX), trace)? else { return Ok(None) };
    if landing.before >= landing.start {
        return Ok(None);
    }
    end_of(view, at, Some(landing), trace)
}

/// Where the segment at `at` ends: by a walk through all of it, or from the entry before `landing` on. Of that, `None`
/// where it does not lead through the landing, in rising offsets, to what the index entry names.
fn end_of(
    view: &PartitionView<'_>,
    at: usize,
    landing: Option<hint::Landing>,
    trace: &mut Trace,
) -> Result<Option<LogEnd>, StoreError> {
    let Some(segment) = view.segments().get(at) else { return Ok(None) };
    let base_offset = segment.base_offset;
    let start = landing.map_or(Position(0), |landing| landing.before);
    let log = segment.log()?;
    let options = ScanOptions { start, ..ScanOptions::default() };
    let mut scan = BatchScan::new(log.as_ref(), view.so_far(at), options);
    let (mut order, mut last, mut count) = (Order::of(view, at), None, 0);
    let mut is_met = false;
    let mut met = Trace::default();
    loop {
        while let Some(batch) = scan.next_batch()? {
            count += 1;
            is_met |= landing.is_some_and(|landing| landing.start == batch.position);
            order.take(batch.header);
            last = Some(*batch.header);
        }
        if landing.is_some() && (count == 0 || !is_met) {
            break;
        }
        met.ended(base_offset, scan.end());
        if !scan.skip_damage() {
            break;
        }
    }
    trace.add(Step::Batches { segment: base_offset, from: start, count, checksummed: true });
    if let Some(landing) = landing
        && (!is_met || order.is_broken() || last.is_none_or(|last| last.last_offset() < landing.offset))
    {
        trace.add(Step::OddHeader { segment: base_offset, position: landing.before });
        return Ok(None);
    }
    met.steps.into_iter().for_each(|step| trace.add(step));
    let mut is_contradicted = false;
    if order.is_broken() {
        let batches = order::placed(view, at)?;
        is_contradicted = order::ends_in_doubt(&batches);
        last = order::last_believed(log.as_ref(), &batches)?;
        order::tell_of(view, at, &batches, Position(u64::MAX), trace);
    }
    let behind = |header: BatchHeader| Offset(header.last_offset().0.saturating_add(1));
    Ok(Some(LogEnd {
        offset: last.map_or(base_offset, behind),
        leader_epoch: last.and_then(|last| last.partition_leader_epoch()),
        position: scan.position(),
        tail: scan.end().copied().filter(|end| *end != ScanEnd::CleanEof),
        is_contradicted,
    }))
}

/// What a segment has for an offset.
#[derive(Clone, Copy)]
struct InSegment {
    /// The batch that holds it, or the first one that reaches it.
    batch: Option<BatchPlace>,
    /// Whether the batch does not hold it, or there is none, and what could hold it cannot be read.
    is_behind_damage: bool,
    /// Whether the offsets of all batches rise, as far as they were looked at.
    is_in_order: bool,
}

impl InSegment {
    const NOTHING: Self = Self { batch: None, is_behind_damage: false, is_in_order: true };

    /// The answer, where there is a batch.
    fn answer(&self) -> Option<OffsetAnswer> {
        let is_behind_damage = self.is_behind_damage;
        self.batch.map(|batch| OffsetAnswer::Batch { batch, is_behind_damage })
    }
}

/// The batch of the segment at `at` that holds `target`, from an index entry on. `None` where that does not lead to one
/// beyond doubt.
fn holder_by_headers(
    view: &PartitionView<'_>,
    at: usize,
    target: Offset,
    trace: &mut Trace,
) -> Result<Option<BatchPlace>, StoreError> {
    let Some(segment) = view.segments().get(at) else { return Ok(None) };
    let landing = hint::landing(view, at, target, trace)?.unwrap_or_default();
    let mut walk = HeaderWalk::new(view.reader(at, segment)?, view.so_far(at), landing.start);
    walk.leads_to = landing.leads_to;
    let mut found = None;
    let mut odd = None;
    loop {
        match walk.next()? {
            Met::Batch(_, header) if header.last_offset() < target => {}
            Met::Batch(position, header) => {
                let holds = header.base_offset().is_none_or(|base| base <= target);
                if holds && walk.reader.damage_of(position.0, &header)?.is_none() {
                    found = Some(BatchPlace { segment: at, position, header });
                    // An entry that leads into a value which holds whole batches of another log, and a batch whose
                    // base offset was changed, are told by what follows.
                    odd = walk.goes_astray()?;
                }
                break;
            }
            Met::End => break,
            Met::Odd(position) => {
                odd = Some(position);
                break;
            }
        }
    }
    trace.add(walk.step(segment.base_offset));
    if let Some(position) = odd
        && (found.is_none() || !is_the_end(view, at, position, trace)?)
    {
        trace.add(Step::OddHeader { segment: segment.base_offset, position });
        return Ok(None);
    }
    if found.is_some() {
        view.keep(at, walk.reader);
    }
    Ok(found)
}

/// Whether nothing intact lies from `position` of the segment at `at` on: what a crash leaves.
fn is_the_end(view: &PartitionView<'_>, at: usize, position: Position, trace: &mut Trace) -> Result<bool, StoreError> {
    Ok(at + 1 == view.segments().len() && log_end(view, Reading::Checked, trace)?.position == position)
}

/// The batch of the segment that owns `target`, after a look at the whole segment.
fn in_owner(view: &PartitionView<'_>, at: usize, target: Offset, trace: &mut Trace) -> Result<InSegment, StoreError> {
    match by_all_headers(view, at, target, trace)? {
        Some(batch) => Ok(InSegment { batch, ..InSegment::NOTHING }),
        None => by_scan(view, at, target, trace),
    }
}

/// The first batch that reaches `target`, if there is one, where every header of the segment continues the one before.
fn by_all_headers(
    view: &PartitionView<'_>,
    at: usize,
    target: Offset,
    trace: &mut Trace,
) -> Result<Option<Option<BatchPlace>>, StoreError> {
    let Some(segment) = view.segments().get(at) else { return Ok(None) };
    let mut walk = HeaderWalk::new(view.reader(at, segment)?.for_a_long_walk(), view.so_far(at), Position(0));
    let (mut before, mut found) = (None, None);
    let odd = loop {
        match walk.next()? {
            Met::Batch(position, header) if found.is_none() && header.last_offset() >= target => {
                found = Some((position, header));
            }
            Met::Batch(position, header) if found.is_none() => before = Some((position, header)),
            Met::Batch(..) => {}
            Met::End => break None,
            Met::Odd(position) => break Some(position),
        }
    };
    trace.add(walk.step(segment.base_offset));
    if let Some(position) = odd
        && (found.is_none() || !is_the_end(view, at, position, trace)?)
    {
        trace.add(Step::OddHeader { segment: segment.base_offset, position });
        return Ok(None);
    }
    for (position, header) in [before, found].into_iter().flatten() {
        if walk.reader.damage_of(position.0, &header)?.is_some() {
            return Ok(None);
        }
    }
    view.keep(at, walk.reader);
    Ok(Some(found.map(|(position, header)| BatchPlace { segment: at, position, header })))
}

/// The same by all checksums, whatever the headers say.
fn by_scan(view: &PartitionView<'_>, at: usize, target: Offset, trace: &mut Trace) -> Result<InSegment, StoreError> {
    let Some(segment) = view.segments().get(at) else { return Ok(InSegment::NOTHING) };
    let log = segment.log()?;
    let mut scan = BatchScan::new(log.as_ref(), view.so_far(at), ScanOptions::default());
    let (mut order, mut found, mut count) = (Order::of(view, at), None, 0);
    let mut follows_damage = false;
    loop {
        while let Some(batch) = scan.next_batch()? {
            count += 1;
            order.take(batch.header);
            if found.is_none() && batch.header.last_offset() >= target {
                let place = BatchPlace { segment: at, position: batch.position, header: *batch.header };
                let is_gap = batch.header.base_offset().is_some_and(|base| base > target);
                let is_behind_damage = is_gap && follows_damage;
                found = Some(InSegment { batch: Some(place), is_behind_damage, is_in_order: true });
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
    let ends_damaged = scan.end().is_some_and(|end| *end != ScanEnd::CleanEof);
    if order.is_broken() {
        let batches = order::placed(view, at)?;
        order::tell_of(view, at, &batches, Position(u64::MAX), trace);
        let among = order::find(&batches, target);
        let batch = among.position.map(|position| order::place_at(view, at, position)).transpose()?.flatten();
        let is_behind_damage = among.is_behind_damage || batch.is_none() && ends_damaged;
        return Ok(InSegment { batch, is_behind_damage, is_in_order: false });
    }
    Ok(found.unwrap_or(InSegment { is_behind_damage: ends_damaged, ..InSegment::NOTHING }))
}

/// The first intact batch of a segment whose offsets can be right.
fn first_batch(view: &PartitionView<'_>, at: usize, trace: &mut Trace) -> Result<InSegment, StoreError> {
    let Some(segment) = view.segments().get(at) else { return Ok(InSegment::NOTHING) };
    trace.add(Step::Segment { segment: segment.base_offset });
    let log = segment.log()?;
    let mut scan = BatchScan::new(log.as_ref(), view.so_far(at), ScanOptions::default());
    let order = Order::of(view, at);
    let (mut found, mut count, mut is_behind_damage) = (None, 0, false);
    'segment: loop {
        while let Some(batch) = scan.next_batch()? {
            count += 1;
            if order.is_inside(batch.header) {
                found = Some(BatchPlace { segment: at, position: batch.position, header: *batch.header });
                break 'segment;
            }
            is_behind_damage = true;
        }
        trace.ended(segment.base_offset, scan.end());
        is_behind_damage |= scan.end().is_some_and(|end| *end != ScanEnd::CleanEof);
        if !scan.skip_damage() {
            break;
        }
    }
    trace.add(Step::Batches { segment: segment.base_offset, from: Position(0), count, checksummed: true });
    if count > u64::from(found.is_some()) {
        order::tell(view, at, scan.position(), trace)?;
    }
    Ok(InSegment { batch: found, is_behind_damage, ..InSegment::NOTHING })
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
