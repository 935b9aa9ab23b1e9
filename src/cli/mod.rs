//! The user: arguments, streams, signals and the exit status. The only module that knows any of them.

mod change;
mod check;
mod common;
mod dump_log;
mod dump_small;
pub mod exit;
mod filter;
mod generate;
pub mod jobs;
mod judge;
pub mod kafka_dump;
mod lookup;
mod ls;
mod output;
mod progress;
mod rebuild_index;
mod signals;
mod truncate_to_hw;
mod undo;
mod values;
mod verify_index;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

pub use exit::Exit;

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "kfsck", version, about = ABOUT, after_help = EXAMPLES, arg_required_else_help = false, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const ABOUT: &str = "The fsck for Kafka partition directories: no broker, no JVM";

const EXAMPLES: &str = "\
Examples:
  kfsck ls /data                               what is in a log dir
  kfsck dump-log -r -n 10 /data/orders-3       ten records of a partition
  kfsck lookup --timestamp -2h /data/orders-3  the first of the last two hours
  kfsck check /data                            is it sound?
  kfsck rebuild-index /data/orders-3           a plan; --apply does it

Only rebuild-index, truncate-to-hw and undo write, and only with --apply. Exit status: 0 sound, 1 put right, 4 errors \
were seen, 8 something could not be looked at or was refused, 16 usage.

kfsck COMMAND -h is a summary, kfsck COMMAND --help tells everything.";

#[derive(Debug, Subcommand)]
enum Command {
    /// List partitions, or the segments of one: sizes, offsets, times
    ///
    /// With log start, high watermark, log end, first and last timestamp, leader epoch
    Ls(ls::LsArgs),
    /// Show what is in Kafka's files: batches, records, entries
    ///
    /// Batches, records, index entries, producer and metadata snapshots, checkpoints, properties
    DumpLog(Box<dump_log::DumpLogArgs>),
    /// Find a message by offset, by timestamp or by key
    Lookup(lookup::LookupArgs),
    /// Are these indexes right?
    ///
    /// Would every lookup through these indexes find what the log holds?
    VerifyIndex(verify_index::VerifyIndexArgs),
    /// Is this partition, or this log dir, sound?
    ///
    /// Is this partition, or the whole log dir, sound? And what would a broker make of it?
    Check(check::CheckArgs),
    /// Make indexes again from the log, as Kafka's recovery does
    RebuildIndex(Box<rebuild_index::RebuildIndexArgs>),
    /// Cut partitions back: an unreadable end, or to an offset
    ///
    /// To the checkpointed high watermark, to an offset, to what copies have in common, or only what is unreadable at the end
    TruncateToHw(Box<truncate_to_hw::TruncateToHwArgs>),
    /// Take back what a change has done, also an interrupted one
    Undo(undo::UndoArgs),
    /// Print the completions of a shell
    #[command(hide = true)]
    Completions(generate::CompletionsArgs),
    /// Print a man page
    #[command(hide = true)]
    Man(generate::ManArgs),
}

/// Runs the command line `arguments`, the program's name first.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if let Err(error) = signals::install() {
        output::complain(&format!("cannot watch for signals: {error}"), None);
        return Exit::OPERATIONAL;
    }
    if let [_, command, words @ ..] = &arguments[..]
        && command == "dump-log"
        && kafka_dump::speaks_kafka(words.iter().map(OsString::as_os_str))
    {
        return kafka_dump_of(words);
    }
    if arguments.len() < 2 {
        let _ = Arguments::command().print_help();
        return Exit::USAGE;
    }
    let first = arguments.get(1).map(PathBuf::from);
    let definition = Arguments::command().color(common::color_of_help(&arguments));
    let parsed = definition.try_get_matches_from(arguments).and_then(|matches| Arguments::from_arg_matches(&matches));
    match parsed {
        Ok(Arguments { command }) => match command {
            Command::Ls(args) => ls::run(&args),
            Command::DumpLog(args) => dump_log::run(&args),
            Command::Lookup(args) => lookup::run(&args),
            Command::VerifyIndex(args) => verify_index::run(&args),
            Command::Check(args) => check::run(&args),
            Command::RebuildIndex(args) => rebuild_index::run(&args),
            Command::TruncateToHw(args) => truncate_to_hw::run(&args),
            Command::Undo(args) => undo::run(&args),
            Command::Completions(args) => generate::completions(&args, Arguments::command()),
            Command::Man(args) => generate::man(&args, Arguments::command()),
        },
        Err(error) => {
            match first.and_then(|first| better_words(&error, &first)) {
                Some((what, hint)) => output::complain(&what, Some(&hint)),
                None => drop(error.print()),
            }
            if error.use_stderr() { Exit::USAGE } else { Exit::CLEAN }
        }
    }
}

/// What is wrong with a command line and what to type instead, where the parser of arguments could only guess.
fn better_words(error: &clap::Error, first: &Path) -> Option<(String, String)> {
    let name = crate::store::shell::quoted(first);
    match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::InvalidSubcommand, _) if first.exists() => {
            let hint = format!("say what is to be done with it: kfsck ls {name}, or kfsck check {name}");
            Some((format!("{name} is no command"), hint))
        }
        (ErrorKind::InvalidSubcommand, _) if MENDING.contains(&name.as_str()) => {
            let hint = "kfsck check PATH says what is wrong, and which command mends it".to_owned();
            Some((format!("{name} is no command"), hint))
        }
        (ErrorKind::UnknownArgument, Some(ContextValue::String(option)))
            if name == "dump-log" && kafka_dump::is_kafkas_option(option) =>
        {
            let hint =
                "it goes with --files, or with --kafka-format and plain paths; kfsck's own: kfsck dump-log --help";
            Some((format!("{option} is an option of kafka-dump-log"), hint.to_owned()))
        }
        (ErrorKind::UnknownArgument, Some(ContextValue::String(option)))
            if name == "dump-log" && matches!(option.as_str(), "--offset" | "--timestamp") =>
        {
            let from = option.replace("--offset", "--from-offset").replace("--timestamp", "--from-time");
            let hint = format!("{from} begins a dump there; kfsck lookup {option} finds one record");
            Some((format!("dump-log has no {option}"), hint))
        }
        _ => None,
    }
}

/// What people call a command that mends.
const MENDING: [&str; 6] = ["repair", "fix", "mend", "recover", "heal", "fsck"];

/// `dump-log` in Kafka's own spelling.
fn kafka_dump_of(words: &[OsString]) -> Exit {
    let mut exit = Exit::CLEAN;
    let mut args = match kafka_dump::parse(words.iter().cloned()) {
        Ok(kafka_dump::KafkaDumpCommand::Dump(args)) => args,
        Ok(kafka_dump::KafkaDumpCommand::Help) => {
            let mut definition = Arguments::command();
            let _ = definition.find_subcommand_mut("dump-log").map(clap::Command::print_long_help);
            return Exit::CLEAN;
        }
        Ok(kafka_dump::KafkaDumpCommand::Version(profile)) => {
            let version = env!("CARGO_PKG_VERSION");
            output::say(format!("kfsck {version}, printing as kafka-dump-log of {}\n", profile.releases()).as_bytes());
            return Exit::CLEAN;
        }
        Err(error) => {
            output::complain(&error, Some("kfsck dump-log --help explains the options"));
            return Exit::USAGE;
        }
    };
    if args.plain_paths {
        let (files, failed) = kafka_dump::expanded(&args.files);
        args.files = files;
        for error in &failed {
            output::complain(error, error.hint().as_deref());
            exit |= Exit::OPERATIONAL;
        }
    }
    exit |= match kafka_dump::run(&args, &mut output::Stdout::new(), &mut std::io::stderr()) {
        Ok(exit) => exit,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Exit::CLEAN,
        Err(error) => {
            output::complain(&format!("cannot write: {error}"), None);
            Exit::OPERATIONAL
        }
    };
    if signals::is_stopped() {
        output::complain(&"stopped before everything was looked at", None);
        exit |= Exit::OPERATIONAL;
    }
    exit
}
