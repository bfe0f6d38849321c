//! What a producer and a consumer share: name servers, routes, connections to brokers, heartbeats, credentials.
//!
//! Names of topics and groups that cross this room's border are real ones, with the namespace, unless said otherwise.

mod advice;
mod call;
mod cluster;
mod events;
mod heartbeats;
mod keyring;
mod last_failure;
mod name_servers;
mod options;
mod pushes;
mod reconnect;
mod routes;
mod session;
mod unread_queues;

pub use crate::remoting::{Tls, TlsSettings, Unusable};
pub use advice::Advice;
pub use call::CallError;
pub use cluster::Cluster;
pub use events::{Event, Events, Level, ResetReason};
pub use keyring::Keyring;
pub use last_failure::LastFailure;
pub use options::ClientOptions;
pub use pushes::{Answer, PushCall};
pub use routes::RouteState;
pub use session::Registration;
pub use unread_queues::{Left, left_behind, written_unread};

use crate::env::{self, JoinSet, Timing};
use crate::error::{ClientError, Code};
use crate::protocol::{Request, TopicRoute, Unregister, namespace};
use crate::remoting::Pool;
pub(crate) use crate::remoting::Room;
use name_servers::NameServers;
use pushes::Pushes;
use reconnect::Reconnect;
use routes::Routes;
use session::{Role, Session, ToBroker, ToNameServer};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// The longest that taking leave of the brokers may take.
const LEAVE: Duration = Duration::from_secs(1);

/// One client: an identity, its connections and what it knows of the cluster. Lives until [`Client::close`].
pub struct Client {
    options: ClientOptions,
    session: Arc<Session>,
    pool: Pool,
    to_broker: Arc<ToBroker>,
    to_name_server: Arc<ToNameServer>,
    name_servers: NameServers,
    routes: Routes,
    reconnect: Arc<Reconnect>,
    pushes: Arc<Pushes>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("id", &self.id()).finish_non_exhaustive()
    }
}

impl Client {
    /// A client that has not spoken to anybody yet, and its background tasks.
    pub fn start(options: ClientOptions, events: Arc<dyn Events>) -> Arc<Self> {
        let session =
            Arc::new(Session::new(options.client_id.clone(), Arc::clone(&options.keyring), Arc::clone(&events)));
        let pushes = Arc::new(Pushes::new(events));
        let reconnect = Arc::new(Reconnect::new());
        let client = Arc::new(Self {
            pool: Pool::new(options.timing.connect_timeout, options.tls.clone(), Arc::clone(&pushes) as _),
            to_broker: Arc::new(ToBroker(Arc::clone(&session), Arc::clone(&reconnect))),
            to_name_server: Arc::new(ToNameServer(Arc::clone(&session), Arc::clone(&reconnect))),
            name_servers: NameServers::new(options.name_servers.clone()),
            routes: Routes::default(),
            reconnect,
            tasks: Mutex::default(),
            options,
            session,
            pushes,
        });
        let tasks = vec![
            keep(&client, "looking for routes", routes::run),
            keep(&client, "sending heartbeats", heartbeats::run),
            keep(&client, "seeking lost servers", reconnect::run),
            keep(&client, "renewing credentials", keyring::run),
        ];
        *client.tasks.lock().unwrap_or_else(PoisonError::into_inner) = tasks;
        client
    }

    /// The client id: what brokers know us by, and the owner's name of queue locks.
    pub fn id(&self) -> &str {
        self.session.id()
    }

    /// Every interval.
    pub fn timing(&self) -> &Timing {
        &self.options.timing
    }

    /// The instance id, where there is one.
    pub fn namespace(&self) -> Option<&str> {
        self.options.namespace.as_deref()
    }

    /// The name servers, for messages to people and for the running info.
    pub fn name_servers(&self) -> String {
        self.name_servers.list()
    }

    /// Whether a start waits for topics that do not exist.
    pub fn waits_for_topics(&self) -> bool {
        self.options.wait_for_topics
    }

    /// What advice depends on, as far as it is known by now.
    pub fn advice(&self) -> Advice {
        let cluster = self.routes.only_cluster().or_else(|| self.name_servers.only_cluster());
        Advice {
            alibaba_cloud: self.options.alibaba_cloud,
            name_servers: self.name_servers(),
            cluster,
            version: self.session.version(),
        }
    }

    /// A user's name of a topic or group → the real one.
    pub fn wrap(&self, resource: &str) -> String {
        namespace::wrap(self.namespace().unwrap_or_default(), resource).into_owned()
    }

    /// A real name of a topic or group → the user's.
    pub fn unwrap(&self, resource: &str) -> String {
        namespace::unwrap(self.namespace().unwrap_or_default(), resource).into_owned()
    }

    /// Where events go.
    pub fn events(&self) -> &Arc<dyn Events> {
        self.session.events()
    }

    /// What is wrong at the moment: brokers in use that cannot be reached or refuse heartbeats, routes not found.
    pub fn problems(&self) -> Vec<ClientError> {
        let brokers = self.in_use();
        let mut problems: Vec<ClientError> = brokers.iter().filter_map(|address| self.trouble(address)).collect();
        problems.extend(self.routes.problems());
        problems
    }

    /// Follows the route of a topic while the receiver lives: refreshed every 30 s, sooner while there is none, and on demand.
    pub fn watch_route(&self, topic: &str) -> watch::Receiver<RouteState> {
        self.routes.watch(topic)
    }

    /// Looks for the route again soon (two looks are at least 500 ms apart).
    pub fn refresh_route(&self, topic: &str) {
        self.routes.refresh(topic);
    }

    /// The route of a topic: the one that is known, else what a name server says now.
    pub async fn route(&self, topic: &str) -> Result<Arc<TopicRoute>, ClientError> {
        let mut watched = self.routes.watch(topic);
        let asked = watched.borrow().asked;
        if watched.borrow().route.is_none() {
            self.routes.refresh(topic);
        }
        let state = watched.wait_for(|state| state.route.is_some() || state.asked > asked).await;
        let state = state.map_err(|_| ClientError::new(Code::Closed, "the client is closed"))?.clone();
        match (state.route, state.error) {
            (Some(route), _) => Ok(route),
            (None, Some(error)) => Err(error),
            (None, None) => {
                Err(ClientError::new(Code::Internal, "a route look ended without a route and without an error"))
            }
        }
    }

    /// Whether any name server answers; the topic asked for need not exist.
    pub async fn reach_name_server(self: &Arc<Self>) -> Result<(), ClientError> {
        name_servers::reach(self).await
    }

    /// The address of a broker's master, from the route that was learned last among those that name one.
    pub fn master(&self, broker_name: &str) -> Option<String> {
        self.routes.master(broker_name)
    }

    /// The addresses of all masters of the known routes, each once, sorted.
    pub fn masters(&self) -> Vec<String> {
        self.routes.masters()
    }

    /// Whether a connection to this address is ready.
    pub fn is_connected(&self, address: &str) -> bool {
        self.pool.ready(address).is_some()
    }

    /// Why this broker cannot be reached, or does not accept us, as far as the last attempt told.
    pub fn trouble(&self, address: &str) -> Option<ClientError> {
        self.pool.failure(address).or_else(|| self.session.problem(address))
    }

    /// Why this address cannot be reached, where the last attempt to connect to it failed.
    pub fn unreachable(&self, address: &str) -> Option<ClientError> {
        self.pool.attempt_failure(address)
    }

    /// Room for one send to a broker, where there is a connection and some room now.
    pub fn try_room(&self, address: &str) -> Option<Room> {
        self.pool.ready(address)?.try_room()
    }

    /// Connects to a broker within `timeout` and greets it, unless that is done; then waits for room for one send, in the order of the
    /// calls and while the connection lasts. Nothing is written.
    pub async fn room(&self, address: &str, timeout: Duration) -> Result<Room, CallError> {
        let connected = self.pool.connection(address, &self.to_broker, env::now() + timeout).await;
        let connection = self.noted(address, connected)?;
        self.noted(address, connection.room(timeout).await.map_err(CallError::NotSent))
    }

    /// One send, where there is room for it, written at once if the socket takes it. Never tries again by itself. `answered` is told how
    /// it ended, by the thread that learns of it, perhaps before this returns; it must not block.
    pub fn post<R: Request>(
        &self,
        room: Room,
        request: &R,
        timeout: Duration,
        answered: impl FnOnce(Result<R::Response, CallError>) + Send + 'static,
    ) {
        let (connection, reconnect) = (room.connection().clone(), Arc::clone(&self.reconnect));
        self.session.post(room, request, timeout, move |outcome| {
            // Whoever waits is told in any case.
            let _ = env::caught_now(|| reconnect.note(connection.address(), &outcome));
            answered(outcome);
        });
    }

    /// The outcome of something asked of a broker, which may show that the way there is lost.
    fn noted<T>(&self, address: &str, outcome: Result<T, CallError>) -> Result<T, CallError> {
        self.reconnect.note(address, &outcome);
        outcome
    }

    /// One request to a broker, answered within `timeout` from the moment when its last byte has left; connects and greets first where
    /// needed, within as much. Never tries again by itself.
    pub async fn call<R: Request>(
        &self,
        address: &str,
        request: &R,
        timeout: Duration,
    ) -> Result<R::Response, CallError> {
        let deadline = env::now() + timeout;
        let connection = self.noted(address, self.pool.connection(address, &self.to_broker, deadline).await)?;
        self.noted(address, self.session.call(&connection, request, timeout).await)
    }

    /// A heartbeat to one broker; a new connection is greeted with one, which does as well.
    async fn beat(self: Arc<Self>, address: String) -> (String, Result<(), CallError>) {
        let timeout = self.options.timing.request_timeout;
        let result = match self.pool.ready(&address) {
            Some(connection) => self.session.beat(&connection, timeout).await,
            None => self.pool.connection(&address, &self.to_broker, env::now() + timeout).await.map(|_| ()),
        };
        (address, result)
    }

    /// Goes up by one whenever the connection to this address ends. Level-triggered.
    pub fn losses(&self, address: &str) -> watch::Receiver<u64> {
        self.pool.losses(address)
    }

    /// What heartbeats say from now on.
    pub fn register(&self, registration: Registration) {
        self.session.set_registration(registration);
    }

    /// A heartbeat to every broker that should know us, now.
    pub async fn heartbeat_all(self: &Arc<Self>) -> Vec<(String, Result<(), CallError>)> {
        heartbeats::beat_all(self).await
    }

    /// The requests of brokers; once.
    pub fn pushes(&self) -> Option<mpsc::Receiver<PushCall>> {
        self.pushes.take()
    }

    /// Takes leave of every broker that knows us, within a second, then ends everything; also when this is not awaited to its end.
    pub async fn close(&self) {
        let _at_last = AtLast(self);
        for task in self.tasks.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
        let registration = self.session.registration();
        if registration.producer_group.is_some() || registration.consumer.is_some() {
            let unregister = Unregister {
                client_id: self.id().to_owned(),
                producer_group: registration.producer_group,
                consumer_group: registration.consumer.map(|consumer| consumer.group),
            };
            self.session.set_registration(Registration::default());
            let brokers = self.routes.addresses();
            let mut leaving = JoinSet::new();
            for connection in self.pool.open() {
                if brokers.iter().any(|address| address == connection.address()) {
                    let (session, unregister) = (Arc::clone(&self.session), unregister.clone());
                    leaving.spawn(async move { session.call(&connection, &unregister, LEAVE).await });
                }
            }
            // Brokers notice a closed socket anyway; this helps behind proxies.
            let _ = tokio::time::timeout(LEAVE, leaving.join_all()).await;
        }
    }

    /// A defect of ours, for users to see; telling it may meet the same.
    fn tell_panic(&self, what: &str, panic: &str) {
        let error = ClientError::panicked(what, panic);
        let _ = env::caught_now(|| self.events().emit(Event::Warning { error }));
    }

    /// The brokers that should know us: those of a consumer's topics, the masters of a producer's. Each once, sorted.
    fn in_use(&self) -> Vec<String> {
        match self.session.role() {
            Role::Consumer => self.routes.addresses(),
            Role::Producer => self.masters(),
            Role::Nobody => Vec::new(),
        }
    }
}

/// A task that begins anew after a panic, which is told.
fn keep<F>(
    client: &Arc<Client>,
    what: &'static str,
    run: impl Fn(Arc<Client>) -> F + Send + Sync + 'static,
) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let client = Arc::clone(client);
    env::spawn(async move {
        let begin = || run(Arc::clone(&client));
        env::kept(begin, |panic| client.tell_panic(&format!("{what} has failed and begins anew"), &panic)).await;
    })
}

/// Ends the connections, and whoever waits for a route, however `close` ends.
struct AtLast<'a>(&'a Client);

impl Drop for AtLast<'_> {
    fn drop(&mut self) {
        self.0.pool.close();
        self.0.routes.close();
    }
}
