//! What a client's native side says to its facade: one queue, in one order, and a bell.
//!
//! The bell only rings, at most once until the facade has taken all there is; the facade takes at its own pace, a little in each turn of its
//! event loop. So a burst of a hundred thousand outcomes holds nobody up, and the answer to `close()` is heard behind what it has waited
//! for.

use super::callback::{Answer, Callback};
use super::config::Records;
use super::pulse::{Pulse, TICK};
use crate::client::{Event, Events};
use crate::env;
use crate::error::{ClientError, Code};
use crate::sync::{Mutex, MutexGuard};
use napi::Result;
use napi::bindgen_prelude::{Object, ToNapiValue};
use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, PoisonError, Weak};

/// Warnings and records that wait to be heard, at most: a peer can cause them by the million.
const MOST_REMARKS: usize = 1_000;

/// What is said; a producer and a consumer add their own `T`.
pub(super) enum Said<T> {
    /// Of a call with a slot.
    Answer(Answer),
    /// JSON. A remark is a warning or a record: of equal ones that wait, one is enough.
    Event { json: String, is_remark: bool },
    /// To hear whether anybody hears.
    Alive,
    /// Its kinds begin at 2.
    Own(T),
}

struct Queue<T> {
    said: VecDeque<Said<T>>,
    /// The facade was rung for and has not taken everything yet.
    rung: bool,
    remarks: HashSet<String>,
    /// How many more remarks there were than are kept.
    dropped: u64,
    /// The last word was said: nothing is kept any more.
    is_over: bool,
    /// Nobody listens any more.
    is_deaf: bool,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        let (said, remarks) = (VecDeque::new(), HashSet::new());
        Self { said, rung: false, remarks, dropped: 0, is_over: false, is_deaf: false }
    }
}

/// See the module. `T` is what its owner says beside answers and events.
pub(super) struct Bell<T> {
    queue: Mutex<Queue<T>>,
    ring: Callback,
    records: Records,
    pulse: Pulse,
}

/// What the facade takes. `Own` is what becomes of the owner's part of it.
pub enum Heard<O> {
    Answer(Answer),
    Event(String),
    Own(O),
}

/// What taking has come to.
pub(super) enum Taken<O> {
    /// The whole of what was said next.
    Whole(O),
    /// A part; the rest is still next.
    Part(O),
}

impl<T: Send + 'static> Bell<T> {
    /// Takes `calls.ring`.
    pub(super) fn new(calls: &Object<'_>, records: Records) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            queue: Mutex::default(),
            ring: Callback::new(calls, "ring")?,
            records,
            pulse: Pulse::new(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Queue<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what is to be heard; somebody has to ring.
    pub(super) fn keep(&self, own: impl IntoIterator<Item = T>) {
        let mut queue = self.lock();
        if !queue.is_over {
            queue.said.extend(own.into_iter().map(Said::Own));
        }
    }

    /// Rings, unless the facade is coming already. False when nobody listens any more.
    pub(super) fn ring(&self) -> bool {
        let rings = {
            let mut queue = self.lock();
            if queue.is_deaf {
                return false;
            }
            !queue.said.is_empty() && !std::mem::replace(&mut queue.rung, true)
        };
        let is_heard = !rings || self.ring.call();
        if !is_heard {
            self.lock().is_deaf = true;
        }
        is_heard
    }

    /// False when nobody listens any more.
    pub(super) fn say(&self, own: T) -> bool {
        self.put(Said::Own(own))
    }

    fn put(&self, said: Said<T>) -> bool {
        {
            let mut queue = self.lock();
            if queue.is_over {
                return false;
            }
            queue.said.push_back(said);
        }
        self.ring()
    }

    /// The next thing that was said; none when there is nothing, and then the next one rings again. `take` looks at the owner's own, under
    /// the lock; what it panics over is lost, and nothing else.
    pub(super) fn take<O>(&self, take: impl FnOnce(&mut T) -> Taken<O>) -> Option<Heard<O>> {
        self.pulse.taken();
        let mut guard = self.lock();
        let queue = &mut *guard;
        loop {
            match queue.said.pop_front() {
                None if queue.dropped > 0 => {
                    let dropped = std::mem::take(&mut queue.dropped);
                    let text = format!(
                        "{dropped} more warnings and records came faster than they could be told, and were not"
                    );
                    return Some(Heard::Event(
                        Event::Warning { error: ClientError::new(Code::Protocol, text) }.to_json(),
                    ));
                }
                None => {
                    queue.rung = false;
                    return None;
                }
                Some(Said::Own(mut own)) => {
                    return Some(Heard::Own(match take(&mut own) {
                        Taken::Part(part) => {
                            queue.said.push_front(Said::Own(own));
                            part
                        }
                        Taken::Whole(whole) => whole,
                    }));
                }
                Some(Said::Answer(answer)) => return Some(Heard::Answer(answer)),
                Some(Said::Event { json, is_remark }) => {
                    if is_remark {
                        queue.remarks.remove(&json);
                    }
                    return Some(Heard::Event(json));
                }
                Some(Said::Alive) => {}
            }
        }
    }

    /// Watches from now on whether anybody hears, until nobody listens any more.
    pub(super) fn watch(self: &Arc<Self>) {
        let bell = Arc::downgrade(self);
        let tell = Weak::clone(&bell);
        let watch = move || {
            let bell = Weak::clone(&bell);
            async move {
                loop {
                    tokio::time::sleep(TICK).await;
                    let Some(bell) = bell.upgrade() else { return };
                    let look = bell.pulse.look(env::wall_ms());
                    for error in look.tell {
                        bell.emit(Event::Warning { error });
                    }
                    if look.ask && !bell.put(Said::Alive) {
                        return;
                    }
                }
            }
        };
        env::spawn(env::kept(watch, move |panic| {
            let error = ClientError::panicked("watching the event loop has failed and begins anew", &panic);
            if let Some(bell) = tell.upgrade() {
                bell.emit(Event::Warning { error });
            }
        }));
    }
}

/// Who answers calls with a slot.
pub(super) trait Answers: Send + Sync + 'static {
    /// Answers, unless nobody listens any more.
    fn answer(&self, answer: Answer);
    /// The last word: what was said before still arrives, what would be said after it does not.
    fn last(&self, answer: Answer);
    /// Nothing is said from here on; what was said already still arrives.
    fn release(&self);
}

impl<T: Send + 'static> Answers for Bell<T> {
    fn answer(&self, answer: Answer) {
        self.put(Said::Answer(answer));
    }

    fn last(&self, answer: Answer) {
        {
            let mut queue = self.lock();
            queue.said.push_back(Said::Answer(answer));
            queue.is_over = true;
        }
        if env::planted("leave the last ring to others") {
            self.ring();
        } else {
            // Also where somebody else is about to ring: he may come when the function is given back already.
            self.ring.call();
        }
        self.release();
    }

    fn release(&self) {
        self.lock().is_over = true;
        self.ring.release();
    }
}

impl<T: Send + 'static> Events for Bell<T> {
    fn emit(&self, event: Event) {
        if !self.records.want(&event) {
            return;
        }
        let (json, is_remark) = (event.to_json(), event.is_remark());
        if is_remark {
            let mut queue = self.lock();
            if queue.is_over {
                return;
            }
            if queue.remarks.len() >= MOST_REMARKS {
                queue.dropped += 1;
                return;
            }
            if !queue.remarks.insert(json.clone()) {
                return;
            }
        }
        self.put(Said::Event { json, is_remark });
    }
}

impl<O: ToNapiValue> ToNapiValue for Heard<O> {
    /// `[kind, …]`; the facade's types name the rest.
    #[expect(unsafe_code, reason = "the trait's own signature; everything inside is napi's safe interface")]
    unsafe fn to_napi_value(env: napi::sys::napi_env, heard: Self) -> Result<napi::sys::napi_value> {
        match heard {
            Self::Answer(answer) => {
                let (slot, error, json) = answer.parts();
                unsafe { ToNapiValue::to_napi_value(env, (0u32, slot, error, json)) }
            }
            Self::Event(json) => unsafe { ToNapiValue::to_napi_value(env, (1u32, json)) },
            Self::Own(own) => unsafe { O::to_napi_value(env, own) },
        }
    }
}

#[cfg(all(test, feature = "shuttle"))]
mod threads;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Level;

    fn bell() -> Bell<u32> {
        Bell { queue: Mutex::default(), ring: Callback::released(), records: Records::None, pulse: Pulse::new() }
    }

    fn warning(text: &str) -> Event {
        Event::Warning { error: ClientError::new(Code::Protocol, text) }
    }

    fn events(bell: &Bell<u32>) -> Vec<String> {
        std::iter::from_fn(|| bell.take(|_| Taken::Whole(())))
            .map(|heard| match heard {
                Heard::Event(json) => json,
                _ => panic!("no event"),
            })
            .collect()
    }

    fn own(bell: &Bell<u32>) -> Option<u32> {
        match bell.take(|own| Taken::Whole(*own)) {
            Some(Heard::Own(own)) => Some(own),
            _ => None,
        }
    }

    #[test]
    fn what_is_said_is_heard_in_order_and_rings_anew_only_behind_the_last() {
        let bell = bell();
        let rung = || bell.lock().rung;
        bell.keep([1, 2]);
        bell.ring();
        assert!(rung());
        assert_eq!((own(&bell), own(&bell)), (Some(1), Some(2)));
        bell.keep([3]);
        assert!(rung(), "it was not told yet that there is nothing more");
        assert_eq!((own(&bell), own(&bell)), (Some(3), None));
        assert!(!rung());
    }

    #[test]
    fn when_nobody_listens_that_shows_from_then_on() {
        let bell = bell();
        assert!(!bell.say(1));
        assert!(!bell.say(2));
    }

    #[test]
    fn nothing_is_heard_behind_the_last_word() {
        let bell = bell();
        bell.keep([1]);
        bell.last(Answer::of(7, Ok("null".into())));
        bell.keep([2]);
        bell.emit(warning("late"));
        assert!(!bell.say(3));
        assert_eq!(own(&bell), Some(1));
        let last = bell.take(|_| Taken::Whole(()));
        assert!(matches!(last, Some(Heard::Answer(answer)) if answer.slot == 7));
        assert!(bell.take(|_| Taken::Whole(())).is_none());
    }

    #[test]
    fn a_panic_over_one_thing_loses_that_alone() {
        let bell = bell();
        bell.keep([1, 2]);
        let panics = || bell.take(|_| -> Taken<()> { panic!("planted") });
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
        assert_eq!(own(&bell), Some(2));
    }

    #[test]
    fn what_is_taken_in_parts_stays_next() {
        let bell = bell();
        bell.keep([2, 9]);
        let part = |left: &mut u32| {
            *left -= 1;
            if *left == 0 { Taken::Whole("last") } else { Taken::Part("part") }
        };
        let taken = |_| match bell.take(part) {
            Some(Heard::Own(text)) => text,
            _ => "nothing",
        };
        assert_eq!((0..3).map(taken).collect::<Vec<_>>(), ["part", "last", "part"]);
    }

    #[test]
    fn equal_warnings_that_wait_are_one_and_what_comes_by_the_million_is_counted() {
        let bell = bell();
        for _ in 0..10 {
            bell.emit(warning("the same"));
        }
        assert_eq!(events(&bell).len(), 1);
        bell.emit(warning("the same"));
        assert_eq!(events(&bell).len(), 1, "it may be told again once it was heard");
        for i in 0..3 * MOST_REMARKS {
            bell.emit(warning(&format!("number {i}")));
        }
        let told = events(&bell);
        assert_eq!(told.len(), MOST_REMARKS + 1);
        assert!(told[MOST_REMARKS].contains("2000 more warnings"), "{}", told[MOST_REMARKS]);
    }

    #[test]
    fn records_that_nobody_wants_are_not_even_kept() {
        let record = |level| Event::log(level, "the same", serde_json::Value::Null);
        for (records, kept) in [(Records::None, 0), (Records::Usual, 1), (Records::All, 2)] {
            let bell = Bell { records, ..bell() };
            bell.emit(record(Level::Info));
            bell.emit(record(Level::Debug));
            assert_eq!(events(&bell).len(), kept, "{records:?}");
            bell.emit(warning("wanted always"));
            assert_eq!(events(&bell).len(), 1);
        }
    }

    #[test]
    fn what_changes_the_state_is_told_each_time() {
        let bell = bell();
        for _ in 0..2 {
            bell.emit(Event::Assigned { queues: Vec::new() });
        }
        assert_eq!(events(&bell).len(), 2);
    }
}
