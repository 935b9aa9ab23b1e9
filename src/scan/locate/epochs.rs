//! The leader epochs that a broker has in memory once it has loaded a partition.

use crate::format::Offset;
use crate::format::leader_epoch::LeaderEpochEntry;

/// What becomes of the lines of a `leader-epoch-checkpoint`: each one supersedes those before it that are not older, and
/// both ends are cut to the log.
///
/// Source: Kafka `LeaderEpochFileCache`.
pub(super) fn as_loaded(lines: &[LeaderEpochEntry], log_start: Offset, log_end: Offset) -> Vec<LeaderEpochEntry> {
    let mut epochs: Vec<LeaderEpochEntry> = Vec::new();
    for line in lines {
        if epochs.last().is_some_and(|last| last.epoch == line.epoch && line.start_offset >= last.start_offset) {
            continue;
        }
        while epochs.pop_if(|last| last.epoch >= line.epoch || last.start_offset >= line.start_offset).is_some() {}
        epochs.push(*line);
    }
    while epochs.pop_if(|last| last.start_offset >= log_end).is_some() {}
    let superseded = epochs.partition_point(|entry| entry.start_offset <= log_start);
    if let Some(current) = superseded.checked_sub(1) {
        epochs.drain(..current);
        if let Some(first) = epochs.first_mut() {
            first.start_offset = log_start;
        }
    }
    epochs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(lines: &[(i32, i64)], log_start: i64, log_end: i64) -> Vec<(i32, i64)> {
        let entry = |&(epoch, start): &(i32, i64)| LeaderEpochEntry { epoch, start_offset: Offset(start) };
        let lines: Vec<_> = lines.iter().map(entry).collect();
        let epochs = as_loaded(&lines, Offset(log_start), Offset(log_end));
        epochs.iter().map(|entry| (entry.epoch, entry.start_offset.0)).collect()
    }

    #[test]
    fn a_line_supersedes_those_that_are_not_older() {
        assert_eq!(loaded(&[(0, 0), (1, 5), (3, 9)], 0, 20), [(0, 0), (1, 5), (3, 9)]);
        assert_eq!(loaded(&[(0, 0), (2, 5), (1, 7)], 0, 20), [(0, 0), (1, 7)]);
        assert_eq!(loaded(&[(0, 0), (1, 5), (1, 9)], 0, 20), [(0, 0), (1, 5)]);
    }

    #[test]
    fn both_ends_are_cut_to_the_log() {
        assert_eq!(loaded(&[(0, 0), (1, 5), (2, 20)], 0, 20), [(0, 0), (1, 5)]);
        assert_eq!(loaded(&[(0, 0), (1, 5), (2, 12)], 8, 20), [(1, 8), (2, 12)]);
        assert_eq!(loaded(&[], 8, 20), []);
    }
}
