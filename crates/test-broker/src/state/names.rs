//! Names that every broker knows.

/// Every broker's cluster.
pub(crate) const CLUSTER: &str = "DefaultCluster";
/// Every broker's region for traces.
pub(crate) const REGION: &str = "DefaultRegion";
/// The topic that others are auto-created after.
pub(crate) const TEMPLATE_TOPIC: &str = "TBW102";
/// Beginning of a group's retry topic.
pub(crate) const RETRY: &str = "%RETRY%";
/// Beginning of a group's dead-letter topic.
pub(crate) const DEAD_LETTERS: &str = "%DLQ%";

/// Whether a name has at most so many of a topic's characters.
pub(crate) fn is_name(name: &str, max: usize) -> bool {
    let legal = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '%' | '|' | '_' | '-');
    !name.trim().is_empty() && name.chars().count() <= max && name.chars().all(legal)
}
