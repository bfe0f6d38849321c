use super::*;
use crate::protocol::Command;
use crate::remoting::Class;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// Keeps what it is told.
#[derive(Default)]
struct Telling(Mutex<Vec<String>>);
impl Greeter for Telling {
    type Failure = ClientError;
    async fn greet(&self, _connection: &Connection, _deadline: Instant) -> Result<(), ClientError> {
        Ok(())
    }
    fn advice(&self) -> &'static str {
        "Look there"
    }
    fn connecting(&self, _address: &str) {
        self.0.lock().unwrap().push(String::from("connecting"));
    }
    fn unconnected(&self, _address: &str, why: Option<&ClientError>) {
        self.0.lock().unwrap().push(format!("unconnected: {}", why.map_or("given up", ClientError::message)));
    }
    fn connected(&self, _address: &str) {
        self.0.lock().unwrap().push(String::from("connected"));
    }
    fn disconnected(&self, _address: &str, reason: ClientError) {
        self.0.lock().unwrap().push(reason.message().to_owned());
    }
}

struct Nobody;
impl Inbound for Nobody {
    fn request(&self, _connection: &Connection, _command: Command) {}
}

/// Has nothing to say to the peer.
struct Silent;
impl Greeter for Silent {
    type Failure = ClientError;
    async fn greet(&self, _connection: &Connection, _deadline: Instant) -> Result<(), ClientError> {
        Ok(())
    }
    fn advice(&self) -> &'static str {
        "Look there"
    }
    fn connected(&self, _address: &str) {}
    fn disconnected(&self, _address: &str, _reason: ClientError) {}
}

fn soon() -> Instant {
    env::now() + Duration::from_secs(3)
}

#[tokio::test]
async fn a_caller_that_nobody_polls_keeps_no_other_from_connecting() {
    let pool = Pool::new(Duration::from_secs(3), None, Arc::new(Nobody));
    let listener = env::listen(0).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let greeter = Arc::new(Silent);
    // Refused, so that the next attempt has to wait.
    pool.connection(&address, &greeter, soon()).await.unwrap_err();
    let mut forgotten = pin!(pool.connection(&address, &greeter, env::now() + Duration::from_secs(30)));
    poll_fn(|context| {
        assert!(forgotten.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
    let _listener = env::listen(address.rsplit(':').next().unwrap().parse().unwrap()).await.unwrap();
    let connection = pool.connection(&address, &greeter, soon()).await.unwrap();
    assert_eq!(connection.address(), address);
}

#[tokio::test]
async fn a_connection_that_is_sent_away_is_told_before_the_next_one_and_counts_once() {
    let pool = Pool::new(Duration::from_secs(3), None, Arc::new(Nobody));
    let listener = env::listen(0).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let greeter = Arc::new(Telling::default());
    let losses = pool.losses(&address);
    let first = pool.connection(&address, &greeter, soon()).await.unwrap();
    let (mut peer, _) = listener.accept().await.unwrap();
    let asking = first.clone();
    let pending = tokio::spawn(async move {
        let command = Command::request(1, crate::protocol::Fields::new(), bytes::Bytes::new());
        asking.call(command, Class::Control, Duration::from_secs(30)).await
    });
    let mut length = [0; 4];
    tokio::io::AsyncReadExt::read_exact(&mut peer, &mut length).await.unwrap();
    // The peer has said "go away" to something else; this one it still may answer.
    first.retire();
    let second = pool.connection(&address, &greeter, soon()).await.unwrap();
    assert!(!second.is(&first) && !pending.is_finished());
    assert_eq!(*losses.borrow(), 1);
    let told = greeter.0.lock().unwrap().clone();
    assert_eq!(told.len(), 5, "{told:?}");
    assert_eq!(told[..2], ["connecting", "connected"]);
    assert!(told[2].contains("as its server had asked for"), "{told:?}");
    assert_eq!(told[3..], ["connecting", "connected"]);
    drop(peer);
    pending.await.unwrap().unwrap_err();
    first.closed().await;
    tokio::task::yield_now().await;
    assert_eq!(*losses.borrow(), 1);
    assert_eq!(greeter.0.lock().unwrap().len(), 5);
}

#[tokio::test]
async fn an_attempt_that_fails_is_told_with_its_reason_and_so_is_one_that_is_given_up() {
    let pool = Pool::new(Duration::from_secs(30), None, Arc::new(Nobody));
    let listener = env::listen(0).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let greeter = Arc::new(Telling::default());
    pool.connection(&address, &greeter, soon()).await.unwrap_err();
    let told = greeter.0.lock().unwrap().clone();
    assert_eq!((told.len(), told[0].as_str()), (2, "connecting"), "{told:?}");
    assert!(told[1].starts_with(&format!("unconnected: cannot reach {address}")), "{told:?}");
    // Nobody answers there.
    let silent = "192.0.2.1:9876";
    let greeter = Arc::new(Telling::default());
    pool.connection(silent, &greeter, env::now() + Duration::from_millis(200)).await.unwrap_err();
    let told = greeter.0.lock().unwrap().clone();
    assert_eq!((told.len(), told[0].as_str()), (2, "connecting"), "{told:?}");
    assert!(told[1].starts_with("unconnected"), "{told:?}");
}
