//! `dump-log` in Kafka's own spelling: what `kafka-dump-log` prints, byte for byte.
//!
//! Three things differ on purpose. No file is ever created or changed. Where the original ends in an exception, this
//! prints what the original printed until then, says on standard error what is wrong, and goes on: with the next batch
//! where one batch cannot be decoded, else with the next file. And the exit status tells the truth:
//!
//! | bit | meaning |
//! |-----|---------|
//! | 4   | damage: a wrong checksum, bytes left at the end of a log, time index entries out of order, a producer snapshot that cannot be trusted, and whatever ends the original in an exception while a file is read, but for preallocated index space |
//! | 8   | a file, or the log or index that an index needs, could not be read; a batch is larger than may be held in memory; nothing was looked at, since there was no file or only unknown ones |
//! | 16  | usage |
//!
//! The other mismatches of the summary prove nothing and set no bit: entries that a follower wrote, preallocated space
//! and compaction all cause them in healthy files. Neither does what follows the last batch of the segment that a running
//! broker is writing to: an unfinished batch, or zeros.

mod index;
mod input;
mod live;
mod log;
pub mod options;
mod output;

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::Path;

use crate::cli::Exit;
use crate::format::compression::Decompressor;
use crate::format::file_name::{FileKind, FileName, FileState};
use crate::format::producer_snapshot::ProducerSnapshot;
use crate::format::txn_index::TxnIndex;
use crate::report::kafka_format::file_lines::{
    producer_line, refuses_txn_version, snapshot_error_line, txn_index_line,
};
use crate::report::kafka_format::text::put;
use crate::report::kafka_format::{Profile, Summary};
use crate::store::StoreError;
use crate::store::expand::{Selection, Target, expand};
use crate::store::{self, ReadPolicy, ReadStorage};

use input::Input;
use live::LiveSegment;
pub use options::{KafkaDumpArgs, KafkaDumpCommand, UsageError, is_kafkas_option, parse, speaks_kafka};
use output::{Output, Stop, Trouble};

/// The largest file that Kafka's tool opens: positions in it are 31-bit numbers.
const LARGEST: u64 = i32::MAX as u64;

/// Dumps all files to `out`, and what is wrong with them to `err`.
///
/// Errors: `out` or `err` cannot be written to.
pub fn run(args: &KafkaDumpArgs, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<Exit> {
    let mut dump = Dump {
        args,
        output: Output::new(out, err),
        summary: Summary::new(args.profile),
        decompressor: Decompressor::new(args.max_batch_bytes),
        live: LiveSegment::default(),
        nothing_looked_at: true,
    };
    // Only needed to word the summary.
    let working_directory = std::env::current_dir().unwrap_or_default();
    for file in &args.files {
        let input = Input::new(file, &working_directory);
        match dump.file(&input) {
            Err(Stop::Trouble(trouble)) => dump.output.trouble(&input.shown, &trouble)?,
            Err(Stop::Stream(error)) => return Err(error),
            Ok(()) => {}
        }
    }
    let mut summary = Vec::new();
    dump.summary.write(&mut summary);
    dump.output.say(&summary)?;
    dump.output.finish()?;
    if dump.nothing_looked_at {
        dump.output.bits |= Exit::OPERATIONAL;
    }
    Ok(dump.output.bits)
}

/// The paths with the logs and KRaft snapshots of each directory in its place, and the directories of which nothing came.
pub fn expanded(paths: &[OsString]) -> (Vec<OsString>, Vec<StoreError>) {
    let (mut files, mut failed) = (Vec::new(), Vec::new());
    for path in paths {
        if !Path::new(path).is_dir() {
            files.push(path.clone());
            continue;
        }
        for target in expand(&[path], &Selection::default()) {
            let partition = match target {
                Ok(Target::Partition(partition)) => partition.read(),
                Ok(Target::File { path, .. }) => {
                    files.push(path.into_os_string());
                    continue;
                }
                Err(error) => Err(error),
            };
            let partition = match partition {
                Ok(partition) => partition,
                Err(error) => {
                    failed.push(error);
                    continue;
                }
            };
            let mut found: Vec<_> = partition.files.iter().filter(|file| is_log(&file.name)).collect();
            found.sort_by_key(|file| (file.name.kind != FileKind::Log, file.name.base_offset, file.name.epoch));
            if found.is_empty() {
                failed.push(StoreError::nothing_there(partition.path.clone()));
            }
            files.extend(found.iter().map(|file| file.path().into_os_string()));
        }
    }
    (files, failed)
}

fn is_log(name: &FileName) -> bool {
    name.state == FileState::Live && matches!(name.kind, FileKind::Log | FileKind::KraftSnapshot)
}

struct Dump<'a> {
    args: &'a KafkaDumpArgs,
    output: Output<'a>,
    summary: Summary,
    decompressor: Decompressor,
    live: LiveSegment,
    /// No file so far, or only such as Kafka's tool does not know.
    nothing_looked_at: bool,
}

impl Dump<'_> {
    fn profile(&self) -> Profile {
        self.args.profile
    }

    fn file(&mut self, input: &Input) -> Result<(), Stop> {
        put(&mut self.output.buffer, "Dumping ");
        self.output.buffer.extend_from_slice(&input.shown);
        put(&mut self.output.buffer, "\n");
        let dump: fn(&mut Self, &Input) -> Result<(), Stop> = match input.suffix() {
            Some(b".log") => Self::log,
            Some(b".checkpoint") if self.profile().knows_checkpoints() => Self::log,
            Some(b".index") => Self::offset_index,
            Some(b".timeindex") => Self::time_index,
            Some(b".snapshot") => Self::producer_snapshot,
            Some(b".txnindex") => Self::txn_index,
            None if !self.profile().bears_names_without_dot() => {
                return Err(Trouble::operational("a name without a dot, which tells no kind of file").into());
            }
            _ => {
                let words = [b"Ignoring unknown file ", input.shown.as_slice(), b"\n"].concat();
                return Ok(self.output.say(&words)?);
            }
        };
        self.nothing_looked_at = false;
        dump(self, input)
    }

    fn producer_snapshot(&mut self, input: &Input) -> Result<(), Stop> {
        let profile = self.profile();
        let bytes = store::read_small(&input.path, LARGEST)?;
        let parse = match profile.checks_snapshot_layout_first() {
            true => ProducerSnapshot::parse_layout_first,
            false => ProducerSnapshot::parse,
        };
        match parse(&bytes) {
            Ok(snapshot) => {
                for entry in snapshot.iter() {
                    producer_line(&mut self.output.buffer, profile, &entry);
                    self.output.line_ended()?;
                }
            }
            Err(error) => {
                let mut line = Vec::new();
                snapshot_error_line(&mut line, profile, &error);
                self.output.bits |= Exit::ERRORS_LEFT;
                self.output.say(&line)?;
            }
        }
        Ok(())
    }

    fn txn_index(&mut self, input: &Input) -> Result<(), Stop> {
        // The original takes a missing file for an empty one. Not there is not looked at, so the exit status says it.
        let bytes = store::read_small(&input.path, LARGEST)?;
        let (index, profile) = (TxnIndex::new(&bytes), self.profile());
        if let Some((slot, entry)) = index.iter().enumerate().find(|(_, entry)| refuses_txn_version(profile, entry)) {
            let version = entry.version;
            return Err(Trouble::damage(format!("entry {slot} has the version {version}, which does not exist")).into());
        }
        for entry in index.iter() {
            txn_index_line(&mut self.output.buffer, profile, &entry);
            self.output.line_ended()?;
        }
        Ok(())
    }

    /// Opens a log that Kafka's tool would open.
    fn open_log(&mut self, path: &Path) -> Result<Box<dyn ReadStorage>, Stop> {
        let may_change = self.args.read_policy.may_change || self.live.is(path);
        let storage = store::open(path, ReadPolicy { may_change, ..self.args.read_policy })?;
        if storage.len() > LARGEST {
            let text = format!("{} bytes are more than the {LARGEST} that a segment can have", storage.len());
            return Err(Trouble::damage(text).into());
        }
        Ok(storage)
    }
}

/// The name of another file in the words about one.
fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(OsStr::new("")).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
