//! What was found, made into an answer: with its record, and with what is odd about it.

use std::ops::ControlFlow;

use super::ends::{NOT_IN_SEGMENT, ends_here, may_be_in_the_tail, not_in_segment};
use super::faults::{is_contradicted, may_hide_records};
use super::{BEHIND_DAMAGE, Failed, Found, Lookup, OUT_OF_RANGE, Place};
use crate::cli::signals;
use crate::format::Offset;
use crate::format::control::ControlRecord;
use crate::format::record::Record;
use crate::report::lookup::{Answer, Query};
use crate::report::reporter::Format;
use crate::report::row::path_text;
use crate::scan::locate::broker::Broker;
use crate::scan::locate::{
    BatchPlace, OffsetAnswer, RecordPlace, Trace, each_record_from, first_offset, offset, verify,
};

impl Lookup<'_> {
    pub(super) fn of_offset(
        &mut self,
        place: &Place<'_>,
        target: Offset,
        answer: OffsetAnswer,
        trace: Trace,
        broker: Option<&Broker<'_, '_>>,
    ) -> Result<Found, Failed> {
        let nothing =
            |reason, words, trace| Found { answer: Answer::without_record(false, reason, words), trace, start: None };
        Ok(match answer {
            OffsetAnswer::Batch { batch, is_behind_damage } => {
                let mut found = self.of_batch(place, batch, |record| record.offset >= target, trace, broker)?;
                if found.answer.reason.is_some() {
                } else if is_behind_damage {
                    found.answer.reason = Some(BEHIND_DAMAGE);
                    found.answer.words = Some(format!("{target} may be in damaged bytes before it"));
                } else if found.answer.offset.is_some_and(|offset| offset != target) {
                    found.answer.reason = Some("gap");
                    found.answer.words = Some(format!("there is no record {target} any more"));
                } else if found.answer.offset.is_none() {
                    found.answer.reason = Some("noRecord");
                    found.answer.words = Some("and no record at or behind it".to_owned());
                }
                found
            }
            OffsetAnswer::NotYetWritten { .. }
            | OffsetAnswer::NothingBehind { .. }
            | OffsetAnswer::OutOfRange { .. }
                if place.view.goes_on_at().is_some() =>
            {
                not_in_segment(ends_here(place)?, trace)
            }
            OffsetAnswer::NotYetWritten { log_end_offset } | OffsetAnswer::OutOfRange { log_end_offset, .. }
                if broker.is_none() && target >= log_end_offset && self.is_in_the_tail(place, target)? =>
            {
                let words = format!("{target} may be in damaged bytes behind the last intact batch");
                let mut found = nothing(BEHIND_DAMAGE, words, trace);
                found.answer.log_end_offset = Some(log_end_offset);
                found.answer.high_watermark = place.checkpointed.high_watermark;
                found
            }
            OffsetAnswer::NotYetWritten { log_end_offset } => {
                let mut found = nothing("notYetWritten", format!("{target} is the log end: not written yet"), trace);
                found.answer.log_end_offset = Some(log_end_offset);
                found.answer.high_watermark = place.checkpointed.high_watermark;
                found
            }
            OffsetAnswer::NothingBehind { log_end_offset, is_behind_damage } => {
                let (reason, words) = match is_behind_damage {
                    true => {
                        (BEHIND_DAMAGE, format!("{target} may be in damaged bytes, and nothing intact is behind it"))
                    }
                    false => {
                        ("nothingBehind", format!("nothing is left from {target} up to the log end {log_end_offset}"))
                    }
                };
                let mut found = nothing(reason, words, trace);
                found.answer.log_end_offset = Some(log_end_offset);
                found
            }
            OffsetAnswer::OutOfRange { log_start_offset, log_end_offset } => {
                let words = match log_end_offset.0.checked_sub(1).map(Offset) {
                    _ if broker.is_none() && log_start_offset > log_end_offset => {
                        "no record lies at or above the log start".to_owned()
                    }
                    Some(last) if last >= log_start_offset => {
                        format!("the log holds offsets {log_start_offset} to {last}")
                    }
                    _ => format!("the log is empty, its next offset is {}", log_start_offset.max(log_end_offset)),
                };
                let mut found = nothing(OUT_OF_RANGE, words, trace);
                found.answer.log_start_offset = Some(log_start_offset);
                found.answer.log_end_offset = Some(log_end_offset);
                found
            }
        })
    }

    fn is_in_the_tail(&self, place: &Place<'_>, target: Offset) -> Result<bool, Failed> {
        let end = offset::log_end(&place.view, self.args.method.reading(), &mut Trace::default())?;
        Ok(may_be_in_the_tail(place, target, &end))
    }

    pub(super) fn of_record(
        &mut self,
        place: &Place<'_>,
        query: &Query,
        record: Option<RecordPlace>,
        trace: Trace,
        broker: Option<&Broker<'_, '_>>,
    ) -> Result<Found, Failed> {
        let asks_for_most = *query == Query::MaxTimestamp;
        let may_be_hidden = |behind| broker.is_none() && may_hide_records(place, &trace, behind);
        let Some(found) = record else {
            let (reason, words) = match query {
                Query::MaxTimestamp => ("noTimestamp", "no record has a largest timestamp"),
                Query::Key(_) => ("noSuchKey", "no record has this key"),
                _ => ("noneAtOrAfter", "no record is as new as that"),
            };
            let answer = if may_be_hidden(None) {
                Answer::without_record(false, BEHIND_DAMAGE, format!("{words}, but one may be in damaged bytes"))
            } else if place.view.is_part() && !asks_for_most {
                let words = format!("{words} in this segment; the partition is more: ask {}", place.quoted_dir);
                Answer::without_record(false, NOT_IN_SEGMENT, words)
            } else {
                Answer::without_record(false, reason, words.to_owned())
            };
            return Ok(Found { answer, trace, start: None });
        };
        let hidden = match query {
            Query::Timestamp(_) if may_be_hidden(None) => Some("an earlier one may be in damaged bytes"),
            Query::MaxTimestamp if may_be_hidden(None) => Some("a later one may be in damaged bytes"),
            Query::Key(_) if !self.args.all => {
                let segment = place.view.segments().get(found.batch.segment).map(|segment| segment.base_offset);
                let behind = segment.map(|segment| (segment, found.batch.position));
                may_be_hidden(behind).then_some("a newer one may be in damaged bytes")
            }
            _ => None,
        };
        let is_it = |record: &Record<'_>| (record.offset, record.timestamp) == (found.offset, found.timestamp);
        let mut of_record = self.of_batch(place, found.batch, is_it, trace, broker)?;
        let answer = &mut of_record.answer;
        (answer.offset, answer.timestamp) = (Some(found.offset), found.timestamp);
        if asks_for_most && found.timestamp.is_none() {
            answer.reason = Some("noTimestamp");
            answer.words = Some("no record has a timestamp, and this is the first".to_owned());
        } else if let (None, Some(words)) = (answer.reason, hidden) {
            (answer.reason, answer.words) = (Some(BEHIND_DAMAGE), Some(words.to_owned()));
        }
        Ok(of_record)
    }

    /// A batch that was found, with the first record that `is_wanted` in it or behind it: of those that are intact, or of
    /// those that `broker` sends.
    fn of_batch(
        &mut self,
        place: &Place<'_>,
        batch: BatchPlace,
        is_wanted: impl Fn(&Record<'_>) -> bool,
        mut trace: Trace,
        broker: Option<&Broker<'_, '_>>,
    ) -> Result<Found, Failed> {
        let segment = place.view.segments().get(batch.segment).map(|segment| segment.base_offset);
        let mut answer = Answer {
            found: true,
            segment,
            position: Some(batch.position.0),
            size_in_bytes: Some(batch.header.size_in_bytes()),
            batch: Some((first_offset(&place.view, batch)?, batch.header.last_offset())),
            leader_epoch: batch.header.partition_leader_epoch(),
            ..Answer::default()
        };
        let (mut text, mut json) = (Vec::new(), Vec::new());
        let mut start = None;
        let lines = &mut self.lines;
        let mut take = |at: &BatchPlace, record: &Record<'_>| {
            let file = place.view.segments().get(at.segment).map(|segment| path_text(&segment.path()));
            let file = file.unwrap_or_default();
            start = Some((*at, record.offset));
            answer.offset = Some(record.offset);
            answer.timestamp = record.timestamp;
            answer.leader_epoch = at.header.partition_leader_epoch();
            lines.batch(&file, at.position);
            let control = control_of(at, record);
            lines.json(&mut json, record, control.as_ref());
            lines.text(&mut text, record, control.as_ref());
        };
        match broker {
            None => each_record_from(&place.view, batch, Offset(0), &mut trace, |at, record| {
                if !is_wanted(record) {
                    return ControlFlow::Continue(());
                }
                take(at, record);
                ControlFlow::Break(())
            })?,
            Some(broker) => {
                // A broker leaves checksums to those who get the bytes.
                verify(&place.view, batch, &mut trace)?;
                let sent = broker.of_first_record(batch, |at, record| is_wanted(record).then(|| take(at, record)))?;
                if let Err(failure) = sent {
                    answer.reason = Some("unreadable");
                    answer.words = Some(format!("which a broker sends, and nobody can read: {failure}"));
                }
            }
        }
        self.run.seen.records += u64::from(start.is_some());
        if broker.is_none() && is_contradicted(&trace, segment.unwrap_or_default(), batch.position) {
            answer.reason = Some("offsetContradicts");
            answer.words = Some("its offset contradicts the log".to_owned());
        }
        answer.record =
            String::from_utf8(json).ok().map(|json| json.trim_end().to_owned()).filter(|json| !json.is_empty());
        if self.args.limit.is_none() {
            answer.record_text = text;
        }
        Ok(Found { answer, trace, start })
    }

    /// `limit` records from a place on.
    pub(super) fn records(
        &mut self,
        place: &Place<'_>,
        start: BatchPlace,
        from: Offset,
        limit: u64,
    ) -> Result<(), Failed> {
        let mut left = limit;
        let mut failed = None;
        let mut trace = Trace::default();
        let (lines, run) = (&mut self.lines, &mut self.run);
        each_record_from(&place.view, start, from, &mut trace, |at, record| {
            if left == 0 || signals::is_stopped() {
                return ControlFlow::Break(());
            }
            left -= 1;
            let file = place.view.segments().get(at.segment).map(|segment| path_text(&segment.path()));
            lines.batch(&file.unwrap_or_default(), at.position);
            let control = control_of(at, record);
            let (reporter, out) = (&mut run.reporter, &mut run.output.buffer);
            match reporter.format() {
                Format::Json => lines.json(out, record, control.as_ref()),
                Format::Text => lines.text(out, record, control.as_ref()),
                Format::Table => lines.table(reporter, out, record, control.as_ref()),
            }
            run.seen.records += 1;
            match run.output.drain() {
                Ok(()) if left > 0 => ControlFlow::Continue(()),
                Ok(()) => ControlFlow::Break(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        self.tell_damage(place, &trace);
        failed.map_or(Ok(()), |error| Err(Failed::Say(error)))
    }
}

fn control_of<'r>(at: &BatchPlace, record: &Record<'r>) -> Option<ControlRecord<'r>> {
    at.header.is_control().then(|| ControlRecord::parse(record.key, record.value).ok()).flatten()
}
