//! How a test broker is to be, and the settings that its brokers begin with.

use std::collections::BTreeMap;

use crate::protocol::Credentials;
use crate::release::Release;
use crate::state::names::CLUSTER;
use crate::wire::tls::ServerTls;

/// How a test broker is to be.
#[derive(Debug, Clone)]
pub struct TestBrokerOptions {
    /// Topics and their queues, spread over the brokers. `None`: topics are created as they are sent to.
    pub topics: Option<Vec<(String, i32)>>,
    /// Groups. `None`: groups are created as they come.
    pub groups: Option<Vec<String>>,
    /// How many brokers.
    pub brokers: usize,
    /// Port of the name server; 0 for any.
    pub port: u16,
    /// Which broker line is shown.
    pub release: Release,
    /// Accounts with all rights; none: no access control.
    pub credentials: Vec<Credentials>,
    /// Of every probability.
    pub seed: u64,
    /// By which a real broker's times are multiplied.
    pub time_factor: f64,
    /// How all servers speak TLS; none: they do not.
    pub tls: Option<ServerTls>,
}

impl Default for TestBrokerOptions {
    fn default() -> Self {
        Self {
            topics: None,
            groups: None,
            brokers: 1,
            port: 0,
            release: Release::V5,
            credentials: Vec::new(),
            seed: 0,
            time_factor: 1.0,
            tls: None,
        }
    }
}

/// What a broker keeps over a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Everything but connections, as after a broken network.
    All,
    /// What was on disk: no locks, no offsets of the last 5 s.
    Stored,
}

/// Settings of a broker as the console shows them; what is not here has no effect.
pub(crate) fn config(creates_topics: bool, creates_groups: bool) -> BTreeMap<String, String> {
    [
        ("autoCreateTopicEnable", if creates_topics { "true" } else { "false" }),
        ("autoCreateSubscriptionGroup", if creates_groups { "true" } else { "false" }),
        ("brokerClusterName", CLUSTER),
        ("brokerId", "0"),
        ("brokerPermission", "6"),
        ("enablePropertyFilter", "true"),
        ("enableShutdownGracefully", "false"),
        ("maxMessageSize", "4194304"),
        ("sendMessageThreadPoolNums", "4"),
        ("shutdownWaitTimeSeconds", "30"),
        ("useServerSideResetOffset", "true"),
        ("waitTimeMillsInSendQueue", "200"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}
