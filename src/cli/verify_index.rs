//! `kfsck verify-index`: would every lookup through these indexes find what the log holds?

use std::path::PathBuf;

use clap::Args;

use super::common::{Common, long_help};
use super::exit::Exit;
use super::judge::{self, JudgeArgs, Question, Scope};
use crate::check::Depth;

/// Arguments of `verify-index`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = long_help(DETAILS, EXAMPLES))]
pub(crate) struct VerifyIndexArgs {
    /// Log dirs, partition directories, or files of single segments (.log, .index, .timeindex, .txnindex)
    #[arg(required = true)]
    paths: Vec<PathBuf>,

    #[command(flatten)]
    judging: JudgeArgs,

    #[command(flatten)]
    common: Common,
}

const DETAILS: &str = "\
Each log is read once, every batch with its checksum, and its indexes are held against it. An index is right if \
every lookup through it finds what the log holds; that it looks like the one a broker would write today is not \
asked. Damage of the log is told too, since no index can be better than its log. For everything else there is \
`check`.

Each finding has a name, and docs/findings.md explains it. Exit status: 0 sound, 4 errors (with --strict: or \
warnings), 8 something could not be looked at.";

const EXAMPLES: &str = "\
Examples:
  kfsck verify-index /data/orders-3         the indexes of a partition
  kfsck verify-index -t 'orders-*' /data    those of some of a log dir
  kfsck verify-index --deep --show info /data/orders-3
                                            every record, and what is legal but odd
  kfsck verify-index -f json /data | jq -r 'select(.type == \"finding\").id'";

/// Runs `verify-index`.
pub(crate) fn run(args: &VerifyIndexArgs) -> Exit {
    judge::run(&Question {
        command: "verify-index",
        paths: &args.paths,
        depth: if args.judging.deep { Depth::Records } else { Depth::Checksums },
        scope: Scope::Indexes,
        options: &args.judging,
        common: &args.common,
    })
}
