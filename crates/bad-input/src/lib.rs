//! Everything that reads what strangers send, as targets: any bytes go in, and what must hold of any bytes is asserted.
//!
//! `cargo test` replays `corpus/` through them; the programs of `fuzz/` at the root look for what is missing there. Both count memory.

pub mod counting;
mod targets;

use self::counting::Peak;
pub use self::targets::TARGETS;

/// One reader of bytes.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Also that of its folder in the corpus, and of its fuzzer.
    pub name: &'static str,
    /// Reads the bytes; panics when something does not hold.
    pub run: fn(&[u8]),
    /// The most memory that reading may take.
    pub memory: Memory,
}

/// Memory, by the size of what is read.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// For each byte.
    pub per_byte: usize,
    /// Whatever the size.
    pub fixed: usize,
}

impl Memory {
    /// Of an input of that size.
    pub fn of(self, length: usize) -> usize {
        self.fixed + self.per_byte * length
    }
}

/// The target of that name.
///
/// # Panics
///
/// Where there is none.
pub fn target(name: &str) -> Target {
    let known = TARGETS.iter().find(|target| target.name == name);
    *known.unwrap_or_else(|| panic!("there is no target {name}"))
}

impl Target {
    /// Reads the bytes, and returns the most memory that was in use for it at one time: 0 in a program without [`counting::Counting`].
    ///
    /// # Panics
    ///
    /// Where something does not hold, also of the memory.
    pub fn check(self, input: &[u8]) -> usize {
        let peak = Peak::begin();
        (self.run)(input);
        let peak = peak.end();
        let allowed = self.memory.of(input.len());
        assert!(peak <= allowed, "{}: {peak} bytes for {} of input, {allowed} are allowed", self.name, input.len());
        peak
    }
}
