//! The planner of `rebuild-index`: index files as Kafka's own recovery writes them, for a partition whose log stays as it is.
//!
//! One walk over each log judges its indexes and derives new ones. What is wrong is replaced, or everything where that is
//! wanted. Indexes end where the log is damaged; the entries of a transaction index behind that, and those of
//! transactions of which the log says nothing, are kept.
//!
//! Source: Kafka `LogSegment.recover`, `OffsetIndex`, `TimeIndex`, `TransactionIndex`.

mod derive;
mod producers;

pub use derive::{Stop, TxnTrouble};

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use super::RepairError;
use super::plan::{Fingerprint, NewFile, Plan, Source, Step};
use crate::check::partition::PartitionReport;
use crate::check::producers::ProducersCheck;
use crate::check::segment::{JudgedSegment, SegmentTask, Worker};
use crate::check::{Depth, Finding, Findings, Id, Repair, Setting, Severity};
use crate::format::compression::DEFAULT_LIMIT;
use crate::format::file_name::{CLUSTER_METADATA_TOPIC, FileKind, FileState, segment_file_name};
use crate::format::{Offset, Position};
use crate::scan::recover::{DEFAULT_INDEX_INTERVAL_BYTES, DEFAULT_SEGMENT_INDEX_BYTES, RecoverOptions};
use crate::store::partition::{PartitionDir, SegmentFiles};
use crate::store::write::{FileMeta, WriteStorage};
use crate::store::{NamedFile, StoreError, read_small};
use derive::{Derived, Known, txn_index_bytes};
use producers::ProducersOf;

/// The name of the command.
pub const ACTION: &str = "rebuild-index";

/// How many bytes of new files a plan holds at most, unless one segment alone has more: plans are held in memory.
pub const MOST_BYTES_A_PLAN: u64 = 64 << 20;

/// The largest transaction index that is read, in bytes.
const LARGEST_TXN_INDEX: u64 = 256 << 20;

/// The indexes that can be made again.
pub const INDEX_KINDS: [FileKind; 3] = [FileKind::OffsetIndex, FileKind::TimeIndex, FileKind::TxnIndex];

/// What is to be made again, and how.
#[derive(Clone, Debug)]
pub struct RebuildOptions {
    /// Only the segment that begins here.
    pub segment: Option<Offset>,
    /// Everything, wrong or not.
    pub all: bool,
    /// Which kinds of [`INDEX_KINDS`].
    pub kinds: Vec<FileKind>,
    /// `index.interval.bytes` of the topic.
    pub index_interval_bytes: u32,
    /// `segment.index.bytes` of the topic.
    pub segment_index_bytes: u32,
    /// How many bytes of new files a plan holds at most.
    pub most_bytes_a_plan: u64,
}

impl Default for RebuildOptions {
    fn default() -> Self {
        Self {
            segment: None,
            all: false,
            kinds: INDEX_KINDS.to_vec(),
            index_interval_bytes: DEFAULT_INDEX_INTERVAL_BYTES,
            segment_index_bytes: DEFAULT_SEGMENT_INDEX_BYTES,
            most_bytes_a_plan: MOST_BYTES_A_PLAN,
        }
    }
}

/// Something to know about a segment before its indexes are made again. Offsets and positions are those of its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remark {
    /// The indexes end before the end of the log.
    Stops {
        /// The log.
        log: PathBuf,
        /// Where the last batch in reach of the indexes ends.
        position: Position,
        /// The first offset that they do not reach.
        first_offset: Offset,
        /// The last offset of the log (inclusive), where intact batches follow.
        last_offset: Option<Offset>,
        /// Why.
        why: Stop,
    },
    /// There is no room for all entries.
    Full {
        /// The log.
        log: PathBuf,
        /// How many entries were left out of offset and time index together.
        left_out: u64,
    },
    /// The transaction index stays as it is.
    TxnsUnknown {
        /// The log.
        log: PathBuf,
        /// Why the aborted transactions cannot be told.
        why: TxnTrouble,
    },
    /// Entries of the transaction index were taken over: the log does not say whether they are right.
    TxnsKept {
        /// The log.
        log: PathBuf,
        /// How many.
        entries: u64,
    },
    /// The newest segment of a running broker is left alone.
    Live {
        /// The log.
        log: PathBuf,
    },
    /// The name of the log is not one that brokers open: it is left alone.
    NotCanonical {
        /// The log.
        log: PathBuf,
    },
}

/// Why a file is made again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// Because of these findings, each named once; none where all are made again.
    Found(Vec<Id>),
    /// The file is not there.
    Missing,
}

/// What is to be done to some segments of a partition, one behind the other.
#[derive(Debug)]
pub struct Rebuild {
    /// The steps; none where nothing is to be done.
    pub plan: Plan,
    /// Why, for each step.
    pub why: Vec<Why>,
    /// What is to be known about it.
    pub remarks: Vec<Remark>,
    /// Findings that are errors and stay.
    pub left: Findings,
    /// Files that could not be looked at.
    pub unreadable: Vec<StoreError>,
    /// How many segments were looked at.
    pub segments: u64,
    /// How many intact batches they have.
    pub batches: u64,
    /// How many records their headers count.
    pub records: u64,
    /// How many bytes were read.
    pub bytes: u64,
    /// Whether the user has stopped it: then there are no steps.
    pub stopped: bool,
}

/// Goes through the segments of a partition and makes plans.
#[derive(Debug)]
pub struct Rebuilder<'a> {
    dir: &'a PartitionDir,
    segments: Vec<SegmentFiles<'a>>,
    next: usize,
    options: &'a RebuildOptions,
    setting: Setting,
    stop: Option<&'a AtomicBool>,
    producers: ProducersOf<'a>,
    snapshot_offsets: Vec<Offset>,
    check: ProducersCheck<'a>,
    worker: Worker,
}

impl<'a> Rebuilder<'a> {
    /// For the partition `dir`, whose path must be absolute; its log starts at `log_start_offset`, where its log dir says
    /// so. Under a running broker nothing may be applied.
    pub fn new(
        dir: &'a PartitionDir,
        log_start_offset: Option<Offset>,
        options: &'a RebuildOptions,
        setting: Setting,
        stop: Option<&'a AtomicBool>,
    ) -> Self {
        let setting = Setting { depth: Depth::Checksums, ..setting };
        let snapshots = dir.files.iter().filter(|file| file.name.kind == FileKind::ProducerSnapshot);
        let snapshots = snapshots.filter(|file| file.name.state == FileState::Live);
        let mut snapshot_offsets: Vec<_> = snapshots.filter_map(|file| file.name.base_offset).collect();
        snapshot_offsets.sort_unstable();
        Self {
            dir,
            segments: dir.segments(),
            next: 0,
            options,
            setting,
            snapshot_offsets,
            check: ProducersCheck::new(dir, log_start_offset, setting),
            stop,
            producers: ProducersOf::new(dir, setting.policy, stop),
            worker: Worker::new(DEFAULT_LIMIT),
        }
    }

    /// What is to be done to the next segments, as many as one plan may hold; `None` behind the last.
    ///
    /// Errors: a file that is to be replaced is no file.
    pub fn next_part(&mut self, disk: &dyn WriteStorage) -> Result<Option<Rebuild>, RepairError> {
        if self.next >= self.segments.len() {
            return Ok(None);
        }
        let mut part = Rebuild {
            plan: Plan::new(ACTION, self.dir.path.clone()),
            why: Vec::new(),
            remarks: Vec::new(),
            left: Findings::new(),
            unreadable: Vec::new(),
            segments: 0,
            batches: 0,
            records: 0,
            bytes: 0,
            stopped: false,
        };
        while let Some(files) = self.segments.get(self.next).copied() {
            if part.plan.new_bytes() >= self.options.most_bytes_a_plan {
                break;
            }
            let next_base_offset = self.segments.get(self.next + 1).map(|next| next.base_offset);
            self.next += 1;
            if self.options.segment.is_some_and(|wanted| wanted != files.base_offset) {
                continue;
            }
            self.segment(files, next_base_offset, disk, &mut part)?;
            if part.stopped {
                self.next = self.segments.len();
                part.plan.steps.clear();
            }
        }
        Ok(Some(part))
    }

    fn segment(
        &mut self,
        files: SegmentFiles<'a>,
        next_base_offset: Option<Offset>,
        disk: &dyn WriteStorage,
        part: &mut Rebuild,
    ) -> Result<(), RepairError> {
        let Some(log) = files.log else { return Ok(()) };
        let base_offset = files.base_offset;
        if !log.name.canonical {
            part.remarks.push(Remark::NotCanonical { log: log.path() });
            return Ok(());
        }
        if self.setting.is_live() && next_base_offset.is_none() {
            part.remarks.push(Remark::Live { log: log.path() });
            return Ok(());
        }
        // What files are is noted before they are read.
        let log_was = Fingerprint::of(disk, &log.path());
        let were = INDEX_KINDS.map(|kind| Fingerprint::of(disk, &self.dir.path.join(name_of(base_offset, kind))));
        let known = match self.wants(FileKind::TxnIndex) {
            true => match self.producers.at(base_offset) {
                Ok(known) => Some(known),
                Err(error) => {
                    part.unreadable.push(error);
                    None
                }
            },
            false => None,
        };
        let known_from = known.as_ref().map_or(base_offset, |known| known.known_from);
        let options = RecoverOptions {
            index_interval_bytes: self.options.index_interval_bytes,
            segment_index_bytes: self.options.segment_index_bytes,
            ..RecoverOptions::with_defaults(base_offset)
        };
        let mut derived = Derived::new(&options, known.map(|known| known.state));
        let task = SegmentTask {
            files,
            next_base_offset,
            snapshot_offsets: &self.snapshot_offsets,
            setting: self.setting,
            stop: self.stop,
        };
        let mut judged = self.worker.judge_and_show(&task, &mut |batch, behind| derived.batch(batch, behind));
        self.judge_txn_index(&mut judged);
        part.segments += 1;
        part.batches += judged.facts.batches;
        part.records += judged.facts.records;
        part.bytes += judged.bytes;
        part.stopped |= judged.stopped;
        derived.finish(judged.facts.is_intact());
        let mut replaced = Vec::new();
        if judged.unreadable.is_empty() && !part.stopped {
            let looked = Looked { files, known_from, derived: &derived, judged: &judged };
            for (kind, was) in INDEX_KINDS.into_iter().zip(were) {
                if self.wants(kind)
                    && let Some((why, bytes)) = self.replacement(kind, &looked, &mut part.remarks)?
                {
                    let log_was = log_was.as_ref().ok().and_then(Option::as_ref);
                    let file = self.dir.path.join(name_of(base_offset, kind));
                    let old = was?;
                    let Some(log_was) = log_was else { return Err(StoreError::not_itself_a_file(log.path()).into()) };
                    part.plan.steps.push(step(file, old, bytes, log_was));
                    part.why.push(why);
                    replaced.push(kind);
                }
            }
            if !replaced.is_empty()
                && let Ok(Some(was)) = log_was
            {
                part.plan.made_from.push(Source { file: log.path(), was });
                looked.remark(&replaced, &mut part.remarks);
            }
        }
        let came_to_the_end = derived.stop.is_none() && !part.stopped;
        self.producers.carry(base_offset, derived.txns, came_to_the_end, known_from);
        part.unreadable.extend(judged.unreadable);
        let is_left = |finding: &Finding| {
            finding.severity == Severity::Error && kind_of(finding).is_none_or(|kind| !replaced.contains(&kind))
        };
        judged.findings.into_vec().into_iter().filter(is_left).for_each(|finding| part.left.push(finding));
        Ok(())
    }

    /// What is wrong with the transaction index takes what is known of the segments before to tell.
    fn judge_txn_index(&mut self, judged: &mut JudgedSegment) {
        let mut seen = PartitionReport::default();
        self.check.take(judged, &mut seen);
        let of_index = seen.findings.into_vec().into_iter();
        of_index.filter(|finding| kind_of(finding) == Some(FileKind::TxnIndex)).for_each(|it| judged.findings.push(it));
    }

    fn wants(&self, kind: FileKind) -> bool {
        self.options.kinds.contains(&kind)
    }

    /// What is to come in the place of an index, and why; `None` where it can stay.
    fn replacement(
        &self,
        kind: FileKind,
        looked: &Looked<'_>,
        remarks: &mut Vec<Remark>,
    ) -> Result<Option<(Why, Vec<u8>)>, RepairError> {
        let file = looked.file(kind);
        let there = match file {
            Some(file) => Some(read_small(&file.path(), LARGEST_TXN_INDEX)?),
            None => None,
        };
        let ids = looked.wrong(kind);
        let bytes = match kind {
            FileKind::OffsetIndex => looked.derived.indexes.offset_index.clone(),
            FileKind::TimeIndex => looked.derived.indexes.time_index.clone(),
            _ => match looked.txn_index(there.as_deref().unwrap_or_default(), remarks) {
                Some(bytes) => bytes,
                None => return Ok(None),
            },
        };
        let is_same = there.as_deref() == Some(&bytes[..]);
        // Kafka makes a transaction index only where there is something to write.
        let needs_no_file = kind == FileKind::TxnIndex && there.is_none() && bytes.is_empty();
        if is_same || needs_no_file {
            return Ok(None);
        }
        let is_wrong = ids.iter().any(|(_, severity)| *severity >= Severity::Warning);
        let why = match file {
            None if self.options.all || is_wrong || self.is_missed(&ids) => Some(Why::Missing),
            // An index that is not there and not missed would be made by the next start of a broker.
            _ if is_wrong => Some(Why::Found(ids.into_iter().map(|(id, _)| id).collect())),
            _ => self.options.all.then_some(Why::Found(Vec::new())),
        };
        Ok(why.map(|why| (why, bytes)))
    }

    /// Whether an index that is not there should be. Those of the newest segment of a cluster's metadata never are.
    fn is_missed(&self, ids: &[(Id, Severity)]) -> bool {
        let is_metadata = self.dir.name.as_ref().is_some_and(|name| name.topic == CLUSTER_METADATA_TOPIC);
        let least = if is_metadata { Severity::Warning } else { Severity::Info };
        ids.iter().any(|(_, severity)| *severity >= least)
    }
}

/// What one walk over a segment has brought.
struct Looked<'l> {
    files: SegmentFiles<'l>,
    known_from: Offset,
    derived: &'l Derived,
    judged: &'l JudgedSegment,
}

impl Looked<'_> {
    fn known(&self) -> Known {
        let to = self.derived.stop.as_ref().map(|(_, first_offset, _)| *first_offset);
        Known { from: self.known_from, to }
    }

    fn log(&self) -> PathBuf {
        self.files.log.map(NamedFile::path).unwrap_or_default()
    }

    /// The index that is there, under the name that brokers open.
    fn file(&self, kind: FileKind) -> Option<&NamedFile> {
        let file = match kind {
            FileKind::OffsetIndex => self.files.offset_index,
            FileKind::TimeIndex => self.files.time_index,
            _ => self.files.txn_index,
        };
        file.filter(|file| file.name.canonical)
    }

    /// What is wrong with an index and goes away when it is made again, each kind once.
    fn wrong(&self, kind: FileKind) -> Vec<(Id, Severity)> {
        let is_wrong = |finding: &&Finding| {
            let is_missing = matches!(finding.id, Id::IndexMissing | Id::TimeIndexMissing);
            (finding.severity >= Severity::Warning || is_missing)
                && finding.repair == Repair::Safe
                && kind_of(finding) == Some(kind)
        };
        let found = self.judged.findings.iter().filter(is_wrong);
        let mut ids: Vec<_> = found.map(|finding| (finding.id, finding.severity)).collect();
        ids.sort_unstable_by_key(|(id, severity)| (*id, std::cmp::Reverse(*severity)));
        ids.dedup_by_key(|(id, _)| *id);
        ids
    }

    /// The content of the transaction index, where there are these bytes now; `None` where nothing can be said.
    fn txn_index(&self, there: &[u8], remarks: &mut Vec<Remark>) -> Option<Vec<u8>> {
        let txns = self.derived.txns.as_ref()?;
        if let Some(trouble) = &txns.trouble {
            remarks.push(Remark::TxnsUnknown { log: self.log(), why: trouble.clone() });
            return None;
        }
        Some(txn_index_bytes(&txns.with_kept(there, self.known())))
    }

    /// What is to be known where the indexes of these kinds are made again.
    fn remark(&self, replaced: &[FileKind], remarks: &mut Vec<Remark>) {
        let log = self.log();
        if let Some((position, first_offset, why)) = &self.derived.stop {
            let last_offset = self.judged.facts.max_last_offset.filter(|last| last >= first_offset);
            let (position, first_offset, why) = (*position, *first_offset, why.clone());
            remarks.push(Remark::Stops { log: log.clone(), position, first_offset, last_offset, why });
        }
        let left_out = self.derived.indexes.left_out();
        if left_out > 0 && replaced.iter().any(|kind| *kind != FileKind::TxnIndex) {
            remarks.push(Remark::Full { log: log.clone(), left_out });
        }
        if replaced.contains(&FileKind::TxnIndex)
            && let (Some(txns), Some(file)) = (&self.derived.txns, self.file(FileKind::TxnIndex))
        {
            let there = read_small(&file.path(), LARGEST_TXN_INDEX).unwrap_or_default();
            let entries = txns.with_kept(&there, self.known()).len().saturating_sub(txns.aborted.len());
            if entries > 0 {
                remarks.push(Remark::TxnsKept { log, entries: entries as u64 });
            }
        }
    }
}

/// The index that a finding is about.
fn kind_of(finding: &Finding) -> Option<FileKind> {
    match finding.id {
        Id::IndexOrphan => None,
        id => match id.name().split_once('/')?.0 {
            "index" => Some(FileKind::OffsetIndex),
            "timeindex" => Some(FileKind::TimeIndex),
            "txnindex" => Some(FileKind::TxnIndex),
            _ => None,
        },
    }
}

fn name_of(base_offset: Offset, kind: FileKind) -> String {
    segment_file_name(base_offset, kind, FileState::Live)
}

/// Owner and mode are those of the file before, or of the log. The time is that of the log: recovery writes an index
/// after its log, and a time that is always the same leaves the plan the same.
fn step(file: PathBuf, old: Option<Fingerprint>, bytes: Vec<u8>, log: &Fingerprint) -> Step {
    let owner = old.as_ref().unwrap_or(log).id.meta;
    let meta = FileMeta { modified: log.id.meta.modified, ..owner };
    Step::Replace { file, old, new: NewFile::new(bytes, meta) }
}

/// Looks at the files of a plan that was done, and says what is not as it should be.
///
/// The content was judged by the walk that made it: here the files must be what was planned.
pub fn verify(storage: &dyn WriteStorage, plan: &Plan) -> Result<(), String> {
    for step in &plan.steps {
        let Step::Replace { file, new, .. } = step else { continue };
        let is_there = |now: &Fingerprint| now.id.size_in_bytes == new.size_in_bytes && now.id.meta == new.meta;
        let now = Fingerprint::of(storage, file).map_err(|error| error.to_string())?;
        let bytes = storage.read_from(file, 0).map_err(|error| error.to_string())?;
        if !now.as_ref().is_some_and(is_there) || super::plan::digest(&bytes) != new.digest {
            return Err(format!("{} is not what was written", Path::new(file).display()));
        }
    }
    for source in &plan.made_from {
        let now = Fingerprint::of(storage, &source.file).map_err(|error| error.to_string())?;
        if now.as_ref() != Some(&source.was) {
            return Err(format!("{} has changed meanwhile", source.file.display()));
        }
    }
    Ok(())
}
