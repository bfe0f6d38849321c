//! Where a group that has committed nothing begins: found by the start, so that nothing stored after it is skipped.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::sleep;

use super::brokers::Brokers;
use super::options::InitialPosition;
use super::shared::Shared;
use super::start::{LastFailure, PAUSE, passing};
use crate::client::CallError;
use crate::env::JoinSet;
use crate::error::{ClientError, Code};
use crate::protocol::{MaxOffset, MessageQueue, SearchOffset, TopicRoute};

/// What the start has found out about the subscribed queues; topics by their real names.
#[derive(Debug, Default)]
pub(crate) struct InitialOffsets(Mutex<Found>);

#[derive(Debug, Default)]
struct Found {
    /// Where queues without a committed offset begin.
    beginnings: HashMap<MessageQueue, InitialOffset>,
    /// Topics that the group has consumed before: in one of their queues it had committed something.
    consumed: HashSet<String>,
    /// Topics of which it was told that their initial position does not apply.
    told: HashSet<String>,
}

/// Where a queue begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InitialOffset {
    /// There.
    pub(crate) offset: i64,
    /// The message there does not count if it was stored before this time, ms since 1970: 4.9 finds the last message for times behind it.
    pub(crate) not_before: Option<i64>,
}

/// What to do with a queue in which the group has committed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// It has appeared since the start: from its first message.
    First,
    /// From here.
    At(InitialOffset),
    /// From its first message if it is young, else from here. The group knows the other queues of the topic: this one may have been
    /// added while the group, or another member, looked elsewhere.
    AtUnlessYoung(InitialOffset),
}

impl InitialOffsets {
    fn lock(&self) -> MutexGuard<'_, Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where this queue begins.
    pub(crate) fn beginning(&self, queue: &MessageQueue) -> Beginning {
        let known = self.lock();
        match known.beginnings.get(queue) {
            None => Beginning::First,
            Some(found) if known.consumed.contains(&queue.topic) => Beginning::AtUnlessYoung(*found),
            Some(found) => Beginning::At(*found),
        }
    }

    /// The queue is no more; should there be one of its name again, it has appeared since the start.
    pub(crate) fn forget(&self, queue: &MessageQueue) {
        self.lock().beginnings.remove(queue);
    }

    /// Whether it is still to be told that the initial position does not apply to this topic.
    pub(crate) fn tell(&self, topic: &str) -> bool {
        self.lock().told.insert(topic.to_owned())
    }
}

/// Finds out which topics the group has consumed before. Must end before brokers count us as a member: what another new member commits
/// for its share of the queues, because we are one, says nothing about the others. Who does not answer knows nothing.
pub(super) async fn find_consumed_topics<B: Brokers>(shared: &Arc<Shared<B>>, routes: &[(String, Arc<TopicRoute>)]) {
    if shared.options.initial_position == InitialPosition::First {
        return;
    }
    let mut questions = JoinSet::new();
    for queue in routes.iter().flat_map(|(topic, route)| route.read_queues(topic)) {
        let shared = Arc::clone(shared);
        questions.spawn(async move {
            let committed = shared.committed(&queue).await;
            matches!(committed, Ok(Some(_))).then_some(queue.topic)
        });
    }
    while let Some(answered) = questions.join_next().await {
        if let Ok(Some(topic)) = answered {
            shared.initial_offsets.lock().consumed.insert(topic);
        }
    }
}

/// Finds out the beginning of every queue that can be reached.
pub(super) async fn look_up_all<B: Brokers>(
    shared: &Arc<Shared<B>>,
    routes: &[(String, Arc<TopicRoute>)],
    last: &LastFailure,
    reached: &BTreeSet<String>,
) -> Result<(), ClientError> {
    let position = shared.options.initial_position;
    if position == InitialPosition::First {
        return Ok(());
    }
    let mut questions = JoinSet::new();
    let queues = routes.iter().flat_map(|(topic, route)| route.read_queues(topic));
    // A queue of a broker that could not be reached is as one that appears later: more may come of it, never less.
    let is_reached = |queue: &MessageQueue| {
        shared.brokers.master(&queue.broker_name).is_none_or(|address| reached.contains(&address))
    };
    for queue in queues.filter(is_reached) {
        let shared = Arc::clone(shared);
        questions.spawn(async move { (queue.clone(), look_up(&shared, &queue, position).await) });
    }
    while let Some(answered) = questions.join_next().await {
        let (queue, mut found) = answered
            .map_err(|panic| ClientError::panicked("asking where a queue begins has failed", &panic.to_string()))?;
        let found = loop {
            match found {
                Ok(found) => break found,
                Err(error) if passing(&error) => last.set(error.into_error()),
                Err(error) => return Err(error.into_error().with_topic(shared.brokers.unwrap(&queue.topic))),
            }
            sleep(PAUSE).await;
            found = look_up(shared, &queue, position).await;
        };
        if let Some(found) = found {
            shared.initial_offsets.lock().beginnings.insert(queue, found);
        }
    }
    Ok(())
}

/// Where the queue would begin; `None` where a committed offset makes that useless and the account may not ask.
async fn look_up<B: Brokers>(
    shared: &Arc<Shared<B>>,
    queue: &MessageQueue,
    position: InitialPosition,
) -> Result<Option<InitialOffset>, CallError> {
    match beginning(shared, queue, position).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_access_denied() => match shared.committed(queue).await {
            Ok(Some(_)) => Ok(None),
            _ => Err(may_not_ask(shared, queue, error)),
        },
        Err(error) => Err(error),
    }
}

/// The queue's end; for a time, where that lies before. The end is asked for first: what is stored from now on counts, whatever the time, which
/// a clock that runs ahead of the broker's may have told.
async fn beginning<B: Brokers>(
    shared: &Arc<Shared<B>>,
    queue: &MessageQueue,
    position: InitialPosition,
) -> Result<InitialOffset, CallError> {
    let MessageQueue { topic, broker_name, queue_id } = queue.clone();
    let bound = shared.brokers.timing().request_timeout;
    let request = MaxOffset { topic: topic.clone(), broker_name: broker_name.clone(), queue_id };
    let end = shared.ask_master(&queue.broker_name, &request, bound).await?;
    let InitialPosition::Timestamp(timestamp) = position else {
        return Ok(InitialOffset { offset: end, not_before: None });
    };
    let request = SearchOffset { topic, broker_name, queue_id, timestamp };
    let found = shared.ask_master(&queue.broker_name, &request, bound).await?;
    let not_before = (found < end).then_some(timestamp);
    Ok(InitialOffset { offset: found.min(end), not_before })
}

fn may_not_ask<B: Brokers>(shared: &Arc<Shared<B>>, queue: &MessageQueue, error: CallError) -> CallError {
    let topic = shared.brokers.unwrap(&queue.topic);
    let text = format!(
        "the account may not ask for the offsets of topic {topic}, which initialPosition 'last' or a date needs: grant it the \
         action Get on the topic, or use initialPosition 'first'"
    );
    CallError::NotSent(ClientError::new(Code::AccessDenied, text).with_topic(topic).with_cause(error.into_error()))
}
