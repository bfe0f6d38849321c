//! The outside world itself.

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
pub(crate) use tokio::task::JoinSet;

/// A connected stream.
pub(super) type Socket = TcpStream;
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
    static SINCE: LazyLock<tokio::time::Instant> = LazyLock::new(tokio::time::Instant::now);
    u64::try_from(SINCE.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// What [`monotonic_us`] counts from: the same name for all processes that share the clock.
pub(crate) fn boot_id() -> String {
    let known = super::files::read(std::path::Path::new("/proc/sys/kernel/random/boot_id"));
    let known = known.ok().flatten().and_then(|id| String::from_utf8(id).ok());
    // Whoever cannot know shares it with nobody.
    known.map_or_else(|| format!("{:08x}{:08x}", random_u32(), random_u32()), |id| id.trim().to_owned())
}

/// The number of this process.
pub(crate) fn process_id() -> u32 {
    std::process::id()
}

/// Whether that defect is planted; here none is.
#[cfg(not(feature = "shuttle"))]
pub const fn planted(_defect: &str) -> bool {
    false
}

#[cfg(feature = "shuttle")]
pub use crate::schedules::planted;

/// Random bits.
pub(crate) fn random_u32() -> u32 {
    rand::rng().random()
}

/// At least 0, less than 1.
pub(crate) fn fraction() -> f64 {
    rand::rng().random_range(0.0..1.0)
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
pub(crate) fn unacknowledged(writer: &SocketWriter) -> Option<u64> {
    use std::os::fd::AsRawFd;
    let socket: &Socket = writer.as_ref();
    let mut bytes: libc::c_int = 0;
    #[expect(unsafe_code, reason = "SIOCOUTQ (as TIOCOUTQ) writes one int, and no crate here wraps it")]
    // SAFETY: the descriptor is open while `writer` is borrowed, and `bytes` outlives the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if result == 0 { u64::try_from(bytes).ok() } else { None }
}

/// How many of the written bytes the peer's system has not acknowledged yet; none where the system does not tell.
#[cfg(not(target_os = "linux"))]
pub(crate) fn unacknowledged(_writer: &SocketWriter) -> Option<u64> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::now;

    fn v4(last: u8) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 1))
    }

    fn v6(last: u16) -> SocketAddr {
        SocketAddr::from((Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, last), 1))
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
