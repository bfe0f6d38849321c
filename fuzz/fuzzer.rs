//! One target of crates/bad-input, the one that this program is named after.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rocketmq_bad_input::{Target, counting::Counting, target};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static TARGET: LazyLock<Target> = LazyLock::new(|| target(env!("CARGO_BIN_NAME")));

fuzz_target!(|input: &[u8]| {
    TARGET.check(input);
});
