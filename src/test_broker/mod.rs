//! A name server and brokers in memory, on 127.0.0.1, that speak the real protocol to any client: the default of whoever tries
//! the package, and the double of whoever tests with it. It keeps nothing, and is never kinder than a real broker.
//!
//! Frames come in through `server`, go by code through `dispatch` to a handler, and change the one `State` under one lock.
//! What differs between 4.9 and 5.5 asks [`Release::is_v5`]. Time that a real broker measures is scaled by the time factor;
//! the client's own (heartbeats, answers to the broker) is not.

mod accounts;
mod acl;
mod admin;
mod cluster;
mod control;
mod dispatch;
mod faults;
mod groups;
mod locks;
mod membership;
mod name_server;
mod offsets;
mod pull;
mod queue_offsets;
mod record;
mod relay;
mod release;
mod reply;
mod requests_seen;
mod reset;
mod retry;
mod send;
mod server;
mod session;
mod sql;
mod statistics;
mod store;
mod views;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use self::acl::Accounts;
use self::cluster::{Broker, Shared, State};
use self::server::{Running, Server};
use crate::env;
use crate::error::{ClientError, Code};
use crate::protocol::Credentials;

pub(crate) use self::control::{Perm, Position, Publication, codes_of};
pub(crate) use self::faults::{ClientPattern, Effect, FaultMatch};
pub(crate) use self::release::Release;

/// Most brokers.
const MAX_BROKERS: usize = 64;
/// A 4.9 broker that stopped in peace is in the routes so long; scaled.
const LINGERING: Duration = Duration::from_secs(2);

/// How a test broker is to be.
#[derive(Debug, Clone)]
pub(crate) struct TestBrokerOptions {
    /// Topics and their queues, spread over the brokers. `None`: topics are created as they are sent to.
    pub(crate) topics: Option<Vec<(String, i32)>>,
    /// Groups. `None`: groups are created as they come.
    pub(crate) groups: Option<Vec<String>>,
    /// How many brokers.
    pub(crate) brokers: usize,
    /// Port of the name server; 0 for any.
    pub(crate) port: u16,
    /// Which broker line is shown.
    pub(crate) release: Release,
    /// Accounts with all rights; none: no access control.
    pub(crate) credentials: Vec<Credentials>,
    /// Of every probability.
    pub(crate) seed: u64,
    /// By which a real broker's times are multiplied.
    pub(crate) time_factor: f64,
}

impl Default for TestBrokerOptions {
    fn default() -> Self {
        Self {
            topics: None,
            groups: None,
            brokers: 1,
            port: 0,
            release: Release::V5,
            credentials: Vec::new(),
            seed: 0,
            time_factor: 1.0,
        }
    }
}

/// What a broker keeps over a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Everything but connections, as after a broken network.
    All,
    /// What was on disk: no locks, no offsets of the last 5 s.
    Stored,
}

/// A running test broker. Dropping it closes it, a little later.
pub(crate) struct TestBroker {
    shared: Arc<Shared>,
    servers: Mutex<Servers>,
}

impl std::fmt::Debug for TestBroker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestBroker").field("release", &self.shared.release).finish_non_exhaustive()
    }
}

struct Servers {
    name_server: Option<Running>,
    name_server_port: u16,
    brokers: Vec<Option<Running>>,
}

fn cannot_listen(port: u16, error: &io::Error) -> ClientError {
    let text = match error.kind() {
        io::ErrorKind::AddrInUse => format!("port: {port} is in use on 127.0.0.1"),
        io::ErrorKind::PermissionDenied => format!("port: {port} may not be listened on"),
        _ => format!("port: cannot listen on 127.0.0.1:{port}: {error}"),
    };
    ClientError::new(Code::InvalidArgument, text)
}

fn closed() -> ClientError {
    ClientError::new(Code::Closed, "the test broker is closed")
}

/// `broker-a`, `broker-b`, …, `broker-z`, `broker-27`, ….
fn broker_name(index: usize) -> String {
    match u8::try_from(index).ok().filter(|index| *index < 26) {
        Some(letter) => format!("broker-{}", char::from(b'a' + letter)),
        None => format!("broker-{}", index + 1),
    }
}

impl TestBroker {
    /// Starts name server and brokers; all listen when this resolves.
    pub(crate) async fn start(options: TestBrokerOptions) -> Result<Self, ClientError> {
        let TestBrokerOptions { topics, groups, brokers, port, release, credentials, seed, time_factor } = options;
        if brokers == 0 || brokers > MAX_BROKERS {
            return Err(ClientError::new(Code::InvalidArgument, format!("brokers: must be from 1 to {MAX_BROKERS}")));
        }
        let state = State::new(release, seed, Accounts::of(credentials));
        let shared = Shared::new(release, time_factor, state);
        let listening = |port| move |error: io::Error| cannot_listen(port, &error);
        let name_server = Running::start(&shared, Server::NameServer, port).await.map_err(listening(port))?;
        let mut servers = Servers {
            name_server_port: name_server.address.port(),
            name_server: Some(name_server),
            brokers: Vec::new(),
        };
        for index in 0..brokers {
            // The state's broker must be there before its first connection, and cannot know its port before it listens.
            let config = config(topics.is_none(), groups.is_none());
            let nowhere = ([127, 0, 0, 1], 0).into();
            shared.lock().brokers.push(Broker::new(broker_name(index), nowhere, release, config));
            let broker = Running::start(&shared, Server::Broker(index), 0).await.map_err(listening(0))?;
            shared.lock().broker(index).address = broker.address;
            servers.brokers.push(Some(broker));
        }
        let broker = Self { shared, servers: Mutex::new(servers) };
        for (topic, queues) in topics.into_iter().flatten() {
            broker.create_topic(&topic, queues, Perm::default())?;
        }
        for group in groups.into_iter().flatten() {
            broker.create_group(&group)?;
        }
        Ok(broker)
    }

    fn servers(&self) -> std::sync::MutexGuard<'_, Servers> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Result<(), ClientError> {
        if self.shared.is_closed() { Err(closed()) } else { Ok(()) }
    }

    /// `host:port` of the name server.
    pub(crate) fn name_server(&self) -> String {
        format!("127.0.0.1:{}", self.servers().name_server_port)
    }

    /// `host:port` of each broker.
    pub(crate) fn brokers(&self) -> Vec<String> {
        self.shared.lock().brokers.iter().map(|broker| broker.address.to_string()).collect()
    }

    fn check_index(&self, index: usize) -> Result<(), ClientError> {
        let count = self.shared.lock().brokers.len();
        if index < count {
            return Ok(());
        }
        Err(ClientError::new(Code::InvalidArgument, format!("index: there is no broker {index}, only {count}")))
    }

    /// Stops a broker: its connections end and its route goes. A stopped one stays stopped.
    pub(crate) async fn stop_broker(&self, index: usize) -> Result<(), ClientError> {
        self.open()?;
        self.check_index(index)?;
        let grace = {
            let mut state = self.shared.lock();
            let broker = state.broker(index);
            if !broker.running {
                return Ok(());
            }
            let graceful = broker.release.is_v5() && broker.is_set("enableShutdownGracefully");
            let lingers = if broker.release.is_v5() { Duration::ZERO } else { self.shared.scaled(LINGERING) };
            broker.route_until = Some(env::now() + lingers);
            broker.leaving = graceful;
            let seconds = broker.number("shutdownWaitTimeSeconds").and_then(|seconds| u64::try_from(seconds).ok());
            graceful.then(|| self.shared.scaled(Duration::from_secs(seconds.unwrap_or(30))))
        };
        if let Some(grace) = grace {
            tokio::time::sleep(grace).await;
        }
        let running = self.servers().brokers.get_mut(index).and_then(Option::take);
        if let Some(running) = running {
            running.stop().await;
        }
        let mut state = self.shared.lock();
        let broker = state.broker(index);
        (broker.running, broker.leaving) = (false, false);
        drop(state);
        self.shared.change();
        Ok(())
    }

    /// Starts a stopped broker again, on its old port.
    pub(crate) async fn start_broker(&self, index: usize, keep: Keep) -> Result<(), ClientError> {
        self.open()?;
        self.check_index(index)?;
        let port = {
            let mut state = self.shared.lock();
            let broker = state.broker(index);
            if broker.running {
                return Ok(());
            }
            if keep == Keep::Stored {
                broker.lose_memory(self.shared.time_factor);
            }
            broker.address.port()
        };
        let running = Running::start(&self.shared, Server::Broker(index), port)
            .await
            .map_err(|error| cannot_listen(port, &error))?;
        let mut state = self.shared.lock();
        let broker = state.broker(index);
        broker.running = true;
        broker.route_until = None;
        broker.started = env::now();
        drop(state);
        if let Some(place) = self.servers().brokers.get_mut(index) {
            *place = Some(running);
        }
        self.shared.change();
        Ok(())
    }

    /// Stops the name server.
    pub(crate) async fn stop_name_server(&self) -> Result<(), ClientError> {
        self.open()?;
        let running = self.servers().name_server.take();
        if let Some(running) = running {
            running.stop().await;
        }
        Ok(())
    }

    /// Starts the name server again, on its old port.
    pub(crate) async fn start_name_server(&self) -> Result<(), ClientError> {
        self.open()?;
        let port = {
            let servers = self.servers();
            if servers.name_server.is_some() {
                return Ok(());
            }
            servers.name_server_port
        };
        let running = Running::start(&self.shared, Server::NameServer, port)
            .await
            .map_err(|error| cannot_listen(port, &error))?;
        self.servers().name_server = Some(running);
        Ok(())
    }

    /// Closes every socket; everything stored is gone. Fails when a client did what ruins a real broker.
    pub(crate) async fn close(&self) -> Result<(), ClientError> {
        if self.shared.is_closed() {
            return Ok(());
        }
        self.shared.close();
        self.shared.change();
        let running: Vec<_> = {
            let mut servers = self.servers();
            let name_server = servers.name_server.take();
            servers.brokers.iter_mut().filter_map(Option::take).chain(name_server).collect()
        };
        for server in running {
            server.stop().await;
        }
        match self.shared.lock().violations.first() {
            Some(violation) => Err(ClientError::new(Code::Protocol, violation.clone())),
            None => Ok(()),
        }
    }
}

/// Settings of a broker as the console shows them; what is not here has no effect.
fn config(creates_topics: bool, creates_groups: bool) -> BTreeMap<String, String> {
    [
        ("autoCreateTopicEnable", if creates_topics { "true" } else { "false" }),
        ("autoCreateSubscriptionGroup", if creates_groups { "true" } else { "false" }),
        ("brokerClusterName", cluster::CLUSTER),
        ("brokerId", "0"),
        ("brokerPermission", "6"),
        ("enablePropertyFilter", "true"),
        ("enableShutdownGracefully", "false"),
        ("maxMessageSize", "4194304"),
        ("sendMessageThreadPoolNums", "4"),
        ("shutdownWaitTimeSeconds", "30"),
        ("useServerSideResetOffset", "true"),
        ("waitTimeMillsInSendQueue", "200"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

#[cfg(test)]
mod tests;
