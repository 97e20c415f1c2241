//! The real-time side: what happens inside the sound server's callback.
//!
//! The callback copies and counts, and that is all it does: no allocation, no
//! lock, no system call, no log line, nothing that can panic. A full ring is
//! counted and the block dropped; the callback never waits. After a loss it
//! takes nothing until the ring is empty, so a loss has one exact place.

use ringbuf::traits::{Observer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// What both ends of the ring know. Counts are in samples over all channels.
pub(super) struct Counts {
    pub(super) dropped: AtomicU64,
    /// How many samples had been written when the last loss began.
    pub(super) dropped_at: AtomicU64,
    /// When the newest samples came, in nanoseconds after `origin`.
    pub(super) arrived: AtomicU64,
    pub(super) origin: Instant,
    pub(super) ended: OnceLock<String>,
}

/// The end of the ring that a sound callback writes to.
pub struct RtSink {
    ring: HeapProd<f32>,
    counts: Arc<Counts>,
    written: u64,
    losing: bool,
}

/// Both ends of a ring for `capacity` samples, and what they share.
pub(super) fn halves(capacity: usize) -> (RtSink, HeapCons<f32>, Arc<Counts>) {
    let (to, from) = HeapRb::new(capacity).split();
    let counts = Arc::new(Counts {
        dropped: AtomicU64::new(0),
        dropped_at: AtomicU64::new(0),
        arrived: AtomicU64::new(0),
        origin: Instant::now(),
        ended: OnceLock::new(),
    });
    (RtSink { ring: to, counts: Arc::clone(&counts), written: 0, losing: false }, from, counts)
}

impl RtSink {
    /// Takes one block of interleaved samples: the whole callback.
    pub fn write(&mut self, samples: &[f32]) {
        self.write_as(samples, |sample| sample);
    }

    /// The same for a device with another sample type, converted on the way.
    pub fn write_as<S: Copy>(&mut self, samples: &[S], to_f32: impl Fn(S) -> f32) {
        let count = samples.len() as u64;
        if samples.len() > self.ring.vacant_len() || (self.losing && !self.ring.is_empty()) {
            if !self.losing {
                self.counts.dropped_at.store(self.written, Ordering::Relaxed);
            }
            self.losing = true;
            self.counts.dropped.fetch_add(count, Ordering::Release);
            return;
        }
        self.losing = false;
        // Linux answers this from memory that it shares with the process.
        let arrived = self.counts.origin.elapsed().as_nanos() as u64;
        self.counts.arrived.store(arrived, Ordering::Relaxed);
        self.ring.push_iter(samples.iter().map(|sample| to_f32(*sample)));
        self.written += count;
    }

    /// A way to say, from any thread, that nothing more will be written and why.
    pub fn alarm(&self) -> impl Fn(String) + Send + use<> {
        let counts = Arc::clone(&self.counts);
        move |reason| drop(counts.ended.set(reason))
    }
}
