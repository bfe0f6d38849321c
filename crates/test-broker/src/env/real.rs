//! The outside world itself.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Handle};

/// A connected stream.
pub(crate) type Socket = TcpStream;
/// A socket that takes connections.
pub(crate) type Listener = TcpListener;

/// The thread of all test brokers of the process. It never ends: no environment of Node owns it.
static RUNTIME: LazyLock<Handle> = LazyLock::new(|| {
    // Without it nothing of them can work; the binding turns the panic into an error.
    start().unwrap_or_else(|error| panic!("cannot start the thread of the test broker: {error}"))
});

fn start() -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new()
        .name(String::from("rocketmq-test"))
        .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
    Ok(handle)
}

/// Starts a task on the test broker's own thread.
pub fn spawn<F>(future: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match Handle::try_current() {
        Ok(current) => current.spawn(future),
        Err(_) => RUNTIME.spawn(future),
    }
}

/// Now, on the wall clock: milliseconds since 1970 (UTC).
pub(crate) fn wall_ms() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Listens on 127.0.0.1; port 0 takes any free one.
pub(crate) async fn listen(port: u16) -> io::Result<Listener> {
    TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await
}

/// A client's connection to `host:port`.
#[cfg(test)]
pub(crate) async fn connect(address: &str) -> io::Result<Socket> {
    #[expect(clippy::disallowed_methods, reason = "a client of a test, not ours")]
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    Ok(socket)
}
