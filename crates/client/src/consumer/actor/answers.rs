//! What an answer to a pull says. It is believed only when it is exactly the next stretch of this queue, or a correction that its
//! own numbers bear out.

use crate::protocol::{Crc, Decoded, MessageQueue, PullStatus, Pulled, StoredMessage, read_records};

/// A pull reads on behind the end that it has looked up before, but never so far.
const ONE_LOOK: i64 = 16_000;

/// What a believable answer means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// The next stretch, in order; its records as they are stored.
    Stretch(Vec<Decoded>),
    /// Nothing is behind the offset yet.
    End,
    /// Up to the next offset nothing is wanted.
    Unwanted,
    /// An administrator has moved the offset.
    Reset,
    /// What was stored up to the next offset is gone, or cannot be read.
    Gone,
    /// The queue ends before the offset.
    EndsBefore,
    /// From a slave: it decides nothing.
    Undecided,
}

/// Reads the answer to a pull from `asked` on; an error says what is wrong with it.
pub(super) fn read(pulled: &Pulled, asked: i64, queue: &MessageQueue) -> Result<Reading, String> {
    let Pulled { status, next_offset: next, min_offset: min, max_offset: max, .. } = *pulled;
    match status {
        PullStatus::Found => {
            let records = read_records(&pulled.body, Crc::Check);
            let behind = check_records(&records, asked, next, queue)?;
            check_passed(behind, next, max)?;
            Ok(Reading::Stretch(records))
        }
        PullStatus::NothingNew if next == asked && max < asked => {
            Err(format!("it says that nothing is behind the offset, and that the queue ends at {max}, before it"))
        }
        PullStatus::NothingNew if next == asked => Ok(Reading::End),
        PullStatus::NoMatch if next > asked => check_passed(asked, next, max).map(|()| Reading::Unwanted),
        PullStatus::Unreadable if next > asked && next <= max => Ok(Reading::Gone),
        PullStatus::Slave => Ok(Reading::Undecided),
        PullStatus::OffsetIllegal { reset: true } => Ok(Reading::Reset),
        PullStatus::OffsetIllegal { reset: false } if asked < next && next <= min => Ok(Reading::Gone),
        PullStatus::OffsetIllegal { reset: false } if next < asked && max < asked => Ok(Reading::EndsBefore),
        _ => Err(format!("it sends us to offset {next} of a queue from {min} to {max}")),
    }
}

/// Where the last record ends; all are of this queue, one behind the other, and none is at or behind `next`.
fn check_records(records: &[Decoded], asked: i64, next: i64, queue: &MessageQueue) -> Result<i64, String> {
    let mut behind = None;
    for record in records {
        let offset = match record {
            Ok(message) => {
                check_place(message, queue)?;
                message.queue_offset
            }
            Err(bad) => {
                bad.as_stored.as_deref().map_or(Ok(()), |message| check_place(message, queue))?;
                // Else nothing is known of it but that it is the next.
                bad.queue_offset.unwrap_or_else(|| behind.unwrap_or(asked))
            }
        };
        // The broker keeps some messages together, and cannot send a part of them.
        if offset < asked && !record.as_ref().is_ok_and(StoredMessage::is_batch) {
            return Err(format!("it brings offset {offset}, which is before"));
        }
        if let Some(behind) = behind.filter(|behind| offset < *behind) {
            return Err(format!("it brings offset {offset} after offset {}", behind - 1));
        }
        if !(0..next).contains(&offset) {
            return Err(format!("it brings offset {offset}, and says that the next is {next}"));
        }
        // What a compressed batch holds shows when it is unpacked.
        let span = record.as_ref().map_or(Some(1), StoredMessage::span).unwrap_or(1);
        if span > next - offset {
            return Err(format!(
                "it brings offsets {offset} to {}, and says that the next is {next}",
                offset + span - 1
            ));
        }
        behind = Some(offset + span);
    }
    behind.filter(|behind| *behind > asked).ok_or_else(|| String::from("it brings nothing"))
}

fn check_place(message: &StoredMessage, queue: &MessageQueue) -> Result<(), String> {
    let StoredMessage { topic, queue_id, queue_offset, .. } = message;
    if *topic == queue.topic && *queue_id == queue.queue_id {
        return Ok(());
    }
    Err(format!("it brings offset {queue_offset} of queue {queue_id} of topic {topic}"))
}

/// What is passed over unseen is there.
fn check_passed(from: i64, next: i64, max: i64) -> Result<(), String> {
    if next <= max.max(from) + ONE_LOOK {
        return Ok(());
    }
    Err(format!("it sends us to offset {next} of a queue that ends at {max}"))
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};

    use super::*;
    use crate::consumer::tests::{record_of, record_with};
    use crate::protocol::{Unpacked, batch, unpack};

    const MAX: usize = usize::MAX;

    fn answer(status: PullStatus, next: i64, records: &[(&str, i32, i64)]) -> Pulled {
        let body: Vec<u8> = records.iter().flat_map(|(topic, id, offset)| record_of(topic, *id, *offset)).collect();
        Pulled {
            status,
            next_offset: next,
            min_offset: 3,
            max_offset: 20,
            suggested_broker_id: 0,
            body: Bytes::from(body),
        }
    }

    fn reading(pulled: &Pulled) -> Result<Reading, String> {
        read(pulled, 5, &MessageQueue::new("orders", "a", 1))
    }

    fn offsets(pulled: &Pulled) -> Result<Vec<i64>, String> {
        match reading(pulled)? {
            Reading::Stretch(records) => {
                let messages = records.into_iter().flat_map(|record| match unpack(record.unwrap(), MAX, &|| false) {
                    Unpacked::Messages(messages) => messages,
                    other => panic!("{other:?}"),
                });
                Ok(messages.map(|message| message.unwrap().queue_offset).collect())
            }
            other => panic!("{other:?}"),
        }
    }

    fn found(next: i64, records: &[i64]) -> Pulled {
        let records: Vec<_> = records.iter().map(|offset| ("orders", 1, *offset)).collect();
        answer(PullStatus::Found, next, &records)
    }

    #[test]
    fn the_next_stretch_may_have_gaps_where_others_were_filtered_out() {
        assert_eq!(offsets(&found(7, &[5, 6])), Ok(vec![5, 6]));
        assert_eq!(offsets(&found(20, &[7, 11])), Ok(vec![7, 11]));
        assert_eq!(offsets(&found(30, &[22, 29])), Ok(vec![22, 29]), "arrived since the broker looked for the end");
    }

    #[test]
    fn records_that_overlap_fall_back_or_lie_elsewhere_are_refused() {
        for wrong in [&[5, 5][..], &[5, 8, 6], &[4, 5], &[4], &[5, -1], &[5, 12], &[5, 1 << 53], &[]] {
            assert!(reading(&found(12, wrong)).is_err(), "{wrong:?}");
        }
        for (topic, id) in [("orders", 0), ("payments", 1)] {
            assert!(
                reading(&answer(PullStatus::Found, 7, &[("orders", 1, 5), (topic, id, 6)])).is_err(),
                "{topic} {id}"
            );
        }
        assert!(reading(&found(90_000, &[5])).is_err(), "nobody has looked at all that");
    }

    #[test]
    fn messages_that_the_broker_keeps_together_come_together() {
        let mut batch = BytesMut::new();
        for body in [b"3", b"4", b"5", b"6"] {
            batch::append(&mut batch, 0, body, "").unwrap();
        }
        let mut record = record_with("orders", 1, 3, &batch);
        record[39] = 0xC0;
        let whole = Pulled { body: Bytes::from(record.clone()), ..found(7, &[]) };
        assert_eq!(offsets(&whole), Ok(vec![3, 4, 5, 6]), "as 5.5.0 answers from the middle of a batch");
        assert!(reading(&Pulled { next_offset: 6, ..whole.clone() }).is_err(), "its end is told");
        record[39] = 0x40;
        assert!(reading(&Pulled { body: Bytes::from(record), ..whole }).is_err(), "and it is one");
    }

    #[test]
    fn a_damaged_record_is_the_next_unless_its_own_offset_says_nonsense() {
        let cut = |record: Vec<u8>| Pulled { body: Bytes::from(record), ..found(6, &[]) };
        let whole = record_of("orders", 1, 5);
        let nothing_known = cut(whole[..12].to_vec());
        assert!(matches!(reading(&nothing_known), Ok(Reading::Stretch(records)) if records[0].is_err()));
        let mut elsewhere = whole.clone();
        elsewhere[8] ^= 1;
        elsewhere[20] = 0x7F;
        assert!(reading(&cut(elsewhere)).is_err());
    }

    #[test]
    fn answers_without_messages_are_believed_when_their_numbers_bear_them_out() {
        let illegal = PullStatus::OffsetIllegal { reset: false };
        for (status, next, min, max, means) in [
            (PullStatus::NothingNew, 5, 3, 5, Some(Reading::End)),
            (PullStatus::NothingNew, 6, 3, 20, None),
            (PullStatus::NothingNew, 4, 3, 20, None),
            (PullStatus::NothingNew, 5, 3, 4, None),
            (PullStatus::NoMatch, 20, 3, 20, Some(Reading::Unwanted)),
            (PullStatus::NoMatch, 805, 3, 20, Some(Reading::Unwanted)),
            (PullStatus::NoMatch, 5, 3, 20, None),
            (PullStatus::NoMatch, 4, 3, 20, None),
            (PullStatus::NoMatch, 90_000, 3, 20, None),
            (PullStatus::Unreadable, 9, 3, 20, Some(Reading::Gone)),
            (PullStatus::Unreadable, 300_000, 3, 20, None),
            (PullStatus::Slave, 9, 3, 20, Some(Reading::Undecided)),
            (illegal, 9, 9, 20, Some(Reading::Gone)),
            (illegal, 20, 3, 20, None),
            (illegal, 4, 0, 4, Some(Reading::EndsBefore)),
            (illegal, 0, 0, 0, Some(Reading::EndsBefore)),
            (illegal, 4, 3, 20, None),
            (illegal, 5, 3, 20, None),
            (PullStatus::OffsetIllegal { reset: true }, 12, 3, 20, Some(Reading::Reset)),
        ] {
            let pulled = Pulled { min_offset: min, max_offset: max, ..answer(status, next, &[]) };
            assert_eq!(reading(&pulled).ok(), means, "{status:?} {next} {min} {max}");
        }
    }
}
