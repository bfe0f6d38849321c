//! One world, from its seed to its verdict.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rocketmq_client::record::Lines;
use rocketmq_history::checker::{Options, check};
use rocketmq_history::event::{Event, Forgets};
use rocketmq_simulated_world::{Host, Line, World};
use rocketmq_test_broker::{Effect, FaultMatch, Keep, Perm, TestBroker, TestBrokerOptions};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::sleep;

use crate::app::{Calm, EventLoop, Surroundings};
use crate::arguments::One;
use crate::consumer::{GROUP, Member, TOPIC};
use crate::determinism;
use crate::faults::{Fault, Rule};
use crate::history;
use crate::plan::Plan;
use crate::producer::Sender;
use crate::store;

/// How long everything that can progress may take to be done, once nothing goes wrong any more: a dead member is a member for 120 s.
const DONE_WITHIN: Duration = Duration::from_secs(300);

/// Panics so far.
static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Runs it, and says what came of it.
pub(crate) fn run(one: &One) -> ExitCode {
    determinism::begin(one.seed);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        hook(panic);
    }));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.unwrap_or_else(|error| panic!("{error}"));
    let problems = LocalSet::new().block_on(&runtime, live(one));
    for problem in &problems {
        println!("seed {}: {problem}", one.seed);
    }
    if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn live(one: &One) -> Vec<String> {
    let world = World::begin(one.seed);
    if let Some(defect) = &one.plant {
        world.plant(defect);
    }
    let plan = Plan::draw();
    if !one.quiet {
        println!("{plan:#?}");
    }
    let running = Rc::new(Running::start(world, plan, one).await);
    let faults = running.plan.faults.clone();
    let mut troubles = JoinSet::new();
    for planned in faults {
        let running = Rc::clone(&running);
        troubles.spawn_local(async move {
            sleep(planned.at).await;
            running.befall(planned.fault).await;
        });
    }
    sleep(running.plan.trouble).await;
    troubles.join_all().await;
    running.lose();
    let mut problems = running.finish().await;
    let lines = running.histories.all();
    if let Some(file) = &one.trace {
        let text: String = lines.iter().map(|line| serde_json::to_string(line).unwrap_or_default() + "\n").collect();
        std::fs::write(file, text).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
    let verdict = check(lines.into_iter(), &judged(problems.is_empty()));
    problems.extend(verdict.violations.iter().map(|violation| format!("violation\n{violation}")));
    if !one.quiet {
        println!("{:#?}", verdict.counts);
    }
    let panics = PANICS.load(Ordering::Relaxed);
    if panics > 0 {
        problems.push(format!("{panics} panics"));
    }
    problems
}

/// How strict the checker is: everybody's clock is the world's, and what never gets done is found otherwise.
fn judged(is_done: bool) -> Options {
    Options { slack: Duration::from_millis(2), drained: is_done, liveness: None, ..Options::default() }
}

struct Running {
    world: Arc<World>,
    plan: Plan,
    broker: TestBroker,
    name_servers: Vec<String>,
    ports: Vec<u16>,
    members: RefCell<BTreeMap<usize, Member>>,
    senders: Vec<Sender>,
    histories: Lines,
    calm: Calm,
    next: RefCell<usize>,
    queues: RefCell<i32>,
    says: bool,
}

impl Running {
    async fn start(world: Arc<World>, plan: Plan, one: &One) -> Self {
        let broker = TestBroker::start(TestBrokerOptions {
            topics: Some(vec![(TOPIC.to_owned(), plan.queues)]),
            brokers: plan.brokers,
            release: plan.release,
            seed: one.seed,
            ..TestBrokerOptions::default()
        });
        let broker = broker.await.unwrap_or_else(|error| panic!("{error:?}"));
        let port = |address: &String| address.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(0);
        let mut ports: Vec<u16> = broker.brokers().iter().map(port).collect();
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
        let histories = Lines::since(tokio::time::Instant::now());
        for witness in ["store", "world"] {
            history::witness(&histories, witness);
        }
        let mut running = Self {
            queues: RefCell::new(plan.queues),
            next: RefCell::new(plan.consumers.len()),
            says: !one.quiet,
            calm: Calm::default(),
            members: RefCell::default(),
            senders: Vec::new(),
            world,
            plan,
            broker,
            name_servers,
            ports,
            histories,
        };
        for index in 0..running.plan.consumers.len() {
            running.join(index);
        }
        let around = running.surroundings();
        for (index, plan) in running.plan.producers.iter().enumerate() {
            let name = format!("p{index}");
            running.senders.push(Sender::start(&name, &running.name_servers, plan, running.plan.keys, &around));
        }
        running
    }

    fn surroundings(&self) -> Surroundings {
        Surroundings { calm: self.calm.clone(), histories: self.histories.clone(), says: self.says }
    }

    fn join(&self, index: usize) {
        let plan = &self.plan.consumers[index % self.plan.consumers.len()];
        let member = Member::start(&format!("c{index}"), &self.name_servers, plan, &self.surroundings());
        self.members.borrow_mut().insert(index, member);
    }

    fn join_another(&self) {
        let index = *self.next.borrow();
        *self.next.borrow_mut() += 1;
        self.join(index);
    }

    /// A consumer of the plan, or else a producer.
    fn client(&self, index: usize) -> Option<(Host, EventLoop)> {
        let consumers = self.plan.consumers.len();
        if index < consumers {
            return self.members.borrow().get(&index).map(|member| (member.host, member.event_loop.clone()));
        }
        self.senders.get(index - consumers).map(|sender| (sender.host, sender.event_loop.clone()))
    }

    fn tell(&self, what: String, whom: Vec<String>, forgets: Forgets) {
        if self.says {
            eprintln!("{:9.3} ---- {what}", self.world.elapsed().as_secs_f64());
        }
        self.histories.write("world", Event::Fault { what, whom, forgets, lasts: 0 });
    }

    async fn befall(&self, fault: Fault) {
        self.tell(format!("{fault:?}"), Vec::new(), Forgets::default());
        match fault {
            Fault::Join => self.join_another(),
            Fault::Leave { consumer, back_after } => {
                let member = self.members.borrow_mut().remove(&consumer);
                if let Some(member) = member {
                    member.leave().await;
                    sleep(back_after).await;
                    self.join_another();
                }
            }
            Fault::Kill { consumer, back_after } => {
                let member = self.members.borrow_mut().remove(&consumer);
                if let Some(member) = member {
                    member.host.kill();
                    sleep(back_after).await;
                    self.join_another();
                }
            }
            Fault::Stop { client, lasts } => {
                if let Some((host, _)) = self.client(client) {
                    host.stop();
                    sleep(lasts).await;
                    host.go_on();
                }
            }
            Fault::Stall { client, lasts } => {
                if let Some((_, event_loop)) = self.client(client) {
                    event_loop.stall(lasts);
                    sleep(lasts).await;
                }
            }
            Fault::Cut { client, server, ways, lasts } => self.cut(client, &[server], ways, lasts).await,
            Fault::Isolate { client, lasts } => {
                let servers: Vec<usize> = (0..self.ports.len()).collect();
                self.cut(client, &servers, [true; 2], lasts).await;
            }
            Fault::Narrow { client, server, latency, bytes_per_second, lasts } => {
                let Some((host, _)) = self.client(client) else { return };
                let port = self.ports[server];
                self.world.set_line(host, port, |line| {
                    line.latency = latency;
                    line.bytes_per_second = Some(bytes_per_second);
                });
                sleep(lasts).await;
                self.world.set_line(host, port, |line| {
                    line.latency = self.plan.latency;
                    line.bytes_per_second = self.plan.bytes_per_second;
                });
            }
            Fault::Reset { client, server } => {
                if let Some((host, _)) = self.client(client) {
                    self.world.reset(host, self.ports[server]);
                }
            }
            Fault::Restart { broker, forgets, lasts } => self.restart(broker, forgets, lasts).await,
            Fault::NameServer { lasts } => {
                let _ = self.broker.stop_name_server().await;
                sleep(lasts).await;
                let _ = self.broker.start_name_server().await;
            }
            Fault::Rule { rule, probability, lasts } => {
                let (codes, effect) = rule.effect();
                let matching = FaultMatch { codes, probability: Some(probability), ..FaultMatch::default() };
                let id = self.broker.fault(matching, effect).unwrap_or_else(|error| panic!("{error:?}"));
                sleep(lasts).await;
                self.broker.remove_fault(id);
            }
            Fault::Clock { client, by, back } => {
                if let Some((host, _)) = self.client(client) {
                    host.move_wall_clock(by, back);
                }
            }
            Fault::Grow => {
                let queues = *self.queues.borrow() + 1;
                *self.queues.borrow_mut() = queues;
                let grown = self.broker.create_topic(TOPIC, queues, Perm::ReadWrite);
                grown.unwrap_or_else(|error| panic!("{error:?}"));
            }
        }
    }

    async fn cut(&self, client: usize, servers: &[usize], ways: [bool; 2], lasts: Duration) {
        let Some((host, _)) = self.client(client) else { return };
        for &server in servers {
            self.world.set_line(host, self.ports[server], |line| line.cut = ways);
        }
        sleep(lasts).await;
        for &server in servers {
            self.world.set_line(host, self.ports[server], |line| line.cut = [false; 2]);
        }
    }

    async fn restart(&self, broker: usize, forgets: bool, lasts: Duration) {
        let _ = self.broker.stop_broker(broker).await;
        sleep(lasts).await;
        let keep = if forgets { Keep::Stored } else { Keep::All };
        let _ = self.broker.start_broker(broker, keep).await;
        if forgets {
            let whom = vec![format!("broker-{}", char::from(b'a' + u8::try_from(broker).unwrap_or(0)))];
            self.tell(String::from("it has forgotten"), whom, Forgets { locks: true, commits: 5_000_000 });
        }
    }

    /// One of them never comes back.
    fn lose(&self) {
        let Some(lost) = self.plan.lost else { return };
        let member = self.members.borrow_mut().remove(&lost);
        let Some(member) = member else { return };
        self.tell(format!("c{lost} is lost for ever"), Vec::new(), Forgets::default());
        member.host.stop();
        self.join_another();
    }

    /// Nothing goes wrong any more: everything that can progress has to.
    async fn finish(&self) -> Vec<String> {
        self.calm.begin();
        self.tell(String::from("from here on nothing goes wrong"), Vec::new(), Forgets::default());
        sleep(Duration::from_secs(5)).await;
        for sender in &self.senders {
            sender.end().await;
        }
        let mut problems = Vec::new();
        if let Err(error) = self.broker.caught_up(GROUP, DONE_WITHIN).await {
            problems.push(format!("liveness: {error:?}"));
        }
        let members = std::mem::take(&mut *self.members.borrow_mut());
        for member in members.values() {
            member.leave().await;
        }
        store::read_back(&self.broker, &self.histories);
        if let Err(error) = self.broker.close().await {
            problems.push(format!("a real broker would be ruined: {error:?}"));
        }
        problems
    }
}

impl Rule {
    fn effect(self) -> (Vec<i32>, Effect) {
        let sends = vec![10, 310, 320];
        match self {
            Self::BusySends => (sends, Effect::Answer { code: 2, remark: Some(String::from("[TIMEOUT_CLEAN_QUEUE]")) }),
            Self::BusyPulls => (vec![11, 361], Effect::Answer { code: 2, remark: None }),
            Self::UnansweredSends => (sends, Effect::DropAnswer),
            Self::UnansweredCommits => (vec![15], Effect::DropAnswer),
            Self::UnansweredLocks => (vec![41], Effect::DropAnswer),
            Self::LostUnlocks => (vec![42], Effect::DropRequest),
            Self::LateLocks => (vec![41], Effect::Delay(2_500)),
            Self::Late => (Vec::new(), Effect::Delay(400)),
            Self::Disorder => (sends, Effect::Disorder),
            Self::Stalls => (sends, Effect::Stall(300)),
            Self::CutSends => (sends, Effect::DisconnectAfter),
        }
    }
}
