use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts questions, and keeps warnings; answers nothing by itself.
#[derive(Default)]
struct Asked(AtomicUsize, Mutex<Vec<String>>);

impl Events for Asked {
    fn emit(&self, event: Event) {
        match event {
            Event::CredentialsWanted => _ = self.0.fetch_add(1, Ordering::Relaxed),
            Event::Warning { error } => self.1.lock().unwrap().push(error.message().to_owned()),
            _ => {}
        }
    }
}

fn asked() -> (Arc<Asked>, Arc<dyn Events>) {
    let asked = Arc::new(Asked::default());
    (Arc::clone(&asked), asked)
}

fn credentials(secret: &str) -> Credentials {
    Credentials { access_key: "ak".into(), secret_key: secret.into(), security_token: None, channel: None }
}

fn secret(signing: &Signing) -> &str {
    signing.credentials.as_ref().map_or("", |credentials| &credentials.secret_key)
}

async fn until(what: impl Fn() -> bool) {
    while !what() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn all_that_wait_are_served_by_one_question() {
    let (counts, events) = asked();
    let keyring = Keyring::asking();
    let waiting: Vec<_> = (0..5)
        .map(|_| {
            let (keyring, events) = (Arc::clone(&keyring), Arc::clone(&events));
            tokio::spawn(async move { keyring.signing(&events).await.map(|signing| secret(&signing).to_owned()) })
        })
        .collect();
    until(|| counts.0.load(Ordering::Relaxed) == 1).await;
    keyring.renewed(credentials("first"), None);
    for one in waiting {
        assert_eq!(one.await.unwrap().unwrap(), "first");
    }
    assert_eq!(counts.0.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn who_was_refused_with_old_ones_gets_those_of_now_without_asking() {
    let (counts, events) = asked();
    let keyring = Keyring::asking();
    keyring.renewed(credentials("first"), None);
    let refused = keyring.now();
    keyring.renewed(credentials("second"), None);
    let newer = keyring.newer_than(&refused, Occasion::Refusal, &events).await.unwrap();
    assert_eq!((secret(&newer), counts.0.load(Ordering::Relaxed)), ("second", 0));
}

#[tokio::test(start_paused = true)]
async fn the_same_ones_again_are_no_others_and_are_not_asked_for_at_once() {
    let (counts, events) = asked();
    let keyring = Keyring::asking();
    keyring.renewed(credentials("first"), None);
    let refused = keyring.now();
    for (round, questions) in [(0, 1), (1, 1), (2, 2)] {
        if round == 2 {
            tokio::time::advance(PAUSE.1 * 2).await;
        }
        let again = Arc::clone(&keyring);
        let answering = tokio::spawn(async move {
            until(|| again.lock().asked.is_some()).await;
            again.renewed(credentials("first"), None);
        });
        assert!(matches!(keyring.newer_than(&refused, Occasion::Refusal, &events).await, Err(None)), "{round}");
        assert_eq!(counts.0.load(Ordering::Relaxed), questions, "{round}");
        if round == 1 {
            answering.abort();
        } else {
            answering.await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_to_who_waits_and_the_old_ones_stay() {
    let (counts, events) = asked();
    let keyring = Keyring::asking();
    keyring.renewed(credentials("first"), None);
    let refused = keyring.now();
    let failing = Arc::clone(&keyring);
    tokio::spawn(async move {
        until(|| failing.lock().asked.is_some()).await;
        failing.failed(ClientError::new(Code::AccessDenied, "no metadata service").with_keepsake(7));
    });
    let why = keyring.newer_than(&refused, Occasion::Refusal, &events).await.unwrap_err().unwrap();
    assert_eq!(why.message(), "no metadata service");
    assert!(why.to_json().contains("\"keepsake\":7"));
    assert_eq!((secret(&keyring.now()), counts.0.load(Ordering::Relaxed)), ("first", 1));
}

#[tokio::test(start_paused = true)]
async fn they_are_due_before_they_end() {
    let keyring = Keyring::asking();
    let due = |life: i64| {
        keyring.renewed(credentials("first"), Some(env::wall_ms() + life));
        let due = keyring.due().unwrap().saturating_duration_since(env::now());
        i64::try_from(due.as_millis()).unwrap()
    };
    // The wall clock goes on in between.
    for (life, expected) in [(3_600_000, 3_300_000), (100_000, 80_000), (-5, 1_000)] {
        assert!((expected - due(life)).abs() < 2_000, "{life}");
    }
    keyring.renewed(credentials("first"), None);
    assert!(keyring.due().is_none());
}

#[tokio::test(start_paused = true)]
async fn who_does_not_answer_is_told_of_once_and_asked_again_and_a_late_answer_counts() {
    let (counts, events) = asked();
    let keyring = Keyring::asking();
    keyring.renewed(credentials("first"), Some(env::wall_ms() + 10_000));
    let kept = Arc::clone(&keyring);
    let keeping = tokio::spawn(async move { keep(&kept, &events).await });
    tokio::time::sleep(Duration::from_secs(200)).await;
    let questions = counts.0.load(Ordering::Relaxed);
    assert!((4..12).contains(&questions), "{questions}");
    let warnings = counts.1.lock().unwrap().clone();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("has not answered for 10 s"), "{warnings:?}");
    keyring.renewed(credentials("second"), None);
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert_eq!((secret(&keyring.now()), counts.0.load(Ordering::Relaxed)), ("second", questions));
    keeping.abort();
}
