use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

use crate::{Host, Line, World, connect, listen, random_u64, spawn, unacknowledged, wall_ms};

const MS: Duration = Duration::from_millis(1);

/// A server that says everything again.
async fn echo() -> u16 {
    let listener = listen(0).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = socket.read(&mut buffer).await {
                    if socket.write_all(&buffer[..count]).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    port
}

fn at(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

#[tokio::test(start_paused = true)]
async fn bytes_take_the_time_of_their_line() {
    let world = World::begin(1);
    world.usual_line(Line { latency: 20 * MS, ..Line::default() });
    let (port, host) = (echo().await, Host::new());
    let took = host.run(async move {
        let mut socket = connect(&at(port)).await.unwrap();
        let began = Instant::now();
        socket.write_all(b"hello").await.unwrap();
        let mut back = [0; 5];
        socket.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"hello");
        began.elapsed()
    });
    assert_eq!(took.await.unwrap(), 40 * MS);
}

#[tokio::test(start_paused = true)]
async fn a_narrow_line_gives_back_pressure_and_tells_what_is_unacknowledged() {
    let world = World::begin(1);
    world.usual_line(Line { bytes_per_second: Some(100_000), ..Line::default() });
    let (port, host) = (echo().await, Host::new());
    let took = host.run(async move {
        let (mut reader, mut writer) = connect(&at(port)).await.unwrap().into_split();
        let began = Instant::now();
        let reading = spawn(async move {
            let mut all = vec![0; 500_000];
            reader.read_exact(&mut all).await.unwrap();
            began.elapsed()
        });
        writer.write_all(&vec![7; 500_000]).await.unwrap();
        assert!(began.elapsed() > Duration::from_secs(3), "taken within {:?}", began.elapsed());
        assert!(unacknowledged(&writer) > 50_000);
        reading.await.unwrap()
    });
    let took = took.await.unwrap().as_secs_f64();
    assert!((5.0..6.0).contains(&took), "{took} s");
}

#[tokio::test(start_paused = true)]
async fn a_short_cut_delays_and_a_long_one_ends() {
    let world = World::begin(1);
    let (port, host) = (echo().await, Host::new());
    for (cut_for, survives) in [(Duration::from_secs(5), true), (Duration::from_secs(20), false)] {
        let began = Instant::now();
        let talk = host.run(async move {
            let mut socket = connect(&at(port)).await.unwrap();
            sleep(MS).await;
            socket.write_all(b"hello").await.unwrap();
            let mut back = [0; 5];
            socket.read_exact(&mut back).await.map(|_| ())
        });
        sleep(MS / 2).await;
        world.set_line(host, port, |line| line.cut = [false, true]);
        sleep(cut_for).await;
        world.set_line(host, port, |line| line.cut = [false; 2]);
        let result = talk.await.unwrap();
        assert_eq!(result.is_ok(), survives, "{result:?}");
        assert!(began.elapsed() >= cut_for);
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_stands_still_goes_on_and_dies() {
    World::begin(1);
    let (port, host) = (echo().await, Host::new());
    let (ticks, mut ticked) = tokio::sync::mpsc::unbounded_channel();
    host.run(async move {
        let _socket = connect(&at(port)).await.unwrap();
        loop {
            sleep(100 * MS).await;
            ticks.send(Instant::now()).unwrap();
        }
    });
    let first = ticked.recv().await.unwrap();
    host.stop();
    assert!(timeout(Duration::from_secs(1), ticked.recv()).await.is_err());
    host.go_on();
    assert_eq!(ticked.recv().await.unwrap() - first, Duration::from_secs(1));
    host.kill();
    assert_eq!(ticked.recv().await, None, "what it had is gone");
    assert!(host.is_dead());
}

#[tokio::test(start_paused = true)]
async fn nobody_listens_and_somebody_leaves() {
    World::begin(1);
    let (port, host) = (echo().await, Host::new());
    let refused = host.run(async { connect("127.0.0.1:9").await.map(|_| ()) });
    assert_eq!(refused.await.unwrap().unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    let listener = listen(0).await.unwrap();
    let left = listener.local_addr().unwrap().port();
    host.run(async move {
        let _socket = connect(&at(left)).await.unwrap();
        std::future::pending::<()>().await;
    });
    let (mut socket, _) = listener.accept().await.unwrap();
    host.kill();
    assert_eq!(socket.read(&mut [0; 8]).await.unwrap(), 0, "its system says goodbye");
    assert!(listen(port).await.is_err(), "taken");
}

#[tokio::test(start_paused = true)]
async fn the_seed_decides_and_clocks_jump() {
    World::begin(7);
    let first: Vec<_> = (0..4).map(|_| random_u64()).collect();
    World::begin(7);
    assert_eq!(first, (0..4).map(|_| random_u64()).collect::<Vec<_>>());
    let host = Host::new();
    let before = wall_ms();
    host.move_wall_clock(Duration::from_secs(3600), true);
    assert_eq!(host.within(wall_ms), before - 3_600_000);
    assert_eq!(wall_ms(), before);
}
