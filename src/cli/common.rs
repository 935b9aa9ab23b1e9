//! What every command shares: paths, selection, format, and the run's account of what it has seen.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::{Args, ColorChoice, ValueEnum};
use jiff::tz::TimeZone;

use super::exit::Exit;
use super::output::{Output, complain, is_dumb, terminal_width};
use super::values::{parse_offset, parse_zone};
use crate::format::Offset;
use crate::report::change::how_to_take_back;
use crate::report::reporter::{Format, Reporter, Tone};
use crate::report::row::{Field, Row, Value};
use crate::store::broker_lock::{LockState, lock_state};
use crate::store::expand::{Glob, Selection};
use crate::store::log_dir::log_dir_of;
use crate::store::shell::quoted;
use crate::store::undo_dir::is_undo_dir;
use crate::store::{IoMode, StoreError};

/// Options that every command takes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Common {
    /// Only partitions of a log dir that match: `orders-*` (repeatable)
    ///
    /// `*` stands for any characters, `?` for one: `__consumer_offsets-1?`
    #[arg(short, long, value_name = "GLOB", global = true)]
    topic_partition: Vec<String>,

    /// Only the segment that begins at this offset
    #[arg(long, value_name = "BASE_OFFSET", global = true, hide_short_help = true, value_parser = parse_offset)]
    segment: Option<Offset>,

    /// How it is shown
    ///
    /// text is for reading, table aligns columns, json is one object a line: docs/json.md
    #[arg(short, long, value_enum, default_value_t = FormatArg::Text, global = true)]
    format: FormatArg,

    /// Zone of times in text: UTC, local, or a name like Europe/Vienna
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = parse_zone, global = true, hide_short_help = true)]
    tz: TimeZone,

    /// How files are read: by positional reads (pread, also what auto takes) or through a memory map
    #[arg(long, value_enum, default_value_t = IoArg::Auto, env = "KFSCK_IO", global = true, hide_short_help = true)]
    io: IoArg,

    /// When text has colours; NO_COLOR or TERM=dumb in the environment turns them off too
    #[arg(long, value_enum, default_value_t = ColorArg::Auto, global = true, hide_short_help = true)]
    color: ColorArg,

    /// More is told where there is more: check and verify-index show what is only worth knowing, as with --show info
    #[arg(short, long, global = true, hide_short_help = true, conflicts_with = "quiet")]
    verbose: bool,

    /// No remarks on standard error, errors only
    #[arg(short, long, global = true, hide_short_help = true)]
    quiet: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormatArg {
    Text,
    Table,
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ColorArg {
    Auto,
    Always,
    Never,
}

/// What `--color` says to help and to complaints about the command line: they come before the options are known.
pub(crate) fn color_of_help(arguments: &[OsString]) -> ColorChoice {
    let words = arguments.iter().filter_map(|word| word.to_str()).take_while(|word| *word != "--");
    let mut is_next = false;
    let mut said = None;
    for word in words {
        if is_next {
            said = Some(word);
        }
        said = word.strip_prefix("--color=").or(said);
        is_next = word == "--color";
    }
    said.and_then(|word| <ColorChoice as ValueEnum>::from_str(word, false).ok()).unwrap_or_default()
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum IoArg {
    Auto,
    Mmap,
    Pread,
}

/// The end of `--help`: what a command does in sentences, each paragraph a line that the terminal wraps, and examples.
pub(crate) fn long_help(details: &str, examples: &str) -> String {
    format!("{details}\n\n{examples}")
}

impl Common {
    /// What of the given paths is meant.
    pub(crate) fn selection(&self) -> Selection {
        Selection { topic_partitions: self.topic_partition.iter().map(Glob::new).collect(), segment: self.segment }
    }

    /// Whether only some partitions, or one segment, of what the paths hold are meant.
    pub(crate) fn is_narrowed(&self) -> bool {
        !self.topic_partition.is_empty() || self.segment.is_some()
    }

    /// The zone of times in text.
    pub(crate) fn zone(&self) -> &TimeZone {
        &self.tz
    }

    /// How files are read.
    pub(crate) fn io_mode(&self) -> IoMode {
        match self.io {
            IoArg::Auto => IoMode::Auto,
            IoArg::Mmap => IoMode::Mmap,
            IoArg::Pread => IoMode::Pread,
        }
    }

    /// Whether more is to be told.
    pub(crate) fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// Whether remarks are unwanted.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether columns are aligned.
    pub(crate) fn is_table(&self) -> bool {
        matches!(self.format, FormatArg::Table)
    }

    fn reporter(&self) -> Reporter {
        let format = match self.format {
            FormatArg::Text => Format::Text,
            FormatArg::Table => Format::Table,
            FormatArg::Json => Format::Json,
        };
        let color = match self.color {
            ColorArg::Auto => {
                let is_wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && !is_dumb();
                is_wanted && std::io::stdout().is_terminal()
            }
            ColorArg::Always => true,
            ColorArg::Never => false,
        };
        Reporter::new(format, self.tz.clone(), terminal_width()).with_color(color)
    }
}

/// What was looked at and seen, for the last line.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) files: u64,
    pub(crate) segments: u64,
    pub(crate) batches: u64,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) errors: u64,
    pub(crate) warnings: u64,
    pub(crate) infos: u64,
    /// Partitions, where a command goes by them.
    pub(crate) partitions: Option<u64>,
    /// Index entries that were judged, where that is what a command does.
    pub(crate) entries: Option<u64>,
}

/// One run of a command: where its lines go and what it has come to.
pub(crate) struct Run {
    pub(crate) reporter: Reporter,
    pub(crate) output: Output,
    pub(crate) seen: Seen,
    exit: Exit,
    quiet: bool,
    /// Log dirs whose broker was already spoken of, and whether it runs.
    brokers: Vec<(PathBuf, bool)>,
    said: HashSet<String>,
    /// What takes back the changes that were made, oldest first.
    pub(crate) undo_commands: Vec<String>,
    /// What `check` should look at, each once.
    to_check: Vec<PathBuf>,
}

/// The most damaged places for which the next command is shown.
const MOST_TO_CHECK: usize = 5;

/// The number of the JSON vocabulary; it rises when a field is renamed or goes.
pub(crate) const JSON_SCHEMA: i64 = 1;

impl Run {
    /// A run of the command `command`. Its first line of JSON says so.
    pub(crate) fn start(common: &Common, command: &'static str) -> Self {
        let mut run = Self {
            reporter: common.reporter(),
            output: Output::new(),
            seen: Seen::default(),
            exit: Exit::CLEAN,
            quiet: common.quiet,
            brokers: Vec::new(),
            said: HashSet::new(),
            undo_commands: Vec::new(),
            to_check: Vec::new(),
        };
        let fields = [
            Field::json_only("schema", Value::Int(JSON_SCHEMA)),
            Field::json_only("tool", Value::Word("kfsck")),
            Field::json_only("version", Value::Word(env!("CARGO_PKG_VERSION"))),
            Field::json_only("command", Value::Word(command)),
        ];
        run.json(&Row::new("header", &fields));
        run
    }

    /// Something could not be looked at: says what and goes on.
    pub(crate) fn failed(&mut self, error: &StoreError) {
        complain(error, error.hint().as_deref());
        self.exit |= Exit::OPERATIONAL;
    }

    /// What was asked for cannot be had: says why and what to do.
    pub(crate) fn refused(&mut self, why: &str, hint: Option<&str>) {
        complain(&why, hint);
        self.exit |= Exit::OPERATIONAL;
    }

    /// The command line asks for what does not go together: says why and what to do.
    pub(crate) fn misused(&mut self, why: &str, hint: Option<&str>) {
        complain(&why, hint);
        self.exit |= Exit::USAGE;
    }

    /// Something was looked at and is damaged.
    pub(crate) fn damage(&mut self) {
        self.seen.errors += 1;
        self.exit |= Exit::ERRORS_LEFT;
    }

    /// Damage was seen in `path`: the last lines say how to learn more about it.
    pub(crate) fn lead_to_check(&mut self, path: &Path) {
        // What a cut has left behind is no partition, and as damaged as it was.
        let is_kept = is_undo_dir(path) || path.parent().is_some_and(is_undo_dir);
        if !is_kept && self.to_check.last().is_none_or(|last| last != path) {
            self.to_check.push(path.to_owned());
        }
    }

    /// Errors are left that are counted already, or a dry run has found work.
    pub(crate) fn errors_left(&mut self) {
        self.exit |= Exit::ERRORS_LEFT;
    }

    /// Everything that was wrong with a path was put right.
    pub(crate) fn corrected(&mut self) {
        self.exit |= Exit::CORRECTED;
    }

    /// Two answers differ, and no file is at fault.
    pub(crate) fn differs(&mut self) {
        self.seen.warnings += 1;
        self.exit |= Exit::ERRORS_LEFT;
    }

    /// A remark for people, once however often it is made.
    pub(crate) fn remark(&mut self, remark: String) {
        if !self.quiet && self.said.insert(remark.clone()) {
            complain(&remark, None);
        }
    }

    /// Whether a broker runs on the log dir that `partition` is in; says so the first time.
    pub(crate) fn broker_runs_on(&mut self, partition: &Path) -> bool {
        log_dir_of(partition).is_some_and(|log_dir| self.broker_runs_in(&log_dir))
    }

    /// Whether a broker runs on this log dir; says so the first time.
    pub(crate) fn broker_runs_in(&mut self, log_dir: &Path) -> bool {
        if let Some((_, runs)) = self.brokers.iter().find(|(known, _)| known == log_dir) {
            return *runs;
        }
        let runs = match lock_state(log_dir) {
            Ok(LockState::Held { pid }) => {
                let who = pid.map_or("a broker".to_owned(), |pid| format!("the broker with pid {pid}"));
                self.remark(format!(
                    "{who} holds {}: the newest segments may still change",
                    log_dir.join(".lock").display()
                ));
                true
            }
            Ok(LockState::NoFile | LockState::Free) => false,
            // Whoever cannot read the lock may still read the log.
            Err(_) => false,
        };
        self.brokers.push((log_dir.to_owned(), runs));
        runs
    }

    /// The run was stopped by the user.
    pub(crate) fn interrupted(&mut self) {
        complain(&"stopped before everything was looked at", None);
        self.exit |= Exit::OPERATIONAL;
    }

    /// The last line, and what the process exits with.
    pub(crate) fn finish(mut self) -> Exit {
        self.reporter.flush(&mut self.output.buffer);
        how_to_take_back(&mut self.reporter, &mut self.output.buffer, &self.undo_commands);
        let seen = self.seen;
        if seen.errors > 0 {
            let (places, files) = (counted(seen.errors, "place"), counted(seen.files, "file"));
            // Not every command counts files and batches.
            let mut words = format!("{places} damaged");
            if seen.files > 0 {
                words.push_str(&format!(", in {files}"));
            }
            if seen.batches > 0 {
                words.push_str(&format!(" with {}", counted(seen.batches, "batch")));
            }
            self.reporter.words(&mut self.output.buffer, Some(Tone::Bad), words.as_bytes());
        }
        let more = self.to_check.len().saturating_sub(MOST_TO_CHECK);
        for path in self.to_check.iter().take(MOST_TO_CHECK) {
            let words = format!("To see what is wrong: kfsck check {}", quoted(path));
            self.reporter.words(&mut self.output.buffer, None, words.as_bytes());
        }
        if more > 0 {
            self.reporter.words(&mut self.output.buffer, None, format!("… and {more} more").as_bytes());
        }
        self.close()
    }

    /// What the process exits with after findings were told and counted. `strict` lets warnings count as well.
    pub(crate) fn close_judged(mut self, strict: bool) -> Exit {
        if self.seen.errors > 0 || (strict && self.seen.warnings > 0) {
            self.exit |= Exit::ERRORS_LEFT;
        }
        if self.exit == Exit::CLEAN && self.seen.segments == 0 && self.seen.warnings == 0 {
            let hint = "indexes are judged by the log beside them: give the partition's directory";
            self.refused("nothing was looked at: there is no segment", Some(hint));
        }
        self.close()
    }

    fn close(mut self) -> Exit {
        self.reporter.flush(&mut self.output.buffer);
        let seen = self.seen;
        let count = Value::Unsigned;
        let fields = [
            Field::json_only("partitions", seen.partitions.map_or(Value::Absent, count)),
            Field::json_only("files", count(seen.files)),
            Field::json_only("segments", count(seen.segments)),
            Field::json_only("batches", count(seen.batches)),
            Field::json_only("records", count(seen.records)),
            Field::json_only("bytes", count(seen.bytes)),
            Field::json_only("entries", seen.entries.map_or(Value::Absent, count)),
            Field::json_only("errors", count(seen.errors)),
            Field::json_only("warnings", count(seen.warnings)),
            Field::json_only("infos", count(seen.infos)),
            Field::json_only("corrected", Value::Bool(self.exit.has(Exit::CORRECTED))),
            Field::json_only("errorsLeft", Value::Bool(self.exit.has(Exit::ERRORS_LEFT))),
            Field::json_only("operationalError", Value::Bool(self.exit.has(Exit::OPERATIONAL))),
            Field::json_only("usageError", Value::Bool(self.exit.has(Exit::USAGE))),
            Field::json_only("exitStatus", Value::Int(self.exit.status().into())),
        ];
        self.json(&Row::new("summary", &fields));
        if let Err(error) = self.output.flush() {
            self.cannot_write(&error);
        }
        self.exit
    }

    /// Standard output failed. A reader that has seen enough is no failure.
    pub(crate) fn cannot_write(&mut self, error: &std::io::Error) {
        self.output.buffer.clear();
        if error.kind() != std::io::ErrorKind::BrokenPipe {
            complain(&format!("cannot write to standard output: {error}"), None);
            self.exit |= Exit::OPERATIONAL;
        }
    }

    fn json(&mut self, row: &Row<'_>) {
        if self.reporter.format() == Format::Json {
            self.reporter.row(&mut self.output.buffer, row);
        }
    }
}

/// A number with its noun.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    match (number, noun) {
        (1, noun) => format!("1 {noun}"),
        (number, "batch") => format!("{number} batches"),
        (number, "index entry") => format!("{number} index entries"),
        (number, noun) => format!("{number} {noun}s"),
    }
}
