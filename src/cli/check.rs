//! `kfsck check`: is this partition, or the whole log dir, sound?

use std::path::PathBuf;

use clap::Args;

use super::common::{Common, long_help};
use super::exit::Exit;
use super::judge::{self, JudgeArgs, Question, Scope};
use crate::check::Depth;

/// Arguments of `check`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = long_help(DETAILS, EXAMPLES))]
pub(crate) struct CheckArgs {
    /// Log dirs (all of a broker's at once, to find what is in two of them), partition directories, or files of
    /// single segments
    #[arg(required = true)]
    paths: Vec<PathBuf>,

    /// Read no payload: names, sizes, headers at the ends of logs, indexes, checkpoints
    #[arg(long, conflicts_with = "deep")]
    quick: bool,

    #[command(flatten)]
    judging: JudgeArgs,

    #[command(flatten)]
    common: Common,
}

const DETAILS: &str = "\
Looked at are the logs with the checksum of every batch, their indexes, the chain of segments, producer \
snapshots, leader epochs, partition.metadata, files that do not belong, and of a log dir the checkpoints and \
meta.properties. For each finding it is told what a broker would make of it when it starts, in order or after a \
crash, and what mends it.

Each finding has a name, and docs/findings.md explains it. Exit status: 0 sound, 4 errors (with --strict: or \
warnings), 8 something could not be looked at.";

const EXAMPLES: &str = "\
Examples:
  kfsck check /data                       a log dir
  kfsck check /data1 /data2               all log dirs of a broker, compared
  kfsck check -f table /data              a line a partition, findings below
  kfsck check --quick /data               in a moment, without the payload
  kfsck check --deep -t 'orders-*' /data  every record of some partitions
  kfsck check --strict -q /data || alert  exit status 4 for warnings too";

/// Runs `check`.
pub(crate) fn run(args: &CheckArgs) -> Exit {
    judge::run(&Question {
        command: "check",
        paths: &args.paths,
        depth: match (args.quick, args.judging.deep) {
            (true, _) => Depth::Quick,
            (false, true) => Depth::Records,
            (false, false) => Depth::Checksums,
        },
        scope: Scope::All,
        options: &args.judging,
        common: &args.common,
    })
}
