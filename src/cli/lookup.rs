//! `kfsck lookup`: where is this offset, this time or this key, and what is there?

mod args;
mod faults;

use std::cell::RefCell;
use std::collections::HashSet;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::rc::Rc;

pub(crate) use args::LookupArgs;
use args::Method;
use faults::{file_at_fault, logs_that_are_no_files};

use super::common::Run;
use super::exit::Exit;
use super::signals;
use crate::format::control::ControlRecord;
use crate::format::file_name::{FileName, FileState};
use crate::format::record::Record;
use crate::format::{Offset, Position};
use crate::report::bytes::BytesFormat;
use crate::report::log::{RecordLines, RecordStyle};
use crate::report::lookup::{self, About, Answer, MODIFICATION_TIME, NO_VISIBLE_RECORD, Query, Why};
use crate::report::reporter::Format;
use crate::report::row::path_text;
use crate::scan::checkpoints::{Checkpointed, Checkpoints};
use crate::scan::locate::broker::{Broker, Failure};
use crate::scan::locate::key::{self, Matches};
use crate::scan::locate::{
    BatchPlace, OffsetAnswer, PartitionView, Reading, RecordPlace, Segment, Trace, each_record_from, first_offset,
    truth, verify,
};
use crate::store::expand::{Target, expand};
use crate::store::log_dir::log_dir_of;
use crate::store::partition::PartitionDir;
use crate::store::{ReadPolicy, StoreError, open};

/// How much of a key or value a line of text shows, in bytes.
const MOST_IN_TEXT: usize = 1024;

/// Runs `lookup`.
pub(crate) fn run(args: &LookupArgs) -> Exit {
    let mut run = Run::start(&args.common, "lookup");
    if !args.key.is_empty() && matches!(args.method, Method::Broker | Method::Both) {
        let why = format!("--key and --method {} do not go together: no broker can look for a key", args.method.name());
        run.misused(&why, Some("ask for keys in a run of their own, with --method auto or scan"));
        return run.finish();
    }
    let style = RecordStyle { key: BytesFormat::Auto, value: BytesFormat::Auto, most_in_text: MOST_IN_TEXT };
    let mut lookup = Lookup { args, run, lines: RecordLines::new(style), log_dirs: Vec::new() };
    for target in expand(&args.paths, &args.common.selection()) {
        let done = match target {
            Ok(Target::Partition(target)) => {
                let segment = target.segment;
                target.read().map_err(Failed::Look).and_then(|dir| lookup.partition(&dir, segment))
            }
            Ok(Target::File { path, name }) => lookup.file(&path, name),
            Err(error) => Err(Failed::Look(error)),
        };
        match done {
            Ok(()) => {}
            Err(Failed::Look(error)) => lookup.run.failed(&error),
            Err(Failed::Say(error)) => {
                lookup.run.cannot_write(&error);
                break;
            }
            Err(Failed::Stopped) => {
                lookup.run.interrupted();
                break;
            }
        }
    }
    lookup.run.finish()
}

enum Failed {
    Look(StoreError),
    Say(io::Error),
    Stopped,
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Look(error)
    }
}

struct Lookup<'a> {
    args: &'a LookupArgs,
    run: Run,
    lines: RecordLines,
    /// The log dirs met so far.
    log_dirs: Vec<(PathBuf, Rc<Checkpoints>)>,
}

/// What answers are about, and where they come from.
struct Place<'p> {
    name: &'p str,
    dir: &'p str,
    view: PartitionView<'p>,
    checkpointed: Checkpointed,
    /// Whether a running broker may be writing to the last segment.
    may_change: bool,
    /// Damage that was spoken of: segment and position.
    told: RefCell<HashSet<(Offset, Position)>>,
}

impl Place<'_> {
    fn segment_of(&self, base_offset: Offset) -> Option<&Segment<'_>> {
        self.view.segments().iter().find(|segment| segment.base_offset == base_offset)
    }

    fn is_last(&self, base_offset: Offset) -> bool {
        self.view.segments().last().is_some_and(|last| last.base_offset == base_offset)
    }

    /// The path of a segment's file whose name ends in `extension`.
    fn file(&self, base_offset: Offset, extension: &str) -> String {
        let log = self.segment_of(base_offset).map(Segment::path).unwrap_or_default();
        path_text(&log.with_extension(extension))
    }
}

/// An answer with what led to it and what it leads to.
struct Found {
    answer: Answer,
    trace: Trace,
    /// The batch to go on from, and the first offset that is wanted of it.
    start: Option<(BatchPlace, Offset)>,
}

impl Lookup<'_> {
    /// A file that was named itself stands for its segment.
    fn file(&mut self, path: &Path, name: Option<FileName>) -> Result<(), Failed> {
        let name = name.ok_or_else(|| StoreError::NotKafkas { path: path.to_owned() })?;
        let segment = name.base_offset.filter(|_| name.kind.is_segment_file() && name.state == FileState::Live);
        let Some(segment) = segment else {
            return Err(StoreError::NothingSelected {
                path: path.to_owned(),
                wanted: format!(
                    "lookup looks into partitions and segments, and this is a {} file",
                    crate::report::entries::kind_name(name.kind)
                ),
                instead: Some("to see what is in it: kfsck dump-log".to_owned()),
            }
            .into());
        };
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        self.partition(&PartitionDir::read(parent)?, Some(segment))
    }

    fn partition(&mut self, dir: &PartitionDir, segment: Option<Offset>) -> Result<(), Failed> {
        let log_dir = log_dir_of(&dir.path);
        let may_change = log_dir.as_ref().is_some_and(|log_dir| self.run.broker_runs_in(log_dir));
        let checkpointed = self.checkpointed(dir, log_dir);
        let dir_text = path_text(&dir.path);
        let name = dir.name.as_ref().map_or_else(|| dir_text.clone(), ToString::to_string);
        let policy = ReadPolicy { mode: self.args.common.io_mode(), may_change };
        let view = PartitionView::read_by(dir, segment, checkpointed.log_start_offset, policy);
        let place = Place { name: &name, dir: &dir_text, view, checkpointed, may_change, told: RefCell::default() };
        let mut is_readable = true;
        for path in logs_that_are_no_files(dir, segment) {
            if let Err(error) = open(&path, policy) {
                self.run.failed(&error);
                is_readable = false;
            }
        }
        if !is_readable && place.view.segments().is_empty() {
            return Ok(());
        }
        self.run.seen.segments += place.view.segments().len() as u64;
        let done = self.queries(&place);
        self.run.seen.files += place.view.reads().files();
        self.run.seen.bytes += place.view.reads().bytes();
        done
    }

    fn queries(&mut self, place: &Place<'_>) -> Result<(), Failed> {
        let queries = self.args.offset.iter().map(|offset| Query::Offset(*offset)).chain(self.args.timestamp.clone());
        for query in queries {
            self.one(place, &query)?;
        }
        self.keys(place)
    }

    /// What the log dir's checkpoints say about a partition.
    fn checkpointed(&mut self, dir: &PartitionDir, log_dir: Option<PathBuf>) -> Checkpointed {
        let (Some(log_dir), Some(name)) = (log_dir, &dir.name) else { return Checkpointed::default() };
        if let Some((_, checkpoints)) = self.log_dirs.iter().find(|(known, _)| *known == log_dir) {
            return checkpoints.of(name);
        }
        let checkpoints = Rc::new(Checkpoints::read(&log_dir));
        for error in &checkpoints.unreadable {
            self.run.failed(error);
        }
        for (path, error) in &checkpoints.damaged {
            self.run.remark(format!("{} is damaged: {error}", path.display()));
        }
        let checkpointed = checkpoints.of(name);
        self.log_dirs.push((log_dir, checkpoints));
        checkpointed
    }

    /// One answer about one partition.
    fn one(&mut self, place: &Place<'_>, query: &Query) -> Result<(), Failed> {
        let method = self.args.method;
        let broker = match method {
            Method::Broker | Method::Both => Some(self.by_broker(place, query)?),
            Method::Auto | Method::Scan => None,
        };
        let found = match (method, broker) {
            (Method::Broker, Some((broker, _))) => broker,
            (_, Some((broker, cause))) => {
                let truth = self.by_truth(place, query, Reading::Scan)?;
                self.show(place, query, &truth)?;
                let by_index = self.by_truth(place, query, Reading::Checked)?;
                let mut is_index_at_fault = self.is_index_at_fault(place, &by_index.trace);
                if !is_same(query, &broker.answer, &truth.answer) {
                    let cause = cause.filter(|_| !broker.answer.found || broker.answer.reason.is_none());
                    let (file, is_of_log) = file_at_fault(place, query, &broker, &truth);
                    let next_step = match (cause, is_of_log) {
                        (Some(_), _) => None,
                        (None, true) => Some(format!("kfsck check {} has more", place.dir)),
                        (None, false) => Some(format!("kfsck verify-index {} has more", place.dir)),
                    };
                    is_index_at_fault |= next_step.is_some() && !is_of_log;
                    let why = Why { file: &file, cause, next_step: next_step.as_deref() };
                    let about = self.about(place, query);
                    let (reporter, out) = (&mut self.run.reporter, &mut self.run.output.buffer);
                    lookup::broker_differs(reporter, out, &about, &broker.answer, &truth.answer, &why);
                    self.run.damage();
                }
                if is_index_at_fault {
                    self.note_index(place);
                }
                return self.run.output.drain().map_err(Failed::Say);
            }
            (_, None) => self.by_truth(place, query, method.reading())?,
        };
        self.show(place, query, &found)
    }

    fn about<'p>(&self, place: &Place<'p>, query: &'p Query) -> About<'p> {
        About { partition: place.name, dir: place.dir, query, method: self.args.method.name() }
    }

    fn show(&mut self, place: &Place<'_>, query: &Query, found: &Found) -> Result<(), Failed> {
        if signals::is_stopped() {
            return Err(Failed::Stopped);
        }
        self.run.seen.batches += found.trace.batches_read();
        let about = self.about(place, query);
        let answer = &found.answer;
        let is_refused = answer.reason == Some(OUT_OF_RANGE);
        if is_refused {
            let words = answer.words.as_deref().unwrap_or_default();
            let why = format!("{}: {} is out of range: {words}", place.name, query.words(self.run.reporter.zone()));
            self.run.refused(&why, None);
        }
        let (reporter, out) = (&mut self.run.reporter, &mut self.run.output.buffer);
        if !is_refused || reporter.format() != Format::Text {
            lookup::answer(reporter, out, &about, answer, &found.trace.steps, self.args.explain);
        }
        if answer.reason == Some(BROKER_FAILS) {
            self.run.damage();
        }
        self.tell_damage(place, &found.trace);
        if self.args.method == Method::Auto && self.is_index_at_fault(place, &found.trace) {
            self.note_index(place);
        }
        if let (Some((start, from)), Some(limit)) = (found.start, self.args.limit) {
            self.records(place, start, from, limit)?;
        }
        self.run.output.drain().map_err(Failed::Say)
    }

    fn by_truth(&mut self, place: &Place<'_>, query: &Query, reading: Reading) -> Result<Found, Failed> {
        let mut trace = Trace::default();
        let view = &place.view;
        let log_start = view.log_start_offset();
        Ok(match query {
            Query::Offset(offset) => {
                let answer = truth::offset(view, *offset, reading, &mut trace)?;
                self.of_offset(place, *offset, answer, trace, None)?
            }
            Query::Earliest | Query::EarliestLocal => match truth::offset(view, log_start, reading, &mut trace)? {
                answer @ OffsetAnswer::Batch { .. } => {
                    let mut found = self.of_offset(place, log_start, answer, trace, None)?;
                    (found.answer.reason, found.answer.offset) = (None, Some(log_start));
                    found
                }
                _ => earliest(log_start, None, trace),
            },
            Query::Latest => {
                let end = truth::log_end_offset(view, reading, &mut trace)?;
                latest(end.max(log_start), None, place, trace)
            }
            Query::Timestamp(timestamp) => {
                let record = truth::timestamp(view, *timestamp, reading, &mut trace)?;
                self.of_record(place, query, record, trace, None)?
            }
            Query::MaxTimestamp => {
                let record = truth::max_timestamp(view, reading, &mut trace)?;
                self.of_record(place, query, record, trace, None)?
            }
            Query::LatestTiered | Query::EarliestPendingUpload => not_tiered(trace),
            Query::Key(_) => Found { answer: Answer::default(), trace, start: None },
        })
    }

    /// A broker's answer, and why it may differ from the truth although the indexes are right.
    fn by_broker(&mut self, place: &Place<'_>, query: &Query) -> Result<(Found, Option<&'static str>), Failed> {
        let mut trace = Trace::default();
        let view = &place.view;
        let fails = |failure: &Failure, trace: Trace| {
            let words = format!("a broker fails here: {failure}");
            (Found { answer: Answer::without_record(false, BROKER_FAILS, words), trace, start: None }, None)
        };
        let mut loading = Trace::default();
        let broker = match Broker::start(view, &mut loading)? {
            Ok(broker) => broker,
            Err(failure) => return Ok(fails(&failure, loading)),
        };
        let mut cause = None;
        let found = match query {
            Query::Offset(offset) => match broker.offset(*offset, &mut trace)? {
                Ok(answer) => self.of_offset(place, *offset, answer, trace, Some(&broker))?,
                Err(failure) => return Ok(fails(&failure, trace)),
            },
            Query::Earliest | Query::EarliestLocal => {
                let earliest_offset = broker.earliest()?;
                let start = broker.log_start_offset();
                match broker.offset(start, &mut trace)? {
                    Ok(answer @ OffsetAnswer::Batch { .. }) => {
                        let mut found = self.of_offset(place, start, answer, trace, Some(&broker))?;
                        found.answer.reason = None;
                        (found.answer.offset, found.answer.leader_epoch) = (Some(start), earliest_offset.leader_epoch);
                        found
                    }
                    _ => earliest(start, earliest_offset.leader_epoch, trace),
                }
            }
            Query::Latest => {
                let end = broker.latest()?;
                latest(end.offset, end.leader_epoch, place, loading)
            }
            Query::Timestamp(timestamp) => {
                if self.args.method == Method::Both
                    && let Some((at, by_modification)) = broker.segment_for(*timestamp, &mut Trace::default())?
                {
                    cause = self.cause(place, at, *timestamp, by_modification)?;
                }
                match broker.timestamp(*timestamp, &mut trace)? {
                    Ok(record) => self.of_record(place, query, record, trace, Some(&broker))?,
                    Err(failure) => return Ok(fails(&failure, trace)),
                }
            }
            Query::MaxTimestamp => match broker.max_timestamp(&mut trace)? {
                Ok(record) => self.of_record(place, query, record, trace, Some(&broker))?,
                Err(failure) => return Ok(fails(&failure, trace)),
            },
            Query::LatestTiered | Query::EarliestPendingUpload => not_tiered(trace),
            Query::Key(_) => Found { answer: Answer::default(), trace, start: None },
        };
        Ok((found, cause))
    }

    /// Why a broker that looks into the segment at `at` for `timestamp` finds nothing there, if it is its own way.
    fn cause(
        &self,
        place: &Place<'_>,
        at: usize,
        timestamp: i64,
        by_modification: bool,
    ) -> Result<Option<&'static str>, Failed> {
        Ok(match truth::hidden_in_segment(&place.view, at, timestamp)? {
            truth::Hidden::NoTimestamps if by_modification => Some(MODIFICATION_TIME),
            truth::Hidden::BehindHeaders if !by_modification => Some(NO_VISIBLE_RECORD),
            _ => None,
        })
    }

    fn of_offset(
        &mut self,
        place: &Place<'_>,
        target: Offset,
        answer: OffsetAnswer,
        trace: Trace,
        broker: Option<&Broker<'_, '_>>,
    ) -> Result<Found, Failed> {
        let nothing =
            |reason, words, trace| Found { answer: Answer::without_record(false, reason, words), trace, start: None };
        Ok(match answer {
            OffsetAnswer::Batch { batch, is_behind_damage } => {
                let mut found = self.of_batch(place, batch, |record| record.offset >= target, trace, broker)?;
                if found.answer.reason.is_some() {
                } else if is_behind_damage {
                    found.answer.reason = Some("behindDamage");
                    found.answer.words = Some(format!("{target} may be in damaged bytes before it"));
                } else if found.answer.offset.is_some_and(|offset| offset != target) {
                    found.answer.reason = Some("gap");
                    found.answer.words = Some(format!("there is no record {target} any more"));
                } else if found.answer.offset.is_none() {
                    found.answer.reason = Some("noRecord");
                    found.answer.words = Some("and no record at or behind it".to_owned());
                }
                found
            }
            OffsetAnswer::NotYetWritten { log_end_offset } => {
                let mut found = nothing("notYetWritten", format!("{target} is the log end: not written yet"), trace);
                found.answer.log_end_offset = Some(log_end_offset);
                found.answer.high_watermark = place.checkpointed.high_watermark;
                found
            }
            OffsetAnswer::NothingBehind { log_end_offset } => {
                let words = format!("nothing is left from {target} up to the log end {log_end_offset}");
                let mut found = nothing("nothingBehind", words, trace);
                found.answer.log_end_offset = Some(log_end_offset);
                found
            }
            OffsetAnswer::OutOfRange { log_start_offset, log_end_offset } => {
                let words = match log_end_offset.0.checked_sub(1).map(Offset) {
                    Some(last) if last >= log_start_offset => {
                        format!("the log holds offsets {log_start_offset} to {last}")
                    }
                    _ => format!("the log is empty, its next offset is {}", log_start_offset.max(log_end_offset)),
                };
                let mut found = nothing(OUT_OF_RANGE, words, trace);
                found.answer.log_start_offset = Some(log_start_offset);
                found.answer.log_end_offset = Some(log_end_offset);
                found
            }
        })
    }

    fn of_record(
        &mut self,
        place: &Place<'_>,
        query: &Query,
        record: Option<RecordPlace>,
        trace: Trace,
        broker: Option<&Broker<'_, '_>>,
    ) -> Result<Found, Failed> {
        let asks_for_most = *query == Query::MaxTimestamp;
        let Some(found) = record else {
            let answer = match asks_for_most {
                true => Answer::without_record(false, "noTimestamp", "no record has a largest timestamp".to_owned()),
                false => Answer::without_record(false, "noneAtOrAfter", "no record is as new as that".to_owned()),
            };
            return Ok(Found { answer, trace, start: None });
        };
        let is_it = |record: &Record<'_>| (record.offset, record.timestamp) == (found.offset, found.timestamp);
        let mut of_record = self.of_batch(place, found.batch, is_it, trace, broker)?;
        let answer = &mut of_record.answer;
        (answer.offset, answer.timestamp) = (Some(found.offset), found.timestamp);
        if asks_for_most && found.timestamp.is_none() {
            answer.reason = Some("noTimestamp");
            answer.words = Some("no record has a timestamp, and this is the first".to_owned());
        }
        Ok(of_record)
    }

    /// A batch that was found, with the first record that `is_wanted` in it or behind it: of those that are intact, or of
    /// those that `broker` sends.
    fn of_batch(
        &mut self,
        place: &Place<'_>,
        batch: BatchPlace,
        is_wanted: impl Fn(&Record<'_>) -> bool,
        mut trace: Trace,
        broker: Option<&Broker<'_, '_>>,
    ) -> Result<Found, Failed> {
        let segment = place.view.segments().get(batch.segment).map(|segment| segment.base_offset);
        let mut answer = Answer {
            found: true,
            segment,
            position: Some(batch.position.0),
            size_in_bytes: Some(batch.header.size_in_bytes()),
            batch: Some((first_offset(&place.view, batch)?, batch.header.last_offset())),
            leader_epoch: batch.header.partition_leader_epoch(),
            ..Answer::default()
        };
        let (mut text, mut json) = (Vec::new(), Vec::new());
        let mut start = None;
        let (lines, run) = (&mut self.lines, &mut self.run);
        let mut take = |at: &BatchPlace, record: &Record<'_>| {
            let file = place.view.segments().get(at.segment).map(|segment| path_text(&segment.path()));
            let file = file.unwrap_or_default();
            start = Some((*at, record.offset));
            answer.offset = Some(record.offset);
            answer.timestamp = record.timestamp;
            answer.leader_epoch = at.header.partition_leader_epoch();
            lines.batch(&file, at.position);
            let control = control_of(at, record);
            lines.json(&mut json, record, control.as_ref());
            lines.text(&mut text, record, control.as_ref(), run.reporter.zone());
        };
        match broker {
            None => each_record_from(&place.view, batch, Offset(0), &mut trace, |at, record| {
                if !is_wanted(record) {
                    return ControlFlow::Continue(());
                }
                take(at, record);
                ControlFlow::Break(())
            })?,
            Some(broker) => {
                // A broker leaves checksums to those who get the bytes.
                verify(&place.view, batch, &mut trace)?;
                let sent = broker.of_first_record(batch, |at, record| is_wanted(record).then(|| take(at, record)))?;
                if let Err(failure) = sent {
                    answer.reason = Some("unreadable");
                    answer.words = Some(format!("which a broker sends, and nobody can read: {failure}"));
                }
            }
        }
        self.run.seen.records += u64::from(start.is_some());
        answer.record =
            String::from_utf8(json).ok().map(|json| json.trim_end().to_owned()).filter(|json| !json.is_empty());
        if self.args.limit.is_none() {
            answer.record_text = text;
        }
        Ok(Found { answer, trace, start })
    }

    /// `limit` records from a place on.
    fn records(&mut self, place: &Place<'_>, start: BatchPlace, from: Offset, limit: u64) -> Result<(), Failed> {
        let mut left = limit;
        let mut failed = None;
        let mut trace = Trace::default();
        let (lines, run) = (&mut self.lines, &mut self.run);
        each_record_from(&place.view, start, from, &mut trace, |at, record| {
            if left == 0 || signals::is_stopped() {
                return ControlFlow::Break(());
            }
            left -= 1;
            let file = place.view.segments().get(at.segment).map(|segment| path_text(&segment.path()));
            lines.batch(&file.unwrap_or_default(), at.position);
            let control = control_of(at, record);
            let (reporter, out) = (&mut run.reporter, &mut run.output.buffer);
            match reporter.format() {
                Format::Json => lines.json(out, record, control.as_ref()),
                Format::Text => lines.text(out, record, control.as_ref(), reporter.zone()),
                Format::Table => lines.table(reporter, out, record, control.as_ref()),
            }
            run.seen.records += 1;
            match run.output.drain() {
                Ok(()) if left > 0 => ControlFlow::Continue(()),
                Ok(()) => ControlFlow::Break(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        self.tell_damage(place, &trace);
        failed.map_or(Ok(()), |error| Err(Failed::Say(error)))
    }

    /// The answers about keys, from one walk.
    fn keys(&mut self, place: &Place<'_>) -> Result<(), Failed> {
        if self.args.key.is_empty() {
            return Ok(());
        }
        let matches = if self.args.all { Matches::All } else { Matches::Newest };
        let mut trace = Trace::default();
        let found = key::records_with(&place.view, &self.args.key, matches, Some(signals::stop()), &mut trace)?;
        for (key, places) in self.args.key.iter().zip(found) {
            let query = Query::Key(key.clone());
            if places.is_empty() {
                let words = "no record has this key".to_owned();
                let answer = Answer::without_record(false, "noSuchKey", words);
                self.show(place, &query, &Found { answer, trace: trace.clone(), start: None })?;
            }
            for record in places {
                let found = self.of_record(place, &query, Some(record), trace.clone(), None)?;
                self.show(place, &query, &found)?;
            }
        }
        Ok(())
    }
}

const OUT_OF_RANGE: &str = "outOfRange";
const BROKER_FAILS: &str = "brokerFails";

/// Whether two answers say the same of the log.
fn is_same(query: &Query, broker: &Answer, truth: &Answer) -> bool {
    // With the ends of a log a broker tells the epoch that its leader epoch file has for them, which no batch tells.
    if matches!(query, Query::Earliest | Query::EarliestLocal | Query::Latest) {
        return (broker.found, broker.offset) == (truth.found, truth.offset);
    }
    let told = |answer: &Answer| {
        let (offset, timestamp, epoch) = (answer.offset, answer.timestamp, answer.leader_epoch);
        (answer.found, offset, timestamp, epoch, answer.segment, answer.position, answer.log_end_offset)
    };
    told(broker) == told(truth)
}

fn control_of<'r>(at: &BatchPlace, record: &Record<'r>) -> Option<ControlRecord<'r>> {
    at.header.is_control().then(|| ControlRecord::parse(record.key, record.value).ok()).flatten()
}

fn earliest(offset: Offset, leader_epoch: Option<i32>, trace: Trace) -> Found {
    let mut answer = Answer::without_record(true, "logEnd", "the log start, and no record is there".to_owned());
    (answer.offset, answer.leader_epoch) = (Some(offset), leader_epoch);
    Found { answer, trace, start: None }
}

fn not_tiered(trace: Trace) -> Found {
    let words = "no tiered storage is known of this log".to_owned();
    Found { answer: Answer::without_record(false, "noTieredStorage", words), trace, start: None }
}

fn latest(offset: Offset, leader_epoch: Option<i32>, place: &Place<'_>, trace: Trace) -> Found {
    let mut answer = Answer::without_record(true, "logEnd", "the log end".to_owned());
    (answer.offset, answer.leader_epoch) = (Some(offset), leader_epoch);
    answer.high_watermark = place.checkpointed.high_watermark;
    Found { answer, trace, start: None }
}
