//! What may be handled in a queue: runs of messages, each one handler at a time. Where order is kept per queue there is one at most, which
//! has no end; where it is kept per key there is one for each key whose messages are on their way to their handlers.

use super::Running;
use crate::env::planted;

/// Messages of one lane that are handed over together, in their order.
#[derive(Debug)]
struct Run {
    generation: u32,
    lane: usize,
    /// The offset of its last message.
    last: i64,
    /// Nothing has refused it so far. What is not live is only here for its handler, which still runs.
    is_live: bool,
    running: Option<Running>,
    /// The key of its messages, where somebody wants to know.
    key: Option<Box<str>>,
}

/// The end of a run that was refused: its lane, and its generation.
pub(crate) type Over = (usize, u32);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Runs {
    /// By generation, the oldest first.
    each: Vec<Run>,
    /// The youngest generation.
    generation: u32,
    /// What was refused, and nobody has looked at yet.
    over: Vec<Over>,
}

impl Runs {
    /// A new one.
    pub(super) fn begin(&mut self, lane: usize, last: i64) -> u32 {
        self.generation = self.generation.wrapping_add(1);
        self.each.push(Run { generation: self.generation, lane, last, is_live: true, running: None, key: None });
        self.generation
    }

    /// Its messages are of that key.
    pub(super) fn name(&mut self, generation: u32, key: Box<str>) {
        if let Some(at) = self.find(generation) {
            self.each[at].key = Some(key);
        }
    }

    /// The key of its messages, if it was named.
    pub(super) fn key(&self, at: usize) -> Option<&str> {
        self.each[at].key.as_deref()
    }

    /// The youngest generation there was: all that come are younger.
    pub(super) fn youngest(&self) -> u32 {
        self.generation
    }

    /// Generations begin anew at some time.
    fn find(&self, generation: u32) -> Option<usize> {
        let oldest = self.each.first()?.generation;
        let age = |generation: u32| generation.wrapping_sub(oldest);
        self.each.binary_search_by_key(&age(generation), |run| age(run.generation)).ok()
    }

    /// The run of this generation, if it may go on.
    pub(super) fn live(&self, generation: u32) -> Option<usize> {
        self.find(generation).filter(|at| self.each[*at].is_live)
    }

    /// Whether its handler runs.
    pub(super) fn is_busy(&self, at: usize) -> bool {
        self.each[at].running.is_some()
    }

    /// Its handler was called.
    pub(super) fn start(&mut self, at: usize, running: Running) {
        self.each[at].running = Some(running);
    }

    /// The handler of this message has ended; `None`: it does not run. Whether it counts.
    pub(super) fn end(&mut self, generation: u32, offset: i64) -> Option<bool> {
        let at = self.find(generation)?;
        let run = &mut self.each[at];
        run.running.take_if(|running| running.offset == offset)?;
        let counts = run.is_live || planted("count a late outcome");
        if !run.is_live {
            self.each.remove(at);
        }
        Some(counts)
    }

    /// The handler of this message is done with it, and goes on with the next; `None`: it does not run. Whether it counts.
    pub(super) fn pass(&mut self, generation: u32, offset: i64, next: i64) -> Option<bool> {
        let at = self.find(generation)?;
        let run = &mut self.each[at];
        let running = run.running.as_mut().filter(|running| running.offset == offset)?;
        running.offset = next;
        Some(run.is_live)
    }

    /// Whether nothing of the run comes behind this message.
    pub(super) fn ends_at(&self, generation: u32, offset: i64) -> bool {
        self.live(generation).is_some_and(|at| self.each[at].last == offset)
    }

    /// It ends with what its handler has brought, which says so by itself.
    pub(super) fn finish(&mut self, generation: u32) {
        if let Some(at) = self.find(generation) {
            self.each.remove(at);
        }
    }

    /// It may not go on.
    pub(super) fn refuse(&mut self, at: usize) {
        let run = &mut self.each[at];
        self.over.push((run.lane, run.generation));
        run.is_live = false;
        if run.running.is_none() {
            self.each.remove(at);
        }
    }

    /// None may go on, and nobody asks why.
    pub(super) fn void(&mut self) {
        self.over.clear();
        self.each.retain_mut(|run| {
            run.is_live = false;
            run.running.is_some()
        });
    }

    /// What was refused since the last call, into a list that is empty.
    pub(super) fn take_over(&mut self, over: &mut Vec<Over>) {
        std::mem::swap(&mut self.over, over);
    }

    /// The handlers that run.
    pub(super) fn running(&self) -> impl Iterator<Item = Running> {
        self.each.iter().filter_map(|run| run.running)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env;

    fn start(runs: &mut Runs, generation: u32, offset: i64) {
        let at = runs.live(generation).unwrap();
        runs.start(at, Running { generation, offset, began: env::now(), since: 0 });
    }

    #[test]
    fn each_run_goes_its_own_way() {
        let mut runs = Runs::default();
        let (one, other) = (runs.begin(0, 9), runs.begin(1, 5));
        start(&mut runs, one, 3);
        start(&mut runs, other, 4);
        assert_eq!(runs.running().map(|running| running.offset).collect::<Vec<_>>(), [3, 4]);
        assert_eq!((runs.end(one, 4), runs.end(one, 3)), (None, Some(true)));
        runs.refuse(runs.live(one).unwrap());
        assert!(runs.live(one).is_none() && runs.live(other).is_some());
        let mut over = Vec::new();
        runs.take_over(&mut over);
        assert_eq!(over, [(0, one)]);
        assert!(!runs.ends_at(other, 4) && runs.ends_at(other, 5));
    }

    #[test]
    fn a_void_run_stays_until_its_handler_has_ended_and_counts_no_more() {
        let mut runs = Runs::default();
        let (one, other) = (runs.begin(0, 9), runs.begin(1, 5));
        start(&mut runs, one, 3);
        runs.void();
        assert!(runs.live(one).is_none() && runs.find(other).is_none());
        assert_eq!((runs.end(one, 3), runs.find(one)), (Some(false), None));
    }

    #[test]
    fn generations_begin_anew_behind_the_last_number() {
        let mut runs = Runs { generation: u32::MAX - 1, ..Runs::default() };
        let generations = [runs.begin(0, 0), runs.begin(1, 0), runs.begin(2, 0)];
        assert_eq!(generations, [u32::MAX, 0, 1]);
        assert!(generations.iter().enumerate().all(|(at, generation)| runs.live(*generation) == Some(at)));
        assert!(runs.live(2).is_none() && runs.live(u32::MAX - 1).is_none());
    }
}
