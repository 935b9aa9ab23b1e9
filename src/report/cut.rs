//! Words and fields for the plan of a cut.

use jiff::tz::TimeZone;
use serde_json::{Map, Value as Json, json};

use super::change::{counted, wrapped};
use super::row::path_text;
use super::time;
use crate::format::Offset;
use crate::repair::divergence::Agreement;
use crate::repair::truncate::Truncation;

/// Said once before any plan that goes by a high watermark in a checkpoint.
pub const WHAT_A_HIGH_WATERMARK_IS: &str = "\
No broker since release 0.11 cuts a log to the checkpointed high watermark by
itself: all that can be read stays when it starts, and what a follower gives up
is decided by leader epochs. The checkpoint is some seconds old, too: what lies
behind it may well have been acknowledged and read. To cut there all the same is
right where everything that was perhaps never committed has to go, say to bring
partitions of a dead cluster to what all of their replicas were known to have.
That copies diverge no checkpoint can tell: only the copies can, with --replica.";

/// Said once before any plan that goes by other copies.
pub const WHAT_COPIES_ARE: &str = "\
The copies given are taken for those in sync: which ones were, no partition
directory tells. What all of them have from the same leader epochs stays. A
checkpointed high watermark could not reveal where they diverge.";

/// Where the target comes from.
#[derive(Clone, Copy, Debug)]
pub enum TargetFrom<'a> {
    /// The checkpointed high watermark.
    HighWatermark,
    /// The end of the intact log.
    IntactEnd,
    /// The command line.
    Offset,
    /// A file with offsets.
    OffsetsFile,
    /// Other copies.
    Replicas(&'a Agreement),
}

impl TargetFrom<'_> {
    /// Its name in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::HighWatermark => "highWatermark",
            Self::IntactEnd => "intactEnd",
            Self::Offset => "offset",
            Self::OffsetsFile => "offsetsFile",
            Self::Replicas(_) => "replicas",
        }
    }

    fn words(&self) -> &'static str {
        match self {
            Self::HighWatermark => "the checkpointed high watermark",
            Self::IntactEnd => "the end of the intact log",
            Self::Offset => "the offset asked for",
            Self::OffsetsFile => "the offset in the file",
            Self::Replicas(_) => "as far as all copies agree",
        }
    }
}

/// What was looked at to find the target, a line each.
pub fn before(cut: &Truncation, from: TargetFrom<'_>) -> Vec<String> {
    let high_watermark = cut.high_watermark.map_or("unknown".to_owned(), |offset| offset.to_string());
    let target = match cut.wanted.filter(|wanted| *wanted != cut.target) {
        Some(wanted) => format!("  target {} in place of {wanted}, {}", cut.target, from.words()),
        None => format!("  target {}: {}", cut.target, from.words()),
    };
    let known = format!(
        "  log start {}, high watermark {high_watermark}, intact up to {}",
        cut.log_start_offset, cut.intact_end
    );
    let unreadable = match cut.unreadable_bytes {
        0 => String::new(),
        bytes => format!(", {} unreadable", count(bytes, "byte")),
    };
    let mut lines = vec![target, known + &unreadable];
    if let TargetFrom::Replicas(agreement) = from {
        for (copy, divergence) in &agreement.others {
            let diverges =
                divergence.map_or("no divergence".to_owned(), |offset| format!("diverges from offset {offset} on"));
            let mut path = Vec::new();
            super::row::path(&mut path, &copy.path);
            let path = String::from_utf8_lossy(&path);
            lines.push(format!("  {path}: log end {}, {diverges}", copy.log_end_offset));
        }
    }
    lines
}

/// What is lost besides bytes and offsets, and what is left, a line each.
pub fn after(cut: &Truncation, zone: &TimeZone) -> Vec<String> {
    let toll = &cut.toll;
    let (mut lines, mut lost) = (Vec::new(), Vec::new());
    if let (Some(first), Some(last)) = (toll.first_timestamp, toll.last_timestamp) {
        let told = |timestamp| {
            let mut out = Vec::new();
            time::zoned(&mut out, timestamp, zone);
            String::from_utf8_lossy(&out).into_owned()
        };
        lines.push(format!("  times: {} to {}", told(first), told(last)));
    }
    for (number, noun) in [
        (toll.producers, "idempotent producer"),
        (toll.ended_transactions, "end of a transaction"),
        (toll.segments, "whole segment"),
        (cut.unreadable_bytes, "unreadable byte"),
    ] {
        // Where nothing else is lost, these are all the bytes.
        if number > 0 && number != cut.plan.loses.bytes {
            lost.push(count(number, noun).replace("end of a transactions", "ends of transactions"));
        }
    }
    if !lost.is_empty() {
        lines.push(wrapped("  with them: ", &lost.join(", ")));
    }
    lines.push(format!("  left: log end {}", cut.log_end_offset));
    if cut.log_end_offset != cut.target {
        let first_lost = cut.plan.loses.first_offset.map(Offset).filter(|first| *first < cut.target);
        lines.push(match first_lost {
            Some(first) => {
                let words = format!("below the target, which the batch of offset {first} holds: it goes as a whole");
                wrapped("        ", &words)
            }
            None => "        below the target: no record is left between".to_owned(),
        });
    }
    if toll.open_transactions > 0 {
        let open = count(toll.open_transactions, "open transaction");
        lines.push(format!("        {open}: readers of committed records wait there"));
    }
    lines
}

/// What else is to be known, a sentence each.
pub fn remarks(cut: &Truncation, from: TargetFrom<'_>) -> Vec<String> {
    let mut remarks = Vec::new();
    let end = cut.intact_end;
    if let Some(wanted) = cut.wanted {
        if wanted > cut.target && matches!(from, TargetFrom::HighWatermark) {
            remarks.push(format!(
                "the checkpointed high watermark is {wanted} and the log is intact up to {end} only: records that were \
                 committed are lost already"
            ));
        } else if wanted > cut.target {
            remarks.push(format!("offset {wanted} lies behind the end of the intact log, {end}"));
        } else if wanted < cut.target {
            let what = match from {
                TargetFrom::HighWatermark => "the checkpointed high watermark",
                _ => "offset",
            };
            remarks.push(format!("{what} {wanted} lies before the log start: nothing is left behind that"));
        }
    }
    if let TargetFrom::Replicas(Agreement { own, others, .. }) = from {
        let unknown = others.iter().filter_map(|(copy, _)| {
            let first = own.first_offset.max(copy.first_offset);
            Some((first, own.comparable_from(copy).filter(|from| *from > first)?))
        });
        if let Some((first, from)) = unknown.max_by_key(|(_, from)| *from) {
            remarks.push(format!(
                "offsets {first} up to {from} are taken to be alike in all copies: their leader epochs are not known"
            ));
        }
    }
    if let (TargetFrom::Replicas(agreement), Some(high_watermark)) = (from, cut.high_watermark) {
        let diverges = agreement.others.iter().filter_map(|(_, divergence)| *divergence).min();
        if let Some(offset) = diverges.filter(|offset| *offset < high_watermark) {
            remarks.push(format!(
                "the checkpointed high watermark, {high_watermark}, would have kept what the copies have otherwise from \
                 offset {offset} on"
            ));
        }
    }
    remarks
}

/// What is lost, as JSON.
pub fn loses_json(cut: &Truncation) -> String {
    let (loss, toll) = (&cut.plan.loses, &cut.toll);
    let counts = [
        ("batches", loss.batches),
        ("records", loss.records),
        ("bytes", loss.bytes),
        ("unreadableBytes", cut.unreadable_bytes),
        ("producers", toll.producers),
        ("endedTransactions", toll.ended_transactions),
        ("segments", toll.segments),
    ];
    let mut loses: Map<String, Json> =
        counts.into_iter().map(|(name, count)| (name.to_owned(), count.into())).collect();
    for (name, value) in [
        ("firstOffset", loss.first_offset),
        ("lastOffset", loss.last_offset),
        ("firstTimestamp", toll.first_timestamp),
        ("lastTimestamp", toll.last_timestamp),
    ] {
        if let Some(value) = value {
            loses.insert(name.to_owned(), value.into());
        }
    }
    Json::Object(loses).to_string()
}

/// The copies that were compared, as JSON.
pub fn copies_json(agreement: &Agreement) -> String {
    let copy = |(copy, divergence): &(crate::repair::divergence::Copy, Option<Offset>)| {
        let (dir, end) = (path_text(&copy.path), copy.log_end_offset.0);
        match divergence {
            Some(offset) => json!({ "dir": dir, "logEndOffset": end, "divergenceOffset": offset.0 }),
            None => json!({ "dir": dir, "logEndOffset": end }),
        }
    };
    Json::Array(agreement.others.iter().map(copy).collect()).to_string()
}

fn count(number: u64, noun: &str) -> String {
    counted(usize::try_from(number).unwrap_or(usize::MAX), noun)
}
