//! What a broker's start makes of a partition directory, told in advance and without changing anything.
//!
//! The start is played through on the names, sizes and bytes of the directory as [`Content`]: temporary files go,
//! segments are opened and recovered, the end of the log is looked for through the last offset index, epochs and
//! producer data are brought to it. What the broker would write is held in memory, logs never are.
//!
//! Source: Kafka `UnifiedLog.create`, `LogLoader`, `LocalLog.splitOverflowedSegment`.

mod epochs;
mod files;
mod load;
mod outcome;
mod segment;
mod snapshots;
mod split;

pub use files::Content;
pub use outcome::{
    DeletedFor, RecoveredFor, Refusal, RefusalReason, Scope, StartConditions, StartEvent, StartOutcome, What,
};
pub use snapshots::stray_snapshots;

use files::Files;
use segment::Segment;
use snapshots::Snapshots;

use crate::format::file_name::FileKind;
use crate::format::{Offset, Position};
use crate::scan::producer_state::ProducerState;
use crate::scan::recover::{Escape, KafkaRelease};
use crate::store::partition::PartitionDir;
use crate::store::{ReadPolicy, StoreError};

/// What a broker's start makes of a partition directory.
///
/// Errors: a file could not be read, or is larger than anything of its kind.
pub fn predict(
    dir: &PartitionDir,
    conditions: StartConditions,
    policy: ReadPolicy,
) -> Result<StartOutcome, StoreError> {
    load::Loader::play(dir, conditions, policy)
}

/// What a broker knows of the producers at `offset`, where a batch begins: from the newest usable snapshot on, through
/// the batches before. Indexes are not asked, and of batches without producers only the header is read. What lies behind
/// `cut`, a position in the log of the segment with that base offset, is taken to be gone.
///
/// Errors: as for [`predict`]. A [`Refusal`] is what keeps the broker from getting there.
pub fn producers_at(
    dir: &PartitionDir,
    offset: Offset,
    cut: Option<(Offset, Position)>,
    conditions: StartConditions,
    policy: ReadPolicy,
) -> Result<Result<ProducerState, Refusal>, StoreError> {
    let replay = || {
        let mut files = Files::of(dir, policy)?;
        if let Some((base_offset, position)) = cut {
            files.set_size(&files::name_of(base_offset, FileKind::Log), position.0)?;
        }
        let bases = dir.segments().into_iter().filter(|segment| segment.log.is_some());
        let bases = bases.map(|segment| segment.base_offset).filter(|base_offset| *base_offset < offset);
        let mut segments = bases.map(|base_offset| (base_offset, Segment::without_indexes(base_offset))).collect();
        // That release looks for last offsets, which every header tells: a later one decompresses old batches.
        let conditions = StartConditions { release: KafkaRelease::V3_9, ..conditions };
        let mut snapshots = Snapshots::load(&files)?;
        let log_start = conditions.log_start_offset.unwrap_or(Offset(0));
        snapshots.rebuild(&conditions, &mut segments, log_start, offset, false, &mut files)?;
        Ok(snapshots.state)
    };
    match replay() {
        Ok(state) => Ok(Ok(state)),
        Err(Halt::Store(error)) => Err(error),
        Err(Halt::Refuses(refusal)) => Ok(Err(*refusal)),
        Err(Halt::Escapes { base_offset, escape, position }) => Ok(Err(refusal_of(base_offset, escape, position))),
    }
}

fn refusal_of(base_offset: Offset, escape: Escape, position: Position) -> Refusal {
    let file = files::name_of(base_offset, FileKind::Log);
    Refusal { file, position: Some(position), why: RefusalReason::Escape(escape) }
}

/// What ends a step of the start before its time.
enum Halt {
    Store(StoreError),
    Refuses(Box<Refusal>),
    /// Recovery of a segment ends in an exception that may be caught.
    Escapes {
        base_offset: Offset,
        escape: Escape,
        position: Position,
    },
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

fn refuse(file: String, position: Option<Position>, why: RefusalReason) -> Halt {
    Halt::Refuses(Box::new(Refusal { file, position, why }))
}
