//! How faults befall a world.

use std::time::Duration;

use rocketmq_history::event::{Forgets, Resets};
use rocketmq_simulated_world::Host;
use rocketmq_test_broker::{Effect, FaultMatch, Keep, Perm, Position};
use tokio::time::sleep;

use crate::faults::{Fault, Rule};
use crate::names;
use crate::running::{Running, port};

impl Running {
    pub(crate) async fn befall(&self, fault: Fault) {
        let whom = fault.client().and_then(|client| self.client(client)).map(|(_, _, starts)| starts.current());
        let resets = match fault {
            Fault::SetBack { group, topic, .. } => {
                Some(Resets { group: names::group(group), topic: names::topic(topic) })
            }
            _ => None,
        };
        let excuses = (Forgets::default(), resets);
        self.put_down(format!("{fault:?}"), whom.into_iter().collect(), excuses, fault.lasts());
        match fault {
            Fault::Join => self.join_another(0),
            Fault::Leave { consumer, back_after } => {
                let member = self.members.borrow_mut().remove(&consumer);
                if let Some(member) = member {
                    member.leave().await;
                    sleep(back_after).await;
                    self.join_another(consumer);
                }
            }
            Fault::Kill { client, back_after } => self.kill(client, back_after).await,
            Fault::Stop { client, lasts } => {
                if let Some((host, ..)) = self.client(client) {
                    host.stop();
                    sleep(lasts).await;
                    host.go_on();
                }
            }
            Fault::Stall { client, lasts } => {
                if let Some((_, event_loop, _)) = self.client(client) {
                    event_loop.stall(lasts);
                    sleep(lasts).await;
                }
            }
            Fault::Cut { client, server, ways, lasts } => self.cut(client, &[server], ways, lasts).await,
            Fault::Isolate { client, lasts } => {
                let servers: Vec<usize> = (0..self.ports.borrow().len()).collect();
                self.cut(client, &servers, [true; 2], lasts).await;
            }
            Fault::Narrow { client, server, latency, bytes_per_second, lasts } => {
                self.narrow(client, server, (latency, bytes_per_second), lasts).await;
            }
            Fault::Reset { client, server } => {
                if let Some((host, ..)) = self.client(client) {
                    self.world.reset(host, self.port(server));
                }
            }
            Fault::Clock { client, by, back } => {
                if let Some((host, ..)) = self.client(client) {
                    host.move_wall_clock(by, back);
                }
            }
            Fault::Pause { consumer, lasts } => {
                let member = self.members.borrow().get(&consumer).cloned();
                if let Some(member) = member {
                    member.pause(true);
                    sleep(lasts).await;
                    member.pause(false);
                }
            }
            Fault::Seek { consumer, to } => {
                let member = self.members.borrow().get(&consumer).cloned();
                if let Some(member) = member {
                    member.seek(to).await;
                }
            }
            other => self.befall_servers(other).await,
        }
    }

    async fn befall_servers(&self, fault: Fault) {
        match fault {
            Fault::Restart { broker, forgets, lasts } => self.restart(broker, forgets, lasts, false).await,
            Fault::Move { broker, forgets, lasts } => self.restart(broker, forgets, lasts, true).await,
            Fault::NameServer { lasts } => {
                let _ = self.broker.stop_name_server().await;
                sleep(lasts).await;
                let _ = self.broker.start_name_server().await;
            }
            Fault::Stale { lasts } => {
                let _ = self.broker.keep_routes(true);
                sleep(lasts).await;
                let _ = self.broker.keep_routes(false);
            }
            Fault::Fix { topic, lasts } => {
                let (_, written) = self.queues.borrow()[topic];
                let _ = self.broker.fix_queues(&names::topic(topic), Some(self.fixed(written)));
                sleep(lasts).await;
                let _ = self.broker.fix_queues(&names::topic(topic), None);
            }
            Fault::Rule { rule, probability, lasts } => {
                let (codes, effect) = rule.effect();
                let matching = FaultMatch { codes, probability: Some(probability), ..FaultMatch::default() };
                let id = self.broker.fault(matching, effect).unwrap_or_else(|error| panic!("{error:?}"));
                sleep(lasts).await;
                self.broker.remove_fault(id);
            }
            Fault::Grow { topic } => self.resize(topic, |written| written + 1),
            Fault::Shrink { topic } => self.resize(topic, |written| (written / 2).max(1)),
            Fault::SetBack { group, topic, by } => {
                let since = rocketmq_simulated_world::wall_ms() - i64::try_from(by.as_millis()).unwrap_or(0);
                let to = if by.is_zero() { Position::Offset(0) } else { Position::Time(since) };
                let _ = self.broker.reset_offset(&names::group(group), &names::topic(topic), to);
            }
            other => panic!("{other:?} befalls clients"),
        }
    }

    fn port(&self, server: usize) -> u16 {
        self.ports.borrow()[server]
    }

    async fn kill(&self, client: usize, back_after: Duration) {
        let consumers = self.plan.consumers.len();
        let host = if client < consumers {
            self.members.borrow_mut().remove(&client).map(|member| member.host)
        } else {
            self.senders.borrow_mut().remove(&(client - consumers)).map(|sender| sender.host)
        };
        let Some(host) = host else { return };
        host.kill();
        sleep(back_after).await;
        if client < consumers {
            self.join_another(client);
        } else {
            self.send_another(client - consumers);
        }
    }

    async fn cut(&self, client: usize, servers: &[usize], ways: [bool; 2], lasts: Duration) {
        let Some((host, ..)) = self.client(client) else { return };
        let ports: Vec<u16> = servers.iter().map(|&server| self.port(server)).collect();
        self.set_cut(host, &ports, ways);
        sleep(lasts).await;
        self.set_cut(host, &ports, [false; 2]);
    }

    fn set_cut(&self, host: Host, ports: &[u16], ways: [bool; 2]) {
        for &port in ports {
            self.world.set_line(host, port, |line| line.cut = ways);
        }
    }

    async fn narrow(&self, client: usize, server: usize, (latency, bytes): (Duration, u32), lasts: Duration) {
        let Some((host, ..)) = self.client(client) else { return };
        let port = self.port(server);
        self.world.set_line(host, port, |line| (line.latency, line.bytes_per_second) = (latency, Some(bytes)));
        sleep(lasts).await;
        let usual = (self.plan.latency, self.plan.bytes_per_second);
        self.world.set_line(host, port, |line| (line.latency, line.bytes_per_second) = usual);
    }

    async fn restart(&self, broker: usize, forgets: bool, lasts: Duration, moves: bool) {
        let _ = self.broker.stop_broker(broker).await;
        sleep(lasts).await;
        let keep = if forgets { Keep::Stored } else { Keep::All };
        if moves {
            let _ = self.broker.start_broker_elsewhere(broker, keep).await;
            self.ports.borrow_mut()[broker] = port(&self.broker.brokers()[broker]);
        } else {
            let _ = self.broker.start_broker(broker, keep).await;
        }
        if forgets {
            let whom = vec![broker_name(broker)];
            let forgets = Forgets { locks: true, commits: 5_000_000 };
            self.tell(String::from("it has forgotten"), whom, forgets, Duration::ZERO);
        }
    }

    /// A fixed list of so many queues, as they are spread over the brokers.
    fn fixed(&self, queues: i32) -> String {
        let brokers = i32::try_from(self.plan.brokers).unwrap_or(1);
        let share = |broker: i32| queues / brokers + i32::from(broker < queues % brokers);
        let shares = (0..brokers).map(|broker| (broker, share(broker))).filter(|&(_, share)| share > 0);
        let shares =
            shares.map(|(broker, share)| format!("{}:{share}", broker_name(usize::try_from(broker).unwrap_or(0))));
        shares.collect::<Vec<_>>().join(";")
    }

    fn resize(&self, topic: usize, to: impl FnOnce(i32) -> i32) {
        let (read, written) = {
            let mut queues = self.queues.borrow_mut();
            let (read, written) = queues[topic];
            let written = to(written);
            queues[topic] = (read.max(written), written);
            queues[topic]
        };
        let resized = self.broker.resize_topic(&names::topic(topic), read, written, Perm::ReadWrite);
        resized.unwrap_or_else(|error| panic!("{error:?}"));
    }
}

fn broker_name(index: usize) -> String {
    format!("broker-{}", char::from(b'a' + u8::try_from(index).unwrap_or(0)))
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
            Self::NotFlushed => (sends, Effect::Status(10)),
            Self::NoSlave => (sends, Effect::Status(11)),
            Self::NotCopied => (sends, Effect::Status(12)),
        }
    }
}
