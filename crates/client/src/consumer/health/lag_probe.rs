//! How queues stand that cannot be pulled: where they end and how far the group is can be asked without their lock.
//!
//! Now and then and few at a time. Who may not ask knows nothing, which is no failure: it shows as unknown, never as 0.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::client::CallError;
use crate::consumer::brokers::Brokers;
use crate::consumer::queue::{Phase, Queue, View};
use crate::consumer::shared::Shared;
use crate::env::JoinSet;
use crate::protocol::MaxOffset;

/// Queues begin to wait together, and a queue that is ours learns its end from its first pull, if there is anything in it.
const TOGETHER: Duration = Duration::from_millis(50);
/// Questions under way at one broker.
const AT_ONCE: usize = 4;

/// What an account may not ask, by real topic: asked once.
#[derive(Clone, Debug, Default)]
struct Denied {
    ends: HashSet<String>,
    commits: HashSet<String>,
}

/// What was answered about one queue.
#[derive(Debug, Default)]
struct Answers {
    end: Option<Result<i64, CallError>>,
    committed: Option<Result<Option<i64>, CallError>>,
}

/// Looks until it is aborted.
pub(crate) async fn run<B: Brokers>(shared: Arc<Shared<B>>) {
    let mut denied = Denied::default();
    loop {
        tokio::select! {
            () = shared.watches.lag.notified() => sleep(TOGETHER).await,
            () = sleep(shared.brokers.timing().lag_probe) => {}
        }
        look(&shared, &mut denied).await;
    }
}

/// Whether it is only asking that tells how the queue stands.
fn is_out_of_sight(view: &View) -> bool {
    match view.phase {
        Phase::Gone => false,
        Phase::Locking | Phase::Positioning | Phase::Doubtful => true,
        // The first pull of an empty queue is answered when the broker has held it for long enough.
        Phase::Running | Phase::Suspended | Phase::Paused | Phase::Draining => view.max.is_none(),
    }
}

async fn look<B: Brokers>(shared: &Arc<Shared<B>>, denied: &mut Denied) {
    let mut by_broker: BTreeMap<String, Vec<Arc<Queue>>> = BTreeMap::new();
    for queue in shared.queues.all() {
        let is_asked_about = is_out_of_sight(&queue.view());
        if is_asked_about {
            by_broker.entry(queue.real.broker_name.clone()).or_default().push(queue);
        }
    }
    let mut brokers = JoinSet::new();
    for queues in by_broker.into_values() {
        let (shared, denied) = (Arc::clone(shared), denied.clone());
        brokers.spawn(async move { look_at(&shared, queues, denied).await });
    }
    for found in brokers.join_all().await {
        denied.ends.extend(found.ends);
        denied.commits.extend(found.commits);
    }
}

/// The queues of one broker; one that does not answer is left alone until the next look.
async fn look_at<B: Brokers>(shared: &Arc<Shared<B>>, queues: Vec<Arc<Queue>>, mut denied: Denied) -> Denied {
    for some in queues.chunks(AT_ONCE) {
        let mut questions = JoinSet::new();
        for queue in some {
            let (shared, queue) = (Arc::clone(shared), Arc::clone(queue));
            let topic = &queue.real.topic;
            let (end, committed) = (!denied.ends.contains(topic), !denied.commits.contains(topic));
            questions.spawn(async move {
                let answers = ask(&shared, &queue, end, committed).await;
                (queue, answers)
            });
        }
        for (queue, answers) in questions.join_all().await {
            let topic = &queue.real.topic;
            if answers.end.as_ref().is_some_and(is_denied) {
                denied.ends.insert(topic.clone());
            }
            if answers.committed.as_ref().is_some_and(is_denied) {
                denied.commits.insert(topic.clone());
            }
            let is_silent = answers.end.as_ref().is_some_and(is_unanswered)
                || answers.committed.as_ref().is_some_and(is_unanswered);
            take_in(&mut queue.view(), &answers);
            if is_silent {
                return denied;
            }
        }
    }
    denied
}

async fn ask<B: Brokers>(shared: &Shared<B>, queue: &Queue, end: bool, committed: bool) -> Answers {
    let timeout = shared.brokers.timing().request_timeout;
    let real = queue.real.clone();
    let mut answers = Answers::default();
    if end {
        let (topic, broker_name, queue_id) = (real.topic.clone(), real.broker_name.clone(), real.queue_id);
        let request = MaxOffset { topic, broker_name, queue_id };
        let answer = shared.ask_master(&real.broker_name, &request, timeout).await;
        let is_silent = is_unanswered(&answer);
        answers.end = Some(answer);
        if is_silent {
            return answers;
        }
    }
    let is_ours = queue.view().next.is_some();
    if committed && !is_ours {
        answers.committed = Some(shared.committed(&real).await);
    }
    answers
}

fn is_denied<T>(answer: &Result<T, CallError>) -> bool {
    answer.as_ref().is_err_and(CallError::is_access_denied)
}

fn is_unanswered<T>(answer: &Result<T, CallError>) -> bool {
    answer.as_ref().is_err_and(|error| !matches!(error, CallError::Refused { .. }))
}

/// What the actor has found out meanwhile is newer.
fn take_in(view: &mut View, answers: &Answers) {
    if view.phase == Phase::Gone {
        return;
    }
    let is_ours = view.next.is_some() && view.phase != Phase::Doubtful;
    if let Some(Ok(end)) = &answers.end
        && !(is_ours && view.max.is_some())
    {
        view.max = Some(*end);
    }
    if let Some(Ok(committed)) = &answers.committed
        && view.next.is_none()
    {
        view.committed = *committed;
    }
}
