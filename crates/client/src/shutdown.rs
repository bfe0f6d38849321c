//! How things end: three stages, passed forwards only, that anybody may look at or wait for.
//!
//! Whoever owns a [`Shutdown`] says what each stage means to it: *open*, it takes what comes; *leaving*, it takes nothing new and ends
//! what it has, by a deadline that is its caller's; *over*, nothing of it runs any more. Where a decision depends on the stage, it is
//! looked at under the lock of what is decided about, and whoever goes on to the next stage takes that lock afterwards: so nothing is
//! let in that nobody would end.

use std::future::Future;
use tokio::sync::{OnceCell, watch};

/// How far it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    #[default]
    Open,
    Leaving,
    Over,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Shutdown {
    stage: watch::Sender<Stage>,
    done: OnceCell<()>,
}

impl Shutdown {
    /// From now on it leaves, unless it is over.
    pub(crate) fn leave(&self) {
        self.reach(Stage::Leaving);
    }

    /// It is over.
    pub(crate) fn end(&self) {
        self.reach(Stage::Over);
    }

    /// Leaves by doing this, and is over then. Again: waits for the first call, or takes its place where that was given up.
    pub(crate) async fn through(&self, leaving: impl Future<Output = ()>) {
        self.leave();
        self.done.get_or_init(|| leaving).await;
        self.end();
    }

    /// Whether it takes what comes.
    pub(crate) fn is_open(&self) -> bool {
        *self.stage.borrow() == Stage::Open
    }

    /// Whether nothing of it runs any more.
    pub(crate) fn is_over(&self) -> bool {
        *self.stage.borrow() == Stage::Over
    }

    /// Waits until it leaves, or is over.
    pub(crate) async fn left(&self) {
        // The sender lives as long as `self`, so this cannot fail.
        let _ = self.stage.subscribe().wait_for(|stage| *stage >= Stage::Leaving).await;
    }

    /// Waits until it is over.
    #[cfg(test)]
    pub(crate) async fn over(&self) {
        let _ = self.stage.subscribe().wait_for(|stage| *stage == Stage::Over).await;
    }

    fn reach(&self, stage: Stage) {
        self.stage.send_if_modified(|known| {
            let is_news = *known < stage;
            *known = stage.max(*known);
            is_news
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio::sync::Notify;

    #[test]
    fn it_only_goes_forwards() {
        let shutdown = Shutdown::default();
        assert!(shutdown.is_open() && !shutdown.is_over());
        shutdown.end();
        shutdown.leave();
        assert!(!shutdown.is_open() && shutdown.is_over());
    }

    #[tokio::test]
    async fn whoever_waits_is_woken_also_when_it_is_over_at_once_or_was_before() {
        let shutdown = Arc::new(Shutdown::default());
        let waiting = tokio::spawn({
            let shutdown = Arc::clone(&shutdown);
            async move { shutdown.left().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        shutdown.end();
        waiting.await.unwrap();
        shutdown.left().await;
    }

    #[tokio::test]
    async fn the_first_leaves_and_the_others_wait_for_it() {
        let (shutdown, go_on, runs) =
            (Arc::new(Shutdown::default()), Arc::new(Notify::new()), Arc::new(AtomicU32::new(0)));
        let close = || {
            let (shutdown, go_on, runs) = (Arc::clone(&shutdown), Arc::clone(&go_on), Arc::clone(&runs));
            tokio::spawn(async move {
                let leaving = async {
                    runs.fetch_add(1, Ordering::Relaxed);
                    go_on.notified().await;
                };
                shutdown.through(leaving).await;
            })
        };
        let given_up = close();
        shutdown.left().await;
        let (second, third) = (close(), close());
        while runs.load(Ordering::Relaxed) < 1 {
            tokio::task::yield_now().await;
        }
        given_up.abort();
        assert!(given_up.await.unwrap_err().is_cancelled());
        while runs.load(Ordering::Relaxed) < 2 {
            tokio::task::yield_now().await;
        }
        assert!(!second.is_finished() && !third.is_finished() && !shutdown.is_over() && !shutdown.is_open());
        go_on.notify_one();
        second.await.unwrap();
        third.await.unwrap();
        assert_eq!(runs.load(Ordering::Relaxed), 2, "one was given up, one has done it");
        assert!(shutdown.is_over());
    }
}
