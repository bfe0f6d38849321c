//! A panic while a lane was moved: nobody else knows what was in its request.

use super::model::{Course, Out, Stage};
use super::state::State;
use crate::error::ClientError;

impl State {
    /// Fails everything of a lane that nobody moves any more: what may be on the wire with an unknown outcome, the rest as not stored.
    pub(super) fn lane_panicked(&mut self, lane: u32, panic: &str, out: &mut Out) {
        let here = self.pending.iter().filter(|(_, message)| message.lane == lane && !message.gone);
        let ids: Vec<(u32, Stage)> = here.map(|(id, message)| (id, message.stage)).collect();
        let error = ClientError::panicked("what was to be sent has failed, as its lane has", panic);
        for &(id, _) in &ids {
            if self.pending.get(id).is_some_and(|message| !message.settled) {
                // The first of its key takes the others along.
                let first = self.keys[self.pending[id].key].first;
                self.fail(first, error.clone(), out);
            }
        }
        for (id, stage) in ids {
            if stage != Stage::Waiting && self.pending.get(id).is_some() {
                self.finish(id);
            }
        }
        out.tick = true;
        if let Some(it) = self.lanes.get_mut(lane) {
            it.course = Course::Moving;
            let it = &self.lanes[lane];
            out.warnings.push(self.locate(error, it.topic, it.queue));
        }
    }
}
