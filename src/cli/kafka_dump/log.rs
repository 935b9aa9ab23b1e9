//! `.log` and `.checkpoint` files.

use std::path::Path;

use crate::cli::Exit;
use crate::format::batch::RecordBatch;
use crate::format::compression::{Compression, DecompressError};
use crate::format::record::{Record, RecordError};
use crate::format::{Offset, Position};
use crate::report::kafka_format::log_lines::{
    BatchContext, ContentsWriter, batch_line, log_head, record_metadata, snapshot_head,
};
use crate::report::kafka_format::text::{put, put_int};
use crate::report::kafka_format::{PayloadDecoder, Profile, Summary};
use crate::scan::kafka_walk::{KafkaWalk, WalkError, WalkedBatch};
use crate::store::window::Window;

use super::Dump;
use super::input::Input;
use super::options::KafkaDumpArgs;
use super::output::{Output, Stop, Trouble};

impl Dump<'_> {
    pub(super) fn log(&mut self, input: &Input) -> Result<(), Stop> {
        for notice in &self.args.decoder_notices {
            put(&mut self.output.buffer, notice);
        }
        let max_bytes = self.args.max_bytes.get()?;
        self.log_head(input)?;
        let storage = self.open_log(&input.path)?;
        let end = storage.len().min(self.args.max_bytes.bytes_from(max_bytes)?);
        let mut window = Window::new(&*storage);
        let mut walk = KafkaWalk::new(Position(0), Position(end));
        let mut sequence = OffsetSequence::new(self.profile());
        let is_live = self.live.is(&input.path);
        while let Some(batch) = next_batch(&mut walk, &mut window, is_live)? {
            match self.batch(input, &batch, &mut window, &mut sequence) {
                Err(Stop::Trouble(trouble)) => {
                    self.output.trouble(&input.shown, &trouble)?;
                    // The offsets of what could not be shown are not missing.
                    sequence.last = batch.header.last_offset().0;
                }
                other => other?,
            }
            self.output.line_ended()?;
        }
        let trailing = end.saturating_sub(walk.position().0);
        if trailing > 0 && max_bytes == i32::MAX {
            let out = &mut self.output.buffer;
            put_int(out, "Found ", trailing);
            put(out, " invalid bytes at the end of ");
            out.extend_from_slice(input.name());
            put(out, "\n");
            if !is_live {
                self.output.bits |= Exit::ERRORS_LEFT;
            }
        }
        Ok(storage.still_whole()?)
    }

    fn log_head(&mut self, input: &Input) -> Result<(), Trouble> {
        let profile = self.profile();
        let out = &mut self.output.buffer;
        if input.suffix() == Some(b".log") {
            log_head(out, profile, input.base_offset()?);
        } else if input.name() == b"bootstrap.checkpoint" {
            put(out, "KRaft bootstrap snapshot\n");
        } else {
            let (end_offset, epoch) = input.snapshot_id()?;
            snapshot_head(out, end_offset, epoch);
        }
        Ok(())
    }

    fn batch(
        &mut self,
        input: &Input,
        batch: &WalkedBatch,
        window: &mut Window<'_>,
        sequence: &mut OffsetSequence,
    ) -> Result<(), Stop> {
        let at_once = self.args.max_batch_bytes as u64;
        let is_valid = batch.is_valid(window, at_once)?;
        if !is_valid {
            self.output.bits |= Exit::ERRORS_LEFT;
        }
        let WalkedBatch { position, header } = batch;
        batch_line(&mut self.output.buffer, self.args.profile, *position, header, is_valid).map_err(|unknown| {
            Trouble::damage(format!("the batch at position {position} has the unknown codec {}", unknown.id))
        })?;
        if !self.args.deep_iteration {
            return Ok(());
        }
        let framed = framed(batch, window, at_once)?;
        let mut lines = RecordLines {
            args: self.args,
            batch,
            file: &input.absolute,
            output: &mut self.output,
            summary: &mut self.summary,
            sequence,
            base_offset: None,
        };
        lines.print(&framed, &mut self.decompressor)
    }
}

/// The next batch. The zeros that a running broker has yet to write to end the walk as they end Kafka's tool, and are
/// no damage.
fn next_batch(walk: &mut KafkaWalk, window: &mut Window<'_>, is_live: bool) -> Result<Option<WalkedBatch>, Stop> {
    let error = match walk.next_batch(window) {
        Ok(batch) => return Ok(batch),
        Err(error) => error,
    };
    if is_live
        && matches!(error, WalkError::LengthTooSmall { .. })
        && window.is_zero(walk.position().0..walk.end().0)?
    {
        return Err(Trouble::legal(format!("{error}: a running broker is writing to this file")).into());
    }
    Err(error.into())
}

/// The whole batch, which [`KafkaWalk`] found to be there.
pub(super) fn framed<'w>(
    batch: &WalkedBatch,
    window: &'w mut Window<'_>,
    at_once: u64,
) -> Result<RecordBatch<'w>, Trouble> {
    let (position, size) = (batch.position, batch.header.size_in_bytes());
    if size > at_once {
        let text = format!("the batch at position {position} has {size} bytes, more than --max-batch-bytes {at_once}");
        return Err(Trouble::operational(text));
    }
    let bytes = window.at(position.0, size)?;
    RecordBatch::with_header(batch.header, bytes)
        .map_err(|error| Trouble::operational(format!("the batch at position {position} is not there: {error}")))
}

/// What a batch that cannot be decoded means.
pub(super) fn undecodable(position: Position, error: &RecordError) -> Trouble {
    let text = format!("the batch at position {position} cannot be decoded: {error}");
    match error {
        RecordError::Decompress(DecompressError::Limit { .. } | DecompressError::OutOfMemory) => {
            Trouble::operational(text)
        }
        _ => Trouble::damage(text),
    }
}

/// The offsets of the records of one file, of which each should follow the one before.
struct OffsetSequence {
    /// −1 at the beginning, which is a number like others in the releases that compare the first record.
    last: i64,
    compares_first: bool,
}

impl OffsetSequence {
    fn new(profile: Profile) -> Self {
        Self { last: -1, compares_first: profile.compares_first_record() }
    }

    /// The offset before `offset` if `offset` does not follow it.
    fn next(&mut self, Offset(offset): Offset) -> Option<i64> {
        let last = std::mem::replace(&mut self.last, offset);
        ((self.compares_first || last != -1) && offset != last.wrapping_add(1)).then_some(last)
    }
}

/// Prints the records of one batch.
struct RecordLines<'l, 'w> {
    args: &'l KafkaDumpArgs,
    batch: &'l WalkedBatch,
    file: &'l Path,
    output: &'l mut Output<'w>,
    summary: &'l mut Summary,
    sequence: &'l mut OffsetSequence,
    /// That of the first record, once that is known.
    base_offset: Option<Offset>,
}

impl RecordLines<'_, '_> {
    fn print(
        &mut self,
        framed: &RecordBatch<'_>,
        decompressor: &mut crate::format::compression::Decompressor,
    ) -> Result<(), Stop> {
        let position = self.batch.position;
        let undecodable = |error| Stop::from(undecodable(position, &error));
        let records = framed.records(decompressor).map_err(undecodable)?;
        let header = &self.batch.header;
        if header.as_record_batch().is_some() && header.compression() != Ok(Compression::None) {
            // The original decodes a compressed batch as a whole before it prints anything of it.
            records.clone().find_map(Result::err).map_or(Ok(()), |error| Err(undecodable(error)))?;
        }
        // The original notices surplus bytes while it reads the last record, and then does not print that.
        let mut previous: Option<Record<'_>> = None;
        for record in records {
            if let Some(previous) = previous.take()
                && !matches!(record, Err(RecordError::TrailingBytes { .. }))
            {
                self.line(&previous)?;
            }
            previous = Some(record.map_err(undecodable)?);
        }
        previous.map_or(Ok(()), |last| self.line(&last))
    }

    #[inline]
    fn line(&mut self, record: &Record<'_>) -> Result<(), Stop> {
        if let Some(last) = self.sequence.next(record.offset) {
            self.summary.non_consecutive(self.file, last, record.offset.0);
        }
        let WalkedBatch { position, header } = self.batch;
        let first = header.base_offset().unwrap_or(record.offset);
        let base_offset = *self.base_offset.get_or_insert(first);
        if record.message.is_some_and(|message| !message.is_valid()) {
            self.output.bits |= Exit::ERRORS_LEFT;
        }
        let profile = self.args.profile;
        let out = &mut self.output.buffer;
        if !self.args.skip_record_metadata {
            let context = BatchContext { header, position: *position, base_offset };
            record_metadata(out, profile, &context, record)
                .map_err(|error| self.broken_record(record, &error.to_string()))?;
        }
        let out = &mut self.output.buffer;
        if self.args.print_contents && !header.is_control() {
            let start = out.len();
            let mut contents = ContentsWriter::new(out, profile, !self.args.skip_record_metadata);
            let mut decoder = self.args.decoder;
            if let Err(error) = decoder.write(record, &mut contents) {
                out.truncate(start);
                return Err(self.broken_record(record, &error.to_string()));
            }
        }
        put(&mut self.output.buffer, "\n");
        Ok(self.output.line_ended()?)
    }

    fn broken_record(&self, record: &Record<'_>, what: &str) -> Stop {
        let position = self.batch.position;
        Trouble::damage(format!("offset {} in the batch at position {position}: {what}", record.offset)).into()
    }
}
