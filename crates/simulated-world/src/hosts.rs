//! Hosts: a process each, which may stand still, or die. What it spawns belongs to it.

use std::cell::Cell;
use std::future::Future;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::task::{AbortHandle, JoinError, JoinHandle};

use crate::World;

thread_local! {
    static CURRENT: Cell<Option<Host>> = const { Cell::new(None) };
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Host(u32);

#[derive(Default)]
pub(crate) struct Hosts(Vec<Process>);

#[derive(Default)]
struct Process {
    stopped: bool,
    dead: bool,
    /// Tasks that were to be polled meanwhile.
    waiting: Vec<Waker>,
    tasks: Vec<AbortHandle>,
    wall_offset: i64,
}

impl Hosts {
    fn of(&mut self, host: Host) -> &mut Process {
        &mut self.0[host.0 as usize]
    }

    pub(crate) fn wall_offset(&self, host: Host) -> i64 {
        self.0[host.0 as usize].wall_offset
    }
}

impl Host {
    /// A new one, alive.
    pub fn new() -> Self {
        let world = World::current();
        let mut hosts = world.hosts();
        hosts.0.push(Process::default());
        Self(u32::try_from(hosts.0.len() - 1).unwrap_or(u32::MAX))
    }

    /// Whose task is running; nobody's, where the world itself acts.
    pub fn current() -> Option<Self> {
        CURRENT.get()
    }

    /// Its address.
    pub fn ip(self) -> Ipv4Addr {
        let [.., high, low] = self.0.to_be_bytes();
        Ipv4Addr::new(10, 0, high, low.wrapping_add(1))
    }

    /// Starts a task that is this host's.
    pub fn run<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let task = tokio::spawn(self.hosted(future));
        let world = World::current();
        let mut hosts = world.hosts();
        let process = hosts.of(self);
        if process.tasks.len() > 64 && process.tasks.len().is_power_of_two() {
            process.tasks.retain(|task| !task.is_finished());
        }
        process.tasks.push(task.abort_handle());
        task
    }

    /// Does something as this host.
    pub fn within<T>(self, act: impl FnOnce() -> T) -> T {
        let before = CURRENT.replace(Some(self));
        let result = act();
        CURRENT.set(before);
        result
    }

    fn hosted<F: Future + Send + 'static>(self, future: F) -> Hosted<F::Output> {
        Hosted { host: self, future: Some(Box::pin(future)) }
    }

    /// Its process stands still, as by SIGSTOP; the system answers for it: what is sent to it is acknowledged until its buffers are full.
    pub fn stop(self) {
        World::current().hosts().of(self).stopped = true;
    }

    /// It goes on.
    pub fn go_on(self) {
        let waiting = {
            let world = World::current();
            let mut hosts = world.hosts();
            let process = hosts.of(self);
            process.stopped = false;
            std::mem::take(&mut process.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Its process dies, as by SIGKILL; its system closes its connections. The tasks are gone when the world has gone round once.
    pub fn kill(self) {
        let tasks = {
            let world = World::current();
            let mut hosts = world.hosts();
            let process = hosts.of(self);
            process.dead = true;
            std::mem::take(&mut process.tasks)
        };
        tasks.iter().for_each(AbortHandle::abort);
        crate::network::hang_up(self);
    }

    /// Whether it was killed.
    pub fn is_dead(self) -> bool {
        World::current().hosts().of(self).dead
    }

    /// Its wall clock jumps.
    pub fn move_wall_clock(self, by: Duration, back: bool) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        let world = World::current();
        let mut hosts = world.hosts();
        let process = hosts.of(self);
        process.wall_offset += if back { -by } else { by };
    }

    /// Whether it may act; whoever may not is woken when it may.
    pub(crate) fn acts(self, context: &Context<'_>) -> bool {
        let world = World::current();
        let mut hosts = world.hosts();
        let process = hosts.of(self);
        if process.stopped && !process.dead {
            process.waiting.push(context.waker().clone());
        }
        !process.stopped && !process.dead
    }
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

/// A future that is a host's.
struct Hosted<T> {
    host: Host,
    future: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
}

impl<T> Future for Hosted<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let host = self.host;
        if !host.acts(context) {
            return Poll::Pending;
        }
        let Some(future) = &mut self.future else { return Poll::Pending };
        host.within(|| future.as_mut().poll(context))
    }
}

impl<T> Drop for Hosted<T> {
    fn drop(&mut self) {
        let future = self.future.take();
        self.host.within(|| drop(future));
    }
}

/// Starts a task that is the current host's, if there is one.
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match Host::current() {
        Some(host) => host.run(future),
        None => tokio::spawn(future),
    }
}

/// What is long elsewhere takes no time here.
pub fn spawn_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    spawn(async move { work() })
}

/// Tasks of the host that makes them, which end with it.
#[derive(Debug)]
pub struct JoinSet<T>(tokio::task::JoinSet<T>);

impl<T: Send + 'static> JoinSet<T> {
    /// None.
    pub fn new() -> Self {
        Self(tokio::task::JoinSet::new())
    }

    /// One more.
    pub fn spawn<F: Future<Output = T> + Send + 'static>(&mut self, future: F) -> AbortHandle {
        match Host::current() {
            Some(host) => self.0.spawn(host.hosted(future)),
            None => self.0.spawn(future),
        }
    }

    /// The next that ends.
    pub async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        self.0.join_next().await
    }

    /// All of them, in the order in which they end.
    pub async fn join_all(self) -> Vec<T> {
        self.0.join_all().await
    }

    /// Ends all of them.
    pub async fn shutdown(&mut self) {
        self.0.shutdown().await;
    }

    /// Asks all of them to end.
    pub fn abort_all(&mut self) {
        self.0.abort_all();
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: Send + 'static> Default for JoinSet<T> {
    fn default() -> Self {
        Self::new()
    }
}
