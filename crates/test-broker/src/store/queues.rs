//! Queues of messages. Offsets are as a real broker counts them; nothing is ever written anywhere.

use std::collections::BTreeMap;

use super::record::Record;

/// Most entries of a queue that one pull looks at.
const FILTER_WINDOW: usize = 800;
/// Most messages in one answer.
const MAX_MESSAGES: usize = 32;
/// Most bytes in one answer, of several messages.
const MAX_BYTES: usize = 256 * 1024;

/// Settings of a topic at one broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicConfig {
    pub(crate) read_queues: i32,
    pub(crate) write_queues: i32,
    /// 4 read, 2 write, 1 inherit.
    pub(crate) perm: i32,
    pub(crate) order: bool,
    pub(crate) sys_flag: i32,
    pub(crate) attributes: BTreeMap<String, String>,
}

impl TopicConfig {
    /// `queues` queues to read and write.
    pub(crate) fn of(queues: i32) -> Self {
        Self {
            read_queues: queues,
            write_queues: queues,
            perm: 6,
            order: false,
            sys_flag: 0,
            attributes: BTreeMap::new(),
        }
    }
}

/// A topic at one broker.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) config: TopicConfig,
    /// As many as there ever were; what a smaller route leaves out stays readable for it.
    count: i32,
    /// Those that something has happened to: as at a real broker, the others take no memory.
    used: BTreeMap<i32, Queue>,
}

impl Topic {
    pub(crate) fn new(config: TopicConfig) -> Self {
        let mut topic = Self { config, count: 0, used: BTreeMap::new() };
        topic.grow();
        topic
    }

    /// Changes the settings; queues keep their messages.
    pub(crate) fn configure(&mut self, config: TopicConfig) {
        self.config = config;
        self.grow();
    }

    fn grow(&mut self) {
        self.count = self.count.max(self.config.read_queues).max(self.config.write_queues);
    }

    pub(crate) fn queue(&self, id: i32) -> Option<&Queue> {
        (0..self.count).contains(&id).then(|| self.used.get(&id).unwrap_or(&EMPTY))
    }

    pub(crate) fn queue_mut(&mut self, id: i32) -> Option<&mut Queue> {
        (0..self.count).contains(&id).then(|| self.used.entry(id).or_default())
    }

    /// Queues with their numbers, without those to which nothing has happened.
    pub(crate) fn used(&self) -> impl Iterator<Item = (i32, &Queue)> {
        self.used.iter().map(|(id, queue)| (*id, queue))
    }

    /// The same, to be changed.
    pub(crate) fn used_mut(&mut self) -> impl Iterator<Item = &mut Queue> {
        self.used.values_mut()
    }
}

/// A queue to which nothing has happened.
static EMPTY: Queue = Queue { min: 0, records: Vec::new(), visible: 0, skew: 0 };

/// One queue.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// Offset of the first message that is still there.
    pub(crate) min: i64,
    records: Vec<Record>,
    /// Offset behind the last message that a pull sees: acknowledged ones may follow, for some ms.
    pub(crate) visible: i64,
    /// By how much the offsets in records and answers run ahead of the queue's own, after records were lost to a wrong sysFlag.
    skew: i64,
}

impl Queue {
    /// Offset behind the last message stored.
    pub(crate) fn end(&self) -> i64 {
        self.min + i64::try_from(self.records.len()).unwrap_or(i64::MAX)
    }

    /// Offset that the next message is told.
    pub(crate) fn next_offset(&self) -> i64 {
        self.end() + self.skew
    }

    /// Keeps a message; it is not visible yet.
    pub(crate) fn push(&mut self, record: Record) {
        self.records.push(record);
    }

    /// Loses a message that was acknowledged: its place is told and never filled.
    pub(crate) fn lose(&mut self) {
        self.skew += 1;
    }

    /// All messages, with the offset at which pulls find each.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (i64, &Record)> {
        (self.min..).zip(&self.records).collect::<Vec<_>>().into_iter()
    }

    /// What is stored and not visible yet.
    pub(crate) fn unseen(&self) -> &[Record] {
        let seen = usize::try_from(self.visible - self.min).unwrap_or(0);
        self.records.get(seen..).unwrap_or_default()
    }

    /// The message at an offset.
    pub(crate) fn at(&self, offset: i64) -> Option<&Record> {
        self.records.get(usize::try_from(offset.checked_sub(self.min)?).ok()?)
    }

    /// Deletes what lies before an offset, as retention does.
    pub(crate) fn truncate_before(&mut self, offset: i64) {
        let offset = offset.clamp(self.min, self.end());
        self.records.drain(..usize::try_from(offset - self.min).unwrap_or(0));
        self.min = offset;
        self.visible = self.visible.max(offset);
    }

    /// Deletes what lies at and behind an offset: what comes next gets these offsets again.
    pub(crate) fn set_back(&mut self, offset: i64) {
        let kept = offset.clamp(self.min, self.end()) - self.min;
        self.records.truncate(usize::try_from(kept).unwrap_or(0));
        self.visible = self.visible.min(self.end());
    }

    /// Deletes what was stored at or behind a place of the log.
    pub(crate) fn cut_log_at(&mut self, physical_offset: i64) {
        self.records.retain(|record| record.physical_offset < physical_offset);
        self.visible = self.visible.min(self.end());
        self.skew = 0;
    }

    /// Offset of the first message stored at or after a time, or behind the last.
    pub(crate) fn at_or_after(&self, timestamp: i64) -> i64 {
        self.iter().find(|(_, record)| record.store_timestamp >= timestamp).map_or(self.end(), |(offset, _)| offset)
    }

    /// What a pull finds.
    pub(crate) fn look(&self, offset: i64, max: i32, wanted: impl Fn(&Record) -> bool) -> Found<'_> {
        if self.visible == 0 || self.visible == self.min {
            let next = if self.visible == 0 { 0 } else { self.min };
            return Found { status: Status::NoMessageInQueue, next, records: Vec::new() };
        }
        let none = |status, next| Found { status, next, records: Vec::new() };
        if offset < self.min {
            return none(Status::OffsetTooSmall, self.min);
        }
        if offset == self.visible {
            return none(Status::OffsetOverflowOne, offset);
        }
        if offset > self.visible {
            return none(Status::OffsetOverflowBadly, self.visible);
        }
        let max = usize::try_from(max).unwrap_or(1).clamp(1, MAX_MESSAGES);
        let first = usize::try_from(offset - self.min).unwrap_or(0);
        let seen = usize::try_from(self.visible - self.min).unwrap_or(0);
        let (mut records, mut bytes, mut next) = (Vec::new(), 0, offset);
        for record in self.records.get(first..seen).unwrap_or_default().iter().take(FILTER_WINDOW) {
            if wanted(record) {
                if records.len() >= max || (!records.is_empty() && bytes + record.len() > MAX_BYTES) {
                    break;
                }
                bytes += record.len();
                records.push(record);
            }
            next += 1;
        }
        let status = if records.is_empty() { Status::NoMatchedMessage } else { Status::Found };
        Found { status, next, records }
    }
}

/// What a look at a queue came to.
#[derive(Debug)]
pub(crate) struct Found<'a> {
    pub(crate) status: Status,
    /// Where to look next.
    pub(crate) next: i64,
    pub(crate) records: Vec<&'a Record>,
}

/// The broker's own names of it, which travel as remarks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Found,
    NoMatchedMessage,
    OffsetTooSmall,
    OffsetOverflowOne,
    OffsetOverflowBadly,
    NoMessageInQueue,
    OffsetReset,
}

impl Status {
    /// The remark.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Found => "FOUND",
            Self::NoMatchedMessage => "NO_MATCHED_MESSAGE",
            Self::OffsetTooSmall => "OFFSET_TOO_SMALL",
            Self::OffsetOverflowOne => "OFFSET_OVERFLOW_ONE",
            Self::OffsetOverflowBadly => "OFFSET_OVERFLOW_BADLY",
            Self::NoMessageInQueue => "NO_MESSAGE_IN_QUEUE",
            Self::OffsetReset => "OFFSET_RESET",
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Queue, Status, Topic, TopicConfig};
    use crate::store::record::Record;

    fn queue(bodies: &[usize]) -> Queue {
        let mut queue = Queue::default();
        for (at, size) in bodies.iter().enumerate() {
            let at = i64::try_from(at).unwrap();
            queue.push(Record {
                topic: "t".into(),
                queue_id: 0,
                queue_offset: at,
                physical_offset: at * 100,
                flag: 0,
                sys_flag: 0,
                born_timestamp: at,
                born_host: "127.0.0.1:1".parse().unwrap(),
                store_timestamp: at * 10,
                store_host: "127.0.0.1:2".parse().unwrap(),
                reconsume_times: 0,
                body: Bytes::from(vec![0; *size]),
                properties: String::new(),
                tag_code: i32::try_from(at % 2).unwrap(),
            });
        }
        queue.visible = queue.end();
        queue
    }

    fn looked(queue: &Queue, offset: i64) -> (Status, i64, usize) {
        let found = queue.look(offset, 32, |_| true);
        (found.status, found.next, found.records.len())
    }

    #[test]
    fn queues_take_memory_when_something_happens_to_them() {
        let mut topic = Topic::new(TopicConfig::of(65_536));
        assert_eq!((topic.queue(65_535).map(Queue::end), topic.queue(65_536).is_none()), (Some(0), true));
        assert!(topic.queue(-1).is_none() && topic.queue_mut(65_536).is_none() && topic.queue_mut(-1).is_none());
        assert_eq!(topic.used().count(), 0);
        topic.queue_mut(7).unwrap().lose();
        topic.configure(TopicConfig::of(1));
        assert_eq!(topic.used().map(|(id, queue)| (id, queue.next_offset())).collect::<Vec<_>>(), [(7, 1)]);
        assert!(topic.queue(65_535).is_some(), "what there was once can be read");
    }

    #[test]
    fn offsets_outside_the_queue_are_corrected() {
        let one = queue(&[1]);
        assert_eq!(looked(&one, 0), (Status::Found, 1, 1));
        assert_eq!(looked(&one, 1), (Status::OffsetOverflowOne, 1, 0));
        assert_eq!(looked(&one, 5), (Status::OffsetOverflowBadly, 1, 0));
        assert_eq!(looked(&one, -1), (Status::OffsetTooSmall, 0, 0));
        assert_eq!(looked(&Queue::default(), 3), (Status::NoMessageInQueue, 0, 0));
    }

    #[test]
    fn answers_are_bounded_but_never_empty() {
        assert_eq!(looked(&queue(&[1; 100]), 0), (Status::Found, 32, 32));
        assert_eq!(looked(&queue(&[20_000; 20]), 0), (Status::Found, 13, 13));
        assert_eq!(looked(&queue(&[4_000_000, 1]), 0), (Status::Found, 1, 1));
        assert_eq!(queue(&[1; 9]).look(0, 0, |_| true).records.len(), 1);
    }

    #[test]
    fn a_filter_looks_at_800_entries_and_makes_progress() {
        let long = queue(&[1; 2000]);
        let none = long.look(0, 32, |_| false);
        assert_eq!((none.status, none.next), (Status::NoMatchedMessage, 800));
        let odd = long.look(0, 3, |record| record.tag_code == 1);
        assert_eq!(odd.records.iter().map(|record| record.queue_offset).collect::<Vec<_>>(), [1, 3, 5]);
        assert_eq!(odd.next, 7, "what did not match before the next match is passed too");
    }

    #[test]
    fn what_is_not_visible_yet_is_not_there() {
        let mut young = queue(&[1; 5]);
        young.visible = 3;
        assert_eq!(looked(&young, 0), (Status::Found, 3, 3));
        assert_eq!(looked(&young, 3), (Status::OffsetOverflowOne, 3, 0));
        assert_eq!(young.next_offset(), 5);
    }

    #[test]
    fn times_find_offsets() {
        let queue = queue(&[1; 5]);
        assert_eq!(
            [queue.at_or_after(-5), queue.at_or_after(11), queue.at_or_after(40), queue.at_or_after(41)],
            [0, 2, 4, 5]
        );
    }

    #[test]
    fn retention_moves_the_beginning() {
        let mut queue = queue(&[1; 5]);
        queue.truncate_before(3);
        assert_eq!(looked(&queue, 0), (Status::OffsetTooSmall, 3, 0));
        assert_eq!(looked(&queue, 3), (Status::Found, 5, 2));
        assert_eq!(queue.at(3).unwrap().queue_offset, 3);
        queue.truncate_before(9);
        assert_eq!((queue.min, queue.end()), (5, 5));
    }

    #[test]
    fn a_store_that_is_set_back_gives_its_offsets_again() {
        let mut queue = queue(&[1; 5]);
        queue.truncate_before(1);
        queue.set_back(3);
        assert_eq!((queue.next_offset(), looked(&queue, 5)), (3, (Status::OffsetOverflowBadly, 3, 0)));
        queue.set_back(0);
        assert_eq!((queue.min, queue.end(), queue.visible), (1, 1, 1));
    }
}
