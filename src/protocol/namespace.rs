//! Instance ids (namespaces) in front of topics and groups.

use std::borrow::Cow;

/// Prefix of a group's retry topic.
pub(crate) const RETRY_PREFIX: &str = "%RETRY%";
/// Prefix of a group's dead-letter topic.
pub(crate) const DLQ_PREFIX: &str = "%DLQ%";

/// The real name of a topic or group: `orders` becomes `NS%orders`, `%RETRY%G` becomes `%RETRY%NS%G`.
///
/// System resources, names already wrapped and an empty namespace are left as they are.
pub(crate) fn wrap<'a>(namespace: &str, resource: &'a str) -> Cow<'a, str> {
    let _ = namespace;
    let _: &'a str = resource;
    todo!()
}

/// The name a user knows: the reverse of [`wrap`].
pub(crate) fn unwrap<'a>(namespace: &str, resource: &'a str) -> Cow<'a, str> {
    let _ = namespace;
    let _: &'a str = resource;
    todo!()
}

/// The retry topic of a real group.
pub(crate) fn retry_topic(group: &str) -> String {
    format!("{RETRY_PREFIX}{group}")
}
