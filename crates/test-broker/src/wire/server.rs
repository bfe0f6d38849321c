//! Listening sockets.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use super::session::{Server, serve};
use crate::env::{self, Listener};
use crate::state::cluster::Shared;

/// How long a client may take for its handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A listening server. Dropping it ends it, too, a little later.
#[derive(Debug)]
pub(crate) struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
    pub(crate) address: SocketAddr,
}

impl Running {
    /// Listens, and serves whoever connects.
    pub(crate) async fn start(shared: &Arc<Shared>, server: Server, port: u16) -> io::Result<Self> {
        let listener = env::listen(port).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let task = env::spawn(accept(Arc::clone(shared), server, listener, stopped));
        Ok(Self { stop, task, address })
    }

    /// Closes the listener and all connections, as a process that ends; resolves when they are closed.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        let _ = self.task.await;
    }
}

async fn accept(shared: Arc<Shared>, server: Server, listener: Listener, mut stopped: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((socket, address)) = accepted {
                let _ = socket.set_nodelay(true);
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    let stream = match shared.doorman.clone() {
                        None => Some(Box::new(socket) as _),
                        // Who says nothing, or not the right thing, is shown out in time.
                        Some(doorman) => tokio::time::timeout(HANDSHAKE, doorman.admit(socket)).await.ok().flatten(),
                    };
                    if let Some(stream) = stream {
                        serve(shared, server, stream, address).await;
                    }
                });
            },
            Some(_) = connections.join_next() => {}
            _ = &mut stopped => break,
        }
    }
    drop(listener);
    connections.shutdown().await;
}
