//! Rules about logs and their indexes, each made to speak by a damaged copy of one segment and silent by the sound one.
//!
//! The segment begins at offset 1000 and holds eight batches of 97 bytes and two records; the largest timestamps of the
//! batches are 50, 60, 55, 60, 70, 65, 80, 75. With an interval of 200 bytes a broker's own recovery writes for it the
//! indexes that stand here as bytes.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::check::{Finding, Severity};
use crate::format::batch::{RecordBatchBuilder, RecordBatchHeader, write_batch};
use crate::format::compression::Compression;
use crate::format::legacy::MessageFields;
use crate::format::record::RecordFields;
use crate::store::ReadPolicy;
use crate::store::partition::PartitionDir;

const BASE: i64 = 1000;
const TIMESTAMPS: [i64; 8] = [50, 60, 55, 60, 70, 65, 80, 75];
const SIZE: usize = 97;
/// (7, 291) and (13, 582).
const INDEX: &str = "0000000700000123 0000000d00000246";
/// (60, 3) and (80, 13).
const TIME_INDEX: &str = "000000000000003c00000003 00000000000000500000000d";

/// A segment in a directory of its own.
#[derive(Clone)]
struct Case {
    log: Vec<u8>,
    index: Option<Vec<u8>>,
    time_index: Option<Vec<u8>>,
    is_newest: bool,
    clean_shutdown: bool,
    is_live: bool,
    depth: Depth,
    directory: &'static str,
}

fn sound() -> Case {
    Case {
        log: log(),
        index: Some(unhex(INDEX)),
        time_index: Some(unhex(TIME_INDEX)),
        is_newest: false,
        clean_shutdown: true,
        is_live: false,
        depth: Depth::Checksums,
        directory: "t-0",
    }
}

impl Case {
    fn judge(&self) -> JudgedSegment {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(self.directory);
        fs::create_dir(&path).unwrap();
        let name = |suffix: &str| path.join(format!("{BASE:020}.{suffix}"));
        fs::write(name("log"), &self.log).unwrap();
        for (suffix, bytes) in [("index", &self.index), ("timeindex", &self.time_index)] {
            if let Some(bytes) = bytes {
                fs::write(name(suffix), bytes).unwrap();
            }
        }
        let partition = PartitionDir::read(&path).unwrap();
        let setting = Setting {
            policy: ReadPolicy { may_change: self.is_live, ..ReadPolicy::default() },
            depth: self.depth,
            clean_shutdown: self.clean_shutdown,
        };
        let task = SegmentTask {
            files: partition.segments()[0],
            next_base_offset: (!self.is_newest).then_some(Offset(BASE + 100)),
            snapshot_offsets: &[],
            setting,
            stop: None,
        };
        let judged = Worker::new(1 << 20).judge(&task);
        assert!(judged.unreadable.is_empty(), "{:?}", judged.unreadable);
        self.is_judged_alike_in_parts(&task, &judged);
        judged
    }

    fn is_judged_alike_in_parts(&self, task: &SegmentTask<'_>, judged: &JudgedSegment) {
        if self.depth == Depth::Quick {
            return;
        }
        for length in [150, 400] {
            let part = |start: usize| {
                let end = (start + length).min(self.log.len());
                Worker::new(1 << 20).part(task, start as u64..end as u64).unwrap()
            };
            let mut parts = (0..self.log.len()).step_by(length).map(part);
            let joined = Worker::new(1 << 20).judge_joined(task, &mut parts);
            let all = |judged: &JudgedSegment| {
                let findings: Vec<_> = judged.findings.iter().collect();
                format!("{:?} {findings:?} {} {}", judged.facts, judged.entries, judged.bytes)
            };
            assert_eq!(all(&joined), all(judged), "parts of {length} bytes");
        }
    }

    fn findings(&self) -> Vec<Finding> {
        self.judge().findings.into_vec()
    }

    /// What was found, by name and entry or position.
    fn seen(&self) -> Vec<(&'static str, Severity, u64)> {
        let place = |finding: &Finding| finding.place.slot.or(finding.place.position.map(|at| at.0)).unwrap_or(0);
        self.findings().iter().map(|finding| (finding.id.name(), finding.severity, place(finding))).collect()
    }

    fn errors(&self) -> Vec<(&'static str, u64)> {
        self.seen().into_iter().filter(|seen| seen.1 == Severity::Error).map(|(id, _, at)| (id, at)).collect()
    }

    fn with_index(&self, entries: &[(i32, i32)]) -> Self {
        let bytes = entries.iter().flat_map(|(o, p)| [o.to_be_bytes(), p.to_be_bytes()].concat()).collect();
        Self { index: Some(bytes), ..self.clone() }
    }

    fn with_time_index(&self, entries: &[(i64, i32)]) -> Self {
        let bytes = entries.iter().flat_map(|(t, o)| [&t.to_be_bytes()[..], &o.to_be_bytes()].concat()).collect();
        Self { time_index: Some(bytes), ..self.clone() }
    }

    fn at(&self, depth: Depth) -> Self {
        Self { depth, ..self.clone() }
    }

    fn open(&self) -> Self {
        Self { is_newest: true, clean_shutdown: false, ..self.clone() }
    }

    /// The same with one batch replaced by another under a changed header.
    fn with_header(&self, at: usize, change: impl FnOnce(&mut RecordBatchHeader)) -> Self {
        let old = &self.log[at * SIZE..(at + 1) * SIZE];
        let mut header = RecordBatchHeader::read(old.first_chunk().unwrap());
        change(&mut header);
        let mut new = Vec::new();
        write_batch(header, &old[61..], &mut new);
        let mut case = self.clone();
        case.log.splice(at * SIZE..(at + 1) * SIZE, new);
        case
    }
}

fn batch(base_offset: i64, timestamp: i64) -> Vec<u8> {
    let header = RecordBatchBuilder::plain_header(Offset(base_offset), timestamp - 1);
    let mut builder = RecordBatchBuilder::new(header, Compression::None);
    for delta in 0..2 {
        let fields = RecordFields { offset_delta: delta, timestamp_delta: delta.into(), ..RecordFields::default() };
        builder.push(&RecordFields { key: Some(b"k"), value: Some(&[0; 10]), ..fields });
    }
    let mut out = Vec::new();
    builder.write(&mut out).unwrap();
    out
}

fn log() -> Vec<u8> {
    TIMESTAMPS.iter().zip(0..).flat_map(|(timestamp, at)| batch(BASE + 2 * at, *timestamp)).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    crate::format::testing::unhex(text)
}

fn detail<'f>(finding: &'f Finding, name: &str) -> &'f crate::check::Detail {
    &finding.details.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("{name}: {finding:?}")).1
}

#[test]
fn a_sound_segment_is_silent_at_every_depth_and_all_of_it_was_looked_at() {
    assert_eq!(sound().log.len(), 8 * SIZE);
    for depth in [Depth::Quick, Depth::Checksums, Depth::Records] {
        for case in [sound(), sound().open(), Case { is_newest: true, ..sound() }] {
            let judged = case.at(depth).judge();
            assert!(judged.findings.is_empty(), "{depth:?}: {:?}", judged.findings);
            assert_eq!(judged.entries, 4);
            let facts = &judged.facts;
            assert_eq!((facts.next_offset(), facts.first.unwrap().base_offset), (Offset(1016), Offset(BASE)));
            if depth > Depth::Quick {
                assert_eq!((facts.batches, judged.bytes), (8, 8 * 97 + 16 + 24));
            }
        }
    }
}

#[test]
fn only_snapshots_behind_the_base_up_to_the_next_segment_divide_a_segment() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(format!("{BASE:020}.log")), log()).unwrap();
    let partition = PartitionDir::read(dir.path()).unwrap();
    let setting = Setting { policy: ReadPolicy::default(), depth: Depth::Checksums, clean_shutdown: true };
    let snapshot_offsets = [990, 1000, 1004, 1008, 1016, 1024, 1032].map(Offset);
    let inside = |next_base_offset| {
        let files = partition.segments()[0];
        let snapshot_offsets = &snapshot_offsets;
        let task = SegmentTask { files, next_base_offset, snapshot_offsets, setting, stop: None };
        Worker::new(1 << 20).judge(&task).facts.producers.iter().map(|part| part.end_offset()).collect::<Vec<_>>()
    };
    let stretches = |ends: &[i64]| ends.iter().map(|end| Some(Offset(*end))).chain([None]).collect::<Vec<_>>();
    assert_eq!(inside(Some(Offset(1016))), stretches(&[1004, 1008, 1016]));
    assert_eq!(inside(None), stretches(&[1004, 1008, 1016, 1024, 1032]));
}

#[test]
fn entries_of_followers_and_of_old_releases_are_right() {
    // One entry for a set of three batches; the first offset of a batch instead of the last; none at all.
    for entries in [&[(11, 291), (15, 582)][..], &[(6, 291), (12, 582)], &[(9, 291)]] {
        let seen = sound().with_index(entries).seen();
        assert_eq!(seen, [("index/not-canonical", Severity::Info, 0)], "{entries:?}");
    }
    assert_eq!(sound().with_index(&[]).seen(), []);
    // The offset of the record itself that has the largest timestamp.
    assert_eq!(sound().with_time_index(&[(60, 2), (80, 12)]).seen(), []);
}

#[test]
fn each_wrong_entry_of_an_offset_index_is_named_alone() {
    for (entries, id, slot) in [
        (&[(7, 291), (13, 583)][..], "index/position-inside-batch", 1),
        (&[(7, 290), (13, 582)], "index/position-inside-batch", 0),
        (&[(7, 291), (13, 776)], "index/position-past-end", 1),
        (&[(5, 291), (13, 582)], "index/skips-offsets", 0),
        (&[(7, 291), (16, 582)], "index/offset-past-end", 1),
        (&[(0, 0), (7, 291), (13, 582)], "index/entry-of-start", 0),
        (&[(7, 291), (0, 582)], "index/entry-of-start", 1),
        (&[(7, 291), (13, -5)], "index/position-past-end", 1),
        (&[(7, 291), (-1, -1)], "index/position-past-end", 1),
        (&[(-1, 97), (7, 291)], "index/offsets-not-increasing", 0),
        (&[(7, 291), (15, 388), (11, 485), (13, 582)], "index/offsets-not-increasing", 1),
        (&[(3, 97), (13, 582), (7, 291), (9, 388), (11, 485)], "index/offsets-not-increasing", 1),
        (&[(3, 97), (7, 291), (8, 291), (13, 582)], "index/positions-not-increasing", 2),
    ] {
        let errors = sound().with_index(entries).errors();
        let is_named = errors.len() == 1 && errors[0].0 == id && (errors[0].1 == slot || id.contains("positions"));
        assert!(is_named, "{entries:?}: {errors:?}");
    }
}

#[test]
fn each_wrong_entry_of_a_time_index_is_named_alone() {
    for (entries, id, slot) in [
        (&[(61, 3), (80, 13)][..], "timeindex/wrong-timestamp", 0),
        (&[(60, 7), (80, 13)], "timeindex/wrong-timestamp", 0),
        (&[(60, 3), (81, 13)], "timeindex/last-too-large", 1),
        (&[(60, 3), (70, 9)], "timeindex/last-too-small", 1),
        (&[(60, 3), (80, 16)], "timeindex/offset-out-of-range", 1),
        (&[(60, -1), (80, 13)], "timeindex/offset-out-of-range", 0),
        (&[(50, 1), (70, 9), (60, 3), (80, 13)], "timeindex/timestamps-not-increasing", 1),
        (&[(60, 3), (60, 3), (80, 13)], "timeindex/timestamps-not-increasing", 1),
    ] {
        let errors = sound().with_time_index(entries).errors();
        let is_named = errors.len() == 1 && errors[0].0 == id;
        assert!(is_named && (errors[0].1 == slot || id.contains("increasing")), "{entries:?}: {errors:?}");
    }
    let fall = sound().at(Depth::Quick).with_time_index(&[(50, 9), (60, 3), (80, 13)]).errors();
    assert_eq!(fall.len(), 1);
    assert_eq!(fall[0].0, "timeindex/offsets-decreasing");
    assert_eq!(sound().with_time_index(&[]).seen(), [("timeindex/empty", Severity::Warning, 0)]);
}

#[test]
fn what_an_index_of_another_segment_says_is_said_in_few_words() {
    let mut case = sound();
    case.log = (0..400).flat_map(|at| batch(BASE + 2 * at, at)).collect();
    let last = case.clone().with_index(&[]).with_time_index(&[(399, 799)]);
    assert_eq!(last.seen(), []);
    let foreign: Vec<(i32, i32)> = (1..300).map(|at| (3 * at, 131 * at)).collect();
    let foreign = last.with_index(&foreign);
    let findings = foreign.findings();
    assert!(findings.len() <= 4, "{findings:?}");
    let wrong: u64 = findings.iter().map(|finding| finding.more + 1).sum();
    assert!(wrong > 250, "{wrong}");
    assert_eq!(*detail(&findings[0], "entries"), 299_u64.into());
}

#[test]
fn zeros_behind_the_entries_matter_unless_a_broker_has_the_index_open() {
    let mut case = sound();
    for bytes in [case.index.as_mut().unwrap(), case.time_index.as_mut().unwrap()] {
        bytes.resize(240, 0);
    }
    let closed = case.seen();
    assert_eq!(closed, [("index/zero-padding", Severity::Warning, 2), ("timeindex/zero-padding", Severity::Error, 2)]);
    assert_eq!(Case { is_newest: true, ..case.clone() }.seen(), closed);
    for open in [
        case.open(),
        Case { is_newest: true, is_live: true, ..case.clone() },
        Case { is_newest: true, directory: "__cluster_metadata-0", ..case.clone() },
        Case { is_newest: true, directory: "t-0.0123456789abcdef0123456789abcdef-delete", ..case.clone() },
    ] {
        for depth in [Depth::Quick, Depth::Checksums] {
            assert_eq!(open.at(depth).seen(), [], "{}", open.directory);
            assert_eq!(open.at(depth).with_time_index(&[(60, 3)]).seen(), []);
        }
    }
}

#[test]
fn what_a_truncation_has_left_behind_an_open_index_is_no_damage() {
    let stale = sound().open().with_index(&[(7, 291), (13, 582), (25, 900), (33, 1300), (0, 0)]);
    assert_eq!(stale.seen(), [("index/stale-entries", Severity::Info, 2)]);
    // Written again in other sets: each of the old entries is right on its own.
    let stale = sound().open().with_index(&[(7, 291), (15, 388), (11, 485), (13, 582), (0, 0)]);
    assert_eq!(stale.seen()[0], ("index/stale-entries", Severity::Info, 2));
    let stale = sound().open().with_time_index(&[(60, 3), (80, 13), (90, 20), (95, 30), (0, 0)]);
    assert_eq!(stale.seen(), [("timeindex/stale-entries", Severity::Info, 2)]);
    // One changed entry before right ones is none of that.
    let changed = sound().open().with_index(&[(3, 97), (5, 195), (7, 291), (9, 388), (11, 485), (0, 0)]);
    assert_eq!(changed.errors(), [("index/position-inside-batch", 1)]);
    // Nor are entries at the end of a file that is not preallocated: no broker has it open.
    let cut = sound().open().with_index(&[(7, 291), (13, 582), (25, 900)]);
    assert_eq!(cut.errors(), [("index/position-past-end", 2)]);
    // Of a segment that is not the newest they are entries like others.
    let closed = sound().with_index(&[(7, 291), (13, 582), (25, 900)]);
    assert_eq!(closed.errors(), [("index/position-past-end", 2)]);
}

#[test]
fn bytes_that_are_no_entry_and_indexes_that_are_not_there_are_named() {
    let mut case = sound();
    case.index.as_mut().unwrap().extend([0, 1, 2]);
    case.time_index.as_mut().unwrap().push(9);
    let seen = case.seen();
    let expected = [("index/partial-entry", Severity::Error, 16), ("timeindex/partial-entry", Severity::Error, 24)];
    assert_eq!(seen, expected);
    let case = Case { index: None, time_index: None, ..sound() };
    let missing = [("index/missing", Severity::Warning, 0), ("timeindex/missing", Severity::Warning, 0)];
    assert_eq!(case.seen(), missing);
    assert_eq!(case.at(Depth::Quick).seen(), missing);
    assert_eq!(Case { log: Vec::new(), ..case }.seen(), []);
}

#[test]
fn an_empty_offset_index_is_only_mentioned_and_only_beside_a_long_log() {
    let mut case = sound().with_index(&[]).with_time_index(&[(1, 1)]);
    case.log = (0..1000).flat_map(|at| batch(BASE + 2 * at, 1)).collect();
    case.is_newest = true;
    assert_eq!(case.seen(), [("index/empty", Severity::Info, 0)]);
}

#[test]
fn entries_that_point_into_damage_are_its_consequences() {
    let mut case = sound();
    case.log[3 * SIZE + 80] ^= 1;
    let findings = case.findings();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!((findings[0].id, findings[0].place.position), (Id::LogChecksumMismatch, Some(Position(291))));
    assert_eq!(*detail(&findings[0], "indexEntriesBehind"), 1_u64.into());
    assert_eq!(*detail(&findings[0], "nextIntactOffset"), 1008_i64.into());
    // Behind the damage entries are judged as ever.
    let case = case.with_index(&[(7, 291), (13, 581)]);
    assert_eq!(case.errors(), [("log/checksum-mismatch", 291), ("index/position-inside-batch", 1)]);
    // The entry of a timestamp in the damaged batch.
    let mut case = sound().with_time_index(&[(60, 3), (70, 9), (80, 13)]);
    case.log[4 * SIZE + 80] ^= 1;
    let findings = case.findings();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(*detail(&findings[0], "timeIndexEntriesBehind"), 1_u64.into());
    // A log that ends early takes the entries behind it with it.
    let mut case = sound();
    case.log.truncate(300);
    let findings = case.findings();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!((findings[0].id, findings[0].place.position), (Id::LogTornTail, Some(Position(291))));
    assert_eq!(*detail(&findings[0], "indexEntriesBehind"), 2_u64.into());
    assert_eq!(*detail(&findings[0], "timeIndexEntriesBehind"), 1_u64.into());
    // Cut between two batches, nothing else tells that something is missing.
    case.log.truncate(291);
    let errors = case.errors();
    assert_eq!(
        errors,
        [("index/position-past-end", 0), ("index/position-past-end", 1), ("timeindex/offset-out-of-range", 1)]
    );
}

#[test]
fn damage_is_called_what_it_is() {
    let damaged = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut case = sound();
        change(&mut case.log);
        case.errors()
    };
    assert_eq!(damaged(&|log| log.extend([0; 40])), [("log/zero-tail", 776)]);
    assert_eq!(damaged(&|log| log.extend(&batch(1016, 75)[..50])), [("log/torn-tail", 776)]);
    assert_eq!(damaged(&|log| log[2 * SIZE + 8..2 * SIZE + 12].fill(0)), [("log/bad-length", 194)]);
    assert_eq!(damaged(&|log| log[2 * SIZE + 9] = 1), [("log/bad-length", 194)]);
    assert_eq!(damaged(&|log| log[2 * SIZE + 70] ^= 4), [("log/checksum-mismatch", 194)]);
    for magic in [0, 1, 3, 0xff] {
        assert_eq!(damaged(&|log| log[2 * SIZE + 16] = magic), [("log/magic-changed", 194)], "{magic}");
    }
    assert_eq!(
        damaged(&|log| {
            log[2 * SIZE + 16] = 7;
            log[2 * SIZE + 80] ^= 4;
        }),
        [("log/unknown-magic", 194)]
    );
}

#[test]
fn under_a_running_broker_the_last_bytes_may_be_half_written() {
    let mut case = Case { is_newest: true, is_live: true, ..sound() };
    case.log.extend(&batch(1016, 75)[..50]);
    assert_eq!(case.seen(), [("log/torn-tail", Severity::Info, 776)]);
    case.log[2 * SIZE + 70] ^= 4;
    assert_eq!(case.errors(), [("log/checksum-mismatch", 194)]);
}

#[test]
fn a_quick_look_sees_the_ends_and_reads_no_more() {
    let mut case = sound().at(Depth::Quick);
    case.log[2 * SIZE + 70] ^= 4;
    assert_eq!(case.seen(), [], "a payload is not looked at");
    case.log.truncate(8 * SIZE - 1);
    assert_eq!(case.errors(), [("log/torn-tail", 679)]);
    for (entries, id) in [
        (&[(7, 291), (13, 583)][..], "index/position-inside-batch"),
        (&[(7, 291), (13, 776)], "index/position-past-end"),
        (&[(7, 291), (16, 582)], "index/offset-past-end"),
        (&[(7, 291), (15, 388), (11, 485), (13, 582)], "index/offsets-not-increasing"),
    ] {
        let errors = sound().at(Depth::Quick).with_index(entries).errors();
        assert_eq!((errors.len(), errors[0].0), (1, id), "{entries:?}: {errors:?}");
    }
    let errors = sound().at(Depth::Quick).with_time_index(&[(60, 3), (79, 13)]).errors();
    assert_eq!(errors, [("timeindex/last-too-small", 1)]);
}

#[test]
fn each_rule_about_headers_speaks() {
    type Change = fn(&mut RecordBatchHeader);
    let cases: [(Change, &[&str]); 16] = [
        (|header| header.base_offset = 900, &["log/offset-below-base"]),
        (|header| header.base_offset += 1 << 32, &["log/offset-overflow"]),
        (|header| header.base_offset = 1006, &["log/offsets-not-increasing"]),
        (|header| header.records_count = 3, &["log/record-count"]),
        (|header| header.records_count = -1, &["log/record-count"]),
        (|header| header.attributes = 5, &["log/unknown-codec"]),
        (|header| header.attributes = 0x80, &["log/unknown-attributes"]),
        (|header| header.attributes = 0x100, &["log/unknown-attributes"]),
        (
            |header| {
                header.attributes = 8;
                header.max_timestamp = -1;
            },
            &["log/append-time-missing"],
        ),
        (|header| header.producer_id = 7, &["log/producer-fields"]),
        (
            |header| {
                header.producer_id = 7;
                header.producer_epoch = 0;
            },
            &["log/producer-fields"],
        ),
        (|header| header.attributes = 0x10, &["log/producer-fields"]),
        (|header| header.records_count = 0, &["log/record-count"]),
        (
            |header| {
                header.attributes = 0x40;
                header.records_count = 0;
            },
            &["log/record-count", "log/delete-horizon"],
        ),
        // Sequence 0 without a producer, as coordinators write it; a delete horizon.
        (|header| header.base_sequence = 0, &[]),
        (|header| header.attributes = 0x40, &[]),
    ];
    for (at, (change, expected)) in cases.into_iter().enumerate() {
        let case = sound().with_header(5, change);
        let seen: Vec<_> =
            case.seen().into_iter().filter(|seen| seen.0 != "log/offset-gap").map(|(id, _, at)| (id, at)).collect();
        let expected: Vec<_> = expected.iter().map(|id| (*id, 485)).collect();
        assert_eq!(seen, expected, "case {at}");
    }
    // The epochs of others are 0.
    let case = sound().with_header(4, |header| header.partition_leader_epoch = 9);
    assert_eq!(case.errors(), [("log/epoch-decreases", 485)]);
}

#[test]
fn an_offset_that_was_changed_is_not_held_against_what_follows() {
    let case = sound().with_header(4, |header| header.base_offset = 1050);
    let errors = case.errors();
    assert_eq!(errors, [("log/offsets-not-increasing", 388)], "itself, and not the next");
    let case = sound().with_header(3, |header| header.base_offset = 1200);
    assert_eq!(case.errors().len(), 1);
}

#[test]
fn offsets_that_are_left_out_are_mentioned_once() {
    let mut case = sound().with_index(&[]).with_time_index(&[(80, 13)]);
    case.log.drain(SIZE..2 * SIZE);
    case.log.drain(3 * SIZE..4 * SIZE);
    let findings = case.findings();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].id, Id::LogOffsetGap);
    assert_eq!(*detail(&findings[0], "gaps"), 2_u64.into());
    assert_eq!(*detail(&findings[0], "firstMissingOffset"), 1002_i64.into());
}

#[test]
fn a_batch_that_the_cleaner_has_emptied_is_right() {
    let mut header = RecordBatchBuilder::plain_header(Offset(1016), -1);
    header.last_offset_delta = 3;
    let mut case = sound();
    write_batch(header, &[], &mut case.log);
    assert_eq!(case.at(Depth::Records).seen(), []);
    header.base_timestamp = 5;
    write_batch(RecordBatchHeader { base_offset: 1020, ..header }, &[], &mut case.log);
    assert_eq!(case.seen(), [("log/empty-batch", Severity::Info, 776 + 61)]);
}

#[test]
fn records_are_held_against_their_header() {
    let deep = sound().at(Depth::Records);
    assert_eq!(
        deep.with_header(5, |header| header.max_timestamp = 66).seen(),
        [("log/max-timestamp", Severity::Warning, 485)]
    );
    assert_eq!(deep.with_header(5, |header| header.records_count = 1).errors(), [("log/records-undecodable", 485)]);
    let misplaced = |deltas: [i32; 2], last: i32| {
        let mut payload = Vec::new();
        for delta in deltas {
            RecordFields { offset_delta: delta, ..RecordFields::default() }.write(&mut payload);
        }
        let mut header = RecordBatchBuilder::plain_header(Offset(1016), 3);
        (header.last_offset_delta, header.records_count) = (last, 2);
        let mut case = deep.clone();
        write_batch(header, &payload, &mut case.log);
        case.errors()
    };
    assert_eq!(misplaced([0, 1], 1), []);
    assert_eq!(misplaced([1, 3], 5), []);
    assert_eq!(misplaced([1, 1], 1), [("log/record-offsets", 776)]);
    assert_eq!(misplaced([0, 2], 1), [("log/record-offsets", 776)]);
}

#[test]
fn records_that_take_too_much_memory_are_named_as_not_looked_at() {
    let mut builder = RecordBatchBuilder::new(RecordBatchBuilder::plain_header(Offset(1016), 3), Compression::Zstd);
    builder.push(&RecordFields { value: Some(&vec![0; 2 << 20]), ..RecordFields::default() });
    let mut case = sound().at(Depth::Records);
    builder.write(&mut case.log).unwrap();
    let findings = case.findings();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!((findings[0].id, findings[0].severity), (Id::LogRecordsUndecodable, Severity::Info));
    assert_eq!(*detail(&findings[0], "reason"), "notLookedAt".into());
}

#[test]
fn messages_of_old_magics_are_judged_by_their_own_rules() {
    let message = |offset: i64, magic: i8, attributes: i8| {
        let mut bytes = Vec::new();
        let fields = MessageFields { offset, magic, attributes, timestamp: 40, key: None, value: Some(b"v") };
        fields.write(&mut bytes);
        bytes
    };
    let of = |messages: &[Vec<u8>]| Case {
        log: messages.concat(),
        time_index: None,
        is_newest: true,
        clean_shutdown: false,
        ..sound().with_index(&[]).at(Depth::Records)
    };
    assert_eq!(of(&[message(BASE, 0, 0), message(BASE + 1, 0, 0)]).seen(), []);
    assert_eq!(of(&[message(BASE, 0, 0), message(BASE, 0, 0)]).errors(), [("log/offsets-not-increasing", 27)]);
    assert_eq!(of(&[message(BASE, 0, 8)]).seen(), [("log/unknown-attributes", Severity::Warning, 0)]);
    assert_eq!(of(&[message(BASE, 0, 4)]).errors(), [("log/unknown-codec", 0)]);
    // A wrapper whose value is no gzip.
    assert_eq!(of(&[message(BASE, 0, 1)]).errors(), [("log/records-undecodable", 0)]);
    assert!(Path::new("t-0").is_relative());
}

#[test]
fn timestamp_0_at_the_base_offset_is_no_padding() {
    let mut builder = RecordBatchBuilder::new(RecordBatchBuilder::plain_header(Offset(BASE), 0), Compression::None);
    builder.push(&RecordFields { value: Some(b"v"), ..RecordFields::default() });
    let mut case = sound().with_index(&[]).with_time_index(&[(0, 0)]);
    case.log.clear();
    builder.write(&mut case.log).unwrap();
    assert_eq!(case.seen(), []);
    let padded = case.with_time_index(&[(0, 0), (0, 0)]);
    assert_eq!(padded.errors(), [("timeindex/zero-padding", 1)]);
}

/// Where each batch of the sound log begins, with its last offset relative to the base.
fn batches() -> impl Iterator<Item = (i32, i32, i64)> {
    (0..8).zip(TIMESTAMPS).map(|(at, timestamp)| (at * SIZE as i32, 2 * at + 1, timestamp))
}

/// What must hold of an offset index, said in the plainest way.
fn is_right_index(entries: &[(i32, i32)]) -> bool {
    let rise = entries.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1);
    rise && entries.iter().all(|&(offset, position)| {
        let begins = position > 0 && batches().any(|(at, ..)| at == position);
        let skips = batches().any(|(at, last, _)| at < position && last >= offset);
        let reached = batches().any(|(at, last, _)| at >= position && last >= offset);
        offset > 0 && begins && !skips && reached
    })
}

/// The same of a time index of a closed segment.
fn is_right_time_index(entries: &[(i64, i32)]) -> bool {
    let rise = entries.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
    let each = entries.iter().all(|&(timestamp, offset)| {
        let first = batches().find(|(_, last, _)| *last >= offset);
        let is_there = offset >= 0 && first.is_some_and(|(_, _, largest)| largest == timestamp);
        is_there && batches().filter(|(_, last, _)| *last < offset).all(|(_, _, earlier)| earlier < timestamp)
    });
    rise && each && entries.last().is_some_and(|last| last.0 == 80)
}

fn index_entry() -> impl Strategy<Value = (i32, i32)> {
    (prop_oneof![0..18, -3..3i32], prop_oneof![8 => (0..8i32).prop_map(|at| at * 97), 1 => 0..900i32])
}

fn time_index_entry() -> impl Strategy<Value = (i64, i32)> {
    (prop_oneof![proptest::sample::select(&TIMESTAMPS[..]), 0..90i64], -1..18i32)
}

/// Entries of which most are right: those of a right index, some of them replaced.
fn mostly<T: Clone + std::fmt::Debug>(right: Vec<T>, other: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<T>> {
    let choose =
        (proptest::collection::vec(any::<bool>(), right.len()), proptest::collection::vec((0..9usize, other), 0..3));
    choose.prop_map(move |(kept, others)| {
        let mut entries: Vec<T> =
            right.iter().zip(kept).filter(|(_, kept)| *kept).map(|(one, _)| one.clone()).collect();
        for (at, other) in others {
            match entries.get_mut(at) {
                Some(entry) => *entry = other,
                None => entries.push(other),
            }
        }
        entries
    })
}

proptest! {
    // Each case writes a directory.
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn an_offset_index_is_called_wrong_where_it_is_and_nowhere_else(
        entries in mostly((1..8).map(|at| (2 * at + 1, at * 97)).collect(), index_entry().boxed()),
    ) {
        // Zeros at the end are padding.
        prop_assume!(entries.last() != Some(&(0, 0)));
        let errors = sound().with_index(&entries).errors();
        prop_assert_eq!(errors.is_empty(), is_right_index(&entries), "{:?}: {:?}", entries, errors);
    }

    #[test]
    fn a_time_index_is_called_wrong_where_it_is_and_nowhere_else(
        entries in mostly(vec![(50, 1), (60, 3), (70, 9), (80, 13)], time_index_entry().boxed()),
    ) {
        prop_assume!(!entries.is_empty() && entries.last() != Some(&(0, 0)));
        let errors = sound().with_time_index(&entries).errors();
        prop_assert_eq!(errors.is_empty(), is_right_time_index(&entries), "{:?}: {:?}", entries, errors);
    }

    #[test]
    fn whatever_the_files_hold_something_is_said_and_nothing_fails(
        changes in proptest::collection::vec((0..776usize, any::<u8>()), 1..6),
        index in proptest::collection::vec(any::<u8>(), 0..60),
        time_index in proptest::collection::vec(any::<u8>(), 0..60),
        is_newest: bool,
        clean_shutdown: bool,
        is_live: bool,
    ) {
        let mut case = Case {
            index: Some(index), time_index: Some(time_index), is_newest, clean_shutdown, is_live, ..sound()
        };
        for (at, byte) in changes {
            case.log[at] = byte;
        }
        for depth in [Depth::Quick, Depth::Checksums, Depth::Records] {
            case.at(depth).judge();
        }
    }
}
