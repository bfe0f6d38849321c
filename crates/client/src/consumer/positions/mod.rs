//! Where offsets are kept: at the brokers, for the whole group; or, in broadcasting, by each member itself, in memory or in a file.

mod file;
mod own;

use crate::client::CallError;
use crate::consumer::brokers::Brokers;
use crate::consumer::record;
use crate::consumer::shared::Shared;
use crate::env::Instant;
use crate::error::ClientError;
use crate::protocol::{CommitOffset, CommitOutcome, MessageQueue, QueryOffset};
use crate::record::event::{Event, Phase};

use super::options::MessageModel;

pub(crate) use self::own::Haste;
use self::own::OwnOffsets;

/// See the module.
#[derive(Debug)]
pub(crate) enum Positions {
    /// One owner per queue, whose progress is the group's.
    AtBrokers,
    /// Every member has every queue, and a progress of its own.
    Own(OwnOffsets),
}

impl Positions {
    /// Nothing is read yet.
    pub(crate) fn of(model: &MessageModel) -> Self {
        match model {
            MessageModel::Clustering => Self::AtBrokers,
            MessageModel::Broadcasting { offset_file } => Self::Own(OwnOffsets::new(offset_file.clone())),
        }
    }

    /// Why the last commits are not kept.
    pub(crate) fn problem(&self) -> Option<ClientError> {
        match self {
            Self::AtBrokers => None,
            Self::Own(own) => own.problem(),
        }
    }
}

impl<B: Brokers> Shared<B> {
    /// Whether every member of the group has every queue.
    pub(crate) fn is_broadcasting(&self) -> bool {
        matches!(self.positions, Positions::Own(_))
    }

    /// The committed offset of a real queue, if there is one.
    pub(crate) async fn committed(&self, queue: &MessageQueue) -> Result<Option<i64>, CallError> {
        if let Positions::Own(own) = &self.positions {
            return Ok(own.get(&self.shown(queue)));
        }
        self.ask_master(&queue.broker_name, &self.query(queue), self.brokers.timing().request_timeout).await
    }

    /// Commits the offset of a real queue; answered when it would outlast us.
    pub(crate) async fn commit(
        &self,
        queue: &MessageQueue,
        offset: i64,
        haste: Haste,
    ) -> Result<CommitOutcome, CallError> {
        let record = |phase| {
            self.options.history.record(|| Event::Commit { queue: record::name_of(queue), offset, phase });
        };
        record(Phase::Sent);
        let outcome = self.store(queue, offset, haste).await;
        record(record::phase(matches!(outcome, Ok(CommitOutcome::Committed))));
        outcome
    }

    async fn store(&self, queue: &MessageQueue, offset: i64, haste: Haste) -> Result<CommitOutcome, CallError> {
        if let Positions::Own(own) = &self.positions {
            let stored = own.commit(self.shown(queue), offset, haste).await;
            return stored.map(|()| CommitOutcome::Committed).map_err(CallError::NotSent);
        }
        let MessageQueue { topic, broker_name, queue_id } = queue.clone();
        let request = CommitOffset { group: self.group.name.clone(), topic, broker_name, queue_id, offset };
        self.ask_master(&queue.broker_name, &request, self.brokers.timing().request_timeout).await
    }

    /// The question for what the group has committed at a broker.
    pub(crate) fn query(&self, queue: &MessageQueue) -> QueryOffset {
        let MessageQueue { topic, broker_name, queue_id } = queue.clone();
        QueryOffset { group: self.group.name.clone(), topic, broker_name, queue_id, zero_if_young: false }
    }

    fn shown(&self, queue: &MessageQueue) -> MessageQueue {
        MessageQueue { topic: self.brokers.unwrap(&queue.topic), ..queue.clone() }
    }

    /// Reads the file of offsets, and makes this its owner, where there is one: before any broker hears of us.
    pub(crate) async fn open_positions(self: &std::sync::Arc<Self>) -> Result<(), ClientError> {
        match &self.positions {
            Positions::AtBrokers => Ok(()),
            Positions::Own(own) => own.open(self).await,
        }
    }

    /// The last look at what is to be kept, once nothing moves any more; then others may have the file.
    pub(crate) async fn close_positions(&self, firm: Instant) {
        if let Positions::Own(own) = &self.positions
            && let Err(error) = own.close(firm).await
        {
            self.warn(error);
        }
    }
}
