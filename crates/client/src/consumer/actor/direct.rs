//! One message that an administrator hands over (309): handled in the lane, between two messages; it moves nothing.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{Actor, Step};
use crate::client::Answer;
use crate::consumer::brokers::Brokers;
use crate::consumer::gate::{Ended, Outcome};
use crate::consumer::queue::Wanted;
use crate::consumer::sink::{Delivery, Handover};
use crate::env::{self, Instant};
use crate::protocol::StoredMessage;
use crate::protocol::code::response;
use crate::protocol::push::{ConsumeDirectlyResult, DirectOutcome};

impl<B: Brokers> Actor<B> {
    /// Waits for the running handler, runs this one, answers truthfully.
    pub(super) async fn direct(&mut self, message: StoredMessage, reply: oneshot::Sender<Answer>) -> Step {
        self.queue.gate.close();
        let Some(topic) = self.handler_topic(&message) else {
            let _ = reply.send(refused("this consumer has no handler for the message's topic"));
            return Step::Run;
        };
        if let Some(step) = self.settle().await {
            let _ = reply.send(refused("the queue's lock is uncertain"));
            return step;
        }
        if self.queue.gate.is_paused() {
            let _ = reply.send(refused("the program has paused this queue"));
            return Step::Run;
        }
        if reply.is_closed() {
            // The administrator was told that we did not answer in time.
            return Step::Run;
        }
        self.opened_after = self.queue.gate.generation();
        if !self.queue.gate.open_direct() {
            let _ = reply.send(refused("the queue's lock is uncertain"));
            return Step::Run;
        }
        // Nothing waits for it in the buffer, whatever its offset.
        let generation = self.queue.gate.begin_run(0, i64::MAX);
        let since = env::now();
        let attempt = u32::try_from(message.reconsume_times).unwrap_or(0).saturating_add(1);
        let delivery = Delivery { message: Arc::new(message), topic, attempt };
        let (queue, after) = (self.queue.index, self.opened_after);
        let alone = Handover { queue, generation, after, messages: vec![delivery] };
        let ended =
            if self.shared.handlers.sink().deliver(alone) { self.direct_outcome(generation).await } else { None };
        self.queue.gate.close();
        let answer = ended
            .map_or_else(|| refused("the queue was given up before the handler ended"), |ended| answer(&ended, since));
        let _ = reply.send(answer);
        Step::Run
    }

    /// Waits for the outcome. `None`: the handler was not started, or its lock was lost.
    async fn direct_outcome(&mut self, generation: u32) -> Option<Ended> {
        let (mut outcomes, mut over) = (Vec::new(), Vec::new());
        loop {
            self.queue.gate.take(&mut outcomes, &mut over);
            if let Some(ended) = outcomes.pop() {
                return Some(ended);
            }
            let is_refused = over.iter().any(|(_, refused)| *refused == generation);
            if matches!(self.forced(), Some(Step::End(_))) {
                return None;
            }
            if is_refused || self.wanted() != Wanted::Yes || self.forced().is_some() {
                self.queue.gate.close();
                if is_refused || !self.is_running() {
                    // It may have ended since the last look.
                    self.queue.gate.take(&mut outcomes, &mut over);
                    return outcomes.pop();
                }
            }
            self.nudged(None).await;
        }
    }
}

fn answer(ended: &Ended, since: Instant) -> Answer {
    let (outcome, remark) = match ended.outcome {
        Outcome::Success => (DirectOutcome::Success, None),
        Outcome::Later if ended.reason.is_some() => (DirectOutcome::ThrowException, ended.reason.clone()),
        Outcome::Later | Outcome::Suspend(_) => (DirectOutcome::Later, ended.reason.clone()),
        Outcome::DeadLetter => (
            DirectOutcome::Later,
            Some(String::from(
                "the handler wants the message in the dead-letter queue, where only its own delivery puts it",
            )),
        ),
    };
    let spent_ms = i64::try_from((env::now() - since).as_millis()).unwrap_or(i64::MAX);
    Answer { code: response::SUCCESS, remark: None, body: ConsumeDirectlyResult { outcome, spent_ms, remark }.encode() }
}

/// A refusal in the words that administrators see.
fn refused(why: &str) -> Answer {
    Answer { code: response::SYSTEM_ERROR, remark: Some(why.to_owned()), body: Bytes::new() }
}
