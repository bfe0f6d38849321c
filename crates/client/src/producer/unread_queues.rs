//! Topics of which some queues are written and not read. They are written all the same, as by Java: keys must not move.

use super::model::Out;
use super::state::State;
use crate::client::written_unread;
use crate::error::ClientError;
use crate::protocol::{MessageQueue, TopicRoute};

/// What is known about it of one topic.
#[derive(Debug, Default)]
pub(super) struct UnreadQueues {
    queues: Vec<MessageQueue>,
    problem: Option<ClientError>,
}

impl State {
    /// A new route: a warning for each change to the worse.
    pub(super) fn note_unread(&mut self, topic: u32, route: &TopicRoute, out: &mut Out) {
        let it = &mut self.topics[topic];
        let queues = route.unread_queues(&it.real);
        let problem = written_unread(route, &queues, &it.name, &self.advice);
        let is_news = queues != it.unread.queues;
        out.warnings.extend(problem.clone().filter(|_| is_news));
        it.unread = UnreadQueues { queues, problem };
    }

    /// For `health()`, as long as it lasts.
    pub(super) fn unread(&self) -> Vec<ClientError> {
        self.topics.iter().filter_map(|(_, topic)| topic.unread.problem.clone()).collect()
    }
}
