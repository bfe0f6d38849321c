//! The messages of one queue in memory: pulled, and not done yet. They wait in lanes, each of which is handled in order: one for the whole
//! queue, or one for each sharding key, and one for what has none.

mod lane;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use self::lane::{Buffered, Lane};
use super::troubles::Trouble;
use crate::consumer::options::OrderedBy;
use crate::consumer::sink::Delivery;
use crate::env::{Instant, planted};
use crate::protocol::StoredMessage;
use crate::protocol::properties::name;

/// Most messages of a chunk, unless a handler wants more at once.
const CHUNK_MESSAGES: usize = 32;
/// Chunks of a queue under way: the second, so that handlers never wait for a thread hop. Of a key it is one, as there are others.
const CHUNKS: usize = 2;

/// Consecutive messages on their way to the sink.
#[derive(Debug)]
pub(super) struct Chunk {
    /// Where they come from.
    pub(super) lane: usize,
    /// The run they belong to, if it has begun.
    pub(super) run: Option<u32>,
    /// The last message of a run that begins with them.
    pub(super) last: i64,
    /// The messages.
    pub(super) messages: Vec<Delivery>,
}

/// A message that is not done.
#[derive(Debug)]
struct Place {
    offset: i64,
    lane: usize,
    /// Messages that are done between this one and the next: all that is remembered of them.
    done_behind: usize,
}

/// Messages that are done, though one before them is not.
#[derive(Debug)]
pub(super) struct Done {
    /// Those that are not, by offset.
    except: Vec<i64>,
    /// Behind the last of all.
    end: i64,
}

impl Done {
    /// Whether the message at this offset is done.
    pub(super) fn has(&self, offset: i64) -> bool {
        offset < self.end && self.except.binary_search(&offset).is_err()
    }
}

/// What was filtered out has no place here.
#[derive(Debug)]
pub(super) struct Buffer {
    order: OrderedBy,
    /// Most messages of a chunk.
    chunk_messages: usize,
    /// By offset.
    unfinished: VecDeque<Place>,
    /// Those that are free have no messages.
    lanes: Vec<Lane>,
    free: Vec<usize>,
    by_key: HashMap<Box<str>, usize>,
    /// Lanes that have something for the sink, and have waited longest.
    ready: VecDeque<usize>,
    /// By the offset of the message that has failed.
    troubled: BTreeMap<i64, usize>,
    bytes: usize,
    /// With the sink.
    sent: usize,
    /// Messages that are done behind the first that is not.
    above: usize,
    /// Offset of the next pull.
    next: i64,
}

impl Buffer {
    /// Empty, to be filled from this offset on; a handler may get so many messages at once.
    pub(super) fn new(order: OrderedBy, batch_messages: usize, next: i64) -> Self {
        Self {
            order,
            chunk_messages: batch_messages.max(CHUNK_MESSAGES),
            unfinished: VecDeque::new(),
            // The first is that of the queue, or of what has no key.
            lanes: vec![Lane::default()],
            free: Vec::new(),
            by_key: HashMap::new(),
            ready: VecDeque::new(),
            troubled: BTreeMap::new(),
            bytes: 0,
            sent: 0,
            above: 0,
            next,
        }
    }

    // ---- where it stands

    /// The lowest unfinished offset: what may be committed. It jumps over filtered messages only when nothing before is
    /// unfinished.
    pub(super) fn position(&self) -> i64 {
        self.unfinished.front().map_or(self.next, |first| first.offset)
    }

    /// When the lowest unfinished message was stored, by the broker's clock, ms since 1970.
    pub(super) fn first_stored_at(&self) -> Option<i64> {
        let lane = self.unfinished.front()?.lane;
        self.lanes[lane].messages.front().map(|first| first.message.store_timestamp)
    }

    /// Offset of the next pull.
    pub(super) fn next(&self) -> i64 {
        self.next
    }

    /// Pulls go on here; never backwards.
    pub(super) fn set_next(&mut self, next: i64) {
        self.next = self.next.max(next);
    }

    /// Messages in memory.
    pub(super) fn len(&self) -> usize {
        self.unfinished.len()
    }

    /// From the first message that is not done to the last that is known, without what was filtered out: so many would come again.
    pub(super) fn span(&self) -> usize {
        self.unfinished.len() + self.above
    }

    /// What is done of all that has come, once the buffer is dropped; with what was done `before` and has not come again yet.
    pub(super) fn done_apart(&self, before: Option<Done>) -> Option<Done> {
        let mut except: Vec<_> = self.unfinished.iter().map(|place| place.offset).collect();
        let mut end = self.next;
        if let Some(before) = before.filter(|before| before.end > end) {
            except.extend(before.except.into_iter().filter(|offset| *offset >= end));
            end = before.end;
        }
        (end > self.position()).then_some(Done { except, end })
    }

    /// Whether everything is done.
    pub(super) fn is_empty(&self) -> bool {
        self.unfinished.is_empty()
    }

    /// Their size.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Offsets of the first and the last message.
    pub(super) fn range(&self) -> Option<(i64, i64)> {
        Some((self.unfinished.front()?.offset, self.unfinished.back()?.offset))
    }

    /// Messages with the sink.
    pub(super) fn sent(&self) -> usize {
        self.sent
    }

    /// Successes that nobody has to hear of one by one: until the sink is through with the oldest chunk of a queue; of keys each
    /// chunk's end is heard of anyway.
    pub(super) fn patience(&self) -> usize {
        match self.order {
            OrderedBy::Queue => self.lanes[0].chunks.front().copied().unwrap_or(0),
            OrderedBy::Key => self.sent,
        }
    }

    /// A message that is not done, and its next attempt.
    pub(super) fn message(&self, offset: i64) -> Option<Delivery> {
        let lane = &self.lanes[self.lane_of(offset)?];
        let index = if lane.front() == Some(offset) {
            0
        } else {
            lane.messages.binary_search_by_key(&offset, |buffered| buffered.message.queue_offset).ok()?
        };
        lane.delivery(index)
    }

    fn place_of(&self, offset: i64) -> Option<usize> {
        if self.unfinished.front()?.offset == offset {
            return Some(0);
        }
        self.unfinished.binary_search_by_key(&offset, |place| place.offset).ok()
    }

    fn lane_of(&self, offset: i64) -> Option<usize> {
        Some(self.unfinished[self.place_of(offset)?].lane)
    }

    // ---- messages come

    /// Adds a message behind the others. `topic` is the user's name of the handler's topic.
    pub(super) fn push(&mut self, message: StoredMessage, topic: Arc<str>) {
        let offset = message.queue_offset;
        let lane = match self.order {
            OrderedBy::Queue => 0,
            OrderedBy::Key => self.lane_for(message.property(name::SHARDING_KEY)),
        };
        let buffered = Buffered { message: Arc::new(message), topic };
        self.next = self.next.max(offset.saturating_add(1));
        self.bytes += buffered.bytes();
        self.lanes[lane].messages.push_back(buffered);
        self.unfinished.push_back(Place { offset, lane, done_behind: 0 });
        self.note(lane);
    }

    fn lane_for(&mut self, key: Option<&str>) -> usize {
        let Some(key) = key else { return 0 };
        if let Some(lane) = self.by_key.get(key) {
            return *lane;
        }
        let lane = self.free.pop().unwrap_or_else(|| {
            self.lanes.push(Lane::default());
            self.lanes.len() - 1
        });
        self.lanes[lane].key = Some(key.into());
        self.by_key.insert(key.into(), lane);
        lane
    }

    // ---- messages go to the sink

    /// The lane gets its turn, if it has something for the sink.
    fn note(&mut self, lane: usize) {
        let most = self.chunks();
        let it = &mut self.lanes[lane];
        if !it.is_ready && it.is_free(most) {
            it.is_ready = true;
            self.ready.push_back(lane);
        }
    }

    fn chunks(&self) -> usize {
        match self.order {
            OrderedBy::Queue => CHUNKS,
            OrderedBy::Key if planted("two runs of a key") => CHUNKS,
            OrderedBy::Key => 1,
        }
    }

    /// The next chunk for the sink, if one more may be under way; nothing behind the offset `limit`.
    pub(super) fn take_chunk(&mut self, limit: i64) -> Option<Chunk> {
        let most = self.chunks();
        while let Some(index) = self.ready.pop_front() {
            let lane = &mut self.lanes[index];
            lane.is_ready = false;
            if !lane.is_free(most) {
                continue;
            }
            let messages = lane.chunk(self.chunk_messages, limit);
            let Some(last) = messages.last() else { continue };
            let last = last.message.queue_offset;
            self.sent += messages.len();
            let chunk = Chunk { lane: index, run: lane.run, last, messages };
            self.note(index);
            return Some(chunk);
        }
        None
    }

    /// What the gate calls the run that this chunk is part of.
    pub(super) fn set_run(&mut self, lane: usize, run: u32) {
        self.lanes[lane].run = Some(run);
    }

    /// The gate is opened anew: nothing is with the sink.
    pub(super) fn restart(&mut self) {
        self.sent = 0;
        self.ready.clear();
        for lane in &mut self.lanes {
            lane.restart();
            lane.is_ready = false;
        }
        for at in 0..self.unfinished.len() {
            self.note(self.unfinished[at].lane);
        }
    }

    /// The gate has refused the rest of a run.
    pub(super) fn run_over(&mut self, lane: usize, run: u32) {
        if self.lanes[lane].run == Some(run) {
            self.restart_lane(lane);
        }
    }

    fn restart_lane(&mut self, lane: usize) {
        self.sent -= self.lanes[lane].restart();
        self.note(lane);
    }

    // ---- messages are done, or are not

    /// A message is done: the first of its lane, else it is none of ours.
    pub(super) fn done(&mut self, offset: i64) -> bool {
        let Some(at) = self.place_of(offset) else { return false };
        let lane = self.unfinished[at].lane;
        if self.lanes[lane].front() != Some(offset) {
            return false;
        }
        let behind = self.unfinished.remove(at).map_or(0, |place| place.done_behind);
        match at.checked_sub(1) {
            None => self.above -= behind,
            Some(before) => {
                self.unfinished[before].done_behind += behind + 1;
                self.above += 1;
            }
        }
        self.drop_front(lane);
        self.note(lane);
        true
    }

    fn drop_front(&mut self, index: usize) {
        let order = self.order;
        let lane = &mut self.lanes[index];
        if let Some(first) = lane.messages.pop_front() {
            self.bytes -= first.bytes();
            if lane.trouble.take().is_some() {
                self.troubled.remove(&first.message.queue_offset);
            }
        }
        if lane.sent > 0 {
            lane.sent -= 1;
            self.sent -= 1;
        }
        if let Some(chunk) = lane.chunks.front_mut() {
            *chunk -= 1;
            if *chunk == 0 {
                lane.chunks.pop_front();
                if order == OrderedBy::Key {
                    lane.run = None;
                }
            }
        }
        if lane.messages.is_empty()
            && let Some(key) = lane.key.take()
        {
            self.by_key.remove(&key);
            lane.run = None;
            self.free.push(index);
        }
    }

    /// Somebody else has done everything below this offset.
    pub(super) fn advance_to(&mut self, offset: i64) {
        while self.unfinished.front().is_some_and(|first| first.offset < offset) {
            let Some(place) = self.unfinished.pop_front() else { break };
            self.above -= place.done_behind;
            self.drop_front(place.lane);
        }
        self.next = self.next.max(offset);
        self.restart();
    }

    /// Whether there are messages up to this offset that nothing keeps from being handled.
    pub(super) fn has_holes(&self, limit: i64) -> bool {
        let below = self.unfinished.iter().take_while(|place| place.offset <= limit);
        below.into_iter().any(|place| self.lanes[place.lane].trouble.is_none())
    }

    // ---- messages that have failed

    /// The first message of its lane has failed, and waits: nothing of the lane is with the sink any more.
    pub(super) fn set_trouble(&mut self, offset: i64, trouble: Trouble) {
        let Some(lane) = self.lane_of(offset) else { return };
        self.lanes[lane].trouble = Some(trouble);
        self.troubled.insert(offset, lane);
        self.restart_lane(lane);
    }

    /// Of a message that has failed.
    pub(super) fn trouble(&self, offset: i64) -> Option<&Trouble> {
        self.lanes[*self.troubled.get(&offset)?].trouble.as_ref()
    }

    /// Of a message that has failed, to be changed; it holds its lane as before.
    pub(super) fn trouble_mut(&mut self, offset: i64) -> Option<&mut Trouble> {
        self.lanes[*self.troubled.get(&offset)?].trouble.as_mut()
    }

    /// Those that have failed, by offset.
    pub(super) fn troubles(&self) -> impl Iterator<Item = (i64, &Trouble)> {
        self.troubled.iter().filter_map(|(offset, lane)| Some((*offset, self.lanes[*lane].trouble.as_ref()?)))
    }

    /// Lanes whose pause is over get their turn; returns when the next one's is.
    pub(super) fn wake_troubled(&mut self, now: Instant) -> Option<Instant> {
        let mut awake = Vec::new();
        let mut next = None;
        for (offset, lane) in &self.troubled {
            let Some(until) = self.lanes[*lane].trouble.as_ref().and_then(Trouble::until) else { continue };
            if until <= now {
                awake.push((*offset, *lane));
            } else {
                next = Some(next.map_or(until, |next: Instant| next.min(until)));
            }
        }
        for (_, lane) in awake {
            if let Some(trouble) = self.lanes[lane].trouble.as_mut() {
                trouble.end_pause();
            }
            self.note(lane);
        }
        next
    }
}

#[cfg(test)]
mod tests;
