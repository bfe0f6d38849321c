//! 11 and 361: pulls, and those that wait.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::sync::Notify;

use super::reply::{Answer, Reply, number, optional, text};
use crate::env::{self, Instant};
use crate::groups::offsets::Place;
use crate::groups::registrations::Filter;
use crate::protocol::Command;
use crate::protocol::code::response;
use crate::state::broker::Broker;
use crate::state::cluster::{Shared, State};
use crate::state::held::Held;
use crate::store::queues::Status;

/// The broker commits what comes with the pull.
const COMMIT: i32 = 0x1;
/// The broker may hold the pull.
const SUSPEND: i32 = 0x2;
/// The pull brings its expression.
const SUBSCRIPTION: i32 = 0x4;
/// How often held pulls are looked at; scaled.
const LOOK: Duration = Duration::from_secs(5);
/// The group's condition could not be read.
const FILTER_DATA_NOT_EXIST: i32 = 27;

/// A pull that passed all checks.
#[derive(Debug, Clone)]
struct Pull {
    place: Place,
    offset: i64,
    max: i32,
    sys_flag: i32,
    commit: i64,
    suspend: Duration,
    filter: Arc<Filter>,
}

/// Executes a pull, or holds it.
pub(crate) fn pull(shared: &Arc<Shared>, state: &mut State, index: usize, command: &Command) -> Answer {
    let pull = match check(state.broker(index), command) {
        Ok(pull) => pull,
        Err(refusal) => return Answer::Now(refusal),
    };
    let reply = look(shared, state.broker(index), &pull);
    let broker = state.broker(index);
    let hold = reply.code == response::PULL_NOT_FOUND && pull.sys_flag & SUSPEND != 0 && broker.held.has_room();
    if pull.sys_flag & COMMIT != 0 {
        let period = broker.period(shared.time_factor);
        broker.offsets.commit(pull.place.clone(), pull.commit, period);
        shared.change();
    }
    if hold {
        Answer::Later { reply: Box::pin(hold_on(shared, broker, index, pull)), json: true }
    } else {
        Answer::Now(reply)
    }
}

fn check(broker: &mut Broker, command: &Command) -> Result<Pull, Reply> {
    let group = text(command, "consumerGroup")?.to_owned();
    let topic = text(command, "topic")?.to_owned();
    let queue_id: i32 = number(command, "queueId")?;
    let offset = number(command, "queueOffset")?;
    let max: i32 = number(command, "maxMsgNums")?;
    let sys_flag: i32 = number(command, "sysFlag")?;
    let commit = optional(command, "commitOffset").unwrap_or(0);
    let suspend: i64 = optional(command, "suspendTimeoutMillis").unwrap_or(0);
    let sub_version: i64 = optional(command, "subVersion").unwrap_or(0);
    let release = broker.release;
    let Some(config) = broker.group(&group) else {
        let remark = format!(
            "subscription group [{group}] does not exist, See https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details."
        );
        return Err(Reply::refuse(response::SUBSCRIPTION_GROUP_NOT_EXIST, remark));
    };
    let broadcasts = config.broadcasts();
    let forbidden = |what: String, kind: &str| {
        let reply = Reply::refuse(response::NO_PERMISSION, what);
        if release.is_v5() { reply.with("forbiddenType", kind) } else { reply }
    };
    if !config.consumes() {
        return Err(forbidden(format!("subscription group no permission, {group}"), "2"));
    }
    let Some(known) = broker.topics.get(&topic) else {
        let remark = format!("topic[{topic}] not exist, apply first please!");
        return Err(Reply::refuse(response::TOPIC_NOT_EXIST, remark));
    };
    if known.config.perm & 4 == 0 {
        return Err(forbidden(format!("the topic[{topic}] pulling message is forbidden"), "3"));
    }
    if queue_id < 0 || queue_id >= known.config.read_queues {
        let remark = format!(
            "queueId[{queue_id}] is illegal, topic:[{topic}] topicConfig.readQueueNums:[{}]",
            known.config.read_queues
        );
        return Err(Reply::refuse(release.illegal_argument(), remark));
    }
    if max < 0 && !release.is_v5() {
        return Err(Reply::error("java.lang.IllegalArgumentException: maxMsgNums"));
    }
    let filter = if sys_flag & SUBSCRIPTION != 0 {
        let kind = command.fields.get("expressionType").unwrap_or("TAG");
        let expression = command.fields.get("subscription").unwrap_or("*");
        if matches!(kind, "TAG" | "") && Filter::has_no_parts(expression) {
            let remark = "parse the consumer's subscription failed";
            return Err(Reply::refuse(response::SUBSCRIPTION_PARSE_FAILED, remark));
        }
        // A condition that cannot be read filters nothing.
        Arc::new(Filter::of(kind, expression, release).unwrap_or(Filter::All))
    } else {
        let model = broker.registrations.consumers.get(&group).map(|known| known.message_model.as_str());
        if model == Some("BROADCASTING") && !broadcasts {
            return Err(forbidden(format!("the consumer group[{group}] can not consume by broadcast way"), "4"));
        }
        registered_filter(broker, &group, &topic, sub_version)?
    };
    Ok(Pull {
        place: Place { group, topic, queue_id },
        offset,
        max,
        sys_flag,
        commit,
        suspend: Duration::from_millis(u64::try_from(suspend).unwrap_or(0)),
        filter,
    })
}

fn registered_filter(broker: &Broker, group: &str, topic: &str, sub_version: i64) -> Result<Arc<Filter>, Reply> {
    let missing = |what: &str| {
        Reply::refuse(response::SUBSCRIPTION_NOT_EXIST, format!("the consumer's {what} not exist, group: {group}"))
    };
    let known = broker.registrations.consumers.get(group).ok_or_else(|| missing("group info"))?;
    let wanted = known.wanted.get(topic).ok_or_else(|| missing("subscription"))?;
    if wanted.version < sub_version {
        return Err(Reply::refuse(response::SUBSCRIPTION_NOT_LATEST, "the consumer's subscription not latest"));
    }
    if *wanted.filter == Filter::Broken {
        return Err(Reply::refuse(FILTER_DATA_NOT_EXIST, "The broker does not have filter data"));
    }
    Ok(Arc::clone(&wanted.filter))
}

/// One look at the queue.
fn look(shared: &Shared, broker: &mut Broker, pull: &Pull) -> Reply {
    let Place { topic, queue_id, .. } = &pull.place;
    let reset = broker.offsets.take_reset(&pull.place);
    let Some(queue) = broker.topics.get(topic).and_then(|topic| topic.queue(*queue_id)) else {
        return Reply::refuse(response::TOPIC_NOT_EXIST, format!("topic[{topic}] not exist, apply first please!"));
    };
    let (status, next, body) = if let Some(offset) = reset {
        (Status::OffsetReset, offset, BytesMut::new())
    } else {
        let found = queue.look(pull.offset, pull.max, |record| pull.filter.wants(record));
        let mut body = BytesMut::with_capacity(found.records.iter().map(|record| record.len()).sum());
        found.records.iter().for_each(|record| record.encode(&mut body));
        (found.status, found.next, body)
    };
    let code = match status {
        Status::Found => response::SUCCESS,
        Status::NoMatchedMessage => response::PULL_RETRY_IMMEDIATELY,
        Status::OffsetOverflowOne => response::PULL_NOT_FOUND,
        Status::NoMessageInQueue if pull.offset == 0 => response::PULL_NOT_FOUND,
        _ => response::PULL_OFFSET_MOVED,
    };
    let (first, end) = (queue.min, queue.visible);
    broker.offsets.pulled(pull.place.clone(), next);
    let reply = Reply { code, remark: Some(status.name().into()), ..Reply::default() }
        .with("suggestWhichBrokerId", 0)
        .with("nextBeginOffset", next)
        .with("minOffset", first)
        .with("maxOffset", end)
        .with_body(body.freeze());
    if shared.release.is_v5() { reply.with("topicSysFlag", 0).with("groupSysFlag", 0) } else { reply }
}

/// Takes the waiting pull out of the broker's list, however its wait ends.
struct Waiting {
    shared: Arc<Shared>,
    index: usize,
    id: u64,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.shared.lock().broker(self.index).held.remove(self.id);
    }
}

/// Waits for an arrival that the filter wants, or for the look at held pulls that finds it overdue.
fn hold_on(shared: &Arc<Shared>, broker: &mut Broker, index: usize, pull: Pull) -> impl Future<Output = Reply> + use<> {
    let wake = Arc::new(Notify::new());
    let id = shared.next_id();
    let queue = (pull.place.topic.clone(), pull.place.queue_id);
    let names = 2 * (pull.place.topic.len() + pull.place.group.len());
    let held = Held { queue, offset: pull.offset, filter: Arc::clone(&pull.filter), names, wake: Arc::clone(&wake) };
    broker.held.insert(id, held);
    let waiting = Waiting { shared: Arc::clone(shared), index, id };
    let (started, overdue) = (broker.started, env::now() + shared.scaled(pull.suspend));
    async move {
        let shared = Arc::clone(&waiting.shared);
        let period = shared.scaled(LOOK).max(Duration::from_millis(1));
        loop {
            let arrived = tokio::select! {
                () = wake.notified() => true,
                () = tokio::time::sleep_until(next_look(started, period)) => false,
            };
            let mut state = shared.lock();
            let broker = state.broker(index);
            let topic = broker.topics.get(&pull.place.topic);
            // A topic that was deleted holds its pulls, also when it is made anew, until that one is longer.
            let visible = topic.and_then(|topic| topic.queue(pull.place.queue_id)).map_or(0, |queue| queue.visible);
            if arrived || visible > pull.offset || env::now() >= overdue {
                return look(&shared, broker, &pull);
            }
        }
    }
}

/// The next time at which the broker looks at held pulls.
fn next_look(started: Instant, period: Duration) -> Instant {
    let since = env::now().saturating_duration_since(started);
    let looks = u32::try_from(since.as_nanos() / period.as_nanos()).unwrap_or(u32::MAX - 1);
    started + period * (looks + 1)
}
