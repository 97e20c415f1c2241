//! The pump: from the ring to 16 kHz blocks, as long as somebody listens.
//!
//! Every 10 ms it takes what the callback left in the ring. A microphone that
//! goes away is said to be lost and opened again, at growing intervals, and the
//! time it was away is told with the first block after it, so that the clock of
//! samples never shifts in silence. Opening and closing may hang with a sound
//! server, so both happen on threads of their own. The pump never waits for
//! whoever consumes the audio.

use super::capture::{AudioEvent, Inbox, Order};
use super::realtime::{Counts, RtSink, halves};
use super::resample::Converter;
use super::{AudioError, AudioSource, Format, SOURCES};
use ringbuf::HeapCons;
use ringbuf::traits::{Consumer, Observer};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use swictation_core::SAMPLE_RATE;

const TURN: Duration = Duration::from_millis(10);
/// What was said just before the stop is still on its way through the server.
const LINGER: Duration = Duration::from_millis(40);
/// A running microphone that delivers nothing for so long is lost.
const STALL: Duration = Duration::from_secs(1);
/// A device may need this long for its first sample: a headset changes its mode.
const WAKING: Duration = Duration::from_secs(3);
/// How long a sound server may take to open a microphone.
const OPENING: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// 16 kHz samples of nothing but zero that make a microphone silent.
const SILENCE: u64 = 3 * SAMPLE_RATE as u64;
/// Samples in the ring: 2.7 s of 48 kHz stereo.
const RING: usize = 1 << 18;

/// An open microphone and the reading end of its ring.
pub(super) struct Line {
    source: Box<dyn AudioSource>,
    /// Its row in [`SOURCES`].
    row: usize,
    format: Format,
    drain: Drain,
}

/// Captures a microphone until told to stop.
pub(super) fn run(name: Option<String>, inbox: &Inbox, on_event: &mut dyn FnMut(AudioEvent)) {
    let mut pump = Pump { inbox, on_event, until: None, dropped: 0, zeros: 0, attempt: 0, told: None };
    // Once a way to a microphone worked, it alone is tried again: a restarting
    // sound server must not find its device taken by us.
    let mut rows = 0..SOURCES.len();
    let mut pause = FIRST_PAUSE;
    loop {
        let reason = match pump.open(&name, rows.clone()) {
            None => return,
            Some(Err(e)) => e.to_string(),
            Some(Ok(line)) => {
                rows = line.row..line.row + 1;
                match pump.listen(line) {
                    Ok(()) => return,
                    Err((reason, heard)) => {
                        pause = if heard { FIRST_PAUSE } else { pause };
                        reason
                    }
                }
            }
        };
        pump.lost(reason);
        if pump.inbox.stopped_within(pause) {
            return;
        }
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}

struct Pump<'a> {
    inbox: &'a Inbox,
    on_event: &'a mut dyn FnMut(AudioEvent),
    /// When the newest sample before a loss was captured.
    until: Option<Instant>,
    /// 16 kHz samples to report as lost with the next block.
    dropped: u64,
    /// 16 kHz samples since the last one that was not zero.
    zeros: u64,
    attempt: u32,
    /// The trouble that was told last, unless audio came since.
    told: Option<String>,
}

impl Pump<'_> {
    /// Opens the microphone on a thread of its own; none when told to stop.
    fn open(
        &mut self,
        name: &Option<String>,
        rows: std::ops::Range<usize>,
    ) -> Option<Result<Line, AudioError>> {
        self.attempt += 1;
        let (attempt, name, orders) = (self.attempt, name.clone(), self.inbox.sender());
        // Should nobody wait any more, the line closes itself with the message.
        let work = move || drop(orders.send(Order::Opened(attempt, open(name.as_deref(), rows))));
        if let Err(e) = std::thread::Builder::new().name("audio-open".into()).spawn(work) {
            return Some(Err(AudioError::Unavailable(format!("the system gives no thread: {e}"))));
        }
        let deadline = Instant::now() + OPENING;
        loop {
            match self.inbox.until(deadline) {
                None => return Some(Err(AudioError::Silent(OPENING.as_secs()))),
                Some(Order::Stop) => return None,
                Some(Order::Opened(number, line)) if number == attempt => return Some(line),
                Some(_) => {}
            }
        }
    }

    /// Delivers what the line brings until told to stop. An error says why the
    /// line is lost, and whether it had ever brought anything.
    fn listen(&mut self, mut line: Line) -> Result<(), (String, bool)> {
        let Format { rate, channels, device } = line.format.clone();
        let mut converter = Converter::new(rate, channels).map_err(|e| (e.to_string(), false))?;
        (self.on_event)(AudioEvent::Started { rate, channels, device: device.clone() });
        let (opened, mut heard, mut stop_at) = (Instant::now(), false, None);
        loop {
            let turn = Instant::now() + TURN;
            while let Some(order) = self.inbox.until(turn) {
                if matches!(order, Order::Stop) && stop_at.is_none() {
                    stop_at = Some(if heard { Instant::now() + LINGER } else { Instant::now() });
                    break;
                }
            }
            let now = Instant::now();
            let stopped = stop_at.is_some_and(|at| now >= at);
            if stopped {
                line.source.stop();
            }
            let ended = line.drain.ended();
            let broken = self.take(&mut line, &mut converter, &mut heard).err();
            let quiet_since = if heard { line.drain.arrived() } else { opened };
            let patience = if heard { STALL } else { WAKING };
            let quiet = now.saturating_duration_since(quiet_since) > patience;
            let lost = broken.map(|e| e.to_string()).or(ended.map(|e| format!("{device}: {e}")));
            let lost = lost.or_else(|| {
                quiet.then(|| format!("{device} has delivered nothing for {} s", patience.as_secs()))
            });
            if stopped || lost.is_some() {
                line.source.stop();
                let mut rest = Vec::new();
                let flushed = converter.finish(&mut rest);
                self.block(rest, line.drain.arrived());
                return match lost {
                    // The stop was told once: nobody wants the line back.
                    _ if stop_at.is_some() => Ok(()),
                    Some(reason) => Err((reason, heard)),
                    None => flushed.map_err(|e| (e.to_string(), heard)),
                };
            }
        }
    }

    /// Takes everything out of the ring.
    fn take(
        &mut self,
        line: &mut Line,
        converter: &mut Converter,
        heard: &mut bool,
    ) -> Result<(), AudioError> {
        let per_second = f64::from(line.format.rate) * f64::from(line.format.channels);
        let mut frames = Vec::new();
        loop {
            frames.clear();
            let lost = line.drain.take(&mut frames);
            let arrived = line.drain.arrived();
            if !frames.is_empty() {
                let span = Duration::from_secs_f64(frames.len() as f64 / per_second);
                if !*heard && let Some(until) = self.until {
                    let begun = arrived.checked_sub(span).unwrap_or(arrived);
                    let away = begun.saturating_duration_since(until).as_secs_f64();
                    self.dropped += (away * f64::from(SAMPLE_RATE)).round() as u64;
                }
                *heard = true;
                self.told = None;
                self.until = Some(arrived);
                let mut pcm = Vec::with_capacity(frames.len());
                converter.push(&frames, &mut pcm)?;
                self.block(pcm, arrived.checked_sub(converter.lag()).unwrap_or(arrived));
            }
            if lost == 0 {
                return Ok(());
            }
            let mut rest = Vec::new();
            converter.finish(&mut rest)?;
            self.block(rest, arrived);
            self.dropped += (lost as f64 / per_second * f64::from(SAMPLE_RATE)).round() as u64;
        }
    }

    fn block(&mut self, pcm: Vec<f32>, captured: Instant) {
        if pcm.is_empty() {
            return;
        }
        let was = self.zeros;
        self.zeros = match pcm.iter().rposition(|sample| *sample != 0.0) {
            Some(last) => (pcm.len() - 1 - last) as u64,
            None => self.zeros + pcm.len() as u64,
        };
        let (silent, was) = (self.zeros >= SILENCE, was >= SILENCE);
        if was && !silent {
            (self.on_event)(AudioEvent::Silent(false));
        }
        (self.on_event)(AudioEvent::Block { pcm, captured, dropped: std::mem::take(&mut self.dropped) });
        if silent && !was {
            (self.on_event)(AudioEvent::Silent(true));
        }
    }

    /// Tells a trouble once, however often it is met.
    fn lost(&mut self, reason: String) {
        if self.told.as_ref() != Some(&reason) {
            (self.on_event)(AudioEvent::Lost(reason.clone()));
            self.told = Some(reason);
        }
    }
}

/// Opens and starts the first of the sources that works.
fn open(name: Option<&str>, rows: std::ops::Range<usize>) -> Result<Line, AudioError> {
    let mut reasons = Vec::new();
    let mut missing = None;
    for (row, (_, source)) in SOURCES.iter().enumerate().take(rows.end).skip(rows.start) {
        let (sink, drain) = ring(RING);
        let opened = source(name).and_then(|mut source| Ok((source.start(sink)?, source)));
        match opened {
            Ok((format, source)) => {
                return Ok(Line { source, row, format, drain });
            }
            // The first list is that of the sound server, whose names people know.
            Err(e @ AudioError::NotFound { .. }) => drop(missing.get_or_insert(e)),
            Err(e) => reasons.push(e.to_string()),
        }
    }
    Err(missing.unwrap_or_else(|| AudioError::NoMicrophone(reasons.join("; "))))
}

/// A ring for `capacity` samples over all channels, and its two ends.
pub fn ring(capacity: usize) -> (RtSink, Drain) {
    let (sink, from, counts) = halves(capacity);
    (sink, Drain { from, counts, taken: 0, told: 0 })
}

/// The reading end of a ring.
pub struct Drain {
    from: HeapCons<f32>,
    counts: Arc<Counts>,
    taken: u64,
    /// Losses that have been reported.
    told: u64,
}

impl Drain {
    /// Appends what the ring holds to `into`, up to the place of a loss, and
    /// returns how many samples over all channels were lost right after.
    pub fn take(&mut self, into: &mut Vec<f32>) -> u64 {
        let lost = self.counts.dropped.load(Ordering::Acquire) - self.told;
        let mut count = self.from.occupied_len();
        let mut reached = 0;
        if lost > 0 {
            let before = self.counts.dropped_at.load(Ordering::Relaxed).saturating_sub(self.taken);
            if before <= count as u64 {
                (count, reached) = (before as usize, lost);
            }
        }
        let start = into.len();
        into.resize(start + count, 0.0);
        self.from.pop_slice(&mut into[start..]);
        self.taken += count as u64;
        self.told += reached;
        reached
    }

    /// When the newest samples came.
    pub fn arrived(&self) -> Instant {
        self.counts.origin + Duration::from_nanos(self.counts.arrived.load(Ordering::Relaxed))
    }

    /// Why the stream ended, once it did.
    pub fn ended(&self) -> Option<String> {
        self.counts.ended.get().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_told_at_its_place_and_in_full() {
        let (mut sink, mut drain) = ring(8);
        sink.write(&[1.0; 6]);
        sink.write(&[2.0; 4]);
        // It would fit, but the loss would no longer have one place.
        sink.write(&[3.0; 2]);
        let mut got = Vec::new();
        assert_eq!((drain.take(&mut got), got.as_slice()), (6, &[1.0; 6][..]));
        sink.write(&[4.0; 3]);
        got.clear();
        assert_eq!((drain.take(&mut got), got.as_slice()), (0, &[4.0; 3][..]));
    }

    /// A microphone whose samples a test writes.
    struct Written;

    impl AudioSource for Written {
        fn device(&self) -> Result<String, AudioError> {
            Ok(String::new())
        }
        fn start(&mut self, _: RtSink) -> Result<Format, AudioError> {
            Ok(Format { rate: SAMPLE_RATE, channels: 1, device: String::new() })
        }
        fn stop(&mut self) {}
    }

    #[test]
    fn what_a_full_ring_did_not_take_is_a_gap_before_the_next_block() {
        let (mut sink, drain) = ring(8);
        let format = Format { rate: SAMPLE_RATE, channels: 1, device: String::new() };
        let mut line = Line { source: Box::new(Written), row: 0, format, drain };
        let mut converter = Converter::new(SAMPLE_RATE, 1).unwrap();
        let (inbox, mut blocks) = (Inbox::empty(), Vec::new());
        let mut on_event = |event| {
            if let AudioEvent::Block { pcm, dropped, .. } = event {
                blocks.push((pcm.len(), dropped));
            }
        };
        let mut pump = Pump {
            inbox: &inbox,
            on_event: &mut on_event,
            until: None,
            dropped: 0,
            zeros: 0,
            attempt: 0,
            told: None,
        };
        let mut heard = false;
        sink.write(&[1.0; 8]);
        sink.write(&[2.0; 5]);
        pump.take(&mut line, &mut converter, &mut heard).unwrap();
        sink.write(&[3.0; 4]);
        pump.take(&mut line, &mut converter, &mut heard).unwrap();
        assert_eq!(blocks, [(8, 0), (4, 5)]);
    }

    #[test]
    fn samples_after_a_loss_stay_in_the_ring_until_the_loss_was_told() {
        let (mut sink, mut drain) = ring(8);
        sink.write(&[1.0; 9]);
        sink.write(&[2.0; 2]);
        let mut got = Vec::new();
        assert_eq!((drain.take(&mut got), got.len()), (9, 0));
        assert_eq!((drain.take(&mut got), got.as_slice()), (0, &[2.0; 2][..]));
    }
}
