//! Request and response codes, by RocketMQ's own names.

/// Codes of requests, ours and the broker's.
pub mod request {
    /// Pull messages of one queue, possibly waiting for them.
    pub const PULL_MESSAGE: i32 = 11;
    /// Committed offset of a group and queue.
    pub const QUERY_CONSUMER_OFFSET: i32 = 14;
    /// Commit the offset of a group and queue.
    pub const UPDATE_CONSUMER_OFFSET: i32 = 15;
    /// Offset of a queue by time.
    pub const SEARCH_OFFSET_BY_TIMESTAMP: i32 = 29;
    /// Offset behind a queue's last message.
    pub const GET_MAX_OFFSET: i32 = 30;
    /// Offset of a queue's first message.
    pub const GET_MIN_OFFSET: i32 = 31;
    /// Registration of a client's groups, and proof of life.
    pub const HEART_BEAT: i32 = 34;
    /// Farewell of one group of a client.
    pub const UNREGISTER_CLIENT: i32 = 35;
    /// Members of a group as one broker sees them.
    pub const GET_CONSUMER_LIST_BY_GROUP: i32 = 38;
    /// Push to a producer about a transaction; ignored.
    pub const CHECK_TRANSACTION_STATE: i32 = 39;
    /// Push: the members of a group have changed.
    pub const NOTIFY_CONSUMER_IDS_CHANGED: i32 = 40;
    /// Lock queues for one client of a group, or renew.
    pub const LOCK_BATCH_MQ: i32 = 41;
    /// Unlock queues.
    pub const UNLOCK_BATCH_MQ: i32 = 42;
    /// Check a subscription's expression.
    pub const CHECK_CLIENT_CONFIG: i32 = 46;
    /// Clusters and their brokers, from a name server.
    pub const GET_BROKER_CLUSTER_INFO: i32 = 106;
    /// Route of a topic, from a name server.
    pub const GET_ROUTEINFO_BY_TOPIC: i32 = 105;
    /// Members of a group and what they subscribe, as one broker keeps it.
    pub const GET_CONSUMER_CONNECTION_LIST: i32 = 203;
    /// Push: an administrator moves a group's offsets.
    pub const RESET_CONSUMER_CLIENT_OFFSET: i32 = 220;
    /// Push: an administrator asks for a consumer's offsets.
    pub const GET_CONSUMER_STATUS_FROM_CLIENT: i32 = 221;
    /// Push: an administrator, or another member, asks for a consumer's state; ours to ask, too.
    pub const GET_CONSUMER_RUNNING_INFO: i32 = 307;
    /// Push: an administrator hands one message to a consumer.
    pub const CONSUME_MESSAGE_DIRECTLY: i32 = 309;
    /// Store one message, short field names.
    pub const SEND_MESSAGE_V2: i32 = 310;
    /// Store a classic batch.
    pub const SEND_BATCH_MESSAGE: i32 = 320;

    /// How texts for people call a request of ours.
    pub fn name(code: i32) -> &'static str {
        match code {
            PULL_MESSAGE => "the pull",
            QUERY_CONSUMER_OFFSET => "the question for a committed offset",
            UPDATE_CONSUMER_OFFSET => "the commit of an offset",
            SEARCH_OFFSET_BY_TIMESTAMP => "the question for the offset of a time",
            GET_MAX_OFFSET => "the question for the end of a queue",
            GET_MIN_OFFSET => "the question for the beginning of a queue",
            HEART_BEAT => "the heartbeat",
            UNREGISTER_CLIENT => "the farewell",
            GET_CONSUMER_LIST_BY_GROUP => "the question for the group's members",
            LOCK_BATCH_MQ => "the lock of queues",
            UNLOCK_BATCH_MQ => "the unlock of queues",
            CHECK_CLIENT_CONFIG => "the check of the subscription",
            GET_BROKER_CLUSTER_INFO => "the question for the brokers",
            GET_ROUTEINFO_BY_TOPIC => "the question for a route",
            203 => "the question for the group's subscriptions",
            SEND_MESSAGE_V2 | SEND_BATCH_MESSAGE => "the send",
            _ => "a request",
        }
    }
}

/// Codes of responses.
pub mod response {
    /// Done.
    pub const SUCCESS: i32 = 0;
    /// Any failure without a code of its own; the remark says which.
    pub const SYSTEM_ERROR: i32 = 1;
    /// Overload: nothing was stored.
    pub const SYSTEM_BUSY: i32 = 2;
    /// The server does not know the request code.
    pub const REQUEST_CODE_NOT_SUPPORTED: i32 = 3;
    /// Stored; the flush to disk was not confirmed in time.
    pub const FLUSH_DISK_TIMEOUT: i32 = 10;
    /// Stored on the master only: no slave was there.
    pub const SLAVE_NOT_AVAILABLE: i32 = 11;
    /// Stored; the copy at the slave was not confirmed in time.
    pub const FLUSH_SLAVE_TIMEOUT: i32 = 12;
    /// Body or properties too large, or a batch the broker will not take.
    pub const MESSAGE_ILLEGAL: i32 = 13;
    /// The broker takes no writes now.
    pub const SERVICE_NOT_AVAILABLE: i32 = 14;
    /// Refused: permission of a topic or group, or of the account (5.x).
    pub const NO_PERMISSION: i32 = 16;
    /// Unknown topic, or no route for it.
    pub const TOPIC_NOT_EXIST: i32 = 17;
    /// Pull: nothing new.
    pub const PULL_NOT_FOUND: i32 = 19;
    /// Pull: nothing matched the filter up to the next offset.
    pub const PULL_RETRY_IMMEDIATELY: i32 = 20;
    /// Pull: the offset is illegal, the next offset is the correction.
    pub const PULL_OFFSET_MOVED: i32 = 21;
    /// Nothing is stored under what was asked for.
    pub const QUERY_NOT_FOUND: i32 = 22;
    /// The filter expression does not parse.
    pub const SUBSCRIPTION_PARSE_FAILED: i32 = 23;
    /// The broker does not know the group or its subscription: heartbeat first.
    pub const SUBSCRIPTION_NOT_EXIST: i32 = 24;
    /// The broker's subscription is older than the request's: heartbeat first.
    pub const SUBSCRIPTION_NOT_LATEST: i32 = 25;
    /// The group does not exist and is not created.
    pub const SUBSCRIPTION_GROUP_NOT_EXIST: i32 = 26;
    /// Illegal queue id or topic name (5.x).
    pub const INVALID_PARAMETER: i32 = 29;
    /// Pull throttled: again after 20 ms.
    pub const FLOW_CONTROL: i32 = 215;
    /// The server is leaving and did not execute the request: reconnect and resend.
    pub const GO_AWAY: i32 = 1500;
}
