//! Locking: nobody tells us when another owner unlocks, so the master is asked again and again.

use super::Actor;
use crate::consumer::brokers::Brokers;
use crate::consumer::keeper::LockAnswer;
use crate::consumer::queue::{Phase, Wanted};
use crate::env;

impl<B: Brokers> Actor<B> {
    /// Asks until the lock is granted. False: the queue is no longer wanted, and what may have been granted is given back.
    pub(super) async fn lock(&mut self) -> bool {
        self.set_phase(Phase::Locking);
        let timing = self.shared.brokers.timing();
        let (fast, slow) = (timing.relock_fast, timing.relock_slow);
        let fast_until = env::now() + timing.relock_fast_for;
        loop {
            // Awaited in any case: a request that was given up could be granted later, to nobody.
            match self.shared.lock_queue(&self.queue).await {
                LockAnswer::Granted => {
                    self.problem = None;
                    return true;
                }
                LockAnswer::Refused => self.problem = None,
                LockAnswer::Failed(error) => self.report(error),
            }
            self.publish();
            let pause = env::jittered(if env::now() < fast_until { fast } else { slow });
            let wanted = self.wanted.wait_for(|wanted| *wanted != Wanted::Yes);
            let given_up = tokio::time::timeout(pause, wanted).await.is_ok();
            if given_up || self.wanted() != Wanted::Yes {
                self.unlock().await;
                return false;
            }
        }
    }
}
