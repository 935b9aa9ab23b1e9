//! The planner of `rebuild-index`: index files as Kafka's own recovery writes them, for a partition whose log stays as it is.
//!
//! One walk over each log judges its indexes and derives new ones; several can be walked over at the same time. What is
//! wrong is replaced, or everything where that is wanted. Indexes end where the log is damaged; the entries of a transaction index behind that, and those of
//! transactions of which the log says nothing, are kept.
//!
//! Source: Kafka `LogSegment.recover`, `OffsetIndex`, `TimeIndex`, `TransactionIndex`.

mod derive;
mod producers;
mod segment;

pub use derive::{Stop, TxnTrouble};
pub use segment::{Looked, Partition, Segment};

use std::path::{Path, PathBuf};

use super::RepairError;
use super::plan::{Fingerprint, Plan, Source, Step};
use crate::check::partition::PartitionReport;
use crate::check::producers::ProducersCheck;
use crate::check::segment::JudgedSegment;
use crate::check::{Finding, Findings, Id, Severity};
use crate::format::file_name::FileKind;
use crate::format::{Offset, Position};
use crate::scan::recover::{DEFAULT_INDEX_INTERVAL_BYTES, DEFAULT_SEGMENT_INDEX_BYTES};
use crate::store::StoreError;
use crate::store::write::WriteStorage;

/// The name of the command.
pub const ACTION: &str = "rebuild-index";

/// How many bytes of new files a plan holds at most, unless one segment alone has more: plans are held in memory.
pub const MOST_BYTES_A_PLAN: u64 = 64 << 20;

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

impl Rebuild {
    /// Whether there is nothing to do and nothing to say.
    pub fn is_silent(&self) -> bool {
        self.plan.steps.is_empty() && self.remarks.is_empty()
    }
}

/// Makes plans of what was seen of the segments of a partition, taken one behind the other.
#[derive(Debug)]
pub struct Planner<'a> {
    partition: &'a Partition,
    check: ProducersCheck<'a>,
    part: Rebuild,
}

impl<'a> Planner<'a> {
    /// For a partition whose log starts at `log_start_offset`, where its log dir says so.
    pub fn new(partition: &'a Partition, log_start_offset: Option<Offset>) -> Self {
        let check = ProducersCheck::new(&partition.dir, log_start_offset, partition.setting);
        Self { partition, check, part: partition.nothing_to_do() }
    }

    /// Takes in what was seen of the next segment; what is to be done up to here, once a plan is as large as it may be
    /// or the user has stopped it.
    ///
    /// Errors: a file that is to be replaced is no file.
    pub fn take(&mut self, looked: Looked) -> Result<Option<Rebuild>, RepairError> {
        self.segment(looked)?;
        if self.part.stopped {
            self.part.plan.steps.clear();
        }
        let is_full = self.part.plan.new_bytes() >= self.partition.options.most_bytes_a_plan;
        Ok((is_full || self.part.stopped).then(|| self.rest()))
    }

    /// What is left to be done behind the last segment.
    pub fn rest(&mut self) -> Rebuild {
        std::mem::replace(&mut self.part, self.partition.nothing_to_do())
    }

    fn segment(&mut self, looked: Looked) -> Result<(), RepairError> {
        let mut walked = match looked {
            Looked::NoLog => return Ok(()),
            Looked::PassedOver(remark) => {
                self.part.remarks.push(remark);
                return Ok(());
            }
            Looked::Walked(walked) => walked,
        };
        self.judge_txn_index(&mut walked.judged);
        let part = &mut self.part;
        part.segments += 1;
        part.batches += walked.judged.facts.batches;
        part.records += walked.judged.facts.records;
        part.bytes += walked.judged.bytes;
        part.stopped |= walked.judged.stopped;
        let mut replaced = Vec::new();
        for made in std::mem::replace(&mut walked.made, Ok(Vec::new()))? {
            if let Some(why) = self.partition.why(made.kind, made.is_there, &walked.judged.findings) {
                part.plan.steps.push(made.step?);
                part.why.push(why);
                replaced.push(made.kind);
            }
        }
        walked.remark(&replaced, &mut part.remarks);
        if !replaced.is_empty()
            && let Some(was) = walked.log_was
        {
            part.plan.made_from.push(Source { file: walked.log, was });
        }
        part.unreadable.extend(walked.unreadable);
        part.unreadable.extend(walked.judged.unreadable);
        let is_left = |finding: &Finding| {
            finding.severity == Severity::Error && kind_of(finding).is_none_or(|kind| !replaced.contains(&kind))
        };
        let left = walked.judged.findings.into_vec().into_iter().filter(is_left);
        left.for_each(|finding| part.left.push(finding));
        Ok(())
    }

    /// What is wrong with the transaction index takes what is known of the segments before to tell.
    fn judge_txn_index(&mut self, judged: &mut JudgedSegment) {
        let mut seen = PartitionReport::default();
        self.check.take(judged, &mut seen);
        let of_index = seen.findings.into_vec().into_iter();
        of_index.filter(|finding| kind_of(finding) == Some(FileKind::TxnIndex)).for_each(|it| judged.findings.push(it));
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
