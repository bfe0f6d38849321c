//! A small world in which all goes right, as somebody's choices lead it: its history is good, however its lines are mixed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::event::{Answer, Ended, Event, Hello, Line, Phase, Queue, Role, Settled, Why};

const KEYS: usize = 4;
const QUEUES: usize = 2;
const MEMBERS: usize = 2;
/// Microseconds: as long as a dead owner's lock lasts.
const EXPIRY: u64 = 60_000_000;

#[derive(Default)]
struct Key {
    pending: VecDeque<u64>,
    flying: Option<(u64, Vec<u64>)>,
}

#[derive(Default)]
struct Place {
    /// The ids and keys that are stored.
    stored: Vec<(u64, usize)>,
    owner: usize,
    position: i64,
    committed: i64,
    done: BTreeSet<i64>,
    /// Of each running call: by key, its offset and attempt.
    running: BTreeMap<usize, (i64, u32)>,
    /// What has failed: by key.
    failed: BTreeMap<usize, (i64, u32)>,
}

impl Place {
    fn prefix(&self) -> i64 {
        (self.position..=offset(self.stored.len())).find(|offset| !self.done.contains(offset)).unwrap_or(self.position)
    }
}

/// See the module.
pub(super) struct World {
    by_key: bool,
    now: u64,
    lines: Vec<Line>,
    sends: u64,
    requests: u64,
    keys: Vec<Key>,
    places: Vec<Place>,
    /// Which life of a member it is: a dead one comes back under another name.
    lives: Vec<usize>,
}

fn queue(number: usize) -> Queue {
    Queue { topic: "t".into(), broker: "b".into(), id: i32::try_from(number).unwrap() }
}

fn offset(index: usize) -> i64 {
    i64::try_from(index).unwrap()
}

impl World {
    /// The history of these choices.
    pub(super) fn history(choices: &[u16], by_key: bool) -> Vec<Line> {
        let mut world = Self {
            by_key,
            now: 1_000,
            lines: Vec::new(),
            sends: 0,
            requests: 0,
            keys: (0..KEYS).map(|_| Key::default()).collect(),
            places: (0..QUEUES).map(|_| Place::default()).collect(),
            lives: vec![0; MEMBERS],
        };
        world.hello("p".into(), Role::Producer);
        for member in 0..MEMBERS {
            world.hello(world.name(member), Role::Consumer);
        }
        for number in 0..QUEUES {
            world.take(number, 0);
        }
        for &choice in choices {
            world.step(choice);
        }
        world.end();
        world.lines
    }

    fn name(&self, member: usize) -> String {
        format!("c{member}.{}", self.lives[member])
    }

    fn say(&mut self, by: String, event: Event) {
        self.now += 10;
        self.lines.push(Line { t: self.now, by, event });
    }

    fn hello(&mut self, by: String, role: Role) {
        let hello = Hello {
            version: 1,
            role,
            client: by.clone(),
            group: "g".into(),
            boot: "boot".into(),
            wall: 0,
            by_key: self.by_key && role == Role::Consumer,
            broadcasting: false,
            mixes_keys: false,
            as_user: false,
        };
        self.say(by, Event::Hello(hello));
    }

    fn step(&mut self, choice: u16) {
        let [what, which] = choice.to_be_bytes().map(usize::from);
        let (key, number) = (which % KEYS, which % QUEUES);
        match what % 16 {
            0..=3 => self.submit(key),
            4 | 5 => self.wire(key),
            6 => self.answer(key, true, true),
            7 => self.answer(key, which & 0x40 > 0, which & 0x80 > 0),
            8..=11 => self.handle(number, which / QUEUES % KEYS, which & 0xc0 != 0),
            12 | 13 => self.commit(number),
            14 => self.hand_over(number),
            _ => self.die(number),
        }
    }

    fn submit(&mut self, key: usize) {
        self.sends += 1;
        let send = self.sends;
        self.keys[key].pending.push_back(send);
        let ids = vec![format!("ID{send}")];
        self.say("p".into(), Event::Submit { send, topic: "t".into(), key: format!("k{key}"), ids });
    }

    fn wire(&mut self, key: usize) {
        let state = &mut self.keys[key];
        if state.flying.is_some() || state.pending.is_empty() {
            return;
        }
        self.requests += 1;
        let (request, sends) = (self.requests, state.pending.iter().copied().take(3).collect::<Vec<_>>());
        state.flying = Some((request, sends.clone()));
        self.say("p".into(), Event::Wire { request, queue: queue(key % QUEUES), sends });
    }

    fn answer(&mut self, key: usize, stores: bool, comes: bool) {
        let Some((request, sends)) = self.keys[key].flying.take() else { return };
        let number = key % QUEUES;
        let first = offset(self.places[number].stored.len());
        if stores {
            self.places[number].stored.extend(sends.iter().map(|&send| (send, key)));
        }
        let outcome = match (stores, comes) {
            (true, true) => Answer::Stored { offset: first },
            (false, true) => Answer::Refused { code: 2 },
            (_, false) => Answer::Unknown,
        };
        self.say("p".into(), Event::Answer { request, outcome });
        if stores && comes {
            for (send, offset) in sends.iter().zip(first..) {
                self.keys[key].pending.pop_front();
                let outcome = Settled::Stored { queue: queue(number), offset };
                self.say("p".into(), Event::Settle { send: *send, outcome });
            }
        }
    }

    /// Ends what runs in a lane, or begins its next message.
    fn handle(&mut self, number: usize, key: usize, succeeds: bool) {
        let lane = if self.by_key { key } else { 0 };
        let by = self.name(self.places[number].owner);
        let place = &mut self.places[number];
        let queue = queue(number);
        if let Some((offset, attempt)) = place.running.remove(&lane) {
            if succeeds {
                place.done.insert(offset);
            } else {
                place.failed.insert(lane, (offset, attempt + 1));
            }
            let outcome = if succeeds { Ended::Success } else { Ended::Failure };
            self.say(by, Event::End { queue, offset, outcome, counted: true });
            return;
        }
        let by_key = self.by_key;
        let next = place.stored.iter().enumerate().map(|(i, (_, key))| (offset(i), *key)).find(|(offset, key)| {
            *offset >= place.position && !place.done.contains(offset) && (!by_key || *key == lane)
        });
        let Some((offset, key)) = next else { return };
        let attempt = place.failed.remove(&lane).map_or(1, |(_, attempt)| attempt);
        place.running.insert(lane, (offset, attempt));
        let key = by_key.then(|| format!("k{key}"));
        self.say(by, Event::Start { queue, offset, last: offset, key, attempt });
    }

    fn commit(&mut self, number: usize) {
        let by = self.name(self.places[number].owner);
        let offset = self.places[number].prefix();
        if offset > self.places[number].committed {
            self.places[number].committed = offset;
            for phase in [Phase::Sent, Phase::Done] {
                self.say(by.clone(), Event::Commit { queue: queue(number), offset, phase });
            }
        }
    }

    /// The queue is this member's from here on.
    fn take(&mut self, number: usize, member: usize) {
        let by = self.name(member);
        let place = &mut self.places[number];
        place.owner = member;
        let begun = place.position == 0 && place.committed == 0;
        place.position = place.committed;
        place.done = place.done.split_off(&i64::MAX);
        let (position, asked) = (place.position, self.now + 1);
        self.say(by.clone(), Event::Lock { queue: queue(number), asked });
        let why = if begun { Why::Initial } else { Why::Committed };
        self.say(by, Event::Position { queue: queue(number), offset: position, why });
    }

    fn give_back(&mut self, number: usize) {
        let by = self.name(self.places[number].owner);
        self.say(by.clone(), Event::Revoked { queue: queue(number) });
        for lane in 0..KEYS {
            if self.places[number].running.contains_key(&lane) {
                self.handle(number, lane, true);
            }
        }
        self.commit(number);
        self.places[number].failed.clear();
        for phase in [Phase::Sent, Phase::Done] {
            self.say(by.clone(), Event::Unlock { queue: queue(number), phase });
        }
    }

    fn hand_over(&mut self, number: usize) {
        self.give_back(number);
        let next = (self.places[number].owner + 1) % MEMBERS;
        self.take(number, next);
    }

    /// The owner is killed; a minute later its queues are somebody else's.
    fn die(&mut self, number: usize) {
        let dead = self.places[number].owner;
        self.lives[dead] += 1;
        self.now += EXPIRY;
        self.hello(self.name(dead), Role::Consumer);
        for number in 0..QUEUES {
            let running = std::mem::take(&mut self.places[number].running);
            self.places[number].failed.clear();
            if self.places[number].owner == dead {
                self.take(number, (dead + 1) % MEMBERS);
            } else {
                // A minute is longer than a lock.
                let by = self.name(self.places[number].owner);
                self.say(by.clone(), Event::Lost { queue: queue(number), why: "expired".into() });
                for (offset, _) in running.into_values() {
                    let end = Event::End { queue: queue(number), offset, outcome: Ended::Success, counted: false };
                    self.say(by.clone(), end);
                }
                let owner = self.places[number].owner;
                self.take(number, owner);
            }
        }
    }

    /// Everything is sent and handled; then all close, and somebody looks at the store.
    fn end(&mut self) {
        for key in 0..KEYS {
            while !self.keys[key].pending.is_empty() {
                self.wire(key);
                self.answer(key, true, true);
            }
        }
        self.say("p".into(), Event::Closed {});
        for number in 0..QUEUES {
            for lane in (0..KEYS).chain(0..KEYS) {
                for _ in 0..=2 * self.places[number].stored.len() {
                    self.handle(number, lane, true);
                }
            }
            self.give_back(number);
        }
        for member in 0..MEMBERS {
            self.say(self.name(member), Event::Closed {});
        }
        self.hello("w".into(), Role::Witness);
        for number in 0..QUEUES {
            for (at, (send, key)) in self.places[number].stored.clone().into_iter().enumerate() {
                let (id, key) = (format!("ID{send}"), format!("k{key}"));
                let event = Event::Stored { queue: queue(number), offset: offset(at), id, key, matched: true };
                self.say("w".into(), event);
            }
            let offset = self.places[number].committed;
            self.say("w".into(), Event::Committed { group: "g".into(), queue: queue(number), offset });
        }
    }
}
