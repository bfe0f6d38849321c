//! The test broker under a raw client: frames over a real socket.

mod admin;
mod faults;
mod greedy;
mod hostile;
mod idle;
mod members;
mod messages;
mod routes;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{ClientPattern, Effect, FaultMatch, Keep, Release, TestBroker, TestBrokerOptions};
use crate::control::commands::{Perm, Position, Publication};
use crate::env::{self, Socket};
use crate::protocol::{
    Codec, Command, CommitOffset, Crc, Fields, MessageQueue, Pull, QueryOffset, Request, batch, decode_messages, frame,
    json as tolerant,
};
use crate::protocol::{ExpressionKind, LockQueues, SendMessage, TopicRoute, UnlockQueues};

/// Long enough for anything but a hang.
const PATIENCE: Duration = Duration::from_secs(10);

struct Raw {
    socket: Socket,
    input: BytesMut,
    opaque: i32,
    /// Requests of the broker that came in between.
    pushes: Vec<Command>,
}

impl Raw {
    async fn connect(address: &str) -> Self {
        let socket = env::connect(address).await.unwrap();
        Self { socket, input: BytesMut::new(), opaque: 0, pushes: Vec::new() }
    }

    async fn write(&mut self, mut command: Command, codec: Codec) -> i32 {
        self.opaque += 1;
        command.opaque = self.opaque;
        self.socket.write_all(&frame::encode(&command, codec).unwrap()).await.unwrap();
        self.opaque
    }

    /// The next frame and its codec; `None` when the connection has ended.
    async fn read(&mut self) -> Option<(Command, u8)> {
        tokio::time::timeout(PATIENCE, async {
            loop {
                let codec = self.input.get(4).copied();
                if let Some(command) = frame::decode(&mut self.input).unwrap() {
                    return Some((command, codec.unwrap()));
                }
                if self.socket.read_buf(&mut self.input).await.unwrap_or(0) == 0 {
                    return None;
                }
            }
        })
        .await
        .expect("no frame came")
    }

    async fn call(&mut self, command: Command) -> Command {
        let opaque = self.write(command, Codec::Json).await;
        self.answer(opaque).await
    }

    async fn answer(&mut self, opaque: i32) -> Command {
        loop {
            let (command, _) = self.read().await.expect("the connection has ended");
            if !command.is_response() {
                self.pushes.push(command);
            } else if command.opaque == opaque {
                return command;
            }
        }
    }

    async fn ask<R: Request>(&mut self, request: &R) -> R::Response {
        R::decode(self.call(request.command()).await).unwrap()
    }

    async fn heartbeat(
        &mut self,
        client_id: &str,
        group: &str,
        topic: &str,
        expression: &str,
        version: i64,
    ) -> Command {
        let subscription = |topic: &str, expression: &str| json!({"topic": topic, "subString": expression, "subVersion": version, "expressionType": "TAG"});
        let topics = [subscription(topic, expression), subscription(&format!("%RETRY%{group}"), "*")];
        let body = json!({"clientID": client_id, "consumerDataSet": [{
            "groupName": group, "consumeType": "CONSUME_PASSIVELY", "messageModel": "CLUSTERING", "subscriptionDataSet": topics}]});
        self.call(Command::request(34, Fields::new(), tolerant::to_bytes(&body))).await
    }
}

async fn start(options: TestBrokerOptions) -> TestBroker {
    TestBroker::start(options).await.unwrap()
}

fn with_topic(release: Release) -> TestBrokerOptions {
    TestBrokerOptions {
        topics: Some(vec![("t".into(), 4)]),
        release,
        time_factor: 0.01,
        ..TestBrokerOptions::default()
    }
}

async fn broker_of(test: &TestBroker) -> Raw {
    Raw::connect(&test.brokers()[0]).await
}

fn send(topic: &str, queue_id: i32, body: &'static [u8], properties: &str) -> SendMessage {
    SendMessage {
        producer_group: "PG".into(),
        topic: topic.into(),
        broker_name: "broker-a".into(),
        queue_id,
        sys_flag: 0,
        born_timestamp: 1,
        flag: 0,
        properties: properties.into(),
        reconsume_times: 0,
        max_reconsume_times: None,
        body: Bytes::from_static(body),
    }
}

/// A pull with its own subscription.
fn pull(offset: i64, suspend_ms: i64, expression: &str) -> Pull {
    Pull {
        group: "G".into(),
        topic: "t".into(),
        broker_name: "broker-a".into(),
        queue_id: 0,
        queue_offset: offset,
        max_messages: 32,
        suspend_ms,
        sub_version: 0,
        kind: ExpressionKind::Tag,
        expression: Some(expression.into()),
    }
}

fn query(group: &str, topic: &str, queue_id: i32) -> QueryOffset {
    QueryOffset {
        group: group.into(),
        topic: topic.into(),
        broker_name: "broker-a".into(),
        queue_id,
        zero_if_young: true,
    }
}

fn commit(group: &str, offset: i64) -> CommitOffset {
    CommitOffset { group: group.into(), topic: "t".into(), broker_name: "broker-a".into(), queue_id: 0, offset }
}

fn plain(code: i32, fields: &[(&'static str, &str)]) -> Command {
    Command::request(code, fields.iter().copied().collect(), Bytes::new())
}

/// Both releases, in turn.
const BOTH: [Release; 2] = [Release::V4, Release::V5];
