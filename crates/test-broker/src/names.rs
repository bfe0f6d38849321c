//! Names that every broker knows.

/// Every broker's cluster.
pub(super) const CLUSTER: &str = "DefaultCluster";
/// Every broker's region for traces.
pub(super) const REGION: &str = "DefaultRegion";
/// The topic that others are auto-created after.
pub(super) const TEMPLATE_TOPIC: &str = "TBW102";
/// Beginning of a group's retry topic.
pub(super) const RETRY: &str = "%RETRY%";
/// Beginning of a group's dead-letter topic.
pub(super) const DEAD_LETTERS: &str = "%DLQ%";

/// Whether a name has at most so many of a topic's characters.
pub(super) fn is_name(name: &str, max: usize) -> bool {
    let legal = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '%' | '|' | '_' | '-');
    !name.trim().is_empty() && name.chars().count() <= max && name.chars().all(legal)
}
