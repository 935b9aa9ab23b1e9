//! What a broker's start makes of the file that a finding is about, where that was worked out.

use super::words::table_words;
use crate::check::{Finding, Id};
use crate::format::Offset;
use crate::format::file_name::{FileKind, FileName};
use crate::format::leader_epoch::LeaderEpochEntry;
use crate::scan::recover::KafkaRelease;
use crate::scan::start::{DeletedFor, Scope, StartEvent, StartOutcome, What};

const NOT_NOTICED: &str = "not noticed";
const TAKEN: &str = "taken as it stands";

/// What a start does with the subject of a finding: its file, its segment or the whole partition. `None` where the words
/// of the tables say it, or where the start that was worked out knows nothing of the rule: a missing partition.metadata,
/// another partition's topic id, the log dir around the partition, the snapshots of KRaft.
///
/// `log_end_offset` is where the log really ends.
pub fn words(
    outcome: &StartOutcome,
    release: KafkaRelease,
    finding: &Finding,
    log_end_offset: Option<Offset>,
) -> Option<String> {
    let about = About::of(finding.id)?;
    let name = finding.path.file_name()?.to_str()?;
    let start = Start { outcome, finding, about, name, segment: segment_of(name), log_end_offset };
    let mut said = match about {
        About::Partition => start.of_partition(),
        About::Name => start.of_name(),
        About::Epochs => start.of_epochs(),
        About::Log | About::Index | About::Snapshot | About::File => start.of_file(),
    };
    if let Some(refusal) = &outcome.refusal {
        let consequence = match refusal.scope() {
            Scope::Broker => "the broker does not start",
            Scope::LogDir => "the log dir goes offline; if it is the only one, the broker does not start",
        };
        let exception = refusal.exception(release);
        said.push(match start.is_about_it(&refusal.file) {
            true => format!("{consequence} ({exception})"),
            false => format!("{consequence} ({exception} over {})", refusal.file),
        });
    } else if matches!(about, About::Log | About::Index) {
        if said.is_empty() {
            said.extend(start.staying_tail());
        }
        said.extend(start.log_end(said.is_empty()));
    }
    if !said.is_empty() {
        return Some(said.join("; "));
    }
    start.nothing_done().map(str::to_owned)
}

/// What of a partition a finding is about, as far as a start is worked out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    Partition,
    Name,
    Log,
    Index,
    Snapshot,
    Epochs,
    /// Only what is done to the file itself.
    File,
}

impl About {
    fn of(id: Id) -> Option<Self> {
        let (subject, _) = id.name().split_once('/')?;
        Some(match (id, subject) {
            // The start that was worked out knows of snapshots that are there.
            (Id::SnapshotMissing, _) => return None,
            (Id::PartitionEmpty, _) => Self::Partition,
            (Id::PartitionNameNotCanonical, _) => Self::Name,
            (
                Id::PartitionBadName
                | Id::PartitionSwapFile
                | Id::PartitionCleanedFile
                | Id::PartitionDeletedFile
                | Id::PartitionMetadataUnreadable,
                _,
            ) => Self::File,
            (_, "log" | "segments") => Self::Log,
            (_, "index" | "timeindex" | "txnindex") => Self::Index,
            (_, "snapshot") => Self::Snapshot,
            (_, "epoch") => Self::Epochs,
            _ => return None,
        })
    }
}

struct Start<'a> {
    outcome: &'a StartOutcome,
    finding: &'a Finding,
    about: About,
    name: &'a str,
    segment: Option<Offset>,
    log_end_offset: Option<Offset>,
}

impl Start<'_> {
    fn is_about_it(&self, file: &str) -> bool {
        file == self.name || (self.segment.is_some() && segment_of(file) == self.segment)
    }

    /// What happens to the file or its segment.
    fn events(&self) -> impl Iterator<Item = &StartEvent> {
        self.outcome.events.iter().filter(|event| self.is_about_it(&event.file))
    }

    fn of_file(&self) -> Vec<String> {
        let outcome = self.outcome;
        let mut said: Vec<String> = Vec::new();
        for event in self.events() {
            let is_itself = event.file == self.name;
            let words = match &event.what {
                What::Deleted(DeletedFor::BehindCut) => {
                    "it is deleted with its segment: batches before it are lost".to_owned()
                }
                What::Deleted(DeletedFor::EndsBelowStart) => "it is deleted with the whole log".to_owned(),
                What::Deleted(_) if is_itself && outcome.files.contains_key(self.name) => {
                    "it is deleted and written anew".to_owned()
                }
                What::Deleted(_) if is_itself => "it is deleted".to_owned(),
                What::Written if is_itself && self.about == About::Snapshot && said.is_empty() => {
                    "it is written anew".to_owned()
                }
                What::Recovered(_) if self.about == About::Index => "it is made again from the log".to_owned(),
                What::Cut { to, lost_bytes, .. } => {
                    format!("the log is cut at position {to}, {}{}", lost(*lost_bytes), later_segments(outcome))
                }
                What::Emptied { lost_bytes, .. } => {
                    format!("the segment is emptied, {}{}", lost(*lost_bytes), later_segments(outcome))
                }
                What::Renamed { from } if from == self.name => {
                    "it takes the place of the segments it was made of, which are deleted".to_owned()
                }
                What::Split { into } => format!("the segment is split in {}", into.len()),
                What::EndNotFound => format!(
                    "the broker takes offset {} for the end of the log and gives the offsets behind it out again",
                    outcome.log_end_offset
                ),
                What::EndsBelowStart { .. } => {
                    format!("all segments are deleted, the log begins again at {}", outcome.log_start_offset)
                }
                _ => continue,
            };
            if !said.contains(&words) {
                said.push(words);
            }
        }
        said
    }

    fn of_epochs(&self) -> Vec<String> {
        let (mut dropped, mut added) = (0, Vec::new());
        for event in self.events() {
            match &event.what {
                What::EpochsDropped(epochs) => dropped += epochs.len(),
                What::EpochAdded(epoch) => added.push(*epoch),
                _ => {}
            }
        }
        let at = |entry: &LeaderEpochEntry| format!("epoch {} at offset {}", entry.epoch, entry.start_offset);
        let mut said = Vec::new();
        match dropped {
            0 => {}
            1 => said.push("one of its entries is dropped".to_owned()),
            several => said.push(format!("{several} of its entries are dropped")),
        }
        match added.as_slice() {
            [] => {}
            [entry] => said.push(format!("an entry for {} is added", at(entry))),
            [first, .., last] => {
                said.push(format!("{} entries are added, from {} to {}", added.len(), at(first), at(last)));
            }
        }
        said
    }

    /// Of a partition without one segment.
    fn of_partition(&self) -> Vec<String> {
        let outcome = self.outcome;
        if outcome.refusal.is_some() {
            return Vec::new();
        }
        let mut said =
            vec![format!("an empty segment is made: the log begins and ends at offset {}", outcome.log_end_offset)];
        let dropped = outcome.events.iter().filter_map(|event| match &event.what {
            What::EpochsDropped(epochs) => Some(epochs.len()),
            _ => None,
        });
        if dropped.sum::<usize>() > 0 {
            said.push("the leader epochs are dropped".to_owned());
        }
        for (what, kinds) in [
            ("the indexes", &[FileKind::OffsetIndex, FileKind::TimeIndex, FileKind::TxnIndex][..]),
            ("the producer snapshots", &[FileKind::ProducerSnapshot]),
        ] {
            let is_one = |name: &str| FileName::parse(name).is_some_and(|name| kinds.contains(&name.kind));
            let deleted = |event: &StartEvent| matches!(event.what, What::Deleted(_)) && is_one(&event.file);
            if outcome.events.iter().any(deleted) {
                said.push(format!("{what} are deleted"));
            }
        }
        said
    }

    /// Of a file whose name is not the one that the broker opens.
    fn of_name(&self) -> Vec<String> {
        if self.finding.int("openedAs").is_some() && self.outcome.refusal.is_none() {
            let start = self.outcome.log_start_offset;
            return vec![format!("it is opened as the first segment: the log then begins at offset {start}")];
        }
        let made = |event: &&StartEvent| {
            event.what == What::Created
                && event.file != self.name
                && event.file.ends_with(".log")
                && self.finding.place.offset == segment_of(&event.file)
        };
        let made = self.outcome.events.iter().find(made);
        made.map(|event| format!("it is passed over, and an empty {} is made", event.file)).into_iter().collect()
    }

    /// Where the log ends after the start, if bytes went or the broker is wrong about it.
    fn log_end(&self, is_untouched: bool) -> Option<String> {
        let end = self.outcome.log_end_offset;
        let says_it = |event: &StartEvent| matches!(event.what, What::EndNotFound | What::EndsBelowStart { .. });
        let loses = |event: &StartEvent| {
            matches!(
                event.what,
                What::Cut { .. }
                    | What::Emptied { .. }
                    | What::Deleted(DeletedFor::BehindCut | DeletedFor::EndsBelowStart)
            )
        };
        let differs = self.log_end_offset.is_some_and(|real| real != end);
        let leads_to = match self.finding.id {
            Id::SegmentsEmptyJump => self.segment == Some(end),
            Id::LogOffsetOverflow => self.finding.int("lastOffset").and_then(|last| last.checked_add(1)) == Some(end.0),
            // Intact batches behind a tail are passed over: the end lies before them.
            _ => self.is_newest() && (differs || self.is_tail() && self.finding.int("nextIntactPosition").is_some()),
        };
        if self.events().any(says_it) {
            None
        } else if self.events().any(loses) || (!is_untouched && differs) {
            Some(format!("the log then ends at offset {end}"))
        } else {
            leads_to.then(|| format!("the broker takes offset {end} for the end of the log"))
        }
    }

    /// Of bytes at the end of the newest log that are no batch and that the start leaves there.
    fn staying_tail(&self) -> Option<String> {
        (self.is_tail() && self.is_newest())
            .then(|| "the bytes stay and the next append goes behind them: every later record is unreadable".to_owned())
    }

    /// Whether a broker takes what it is about for the end of the log.
    fn is_tail(&self) -> bool {
        match self.finding.id {
            Id::LogTornTail | Id::LogZeroTail => true,
            Id::LogBadLength => self.finding.int("bytesLeft").is_some(),
            _ => false,
        }
    }

    /// Whether no other segment followed before the start.
    fn is_newest(&self) -> bool {
        let logs = self.outcome.files_before.keys().filter(|name| name.ends_with(".log"));
        self.segment.is_some() && logs.filter_map(|name| segment_of(name)).max() == self.segment
    }

    fn is_recovered(&self) -> bool {
        self.events().any(|event| matches!(event.what, What::Recovered(_)))
    }

    /// What is said where the start does nothing that a finding of this kind would need; `None` for the words of the
    /// tables.
    fn nothing_done(&self) -> Option<&'static str> {
        let is_newest = self.is_newest();
        Some(match (self.about, self.finding.id) {
            (About::Partition | About::Name | About::File, _) | (_, Id::IndexOrphan) => return None,
            (_, Id::IndexZeroPadding) if is_newest => return None,
            (_, Id::LogEpochDecreases) if self.is_recovered() => return None,
            (_, Id::IndexPartialEntry | Id::TimeIndexPartialEntry) => match self.outcome.is_unchanged(self.name) {
                true => "they stay",
                false => "they are trimmed when the broker stops",
            },
            (_, Id::TxnIndexPartialEntry) => "they stay",
            (_, Id::TimeIndexOffsetOutOfRange) if is_newest => {
                "not noticed; the next entry cannot be written: producing fails (InvalidOffsetException)"
            }
            (_, Id::TimeIndexMissing) => "an empty one is created and stays empty: brokers do not make it again",
            (_, Id::EpochFileMissing) => "it stays empty until the broker becomes leader",
            (About::Snapshot, id) => match table_words(id).clean {
                clean if clean.starts_with(TAKEN) => clean,
                _ => TAKEN,
            },
            (About::Log | About::Index | About::Epochs, _) => NOT_NOTICED,
        })
    }
}

fn lost(bytes: u64) -> String {
    match bytes {
        1 => "1 byte is lost".to_owned(),
        _ => format!("{bytes} bytes are lost"),
    }
}

/// The segments that go because a cut is before them.
fn later_segments(outcome: &StartOutcome) -> String {
    let gone = outcome
        .events
        .iter()
        .filter(|event| event.what == What::Deleted(DeletedFor::BehindCut) && event.file.ends_with(".log"));
    match gone.count() {
        0 => String::new(),
        1 => ", and the segment behind it is deleted".to_owned(),
        several => format!(", and the {several} segments behind it are deleted"),
    }
}

fn segment_of(name: &str) -> Option<Offset> {
    FileName::parse(name).filter(|name| name.kind.is_segment_file())?.base_offset
}
