//! What a lookup has to say of the files: damage that it passed over, indexes that were no help.

use std::path::{Path, PathBuf};

use super::{Found, Lookup, Place};
use crate::format::file_name::{FileKind, FileName, FileState};
use crate::format::{Offset, Position};
use crate::report::log::{self, Damaged};
use crate::report::lookup::Query;
use crate::scan::ScanEnd;
use crate::scan::locate::{Step, Trace};
use crate::store::partition::PartitionDir;
use crate::store::undo_dir::is_undo_dir;

impl Lookup<'_> {
    /// Whether an index was no help. That of a segment that is being written may lag behind.
    pub(super) fn is_index_at_fault(&self, place: &Place<'_>, trace: &Trace) -> bool {
        trace.helpless().any(|segment| !(place.may_change && place.is_last(segment)))
    }

    /// The index file that was no help, as far as it is to be spoken of.
    pub(super) fn distrusted_index(&self, place: &Place<'_>, trace: &Trace) -> Option<String> {
        let is_final = |segment: Offset| !(place.may_change && place.is_last(segment));
        trace.steps.iter().find_map(|step| {
            let (segment, extension) = match step {
                Step::EntryRefused { segment, .. } | Step::NoIndex { segment, .. } => (*segment, "index"),
                Step::TimeEntryRefused { segment, .. } | Step::NoTimeIndex { segment, .. } => (*segment, "timeindex"),
                _ => return None,
            };
            is_final(segment).then(|| place.file(segment, extension))
        })
    }

    pub(super) fn note_index(&mut self, place: &Place<'_>) {
        let Place { name, dir, quoted_dir, .. } = place;
        // Undo data are logs without indexes.
        if is_undo_dir(Path::new(dir)) {
            return;
        }
        self.run.remark(format!(
            "{name}: an index is missing or wrong and was passed over; kfsck verify-index {quoted_dir} has more"
        ));
    }

    /// Says once what of the log was passed over, because it is damaged.
    pub(super) fn tell_damage(&mut self, place: &Place<'_>, trace: &Trace) {
        let is_partition = !is_undo_dir(Path::new(place.dir));
        let next_step = is_partition.then(|| format!("kfsck check {} has more", place.quoted_dir));
        for step in &trace.steps {
            let (segment, words, damaged);
            let file;
            match step {
                Step::Damaged { segment: of, end } => {
                    (segment, file, words) = (*of, place.file(*of, "log"), log::end_words(end));
                    damaged = Damaged::of_end(&file, end, &words);
                }
                Step::Unreadable { segment: of, position, size_in_bytes } => {
                    (segment, file) = (*of, place.file(*of, "log"));
                    words = "the checksum holds, but the records cannot be read".to_owned();
                    damaged = Some(Damaged {
                        file: &file,
                        position: *position,
                        length: *size_in_bytes,
                        reason: "recordsUnreadable",
                        words: &words,
                        next_intact: Some(Position(position.0.saturating_add(*size_in_bytes))),
                        next_step: None,
                    });
                }
                Step::Contradiction {
                    segment: of,
                    position,
                    size_in_bytes,
                    first_offset,
                    last_offset,
                    is_outside,
                    next,
                    ..
                } => {
                    (segment, file) = (*of, place.file(*of, "log"));
                    let why = match is_outside {
                        true => "do not belong into the segment",
                        false => "do not fit between those before and behind",
                    };
                    words = format!("the checksum holds, but the offsets {first_offset}..{last_offset} {why}");
                    damaged = Some(Damaged {
                        file: &file,
                        position: *position,
                        length: *size_in_bytes,
                        reason: if *is_outside { "offsetsOutsideSegment" } else { "offsetsOutOfOrder" },
                        words: &words,
                        next_intact: *next,
                        next_step: None,
                    });
                }
                _ => continue,
            }
            let Some(mut line) = damaged else { continue };
            if !place.told.borrow_mut().insert((segment, line.position)) {
                continue;
            }
            if place.may_change && place.is_last(segment) && line.next_intact.is_none() {
                let Damaged { file, words, position, .. } = line;
                self.run.remark(format!("{file}: {words} (position {position}); a running broker is writing to it"));
                continue;
            }
            line.next_step = next_step.as_deref();
            log::damaged(&mut self.run.reporter, &mut self.run.output.buffer, &line);
            self.run.damage();
        }
    }
}

/// Whether records that were looked for may be in bytes that were passed over: of these, all that lie behind `place`.
pub(super) fn may_hide_records(place: &Place<'_>, trace: &Trace, behind: Option<(Offset, Position)>) -> bool {
    trace.steps.iter().any(|step| {
        let (segment, position) = match step {
            Step::Damaged { segment, end: ScanEnd::Damaged(damage) } => (*segment, damage.position),
            Step::Damaged { segment, end: ScanEnd::TornTail { position, .. } } => {
                // A running broker may just be writing it.
                if place.may_change && place.is_last(*segment) {
                    return false;
                }
                (*segment, *position)
            }
            Step::Unreadable { segment, position, .. } => (*segment, *position),
            _ => return false,
        };
        behind.is_none_or(|behind| behind < (segment, position))
    })
}

/// Whether the offsets of the batch at `position` contradict the log.
pub(super) fn is_contradicted(trace: &Trace, of: Offset, at: Position) -> bool {
    trace.steps.iter().any(|step| match step {
        Step::Contradiction { segment, position, size_in_bytes, .. } => {
            *segment == of && (position.0..position.0.saturating_add(*size_in_bytes)).contains(&at.0)
        }
        _ => false,
    })
}

/// What is called like a log in use, and is a directory, a pipe, or a link that leads nowhere. A broker passes over it.
pub(super) fn logs_that_are_no_files(dir: &PartitionDir, segment: Option<Offset>) -> impl Iterator<Item = PathBuf> {
    let is_log = move |name: FileName| {
        name.kind == FileKind::Log
            && name.state == FileState::Live
            && (segment.is_none() || name.base_offset == segment)
    };
    let names = dir.foreign.iter().chain(&dir.directories);
    names
        .filter(move |name| name.to_str().and_then(FileName::parse).is_some_and(is_log))
        .map(|name| dir.path.join(name))
}

/// The file that made a broker answer otherwise than the log demands, and whether it is a log.
pub(super) fn file_at_fault(place: &Place<'_>, query: &Query, broker: &Found, truth: &Found) -> (String, bool) {
    let damaged = truth.trace.steps.iter().find_map(|step| match step {
        Step::Damaged { segment, .. } | Step::Unreadable { segment, .. } | Step::Contradiction { segment, .. } => {
            Some(*segment)
        }
        _ => None,
    });
    if let Some(segment) = damaged {
        return (place.file(segment, "log"), true);
    }
    let asks_for_time = matches!(query, Query::Timestamp(_) | Query::MaxTimestamp);
    let followed = broker.trace.steps.iter().rev().find_map(|step| match step {
        Step::LargestTimestamp { segment, is_chosen: true, .. } if asks_for_time => Some(*segment),
        Step::OffsetIndexEntry { segment, .. } if !asks_for_time => Some(*segment),
        _ => None,
    });
    let last = place.view.segments().last().map(|last| last.base_offset);
    let segment = followed.or(truth.answer.segment).or(last).unwrap_or(Offset(0));
    (place.file(segment, if asks_for_time { "timeindex" } else { "index" }), false)
}
