//! Facts of one stretch and of the next, made to those of both.

use super::{
    AbortedTransaction, MOST_ABORTS, OpenTransaction, PlainInside, Producer, ProducerFacts, SequenceStep, State,
};
use crate::format::Offset;

/// How the aborts of a later stretch see a transaction that was open before it: the first `until` of them saw it open.
struct OpenBefore {
    until: usize,
    first_offset: Offset,
    is_sure: bool,
}

impl ProducerFacts {
    /// Takes in the facts of the stretch behind this one. It makes no difference which neighbours are joined first.
    pub fn join(&mut self, mut later: Self) {
        self.complete_oldest_open(&mut later);
        for abort in &mut later.aborts {
            self.complete_first_offset(abort);
        }
        for (producer_id, base_offset) in later.first_transactional.into_iter().flatten() {
            self.transactional(producer_id, base_offset);
        }
        for producer in &later.producers.all {
            self.join_producer(producer);
        }
        let aborts_before = self.aborts.len();
        for abort in &mut later.aborts {
            abort.loss_number = abort.loss_number.saturating_add(self.losses);
        }
        let room = MOST_ABORTS.saturating_sub(aborts_before);
        self.is_complete.aborts &= later.aborts.len() <= room;
        later.aborts.truncate(room);
        self.aborts.append(&mut later.aborts);
        self.waiting.of_writer.extend(later.waiting.of_writer.iter().map(|slot| slot + aborts_before));
        self.waiting.recent.extend(later.waiting.recent.iter().map(|slot| slot + aborts_before));
        self.losses = self.losses.saturating_add(later.losses);
        self.end_offset = later.end_offset;
        self.is_complete.producers &= later.is_complete.producers;
        self.is_complete.aborts &= later.is_complete.aborts;
        self.samples.bad_markers.append(later.samples.bad_markers);
        self.samples.sequence_steps.append(later.samples.sequence_steps);
        self.samples.plain_inside.append(later.samples.plain_inside);
    }

    /// Transactions open before the later stretch are older than all that begin in it.
    fn complete_oldest_open(&self, later: &mut Self) {
        let mut open_before: Vec<OpenBefore> = Vec::new();
        if later.aborts.is_empty() {
            return;
        }
        for (first_offset, producer_id) in &self.open {
            let until = later.producer(*producer_id).and_then(|producer| producer.first_control).unwrap_or(usize::MAX);
            // One that is younger and closed no later is never the oldest.
            if until > 0 && open_before.last().is_none_or(|older| until > older.until) {
                let is_sure = self.producer(*producer_id).is_some_and(|producer| self.is_open_for_sure(producer));
                open_before.push(OpenBefore { until, first_offset: *first_offset, is_sure });
            }
        }
        let mut open_before = open_before.into_iter().peekable();
        for (slot, abort) in later.aborts.iter_mut().enumerate() {
            while open_before.next_if(|open| open.until <= slot).is_some() {}
            let Some(open) = open_before.peek() else { return };
            if abort.oldest_open.is_none_or(|oldest| open.first_offset < oldest) {
                abort.oldest_open = Some(open.first_offset);
                abort.is_oldest_open_sure = open.is_sure && abort.loss_number == 0;
            }
        }
    }

    /// Only the first control batch of a producer in the later stretch can have ended what was open before.
    fn complete_first_offset(&self, abort: &mut AbortedTransaction) {
        if abort.begins_here {
            return;
        }
        let Some(producer) = self.producer(abort.producer_id) else { return };
        match producer.state {
            State::Open(open) => {
                abort.last_data_offset = abort.last_data_offset.or(Some(open.last_data_offset));
                abort.first_offset = Some(open.first_offset);
                abort.begins_here = open.begins_here;
                abort.is_sure = open.begin_loss_number == self.losses && abort.loss_number == 0;
            }
            State::Closed => abort.begins_here = true,
            State::Unseen => {}
        }
    }

    fn join_producer(&mut self, later: &Producer) {
        let (losses, aborts_before, producer_id) = (self.losses, self.aborts.len(), later.producer_id);
        let later = later.moved_behind(losses, aborts_before);
        let Some(producer) = self.producers.entry(producer_id) else {
            self.is_complete.producers = false;
            return;
        };
        if let (Some(before), Some(batch)) = (&producer.last_data, &later.first_data)
            && let Some(step) = SequenceStep::between(producer_id, before, batch)
        {
            self.samples.sequence_steps.push(step);
        }
        if let (State::Open(open), Some((place, loss_number))) = (producer.state, later.first_plain)
            && open.latest_loss_number == loss_number
        {
            self.samples.plain_inside.push(PlainInside { producer_id, first_offset: open.first_offset, place });
        }
        let before = producer.join(&later);
        let after = producer.state;
        if let State::Open(open) = before {
            self.open.remove(&(open.first_offset, producer_id));
        }
        if let State::Open(open) = after {
            self.open.insert((open.first_offset, producer_id));
        }
    }
}

impl Producer {
    /// The same, counted from the beginning of an earlier stretch.
    fn moved_behind(&self, losses: u32, aborts: usize) -> Self {
        let mut moved = *self;
        let numbers = [
            moved.first_data.as_mut().map(|data| &mut data.loss_number),
            moved.last_data.as_mut().map(|data| &mut data.loss_number),
            moved.last_event.as_mut().map(|event| &mut event.loss_number),
            moved.first_plain.as_mut().map(|(_, loss_number)| loss_number),
        ];
        for loss_number in numbers.into_iter().flatten() {
            *loss_number = loss_number.saturating_add(losses);
        }
        if let State::Open(open) = &mut moved.state {
            open.begin_loss_number = open.begin_loss_number.saturating_add(losses);
            open.latest_loss_number = open.latest_loss_number.saturating_add(losses);
        }
        moved.first_control = moved.first_control.map(|slot| slot.saturating_add(aborts));
        moved
    }

    /// Takes in what is known of the same producer behind. Gives the state it had.
    fn join(&mut self, later: &Self) -> State {
        let before = self.state;
        if before == State::Unseen {
            self.first_plain = self.first_plain.or(later.first_plain);
        }
        self.state = match (before, later.state) {
            (_, State::Unseen) => before,
            // Neither end nor beginning was seen later: the same transaction goes on.
            (State::Open(open), State::Open(on)) if later.first_control.is_none() => {
                let OpenTransaction { first_offset, begins_here, begin_loss_number, .. } = open;
                State::Open(OpenTransaction { first_offset, begins_here, begin_loss_number, ..on })
            }
            (State::Closed, State::Open(open)) if later.first_control.is_none() => {
                State::Open(OpenTransaction { begins_here: true, ..open })
            }
            (_, after) => after,
        };
        let ended_a_transaction = match before {
            State::Unseen => None,
            State::Open(_) => Some(true),
            State::Closed => Some(false),
        };
        if let Some(mut marker) = later.last_marker {
            marker.ended_a_transaction = marker.ended_a_transaction.or(ended_a_transaction);
            self.last_marker = Some(marker);
        }
        self.first_data = self.first_data.or(later.first_data);
        self.last_data = later.last_data.or(self.last_data);
        self.last_event = later.last_event.or(self.last_event);
        self.emptied_marker = later.emptied_marker.or(self.emptied_marker);
        self.first_control = self.first_control.or(later.first_control);
        before
    }
}
