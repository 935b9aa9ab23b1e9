//! One batch on its own, and beside the one before: what its header says, and (deep) its records.

use std::path::Path;

use super::finding::Findings;
use crate::format::compression::Decompressor;
use crate::scan::ScannedBatch;
use crate::scan::segment_facts::SegmentFacts;

/// Holds the header of a batch against itself and against what came `before` it in the segment.
pub fn header(scanned: &ScannedBatch<'_>, path: &Path, before: &SegmentFacts, findings: &mut Findings) {
    let _ = (scanned, path, before, findings);
}

/// Holds the records of a batch against its header.
pub fn records(scanned: &ScannedBatch<'_>, path: &Path, decompressor: &mut Decompressor, findings: &mut Findings) {
    let _ = (scanned, path, decompressor, findings);
}
