//! The outside world in one place: sockets, both clocks, randomness, threads, and every interval.
//!
//! Nothing else in the crate names a socket type or asks a clock, so that a simulation can replace all of it here.

use rand::Rng;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
#[cfg(test)]
use tokio::net::TcpListener;
use tokio::net::{TcpStream, lookup_host};
use tokio::runtime::{Builder, Handle};
use tokio::task::JoinSet;

pub(crate) mod files;
mod panics;

pub(crate) use panics::caught_now;
pub use panics::{caught, kept};

/// A point of the monotonic clock; leases and deadlines are made of these.
pub use tokio::time::Instant;
/// A connected stream.
pub(crate) type Socket = TcpStream;
/// Its writing half.
pub(crate) type SocketWriter = tokio::net::tcp::OwnedWriteHalf;

/// How long one address of a name may be silent before the next is tried as well.
const STAGGER: Duration = Duration::from_millis(250);

/// How many bytes the system keeps of a connection beyond those that are on their way: on a thin line, what follows waits for them.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 64 * 1024;

/// The thread of all clients of the process, main thread and worker threads alike: one, since what it does in between waiting for sockets is
/// short, and with a second one most of that would be waking each other. It never ends: no environment of Node owns it.
static RUNTIME: LazyLock<Handle> = LazyLock::new(|| {
    // Without it nothing of this package can work; the binding turns the panic into an error.
    start().unwrap_or_else(|error| panic!("cannot start the thread of rocketmq-orderly: {error}"))
});

fn start() -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new()
        .name(String::from("rocketmq-io"))
        .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
    Ok(handle)
}

/// Starts a task on the package's own thread.
pub fn spawn<F>(future: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    // In a box, all tasks are of one kind for tokio: that is a twentieth of the addon.
    let future: Pin<Box<dyn Future<Output = F::Output> + Send>> = Box::pin(future);
    match Handle::try_current() {
        Ok(current) => current.spawn(future),
        Err(_) => RUNTIME.spawn(future),
    }
}

/// Does something long on a thread of its own.
pub(crate) fn spawn_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    match Handle::try_current() {
        Ok(current) => current.spawn_blocking(work),
        Err(_) => RUNTIME.spawn_blocking(work),
    }
}

/// Now, on the monotonic clock.
pub fn now() -> Instant {
    Instant::now()
}

/// Sleeps until then; for ever without a then.
pub(crate) async fn until(then: Option<Instant>) {
    match then {
        Some(then) => tokio::time::sleep_until(then).await,
        None => std::future::pending().await,
    }
}

/// Now, on the wall clock: milliseconds since 1970 (UTC).
pub fn wall_ms() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Now, on the monotonic clock that all processes of the machine share, in microseconds.
#[cfg(unix)]
pub(crate) fn monotonic_us() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    #[expect(unsafe_code, reason = "clock_gettime; the standard library hides what its clock counts from")]
    // SAFETY: it writes where it is told, which is as large as it has to be.
    unsafe {
        libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now);
    }
    let (seconds, nanos) = (now.tv_sec.cast_unsigned(), now.tv_nsec.cast_unsigned());
    seconds * 1_000_000 + nanos / 1_000
}

/// Now, on the monotonic clock of this process, in microseconds.
#[cfg(not(unix))]
pub(crate) fn monotonic_us() -> u64 {
    static SINCE: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(SINCE.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// What [`monotonic_us`] counts from: the same name for all processes that share the clock.
pub(crate) fn boot_id() -> String {
    let known = files::read(std::path::Path::new("/proc/sys/kernel/random/boot_id"));
    let known = known.ok().flatten().and_then(|id| String::from_utf8(id).ok());
    // Whoever cannot know shares it with nobody.
    known.map_or_else(|| format!("{:08x}{:08x}", random_u32(), random_u32()), |id| id.trim().to_owned())
}

/// A time of the wall clock as people read it: `2026-01-31T12:03:04Z`.
pub(crate) fn utc(wall_ms: i64) -> String {
    let seconds = wall_ms.div_euclid(1000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Years that begin in March have their odd day at the end; an era of them is 400 years.
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// Random bits.
pub(crate) fn random_u32() -> u32 {
    rand::rng().random()
}

/// `base` ± 20 %, so that clients that fail together do not come back together.
pub(crate) fn jittered(base: Duration) -> Duration {
    base.mul_f64(rand::rng().random_range(0.8..1.2))
}

/// Any time up to `most`, so that clients that are told the same do not ask in the same moment.
pub(crate) fn scattered(most: Duration) -> Duration {
    most.mul_f64(rand::rng().random_range(0.0..1.0))
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

/// Connects to `host:port`. Of a name with several addresses the next one is tried as well when the one before fails, or is silent
/// for [`STAGGER`]; the first connection wins, and the other attempts end.
///
/// The socket sends at once (`TCP_NODELAY`) and notices a half-open peer in at most 10 s: keep-alive after 5 s of silence, every
/// 2 s, twice; and written bytes that stay unacknowledged for 9 s (`TCP_USER_TIMEOUT`) end it.
pub(crate) async fn connect(address: &str) -> io::Result<Socket> {
    connect_any(alternating(lookup_host(address).await?)).await
}

/// Both families in turn, each in the resolver's order (RFC 8305): a host whose IPv6 leads nowhere lists it first, all of it.
fn alternating(resolved: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let resolved: Vec<_> = resolved.collect();
    let first_is_v6 = resolved.first().is_some_and(SocketAddr::is_ipv6);
    let (preferred, others): (Vec<_>, Vec<_>) = resolved.into_iter().partition(|it| it.is_ipv6() == first_is_v6);
    let (mut preferred, mut others) = (preferred.into_iter(), others.into_iter());
    let mut ordered = Vec::new();
    loop {
        let pair = [preferred.next(), others.next()];
        if pair == [None, None] {
            return ordered;
        }
        ordered.extend(pair.into_iter().flatten());
    }
}

/// The first connection to any of these; the last failure if there is none.
async fn connect_any(targets: Vec<SocketAddr>) -> io::Result<Socket> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name resolves to no address");
    let mut targets = targets.into_iter();
    // Whatever is still in here at the end is given up.
    let mut attempts = JoinSet::new();
    loop {
        let is_last = match targets.next() {
            Some(target) => {
                #[expect(clippy::disallowed_methods, reason = "this is the one place")]
                attempts.spawn(TcpStream::connect(target));
                targets.len() == 0
            }
            None if attempts.is_empty() => return Err(last),
            None => true,
        };
        let attempt = if is_last {
            attempts.join_next().await
        } else {
            tokio::time::timeout(STAGGER, attempts.join_next()).await.ok().flatten()
        };
        match attempt {
            Some(Ok(Ok(socket))) => {
                watchful(&socket)?;
                return Ok(socket);
            }
            Some(Ok(Err(error))) => last = error,
            Some(Err(error)) => last = io::Error::other(error),
            // Silent so far: the next one as well.
            None => {}
        }
    }
}

/// Listens on 127.0.0.1, for tests; port 0 takes any free one.
#[cfg(test)]
pub(crate) async fn listen(port: u16) -> io::Result<TcpListener> {
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
    #[cfg(target_os = "linux")]
    socket.set_tcp_notsent_lowat(UNSENT)?;
    Ok(())
}

/// How many of the written bytes the peer's system has not acknowledged yet; none where the system does not tell.
#[cfg(target_os = "linux")]
pub(crate) fn unacknowledged(socket: &Socket) -> Option<u64> {
    use std::os::fd::AsRawFd;
    let mut bytes: libc::c_int = 0;
    #[expect(unsafe_code, reason = "SIOCOUTQ (as TIOCOUTQ) writes one int, and no crate here wraps it")]
    // SAFETY: the descriptor is open while `socket` is borrowed, and `bytes` outlives the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if result == 0 { u64::try_from(bytes).ok() } else { None }
}

/// How many of the written bytes the peer's system has not acknowledged yet; none where the system does not tell.
#[cfg(not(target_os = "linux"))]
pub(crate) fn unacknowledged(_socket: &Socket) -> Option<u64> {
    None
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
pub struct Timing {
    /// Opening one connection, including name resolution.
    pub connect_timeout: Duration,
    /// One request other than a pull, a lock or an unlock.
    pub request_timeout: Duration,
    /// Lock and unlock. Java: 1 s. See [`Timing::with_request_timeout`].
    pub lock_timeout: Duration,
    /// How long a broker may hold a pull that finds nothing.
    pub pull_suspend: Duration,
    /// One pull. Brokers look at held pulls every 5 s, so this is well above `pull_suspend`.
    pub pull_timeout: Duration,
    /// Between heartbeats. Brokers forget a client after 120 s.
    pub heartbeat_interval: Duration,
    /// Between two looks at the routes in use.
    pub route_refresh: Duration,
    /// Between two rebalances when nothing calls for one.
    pub rebalance_interval: Duration,
    /// Between lock renewals. Java: 20 s; 10 s lets a 30 s lease survive a miss.
    pub lock_renewal: Duration,
    /// How long a granted lock counts here, from the moment the request was sent. Brokers keep it 60 s.
    pub lease: Duration,
    /// Retrying a refused lock: every `relock_fast` for `relock_fast_for`, then every `relock_slow`.
    pub relock_fast: Duration,
    /// See `relock_fast`.
    pub relock_fast_for: Duration,
    /// See `relock_fast`.
    pub relock_slow: Duration,
    /// How long handing a queue over may take before it is worth a word, where its lock can be that of a living member.
    pub hand_over: Duration,
    /// How long a queue may wait until that is a problem: longer than the 60 s that a broker keeps a dead member's lock.
    pub stalled_after: Duration,
    /// Between two looks at how queues stand that cannot be pulled.
    pub lag_probe: Duration,
    /// How long a handler may run without a word, where its user has set no bound.
    pub long_handler: Duration,
    /// First and longest delay after a failed pull, offset query or connection attempt.
    pub backoff: (Duration, Duration),
    /// First and longest delay between two attempts of one step of a start.
    pub start_backoff: (Duration, Duration),
    /// First and longest delay before a refused send is tried again.
    pub send_backoff: (Duration, Duration),
    /// After answer 215 (`FLOW_CONTROL`) to a pull.
    pub flow_control_delay: Duration,
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
            stalled_after: Duration::from_secs(65),
            lag_probe: Duration::from_secs(3),
            long_handler: Duration::from_secs(60),
            backoff: (Duration::from_millis(200), Duration::from_secs(3)),
            start_backoff: (Duration::from_millis(200), Duration::from_secs(1)),
            send_backoff: (Duration::from_millis(50), Duration::from_secs(1)),
            flow_control_delay: Duration::from_millis(20),
        }
    }
}

impl Timing {
    /// With another bound for requests. A lock's renewal takes no longer than it may: a lease has to survive one that is missed.
    pub fn with_request_timeout(self, request_timeout: Duration) -> Self {
        Self { request_timeout, lock_timeout: request_timeout.min(self.lease / 3), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_request_takes_as_long_as_any_but_never_the_lease() {
        for (millis, lock) in [(200, 200), (3_000, 3_000), (60_000, 10_000)] {
            let timing = Timing::default().with_request_timeout(Duration::from_millis(millis));
            assert_eq!(timing.request_timeout.as_millis(), u128::from(millis));
            assert_eq!(timing.lock_timeout.as_millis(), lock);
            assert!(timing.lock_renewal + timing.lock_timeout < timing.lease);
        }
    }

    fn v4(last: u8) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 1))
    }

    fn v6(last: u16) -> SocketAddr {
        SocketAddr::from((Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, last), 1))
    }

    #[test]
    fn times_are_shown_as_people_read_them() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399_999, "2000-02-28T23:59:59Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_769_860_984_000, "2026-01-31T12:03:04Z"),
            (1_772_323_199_000, "2026-02-28T23:59:59Z"),
            (1_772_323_200_000, "2026-03-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(utc(ms), text);
        }
    }

    #[test]
    fn both_families_are_tried_in_turn() {
        assert_eq!(alternating([v6(1), v6(2), v6(3), v4(1)].into_iter()), [v6(1), v4(1), v6(2), v6(3)]);
        assert_eq!(alternating([v4(2), v4(1), v6(1)].into_iter()), [v4(2), v6(1), v4(1)]);
    }

    /// A listener that lets nobody in: its queue is full, and whoever comes is not answered. Its port is free elsewhere.
    #[cfg(target_os = "linux")]
    async fn silent(last: u8) -> (socket2::Socket, Vec<TcpStream>, SocketAddr) {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0)).into()).unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let mut queue = Vec::new();
        #[expect(clippy::disallowed_methods, reason = "a peer, not a client")]
        while let Ok(Ok(one)) = tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
            queue.push(one);
        }
        (socket, queue, address)
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_silent_address_keeps_nobody_from_the_others_and_losers_end() {
        let (_socket, _queue, silent) = silent(2).await;
        let mut alive = silent;
        alive.set_ip(Ipv4Addr::LOCALHOST.into());
        let listener = TcpListener::bind(alive).await.unwrap();
        let mut refused = silent;
        refused.set_ip(Ipv4Addr::new(127, 0, 0, 3).into());
        let began = now();
        let socket = connect_any(vec![silent, refused, alive]).await.unwrap();
        assert_eq!(socket.peer_addr().unwrap(), alive);
        // One wait: a refusal is followed at once.
        assert!(began.elapsed() < Duration::from_millis(1_500), "{:?}", began.elapsed());
        assert!(began.elapsed() >= STAGGER);
        drop(listener);
        // Only silence is left: nothing but the caller's bound ends it.
        let waiting = tokio::time::timeout(Duration::from_millis(600), connect_any(vec![silent, refused])).await;
        assert!(waiting.is_err());
        assert_eq!(connect_any(vec![refused, refused]).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(connect_any(Vec::new()).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn two_that_answer_leave_one_connection() {
        let slow = TcpListener::bind(v4_any(4)).await.unwrap();
        let fast = TcpListener::bind(v4_any(5)).await.unwrap();
        let targets = vec![slow.local_addr().unwrap(), fast.local_addr().unwrap()];
        let socket = connect_any(targets).await.unwrap();
        assert_eq!(socket.peer_addr().unwrap(), slow.local_addr().unwrap());
        assert!(tokio::time::timeout(STAGGER * 2, fast.accept()).await.is_err(), "the second was never asked");
    }

    #[cfg(target_os = "linux")]
    fn v4_any(last: u8) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0))
    }
}
