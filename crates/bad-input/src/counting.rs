//! An allocator that counts what each thread has in use.

#![allow(unsafe_code, reason = "an allocator is unsafe by its signature; this one hands everything on")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Bytes in use, as far as this thread has allocated and freed them; below 0 where it frees what others have allocated.
    static IN_USE: Cell<isize> = const { Cell::new(0) };
    /// The most since the last beginning.
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, counted: for `#[global_allocator]`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counting;

fn count(change: isize) {
    // Threads that end have no counters any more, and nobody who reads them.
    let _ = IN_USE.try_with(|in_use| {
        in_use.set(in_use.get() + change);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(in_use.get())));
    });
}

// SAFETY: all of it is the system's own; counting allocates nothing and cannot unwind.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: as the caller says.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        // SAFETY: as the caller says.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // While it is copied there are both.
        count(size.cast_signed());
        // SAFETY: as the caller says.
        let moved = unsafe { System.realloc(memory, layout, size) };
        count(-layout.size().cast_signed());
        moved
    }
}

/// What this thread allocates from the beginning on.
#[derive(Debug)]
pub struct Peak(isize);

impl Peak {
    /// Begins.
    pub fn begin() -> Self {
        let in_use = IN_USE.get();
        PEAK.set(in_use);
        Self(in_use)
    }

    /// The most bytes that were in use at one time, besides what was at the beginning.
    pub fn end(self) -> usize {
        usize::try_from(PEAK.get() - self.0).unwrap_or_default()
    }
}
