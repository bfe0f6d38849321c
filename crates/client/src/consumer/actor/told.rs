//! What this process has told a queue's broker lately. Brokers write offsets to their disk every 5 s and begin with those after a crash, or
//! with what a slave has copied. An offset that we have told is therefore nobody else's word, however old: what we have handled since
//! counts. Any other one is the word of another owner or of an administrator, and is obeyed.

use std::collections::VecDeque;
use std::time::Duration;

use crate::env::{self, Instant};

/// How far a crash sets a broker back: 5 s on its own disk, 10 s more where a slave takes over.
const SET_BACK: Duration = Duration::from_secs(15);
/// So many are known one by one.
const EXACT: usize = 32;
/// Where more are told, as when each message is committed, those of so much time are a range.
const TOGETHER: Duration = Duration::from_millis(500);

/// Offsets that were told one after the other.
#[derive(Clone, Copy, Debug)]
struct Told {
    since: Instant,
    from: i64,
    to: i64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct LastWord(VecDeque<Told>);

impl LastWord {
    /// The broker is told this offset, or has it.
    pub(super) fn tell(&mut self, offset: i64) {
        let now = env::now();
        let is_many = self.0.len() >= EXACT;
        match self.0.back_mut() {
            Some(last) if offset == last.to => {}
            // What a seek or a reset has moved back is no range.
            Some(last) if is_many && offset >= last.to && now < last.since + TOGETHER => last.to = offset,
            _ => self.0.push_back(Told { since: now, from: offset, to: offset }),
        }
        // The last one before that time is what a broker may still have.
        while self.0.get(1).is_some_and(|second| second.since + SET_BACK <= now) {
            self.0.pop_front();
        }
    }

    /// Whether a broker that has this offset has heard nobody but us.
    pub(super) fn is_ours(&self, offset: i64) -> bool {
        self.0.iter().any(|told| (told.from..=told.to).contains(&offset))
    }

    /// Somebody else may have had a word.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_told_in_the_last_seconds_is_ours_and_nothing_else() {
        let mut word = LastWord::default();
        for offset in [10, 20, 30] {
            word.tell(offset);
            advance(Duration::from_secs(1)).await;
        }
        assert!([10, 20, 30].into_iter().all(|offset| word.is_ours(offset)));
        assert!([0, 15, 25, 31].into_iter().all(|offset| !word.is_ours(offset)));
        word.forget();
        assert!(!word.is_ours(30));
    }

    #[tokio::test(start_paused = true)]
    async fn a_broker_may_have_what_it_was_told_last_before_a_long_silence() {
        let mut word = LastWord::default();
        word.tell(10);
        advance(Duration::from_secs(1)).await;
        word.tell(20);
        advance(Duration::from_secs(100)).await;
        word.tell(30);
        assert!(!word.is_ours(10), "that was overwritten long ago");
        assert!(word.is_ours(20) && word.is_ours(30));
        advance(SET_BACK).await;
        word.tell(40);
        assert!(!word.is_ours(20) && word.is_ours(30));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_told_in_quick_succession_is_a_range_unless_it_goes_back() {
        let mut word = LastWord::default();
        for offset in (1_000..1_200).step_by(2) {
            word.tell(offset);
            advance(Duration::from_millis(4)).await;
        }
        assert_eq!(word.0.len(), EXACT);
        assert!((1_000..1_200).step_by(2).all(|offset| word.is_ours(offset)));
        assert!(!word.is_ours(1_001) && word.is_ours(1_101));
        word.tell(500);
        assert!(word.is_ours(500) && !word.is_ours(750));
    }
}
