use std::collections::HashSet;

use super::*;
use crate::check::{Id, Place};
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
