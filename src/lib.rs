//! Ordered messaging for Node.js on Apache RocketMQ: the addon. What it makes available to JavaScript lies in `crates/client`.

mod binding;

use rocketmq_client::{client, consumer, env, error, producer, record, sync};
use rocketmq_protocol as protocol;
