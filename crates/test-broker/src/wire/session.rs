//! One connection: frames in, answers out, and what faults do on the way.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, ReadHalf};
use tokio::task::JoinSet;

use super::outbox::{Flight, Outbox, since, write};
use super::reply_path::{Over, ReplyPath};
use super::tls::Stream;
use crate::env::{self, Instant};
use crate::faults::request_names::is_send;
use crate::faults::requests_seen::Asked;
use crate::protocol::{Codec, Command, frame};
use crate::requests::dispatch;
use crate::requests::relay;
use crate::requests::reply::{Answer, Reply};
use crate::state::broker::Connection;
use crate::state::cluster::Shared;

/// What a read buffer grows by.
const READ_CHUNK: usize = 64 * 1024;
/// Requests of one connection that are answered later; then it is not read.
const MAX_LATE: usize = 8192;
/// A connection without traffic, or without heartbeat after its first, lives so long. Not scaled: clients beat in real time.
pub(crate) const IDLE: Duration = Duration::from_secs(120);
/// How often that is looked at.
const IDLE_LOOK: Duration = Duration::from_secs(10);
/// How long a send that is to be overtaken waits for the one that overtakes it.
const OVERTAKING: Duration = Duration::from_millis(20);
/// How often the first of two pipelined sends of a queue is stored second, as measured on real brokers.
const NATURAL_DISORDER: f64 = 0.03;
/// A 5.x server decides nothing before it has so many bytes.
const FIRST_BYTES: usize = 12;
/// Beginning and longest form of a line that a proxy puts in front (5.x).
const PROXY_LINE: (&[u8], usize) = (b"PROXY ", 108);
/// Settings of the pools that store: with one thread nothing is disordered.
const SEND_THREADS: &str = "sendMessageThreadPoolNums";

/// Whose socket it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    NameServer,
    Broker(usize),
}

/// A request with what is to become of it.
struct Arrived {
    command: Command,
    send_queue: Option<(String, Option<i32>)>,
    reply: ReplyPath,
}

/// What a frame is.
enum Decoded {
    Request(Box<Arrived>),
    /// An answer to a question of the broker's, or of a client that is not listened to any more.
    Answer,
    /// It is not all there.
    Incomplete,
}

struct Session {
    shared: Arc<Shared>,
    server: Server,
    id: u64,
    address: SocketAddr,
    out: Outbox,
    silent: Arc<AtomicBool>,
    /// Answers that are not ready.
    late: JoinSet<Result<(), Over>>,
    /// A send that waits to be overtaken.
    overtaken: Option<(Arrived, Instant)>,
    opened: Instant,
    active: Arc<AtomicU64>,
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Server::Broker(index) = self.server {
            self.shared.lock().broker(index).forget_connection(self.id);
            self.shared.change();
        }
    }
}

/// Serves one connection until it ends.
pub(crate) async fn serve(shared: Arc<Shared>, server: Server, socket: Box<dyn Stream>, address: SocketAddr) {
    let (mut reader, writer) = tokio::io::split(socket);
    let (out, outbox) = Outbox::new();
    let (opened, active) = (env::now(), Arc::new(AtomicU64::new(0)));
    let silent = Arc::new(AtomicBool::new(false));
    let id = shared.next_id();
    if let Server::Broker(index) = server {
        let connection = Connection {
            address,
            out: out.clone(),
            client_id: None,
            last_heartbeat: None,
            silent: Arc::clone(&silent),
            asked: std::collections::BTreeMap::new(),
        };
        shared.lock().broker(index).connections.insert(id, connection);
    }
    let late = JoinSet::new();
    let mut session = Session {
        shared,
        server,
        id,
        address,
        out,
        silent,
        late,
        overtaken: None,
        opened,
        active: Arc::clone(&active),
    };
    let mut writing = JoinSet::new();
    writing.spawn(write(writer, outbox, opened, active));
    session.run(&mut reader, &mut writing).await;
}

impl Session {
    async fn run(&mut self, reader: &mut ReadHalf<Box<dyn Stream>>, writing: &mut JoinSet<()>) {
        let mut buffer = BytesMut::new();
        let mut arrived = VecDeque::new();
        let mut fresh = self.shared.release.is_v5();
        let mut looks = tokio::time::interval(IDLE_LOOK);
        loop {
            fresh = fresh && !begins(&mut buffer);
            // A fresh 5.x connection is not decided upon yet.
            loop {
                if fresh {
                    break;
                }
                match self.decode(&mut buffer) {
                    Ok(Decoded::Request(request)) => arrived.push_back(*request),
                    Ok(Decoded::Answer) => {}
                    Ok(Decoded::Incomplete) => break,
                    Err(Over) => return,
                }
            }
            while let Some(next) = self.pick(&mut arrived) {
                if self.handle(next).await.is_err() {
                    return;
                }
            }
            let overtaking = self.overtaken.as_ref().map(|(_, until)| *until);
            buffer.reserve(READ_CHUNK);
            tokio::select! {
                read = reader.read_buf(&mut buffer) => match read {
                    Ok(0) | Err(_) => return,
                    Ok(_) => self.active.store(since(self.opened), Ordering::Relaxed),
                },
                _ = writing.join_next() => return,
                Some(ended) = self.late.join_next() => if matches!(ended, Ok(Err(Over))) { return },
                _ = looks.tick() => if self.is_dead() { return },
                () = tokio::time::sleep_until(overtaking.unwrap_or(self.opened)), if overtaking.is_some() => {
                    if let Some((waited, _)) = self.overtaken.take()
                        && self.execute(waited).await.is_err()
                    {
                        return;
                    }
                }
            }
        }
    }

    /// Whether the client has fallen silent.
    fn is_dead(&self) -> bool {
        let idle = since(self.opened).saturating_sub(self.active.load(Ordering::Relaxed));
        let Server::Broker(index) = self.server else { return u128::from(idle) >= IDLE.as_millis() };
        let mut state = self.shared.lock();
        let beat = state.broker(index).connections.get(&self.id).and_then(|connection| connection.last_heartbeat);
        u128::from(idle) >= IDLE.as_millis() || beat.is_some_and(|beat| beat + IDLE <= env::now())
    }

    /// Takes the next frame out of the buffer.
    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Decoded, Over> {
        let codec = if buffer.get(4) == Some(&1) { Codec::Binary } else { Codec::Json };
        let Some(command) = frame::decode(buffer).map_err(|_| Over)? else { return Ok(Decoded::Incomplete) };
        if self.silent.load(Ordering::Relaxed) {
            return Ok(Decoded::Answer);
        }
        if command.is_response() {
            if let Server::Broker(index) = self.server {
                relay::answered(&self.shared, index, self.id, command);
            }
            return Ok(Decoded::Answer);
        }
        let mut state = self.shared.lock();
        let (broker, known) = match self.server {
            Server::NameServer => (String::new(), None),
            Server::Broker(index) => {
                let broker = state.broker(index);
                let known = broker.connections.get(&self.id).and_then(|connection| connection.client_id.clone());
                (broker.name.clone(), known)
            }
        };
        let asked = Asked::of(&command, known.as_deref(), &self.address.to_string());
        let seed = state.seed;
        let verdict = state.faults.judge(&asked, seed);
        let number = state.seen.came(asked.clone(), &broker, env::wall_ms());
        drop(state);
        let send_queue = asked.send_queue().cloned();
        let flight = Flight { shared: Arc::clone(&self.shared), number, asked: Some(asked) };
        let reply = ReplyPath { opaque: command.opaque, oneway: command.is_oneway(), codec, verdict, flight };
        Ok(Decoded::Request(Box::new(Arrived { command, send_queue, reply })))
    }

    /// The request to execute next. Two sends of one queue that are here together may change places, as in a broker's pool.
    fn pick(&mut self, arrived: &mut VecDeque<Arrived>) -> Option<Arrived> {
        let first = arrived.front()?;
        let Some(queue) = first.send_queue.clone().filter(|_| is_send(first.command.code)) else {
            return arrived.pop_front();
        };
        let second = arrived.iter().skip(1).position(|other| other.send_queue.as_ref() == Some(&queue));
        let forced = first.reply.verdict.disorder;
        if let Some(second) = second
            && (forced || self.is_disordered())
        {
            if let Some(first) = arrived.front_mut() {
                first.reply.verdict.disorder = false;
            }
            return arrived.remove(second + 1);
        }
        arrived.pop_front()
    }

    fn is_disordered(&self) -> bool {
        let Server::Broker(index) = self.server else { return false };
        let mut state = self.shared.lock();
        let threads = state.broker(index).number(SEND_THREADS).unwrap_or(1);
        threads > 1 && state.happens(NATURAL_DISORDER)
    }

    async fn handle(&mut self, mut arrived: Arrived) -> Result<(), Over> {
        let verdict = &mut arrived.reply.verdict;
        if verdict.blackhole {
            self.silent.store(true, Ordering::Relaxed);
        }
        if self.silent.load(Ordering::Relaxed) || verdict.drop_request {
            return Ok(());
        }
        if verdict.disconnect_before {
            return Err(Over);
        }
        if let Some((code, remark)) = verdict.answer.take() {
            let reply = Reply { code, remark, ..Reply::default() };
            return self.deliver(arrived.reply, Answer::Now(reply)).await;
        }
        if std::mem::take(&mut verdict.disorder) && self.overtaken.is_none() {
            self.overtaken = Some((arrived, env::now() + OVERTAKING));
            return Ok(());
        }
        let queue = arrived.send_queue.clone();
        self.execute(arrived).await?;
        let overtakes = |(waiting, _): &mut (Arrived, Instant)| queue.is_some() && waiting.send_queue == queue;
        if let Some((waited, _)) = self.overtaken.take_if(overtakes) {
            self.execute(waited).await?;
        }
        Ok(())
    }

    async fn execute(&mut self, arrived: Arrived) -> Result<(), Over> {
        let Arrived { command, reply, .. } = arrived;
        let answer = match self.server {
            Server::NameServer => dispatch::to_name_server(&self.shared, &command),
            Server::Broker(index) => {
                dispatch::to_broker(&self.shared, index, (self.id, self.address), &command, &reply.verdict)
            }
        };
        self.deliver(reply, answer).await
    }

    async fn deliver(&mut self, mut path: ReplyPath, answer: Answer) -> Result<(), Over> {
        let (release, out, silent) = (self.shared.release, self.out.clone(), Arc::clone(&self.silent));
        let (reply, json): (crate::requests::reply::Pending, bool) = match answer {
            Answer::Silent => return Ok(()),
            Answer::Now(reply) if path.verdict.delay_ms == 0 => {
                return path.end(&out, &silent, reply, release).await;
            }
            Answer::Now(reply) => (Box::pin(std::future::ready(reply)), false),
            Answer::Later { reply, json } => (reply, json),
        };
        if json {
            path.codec = Codec::Json;
        }
        while self.late.len() >= MAX_LATE {
            if let Some(Ok(Err(Over))) = self.late.join_next().await {
                return Err(Over);
            }
        }
        self.late.spawn(async move {
            let reply = reply.await;
            tokio::time::sleep(Duration::from_millis(path.verdict.delay_ms)).await;
            path.end(&out, &silent, reply, release).await
        });
        Ok(())
    }
}

/// Whether a 5.x server can tell what a connection begins with; a line of a proxy is taken off.
fn begins(buffer: &mut BytesMut) -> bool {
    if buffer.len() < FIRST_BYTES {
        return false;
    }
    let (start, longest) = PROXY_LINE;
    if buffer.starts_with(start) {
        let Some(end) = buffer.windows(2).take(longest).position(|pair| pair == b"\r\n") else {
            return buffer.len() > longest;
        };
        let _ = buffer.split_to(end + 2);
    }
    true
}
