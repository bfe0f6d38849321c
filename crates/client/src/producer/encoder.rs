//! From the user's message to bytes: the local limits, the unique id, the properties in the order of the wire.

use std::time::Duration;

use super::admission::Prepared;
use super::calls::{Content, Outgoing, OutgoingBatch};
use super::model::{Entry, Form, Load, Payload};
use super::options::{Batching, ProducerOptions};
use crate::env;
use crate::error::{ClientError, Code};
use crate::protocol::properties::{self, name};
use crate::protocol::{Compression, Invalid, UniqueIds, batch, limits, namespace};

/// Most messages of one batch on Alibaba Cloud.
const CLOUD_BATCH: usize = 4_096;

impl From<Invalid> for ClientError {
    fn from(invalid: Invalid) -> Self {
        Self::new(Code::InvalidArgument, invalid.to_string())
    }
}

fn invalid(message: &str) -> ClientError {
    ClientError::new(Code::InvalidArgument, message)
}

/// Makes messages ready for the wire.
#[derive(Debug)]
pub(super) struct Encoder {
    pub(super) ids: UniqueIds,
    pub(super) namespace: Option<String>,
    pub(super) batching: Batching,
    pub(super) max_message_bytes: usize,
    pub(super) compression: Option<Compression>,
    pub(super) compress_over_bytes: usize,
    pub(super) send_timeout: Duration,
}

impl Encoder {
    pub(super) fn new(options: &ProducerOptions, namespace: Option<&str>, ids: UniqueIds) -> Self {
        Self {
            ids,
            namespace: namespace.map(str::to_owned),
            batching: options.batching,
            max_message_bytes: options.max_message_bytes,
            compression: options.compression,
            compress_over_bytes: options.compress_over_bytes,
            send_timeout: options.send_timeout,
        }
    }

    /// One message. Everything that is wrong with it is found here, before anything is counted or written.
    pub(super) fn message(&self, outgoing: &mut Outgoing) -> Result<Prepared, ClientError> {
        self.address(&outgoing.topic, &outgoing.sharding_key)?;
        let content = Content {
            body: std::mem::take(&mut outgoing.body),
            tags: outgoing.tags.take(),
            keys: outgoing.keys.take(),
            properties: std::mem::take(&mut outgoing.properties),
        };
        let born = env::wall_ms();
        let (mut entry, msg_id) = self.entry(content, &outgoing.sharding_key, born)?;
        if let Some(compression) = self.compression.filter(|_| entry.body.len() >= self.compress_over_bytes) {
            entry.form = Form::Compressible(compression);
        }
        Ok(Prepared {
            is_apart: entry.form != Form::Plain,
            slot: outgoing.slot,
            load: Load { messages: 1, bytes: entry.body.len() + entry.properties.len() },
            encoded: batch::entry_len(entry.body.len(), entry.properties.len()),
            payload: Payload::One(entry),
            msg_id,
            deadline: self.deadline(outgoing.timeout),
            born,
            is_batch: false,
        })
    }

    /// A batch of the user's.
    pub(super) fn batch(&self, outgoing: &mut OutgoingBatch) -> Result<Prepared, ClientError> {
        self.address(&outgoing.topic, &outgoing.sharding_key)?;
        if outgoing.messages.is_empty() {
            return Err(invalid("messages: must not be empty"));
        }
        if self.batching == Batching::Key && outgoing.messages.len() > CLOUD_BATCH {
            return Err(invalid("messages: Alibaba Cloud takes at most 4096 in one batch"));
        }
        let born = env::wall_ms();
        let mut load = Load { messages: outgoing.messages.len(), bytes: 0 };
        let (mut encoded, mut entries, mut msg_ids) = (0, Vec::with_capacity(load.messages), String::new());
        for content in std::mem::take(&mut outgoing.messages) {
            let (entry, msg_id) = self.entry(content, &outgoing.sharding_key, born)?;
            load.bytes += entry.body.len() + entry.properties.len();
            encoded += batch::entry_len(entry.body.len(), entry.properties.len());
            entries.push(entry);
            if !msg_ids.is_empty() {
                msg_ids.push(',');
            }
            msg_ids.push_str(&msg_id);
        }
        if entries.len() > 1 && encoded > self.max_message_bytes {
            return Err(invalid(&format!(
                "messages: {encoded} bytes in all, with properties; at most {} go into one batch (maxMessageBytes)",
                self.max_message_bytes
            )));
        }
        Ok(Prepared {
            slot: outgoing.slot,
            payload: Payload::Batch(entries),
            msg_id: msg_ids,
            load,
            encoded,
            deadline: self.deadline(outgoing.timeout),
            born,
            is_batch: true,
            is_apart: true,
        })
    }

    /// A topic by the user's name, which has to fit together with the namespace.
    pub(super) fn topic(&self, topic: &str) -> Result<(), ClientError> {
        limits::topic(topic)?;
        let namespace = self.namespace.as_deref().unwrap_or_default();
        // Most have no namespace, or a short name.
        if topic.len() + namespace.len() < limits::MAX_TOPIC {
            return Ok(());
        }
        let length = namespace::wrap(namespace, topic).len();
        if length > limits::MAX_TOPIC {
            let text = format!("topic: {length} characters with its namespace, {} are allowed", limits::MAX_TOPIC);
            return Err(invalid(&text));
        }
        Ok(())
    }

    fn address(&self, topic: &str, sharding_key: &str) -> Result<(), ClientError> {
        self.topic(topic)?;
        limits::sharding_key(sharding_key)?;
        Ok(())
    }

    fn deadline(&self, timeout: Option<Duration>) -> env::Instant {
        env::now() + timeout.unwrap_or(self.send_timeout)
    }

    fn entry(&self, content: Content, sharding_key: &str, now: i64) -> Result<(Entry, String), ClientError> {
        limits::body(content.body.len(), self.max_message_bytes)?;
        if let Some(tags) = &content.tags {
            limits::tags(tags)?;
        }
        for key in content.keys.iter().flat_map(|keys| keys.split(' ')) {
            limits::key(key)?;
        }
        for (name, value) in &content.properties {
            limits::property(name, value)?;
        }
        let msg_id = self.ids.next(ms_of_month(now));
        let own = [
            Some((name::UNIQ_KEY, msg_id.as_str())),
            Some((name::WAIT, "true")),
            Some((name::SHARDING_KEY, sharding_key)),
            content.tags.as_deref().map(|tags| (name::TAGS, tags)),
            content.keys.as_deref().map(|keys| (name::KEYS, keys)),
            self.namespace.as_deref().map(|namespace| (name::INSTANCE_ID, namespace)),
        ];
        let users = content.properties.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let properties = properties::encode(own.into_iter().flatten().chain(users));
        limits::properties(&properties)?;
        Ok((Entry { body: content.body, form: Form::Plain, properties }, msg_id))
    }
}

/// Milliseconds since midnight (UTC) of the first of the month, as unique ids have them.
fn ms_of_month(now: i64) -> u32 {
    const DAY: i64 = 86_400_000;
    // Days since 0000-03-01, so that leap days end a year (Hinnant's civil calendar).
    let days = now.div_euclid(DAY) + 719_468;
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5;
    u32::try_from(day * DAY + now.rem_euclid(DAY)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_milliseconds_from_the_first_of_the_month() {
        const DAY: i64 = 86_400_000;
        assert_eq!(ms_of_month(0), 0);
        assert_eq!(ms_of_month(30 * DAY + 5), u32::try_from(30 * DAY + 5).unwrap());
        assert_eq!(ms_of_month(31 * DAY), 0); // 1 February 1970
        assert_eq!(ms_of_month(1_709_251_199_999), u32::try_from(29 * DAY - 1).unwrap()); // the end of 29 February 2024
        assert_eq!(ms_of_month(1_709_251_200_000), 0);
    }
}
