//! One segment on its own: its log, and its offset and time indexes held against the log. One walk over the log.

use std::sync::atomic::AtomicBool;

use super::finding::Findings;
use super::{Depth, Setting, batch};
use crate::format::Offset;
use crate::format::compression::Decompressor;
use crate::scan::segment_facts::SegmentFacts;
use crate::scan::{BatchScan, LogSoFar, ScanEnd, ScanOptions};
use crate::store::partition::SegmentFiles;
use crate::store::{StoreError, open};

/// What a worker owns and uses for one segment after the other.
#[derive(Debug)]
pub struct Worker {
    decompressor: Decompressor,
}

/// One segment to be judged.
#[derive(Clone, Debug)]
pub struct SegmentTask<'a> {
    /// Its files.
    pub files: SegmentFiles<'a>,
    /// The base offset of the next segment; `None` for the newest.
    pub next_base_offset: Option<Offset>,
    /// The offsets of producer snapshots, in order.
    pub snapshot_offsets: &'a [Offset],
    /// How to look.
    pub setting: Setting,
    /// Set from outside to end the walk before the next batch.
    pub stop: Option<&'a AtomicBool>,
}

/// What one walk over a segment brought.
#[derive(Debug)]
pub struct JudgedSegment {
    /// What the partition's check needs of it.
    pub facts: SegmentFacts,
    /// What was seen.
    pub findings: Findings,
    /// Entries of indexes that were held against the log.
    pub entries: u64,
    /// Bytes of all its files that were looked at.
    pub bytes: u64,
    /// Whether the walk was stopped from outside before its end.
    pub stopped: bool,
    /// Files that could not be looked at.
    pub unreadable: Vec<StoreError>,
}

impl Worker {
    /// A worker that decompresses batches of up to `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { decompressor: Decompressor::new(limit) }
    }

    /// Judges one segment.
    pub fn judge(&mut self, task: &SegmentTask<'_>) -> JudgedSegment {
        let mut judged = JudgedSegment {
            facts: SegmentFacts::new(task.files.base_offset, 0, task.snapshot_offsets),
            findings: Findings::new(),
            entries: 0,
            bytes: 0,
            stopped: false,
            unreadable: Vec::new(),
        };
        if let Err(error) = self.walk(task, &mut judged) {
            judged.unreadable.push(error);
        }
        judged
    }

    fn walk(&mut self, task: &SegmentTask<'_>, judged: &mut JudgedSegment) -> Result<(), StoreError> {
        let Some(log) = task.files.log else { return Ok(()) };
        let path = log.path();
        let storage = open(&path, task.setting.policy)?;
        judged.facts.size_in_bytes = storage.len();
        let so_far = LogSoFar::segment(task.files.base_offset, task.next_base_offset);
        let options = ScanOptions { bodies: true, stop: task.stop, ..ScanOptions::default() };
        let mut scan = BatchScan::new(storage.as_ref(), so_far, options);
        loop {
            while let Some(scanned) = scan.next_batch()? {
                if task.setting.depth == Depth::Records {
                    batch::records(&scanned, &path, &mut self.decompressor, &mut judged.findings);
                }
                batch::header(&scanned, &path, &judged.facts, &mut judged.findings);
                judged.facts.take(&scanned);
            }
            let end = scan.end().copied().unwrap_or(ScanEnd::CleanEof);
            judged.stopped = end == ScanEnd::Stopped;
            judged.facts.ended(&end);
            if !scan.skip_damage() {
                return Ok(());
            }
        }
    }
}
