//! Locking: nobody tells us when another owner unlocks, so the master is asked again and again.

use super::Actor;
use crate::consumer::brokers::Brokers;
use crate::consumer::locks::LockAnswer;
use crate::consumer::queue::{Phase, Wanted};
use crate::env::{self, planted};
use crate::error::ClientError;

impl<B: Brokers> Actor<B> {
    /// Asks until the lock is granted. False: the queue is no longer wanted, and what may have been granted is given back.
    pub(super) async fn lock(&mut self) -> bool {
        self.set_phase(Phase::Locking);
        let timing = self.shared.brokers.timing();
        let (fast, slow) = (timing.relock_fast, timing.relock_slow);
        let fast_until = env::now() + timing.relock_fast_for;
        let mut freed = self.shared.locks.freed.subscribe();
        let mut was_refused = false;
        loop {
            self.shared.group.assigned.expect(&self.queue);
            freed.mark_unchanged();
            // Awaited in any case: a request that was given up could be granted later, to nobody.
            match self.shared.lock_queue(&self.queue).await {
                LockAnswer::Granted => {
                    self.problem = None;
                    if was_refused {
                        self.shared.locks.freed.send_modify(|times| *times += 1);
                    }
                    return true;
                }
                LockAnswer::Refused if planted("ask for a lock once") => std::future::pending().await,
                LockAnswer::Refused => {
                    was_refused = true;
                    self.wait_for_lock(None);
                }
                LockAnswer::Failed(error) => self.wait_for_lock(Some(error)),
            }
            let pause = env::jittered(if env::now() < fast_until { fast } else { slow });
            let given_up = tokio::select! {
                _ = self.wanted.wait_for(|wanted| *wanted != Wanted::Yes) => true,
                // A dead member's locks run out together, and a living one gives several back at once.
                _ = freed.changed() => false,
                () = tokio::time::sleep(pause) => false,
            };
            if given_up || self.wanted() != Wanted::Yes {
                self.unlock().await;
                return false;
            }
        }
    }

    /// Not ours yet: nobody waits for this queue, and somebody looks at how it stands. What fails is told of all queues together.
    fn wait_for_lock(&mut self, failure: Option<ClientError>) {
        self.queue.view().is_refused = failure.is_none();
        self.problem = failure.map(|error| {
            let error = error.with_queue(self.queue.name());
            self.shared.debug(&self.queue, error.message());
            error
        });
        self.publish();
        self.shared.group.assigned.excuse(&self.queue, &self.shared.brokers);
        self.shared.watches.look_at_stalls();
    }
}
