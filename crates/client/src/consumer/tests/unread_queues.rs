//! Messages that nobody can read are told, and only those.

use std::time::Duration;

use tokio::time::sleep;

use super::checks::{events, started};
use super::cluster::{Cluster, Fault, queue};
use super::member::{Member, options, succeeds, until};
use crate::protocol::code::request::{GET_MAX_OFFSET, QUERY_CONSUMER_OFFSET};

const TOLD: &str = "ERR_ROCKETMQ_UNREAD_QUEUE";

fn problems(member: &Member) -> Vec<String> {
    let problems = member.consumer.health().problems.into_iter();
    problems.filter(|problem| problem.code().as_str() == TOLD).map(|problem| problem.message().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn queues_that_are_written_and_not_read_are_told_once_per_state_and_are_a_problem_as_long_as_it_lasts() {
    let cluster = Cluster::new(&["a"], 4);
    cluster.set_queues("orders", "a", 2, 4);
    let member = Member::start("c1", &cluster, options(), succeeds(1)).await;
    until("told", || !events(&cluster, TOLD).is_empty()).await;
    let [problem] = &problems(&member)[..] else { panic!("{:?}", problems(&member)) };
    let expected = "queues 2 to 3 of a (the topic has 4 queues to write there and 2 to read)";
    assert!(problem.contains(expected), "{problem}");
    assert!(problem.ends_with("mqadmin updateTopic -n ns:9876 -b a:10911 -t orders -r 4 -w 4"), "{problem}");
    sleep(Duration::from_secs(300)).await;
    assert_eq!(events(&cluster, TOLD).len(), 1);

    cluster.set_queues("orders", "a", 3, 4);
    until("told again", || events(&cluster, TOLD).len() == 2).await;
    assert!(problems(&member)[0].contains("queue 3 of a"), "{:?}", problems(&member));

    cluster.set_queues("orders", "a", 4, 4);
    until("at ease", || problems(&member).is_empty()).await;
    assert_eq!(events(&cluster, "can be read again").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_leaves_the_route_with_a_backlog_is_told_with_what_is_known_until_it_can_be_read() {
    let cluster = Cluster::new(&["a"], 3);
    let at = queue("orders", "a", 2);
    cluster.send(&at, 50);
    let member = Member::start("c1", &cluster, options(), succeeds(100)).await;
    until("working", || started(&cluster, &at).len() == 10).await;
    cluster.set_queues("orders", "a", 2, 2);
    until("told", || !events(&cluster, TOLD).is_empty()).await;
    let committed = cluster.committed(&at).unwrap();
    let [problem] = &problems(&member)[..] else { panic!("{:?}", problems(&member)) };
    let expected = format!(
        "{} messages of topic orders that group GID_test has not handled lie in queues that no consumer is told of any more: queue 2 of a \
         (committed {committed}, stored up to 50)",
        50 - committed
    );
    assert!(problem.starts_with(&expected), "{problem}");
    assert!(problem.ends_with("mqadmin updateTopic -n ns:9876 -b a:10911 -t orders -r 3 -w 2"), "{problem}");
    sleep(Duration::from_secs(120)).await;
    assert_eq!(events(&cluster, TOLD).len(), 1);

    // More to read than to write is how a topic is drained.
    cluster.set_queues("orders", "a", 3, 2);
    until("handled", || cluster.committed(&at) == Some(50)).await;
    assert_eq!(problems(&member), Vec::<String>::new());
    cluster.set_queues("orders", "a", 2, 2);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(problems(&member), Vec::<String>::new());
    assert_eq!(events(&cluster, TOLD).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_left_behind_before_the_start_is_told_if_the_group_had_begun_with_it() {
    for (committed, told) in [(Some(7), true), (Some(20), false), (None, false)] {
        let cluster = Cluster::new(&["a"], 6);
        let at = queue("orders", "a", 4);
        cluster.send(&at, 20);
        if let Some(committed) = committed {
            cluster.set_committed(&at, committed);
        }
        cluster.set_queues("orders", "a", 2, 2);
        let member = Member::start("c1", &cluster, options(), succeeds(1)).await;
        sleep(Duration::from_secs(30)).await;
        assert_eq!(problems(&member).len(), usize::from(told), "{:?}", problems(&member));
        if told {
            assert!(problems(&member)[0].contains("queue 4 of a (committed 7, stored up to 20)"));
            cluster.set_queues("orders", "a", 5, 2);
            until("handled", || cluster.committed(&at) == Some(20)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_may_not_ask_tells_what_it_knows_itself_and_one_that_is_not_answered_asks_again() {
    for (fault, times) in [(Fault::Refuse(16, "no permission"), 1_000), (Fault::Swallow, 2)] {
        let cluster = Cluster::new(&["a"], 2);
        let at = queue("orders", "a", 1);
        cluster.send(&at, 50);
        let member = Member::start("c1", &cluster, options(), succeeds(100)).await;
        until("working", || started(&cluster, &at).len() == 20).await;
        for code in [GET_MAX_OFFSET, QUERY_CONSUMER_OFFSET] {
            cluster.fault("a", code, times, fault.clone());
        }
        cluster.set_queues("orders", "a", 1, 1);
        until("told", || problems(&member).len() == 1).await;
        assert!(problems(&member)[0].contains("stored up to 50"), "{:?}", problems(&member));
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_leaves_the_route_takes_its_queues_along_and_is_no_shrinking() {
    let cluster = Cluster::new(&["a", "b"], 2);
    let at = queue("orders", "b", 1);
    cluster.send(&at, 1_000);
    let member = Member::start("c1", &cluster, options(), succeeds(100)).await;
    until("working", || started(&cluster, &at).len() > 3).await;
    cluster.set_topic("orders", &["a"], 2);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(problems(&member), Vec::<String>::new());
}
