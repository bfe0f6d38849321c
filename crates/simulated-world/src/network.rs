//! Servers that listen, lines between them and hosts, and what happens to those.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use crate::World;
use crate::chance;
use crate::hosts::Host;
use crate::line::{Direction, Line};
use crate::pipe::Pipe;
use crate::socket::{Connection, Socket};

/// The first port that is given to whoever wants any.
const ANY_PORT: u16 = 10_000;
/// The client's sockets give up a line that is dead for so long: keep-alive, and a time-out for what is unacknowledged.
const SILENCE: Duration = Duration::from_secs(9);

#[derive(Default)]
pub(crate) struct Network {
    listeners: BTreeMap<u16, mpsc::UnboundedSender<Arc<Connection>>>,
    next_port: u16,
    /// Other addresses of servers.
    aliases: BTreeMap<u16, u16>,
    lines: BTreeMap<(Host, u16), Wire>,
    usual: Line,
    connections: Vec<Weak<Connection>>,
    next_client_port: u16,
}

/// A line, and who waits for it.
#[derive(Clone, Default)]
struct Wire {
    line: Arc<Mutex<Line>>,
    changed: Arc<Notify>,
}

impl Wire {
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_cut(&self) -> bool {
        self.line().cut.contains(&true)
    }
}

impl Network {
    fn wire(&mut self, host: Host, port: u16) -> Wire {
        let usual = self.usual;
        let new = || Wire { line: Arc::new(Mutex::new(usual)), changed: Arc::default() };
        self.lines.entry((host, port)).or_insert_with(new).clone()
    }

    fn connections(&mut self, which: impl Fn(&Connection) -> bool) -> Vec<Arc<Connection>> {
        self.connections.retain(|connection| connection.strong_count() > 0);
        self.connections.iter().filter_map(Weak::upgrade).filter(|connection| which(connection)).collect()
    }
}

impl World {
    /// How lines are that nobody has spoken of.
    pub fn usual_line(&self, line: Line) {
        self.network().usual = line;
    }

    /// Another address of a server, with lines of its own.
    pub fn alias(&self, of: u16) -> u16 {
        let mut network = self.network();
        let port = network.any_port();
        network.aliases.insert(port, of);
        port
    }

    /// The line between a host and a server is another one from now on. What is on its way stays.
    pub fn set_line(self: &Arc<Self>, host: Host, port: u16, change: impl FnOnce(&mut Line)) {
        let now = Instant::now();
        let (wire, connections) = {
            let mut network = self.network();
            let wire = network.wire(host, port);
            (wire, network.connections(|it| it.host == host && it.server.port() == port))
        };
        let (before, after) = {
            let mut line = wire.line();
            let before = *line;
            change(&mut line);
            (before, *line)
        };
        for connection in &connections {
            let mut state = connection.state();
            for (way, pipe) in state.pipes.iter_mut().enumerate() {
                if before.cut[way] && !after.cut[way] {
                    pipe.resend(now);
                }
                pipe.wake();
            }
        }
        wire.changed.notify_waiters();
        if !before.cut.contains(&true) && after.cut.contains(&true) {
            tokio::spawn(give_up(wire, connections));
        }
    }

    /// Every connection of this line ends by a reset, wherever its bytes are.
    pub fn reset(&self, host: Host, port: u16) {
        for connection in self.network().connections(|it| it.host == host && it.server.port() == port) {
            connection.fail(Direction::Up, io::ErrorKind::ConnectionReset);
            connection.fail(Direction::Down, io::ErrorKind::ConnectionReset);
        }
    }
}

/// A system that hears nothing for long ends its connections.
async fn give_up(wire: Wire, connections: Vec<Arc<Connection>>) {
    let until = Instant::now() + SILENCE + chance::up_to(Duration::from_secs(2));
    loop {
        let changed = wire.changed.notified();
        if !wire.is_cut() {
            return;
        }
        if tokio::time::timeout_at(until, changed).await.is_err() {
            break;
        }
    }
    for connection in connections {
        connection.fail(Direction::Up, io::ErrorKind::TimedOut);
    }
}

/// The connections of a process that is no more.
pub(crate) fn hang_up(host: Host) {
    let now = Instant::now();
    for connection in World::current().network().connections(|it| it.host == host) {
        let line = connection.line();
        let mut state = connection.state();
        state.broken[Direction::Up.index()].get_or_insert(io::ErrorKind::BrokenPipe);
        let [up, down] = &mut state.pipes;
        up.end(&line, now);
        down.unread = true;
        state.pipes.iter_mut().for_each(Pipe::wake);
    }
}

/// A server that takes connections.
#[derive(Debug)]
pub struct Listener {
    port: u16,
    arriving: tokio::sync::Mutex<mpsc::UnboundedReceiver<Arc<Connection>>>,
}

impl Network {
    fn any_port(&mut self) -> u16 {
        self.next_port = self.next_port.max(ANY_PORT) + 1;
        self.next_port
    }
}

/// Listens; port 0 takes any free one.
pub async fn listen(port: u16) -> io::Result<Listener> {
    let world = World::current();
    let mut network = world.network();
    let port = if port == 0 { network.any_port() } else { port };
    if network.listeners.contains_key(&port) {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    let (sender, arriving) = mpsc::unbounded_channel();
    network.listeners.insert(port, sender);
    Ok(Listener { port, arriving: tokio::sync::Mutex::new(arriving) })
}

impl Listener {
    /// The next connection, and whose it is.
    pub async fn accept(&self) -> io::Result<(Socket, SocketAddr)> {
        let connection = self.arriving.lock().await.recv().await.ok_or(io::ErrorKind::NotConnected)?;
        let address = connection.client;
        Ok((Socket::new(&connection, Direction::Down), address))
    }

    /// Where it listens.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        World::current().network().listeners.remove(&self.port);
    }
}

/// Connects the current host to `ip:port`.
pub async fn connect(address: &str) -> io::Result<Socket> {
    let server: SocketAddr = address.parse().map_err(|_| io::ErrorKind::InvalidInput)?;
    let world = World::current();
    let host = Host::current().ok_or(io::ErrorKind::NotConnected)?;
    let wire = world.network().wire(host, server.port());
    let line = through(&wire).await;
    tokio::time::sleep(line.latency * 2 + chance::up_to(line.jitter)).await;
    through(&wire).await;
    let connection = {
        let mut network = world.network();
        network.next_client_port = network.next_client_port.max(20_000).wrapping_add(1);
        let client = SocketAddr::from((host.ip(), network.next_client_port));
        let line = Arc::clone(&wire.line);
        let connection = Arc::new(Connection { host, server, client, line, state: Mutex::default() });
        let port = network.aliases.get(&server.port()).copied().unwrap_or(server.port());
        let listener = network.listeners.get(&port).ok_or(io::ErrorKind::ConnectionRefused)?;
        listener.send(Arc::clone(&connection)).map_err(|_| io::ErrorKind::ConnectionRefused)?;
        network.connections.push(Arc::downgrade(&connection));
        connection
    };
    Ok(Socket::new(&connection, Direction::Up))
}

/// Waits until both ways are open.
async fn through(wire: &Wire) -> Line {
    loop {
        let changed = wire.changed.notified();
        if !wire.is_cut() {
            return *wire.line();
        }
        changed.await;
    }
}
