//! How often a topic is looked for.

use super::*;

fn topic() -> Topic {
    Topic::new(watch::Sender::new(RouteState::default()))
}

/// A look has ended with this error, or with a route.
fn looked(topic: &mut Topic, error: Option<Code>, news: bool) {
    topic.state.send_modify(|state| {
        state.route = Some(Arc::default());
        state.error = error.map(|code| ClientError::new(code, "no"));
    });
    topic.wanted = None;
    topic.rest(news, REFRESH);
}

const REFRESH: Duration = Duration::from_secs(30);

/// How long until the next look.
fn pause(topic: &Topic) -> Duration {
    topic.due(env::now()).unwrap() - env::now()
}

#[tokio::test(start_paused = true)]
async fn whoever_wants_a_route_is_served_soon_scattered_and_ever_more_rarely_while_nothing_new_comes_of_it() {
    let mut topic = topic();
    assert_eq!(pause(&topic), Duration::ZERO);
    looked(&mut topic, None, true);
    assert_eq!(pause(&topic), REFRESH);
    let mut pauses = Vec::new();
    for _ in 0..6 {
        topic.want();
        pauses.push(pause(&topic));
        tokio::time::sleep(pause(&topic)).await;
        looked(&mut topic, None, false);
    }
    assert!(pauses.iter().all(|pause| *pause >= CLOSEST.0 && *pause <= CLOSEST.1.mul_f64(1.2)), "{pauses:?}");
    assert!(pauses[0] < Duration::from_millis(700) && pauses[5] > Duration::from_millis(1_500), "{pauses:?}");
    // News, or calm, and it is soon again.
    topic.want();
    looked(&mut topic, None, true);
    topic.want();
    assert!(pause(&topic) < Duration::from_millis(700));
    for _ in 0..4 {
        looked(&mut topic, None, false);
    }
    tokio::time::sleep(CALM * 2).await;
    topic.want();
    assert!(pause(&topic) <= SCATTER);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_has_failed_is_made_again_soon_and_never_later_than_the_next_tick() {
    let mut topic = topic();
    looked(&mut topic, None, true);
    let pauses: Vec<Duration> = (0..6)
        .map(|_| {
            looked(&mut topic, Some(Code::Connection), false);
            pause(&topic)
        })
        .collect();
    assert!(pauses[0] <= FAILING.0.mul_f64(1.2), "{pauses:?}");
    assert!(pauses.iter().all(|pause| *pause <= FAILING.1.mul_f64(1.2)), "{pauses:?}");
    looked(&mut topic, None, false);
    assert_eq!(pause(&topic), REFRESH);
    looked(&mut topic, Some(Code::TopicNotFound), false);
    assert!(pause(&topic) <= FAILING.0.mul_f64(1.2), "begins anew");
}

#[tokio::test]
async fn what_is_to_come_or_works_all_the_same_is_no_problem() {
    let routes = Routes::default();
    let fail = |name: &str, had_route: bool, code: Code| {
        let followed = routes.watch(name);
        let mut table = routes.lock();
        table.topics[name].state.send_modify(|state| {
            state.route = had_route.then(Arc::default);
            state.error = Some(ClientError::new(code, name));
        });
        table.note_failure(&name.into());
        followed
    };
    let _quiet = [
        fail("%RETRY%g", false, Code::TopicNotFound),
        fail("%DLQ%to-come", false, Code::TopicNotFound),
        fail("works", true, Code::NoMaster),
    ];
    assert!(routes.problems().is_empty());
    let _told = [
        fail("%DLQ%lost", true, Code::TopicNotFound),
        fail("%DLQ%unreached", false, Code::Connection),
        fail("nowhere", false, Code::NoMaster),
        fail("unreached", true, Code::Connection),
        fail("lost", true, Code::TopicNotFound),
    ];
    let mut told: Vec<_> = routes.problems().iter().map(|error| error.message().to_owned()).collect();
    told.sort_unstable();
    assert_eq!(told, ["%DLQ%lost", "%DLQ%unreached", "lost", "nowhere", "unreached"]);
}
