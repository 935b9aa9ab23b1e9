//! `.index` and `.timeindex` files: printed, and compared with the log they belong to.

use std::path::Path;

use crate::cli::Exit;
use crate::format::offset_index::{self, OffsetIndex, OffsetIndexEntry};
use crate::format::time_index::{self, TimeIndex, TimeIndexEntry};
use crate::format::{Offset, Position};
use crate::report::kafka_format::file_lines::{offset_index_line, time_index_line};
use crate::report::kafka_format::text::put;
use crate::scan::kafka_walk::{KafkaWalk, WalkError, WalkedBatch};
use crate::store::window::Window;
use crate::store::{self, StoreError};

use super::input::Input;
use super::log::{framed, undecodable};
use super::output::{Stop, Trouble};
use super::{Dump, LARGEST, file_name};

impl Dump<'_> {
    pub(super) fn offset_index(&mut self, input: &Input) -> Result<(), Stop> {
        let max_message_size = self.args.max_message_size.get()?;
        let base_offset = input.base_offset()?;
        let log = self.open_companion(input, ".log")?;
        let bytes = store::read_small(&input.path, LARGEST)?;
        let index = OffsetIndex::new(&bytes, base_offset);
        if index.is_empty() {
            self.say_of_file(input, " is empty.\n");
            return Ok(());
        }
        if self.args.index_sanity_check {
            offset_index_is_sane(&index, base_offset, bytes.len())?;
            self.say_of_file(input, " passed sanity check.\n");
            return Ok(());
        }
        let max_message_size = self.args.max_message_size.bytes_from(max_message_size)?;
        let mut window = Window::new(&*log);
        for (slot, entry) in index.iter().enumerate() {
            // From here on the space is preallocated, or so the original takes it.
            if entry.offset == base_offset && slot > 0 {
                break;
            }
            let in_entry = |trouble: Trouble| Trouble { text: format!("entry {slot}: {}", trouble.text), ..trouble };
            let first_batch = batch_of(&entry, max_message_size, &mut window);
            let last_offset = first_batch.map_err(|stop| with_trouble(stop, in_entry))?.header.last_offset();
            if last_offset != entry.offset {
                self.summary.index_mismatch(&input.absolute, entry.offset.0, last_offset.0);
            }
            if !self.args.verify_index_only {
                offset_index_line(&mut self.output.buffer, &entry);
                self.output.line_ended()?;
            }
        }
        Ok(log.still_whole()?)
    }

    pub(super) fn time_index(&mut self, input: &Input) -> Result<(), Stop> {
        let base_offset = input.base_offset()?;
        let log = self.open_companion(input, ".log")?;
        let index_path = input.companion(".index");
        let index_bytes =
            store::read_small(&index_path, LARGEST).map_err(|error| missing_companion(error, &index_path))?;
        let index = OffsetIndex::new(&index_bytes, base_offset);
        let bytes = store::read_small(&input.path, LARGEST)?;
        let time_index = TimeIndex::new(&bytes, base_offset);
        if self.args.index_sanity_check {
            time_index_is_sane(&time_index, base_offset, bytes.len())?;
            self.say_of_file(input, " passed sanity check.\n");
            return Ok(());
        }
        let mut window = Window::new(&*log);
        let mut previous_timestamp = -1;
        let mut read_to_end = !self.profile().reads_log_to_its_end();
        for (slot, entry) in time_index.iter().enumerate() {
            if entry.offset == base_offset && slot > 0 {
                break;
            }
            let in_entry = |trouble: Trouble| Trouble { text: format!("entry {slot}: {}", trouble.text), ..trouble };
            let mut check = || {
                let start = position_of(&index, entry.offset, log.len())?;
                let mut walk = KafkaWalk::new(start, Position(log.len()));
                let batch = first_batch_to(entry.offset, &mut walk, &mut window)?;
                if !read_to_end {
                    // Once is enough: later entries lead to places on the same walk.
                    to_the_end(&mut walk, &mut window)?;
                    read_to_end = true;
                }
                self.compare(input, &entry, batch, previous_timestamp, &mut window)
            };
            check().map_err(|stop| with_trouble(stop, in_entry))?;
            if !self.args.verify_index_only {
                time_index_line(&mut self.output.buffer, &entry);
                self.output.line_ended()?;
            }
            previous_timestamp = entry.timestamp;
        }
        Ok(log.still_whole()?)
    }

    fn compare(
        &mut self,
        input: &Input,
        entry: &TimeIndexEntry,
        batch: Option<WalkedBatch>,
        previous_timestamp: i64,
        window: &mut Window<'_>,
    ) -> Result<(), Stop> {
        let file = &input.absolute;
        let last_offset = batch.map(|batch| batch.header.last_offset());
        let batch = match batch {
            Some(batch) if last_offset == Some(entry.offset) => batch,
            _ => {
                self.summary.offset_not_found(file, entry.offset.0, last_offset.map_or(-1, |offset| offset.0));
                return Ok(());
            }
        };
        let max_timestamp = self.max_timestamp(&batch, window)?;
        if max_timestamp != entry.timestamp {
            self.summary.timestamp_mismatch(file, entry.timestamp, max_timestamp);
        }
        if previous_timestamp >= entry.timestamp {
            self.summary.out_of_order_timestamp(file, entry.timestamp, previous_timestamp);
            self.output.bits |= Exit::ERRORS_LEFT;
        }
        Ok(())
    }

    /// The largest timestamp of the batch's records, −1 without any.
    fn max_timestamp(&mut self, batch: &WalkedBatch, window: &mut Window<'_>) -> Result<i64, Stop> {
        let framed = framed(batch, window, self.args.max_batch_bytes as u64)?;
        let undecodable = |error| Stop::from(undecodable(batch.position, &error));
        let mut max_timestamp = -1;
        for record in framed.records(&mut self.decompressor).map_err(undecodable)? {
            max_timestamp = max_timestamp.max(record.map_err(undecodable)?.timestamp.unwrap_or(-1));
        }
        Ok(max_timestamp)
    }

    fn open_companion(&mut self, input: &Input, suffix: &str) -> Result<Box<dyn store::ReadStorage>, Stop> {
        let path = input.companion(suffix);
        self.open_log(&path)
            .map_err(|stop| with_trouble(stop, |trouble| Trouble { text: needed(&trouble.text, &path), ..trouble }))
    }

    fn say_of_file(&mut self, input: &Input, words: &str) {
        self.output.buffer.extend_from_slice(&input.shown);
        put(&mut self.output.buffer, words);
    }
}

/// The first batch at the entry's position.
fn batch_of(entry: &OffsetIndexEntry, max_message_size: u64, window: &mut Window<'_>) -> Result<WalkedBatch, Stop> {
    let log_size = window.storage().len();
    let start = position_in_log(entry, log_size)?;
    let end = Position(start.0.saturating_add(max_message_size).min(log_size));
    let batch = KafkaWalk::new(start, end).next_batch(window)?;
    Ok(batch.ok_or_else(|| {
        if entry.relative_offset == 0 && entry.raw_position == 0 {
            return Trouble::legal(PREALLOCATED);
        }
        Trouble::damage(format!(
            "no whole batch begins at position {start} within {max_message_size} bytes; the log has {log_size}"
        ))
    })?)
}

/// Where in the log the entry leads.
fn position_in_log(entry: &OffsetIndexEntry, log_size: u64) -> Result<Position, Trouble> {
    match entry.position() {
        Some(position) if position.0 <= log_size => Ok(position),
        _ => Err(Trouble::damage(format!("position {} is not in the log of {log_size} bytes", entry.raw_position))),
    }
}

/// Where the offset index says to begin looking for `offset`.
fn position_of(index: &OffsetIndex<'_>, offset: Offset, log_size: u64) -> Result<Position, Trouble> {
    match index.floor(offset, index.len()).and_then(|slot| index.entry(slot)) {
        Some(entry) => position_in_log(&entry, log_size),
        None => Ok(Position(0)),
    }
}

/// The first batch that reaches up to `offset`.
fn first_batch_to(offset: Offset, walk: &mut KafkaWalk, window: &mut Window<'_>) -> Result<Option<WalkedBatch>, Stop> {
    while let Some(batch) = walk.next_batch(window)? {
        if batch.header.last_offset() >= offset {
            return Ok(Some(batch));
        }
    }
    Ok(None)
}

/// Goes on to where the walk ends. The headers on the way, even one that is cut off, are not looked at.
fn to_the_end(walk: &mut KafkaWalk, window: &mut Window<'_>) -> Result<(), WalkError> {
    loop {
        match walk.next_batch(window) {
            Ok(Some(_)) => {}
            Ok(None) | Err(WalkError::HeaderCut { .. }) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// What an index that a broker keeps open ends with.
const PREALLOCATED: &str =
    "it ends in zeros that are preallocated and not used yet: no damage, but Kafka's own tool stops at them";

/// The check of an offset index that a broker makes at its start.
fn offset_index_is_sane(index: &OffsetIndex<'_>, base_offset: Offset, size: usize) -> Result<(), Trouble> {
    let last = index.iter().next_back();
    if let Some(last) = last.filter(|last| last.offset < base_offset) {
        return Err(Trouble::damage(format!("the last offset {} is below the base offset {base_offset}", last.offset)));
    }
    whole_entries(size, offset_index::ENTRY_SIZE)
}

/// The check of a time index that a broker makes at its start. Preallocated space fails it, in the original as here.
fn time_index_is_sane(index: &TimeIndex<'_>, base_offset: Offset, size: usize) -> Result<(), Trouble> {
    let mut entries = index.iter();
    let first = entries.next();
    if let (Some(first), Some(last)) = (first, entries.next_back().or(first)) {
        if last.timestamp < first.timestamp && last.timestamp == 0 && last.relative_offset == 0 {
            return Err(Trouble::legal(PREALLOCATED));
        }
        if last.timestamp < first.timestamp {
            let (last, first) = (last.timestamp, first.timestamp);
            return Err(Trouble::damage(format!("the last timestamp {last} is below the first, {first}")));
        }
        if last.offset < base_offset {
            let last = last.offset;
            return Err(Trouble::damage(format!("the last offset {last} is below the base offset {base_offset}")));
        }
    }
    whole_entries(size, time_index::ENTRY_SIZE)
}

fn whole_entries(size: usize, entry_size: usize) -> Result<(), Trouble> {
    match size % entry_size {
        0 => Ok(()),
        _ => Err(Trouble::damage(format!("the size of {size} bytes is no multiple of {entry_size}"))),
    }
}

fn with_trouble(stop: Stop, change: impl FnOnce(Trouble) -> Trouble) -> Stop {
    match stop {
        Stop::Trouble(trouble) => Stop::Trouble(change(trouble)),
        stream => stream,
    }
}

fn missing_companion(error: StoreError, path: &Path) -> Trouble {
    let trouble = Trouble::from(error);
    Trouble { text: needed(&trouble.text, path), ..trouble }
}

fn needed(text: &str, path: &Path) -> String {
    format!("{} is needed beside it: {text}", file_name(path))
}
