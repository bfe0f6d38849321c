//! The outside world in one place: sockets, both clocks, randomness, threads, and every interval.
//!
//! Nothing else in the crate names a socket type or asks a clock, so that a simulation can replace all of it here.

use rand::Rng;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::runtime::{Builder, Runtime};

/// A point of the monotonic clock; leases and deadlines are made of these.
pub(crate) use tokio::time::Instant;
/// A connected stream.
pub(crate) type Socket = TcpStream;
/// A socket that takes connections.
pub(crate) type Listener = TcpListener;

/// The threads of all clients of the process, main thread and worker threads alike. Never dropped: no environment of Node owns it.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("rocketmq-io")
        .enable_all()
        .build()
        // Without threads nothing of this package can work; the binding turns the panic into an error.
        .unwrap_or_else(|error| panic!("cannot start the threads of rocketmq-orderly: {error}"))
});

/// Starts a task on the package's own threads.
pub(crate) fn spawn<F>(future: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match tokio::runtime::Handle::try_current() {
        Ok(current) => current.spawn(future),
        Err(_) => RUNTIME.spawn(future),
    }
}

/// Now, on the monotonic clock.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Now, on the wall clock: milliseconds since 1970 (UTC).
pub(crate) fn wall_ms() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Random bits.
pub(crate) fn random_u32() -> u32 {
    rand::rng().random()
}

/// `base` ± 20 %, so that clients that fail together do not come back together.
pub(crate) fn jittered(base: Duration) -> Duration {
    base.mul_f64(rand::rng().random_range(0.8..1.2))
}

/// A delay that doubles from `first` to `most`, jittered.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    /// Starts at `first`, ends at `most`.
    pub(crate) fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, next: first }
    }

    /// The delay before the next attempt.
    pub(crate) fn next(&mut self) -> Duration {
        let delay = self.next;
        self.next = (delay * 2).min(self.most);
        jittered(delay)
    }

    /// Begins anew, after a success.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

/// Connects to `host:port`, trying every address that the name resolves to, in order.
///
/// The socket sends at once (`TCP_NODELAY`) and notices a half-open peer in at most 10 s: keep-alive after 5 s of silence, every
/// 2 s, twice; and written bytes that stay unacknowledged for 9 s (`TCP_USER_TIMEOUT`) end it.
pub(crate) async fn connect(address: &str) -> io::Result<Socket> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name resolves to no address");
    for target in lookup_host(address).await? {
        #[expect(clippy::disallowed_methods, reason = "this is the one place")]
        match TcpStream::connect(target).await {
            Ok(socket) => {
                watchful(&socket)?;
                return Ok(socket);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Listens on 127.0.0.1; port 0 takes any free one.
pub(crate) async fn listen(port: u16) -> io::Result<Listener> {
    TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await
}

fn watchful(socket: &Socket) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let socket = socket2::SockRef::from(socket);
    let keep_alive =
        socket2::TcpKeepalive::new().with_time(Duration::from_secs(5)).with_interval(Duration::from_secs(2));
    #[cfg(not(windows))]
    let keep_alive = keep_alive.with_retries(2);
    socket.set_tcp_keepalive(&keep_alive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(Duration::from_secs(9)))?;
    Ok(())
}

/// The local IP address from which `peer` (`host:port`) would be reached; nothing is sent and no name is looked up, so this never
/// blocks. 127.0.0.1 where it cannot be told.
pub(crate) fn local_ip(peer: &str) -> IpAddr {
    // Any address of the wide world shows the default interface; this one is reserved for documentation (RFC 5737).
    let elsewhere = SocketAddr::from(([198, 51, 100, 1], 9));
    let peer = peer.parse().unwrap_or(elsewhere);
    let probe = || -> io::Result<IpAddr> {
        let any: SocketAddr =
            if peer.is_ipv6() { (Ipv6Addr::UNSPECIFIED, 0).into() } else { (Ipv4Addr::UNSPECIFIED, 0).into() };
        let socket = UdpSocket::bind(any)?;
        socket.connect(peer)?;
        Ok(socket.local_addr()?.ip())
    };
    probe().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

/// Every interval of the client, with the defaults that RocketMQ's own clients use or a reason to differ; tests shorten them.
#[derive(Clone, Debug)]
pub(crate) struct Timing {
    /// Opening one connection, including name resolution.
    pub(crate) connect_timeout: Duration,
    /// One request other than a pull, a lock or an unlock.
    pub(crate) request_timeout: Duration,
    /// Lock and unlock. Java: 1 s.
    pub(crate) lock_timeout: Duration,
    /// How long a broker may hold a pull that finds nothing.
    pub(crate) pull_suspend: Duration,
    /// One pull. Brokers look at held pulls every 5 s, so this is well above `pull_suspend`.
    pub(crate) pull_timeout: Duration,
    /// Between heartbeats. Brokers forget a client after 120 s.
    pub(crate) heartbeat_interval: Duration,
    /// Between two looks at the routes in use.
    pub(crate) route_refresh: Duration,
    /// Between two rebalances when nothing calls for one.
    pub(crate) rebalance_interval: Duration,
    /// Between lock renewals. Java: 20 s; 10 s lets a 30 s lease survive a miss.
    pub(crate) lock_renewal: Duration,
    /// How long a granted lock counts here, from the moment the request was sent. Brokers keep it 60 s.
    pub(crate) lease: Duration,
    /// Retrying a refused lock: every `relock_fast` for `relock_fast_for`, then every `relock_slow`.
    pub(crate) relock_fast: Duration,
    /// See `relock_fast`.
    pub(crate) relock_fast_for: Duration,
    /// See `relock_fast`.
    pub(crate) relock_slow: Duration,
    /// How long handing a queue over may take before it is worth a word, where its lock can be that of a living member.
    pub(crate) hand_over: Duration,
    /// How long a queue may wait until that is a problem: longer than the 60 s that a broker keeps a dead member's lock.
    pub(crate) standing: Duration,
    /// Between two looks at how queues stand that cannot be pulled.
    pub(crate) outlook: Duration,
    /// How long a handler may run without a word, where its user has set no bound.
    pub(crate) long_handler: Duration,
    /// First and longest delay after a failed pull, offset query or connection attempt.
    pub(crate) backoff: (Duration, Duration),
    /// First and longest delay before a refused send is tried again.
    pub(crate) send_backoff: (Duration, Duration),
    /// After answer 215 (`FLOW_CONTROL`) to a pull.
    pub(crate) flow_control_delay: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            request_timeout: Duration::from_secs(3),
            lock_timeout: Duration::from_secs(3),
            pull_suspend: Duration::from_secs(15),
            pull_timeout: Duration::from_secs(30),
            heartbeat_interval: Duration::from_secs(30),
            route_refresh: Duration::from_secs(30),
            rebalance_interval: Duration::from_secs(20),
            lock_renewal: Duration::from_secs(10),
            lease: Duration::from_secs(30),
            relock_fast: Duration::from_millis(300),
            relock_fast_for: Duration::from_secs(30),
            relock_slow: Duration::from_secs(3),
            hand_over: Duration::from_secs(2),
            standing: Duration::from_secs(65),
            outlook: Duration::from_secs(3),
            long_handler: Duration::from_secs(60),
            backoff: (Duration::from_millis(200), Duration::from_secs(3)),
            send_backoff: (Duration::from_millis(50), Duration::from_secs(1)),
            flow_control_delay: Duration::from_millis(20),
        }
    }
}
