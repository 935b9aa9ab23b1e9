//! One walk over a segment: what is wrong with its indexes, and what would come in their place.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::derive::{Derived, DerivedTxns, Known, Stop, TxnTrouble, txn_index_bytes};
use super::producers::{Carried, Start};
use super::{ACTION, INDEX_KINDS, Rebuild, RebuildOptions, Remark, Why, kind_of};
use crate::check::segment::{JudgedSegment, SegmentTask, Worker};
use crate::check::{Depth, Finding, Findings, Id, Repair, Setting, Severity};
use crate::format::file_name::{FileKind, FileState, segment_file_name};
use crate::format::{Offset, Position};
use crate::repair::RepairError;
use crate::repair::plan::{Fingerprint, NewFile, Plan, Step};
use crate::scan::recover::RecoverOptions;
use crate::store::partition::{OwnedSegment, PartitionDir, SegmentFiles};
use crate::store::write::{FileMeta, WriteStorage};
use crate::store::{NamedFile, StoreError, read_small};

/// The largest transaction index that is read, in bytes.
const LARGEST_TXN_INDEX: u64 = 256 << 20;

/// A partition whose indexes are to be made again: what all share who look at its segments.
#[derive(Debug)]
pub struct Partition {
    /// Its directory.
    pub dir: PartitionDir,
    pub(super) options: RebuildOptions,
    pub(super) setting: Setting,
    /// The producer snapshots in use, by offset.
    pub(super) snapshots: Vec<(Offset, PathBuf)>,
    snapshot_offsets: Vec<Offset>,
}

/// A segment that is to be looked at, on any thread.
#[derive(Debug)]
pub struct Segment {
    partition: Arc<Partition>,
    files: OwnedSegment,
    /// What the segment before leaves, and that one's base offset.
    before: Option<(Offset, Receiver<Carried>)>,
    behind: Option<Sender<Carried>>,
}

/// What was seen of a segment, for the [`Planner`](super::Planner).
#[derive(Debug)]
pub enum Looked {
    /// There is no log.
    NoLog,
    /// It is left alone.
    PassedOver(Remark),
    /// Its log was walked over.
    Walked(Box<Walked>),
}

/// What one walk over a segment has brought.
#[derive(Debug)]
pub struct Walked {
    pub(super) log: PathBuf,
    pub(super) log_was: Option<Fingerprint>,
    pub(super) judged: JudgedSegment,
    /// What would come in the place of indexes that are something else.
    pub(super) made: Result<Vec<Made>, RepairError>,
    /// Logs before it that could not be looked at.
    pub(super) unreadable: Vec<StoreError>,
    txn_trouble: Option<TxnTrouble>,
    stop: Option<(Position, Offset, Stop)>,
    left_out: u64,
    /// How many entries of the transaction index there is would be taken over.
    kept_txns: u64,
}

/// What would come in the place of an index.
#[derive(Debug)]
pub(super) struct Made {
    pub kind: FileKind,
    /// Whether there is such a file, under the name that brokers open.
    pub is_there: bool,
    pub step: Result<Step, RepairError>,
}

impl Partition {
    /// The partition `dir`, whose path must be absolute. Under a running broker nothing may be applied.
    pub fn new(dir: PartitionDir, options: RebuildOptions, setting: Setting) -> Self {
        let setting = Setting { depth: Depth::Checksums, ..setting };
        let is_snapshot =
            |file: &&NamedFile| file.name.kind == FileKind::ProducerSnapshot && file.name.state == FileState::Live;
        let snapshots = dir.files.iter().filter(is_snapshot);
        let snapshots: Vec<_> = snapshots.filter_map(|file| Some((file.name.base_offset?, file.path()))).collect();
        let snapshot_offsets = snapshots.iter().map(|(offset, _)| *offset).collect();
        Self { dir, options, setting, snapshots, snapshot_offsets }
    }

    /// The segments that are to be looked at, in order. Each may wait for the one before it: whoever looks at several
    /// at the same time must begin with them in this order.
    pub fn segments(self: &Arc<Self>) -> Vec<Segment> {
        let is_meant = |files: &OwnedSegment| self.options.segment.is_none_or(|only| only == files.files().base_offset);
        let mut before = None;
        let of_partition = self.dir.owned_segments().into_iter().filter(is_meant);
        let segment = |files: OwnedSegment| {
            let is_walked_over = self.passed_over(&files).is_none();
            let (behind, left) = channel();
            let next = is_walked_over.then(|| (files.files().base_offset, left));
            let before = if is_walked_over { std::mem::replace(&mut before, next) } else { None };
            Segment { partition: Arc::clone(self), files, before, behind: is_walked_over.then_some(behind) }
        };
        of_partition.map(segment).collect()
    }

    pub(super) fn nothing_to_do(&self) -> Rebuild {
        Rebuild {
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
        }
    }

    /// Why an index that is not what it would be is to be made again; `None` where it can stay.
    pub(super) fn why(&self, kind: FileKind, is_there: bool, findings: &Findings) -> Option<Why> {
        let ids = wrong(kind, findings);
        let is_wrong = ids.iter().any(|(_, severity)| *severity >= Severity::Warning);
        match is_there {
            false if self.options.all || is_wrong || self.is_missed(&ids) => Some(Why::Missing),
            // An index that is not there and not missed would be made by the next start of a broker.
            _ if is_wrong => Some(Why::Found(ids.into_iter().map(|(id, _)| id).collect())),
            _ => self.options.all.then_some(Why::Found(Vec::new())),
        }
    }

    /// Whether an index that is not there should be. Those of the newest segment of a cluster's metadata never are.
    fn is_missed(&self, ids: &[(Id, Severity)]) -> bool {
        let least = if self.dir.is_metadata_log() { Severity::Warning } else { Severity::Info };
        ids.iter().any(|(_, severity)| *severity >= least)
    }

    fn wants(&self, kind: FileKind) -> bool {
        self.options.kinds.contains(&kind)
    }

    /// What is to be said of a segment that is left alone.
    fn passed_over(&self, segment: &OwnedSegment) -> Option<Looked> {
        let Some(log) = segment.files().log else { return Some(Looked::NoLog) };
        if !log.name.canonical {
            return Some(Looked::PassedOver(Remark::NotCanonical { log: log.path() }));
        }
        let is_in_motion = self.setting.is_live() && segment.next_base_offset.is_none();
        is_in_motion.then(|| Looked::PassedOver(Remark::Live { log: log.path() }))
    }
}

impl Segment {
    /// How many bytes its log has now.
    pub fn size_in_bytes(&self) -> u64 {
        self.files.files().size_in_bytes().unwrap_or(0)
    }

    /// Walks over the log. `stop` can be set from outside, to end it before the next batch.
    pub fn look(mut self, worker: &mut Worker, disk: &dyn WriteStorage, stop: Option<&AtomicBool>) -> Looked {
        if let Some(passed_over) = self.partition.passed_over(&self.files) {
            return passed_over;
        }
        let partition = Arc::clone(&self.partition);
        let files = self.files.files();
        let Some(log) = files.log.map(NamedFile::path) else { return Looked::NoLog };
        // What files are is noted before they are read.
        let log_was = Fingerprint::of(disk, &log).ok().flatten();
        let were = INDEX_KINDS.map(|kind| Fingerprint::of(disk, &partition.dir.path.join(name_of(&files, kind))));
        let options = RecoverOptions {
            index_interval_bytes: partition.options.index_interval_bytes,
            segment_index_bytes: partition.options.segment_index_bytes,
            ..RecoverOptions::with_defaults(files.base_offset)
        };
        let start = Start::new(Arc::clone(&partition), files.base_offset, self.before.take());
        let mut derived = Derived::new(&options, partition.wants(FileKind::TxnIndex).then_some(start), stop);
        let task = SegmentTask {
            files,
            next_base_offset: self.files.next_base_offset,
            snapshot_offsets: &partition.snapshot_offsets,
            setting: partition.setting,
            stop,
        };
        let judged = worker.judge_and_show(&task, &mut |batch, behind| derived.batch(batch, behind));
        derived.finish(judged.facts.is_intact());
        let mut walked = Walked {
            log,
            log_was,
            made: Ok(Vec::new()),
            unreadable: Vec::new(),
            txn_trouble: None,
            stop: derived.stop.take(),
            left_out: derived.indexes.left_out(),
            kept_txns: 0,
            judged,
        };
        let mut txns = derived.txns.take();
        if let Some(Err(error)) = txns.as_mut().and_then(|txns| txns.known.take_if(|known| known.is_err())) {
            walked.unreadable.push(error);
            txns = None;
        }
        let looks_good = walked.judged.unreadable.is_empty() && !walked.judged.stopped;
        if looks_good {
            let indexes = [derived.indexes.offset_index, derived.indexes.time_index];
            walked.made = walked.make(&partition, &files, indexes, txns.as_ref(), were);
        }
        if let (Some(txns), Some(behind)) = (txns, &self.behind)
            && looks_good
            && walked.stop.is_none()
            && txns.trouble.is_none()
        {
            let carried = match txns.known {
                Some(Ok(known)) => Carried::Known(known),
                _ => txns.start.settled(),
            };
            // There may be no next segment.
            let _ = behind.send(carried);
        }
        Looked::Walked(Box::new(walked))
    }
}

impl Walked {
    /// What would come in the place of each index that is wanted.
    fn make(
        &mut self,
        partition: &Partition,
        files: &SegmentFiles<'_>,
        [offset_index, time_index]: [Vec<u8>; 2],
        txns: Option<&DerivedTxns<'_>>,
        were: [Result<Option<Fingerprint>, StoreError>; 3],
    ) -> Result<Vec<Made>, RepairError> {
        let mut made = Vec::new();
        let derived = [Some(offset_index), Some(time_index), None];
        for ((kind, was), derived) in INDEX_KINDS.into_iter().zip(were).zip(derived) {
            if !partition.wants(kind) {
                continue;
            }
            let there = match index_of(files, kind) {
                Some(file) => Some(read_small(&file.path(), LARGEST_TXN_INDEX)?),
                None => None,
            };
            let txn_index = || self.txn_index(txns?, there.as_deref().unwrap_or_default());
            let Some(bytes) = derived.or_else(txn_index) else { continue };
            // Kafka makes a transaction index only where there is something to write.
            let needs_no_file = kind == FileKind::TxnIndex && there.is_none() && bytes.is_empty();
            // Whether a transaction index is right is known when the segments before are.
            let can_stay =
                || kind != FileKind::TxnIndex && partition.why(kind, there.is_some(), &self.judged.findings).is_none();
            if there.as_ref() == Some(&bytes) || needs_no_file || can_stay() {
                continue;
            }
            let file = partition.dir.path.join(name_of(files, kind));
            made.push(Made { kind, is_there: there.is_some(), step: self.step(file, was, bytes) });
        }
        Ok(made)
    }

    /// The content of the transaction index, where there are these bytes now; `None` where nothing can be said.
    fn txn_index(&mut self, txns: &DerivedTxns<'_>, there: &[u8]) -> Option<Vec<u8>> {
        if txns.trouble.is_some() {
            self.txn_trouble = txns.trouble.clone();
            return None;
        }
        // Where no producer was met it makes no difference from where on transactions are known.
        let known = txns.known.as_ref().and_then(|known| known.as_ref().ok());
        let from = known.map_or(Offset(i64::MIN), |known| known.known_from);
        let to = self.stop.as_ref().map(|(_, first_offset, _)| *first_offset);
        let entries = txns.with_kept(there, Known { from, to });
        self.kept_txns = entries.len().saturating_sub(txns.aborted.len()) as u64;
        Some(txn_index_bytes(&entries))
    }

    /// Owner and mode are those of the file before, or of the log. The time is that of the log: recovery writes an
    /// index after its log, and a time that is always the same leaves the plan the same.
    fn step(
        &self,
        file: PathBuf,
        was: Result<Option<Fingerprint>, StoreError>,
        bytes: Vec<u8>,
    ) -> Result<Step, RepairError> {
        let old = was?;
        let Some(log) = &self.log_was else { return Err(StoreError::not_itself_a_file(&self.log).into()) };
        let owner = old.as_ref().unwrap_or(log).id.meta;
        let meta = FileMeta { modified: log.id.meta.modified, ..owner };
        Ok(Step::Replace { file, old, new: NewFile::new(bytes, meta) })
    }

    /// What is to be known where the indexes of these kinds are made again.
    pub(super) fn remark(&self, replaced: &[FileKind], remarks: &mut Vec<Remark>) {
        let log = || self.log.clone();
        if let Some(why) = &self.txn_trouble {
            remarks.push(Remark::TxnsUnknown { log: log(), why: why.clone() });
        }
        if replaced.is_empty() {
            return;
        }
        if let Some((position, first_offset, why)) = &self.stop {
            let last_offset = self.judged.facts.max_last_offset.filter(|last| last >= first_offset);
            let (position, first_offset, why) = (*position, *first_offset, why.clone());
            remarks.push(Remark::Stops { log: log(), position, first_offset, last_offset, why });
        }
        if self.left_out > 0 && replaced.iter().any(|kind| *kind != FileKind::TxnIndex) {
            remarks.push(Remark::Full { log: log(), left_out: self.left_out });
        }
        if self.kept_txns > 0 && replaced.contains(&FileKind::TxnIndex) {
            remarks.push(Remark::TxnsKept { log: log(), entries: self.kept_txns });
        }
    }
}

/// The index that is there, under the name that brokers open.
fn index_of<'a>(files: &SegmentFiles<'a>, kind: FileKind) -> Option<&'a NamedFile> {
    let file = match kind {
        FileKind::OffsetIndex => files.offset_index,
        FileKind::TimeIndex => files.time_index,
        _ => files.txn_index,
    };
    file.filter(|file| file.name.canonical)
}

fn name_of(files: &SegmentFiles<'_>, kind: FileKind) -> String {
    segment_file_name(files.base_offset, kind, FileState::Live)
}

/// What is wrong with an index and goes away when it is made again, each kind once.
fn wrong(kind: FileKind, findings: &Findings) -> Vec<(Id, Severity)> {
    let is_wrong = |finding: &&Finding| {
        let is_missing = matches!(finding.id, Id::IndexMissing | Id::TimeIndexMissing);
        (finding.severity >= Severity::Warning || is_missing)
            && finding.repair == Repair::Safe
            && kind_of(finding) == Some(kind)
    };
    let mut ids: Vec<_> = findings.iter().filter(is_wrong).map(|finding| (finding.id, finding.severity)).collect();
    ids.sort_unstable_by_key(|(id, severity)| (*id, std::cmp::Reverse(*severity)));
    ids.dedup_by_key(|(id, _)| *id);
    ids
}
