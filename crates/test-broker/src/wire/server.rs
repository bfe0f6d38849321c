//! Listening sockets.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use super::session::{Server, serve};
use crate::env::{self, Listener};
use crate::state::cluster::Shared;

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
                connections.spawn(serve(Arc::clone(&shared), server, socket, address));
            },
            Some(_) = connections.join_next() => {}
            _ = &mut stopped => break,
        }
    }
    drop(listener);
    connections.shutdown().await;
}
