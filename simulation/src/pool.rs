//! Many seeds, each in a process of its own.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::arguments::Many;

/// A world that takes longer has come to a standstill: most take less than a second.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs them, and says what came of it.
pub(crate) fn run(many: &Many) -> ExitCode {
    if many.plants.is_empty() {
        return healthy(many);
    }
    let mut missed = 0;
    for plant in &many.plants {
        if let Some((seed, words)) = first_failure(many, plant) {
            println!("{plant}: caught by seed {seed}: {}", words.lines().next().unwrap_or(""));
        } else {
            missed += 1;
            println!("{plant}: NOT caught by {} seeds", many.seeds);
        }
    }
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn healthy(many: &Many) -> ExitCode {
    let began = Instant::now();
    let failures = Mutex::new(BTreeMap::new());
    go_through(many, None, |seed, words| {
        println!("seed {seed} fails:\n{words}");
        lock(&failures).insert(seed, words);
        true
    });
    let failed: Vec<u64> = lock(&failures).keys().copied().collect();
    let took = began.elapsed().as_secs_f64();
    println!("{} seeds from {} in {took:.1} s, {} failed {failed:?}", many.seeds, many.from, failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn first_failure(many: &Many, plant: &str) -> Option<(u64, String)> {
    let first = Mutex::new(None::<(u64, String)>);
    go_through(many, Some(plant), |seed, words| {
        let mut first = lock(&first);
        if first.as_ref().is_none_or(|(other, _)| seed < *other) {
            *first = Some((seed, words));
        }
        false
    });
    first.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// `failed` says whether to go on.
fn go_through(many: &Many, plant: Option<&str>, failed: impl Fn(u64, String) -> bool + Sync) {
    let (next, ends) = (AtomicU64::new(many.from), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..many.jobs {
            scope.spawn(|| {
                while !ends.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= many.from + many.seeds {
                        break;
                    }
                    if let Some(words) = one(seed, plant)
                        && !failed(seed, words)
                    {
                        ends.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
}

/// The words of a failure, if it fails.
fn one(seed: u64, plant: Option<&str>) -> Option<String> {
    let program = std::env::current_exe().unwrap_or_else(|error| panic!("{error}"));
    let mut command = Command::new(program);
    command.args(["--quiet", "--seed", &seed.to_string()]);
    if let Some(plant) = plant {
        command.args(["--plant", plant]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{error}"));
    let reading = [reader(child.stdout.take()), reader(child.stderr.take())];
    let success = wait(&mut child);
    let words: String = reading.into_iter().map(|reader| reader.join().unwrap_or_default()).collect();
    match success {
        Some(true) => None,
        Some(false) => Some(words),
        None => Some(format!("seed {seed}: standstill: no end after {} s\n{words}", PATIENCE.as_secs())),
    }
}

fn reader(from: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = String::new();
        if let Some(mut from) = from {
            let _ = from.read_to_string(&mut text);
        }
        text
    })
}

/// Whether it succeeded; nothing, where it had to be killed.
fn wait(child: &mut Child) -> Option<bool> {
    let began = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status.success());
        }
        if began.elapsed() > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
