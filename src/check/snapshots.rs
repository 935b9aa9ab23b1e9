//! Producer snapshots: each on its own, and held against the log below its offset.

use std::collections::HashSet;
use std::path::PathBuf;

use super::finding::{Finding, Findings};
use super::partition::PartitionReport;
use super::producers::LogSoFar;
use super::{Detail, Id, Setting, Severity};
use crate::format::Offset;
use crate::format::Position;
use crate::format::producer_snapshot::{ENTRY_SIZE, HEADER_SIZE, ProducerEntry, ProducerSnapshot};
use crate::scan::producer_facts::Producer;
use crate::scan::start::stray_snapshots;
use crate::store::{NamedFile, StoreError, read_small};

/// The largest snapshot that is read, in bytes: more than a million producers.
const LARGEST_SNAPSHOT: u64 = 64 << 20;

/// Judges one snapshot on its own, and by what the `log` below it says; `None` where nothing is known of that.
pub fn judge(file: &NamedFile, log: Option<&LogSoFar>, setting: &Setting, report: &mut PartitionReport) {
    let path = file.path();
    let Some(at) = file.name.base_offset else { return };
    let bytes = match read_small(&path, LARGEST_SNAPSHOT) {
        Ok(bytes) => bytes,
        // A running broker deletes snapshots together with their segments.
        Err(StoreError::Io { source, .. }) if setting.is_live() && source.kind() == std::io::ErrorKind::NotFound => {
            return;
        }
        Err(error) => return report.unreadable.push(error),
    };
    report.bytes += bytes.len() as u64;
    let snapshot = match ProducerSnapshot::parse(&bytes) {
        Ok(snapshot) => snapshot,
        Err(error) => {
            let finding = Finding::new(Id::SnapshotUnreadable, path).with("problem", error.to_string());
            return report.findings.push(finding.with("sizeInBytes", bytes.len() as u64));
        }
    };
    let mut findings = Findings::new();
    let mut of_entry = OfEntry { file, at, slot: 0, findings: &mut findings };
    let mut ids = HashSet::with_capacity(snapshot.len());
    for (slot, entry) in snapshot.iter().enumerate() {
        of_entry.slot = slot;
        let contradiction = if ids.insert(entry.producer_id) { contradiction(&entry, at) } else { Some("producerId") };
        match (contradiction, log) {
            (Some(field), _) => of_entry.tell(Id::SnapshotEntry, &entry, field),
            (None, Some(log)) => of_entry.hold_against_log(&entry, log),
            (None, None) => {}
        }
    }
    if let Some(log) = log {
        missing_producers(file, &ids, log, &mut findings);
    }
    fold_entries(&mut findings);
    report.findings.append(findings);
}

/// One finding for a snapshot of which several entries are wrong: the first, with how many there are and which fields.
fn fold_entries(findings: &mut Findings) {
    let is_wrong = |finding: &Finding| finding.severity == Severity::Error;
    let wrong: Vec<&Finding> = findings.iter().filter(|finding| is_wrong(finding)).collect();
    let count = wrong.iter().map(|finding| finding.more.saturating_add(1)).fold(0, u64::saturating_add);
    if count < 2 {
        return;
    }
    let mut fields: Vec<String> = Vec::new();
    for finding in wrong {
        let told = finding.details.iter().find_map(|(name, detail)| match detail {
            Detail::Text(field) if *name == "field" => Some(field.as_str()),
            _ => None,
        });
        let field = told.unwrap_or("currentTxnFirstOffset");
        if !fields.iter().any(|known| known == field) {
            fields.push(field.to_owned());
        }
    }
    let mut is_told = false;
    findings.retain(|finding| {
        if !is_wrong(finding) {
            return true;
        }
        finding.more = 0;
        finding.details.push(("wrongEntries", count.into()));
        finding.details.push(("fields", fields.join(", ").into()));
        !std::mem::replace(&mut is_told, true)
    });
}

/// Which field of an entry contradicts another one, or the offset of the snapshot, if any.
///
/// Source: Kafka `ProducerStateManager`, `ProducerStateEntry`.
fn contradiction(entry: &ProducerEntry, at: Offset) -> Option<&'static str> {
    let has_data = entry.last_offset >= 0;
    let rules = [
        ("producerId", entry.producer_id >= 0),
        ("producerEpoch", entry.producer_epoch >= 0),
        ("lastOffset", entry.last_offset >= -1 && entry.last_offset < at.0),
        ("offsetDelta", entry.offset_delta >= 0 && i64::from(entry.offset_delta) <= entry.last_offset.max(0)),
        ("lastSequence", if has_data { entry.last_sequence >= 0 } else { entry.last_sequence == -1 }),
        ("timestamp", entry.timestamp >= -1),
        ("coordinatorEpoch", entry.coordinator_epoch >= -1),
        ("currentTxnFirstOffset", entry.current_txn_first_offset >= -1 && entry.current_txn_first_offset < at.0),
    ];
    rules.into_iter().find(|(_, holds)| !holds).map(|(field, _)| field)
}

/// The findings about one entry of a snapshot.
struct OfEntry<'a> {
    file: &'a NamedFile,
    at: Offset,
    slot: usize,
    findings: &'a mut Findings,
}

impl OfEntry<'_> {
    fn finding(&self, id: Id, entry: &ProducerEntry) -> Finding {
        let mut finding = Finding::new(id, self.file.path()).entry(self.slot, ENTRY_SIZE);
        finding.place.position =
            finding.place.position.map(|position| Position(position.0.saturating_add(HEADER_SIZE as u64)));
        finding.with("producerId", entry.producer_id).with("snapshotOffset", self.at)
    }

    /// Says that a field of the entry is impossible.
    fn tell(&mut self, id: Id, entry: &ProducerEntry, field: &'static str) {
        let finding = self.finding(id, entry).with("field", field).with("stored", stored(entry, field));
        self.findings.push(finding);
    }

    /// Says that the log has something else.
    fn contradicts(&mut self, entry: &ProducerEntry, field: &'static str, expected: i64, offset: Option<Offset>) {
        let finding = self.finding(Id::SnapshotContradictsLog, entry);
        let mut finding = finding.with("field", field).with("stored", stored(entry, field)).with("expected", expected);
        finding.place.offset = offset;
        self.findings.push(finding);
    }

    /// Whether the batches below the snapshot allow what the entry says.
    fn hold_against_log(&mut self, entry: &ProducerEntry, log: &LogSoFar) {
        let Some(producer) = log.producers.producer(entry.producer_id) else {
            return self.without_any_batch(entry, log);
        };
        let Some(event) = producer.last_event else { return };
        let has_emptied_marker = producer.emptied_marker.is_some_and(|emptied| emptied > event.offset);
        if !log.producers.is_up_to_date(producer) || has_emptied_marker || event.offset < log.log_start_offset {
            return;
        }
        // Behind its latest batch there may have been others.
        let more_may_follow = log.hidden.any_in(event.offset, self.at);
        let epoch = event.producer_epoch;
        if entry.producer_epoch < epoch || entry.producer_epoch > epoch && !more_may_follow {
            self.contradicts(entry, "producerEpoch", epoch.into(), Some(event.offset));
        } else if entry.producer_epoch == epoch {
            self.last_data(entry, producer, log, more_may_follow);
            self.coordinator_epoch(entry, producer, log, more_may_follow);
            if event.is_whole && !more_may_follow && entry.timestamp != event.timestamp {
                self.contradicts(entry, "timestamp", event.timestamp, Some(event.offset));
            }
        }
        self.transaction(entry, producer, log);
    }

    /// What the entry says must lie where the log has nothing any more.
    fn without_any_batch(&mut self, entry: &ProducerEntry, log: &LogSoFar) {
        if let Some(last_offset) = entry.last_offset().filter(|offset| !log.hidden.contains(*offset)) {
            self.contradicts(entry, "lastOffset", -1, Some(last_offset));
        } else if let Some(first) = entry.current_txn_first_offset().filter(|offset| !log.hidden.contains(*offset)) {
            let finding = self.finding(Id::SnapshotPhantomTransaction, entry).offset(first);
            self.findings.push(finding.with("firstOffset", first));
        } else if !log.hidden.any_in(Offset(0), self.at) {
            // The log is complete, and there never was such a producer.
            let finding = self.finding(Id::SnapshotContradictsLog, entry);
            self.findings.push(finding.with("field", "producerId").with("stored", entry.producer_id));
        }
    }

    /// Whether the entry has the latest data: offsets and sequence numbers.
    fn last_data(&mut self, entry: &ProducerEntry, producer: &Producer, log: &LogSoFar, more_may_follow: bool) {
        let expected = producer.remembered_data();
        match (entry.last_offset(), expected) {
            (Some(stored), Some(data)) => {
                let last_offset = data.place.last_offset;
                let delta = last_offset.0.wrapping_sub(data.place.base_offset.0);
                if stored < last_offset || stored > last_offset && !log.hidden.contains(stored) {
                    self.contradicts(entry, "lastOffset", last_offset.0, Some(last_offset));
                } else if stored == last_offset && data.base_sequence >= 0 && entry.last_sequence != data.last_sequence
                {
                    self.contradicts(entry, "lastSequence", data.last_sequence.into(), Some(last_offset));
                } else if stored == last_offset && i64::from(entry.offset_delta) != delta {
                    self.contradicts(entry, "offsetDelta", delta, Some(last_offset));
                }
            }
            (Some(stored), None) if !log.hidden.contains(stored) => {
                self.contradicts(entry, "lastOffset", -1, Some(stored));
            }
            (None, Some(data)) => {
                // The broker may have forgotten the producer for its age before a marker brought it back: but not
                // while a transaction was open.
                let may_be_forgotten = producer.last_marker.is_some_and(|marker| {
                    marker.offset > data.place.last_offset && marker.ended_a_transaction != Some(true)
                });
                let is_below_start = data.place.last_offset < log.log_start_offset;
                if !more_may_follow && !may_be_forgotten && !is_below_start {
                    self.contradicts(entry, "lastOffset", data.place.last_offset.0, Some(data.place.last_offset));
                }
            }
            (Some(_) | None, None) => {}
        }
    }

    /// Whether the entry has the coordinator's epoch of the latest marker.
    fn coordinator_epoch(&mut self, entry: &ProducerEntry, producer: &Producer, log: &LogSoFar, more_may_follow: bool) {
        let stored = entry.coordinator_epoch;
        match producer.last_marker {
            Some(marker) => {
                let is_latest = producer.last_event.is_some_and(|event| event.offset <= marker.offset);
                // A broker that forgot the producer for its age began anew with its next batch.
                let is_forgotten = stored == -1 && (!is_latest || marker.offset < log.log_start_offset);
                if stored != marker.coordinator_epoch && !is_forgotten && !more_may_follow {
                    let expected = marker.coordinator_epoch.into();
                    self.contradicts(entry, "coordinatorEpoch", expected, Some(marker.offset));
                }
            }
            None if stored != -1 && !log.hidden.any_in(Offset(0), self.at) => {
                self.contradicts(entry, "coordinatorEpoch", -1, None);
            }
            None => {}
        }
    }

    /// Whether the entry has the transaction that is open.
    fn transaction(&mut self, entry: &ProducerEntry, producer: &Producer, log: &LogSoFar) {
        let is_open_for_sure = log.producers.is_open_for_sure(producer);
        match (entry.current_txn_first_offset(), producer.open_transaction()) {
            // The cleaner takes no marker away as long as there is data of its transaction.
            (None, Some(first_offset)) if is_open_for_sure && is_visible(producer, log) => {
                let finding = self.finding(Id::SnapshotForgetsTransaction, entry).offset(first_offset);
                self.findings.push(finding.with("firstOffset", first_offset));
            }
            (Some(stored), Some(first_offset)) if stored != first_offset && is_open_for_sure => {
                // It may have begun with data that is gone; a broker that rebuilt the state may have seen less of it.
                let is_explained = match stored < first_offset {
                    true => log.may_begin_at(stored, producer.begins_here()),
                    false => first_offset < log.log_start_offset,
                };
                if !is_explained {
                    self.contradicts(entry, "currentTxnFirstOffset", first_offset.0, Some(first_offset));
                }
            }
            (Some(stored), None) => {
                let plain = producer.last_data.filter(|data| !data.is_transactional);
                let is_before_plain = plain.is_some_and(|data| stored <= data.place.last_offset);
                let ended_at = producer.last_marker.filter(|_| producer.is_closed()).map(|marker| marker.offset);
                let is_ended = ended_at.is_some_and(|ended_at| stored < ended_at);
                if is_ended || is_before_plain || !log.hidden.contains(stored) {
                    let mut finding = self.finding(Id::SnapshotPhantomTransaction, entry).offset(stored);
                    finding = finding.with("firstOffset", stored);
                    if let Some(ended_at) = ended_at {
                        finding = finding.with("markerOffset", ended_at);
                    }
                    self.findings.push(finding);
                }
            }
            _ => {}
        }
    }
}

/// Whether a broker that rebuilds its state sees data of the open transaction: it reads no further back than the log
/// start.
fn is_visible(producer: &Producer, log: &LogSoFar) -> bool {
    producer.last_open_data().is_some_and(|last_data| last_data >= log.log_start_offset)
}

/// The value of a field, by the name that findings use.
fn stored(entry: &ProducerEntry, field: &'static str) -> i64 {
    match field {
        "producerEpoch" => entry.producer_epoch.into(),
        "lastOffset" => entry.last_offset,
        "offsetDelta" => entry.offset_delta.into(),
        "lastSequence" => entry.last_sequence.into(),
        "timestamp" => entry.timestamp,
        "coordinatorEpoch" => entry.coordinator_epoch.into(),
        "currentTxnFirstOffset" => entry.current_txn_first_offset,
        _ => entry.producer_id,
    }
}

/// Which producers of the log the snapshot does not know. Those are forgotten that have written nothing for a day (or
/// whatever is set), but never one with an open transaction.
///
/// Source: Kafka `ProducerStateManager.isProducerExpired`.
fn missing_producers(file: &NamedFile, ids: &HashSet<i64>, log: &LogSoFar, findings: &mut Findings) {
    let mut first = None;
    let mut count = 0u64;
    for producer in log.producers.producers().filter(|producer| !ids.contains(&producer.producer_id)) {
        let Some(event) = producer.last_event.filter(|event| event.offset >= log.log_start_offset) else { continue };
        match producer.open_transaction() {
            Some(first_offset) if log.producers.is_open_for_sure(producer) && is_visible(producer, log) => {
                let finding = Finding::new(Id::SnapshotForgetsTransaction, file.path()).offset(first_offset);
                findings.push(finding.with("producerId", producer.producer_id).with("firstOffset", first_offset));
            }
            _ => {
                count += 1;
                first.get_or_insert((producer.producer_id, event.offset));
            }
        }
    }
    if let Some((producer_id, last_offset)) = first {
        let finding = Finding::new(Id::SnapshotProducerMissing, file.path()).offset(last_offset);
        findings.push(finding.with("producerId", producer_id).with("producers", count));
    }
}

/// Which snapshots a start still finds when it has deleted those that belong to no segment, but for the newest.
pub fn found_by_a_start<'a>(snapshots: &[&'a NamedFile], bases: &[Offset]) -> Vec<&'a NamedFile> {
    let offset = |file: &NamedFile| file.name.base_offset;
    let is_base = |at: &Offset| bases.binary_search(at).is_ok();
    let offsets = snapshots.iter().filter_map(|file| offset(file));
    let strays = stray_snapshots(offsets, is_base, bases.last().copied());
    let is_found = |at: Offset| strays.binary_search(&at).is_err();
    snapshots.iter().copied().filter(|file| offset(file).is_some_and(is_found)).collect()
}

/// Of each snapshot that can be read and is wrong: how many a start would find if all such were deleted. Without any, a
/// clean start does not read the log.
pub fn count_others(snapshots: &[&NamedFile], bases: &[Offset], findings: &mut Findings) {
    let is_believed = |finding: &Finding| {
        let ids = [
            Id::SnapshotEntry,
            Id::SnapshotContradictsLog,
            Id::SnapshotForgetsTransaction,
            Id::SnapshotPhantomTransaction,
        ];
        ids.contains(&finding.id)
    };
    let wrong: HashSet<PathBuf> =
        findings.iter().filter(|finding| is_believed(finding)).map(|finding| finding.path.clone()).collect();
    if wrong.is_empty() {
        return;
    }
    let others: Vec<&NamedFile> = snapshots.iter().copied().filter(|file| !wrong.contains(&file.path())).collect();
    let count = found_by_a_start(&others, bases).len() as u64;
    findings.retain(|finding| {
        if is_believed(finding) {
            finding.details.push(("otherSnapshots", count.into()));
        }
        true
    });
}

/// That no snapshot is left, and how many producers of the log a clean start forgets therefore. The last stable offset
/// is then the log end.
///
/// Source: Kafka `UnifiedLog.rebuildProducerState`.
pub fn missing(path: PathBuf, log: &LogSoFar, log_end_offset: Offset) -> Option<Finding> {
    let mut forgotten = 0u64;
    let mut open = Vec::new();
    for producer in log.producers.producers() {
        if producer.last_event.is_none_or(|event| event.offset < log.log_start_offset) {
            continue;
        }
        forgotten += 1;
        let is_open = log.producers.is_open_for_sure(producer) && is_visible(producer, log);
        open.extend(producer.open_transaction().filter(|_| is_open));
    }
    if forgotten == 0 {
        return None;
    }
    let finding = Finding::new(Id::SnapshotMissing, path).with("producers", forgotten);
    let finding = finding.with("logEndOffset", log_end_offset);
    Some(match open.iter().min() {
        Some(first) => {
            let last_stable_offset = log.log_start_offset.max(*first);
            let finding = finding.offset(last_stable_offset).as_severity(Severity::Error);
            finding.with("openTransactions", open.len() as u64).with("lastStableOffset", last_stable_offset)
        }
        None => finding,
    })
}

/// A snapshot of an offset that the log has not reached: the next start deletes it, and with it the newest good one.
///
/// Source: Kafka `ProducerStateManager.truncateAndReload`, `removeStraySnapshots`.
pub fn beyond_end(file: &NamedFile, log_end_offset: Offset, findings: &mut Findings) {
    let Some(at) = file.name.base_offset else { return };
    let finding = Finding::new(Id::SnapshotBeyondEnd, file.path()).offset(at);
    findings.push(finding.with("snapshotOffset", at).with("logEndOffset", log_end_offset));
}

/// Whether each snapshot belongs to a segment's base, or is the one of the log end. A stop in the middle of a segment
/// leaves one in between; the next start deletes it.
///
/// Source: Kafka `ProducerStateManager.removeStraySnapshots`.
pub fn stray(snapshots: &[&NamedFile], bases: &[Offset], findings: &mut Findings) {
    let newest = bases.last().copied().unwrap_or_default();
    let largest = snapshots.last().and_then(|file| file.name.base_offset);
    for file in snapshots {
        let Some(at) = file.name.base_offset else { continue };
        let is_end = at > newest && Some(at) == largest;
        // One below the first segment is left by retention.
        let is_below = bases.first().is_some_and(|first| at < *first);
        if !is_end && !is_below && bases.binary_search(&at).is_err() {
            findings.push(Finding::new(Id::SnapshotStray, file.path()).offset(at).with("snapshotOffset", at));
        }
    }
}
