//! Instance ids (namespaces) in front of topics and groups.

use std::borrow::Cow;

/// Prefix of a group's retry topic.
pub const RETRY_PREFIX: &str = "%RETRY%";
/// Prefix of a group's dead-letter topic.
pub const DLQ_PREFIX: &str = "%DLQ%";

/// Between namespace and name.
const SEPARATOR: char = '%';
const SYSTEM_TOPICS: [&str; 10] = [
    "TBW102",
    "SCHEDULE_TOPIC_XXXX",
    "BenchmarkTest",
    "RMQ_SYS_TRANS_HALF_TOPIC",
    "RMQ_SYS_TRACE_TOPIC",
    "RMQ_SYS_TRANS_OP_HALF_TOPIC",
    "TRANS_CHECK_MAX_TIME_TOPIC",
    "SELF_TEST_TOPIC",
    "OFFSET_MOVED_EVENT",
    "CHECKPOINT_TOPIC",
];
const SYSTEM_PREFIXES: [&str; 2] = ["rmq_sys_", "CID_RMQ_SYS_"];

/// The real name of a topic or group: `orders` becomes `NS%orders`, `%RETRY%G` becomes `%RETRY%NS%G`.
///
/// System resources, names already wrapped and an empty namespace are left as they are.
pub fn wrap<'a>(namespace: &str, resource: &'a str) -> Cow<'a, str> {
    let (prefix, rest) = split_prefix(resource);
    let unchanged = namespace.is_empty() || resource.is_empty() || is_system(resource);
    if unchanged || strip(namespace, rest).is_some() {
        return Cow::Borrowed(resource);
    }
    Cow::Owned(format!("{prefix}{namespace}{SEPARATOR}{rest}"))
}

/// The name a user knows: the reverse of [`wrap`].
pub fn unwrap<'a>(namespace: &str, resource: &'a str) -> Cow<'a, str> {
    let (prefix, rest) = split_prefix(resource);
    match strip(namespace, rest) {
        Some(own) if prefix.is_empty() => Cow::Borrowed(own),
        Some(own) => Cow::Owned(format!("{prefix}{own}")),
        None => Cow::Borrowed(resource),
    }
}

fn split_prefix(resource: &str) -> (&str, &str) {
    [RETRY_PREFIX, DLQ_PREFIX]
        .iter()
        .find(|prefix| resource.starts_with(**prefix))
        .map_or(("", resource), |prefix| resource.split_at(prefix.len()))
}

fn strip<'a>(namespace: &str, rest: &'a str) -> Option<&'a str> {
    if namespace.is_empty() { None } else { rest.strip_prefix(namespace)?.strip_prefix(SEPARATOR) }
}

/// Whether a topic or group is the same in every namespace.
fn is_system(resource: &str) -> bool {
    SYSTEM_TOPICS.contains(&resource) || SYSTEM_PREFIXES.iter().any(|prefix| resource.starts_with(prefix))
}

/// The retry topic of a real group.
pub fn retry_topic(group: &str) -> String {
    format!("{RETRY_PREFIX}{group}")
}

#[cfg(test)]
mod tests {
    use super::{unwrap, wrap};

    #[test]
    fn names_are_wrapped_once_and_unwrapped() {
        for (resource, wrapped, unwrapped) in [
            ("orders", "NS1%orders", "orders"),
            ("%RETRY%GID", "%RETRY%NS1%GID", "%RETRY%GID"),
            ("%DLQ%GID", "%DLQ%NS1%GID", "%DLQ%GID"),
            ("NS1%orders", "NS1%orders", "orders"),
            ("%RETRY%NS1%GID", "%RETRY%NS1%GID", "%RETRY%GID"),
            ("NS2%orders", "NS1%NS2%orders", "NS2%orders"),
            ("NS1orders", "NS1%NS1orders", "NS1orders"),
        ] {
            assert_eq!(wrap("NS1", resource), wrapped);
            assert_eq!(unwrap("NS1", resource), unwrapped);
            assert_eq!(unwrap("NS1", &wrap("NS1", resource)), unwrapped);
        }
    }

    #[test]
    fn system_names_and_an_empty_namespace_change_nothing() {
        for resource in ["TBW102", "RMQ_SYS_TRACE_TOPIC", "rmq_sys_TRACE_DATA_cn", "CID_RMQ_SYS_X", ""] {
            assert_eq!(wrap("NS1", resource), resource);
            assert_eq!(unwrap("NS1", resource), resource);
        }
        for resource in ["orders", "%RETRY%GID", "%orders", "%RETRY%%G"] {
            assert_eq!(wrap("", resource), resource);
            assert_eq!(unwrap("", resource), resource);
        }
    }
}
