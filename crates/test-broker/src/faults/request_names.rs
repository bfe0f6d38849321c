//! Request codes, and the names that RocketMQ and the rules of tests give them.

use crate::protocol::code::request;

/// A pull that 4.9 does not know.
pub(crate) const LITE_PULL: i32 = 361;

/// Request codes and their names.
const NAMES: [(i32, &str); 58] = [
    (10, "SEND_MESSAGE"),
    (11, "PULL_MESSAGE"),
    (12, "QUERY_MESSAGE"),
    (14, "QUERY_CONSUMER_OFFSET"),
    (15, "UPDATE_CONSUMER_OFFSET"),
    (17, "UPDATE_AND_CREATE_TOPIC"),
    (18, "UPDATE_AND_CREATE_TOPIC_LIST"),
    (21, "GET_ALL_TOPIC_CONFIG"),
    (25, "UPDATE_BROKER_CONFIG"),
    (26, "GET_BROKER_CONFIG"),
    (28, "GET_BROKER_RUNTIME_INFO"),
    (29, "SEARCH_OFFSET_BY_TIMESTAMP"),
    (30, "GET_MAX_OFFSET"),
    (31, "GET_MIN_OFFSET"),
    (32, "GET_EARLIEST_MSG_STORETIME"),
    (33, "VIEW_MESSAGE_BY_ID"),
    (34, "HEART_BEAT"),
    (35, "UNREGISTER_CLIENT"),
    (36, "CONSUMER_SEND_MSG_BACK"),
    (37, "END_TRANSACTION"),
    (38, "GET_CONSUMER_LIST_BY_GROUP"),
    (41, "LOCK_BATCH_MQ"),
    (42, "UNLOCK_BATCH_MQ"),
    (46, "CHECK_CLIENT_CONFIG"),
    (50, "UPDATE_AND_CREATE_ACL_CONFIG"),
    (100, "PUT_KV_CONFIG"),
    (101, "GET_KV_CONFIG"),
    (102, "DELETE_KV_CONFIG"),
    (105, "GET_ROUTEINFO_BY_TOPIC"),
    (106, "GET_BROKER_CLUSTER_INFO"),
    (200, "UPDATE_AND_CREATE_SUBSCRIPTIONGROUP"),
    (201, "GET_ALL_SUBSCRIPTIONGROUP_CONFIG"),
    (202, "GET_TOPIC_STATS_INFO"),
    (203, "GET_CONSUMER_CONNECTION_LIST"),
    (204, "GET_PRODUCER_CONNECTION_LIST"),
    (205, "WIPE_WRITE_PERM_OF_BROKER"),
    (206, "GET_ALL_TOPIC_LIST_FROM_NAMESERVER"),
    (207, "DELETE_SUBSCRIPTIONGROUP"),
    (208, "GET_CONSUME_STATS"),
    (215, "DELETE_TOPIC_IN_BROKER"),
    (216, "DELETE_TOPIC_IN_NAMESRV"),
    (222, "INVOKE_BROKER_TO_RESET_OFFSET"),
    (223, "INVOKE_BROKER_TO_GET_CONSUMER_STATUS"),
    (224, "GET_SYSTEM_TOPIC_LIST_FROM_NS"),
    (300, "QUERY_TOPIC_CONSUME_BY_WHO"),
    (307, "GET_CONSUMER_RUNNING_INFO"),
    (309, "CONSUME_MESSAGE_DIRECTLY"),
    (310, "SEND_MESSAGE_V2"),
    (318, "UPDATE_NAMESRV_CONFIG"),
    (319, "GET_NAMESRV_CONFIG"),
    (320, "SEND_BATCH_MESSAGE"),
    (327, "ADD_WRITE_PERM_OF_BROKER"),
    (343, "QUERY_TOPICS_BY_CONSUMER"),
    (351, "GET_TOPIC_CONFIG"),
    (352, "GET_SUBSCRIPTIONGROUP_CONFIG"),
    (361, "LITE_PULL_MESSAGE"),
    (3001, "AUTH_CREATE_USER"),
    (3006, "AUTH_CREATE_ACL"),
];

/// RocketMQ's name of a request code.
pub(crate) fn code_name(code: i32) -> String {
    NAMES.iter().find(|(known, _)| *known == code).map_or_else(|| format!("UNKNOWN_{code}"), |(_, name)| (*name).into())
}

/// Whether a request stores messages for a producer.
pub(crate) fn is_send(code: i32) -> bool {
    matches!(code, 10 | request::SEND_MESSAGE_V2 | request::SEND_BATCH_MESSAGE)
}

/// Codes behind the names that rules give requests.
pub fn codes_of(name: &str) -> Option<&'static [i32]> {
    Some(match name {
        "send" => &[10, request::SEND_MESSAGE_V2, request::SEND_BATCH_MESSAGE],
        "pull" => &[request::PULL_MESSAGE, LITE_PULL],
        "lock" => &[request::LOCK_BATCH_MQ],
        "unlock" => &[request::UNLOCK_BATCH_MQ],
        "commit" => &[request::UPDATE_CONSUMER_OFFSET],
        "heartbeat" => &[request::HEART_BEAT],
        "route" => &[request::GET_ROUTEINFO_BY_TOPIC],
        _ => return None,
    })
}
