//! Servers that start, stop and come back.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::commands::Perm;
use super::options::{Keep, TestBrokerOptions, config};
use crate::TestBroker;
use crate::access::acl::Accounts;
use crate::env;
use crate::error::{Code, Refused};
use crate::requests::name_server::all_routes;
use crate::state::broker::Broker;
use crate::state::cluster::{Shared, State};
use crate::wire::server::Running;
use crate::wire::session::Server;
use crate::wire::tls::Doorman;

/// Most brokers.
const MAX_BROKERS: usize = 64;
/// A 4.9 broker that stopped in peace is in the routes so long; scaled.
const LINGERING: Duration = Duration::from_secs(2);

/// Running brokers register with a name server that has been started again after so long; scaled. Theirs is 30 s, and 10 s at least.
const REGISTRATION: Duration = Duration::from_secs(10);

/// What listens.
pub(crate) struct Servers {
    name_server: Option<Running>,
    name_server_port: u16,
    brokers: Vec<Option<Running>>,
}

fn cannot_listen(port: u16, error: &io::Error) -> Refused {
    let text = match error.kind() {
        io::ErrorKind::AddrInUse => format!("port: {port} is in use on 127.0.0.1"),
        io::ErrorKind::PermissionDenied => format!("port: {port} may not be listened on"),
        _ => format!("port: cannot listen on 127.0.0.1:{port}: {error}"),
    };
    Refused::new(Code::InvalidArgument, text)
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
    pub async fn start(options: TestBrokerOptions) -> Result<Self, Refused> {
        let TestBrokerOptions { topics, groups, brokers, port, release, credentials, seed, time_factor, tls } = options;
        if brokers == 0 || brokers > MAX_BROKERS {
            return Err(Refused::new(Code::InvalidArgument, format!("brokers: must be from 1 to {MAX_BROKERS}")));
        }
        let state = State::new(release, seed, Accounts::of(credentials));
        let shared = Shared::new(release, time_factor, tls.as_ref().map(Doorman::new).transpose()?, state);
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

    /// `host:port` of the name server.
    pub fn name_server(&self) -> String {
        format!("127.0.0.1:{}", self.servers().name_server_port)
    }

    /// `host:port` of each broker.
    pub fn brokers(&self) -> Vec<String> {
        self.shared.lock().brokers.iter().map(|broker| broker.address.to_string()).collect()
    }

    fn check_index(&self, index: usize) -> Result<(), Refused> {
        let count = self.shared.lock().brokers.len();
        if index < count {
            return Ok(());
        }
        Err(Refused::new(Code::InvalidArgument, format!("index: there is no broker {index}, only {count}")))
    }

    /// Stops a broker: its connections end and its route goes. A stopped one stays stopped.
    pub async fn stop_broker(&self, index: usize) -> Result<(), Refused> {
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
    pub async fn start_broker(&self, index: usize, keep: Keep) -> Result<(), Refused> {
        self.start_broker_at(index, keep, None).await
    }

    /// The same on another machine: it has its disk, and another address.
    pub async fn start_broker_elsewhere(&self, index: usize, keep: Keep) -> Result<(), Refused> {
        self.start_broker_at(index, keep, Some(0)).await
    }

    async fn start_broker_at(&self, index: usize, keep: Keep, port: Option<u16>) -> Result<(), Refused> {
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
            port.unwrap_or_else(|| broker.address.port())
        };
        let running = Running::start(&self.shared, Server::Broker(index), port)
            .await
            .map_err(|error| cannot_listen(port, &error))?;
        let mut state = self.shared.lock();
        let broker = state.broker(index);
        broker.address = running.address;
        broker.running = true;
        broker.route_until = None;
        broker.registers_at = None;
        broker.started = env::now();
        drop(state);
        if let Some(place) = self.servers().brokers.get_mut(index) {
            *place = Some(running);
        }
        self.shared.change();
        Ok(())
    }

    /// The name server goes on with the routes that it has now, and hears of nothing new, until it is told otherwise.
    pub fn keep_routes(&self, keep: bool) -> Result<(), Refused> {
        self.open()?;
        let mut state = self.shared.lock();
        let routes = keep.then(|| all_routes(&state));
        state.name_server.stale = routes;
        Ok(())
    }

    /// Stops the name server.
    pub async fn stop_name_server(&self) -> Result<(), Refused> {
        self.open()?;
        let running = self.servers().name_server.take();
        if let Some(running) = running {
            running.stop().await;
        }
        Ok(())
    }

    /// Starts the name server again, on its old port. It knows nothing until the brokers have registered.
    pub async fn start_name_server(&self) -> Result<(), Refused> {
        self.open()?;
        let port = {
            let servers = self.servers();
            if servers.name_server.is_some() {
                return Ok(());
            }
            servers.name_server_port
        };
        let registration = env::now() + self.shared.scaled(REGISTRATION);
        for broker in &mut self.shared.lock().brokers {
            broker.registers_at = Some(registration);
        }
        let running = Running::start(&self.shared, Server::NameServer, port)
            .await
            .map_err(|error| cannot_listen(port, &error))?;
        self.servers().name_server = Some(running);
        Ok(())
    }

    /// Closes every socket; everything stored is gone. Fails when a client did what ruins a real broker.
    pub async fn close(&self) -> Result<(), Refused> {
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
            Some(violation) => Err(Refused::new(Code::Protocol, violation.clone())),
            None => Ok(()),
        }
    }
}
