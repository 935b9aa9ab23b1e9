//! The sentences for each kind of finding. `docs/findings.md` tells the same at greater length.

mod indexes;
mod log;
mod log_dir;
mod partition;

use crate::check::{Finding, Id, Severity};

/// What is said of a kind of finding.
#[derive(Debug)]
pub struct Words {
    /// What was seen, in general.
    pub what: &'static str,
    /// What was seen, with the numbers. The first of these counts for which the finding has all details; where there is
    /// none, the details follow [`Words::what`].
    ///
    /// | in the template | stands for                                                       |
    /// |-----------------|------------------------------------------------------------------|
    /// | `{name}`        | a detail, or the position, length, slot or offset of the finding |
    /// | `{name:noun}`   | a number with its noun: `1 byte`, `2 bytes`                      |
    /// | `[…]`           | what is left out where a detail in it is not there               |
    pub says: &'static [&'static str],
    /// What readers suffer.
    pub readers: &'static str,
    /// What a broker makes of it when it starts after an orderly stop, in the usual case.
    pub clean: &'static str,
    /// What a broker makes of it when it starts after a crash, in the usual case.
    pub unclean: &'static str,
    /// What mends it.
    pub mend: Mend,
}

/// What mends something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mend {
    /// A command of ours, without the path.
    Command(&'static str),
    /// What a person can do.
    ByHand(&'static str),
}

/// What is said of `id`.
pub fn words(id: Id) -> &'static Words {
    let tables = [log::TABLE, indexes::TABLE, partition::TABLE, log_dir::TABLE];
    tables.into_iter().flatten().find(|(known, _)| *known == id).map_or(&UNKNOWN, |(_, words)| words)
}

/// The same, for modules that have a function of that name themselves.
pub(super) fn table_words(id: Id) -> &'static Words {
    words(id)
}

/// What readers suffer and what starts do, in the usual case of such a finding.
pub(super) struct Usual {
    pub(super) readers: &'static str,
    pub(super) clean: &'static str,
    pub(super) unclean: &'static str,
}

/// How many bytes of zeros brokers take for the end of a log that has no room for a batch.
///
/// Source: Kafka `FileLogInputStream.nextBatch`.
const UNSEEN_ZEROS: u64 = 17;

/// What is usual for `finding`: of one kind, it may depend on where it was seen.
pub(super) fn of(finding: &Finding) -> Usual {
    let Words { readers, clean, unclean, .. } = *words(finding.id);
    let is_older = finding.int("isNewest") == Some(0);
    let is_unseen = match finding.id {
        Id::LogTornTail => true,
        Id::LogZeroTail => finding.place.length.is_some_and(|length| length <= UNSEEN_ZEROS),
        _ => false,
    };
    let is_negative = finding.id == Id::LogDirCheckpointLine && finding.int("earlierOffset").is_none();
    match finding.id {
        Id::LogTornTail | Id::LogZeroTail if is_older => Usual {
            readers: match is_unseen {
                true => "they go on in the next segment without a word: what is missing here is skipped",
                false => "fetches that reach the zeros fail (CorruptRecordException)",
            },
            clean: "not noticed",
            unclean: "the log is cut here and all later segments are deleted, if the segment is above the recovery point; else it is not noticed",
        },
        Id::IndexEntryOfStart => match finding.int("indexPosition") {
            Some(0) => Usual { readers: "none: lookups begin there anyway", clean, unclean },
            _ => Usual { readers: "fetches of the offsets before this position skip records", clean, unclean },
        },
        Id::PartitionSwapFile if finding.severity == Severity::Error => {
            Usual { readers: "what the replaced segments hold is lost with the next start", clean, unclean }
        }
        Id::LogZeroTail if finding.int("isNewest") == Some(1) => {
            Usual { readers: "none yet; what is appended behind the zeros can never be read", clean, unclean }
        }
        Id::SegmentsGap if finding.int("indexEntriesThere").is_some() => {
            Usual { readers: "they go on in the next segment without a word: the records are lost", clean, unclean }
        }
        _ if is_negative => {
            Usual { readers, clean: "it counts as the start of the log", unclean: "it counts as the start of the log" }
        }
        _ => Usual { readers, clean, unclean },
    }
}

/// What a person can do about this very finding, where that is not what is usual.
pub(super) fn by_hand(finding: &Finding) -> Option<&'static str> {
    const COPY: &str = "copy the partition from a replica that has it";
    let is_error = finding.severity == Severity::Error;
    Some(match (finding.id, finding.int("otherSnapshots")) {
        (Id::IndexOrphan, _) if is_error => COPY,
        (Id::SegmentsGap | Id::SegmentsEmptyJump, _) if finding.int("indexEntriesThere").is_some() => {
            "copy the partition from a replica that has these records; indexes made again no longer show that they were there"
        }
        (Id::PartitionSwapFile, _) if is_error && finding.int("replacedSegments") == Some(0) => COPY,
        (Id::PartitionSwapFile, _) if is_error => {
            "move the .swap files out of the directory before a broker starts: the segments they replace are still there"
        }
        (_, Some(0)) => {
            "stop the broker and delete the file together with .kafka_cleanshutdown: without any snapshot, only a start without that marker reads the log"
        }
        (_, Some(_)) => {
            "stop the broker and delete the file: a start goes on from another snapshot and reads the log behind it"
        }
        _ => return None,
    })
}

/// For kinds that somebody has forgotten to word; a test sees to it that there is none.
static UNKNOWN: Words = Words {
    what: "something that is not as it should be",
    says: &[],
    readers: "unknown",
    clean: "unknown",
    unclean: "unknown",
    mend: Mend::ByHand("unknown"),
};
