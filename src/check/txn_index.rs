//! The transaction index of a segment: on its own, and held against the abort markers of its log.

use super::Id;
use super::Setting;
use super::finding::{Finding, Severity};
use super::partition::PartitionReport;
use super::producers::LogSoFar;
use crate::format::Offset;
use crate::format::txn_index::{AbortedTxn, ENTRY_SIZE, TxnIndex, VERSION};
use crate::scan::producer_facts::AbortedTransaction;
use crate::scan::segment_facts::SegmentFacts;
use crate::store::partition::SegmentFiles;
use crate::store::{NamedFile, StoreError, open};

/// How many entries are read at a time.
const ENTRIES_AT_ONCE: u64 = 4096;

/// Judges the index of a segment whose log was not looked at, or cannot be believed.
pub fn judge_file(files: &SegmentFiles<'_>, setting: &Setting, report: &mut PartitionReport) {
    if let Some(index) = files.txn_index {
        let mut check = Check::new(index, files.base_offset, None);
        check.run(setting, report);
    }
}

/// Judges the index of a segment by the abort markers in its log. `aborts` also says whether these are all of them.
pub fn judge(
    files: &SegmentFiles<'_>,
    facts: &SegmentFacts,
    (aborts, is_all): &(Vec<AbortedTransaction>, bool),
    log: &LogSoFar,
    setting: &Setting,
    report: &mut PartitionReport,
) {
    if files.log.is_none() {
        return;
    }
    let reaches = match facts.first_gap {
        Some((gap, _)) if !facts.is_intact() => gap,
        // A running broker may have gone on.
        _ if !facts.is_intact() || setting.is_live() => facts.next_offset(),
        _ => Offset(i64::MAX),
    };
    let markers = Markers { aborts, is_all: *is_all, matched: vec![false; aborts.len()], reaches, log };
    let Some(index) = files.txn_index else { return missing_file(files, &markers, setting, report) };
    let mut check = Check::new(index, files.base_offset, Some(markers));
    if check.run(setting, report)
        && let Some(markers) = check.markers
    {
        markers.missing_entries(index, setting, report);
    }
}

/// The abort markers of a segment.
struct Markers<'a> {
    aborts: &'a [AbortedTransaction],
    is_all: bool,
    /// Which of them have an entry.
    matched: Vec<bool>,
    /// Up to where (exclusive) every batch of the segment is known.
    reaches: Offset,
    log: &'a LogSoFar,
}

impl Markers<'_> {
    /// Whether an entry must be there: the transaction has data, also for a broker that has to rebuild the index and
    /// reads no further back than the log start.
    fn needs_entry(&self, abort: &AbortedTransaction) -> bool {
        abort.is_sure && abort.last_data_offset.is_some_and(|last_data| last_data >= self.log.log_start_offset)
    }

    /// Whether every aborted transaction is listed. Readers get the records of one that is not as if they counted.
    ///
    /// Source: Kafka `LogSegment.collectAbortedTxns`.
    fn missing_entries(&self, index: &NamedFile, setting: &Setting, report: &mut PartitionReport) {
        let listed_up_to = self.matched.iter().rposition(|matched| *matched);
        for (slot, (abort, matched)) in self.aborts.iter().zip(&self.matched).enumerate() {
            if *matched || !self.needs_entry(abort) {
                continue;
            }
            let mut finding = entry_missing(abort, index.path());
            // A running broker writes the log first.
            if setting.is_live() && listed_up_to.is_none_or(|listed| listed < slot) {
                finding = finding.as_severity(Severity::Info);
            }
            report.findings.push(finding);
        }
    }
}

fn entry_missing(abort: &AbortedTransaction, path: std::path::PathBuf) -> Finding {
    let mut finding = Finding::new(Id::TxnIndexEntryMissing, path).offset(abort.last_offset);
    finding = finding.with("producerId", abort.producer_id);
    if let Some(first_offset) = abort.first_offset {
        finding = finding.with("firstOffset", first_offset);
    }
    finding.with("lastOffset", abort.last_offset)
}

/// A segment without aborted transactions has no index; one with some must.
fn missing_file(files: &SegmentFiles<'_>, markers: &Markers<'_>, setting: &Setting, report: &mut PartitionReport) {
    let mut needed = markers.aborts.iter().filter(|abort| markers.needs_entry(abort));
    let (Some(first), Some(log)) = (needed.next(), files.log) else { return };
    let path = log.path().with_extension("txnindex");
    // A running broker makes the file with the first entry: it may be there since the names were listed.
    if setting.is_live() && open(&path, setting.policy).is_ok() {
        return;
    }
    let others = needed.count() as u64;
    report.findings.push(entry_missing(first, path).with("fileMissing", 1u64).with("transactions", others + 1));
}

/// One walk over the entries of an index.
struct Check<'a> {
    index: &'a NamedFile,
    base_offset: Offset,
    markers: Option<Markers<'a>>,
    previous: Option<AbortedTxn>,
    /// The first of the zero entries that were last seen, and how many they are.
    zeros: Option<(usize, u64)>,
}

impl<'a> Check<'a> {
    fn new(index: &'a NamedFile, base_offset: Offset, markers: Option<Markers<'a>>) -> Self {
        Self { index, base_offset, markers, previous: None, zeros: None }
    }

    /// Walks over all entries. `false` where the file could not be read.
    fn run(&mut self, setting: &Setting, report: &mut PartitionReport) -> bool {
        match self.walk(setting, report) {
            Ok(()) => true,
            // A running broker deletes and replaces files.
            Err(StoreError::Io { source, .. })
                if setting.is_live() && source.kind() == std::io::ErrorKind::NotFound =>
            {
                false
            }
            Err(error) => {
                report.unreadable.push(error);
                false
            }
        }
    }

    fn walk(&mut self, setting: &Setting, report: &mut PartitionReport) -> Result<(), StoreError> {
        let storage = open(&self.index.path(), setting.policy)?;
        let (size, length) = (ENTRY_SIZE as u64, storage.len());
        report.bytes += length;
        let (entries, partial) = (length / size, length % size);
        let mut scratch = Vec::new();
        let mut slot = 0;
        while slot < entries {
            let end = entries.min(slot + ENTRIES_AT_ONCE);
            let bytes = storage.window(slot * size..end * size, &mut scratch)?;
            for (at, entry) in (slot as usize..).zip(TxnIndex::new(bytes).iter()) {
                self.entry(at, &entry, report);
            }
            slot = end;
        }
        storage.still_whole()?;
        report.entries += entries;
        self.end_of_zeros(report);
        if partial != 0 {
            self.partial_entry(entries * size, partial, setting, report);
        }
        Ok(())
    }

    fn finding(&self, id: Id, slot: usize, entry: &AbortedTxn) -> Finding {
        Finding::new(id, self.index.path())
            .entry(slot, ENTRY_SIZE)
            .offset(entry.last_offset)
            .with("producerId", entry.producer_id)
            .with("firstOffset", entry.first_offset)
            .with("lastOffset", entry.last_offset)
            .with("lastStableOffset", entry.last_stable_offset)
    }

    fn entry(&mut self, slot: usize, entry: &AbortedTxn, report: &mut PartitionReport) {
        let fields = [entry.producer_id, entry.first_offset.0, entry.last_offset.0, entry.last_stable_offset.0];
        if entry.version == VERSION && fields == [0; 4] {
            self.zeros = self.zeros.map(|(first, count)| (first, count + 1)).or(Some((slot, 1)));
            return;
        }
        self.end_of_zeros(report);
        let finding = self
            .version(slot, entry)
            .or_else(|| self.below_base(slot, entry))
            .or_else(|| self.not_increasing(slot, entry));
        self.previous = Some(*entry);
        if let Some(finding) = finding {
            self.listed(entry);
            return report.findings.push(finding);
        }
        let finding = match self.listed(entry) {
            Listed::Unknown => self.impossible_offsets(slot, entry),
            Listed::Nothing => Some(self.finding(Id::TxnIndexEntryOfNothing, slot, entry)),
            Listed::Other(producer_id) => {
                let finding = self.finding(Id::TxnIndexEntryOfNothing, slot, entry);
                Some(finding.with("producerIdOfMarker", producer_id))
            }
            Listed::Abort(abort) => {
                self.first_offset(slot, entry, &abort).or_else(|| self.last_stable_offset(slot, entry, &abort))
            }
        };
        if let Some(finding) = finding {
            report.findings.push(finding);
        }
    }

    /// The marker that an entry is about.
    fn listed(&mut self, entry: &AbortedTxn) -> Listed {
        let Some(markers) = &mut self.markers else { return Listed::Unknown };
        let at = markers.aborts.partition_point(|abort| abort.last_offset < entry.last_offset);
        match (markers.aborts.get(at), markers.matched.get_mut(at)) {
            (Some(abort), Some(matched)) if abort.last_offset == entry.last_offset => {
                if abort.producer_id != entry.producer_id {
                    return Listed::Other(abort.producer_id);
                }
                *matched = true;
                Listed::Abort(*abort)
            }
            _ if markers.is_all && entry.last_offset < markers.reaches => Listed::Nothing,
            _ => Listed::Unknown,
        }
    }

    /// Whether brokers know the version. 4.4 wants it to be 0; older ones look at its first byte and refuse it above 0.
    ///
    /// Source: Kafka `AbortedTxn`, `TransactionIndex`.
    fn version(&self, slot: usize, entry: &AbortedTxn) -> Option<Finding> {
        let is_known = entry.version == VERSION;
        (!is_known).then(|| self.finding(Id::TxnIndexVersion, slot, entry).with("version", i32::from(entry.version)))
    }

    /// Whether the transaction ends in this segment.
    ///
    /// Source: Kafka `TransactionIndex.sanityCheck`.
    fn below_base(&self, slot: usize, entry: &AbortedTxn) -> Option<Finding> {
        let is_below = entry.last_offset < self.base_offset;
        is_below.then(|| self.finding(Id::TxnIndexBelowBase, slot, entry).with("baseOffset", self.base_offset))
    }

    /// Whether entries are in the order of their markers.
    ///
    /// Source: Kafka `TransactionIndex.append`.
    fn not_increasing(&self, slot: usize, entry: &AbortedTxn) -> Option<Finding> {
        let previous = self.previous.filter(|previous| previous.last_offset >= entry.last_offset)?;
        let finding = self.finding(Id::TxnIndexNotIncreasing, slot, entry);
        Some(finding.with("previousLastOffset", previous.last_offset))
    }

    /// Whether an entry without a known marker can be one at all.
    fn impossible_offsets(&self, slot: usize, entry: &AbortedTxn) -> Option<Finding> {
        let first_is_possible = entry.first_offset.0 >= 0 && entry.first_offset < entry.last_offset;
        (!first_is_possible).then(|| self.finding(Id::TxnIndexFirstOffset, slot, entry))
    }

    /// Whether the first offset is that of the transaction's first data. Data that is not there any more may have
    /// come before: then it lies where the log holds nothing.
    ///
    /// Source: Kafka `ProducerAppendInfo`, `CompletedTxn`.
    fn first_offset(&self, slot: usize, entry: &AbortedTxn, abort: &AbortedTransaction) -> Option<Finding> {
        let log = self.markers.as_ref()?.log;
        let stored = entry.first_offset;
        let expected = abort.first_offset;
        let is_possible = stored.0 >= 0
            && stored < entry.last_offset
            && match expected {
                Some(expected) if stored > expected => {
                    // A broker that rebuilt the index from the log start on saw less of the transaction.
                    !abort.is_sure || expected < log.log_start_offset
                }
                Some(expected) => stored == expected || log.may_begin_at(stored, abort.begins_here),
                None => log.may_begin_at(stored, abort.begins_here),
            };
        if is_possible {
            return None;
        }
        match expected {
            Some(expected) => {
                Some(self.finding(Id::TxnIndexFirstOffset, slot, entry).with("expectedFirstOffset", expected))
            }
            // A marker without data stands for no transaction.
            None => Some(self.finding(Id::TxnIndexEntryOfNothing, slot, entry)),
        }
    }

    /// Whether nothing below the last stable offset was undecided right after the marker. An append of several batches
    /// knows already what begins behind the marker, and stores that.
    ///
    /// Source: Kafka `ProducerStateManager.lastStableOffset`, `TxnIndexSearchResult`.
    fn last_stable_offset(&self, slot: usize, entry: &AbortedTxn, abort: &AbortedTransaction) -> Option<Finding> {
        let log = self.markers.as_ref()?.log;
        let stored = entry.last_stable_offset;
        let behind_marker = Offset(abort.last_offset.0.saturating_add(1));
        let may_be_hidden = stored >= Offset(0) && log.hidden.contains(stored);
        let finding =
            |id, expected: Offset| Some(self.finding(id, slot, entry).with("expectedLastStableOffset", expected));
        match abort.oldest_open {
            Some(_) if !abort.is_oldest_open_sure => None,
            Some(oldest) if oldest < log.log_start_offset => None,
            Some(oldest) if stored > oldest => finding(Id::TxnIndexStableOffset, oldest),
            Some(oldest) if stored < oldest && !may_be_hidden => finding(Id::TxnIndexStableOffsetLow, oldest),
            Some(_) => None,
            None if stored < behind_marker && !may_be_hidden => finding(Id::TxnIndexStableOffsetLow, behind_marker),
            None if stored <= behind_marker || Some(stored) == abort.next_transactional => None,
            None if abort.next_transactional.is_some_and(|next| stored < next) => {
                // Nothing begins in between that could be missed.
                let may_be_gone = log.hidden.contains(stored);
                let finding = finding(Id::TxnIndexStableOffset, behind_marker);
                finding.filter(|_| !may_be_gone).map(|finding| finding.as_severity(Severity::Warning))
            }
            None if abort.next_transactional.is_none() && log.hidden.contains(stored) => None,
            None => finding(Id::TxnIndexStableOffset, behind_marker),
        }
    }

    /// Whether there are entries of zeros: no transaction can be meant by them, and no Kafka writes any.
    fn end_of_zeros(&mut self, report: &mut PartitionReport) {
        let Some((first, count)) = self.zeros.take() else { return };
        let mut finding = Finding::new(Id::TxnIndexEntryOfNothing, self.index.path()).entry(first, ENTRY_SIZE);
        finding.place.length = Some(count.saturating_mul(ENTRY_SIZE as u64));
        report.findings.push(finding.with("zeroEntries", count));
    }

    /// Whether the file ends with an entry. Readers pass over the rest, but the next entry is appended behind it.
    ///
    /// Source: Kafka `TransactionIndex`.
    fn partial_entry(&self, position: u64, length: u64, setting: &Setting, report: &mut PartitionReport) {
        let finding = Finding::new(Id::TxnIndexPartialEntry, self.index.path())
            .at(crate::format::Position(position), length)
            .with("sizeInBytes", position + length);
        // A running broker may be writing it.
        report.findings.push(if setting.is_live() { finding.as_severity(Severity::Info) } else { finding });
    }
}

/// What the log has where an entry says that a transaction was aborted.
enum Listed {
    /// Its marker.
    Abort(AbortedTransaction),
    /// That of another producer.
    Other(i64),
    /// No abort marker.
    Nothing,
    /// Nobody knows.
    Unknown,
}
