use super::*;
use crate::protocol::Command;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

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
    let pool = Pool::new(Duration::from_secs(3), Arc::new(Nobody));
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
