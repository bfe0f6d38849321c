//! Panics of ours: whatever runs on the package's thread has somebody who hears of its own.

use super::Backoff;
use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// Runs a task so that its panic is somebody's: `Err` with the words of it.
pub async fn caught<F: Future>(future: F) -> Result<F::Output, String> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| match caught_now(|| future.as_mut().poll(context)) {
        Ok(polled) => polled.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

/// The same of something that does not wait.
pub(crate) fn caught_now<T>(act: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(act)).map_err(|panic| words(&*panic))
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| String::from("no reason given"))
}

/// Runs a task that is never to end by a panic: each is told, and after a pause it begins anew.
pub async fn kept<F: Future<Output = ()>>(mut begin: impl FnMut() -> F, tell: impl Fn(String)) {
    let mut pause = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
    while let Err(panic) = caught(begin()).await {
        tell(panic);
        tokio::time::sleep(pause.next()).await;
    }
}
