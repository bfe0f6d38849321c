//! A world that lives: its members, its senders, and how it ends.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rocketmq_client::record::Lines;
use rocketmq_history::event::{Event, Forgets, Resets};
use rocketmq_simulated_world::{Host, Line, World};
use rocketmq_test_broker::{TestBroker, TestBrokerOptions};
use tokio::time::{Instant, sleep};

use crate::app::{Calm, EventLoop, Surroundings};
use crate::consumer::Member;
use crate::history;
use crate::names::{self, Starts};
use crate::plan::Plan;
use crate::producer::Sender;
use crate::store;

/// How long everything that can progress may take to be done, once nothing goes wrong any more: a dead member is a member for 120 s.
const DONE_WITHIN: Duration = Duration::from_secs(300);
/// It stays so.
const FOR_EVER: Duration = Duration::from_secs(1_000_000);

pub(crate) struct Running {
    pub(crate) world: Arc<World>,
    pub(crate) plan: Plan,
    pub(crate) broker: TestBroker,
    pub(crate) name_servers: Vec<String>,
    /// Of the brokers, and behind them of the name servers.
    pub(crate) ports: RefCell<Vec<u16>>,
    /// By number; those of the plan first, and whoever comes for one of them behind it.
    pub(crate) members: RefCell<BTreeMap<usize, Member>>,
    pub(crate) senders: RefCell<BTreeMap<usize, Sender>>,
    pub(crate) histories: Lines,
    /// Of each topic how many queues are read, and how many written to.
    pub(crate) queues: RefCell<Vec<(i32, i32)>>,
    calm: Calm,
    next_member: RefCell<usize>,
    next_sender: RefCell<usize>,
    says: bool,
}

/// The port of `host:port`.
pub(crate) fn port(address: &str) -> u16 {
    address.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(0)
}

impl Running {
    pub(crate) async fn start(world: Arc<World>, plan: Plan, says: bool) -> Self {
        let topics = names::topics(&plan).into_iter().zip(plan.topics.iter().copied()).collect();
        let broker = TestBroker::start(TestBrokerOptions {
            topics: Some(topics),
            brokers: plan.brokers,
            release: plan.release,
            seed: plan.seed,
            ..TestBrokerOptions::default()
        });
        let broker = broker.await.unwrap_or_else(|error| panic!("{error:?}"));
        let mut ports: Vec<u16> = broker.brokers().iter().map(|address| port(address)).collect();
        let first = port(&broker.name_server());
        ports.push(first);
        ports.extend((1..plan.name_servers).map(|_| world.alias(first)));
        let name_servers = ports[plan.brokers..].iter().map(|port| format!("127.0.0.1:{port}")).collect();
        world.usual_line(Line {
            latency: plan.latency,
            jitter: plan.jitter,
            bytes_per_second: plan.bytes_per_second,
            cut: [false; 2],
        });
        let histories = Lines::since(Instant::now());
        for witness in ["store", "world"] {
            history::witness(&histories, witness);
        }
        let running = Self {
            queues: RefCell::new(plan.topics.iter().map(|&queues| (queues, queues)).collect()),
            next_member: RefCell::new(plan.consumers.len()),
            next_sender: RefCell::new(plan.producers.len()),
            says,
            calm: Calm::default(),
            members: RefCell::default(),
            senders: RefCell::default(),
            world,
            plan,
            broker,
            name_servers,
            ports: RefCell::new(ports),
            histories,
        };
        for index in 0..running.plan.consumers.len() {
            running.join(index, index);
        }
        for index in 0..running.plan.producers.len() {
            running.send(index, index);
        }
        running
    }

    fn surroundings(&self) -> Surroundings {
        let topics = names::topics(&self.plan);
        Surroundings { calm: self.calm.clone(), histories: self.histories.clone(), says: self.says, topics }
    }

    fn join(&self, index: usize, like: usize) {
        let plan = &self.plan.consumers[like];
        let member = Member::start(&format!("c{index}"), &self.name_servers, plan, &self.surroundings());
        self.members.borrow_mut().insert(index, member);
    }

    /// One more consumer, like that of the plan.
    pub(crate) fn join_another(&self, like: usize) {
        let index = *self.next_member.borrow();
        *self.next_member.borrow_mut() += 1;
        self.join(index, like);
    }

    fn send(&self, index: usize, like: usize) {
        let (plan, keys) = (&self.plan.producers[like], self.plan.keys);
        let names = (format!("p{index}"), format!("p{like}"));
        let sender = Sender::start((&names.0, &names.1), &self.name_servers, plan, keys, &self.surroundings());
        self.senders.borrow_mut().insert(index, sender);
    }

    /// One more producer, like that of the plan.
    pub(crate) fn send_another(&self, like: usize) {
        let index = *self.next_sender.borrow();
        *self.next_sender.borrow_mut() += 1;
        self.send(index, like);
    }

    /// A consumer of the plan, or else a producer.
    pub(crate) fn client(&self, index: usize) -> Option<(Host, EventLoop, Arc<Starts>)> {
        let consumers = self.plan.consumers.len();
        if index < consumers {
            let members = self.members.borrow();
            let member = members.get(&index)?;
            return Some((member.host, member.event_loop.clone(), Arc::clone(&member.starts)));
        }
        let senders = self.senders.borrow();
        let sender = senders.get(&(index - consumers))?;
        Some((sender.host, sender.event_loop.clone(), Arc::clone(&sender.starts)))
    }

    pub(crate) fn tell(&self, what: String, whom: Vec<String>, forgets: Forgets, lasts: Duration) {
        self.put_down(what, whom, (forgets, None), lasts);
    }

    /// A fault, for the checker and whoever reads along.
    pub(crate) fn put_down(
        &self,
        what: String,
        whom: Vec<String>,
        (forgets, resets): (Forgets, Option<Resets>),
        lasts: Duration,
    ) {
        if self.says {
            eprintln!("{:9.3} ---- {what}", self.world.elapsed().as_secs_f64());
        }
        let lasts = u64::try_from(lasts.as_micros()).unwrap_or(u64::MAX);
        self.histories.write("world", Event::Fault { what, whom, forgets, resets, lasts });
    }

    /// One of them never comes back.
    pub(crate) fn lose(&self) {
        let Some(lost) = self.plan.lost else { return };
        let member = self.members.borrow_mut().remove(&lost);
        let Some(member) = member else { return };
        let whom = vec![member.starts.current()];
        self.tell(format!("c{lost} is lost for ever"), whom, Forgets::default(), FOR_EVER);
        member.host.stop();
        self.join_another(lost);
    }

    /// Nothing goes wrong any more: everything that can progress has to.
    pub(crate) async fn finish(&self) -> Vec<String> {
        self.calm.begin();
        let text = String::from("from here on nothing goes wrong");
        self.tell(text, Vec::new(), Forgets::default(), Duration::ZERO);
        sleep(Duration::from_secs(5)).await;
        let senders = std::mem::take(&mut *self.senders.borrow_mut());
        for sender in senders.values() {
            sender.end().await;
        }
        let mut problems = Vec::new();
        let until = Instant::now() + DONE_WITHIN;
        let groups = self.plan.groups();
        for &(group, broadcasts) in &groups {
            let problem =
                if broadcasts { self.all_have_all(group, until).await } else { self.caught_up(group, until).await };
            problems.extend(problem.map(|problem| format!("liveness: {problem}")));
        }
        let members = std::mem::take(&mut *self.members.borrow_mut());
        for member in members.values() {
            member.leave().await;
        }
        let clustering = groups.iter().filter(|(_, broadcasts)| !broadcasts);
        let groups: Vec<String> = clustering.map(|&(group, _)| names::group(group)).collect();
        store::read_back(&self.broker, &names::topics(&self.plan), &groups, &self.histories);
        if let Err(error) = self.broker.close().await {
            problems.push(format!("a real broker would be ruined: {error:?}"));
        }
        problems
    }

    async fn caught_up(&self, group: usize, until: Instant) -> Option<String> {
        let left = until.saturating_duration_since(Instant::now());
        self.broker.caught_up(&names::group(group), left).await.err().map(|error| format!("{error:?}"))
    }

    /// Every member of a broadcasting group has to handle everything, and keeps its offsets itself.
    async fn all_have_all(&self, group: usize, until: Instant) -> Option<String> {
        let members: Vec<Member> = self.members.borrow().values().cloned().collect();
        for member in members.into_iter().filter(|member| member.group == group) {
            while let Some(lag) = self.lag(&member) {
                if Instant::now() > until {
                    return Some(format!("{} {lag}", member.starts.current()));
                }
                sleep(Duration::from_secs(1)).await;
            }
        }
        None
    }

    /// What a member lacks.
    fn lag(&self, member: &Member) -> Option<String> {
        let queues = member.assignment();
        let ends = self.broker.offsets(&names::group(member.group)).unwrap_or_default();
        ends.into_iter().find_map(|stored| {
            let (queue, end) = (stored.queue, stored.max_offset);
            let place = (&queue.topic, &queue.broker_name, queue.queue_id);
            let its = queues.iter().find(|it| (&it.topic, &it.broker_name, it.queue_id) == place);
            let done = its.and_then(|its| its.committed_offset).unwrap_or(0);
            (done < end).then(|| format!("has {done} of {end} of {queue}"))
        })
    }
}
