//! Whether all members of the group have the same message model. Brokers keep one per group, that of the last heartbeat, and check nothing: a
//! clustering member leaves queues to a broadcasting one, which handles them for itself alone.

use std::collections::BTreeSet;

use super::Others;
use crate::error::{ClientError, Code};

/// What is known of the others.
#[derive(Debug, Default)]
pub(super) struct Models {
    /// Members whose own word is another than ours.
    said: BTreeSet<String>,
    /// Members by whose own word it is ours.
    agreed: BTreeSet<String>,
    /// A broker has shown another since the members changed last.
    seen: bool,
    /// It was told.
    told: BTreeSet<String>,
}

impl Models {
    /// The members have changed.
    pub(super) fn renew(&mut self, others: &Others) {
        self.said.retain(|member| others.contains_key(member));
        self.agreed.retain(|member| others.contains_key(member));
        self.seen = false;
    }

    /// A member's own word.
    pub(super) fn say(&mut self, member: &str, differs: bool) {
        let (to, from) = if differs { (&mut self.said, &mut self.agreed) } else { (&mut self.agreed, &mut self.said) };
        from.remove(member);
        to.insert(member.to_owned());
    }

    /// What a broker shows of the group.
    pub(super) fn show(&mut self, differs: bool) {
        self.seen |= differs;
    }

    /// Who differs, or may.
    fn members(&self, others: &Others) -> BTreeSet<String> {
        if self.said.is_empty() && self.seen {
            return others.keys().filter(|member| !self.agreed.contains(*member)).cloned().collect();
        }
        self.said.clone()
    }

    /// What is wrong now, and whether it is news.
    pub(super) fn problem(
        &mut self,
        others: &Others,
        group: &str,
        is_broadcasting: bool,
    ) -> Option<(ClientError, bool)> {
        let members = self.members(others);
        let is_news = !members.is_subset(&self.told);
        self.told.clone_from(&members);
        let (first, more) = (members.first()?, members.len() - 1);
        let who = if more == 0 { format!("member {first}") } else { format!("member {first} and {more} more") };
        let (theirs, ours) =
            if is_broadcasting { ("clustering", "broadcasting") } else { ("broadcasting", "clustering") };
        let text = format!(
            "{who} of group {group} is {theirs}, this consumer is {ours}: clustering members leave queues to the broadcasting ones, which handle \
             them for themselves alone, so that messages of the group are handled by nobody. Give one of the two programs a group of its own"
        );
        Some((ClientError::new(Code::MessageModel, text), is_news))
    }
}

/// `BROADCASTING`, in whatever spelling.
pub(super) fn is_broadcasting(model: &str) -> bool {
    model.eq_ignore_ascii_case("broadcasting")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn others(ids: &[&str]) -> BTreeMap<String, String> {
        ids.iter().map(|id| ((*id).to_owned(), String::from("a:1"))).collect()
    }

    fn told(models: &mut Models, others: &Others) -> Option<(String, bool)> {
        models.problem(others, "g", false).map(|(error, is_news)| (error.message().to_owned(), is_news))
    }

    #[test]
    fn who_says_so_is_named_once() {
        let all = others(&["b", "c"]);
        let mut models = Models::default();
        models.say("b", true);
        models.say("c", false);
        let (text, is_news) = told(&mut models, &all).unwrap();
        assert!(
            text.starts_with("member b of group g is broadcasting, this consumer is clustering") && is_news,
            "{text}"
        );
        assert!(!told(&mut models, &all).unwrap().1);
        models.renew(&others(&["c"]));
        assert_eq!(told(&mut models, &others(&["c"])), None);
    }

    #[test]
    fn what_a_broker_shows_is_of_those_who_do_not_tell() {
        let all = others(&["b", "c"]);
        let mut models = Models::default();
        models.say("c", false);
        models.show(true);
        models.show(false);
        assert!(told(&mut models, &all).unwrap().0.starts_with("member b of group g"));
        models.say("b", false);
        assert_eq!(told(&mut models, &all), None, "all have said what they are");
    }
}
