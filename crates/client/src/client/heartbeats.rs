//! The heartbeats: every 30 s to every broker that should know us. New connections are greeted with one anyway (`session`).

use super::Client;
use super::call::CallError;
use super::events::Event;
use crate::env::JoinSet;
use std::sync::Arc;

/// Beats until the client is closed.
pub(super) async fn run(client: Arc<Client>) {
    loop {
        tokio::time::sleep(client.timing().heartbeat_interval).await;
        for (address, result) in beat_all(&client).await {
            // Asked again before the next tick.
            client.reconnect.note(&address, &result);
            if let Err(error) = result {
                client.events().emit(Event::Warning { error: error.into_error() });
            }
        }
    }
}

/// One heartbeat to each: consumers tell every broker of their topics, producers the masters.
pub(super) async fn beat_all(client: &Arc<Client>) -> Vec<(String, Result<(), CallError>)> {
    let mut beats = JoinSet::new();
    for address in client.in_use() {
        beats.spawn(Arc::clone(client).beat(address));
    }
    let mut results = beats.join_all().await;
    results.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    results
}
