//! The start: everything that can be wrong with a consumer is found out before it resolves.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::brokers::Brokers;
use super::initial_offsets::{find_consumed_topics, look_up_all};
use super::shared::Shared;
use crate::client::{CallError, Event, Level, Registration};
use crate::env::{self, Backoff, Instant};
use crate::error::{ClientError, Code};
use crate::protocol::code::response;
use crate::protocol::namespace::DLQ_PREFIX;
use crate::protocol::{CheckClientConfig, ExpressionKind, Subscription, TopicRoute};

pub(super) use crate::client::LastFailure;

/// Between two attempts of one step.
pub(super) const PAUSE: Duration = Duration::from_millis(200);
/// How long a broker may take to show us among the group's members after it took our heartbeat.
const SEEN_WITHIN: Duration = Duration::from_secs(3);
/// The same where the start has little time left.
const SEEN_AT_LEAST: Duration = Duration::from_millis(200);

/// All steps; the caller bounds them. From `patient_until` on a part of the masters is enough: one dead broker of many, which
/// name servers may list for another two minutes, must keep nobody from the queues of the others.
pub(super) async fn prepare<B: Brokers>(
    shared: &Arc<Shared<B>>,
    last: &LastFailure,
    patient_until: Instant,
) -> Result<(), ClientError> {
    shared.open_positions().await?;
    let routes = routes(shared, last).await?;
    check_expressions(shared, &routes, last).await?;
    find_consumed_topics(shared, &routes).await;
    if !shared.is_broadcasting() {
        shared.brokers.watch_route(&shared.group.retry_topic);
    }
    shared.brokers.register(Registration { consumer: Some(shared.registration()), ..Registration::default() });
    if routes.is_empty() {
        // Nothing but dead-letter queues that are still to come: there is no broker to be known to.
        return Ok(());
    }
    let reached = register(shared, last, patient_until).await?;
    // Early enough before the start's own end to say what is wrong.
    let patience = patient_until.saturating_duration_since(env::now()).clamp(SEEN_AT_LEAST, SEEN_WITHIN);
    be_seen(shared, last, &reached, patience).await?;
    look_up_all(shared, &routes, last, &reached).await
}

/// Whether a failed step may be tried again.
pub(super) fn passing(error: &CallError) -> bool {
    match error {
        CallError::NotSent(error) => error.code() != Code::AccessDenied,
        CallError::Unanswered(_) | CallError::Malformed(_) => true,
        CallError::Refused { refusal, .. } => matches!(
            refusal.code,
            response::SYSTEM_BUSY | response::SERVICE_NOT_AVAILABLE | response::FLOW_CONTROL | response::GO_AWAY
        ),
    }
}

async fn routes<B: Brokers>(
    shared: &Arc<Shared<B>>,
    last: &LastFailure,
) -> Result<Vec<(String, Arc<TopicRoute>)>, ClientError> {
    let mut routes = Vec::new();
    // All are asked for at once; the waiting is one after the other. Followed meanwhile, so that questions that are asked again keep
    // their distance.
    let _followed: Vec<_> = shared.subscriptions.topics.keys().map(|topic| shared.brokers.watch_route(topic)).collect();
    let (first, most) = shared.brokers.timing().start_backoff;
    for (topic, shown) in &shared.subscriptions.topics {
        let mut pauses = Backoff::new(first, most);
        let route = loop {
            match shared.brokers.route(topic).await {
                Ok(route) => break Some(route),
                Err(error) if error.code() == Code::TopicNotFound => {
                    if !shared.brokers.waits_for_topics() {
                        return Err(error.with_topic(shown.as_ref()));
                    }
                    if topic.starts_with(DLQ_PREFIX) {
                        tell_of_absence(shared, shown);
                        break None;
                    }
                    last.set(error);
                }
                Err(error) if error.retriable() => last.set(error),
                Err(error) => return Err(error.with_topic(shown.as_ref())),
            }
            sleep(pauses.next()).await;
        };
        routes.extend(route.map(|route| (topic.clone(), route)));
    }
    Ok(routes)
}

/// The first dead letter may come in a year: nobody waits for it with a start. It is found as any queue that appears later.
fn tell_of_absence<B: Brokers>(shared: &Arc<Shared<B>>, topic: &str) {
    let text =
        "a dead-letter queue does not exist yet: it is consumed from its first message on when the broker makes it";
    let fields = serde_json::json!({ "topic": topic, "group": shared.options.group });
    shared.brokers.emit(Event::log(Level::Info, text, fields));
}

/// SQL expressions are checked by a broker, which alone can tell.
async fn check_expressions<B: Brokers>(
    shared: &Arc<Shared<B>>,
    routes: &[(String, Arc<TopicRoute>)],
    last: &LastFailure,
) -> Result<(), ClientError> {
    for subscription in shared.subscriptions.all.iter().filter(|subscription| subscription.kind != ExpressionKind::Tag)
    {
        let Some((topic, route)) = routes.iter().find(|(topic, _)| *topic == subscription.topic) else { continue };
        let broker_names: BTreeSet<String> =
            route.read_queues(topic).into_iter().map(|queue| queue.broker_name).collect();
        let with_masters = broker_names.into_iter().filter(|name| shared.brokers.master(name).is_some());
        let shown = shared.brokers.unwrap(topic);
        check_expression(shared, &with_masters.collect::<Vec<_>>(), subscription.clone(), &shown, last).await?;
    }
    Ok(())
}

/// The first broker that answers decides.
async fn check_expression<B: Brokers>(
    shared: &Arc<Shared<B>>,
    broker_names: &[String],
    subscription: Subscription,
    shown: &str,
    last: &LastFailure,
) -> Result<(), ClientError> {
    let request = CheckClientConfig {
        client_id: shared.brokers.id().to_owned(),
        group: shared.group.name.clone(),
        namespace: shared.brokers.namespace().map(str::to_owned),
        subscription,
    };
    for broker_name in broker_names.iter().cycle() {
        match shared.ask_master(broker_name, &request, shared.brokers.timing().request_timeout).await {
            Ok(()) => return Ok(()),
            Err(error) if passing(&error) => last.set(error.into_error()),
            Err(error) if error.is_access_denied() => return Err(error.into_error().with_topic(shown)),
            Err(error) => {
                let broker_code = error.refusal().map(|refusal| refusal.code);
                let text = format!(
                    "the expression for topic {shown} was refused (the broker may need enablePropertyFilter=true)"
                );
                let failure = ClientError::new(Code::Filter, text).with_topic(shown).with_cause(error.into_error());
                return Err(broker_code.map_or(failure.clone(), |code| failure.with_broker_code(code)));
            }
        }
        sleep(PAUSE).await;
    }
    Ok(())
}

/// A heartbeat that every master accepts; in the end, every one that can be reached. Returns those.
async fn register<B: Brokers>(
    shared: &Arc<Shared<B>>,
    last: &LastFailure,
    patient_until: Instant,
) -> Result<BTreeSet<String>, ClientError> {
    let (first, most) = shared.brokers.timing().start_backoff;
    let mut pauses = Backoff::new(first, most);
    loop {
        let masters = shared.masters();
        let mut reached = BTreeSet::new();
        let mut missing = None;
        for (address, answer) in shared.brokers.heartbeat_all().await {
            match answer {
                Ok(()) if masters.contains(&address) => _ = reached.insert(address),
                Err(error) if masters.contains(&address) => {
                    if !passing(&error) {
                        return Err(error.into_error());
                    }
                    missing = Some(error.into_error());
                }
                // A slave that does not answer keeps nobody from consuming.
                Ok(()) | Err(_) => {}
            }
        }
        match missing {
            None if masters.is_empty() => {
                last.set(ClientError::new(
                    Code::NoMaster,
                    "no broker of the subscribed topics has a master at the moment",
                ));
            }
            None => return Ok(reached),
            Some(error) if !reached.is_empty() && env::now() >= patient_until => {
                shared.warn(error);
                return Ok(reached);
            }
            Some(error) => last.set(error),
        }
        sleep(pauses.next()).await;
    }
}

/// A 5.x broker answers the heartbeat of a group it will not create as any other; only its list of members tells.
async fn be_seen<B: Brokers>(
    shared: &Arc<Shared<B>>,
    last: &LastFailure,
    reached: &BTreeSet<String>,
    patience: Duration,
) -> Result<(), ClientError> {
    let answered = AtomicBool::new(false);
    let listed = async {
        loop {
            let mut missing = None;
            for (address, answer) in shared.member_lists_of(reached.clone()).await {
                if answer.as_ref().map_or_else(|error| error.refusal().is_some(), |_| true) {
                    answered.store(true, Ordering::Relaxed);
                }
                match answer {
                    Ok(ids) if ids.iter().any(|member| member == shared.brokers.id()) => {}
                    Err(error) if error.is_access_denied() => return Err(error.into_error()),
                    Ok(_) | Err(CallError::Refused { .. }) => missing = Some(address),
                    Err(error) => {
                        last.set(error.into_error());
                        missing = Some(address);
                    }
                }
            }
            if missing.is_none() {
                return Ok(());
            }
            sleep(PAUSE).await;
            shared.brokers.heartbeat_all().await;
        }
    };
    timeout(patience, listed).await.unwrap_or_else(|_| {
        let group = &shared.options.group;
        if !answered.load(Ordering::Relaxed) {
            let text = format!("no broker told within {} ms who is in group {group}", patience.as_millis());
            return Err(last.get().unwrap_or_else(|| ClientError::new(Code::Timeout, text)));
        }
        let advice = shared.brokers.advice().create_group(&shared.group.name);
        let text = format!(
            "the broker took the heartbeat but does not list this consumer in group {group}: the group does not exist and is \
             not created by itself; {advice}"
        );
        Err(ClientError::new(Code::GroupNotFound, text))
    })
}
