//! The leader epochs of a partition while a broker starts.
//!
//! Source: Kafka `LeaderEpochFileCache`, `LeaderEpochCheckpointFile`.

use super::files::Files;
use super::outcome::{RefusalReason, What};
use super::{Halt, refuse};
use crate::format::Offset;
use crate::format::leader_epoch::{self, LeaderEpochEntry};

pub(super) const FILE: &str = "leader-epoch-checkpoint";

/// The epochs that the broker knows.
#[derive(Debug, Default)]
pub(super) struct Epochs {
    pub(super) entries: Vec<LeaderEpochEntry>,
}

impl Epochs {
    pub(super) fn load(files: &mut Files) -> Result<Self, Halt> {
        files.create(FILE);
        let bytes = files.read(FILE)?;
        let lines = leader_epoch::parse(&bytes)
            .map_err(|error| refuse(FILE.to_owned(), Some(error.position), RefusalReason::LeaderEpochs(error)))?;
        let mut epochs = Self::default();
        for line in &lines {
            if line.epoch < 0 || line.start_offset.0 < 0 {
                return Err(refuse(FILE.to_owned(), None, RefusalReason::NegativeEpoch(*line)));
            }
            epochs.assign(*line, files);
        }
        Ok(epochs)
    }

    /// A batch with this epoch is recovered.
    pub(super) fn offer(&mut self, entry: LeaderEpochEntry, files: &mut Files) -> Result<(), Halt> {
        if self.entries.last().is_none_or(|last| entry.epoch > last.epoch) {
            self.assign(entry, files);
            self.write(files)?;
            files.event(FILE.to_owned(), What::EpochAdded(entry));
        }
        Ok(())
    }

    /// Takes in the next line: what it contradicts goes, or the line itself where its epoch is the latest one's.
    fn assign(&mut self, entry: LeaderEpochEntry, files: &mut Files) {
        let is_known = self
            .entries
            .last()
            .is_some_and(|last| entry.epoch == last.epoch && entry.start_offset >= last.start_offset);
        if is_known {
            return dropped(vec![entry], files);
        }
        let from = self
            .entries
            .iter()
            .rposition(|known| known.epoch < entry.epoch && known.start_offset < entry.start_offset)
            .map_or(0, |last_kept| last_kept + 1);
        dropped(self.entries.split_off(from), files);
        self.entries.push(entry);
    }

    pub(super) fn truncate_from_end(&mut self, log_end_offset: Offset, files: &mut Files) -> Result<(), Halt> {
        let from = self
            .entries
            .iter()
            .rposition(|known| known.start_offset < log_end_offset)
            .map_or(0, |last_kept| last_kept + 1);
        let gone = self.entries.split_off(from);
        if gone.is_empty() || log_end_offset.0 < 0 {
            self.entries.extend(gone);
            return Ok(());
        }
        dropped(gone, files);
        self.write(files)
    }

    pub(super) fn truncate_from_start(&mut self, log_start_offset: Offset, files: &mut Files) -> Result<(), Halt> {
        let superseded = self.entries.partition_point(|entry| entry.start_offset <= log_start_offset);
        let Some(current) = superseded.checked_sub(1) else { return Ok(()) };
        self.entries.drain(..current);
        if let Some(first) = self.entries.first_mut() {
            first.start_offset = log_start_offset;
        }
        self.write(files)
    }

    pub(super) fn clear(&mut self, files: &mut Files) -> Result<(), Halt> {
        dropped(std::mem::take(&mut self.entries), files);
        self.write(files)
    }

    fn write(&self, files: &mut Files) -> Result<(), Halt> {
        Ok(files.write(FILE, leader_epoch::write(&self.entries))?)
    }
}

fn dropped(entries: Vec<LeaderEpochEntry>, files: &mut Files) {
    if !entries.is_empty() {
        files.event(FILE.to_owned(), What::EpochsDropped(entries));
    }
}
