//! Committed offsets: any value, lower ones too; written out every 5 s, so that a crash loses the last ones.

use std::collections::BTreeMap;

/// Where an offset belongs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) group: String,
    pub(crate) topic: String,
    pub(crate) queue_id: i32,
}

impl Place {
    pub(crate) fn new(group: &str, topic: &str, queue_id: i32) -> Self {
        Self { group: group.to_owned(), topic: topic.to_owned(), queue_id }
    }
}

#[derive(Debug)]
struct Committed {
    offset: i64,
    /// The write-out before which `offset` came.
    period: u64,
    /// What the last write-out before that saw.
    written: Option<i64>,
}

/// The offset table of one broker. A period is the time from one write-out to the next.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    committed: BTreeMap<Place, Committed>,
    /// Resets that wait for the next pull (5.x).
    pending: BTreeMap<Place, i64>,
    /// Where the last pull told its client to go on; shown to administrators.
    pulled: BTreeMap<Place, i64>,
}

impl Offsets {
    /// What is committed; a stored -1 counts as nothing.
    pub(crate) fn committed(&self, place: &Place) -> Option<i64> {
        self.committed.get(place).map(|committed| committed.offset).filter(|offset| *offset >= 0)
    }

    /// Stores an offset, whatever it is.
    pub(crate) fn commit(&mut self, place: Place, offset: i64, period: u64) {
        match self.committed.get_mut(&place) {
            Some(known) => {
                if known.period != period {
                    known.written = Some(known.offset);
                    known.period = period;
                }
                known.offset = offset;
            }
            None => {
                self.committed.insert(place, Committed { offset, period, written: None });
            }
        }
    }

    /// Goes back to what was written out before this period.
    pub(crate) fn crash(&mut self, period: u64) {
        self.committed.retain(|_, committed| {
            if committed.period == period {
                match committed.written {
                    Some(written) => committed.offset = written,
                    None => return false,
                }
            }
            true
        });
        self.pending.clear();
        self.pulled.clear();
    }

    /// A pull was told where to go on.
    pub(crate) fn pulled(&mut self, place: Place, next: i64) {
        self.pulled.insert(place, next);
    }

    /// Where the last pull was told to go on.
    pub(crate) fn pull_offset(&self, place: &Place) -> Option<i64> {
        self.pulled.get(place).copied()
    }

    /// Lets a reset wait for the next pull.
    pub(crate) fn reset(&mut self, place: Place, offset: i64, period: u64) {
        self.pending.insert(place.clone(), offset);
        self.commit(place, offset, period);
    }

    /// Whether a reset waits.
    pub(crate) fn is_reset(&self, place: &Place) -> bool {
        self.pending.contains_key(place)
    }

    /// Ends a waiting reset; the offset to begin at.
    pub(crate) fn take_reset(&mut self, place: &Place) -> Option<i64> {
        self.pending.remove(place)
    }

    /// Everything committed by a group: topic, queue, offset.
    pub(crate) fn of(&self, group: &str) -> impl Iterator<Item = (&str, i32, i64)> {
        let places = self.committed.iter().filter(move |(place, _)| place.group == group);
        places.map(|(place, committed)| (place.topic.as_str(), place.queue_id, committed.offset))
    }

    /// The groups that have committed something of a topic.
    pub(crate) fn groups_of(&self, topic: &str) -> impl Iterator<Item = &str> {
        self.committed.keys().filter(move |place| place.topic == topic).map(|place| place.group.as_str())
    }

    /// Forgets a group.
    pub(crate) fn remove_group(&mut self, group: &str) {
        self.committed.retain(|place, _| place.group != group);
        self.pending.retain(|place, _| place.group != group);
        self.pulled.retain(|place, _| place.group != group);
    }

    /// Forgets a topic.
    pub(crate) fn remove_topic(&mut self, topic: &str) {
        self.committed.retain(|place, _| place.topic != topic);
        self.pending.retain(|place, _| place.topic != topic);
        self.pulled.retain(|place, _| place.topic != topic);
    }
}

#[cfg(test)]
mod tests {
    use super::{Offsets, Place};

    #[test]
    fn any_value_is_stored_and_minus_one_is_none() {
        let (mut offsets, place) = (Offsets::default(), Place::new("g", "t", 99));
        assert_eq!(offsets.committed(&place), None);
        for (offset, read) in [(5, Some(5)), (3, Some(3)), (-1, None), (i64::MAX, Some(i64::MAX))] {
            offsets.commit(place.clone(), offset, 0);
            assert_eq!(offsets.committed(&place), read);
        }
    }

    #[test]
    fn a_crash_loses_what_was_not_written_out() {
        let (mut offsets, old, young) = (Offsets::default(), Place::new("g", "t", 0), Place::new("g", "t", 1));
        offsets.commit(old.clone(), 1, 0);
        offsets.commit(old.clone(), 2, 0);
        offsets.commit(old.clone(), 3, 4);
        offsets.commit(young.clone(), 7, 4);
        offsets.crash(4);
        assert_eq!((offsets.committed(&old), offsets.committed(&young)), (Some(2), None));
        offsets.crash(5);
        assert_eq!(offsets.committed(&old), Some(2));
    }

    #[test]
    fn a_reset_waits_for_one_pull() {
        let (mut offsets, place) = (Offsets::default(), Place::new("g", "t", 0));
        offsets.reset(place.clone(), 4, 0);
        assert_eq!((offsets.committed(&place), offsets.is_reset(&place)), (Some(4), true));
        assert_eq!((offsets.take_reset(&place), offsets.take_reset(&place)), (Some(4), None));
    }
}
