//! Connections that have fallen silent, on a clock that does not wait.

use super::*;

/// When the connection ended.
async fn end_of(raw: &mut Raw) -> env::Instant {
    let mut rest = Vec::new();
    let _ = raw.socket.read_to_end(&mut rest).await;
    env::now()
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_traffic_ends_after_120_s() {
    for release in BOTH {
        let test = start(with_topic(release)).await;
        for address in [test.name_server(), test.brokers()[0].clone()] {
            let mut raw = Raw::connect(&address).await;
            let opened = env::now();
            let lived = end_of(&mut raw).await - opened;
            assert!((120..=140).contains(&lived.as_secs()), "{lived:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_that_beats_no_more_is_taken_out_after_120_s() {
    for release in BOTH {
        let test = start(with_topic(release)).await;
        let mut raw = broker_of(&test).await;
        raw.heartbeat("c1", "G", "t", "*", 1).await;
        let beat = env::now();
        assert_eq!(test.members("G").unwrap(), ["c1"]);
        // Traffic of another kind does not count.
        let bytes = frame::encode(&plain(38, &[("consumerGroup", "G")]), Codec::Json).unwrap();
        while !test.members("G").unwrap().is_empty() {
            let _ = raw.socket.write_all(&bytes).await;
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
        let lived = env::now() - beat;
        assert!((120..=140).contains(&lived.as_secs()), "{lived:?}");
        end_of(&mut raw).await;
    }
}
