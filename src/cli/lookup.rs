//! `kfsck lookup`: where is this offset, this time or this key, and what is there?

mod answers;
mod args;
mod ends;
mod faults;

use std::cell::RefCell;
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

pub(crate) use args::LookupArgs;
use args::Method;
use ends::{NOT_IN_SEGMENT, beyond_the_segment, odd_checkpoint};
use faults::{file_at_fault, logs_that_are_no_files};

use super::common::Run;
use super::exit::Exit;
use super::signals;
use crate::format::file_name::{FileName, FileState};
use crate::format::{Offset, Position};
use crate::report::bytes::BytesFormat;
use crate::report::log::{RecordLines, RecordStyle};
use crate::report::lookup::{
    self, About, Answer, Aside, BELOW_LOG_START, MODIFICATION_TIME, NO_VISIBLE_RECORD, Query, Why,
};
use crate::report::reporter::Format;
use crate::report::row::path_text;
use crate::scan::checkpoints::{Checkpointed, Checkpoints};
use crate::scan::locate::broker::{Broker, Failure};
use crate::scan::locate::key::{self, Matches};
use crate::scan::locate::{
    BatchPlace, LogEnd, OffsetAnswer, PartitionView, Reading, RecordPlace, Segment, Step, Trace, offset, truth,
};
use crate::store::expand::{Target, expand};
use crate::store::log_dir::log_dir_of;
use crate::store::partition::PartitionDir;
use crate::store::shell::quoted;
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
    let queries = match args.queries() {
        Ok(queries) => queries,
        Err(why) => {
            run.misused(&why, None);
            return run.finish();
        }
    };
    let style = RecordStyle { key: BytesFormat::Auto, value: BytesFormat::Auto, most_in_text: MOST_IN_TEXT };
    let lines = RecordLines::new(style, run.reporter.zone());
    let mut lookup = Lookup { args, queries, run, lines, log_dirs: Vec::new() };
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
    /// Everything but keys.
    queries: Vec<Query>,
    run: Run,
    lines: RecordLines,
    /// The log dirs met so far.
    log_dirs: Vec<(PathBuf, Rc<Checkpoints>)>,
}

/// What answers are about, and where they come from.
struct Place<'p> {
    name: &'p str,
    dir: &'p str,
    /// The same for a shell.
    quoted_dir: String,
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

    /// The log that a broker looked into, or else that of the truth.
    fn segment_of_answer(&self, broker: &Found, truth: &Found) -> String {
        let chosen = broker.trace.steps.iter().rev().find_map(|step| match step {
            Step::LargestTimestamp { segment, is_chosen: true, .. } => Some(*segment),
            _ => None,
        });
        let segment = chosen.or(broker.answer.segment).or(truth.answer.segment);
        self.file(segment.unwrap_or_default(), "log")
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
        let name = name.ok_or_else(|| StoreError::not_kafkas(path))?;
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
        let place = Place {
            name: &name,
            dir: &dir_text,
            quoted_dir: quoted(&dir.path),
            view,
            checkpointed,
            may_change,
            told: RefCell::default(),
        };
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
        for query in self.queries.clone() {
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
            let (reporter, out) = (&mut self.run.reporter, &mut self.run.output.buffer);
            lookup::checkpoint_damaged(reporter, out, &path_text(path), &error.to_string());
            self.run.damage();
        }
        let checkpointed = checkpoints.of(name);
        self.log_dirs.push((log_dir, checkpoints));
        checkpointed
    }

    /// One answer about one partition.
    fn one(&mut self, place: &Place<'_>, query: &Query) -> Result<(), Failed> {
        if let Some(beyond) = beyond_the_segment(place, query)? {
            return self.show(place, query, &beyond);
        }
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
                    let (file, is_of_log) = match cause {
                        Some(_) => (place.segment_of_answer(&broker, &truth), true),
                        None => file_at_fault(place, query, &broker, &truth),
                    };
                    let next_step = match (cause, is_of_log) {
                        (Some(_), _) => None,
                        (None, true) => Some(format!("kfsck check {} has more", place.quoted_dir)),
                        (None, false) => Some(format!("kfsck verify-index {} has more", place.quoted_dir)),
                    };
                    is_index_at_fault |= next_step.is_some() && !is_of_log;
                    let why = Why { file: &file, cause, next_step: next_step.as_deref() };
                    let about = self.about(place, query);
                    let (reporter, out) = (&mut self.run.reporter, &mut self.run.output.buffer);
                    lookup::broker_differs(reporter, out, &about, &broker.answer, &truth.answer, &why);
                    match cause {
                        Some(_) => self.run.differs(),
                        None if is_of_log && !place.told.borrow().is_empty() => self.run.errors_left(),
                        None => self.run.damage(),
                    }
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
        let is_only_query = self.queries.len() + self.args.key.len() == 1;
        About { partition: place.name, dir: place.dir, query, method: self.args.method.name(), is_only_query }
    }

    fn show(&mut self, place: &Place<'_>, query: &Query, found: &Found) -> Result<(), Failed> {
        if signals::is_stopped() {
            return Err(Failed::Stopped);
        }
        self.run.seen.batches += found.trace.batches_read();
        let about = self.about(place, query);
        let answer = &found.answer;
        let aside = self.aside(place, query, found)?;
        let refused = match answer.reason {
            Some(OUT_OF_RANGE) => Some("out of range"),
            Some(NOT_IN_SEGMENT) if !matches!(query, Query::Timestamp(_) | Query::MaxTimestamp | Query::Key(_)) => {
                Some("not in this segment")
            }
            _ => None,
        };
        if let Some(how) = refused {
            let words = answer.words.iter().chain(&aside.notes).cloned().collect::<Vec<_>>().join("; ");
            let why = format!("{}: {} is {how}: {words}", place.name, query.words(self.run.reporter.zone()));
            self.run.refused(&why, None);
        }
        let (reporter, out) = (&mut self.run.reporter, &mut self.run.output.buffer);
        if refused.is_none() || reporter.format() != Format::Text {
            lookup::answer(reporter, out, &about, answer, &aside, &found.trace.steps, self.args.explain);
        }
        self.tell_damage(place, &found.trace);
        if answer.reason == Some(BROKER_FAILS) {
            // Often over damage that was told already.
            if place.told.borrow().is_empty() { self.run.damage() } else { self.run.errors_left() }
        }
        if self.args.method == Method::Auto && self.is_index_at_fault(place, &found.trace) {
            self.note_index(place);
        }
        if let (Some((start, from)), Some(limit)) = (found.start, self.args.limit) {
            self.records(place, start, from, limit)?;
        }
        self.run.output.drain().map_err(Failed::Say)
    }

    /// What is to be said beside an answer.
    fn aside(&self, place: &Place<'_>, query: &Query, found: &Found) -> Result<Aside, Failed> {
        let view = &place.view;
        let mut notes = Vec::new();
        let is_by_time = matches!(query, Query::Timestamp(_) | Query::MaxTimestamp | Query::Key(_));
        if view.is_part() && is_by_time && found.answer.found {
            notes.push(format!("only this segment was looked at: ask {} for all", place.dir));
        }
        let is_broker = self.args.method == Method::Broker;
        let may_be_odd =
            view.log_start_checkpoint().is_some() || !is_broker && place.checkpointed.high_watermark.is_some();
        if found.answer.position.is_none() && view.goes_on_at().is_none() && may_be_odd {
            let reading = if is_broker { Reading::Checked } else { self.args.method.reading() };
            let end = offset::log_end(view, reading, &mut Trace::default())?;
            notes.extend(odd_checkpoint(place, end.offset));
        }
        let is_spoken_of = self.args.method == Method::Auto;
        let distrusted_index = is_spoken_of.then(|| self.distrusted_index(place, &found.trace)).flatten();
        Ok(Aside { notes, distrusted_index })
    }

    fn by_truth(&mut self, place: &Place<'_>, query: &Query, reading: Reading) -> Result<Found, Failed> {
        let mut trace = Trace::default();
        let view = &place.view;
        let log_start = view.log_start_offset();
        Ok(match query {
            Query::Offset(offset) => {
                let target = *offset;
                let answer = offset::offset(view, target, reading, &mut trace)?;
                self.of_offset(place, target, answer, trace, None)?
            }
            Query::Earliest | Query::EarliestLocal => match offset::offset(view, log_start, reading, &mut trace)? {
                answer @ OffsetAnswer::Batch { .. } => {
                    let mut found = self.of_offset(place, log_start, answer, trace, None)?;
                    at_the_start(&mut found.answer, log_start);
                    found
                }
                _ => earliest(log_start, None, trace),
            },
            Query::Latest => {
                let LogEnd { offset, leader_epoch, .. } = offset::log_end(view, reading, &mut trace)?;
                latest(offset.max(log_start), leader_epoch, place, trace)
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
                        at_the_start(&mut found.answer, start);
                        found.answer.leader_epoch = earliest_offset.leader_epoch;
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
                let chosen = broker.segment_for(*timestamp, &mut Trace::default())?;
                if let (Method::Both, Some((at, by_modification))) = (self.args.method, chosen) {
                    cause = self.cause(place, at, *timestamp, by_modification)?;
                }
                match broker.timestamp(*timestamp, &mut trace)? {
                    Ok(record) => {
                        let mut found = self.of_record(place, query, record, trace, Some(&broker))?;
                        if let (None, Some((at, by_modification))) = (record, chosen) {
                            found.answer.words = Some(looked_only_into(place, at, by_modification));
                        }
                        found
                    }
                    Err(failure) => return Ok(fails(&failure, trace)),
                }
            }
            Query::MaxTimestamp => match broker.max_timestamp(&mut trace)? {
                Ok(record) => {
                    let is_below = |record: RecordPlace| record.offset < view.log_start_offset();
                    cause = record.is_some_and(is_below).then_some(BELOW_LOG_START);
                    self.of_record(place, query, record, trace, Some(&broker))?
                }
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

    /// The answers about keys, from one walk.
    fn keys(&mut self, place: &Place<'_>) -> Result<(), Failed> {
        if self.args.key.is_empty() {
            return Ok(());
        }
        let matches = if self.args.all { Matches::All } else { Matches::Newest };
        let mut trace = Trace::default();
        let found = key::records_with(&place.view, &self.args.key, matches, Some(signals::stop()), &mut trace)?;
        self.run.seen.batches += trace.batches_read();
        for (key, places) in self.args.key.iter().zip(found) {
            let query = Query::Key(key.clone());
            let records = if places.is_empty() { vec![None] } else { places.into_iter().map(Some).collect() };
            for record in records {
                let found = self.of_record(place, &query, record, trace.clone(), None)?;
                // One walk has found them all.
                let batches = self.run.seen.batches;
                self.show(place, &query, &found)?;
                self.run.seen.batches = batches;
            }
        }
        Ok(())
    }
}

const OUT_OF_RANGE: &str = "outOfRange";
const BEHIND_DAMAGE: &str = "behindDamage";
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

/// The first record is the answer to "earliest", and its offset may be greater.
fn at_the_start(answer: &mut Answer, log_start: Offset) {
    if answer.reason == Some("gap")
        && let Some(first) = answer.offset
    {
        answer.words = Some(format!("the log start; the first record is {first}"));
    }
    answer.offset = Some(log_start);
}

/// Why a broker finds nothing for a time although it has chosen a segment.
fn looked_only_into(place: &Place<'_>, at: usize, by_modification: bool) -> String {
    let segment = place.view.segments().get(at).map_or(Offset(0), |segment| segment.base_offset);
    let chosen = match by_modification {
        true => "the modification time of its file",
        false => "the largest timestamp in its time index",
    };
    format!("a broker looks only into segment {segment}, chosen by {chosen}, and finds no such record there")
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
