use std::collections::HashSet;

use super::*;
use crate::format::{Offset, Position};

const INDEX: &str = "/data/orders-3/00000000000000120000.index";

/// What is told, in a terminal of that many columns.
fn told(format: Format, width: Option<u16>, findings: &[Finding]) -> String {
    let mut reporter = Reporter::new(format, TimeZone::UTC, width);
    let mut out = Vec::new();
    let subject = Subject { partition: "orders-3", dir: "/data/orders-3" };
    tell(&mut reporter, &mut out, &subject, findings, |_| AtStart::default());
    reporter.flush(&mut out);
    String::from_utf8(out).unwrap()
}

fn past_end(slot: usize) -> Finding {
    Finding::new(Id::IndexPositionPastEnd, INDEX)
        .entry(slot, 8)
        .with("indexOffset", Offset(120_400))
        .with("indexPosition", 99_000_000_i64)
        .with("logSize", 65_536_u64)
}

#[test]
fn every_kind_of_finding_has_its_words_and_none_is_worded_twice() {
    let mut sentences = HashSet::new();
    for id in Id::ALL {
        let words = words(*id);
        for said in [words.what, words.readers, words.clean, words.unclean] {
            assert!(!said.is_empty() && said != "unknown", "{}", id.name());
            assert!(!said.ends_with('.') && !said.contains("  "), "{}: {said}", id.name());
        }
        let subject = id.name().split('/').next();
        assert!(sentences.insert((subject, words.what)), "{}: {}", id.name(), words.what);
    }
}

#[test]
fn mending_by_command_is_for_what_is_safe_or_lossy() {
    for id in Id::ALL {
        match words(*id).mend {
            Mend::Command(REBUILD_INDEX) => assert_eq!(id.repair(), Repair::Safe, "{}", id.name()),
            Mend::Command(_) => assert_eq!(id.repair(), Repair::Lossy, "{}", id.name()),
            Mend::ByHand(_) => assert_ne!(id.repair(), Repair::Lossy, "{}", id.name()),
        }
    }
}

#[test]
fn no_cut_is_advised_behind_a_batch_of_which_only_the_magic_is_wrong() {
    let magic = |name: &str| Finding::new(Id::LogMagicChanged, name);
    let torn = || Finding::new(Id::LogTornTail, "/data/orders-3/5.log").with("isNewest", 1i64);
    let cut = "To see the repair: kfsck truncate-to-hw --to intact-end /data/orders-3";
    assert!(told(Format::Text, None, &[torn()]).contains(cut));
    let both = told(Format::Text, None, &[magic("/data/orders-3/0.log"), torn()]);
    assert!(!both.contains(cut) && both.contains("mend the magic of the batch before it first"), "{both}");
    assert!(told(Format::Text, None, &[torn(), magic("/data/orders-3/9.log")]).contains(cut));
}

/// The parts of a template in braces, and the template without what may be left out.
fn parts(template: &str) -> (Vec<&str>, String) {
    let mut required = String::new();
    for (at, piece) in template.split(['[', ']']).enumerate() {
        if at % 2 == 0 {
            required.push_str(piece);
        }
    }
    let names = template.split('{').skip(1).map(|rest| rest.split(['}', ':']).next().unwrap_or_default()).collect();
    (names, required)
}

#[test]
fn templates_are_well_formed_and_are_filled_by_what_they_name() {
    for id in Id::ALL {
        for template in words(*id).says {
            for (open, close) in [('{', '}'), ('[', ']')] {
                let inside: Vec<&str> = template.split(open).skip(1).collect();
                let closed = inside.iter().all(|inside| inside.find(close).is_some());
                assert!(closed && template.matches(close).count() == inside.len(), "{template}");
            }
            let (names, required) = parts(template);
            assert!(required.len() > 10 && !required.ends_with('.'), "{template}");
            let mut finding = Finding::new(*id, "x").at(Position(0), 1).entry(0, 1).offset(Offset(0));
            for name in names {
                let name: &'static str = Box::leak(name.to_owned().into_boxed_str());
                if finding.details.iter().all(|(known, _)| *known != name) {
                    finding = finding.with(name, 7_i64);
                }
            }
            let says = message(&finding, &TimeZone::UTC);
            assert!(!says.contains(['{', '}', '[', ']']) && says != words(*id).what, "{says}");
        }
    }
}

#[test]
fn a_finding_without_the_details_of_its_sentence_tells_those_it_has() {
    let says = |finding: &Finding| message(finding, &TimeZone::UTC);
    let finding = Finding::new(Id::IndexPositionPastEnd, INDEX);
    assert_eq!(says(&finding), "a position past the end of the log");
    let finding = finding.with("indexPosition", 5_i64).with("at", Detail::Time(0));
    assert_eq!(says(&finding), "a position past the end of the log: indexPosition 5, at 1970-01-01T00:00:00.000Z");
    assert_eq!(says(&past_end(3)), "position 99000000 for offset 120400, the log ends at 65536");
    let zeros = |length| says(&Finding::new(Id::LogZeroTail, "x.log").at(Position(9), length));
    assert_eq!(
        (zeros(1).as_str(), zeros(2).as_str()),
        ("1 byte of zeros behind the last batch", "2 bytes of zeros behind the last batch")
    );
    assert_eq!(
        says(&past_end(3).with("wrongEntries", 5_u64).with("entries", 9_u64)),
        format!("{}; 5 of 9 entries are wrong", says(&past_end(3)))
    );
}

#[test]
fn findings_of_one_file_stand_below_its_name_and_are_explained_once() {
    let text = told(Format::Text, None, &[past_end(3), past_end(5)]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], INDEX);
    assert_eq!(
        lines[1],
        "  error  index/position-past-end  entry 3 (bytes 24..32): position 99000000 for offset 120400, the log ends at \
         65536  repair: safe"
    );
    assert!(lines[2].starts_with("  error  index/position-past-end  entry 5 (bytes 40..48): "));
    let labels: Vec<&str> = lines[3..].iter().map(|line| line.get(9..22).unwrap_or(line).trim()).collect();
    assert_eq!(labels[..3], ["readers", "clean start", "unclean start"]);
    assert_eq!(lines[6], "To see the repair: kfsck rebuild-index /data/orders-3");
    assert_eq!(lines.len(), 8, "{text}");
}

#[test]
fn lines_fit_into_a_terminal_and_are_never_too_wide_to_read() {
    let findings: Vec<Finding> = Id::ALL.iter().map(|id| Finding::new(*id, INDEX).entry(3, 8)).collect();
    for (width, most) in [(80, 80), (200, 120)] {
        let text = told(Format::Text, Some(width), &findings);
        let longest = text.lines().map(|line| line.chars().count()).max();
        assert!(longest <= Some(most) && longest > Some(most - 10), "{longest:?}");
        // What goes on is indented, and no line ends in blanks.
        for line in text.lines() {
            let is_start = line == INDEX || line.starts_with("To see") || line.is_empty();
            assert!(is_start || line.starts_with("  ") && line.trim_end() == line, "{line:?}");
        }
    }
}

#[test]
fn what_was_worked_out_for_the_partition_goes_before_what_is_usual() {
    let mut reporter = Reporter::new(Format::Json, TimeZone::UTC, None);
    let mut out = Vec::new();
    let subject = Subject { partition: "orders-3", dir: "/data/orders-3" };
    let at_start = |_: &Finding| AtStart { clean: Some("the log end is 7".to_owned()), unclean: None };
    tell(&mut reporter, &mut out, &subject, &[past_end(3)], at_start);
    let line: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(line["atCleanStart"], "the log end is 7");
    assert_eq!(line["atUncleanStart"], words(Id::IndexPositionPastEnd).unclean);
    let checkpoint =
        Finding::new(Id::LogDirCheckpointUnreadable, "cleaner-offset-checkpoint").with("atStart", "takenForEmpty");
    let text = told(Format::Text, None, &[checkpoint]);
    assert!(text.contains("at a start     the file is taken for empty\n"), "{text}");
}

#[test]
fn damage_with_intact_batches_behind_it_is_not_said_to_be_cut_off_alone() {
    let tail =
        Finding::new(Id::LogTornTail, "x.log").at(Position(100), 20).offset(Offset(7)).with("sizeInBytes", 61_u64);
    let text = told(Format::Text, None, std::slice::from_ref(&tail));
    assert!(text.contains("To see the repair: kfsck truncate-to-hw --to intact-end /data/orders-3\n"), "{text}");
    let middle = tail.with("nextIntactPosition", 120_u64);
    let text = told(Format::Text, None, &[middle]);
    assert!(!text.contains("To see the repair"), "{text}");
    assert!(text.contains("copy the partition from a replica") && text.contains("--to 7 /data/orders-3"), "{text}");
}

#[test]
fn where_a_finding_is_depends_on_what_is_known() {
    let finding = |position: Option<u64>, length, slot, offset: Option<i64>| {
        let mut finding = Finding::new(Id::LogTornTail, "x");
        finding.place = Place { position: position.map(Position), length, slot, offset: offset.map(Offset) };
        place_words(&finding)
    };
    assert_eq!(finding(Some(24), Some(8), Some(3), Some(9)), "entry 3 (bytes 24..32)");
    assert_eq!(finding(Some(24), Some(8), None, Some(9)), "offset 9 (bytes 24..32)");
    assert_eq!(finding(Some(24), Some(0), None, None), "byte 24");
    assert_eq!(finding(None, None, None, Some(9)), "offset 9");
    assert_eq!(finding(None, None, Some(3), Some(9)), "entry 3");
    assert_eq!(finding(None, None, None, None), "");
}

#[test]
fn the_end_of_an_older_segment_is_worded_otherwise_than_that_of_the_newest() {
    let told_of = |id, length, is_newest: u64| {
        let tail = Finding::new(id, "x.log").at(Position(100), length).with("isNewest", is_newest);
        told(Format::Text, None, &[tail])
    };
    let torn = told_of(Id::LogTornTail, 7, 0);
    assert!(torn.contains("readers        they go on in the next segment without a word"), "{torn}");
    assert!(torn.contains("clean start    not noticed\n") && !torn.contains("next append"), "{torn}");
    assert!(told_of(Id::LogTornTail, 7, 1).contains("the next append goes behind them"));
    // `FileLogInputStream` wants more bytes than a header up to its magic has.
    assert!(told_of(Id::LogZeroTail, 17, 0).contains("they go on in the next segment"));
    assert!(told_of(Id::LogZeroTail, 18, 0).contains("fetches that reach the zeros fail"));
    assert!(!told_of(Id::LogZeroTail, 18, 1).contains("older segment, fetches"));
}

#[test]
fn details_are_put_into_sentences_and_sentinels_are_not_shown_as_times() {
    let says = |finding: Finding| message(&finding, &TimeZone::UTC);
    let missing = |value: u64| says(Finding::new(Id::EpochFileMissing, "x").with("fileMissing", value));
    assert_eq!(missing(1), "batches have leader epochs, and the file is missing");
    assert_eq!(missing(0), "batches have leader epochs, and the file is empty");
    let name = || Finding::new(Id::PartitionNameNotCanonical, "5.log").with("name", "5.log");
    let instead = name().with("openedInstead", "00000000000000000005.log").with("isThere", "no");
    assert_eq!(
        says(instead),
        "5.log is passed over: a broker opens or makes 00000000000000000005.log, which is not there"
    );
    assert!(says(name().with("openedAs", Offset(-11))).contains("opened as segment -11"));
    let time = Finding::new(Id::TimeIndexWrongTimestamp, "x")
        .with("indexTimestamp", Detail::Time(5))
        .with("indexOffset", Offset(11))
        .with("batchMaxTimestamp", Detail::Time(9))
        .with("largestTimestampBefore", Detail::Time(-1));
    assert!(says(time).ends_with("1970-01-01T00:00:00.009Z as its largest timestamp and none before it"));
}

#[test]
fn a_negative_offset_in_a_checkpoint_is_not_worded_as_a_second_line() {
    let line = Finding::new(Id::LogDirCheckpointLine, "x").with("line", 3_u64).with("checkpointedOffset", Offset(-5));
    assert!(told(Format::Text, None, std::slice::from_ref(&line)).contains("it counts as the start of the log"));
    assert!(told(Format::Text, None, &[line.with("earlierOffset", Offset(7))]).contains("the last line counts"));
}

#[test]
fn an_entry_for_the_start_is_harmless_to_readers_only_if_it_leads_there() {
    let entry = |position: i64| Finding::new(Id::IndexEntryOfStart, "x").with("indexPosition", position);
    assert!(told(Format::Text, None, &[entry(0)]).contains("none: lookups begin there anyway"));
    assert!(told(Format::Text, None, &[entry(2662)]).contains("the offsets before this position skip records"));
}

#[test]
fn a_table_of_findings_fits_into_a_narrow_terminal() {
    for width in [80, 100] {
        let text = told(Format::Table, Some(width), &[past_end(3), past_end(5)]);
        let longest = text.lines().map(|line| line.chars().count()).max();
        assert!(longest <= Some(width.into()), "{text}");
        assert!(text.contains("bytes 24..32") && text.contains("orders-3/0000"), "{text}");
    }
    assert!(told(Format::Table, Some(200), &[past_end(3)]).contains("repair"));
}

/// What a start is said to make of a finding.
mod of_a_start {
    use std::collections::BTreeMap;

    use super::*;
    use crate::scan::recover::{KafkaRelease, RecoverEnd};
    use crate::scan::start::{DeletedFor, RecoveredFor, StartEvent, StartOutcome, What};

    const OLDER: &str = "00000000000000000011.log";
    const NEWEST: &str = "00000000000000000025.log";

    fn said(events: &[(&str, What)], end: i64, finding: &Finding) -> Option<String> {
        let outcome = StartOutcome {
            refusal: None,
            log_start_offset: Offset(0),
            log_end_offset: Offset(end),
            segments: Vec::new(),
            leader_epochs: Vec::new(),
            producers: Vec::new(),
            events: events
                .iter()
                .map(|(file, what)| StartEvent { file: (*file).to_owned(), what: what.clone() })
                .collect(),
            files: BTreeMap::new(),
            files_before: [(OLDER.to_owned(), 100), (NEWEST.to_owned(), 100)].into(),
        };
        start::words(&outcome, KafkaRelease::default(), finding, Some(Offset(36)))
    }

    #[test]
    fn nothing_is_concluded_about_rules_that_are_not_played_through() {
        for id in [
            Id::LogDirLogStartBeyondEnd,
            Id::LogDirHighWatermarkBeyondEnd,
            Id::LogDirDuplicatePartition,
            Id::LogDirMetaProperties,
            Id::PartitionMetadataMissing,
            Id::PartitionMetadataForeign,
            Id::KraftTopicId,
            Id::KraftSnapshotMissing,
            Id::KraftSnapshotUnreadable,
            Id::KraftQuorumState,
        ] {
            assert_eq!(said(&[], 36, &Finding::new(id, "/data/orders-3/x")), None, "{}", id.name());
        }
        assert_eq!(said(&[], 36, &Finding::new(Id::PartitionForeignFile, "/data/orders-3/x")), None);
    }

    #[test]
    fn a_partition_without_a_segment_is_said_to_begin_again() {
        let events = [
            ("00000000000000000011.index", What::Deleted(DeletedFor::Orphan)),
            ("00000000000000000000.log", What::Created),
        ];
        let said = said(&events, 0, &Finding::new(Id::PartitionEmpty, "/data/orders-3"));
        assert_eq!(
            said.as_deref(),
            Some("an empty segment is made: the log begins and ends at offset 0; the indexes are deleted")
        );
    }

    #[test]
    fn bytes_that_stay_matter_only_where_something_is_appended_behind_them() {
        let torn = |file| said(&[], 36, &Finding::new(Id::LogTornTail, file));
        assert_eq!(torn(OLDER).as_deref(), Some("not noticed"));
        assert!(torn(NEWEST).unwrap().starts_with("the bytes stay and the next append goes behind them"));
    }

    #[test]
    fn where_bytes_go_it_is_said_where_the_log_then_ends() {
        let cut = What::Cut { to: Position(83), lost_bytes: 1, why: RecoverEnd::Torn };
        let said = said(&[(NEWEST, cut)], 36, &Finding::new(Id::LogTornTail, NEWEST));
        assert_eq!(
            said.as_deref(),
            Some("the log is cut at position 83, 1 byte is lost; the log then ends at offset 36")
        );
    }

    #[test]
    fn an_end_that_the_broker_takes_from_an_empty_segment_or_a_huge_offset_is_told() {
        let empty = Finding::new(Id::SegmentsEmptyJump, "00000000000000000050.log");
        assert_eq!(said(&[], 50, &empty).as_deref(), Some("the broker takes offset 50 for the end of the log"));
        let huge = Finding::new(Id::LogOffsetOverflow, NEWEST).with("lastOffset", 2_147_483_682_i64);
        let huge = said(&[], 2_147_483_683, &huge);
        assert_eq!(huge.as_deref(), Some("the broker takes offset 2147483683 for the end of the log"));
    }

    #[test]
    fn a_missing_time_index_is_made_again_only_where_the_segment_is_recovered() {
        let missing = Finding::new(Id::TimeIndexMissing, OLDER);
        let recovered = said(&[(OLDER, What::Recovered(RecoveredFor::NoOffsetIndex))], 36, &missing);
        assert_eq!(recovered.as_deref(), Some("it is made again from the log"));
        let created = said(&[("00000000000000000011.timeindex", What::Created)], 36, &missing);
        assert!(created.unwrap().contains("stays empty"));
    }

    #[test]
    fn two_findings_about_one_snapshot_are_told_the_same_fate() {
        let snapshot = "00000000000000000036.snapshot";
        let ids = [Id::SnapshotStray, Id::SnapshotProducerMissing];
        for (events, fate) in
            [(vec![(snapshot, What::Deleted(DeletedFor::Stray))], "it is deleted"), (vec![], "taken as it stands")]
        {
            for id in ids {
                assert_eq!(said(&events, 36, &Finding::new(id, snapshot)).as_deref(), Some(fate), "{}", id.name());
            }
        }
    }

    #[test]
    fn recovery_that_cuts_nothing_has_not_noticed_the_batch() {
        let finding = Finding::new(Id::LogOffsetsNotIncreasing, OLDER);
        let said = said(&[(OLDER, What::Recovered(RecoveredFor::UncleanStart))], 36, &finding);
        assert_eq!(said.as_deref(), Some("not noticed"));
    }
}
