//! The time spent inside a span: what is around every call of a graph, or a checkpoint.

use rustix::time::{ClockId, clock_gettime};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::SetGlobalDefaultError;
use tracing::{Event, Metadata, Subscriber};

/// A time span on the wall and on all processors together.
#[derive(Clone, Copy, Default)]
pub(crate) struct Times {
    pub(crate) wall: Duration,
    pub(crate) processor: Duration,
}

/// Adds up the spans of one name; clones share the sum.
#[derive(Clone)]
pub(crate) struct Runs {
    name: &'static str,
    sum: Arc<Mutex<Sum>>,
}

#[derive(Default)]
struct Sum {
    inside: Times,
    calls: u64,
    entered: Option<(Instant, Duration)>,
}

impl Runs {
    /// Watches every span called `name` of this process from now on.
    pub(crate) fn watch(name: &'static str) -> Result<Self, SetGlobalDefaultError> {
        let runs = Self { name, sum: Arc::default() };
        tracing::subscriber::set_global_default(runs.clone())?;
        Ok(runs)
    }

    /// Begins anew.
    pub(crate) fn reset(&self) {
        self.with(|sum| *sum = Sum::default());
    }

    /// The time inside such spans, and how many there were.
    pub(crate) fn read(&self) -> (Times, u64) {
        self.with(|sum| (sum.inside, sum.calls))
    }

    fn with<R>(&self, change: impl FnOnce(&mut Sum) -> R) -> R {
        change(&mut self.sum.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Subscriber for Runs {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span()
            && metadata.name() == self.name
            && metadata.target().starts_with("swictation_asr::")
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {
        self.with(|sum| sum.entered = Some((Instant::now(), processor_time())));
    }
    fn exit(&self, _: &Id) {
        let (now, processor) = (Instant::now(), processor_time());
        self.with(|sum| {
            if let Some((entered, before)) = sum.entered.take() {
                sum.inside.wall += now - entered;
                sum.inside.processor += processor - before;
                sum.calls += 1;
            }
        });
    }
}

/// Time that all threads of this process spent on processors: unlike the wall clock it
/// does not go on while another process has the core.
pub(crate) fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// The most memory that this process had at once, where the system tells it.
pub(crate) fn peak_megabytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes =
        line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse().ok());
    kilobytes.unwrap_or(0u64) / 1024
}
