//! What to do about what is missing, in words and in commands that can be pasted.

use crate::env;
use crate::error::{ClientError, Code};
use crate::protocol::namespace::DLQ_PREFIX;

/// `MQVersion` ordinal of 5.0.0: topics have types from there on.
const TYPED_TOPICS: i32 = 413;
/// The cluster that a broker is in unless it is told otherwise.
const USUAL_CLUSTER: &str = "DefaultCluster";

/// What advice depends on.
#[derive(Clone, Debug, Default)]
pub struct Advice {
    /// The endpoint or the channel is Alibaba Cloud's: there is a console, and no `mqadmin`.
    pub alibaba_cloud: bool,
    /// The name servers in use, `host:port;host:port`.
    pub name_servers: String,
    /// The cluster, where it is known.
    pub cluster: Option<String>,
    /// The highest `MQVersion` ordinal of an answer so far.
    pub version: i32,
}

/// What name servers say of a topic that they have no route for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// They know brokers, or will not tell: it is the topic that there is none of.
    Topic,
    /// They know no broker at all: none has started yet, or they have been started themselves a moment ago.
    Brokers,
}

impl Advice {
    /// How to make this topic; real name.
    pub fn create_topic(&self, topic: &str) -> String {
        if self.alibaba_cloud {
            return String::from(
                "create it in the Alibaba Cloud console, in this instance, as a topic for ordered messages",
            );
        }
        let kind = if self.version >= TYPED_TOPICS { " -a +message.type=FIFO" } else { "" };
        format!("create it, for example with: mqadmin updateTopic {} -t {} -r 8 -w 8{kind}", self.place(), shell(topic))
    }

    /// How to make this group; real name.
    pub fn create_group(&self, group: &str) -> String {
        if self.alibaba_cloud {
            return String::from("create it in the Alibaba Cloud console, in this instance, for ordered delivery");
        }
        format!("create it, for example with: mqadmin updateSubGroup {} -g {}", self.place(), shell(group))
    }

    /// How to make this topic readable; real name.
    pub fn make_readable(&self, topic: &str) -> String {
        if self.alibaba_cloud {
            return String::from("give it the permission to be subscribed to in the Alibaba Cloud console");
        }
        format!("make it readable, for example with: mqadmin updateTopicPerm {} -t {} -p 6", self.place(), shell(topic))
    }

    fn place(&self) -> String {
        let cluster = self.cluster.as_deref().unwrap_or(USUAL_CLUSTER);
        format!("-n {} -c {}", shell(&self.name_servers), shell(cluster))
    }

    /// The error of a topic without a route. `shown` is its name for users; `last_seen`, when it had one, in ms since 1970.
    pub(super) fn without_route(
        &self,
        topic: &str,
        shown: &str,
        missing: Missing,
        last_seen: Option<i64>,
    ) -> ClientError {
        let name = if shown == topic { shown.to_owned() } else { format!("{shown} ({topic})") };
        let servers = &self.name_servers;
        let error = match (missing, last_seen.map(env::utc)) {
            (Missing::Brokers, None) => ClientError::new(
                Code::NoMaster,
                format!(
                    "no broker is registered with the name servers ({servers}), so that nobody can tell where topic {name} is: \
                     start the brokers; they register when they start, and every 30 s"
                ),
            ),
            (Missing::Brokers, Some(seen)) => ClientError::new(
                Code::NoMaster,
                format!(
                    "no broker is registered with the name servers ({servers}) at the moment; topic {name} was last seen {seen}, and \
                     what was known of it stays in use. Brokers register when they start, and every 30 s"
                ),
            ),
            (Missing::Topic, Some(seen)) => ClientError::new(
                Code::TopicNotFound,
                format!(
                    "topic {name} has no route any more: its brokers have left the route, last seen {seen}, or it was deleted. It is \
                     looked for again by itself; do not create it while its brokers are away: another number of queues moves keys"
                ),
            )
            .with_retriable(true),
            (Missing::Topic, None) if topic.starts_with(DLQ_PREFIX) => {
                let group = shown.strip_prefix(DLQ_PREFIX).unwrap_or(shown);
                let text = format!(
                    "no route for topic {name}: the broker makes it with the first dead letter of group {group}, and there has been \
                     none yet, or the group is called otherwise. With waitForTopics: true a consumer starts without it, and \
                     consumes it from its first message on when it appears"
                );
                ClientError::new(Code::TopicNotFound, text).with_retriable(true)
            }
            (Missing::Topic, None) => {
                let advice = self.create_topic(topic);
                let text = format!("no route for topic {name}: it does not exist, and is not created by sending to it; {advice}");
                ClientError::new(Code::TopicNotFound, text)
            }
        };
        error.with_topic(shown)
    }
}

/// A word of a command, quoted where a shell would read more into it.
pub(super) fn shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "%+-./:=@_".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{word}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advice() -> Advice {
        Advice { name_servers: "10.0.0.1:9876".into(), version: 407, ..Advice::default() }
    }

    fn text(advice: &Advice, topic: &str, missing: Missing, last_seen: Option<i64>) -> (Code, bool, String) {
        let error = advice.without_route(topic, topic, missing, last_seen);
        (error.code(), error.retriable(), error.message().to_owned())
    }

    #[test]
    fn commands_can_be_pasted() {
        assert!(
            advice()
                .create_topic("orders")
                .ends_with("mqadmin updateTopic -n 10.0.0.1:9876 -c DefaultCluster -t orders -r 8 -w 8")
        );
        let newer = Advice {
            name_servers: "a:9876;b:9876".into(),
            cluster: Some("my cluster".into()),
            version: 513,
            ..Advice::default()
        };
        assert!(newer.create_topic("a|b").ends_with(
            "mqadmin updateTopic -n 'a:9876;b:9876' -c 'my cluster' -t 'a|b' -r 8 -w 8 -a +message.type=FIFO"
        ));
        assert!(
            newer.create_group("GID_x").ends_with("mqadmin updateSubGroup -n 'a:9876;b:9876' -c 'my cluster' -g GID_x")
        );
    }

    #[test]
    fn on_alibaba_cloud_the_advice_is_the_consoles() {
        let advice = Advice { alibaba_cloud: true, ..advice() };
        for text in [advice.create_topic("t"), advice.create_group("g"), advice.make_readable("t")] {
            assert!(text.contains("console") && !text.contains("mqadmin"), "{text}");
        }
    }

    #[test]
    fn a_topic_that_had_a_route_is_not_to_be_created() {
        let (code, retriable, text) = text(&advice(), "orders", Missing::Topic, Some(1_769_860_984_000));
        assert_eq!((code, retriable), (Code::TopicNotFound, true));
        assert!(text.contains("last seen 2026-01-31T12:03:04Z") && !text.contains("mqadmin"), "{text}");
    }

    #[test]
    fn a_missing_topic_a_missing_cluster_and_a_missing_dead_letter_queue_are_told_apart() {
        let (code, retriable, told) = text(&advice(), "orders", Missing::Topic, None);
        assert_eq!((code, retriable), (Code::TopicNotFound, false));
        assert!(told.contains("mqadmin updateTopic -n 10.0.0.1:9876"), "{told}");
        let (code, retriable, told) = text(&advice(), "orders", Missing::Brokers, None);
        assert_eq!((code, retriable), (Code::NoMaster, true));
        assert!(told.contains("no broker is registered") && !told.contains("mqadmin"), "{told}");
        for topic in ["%DLQ%GID_billing", "%DLQ%MQ_INST_1_B%GID_billing"] {
            let (code, retriable, told) = text(&advice(), topic, Missing::Topic, None);
            assert_eq!((code, retriable), (Code::TopicNotFound, true));
            assert!(
                told.contains("first dead letter") && told.contains("GID_billing") && !told.contains("mqadmin"),
                "{told}"
            );
        }
    }
}
