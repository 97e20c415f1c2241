//! Features of a window that moves over the stream: left context, chunk, right context.
//!
//! NeMo's buffered inference (`StreamingBatchedAudioBuffer`, `ContextSize` in
//! `asr/parts/utils/streaming_utils.py`) hands the whole window to the
//! preprocessor at every step. A mel frame that lies inside the window is the
//! same in every window that holds it, so it is computed once, when its audio
//! arrives; only the frames at the two edges, which reach beyond the window, and
//! the normalisation over the window are a step's own work. Where the very last
//! window begins between two frames, all of it is computed anew, once.

use super::{HOP, LogMel, Taken};
use crate::manifest::{Features, Normalize};
use crate::{AsrError, state};
use serde::{Deserialize, Serialize};
use swictation_core::block;

/// Frames at the front of a window that reach beyond it.
const EDGE: usize = 2;
/// Samples that make those frames, and no more, final.
const EDGE_SAMPLES: usize = HOP + 200;
/// What NeMo adds to a deviation before it divides by it.
const DEVIATION_GUARD: f64 = 1e-5;

/// Sizes of the parts of the window, in samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    /// Audio before the chunk that is heard again.
    pub left: usize,
    /// New audio of a step.
    pub chunk: usize,
    /// Audio behind the chunk that is heard in advance.
    pub right: usize,
}

/// The window over one stream of samples.
pub struct Ring {
    wanted: Parts,
    normalize: Normalize,
    /// Frames of the whole stream, as if it had no end.
    stream: LogMel,
    /// For the frames at the edges.
    edge: LogMel,
    held: Held,
}

/// What is held of the stream, but for what `Ring::stream` holds.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Held {
    /// What the window holds now.
    there: Parts,
    /// Frames of the stream from the one at `start` on.
    #[serde(with = "block::floats")]
    frames: Vec<f32>,
    #[serde(with = "block::floats")]
    audio: Vec<f32>,
    /// Position of `audio[0]` in the stream.
    start: u64,
    /// Samples behind the window.
    #[serde(with = "block::floats")]
    coming: Vec<f32>,
    stepped: bool,
    ended: bool,
}

impl Held {
    /// Whether a window of the sizes `wanted` can have come to this, of whose stream
    /// `taken` is held.
    fn fits(&self, taken: &Taken, wanted: Parts, mels: usize) -> bool {
        let sum = |parts: Parts| parts.left.checked_add(parts.chunk)?.checked_add(parts.right);
        let (samples, windows) = taken.counts();
        let frames = windows.checked_sub(self.start / HOP as u64);
        sum(self.there) == Some(self.audio.len())
            && Some(self.audio.len()) <= sum(wanted)
            && self.start.checked_add(self.audio.len() as u64) == Some(samples)
            && frames.and_then(|frames| frames.checked_mul(mels as u64)) == Some(self.frames.len() as u64)
    }
}

/// One window, ready for an encoder.
#[derive(Clone, Debug)]
pub struct View {
    /// Features, all frames of a mel bin after the other: `[mels, frames]`.
    pub features: Vec<f32>,
    /// Frames in it; the last one is NeMo's padding and zero.
    pub frames: usize,
    /// What the window holds, in samples; after the last step there is no right part.
    pub parts: Parts,
    /// Nothing follows.
    pub last: bool,
}

impl View {
    /// Frames that are not padding.
    pub fn length(&self) -> usize {
        self.frames - 1
    }
}

impl Ring {
    /// An empty window of these sizes.
    ///
    /// # Errors
    /// `Setting` for features that are not known.
    pub fn new(features: &Features, wanted: Parts) -> Result<Self, AsrError> {
        let stream = LogMel::new(features)?;
        Ok(Self {
            wanted,
            normalize: features.normalize,
            edge: stream.clone(),
            stream,
            held: Held::default(),
        })
    }

    /// Values per frame.
    pub fn mels(&self) -> usize {
        self.stream.mels()
    }

    /// Begins a new stream.
    pub fn begin(&mut self) {
        self.stream.reset();
        self.held = Held::default();
    }

    /// Begins a new stream with what follows the first `samples` of the window.
    pub fn begin_after(&mut self, samples: usize) {
        let Held { mut audio, mut coming, ended, .. } = std::mem::take(&mut self.held);
        let mut rest = audio.split_off(samples.min(audio.len()));
        rest.append(&mut coming);
        self.begin();
        (self.held.coming, self.held.ended) = (rest, ended);
    }

    /// All that is held of the stream.
    ///
    /// # Errors
    /// Never in practice: it is plain data.
    pub fn save(&self) -> Result<Vec<u8>, AsrError> {
        state::write("window", &(self.stream.taken(), &self.held))
    }

    /// Goes on as the window that saved `state`.
    ///
    /// # Errors
    /// `Checkpoint` when `state` is of no window of these sizes.
    pub fn restore(&mut self, state: &[u8]) -> Result<(), AsrError> {
        let (taken, held): (Taken, Held) = state::read("window", state)?;
        state::expect(held.fits(&taken, self.wanted, self.mels()), "its window")?;
        self.stream.restore(taken)?;
        self.held = held;
        Ok(())
    }

    /// Takes in samples; one that is no number counts as silence.
    pub fn feed(&mut self, pcm: &[f32]) {
        self.held.coming.extend(pcm.iter().map(|v| if v.is_finite() { *v } else { 0.0 }));
    }

    /// Nothing follows: what is left makes the last window.
    pub fn end(&mut self) {
        self.held.ended = true;
    }

    /// The next window, when its audio is there and it is known whether more follows.
    pub fn step(&mut self) -> Option<View> {
        let Parts { left, chunk, right } = self.wanted;
        let held = &mut self.held;
        let needed = if held.stepped { chunk } else { chunk + right };
        let more = held.coming.len() > needed;
        if !more && (!held.ended || held.coming.is_empty()) {
            return None;
        }
        let samples: Vec<f32> = held.coming.drain(..needed.min(held.coming.len())).collect();
        self.stream.feed(&samples, &mut held.frames);
        held.audio.extend_from_slice(&samples);
        held.stepped = true;
        let there = &mut held.there;
        there.left += there.chunk;
        there.right += samples.len();
        there.chunk = if more { chunk } else { there.right };
        there.right -= there.chunk;
        let surplus = (there.left + there.chunk + there.right).saturating_sub(left + chunk + right);
        there.left -= surplus.min(there.left);
        self.forget(surplus);
        let length = self.held.audio.len() / HOP;
        // A deviation takes two frames; less than that is a click.
        (length >= 2).then(|| self.view(length, !more))
    }

    /// Lets go of the oldest samples and of the frames that no window needs again.
    fn forget(&mut self, surplus: usize) {
        let mels = self.mels();
        let held = &mut self.held;
        let frame = |sample: u64| sample / HOP as u64;
        let passed = frame(held.start + surplus as u64) - frame(held.start);
        held.audio.drain(..surplus.min(held.audio.len()));
        held.frames.drain(..(passed as usize * mels).min(held.frames.len()));
        held.start += surplus as u64;
    }

    fn view(&mut self, length: usize, last: bool) -> View {
        let (mels, held) = (self.mels(), &self.held);
        let mut frames = Vec::with_capacity((length + 2) * mels);
        self.edge.reset();
        if held.start.is_multiple_of(HOP as u64) && held.audio.len() > EDGE_SAMPLES {
            self.edge.feed(&held.audio[..EDGE_SAMPLES], &mut frames);
            frames.extend_from_slice(&held.frames[(EDGE * mels).min(held.frames.len())..]);
            // What the stream would end with here is the window's other edge.
            self.edge.clone_from(&self.stream);
            self.edge.end(&mut frames);
        } else {
            self.edge.feed(&held.audio, &mut frames);
            self.edge.end(&mut frames);
        }
        debug_assert_eq!(frames.len(), (length + 1) * mels);
        if self.normalize == Normalize::PerFeature {
            normalise(&mut frames, mels, length);
        }
        let features = (0..mels).flat_map(|bin| frames[bin..].iter().step_by(mels).copied()).collect();
        View { features, frames: length + 1, parts: held.there, last }
    }
}

/// Takes the mean of every bin over the first `length` frames away and divides by
/// the unbiased deviation; the padding behind them stays zero.
fn normalise(frames: &mut [f32], mels: usize, length: usize) {
    for bin in 0..mels {
        let values = || (0..length).map(|t| t * mels + bin);
        let mean = values().map(|i| f64::from(frames[i])).sum::<f64>() / length as f64;
        let square = |i: usize| (f64::from(frames[i]) - mean).powi(2);
        let deviation = (values().map(square).sum::<f64>() / (length - 1) as f64).sqrt() + DEVIATION_GUARD;
        for i in values() {
            frames[i] = ((f64::from(frames[i]) - mean) / deviation) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: usize = 16_000;
    const PARTS: Parts = Parts { left: 5 * 12_800, chunk: 15 * 1280, right: 6 * 1280 };

    fn signal(samples: usize) -> Vec<f32> {
        let mut state = 7_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        (0..samples).map(|i| 0.2 * noise() + 0.3 * (i as f32 * 0.1).sin()).collect()
    }

    fn features(normalize: Normalize) -> Features {
        Features { mels: 80, normalize }
    }

    fn views(pcm: &[f32], cut: usize) -> Vec<View> {
        let mut ring = Ring::new(&features(Normalize::PerFeature), PARTS).unwrap();
        let mut views = Vec::new();
        for piece in pcm.chunks(cut) {
            ring.feed(piece);
            views.extend(std::iter::from_fn(|| ring.step()));
        }
        ring.end();
        views.extend(std::iter::from_fn(|| ring.step()));
        views
    }

    /// The window computed from its samples alone.
    fn alone(pcm: &[f32]) -> View {
        let parts = Parts { left: 0, chunk: pcm.len(), right: 0 };
        let mut ring = Ring::new(&features(Normalize::PerFeature), parts).unwrap();
        ring.feed(pcm);
        ring.end();
        ring.step().unwrap()
    }

    #[test]
    fn a_window_holds_what_its_samples_alone_would_give() {
        let pcm = signal(12 * SECOND + 777);
        let (mut end, mut tried) = (0, 0);
        for view in views(&pcm, 1600) {
            end = (end + PARTS.chunk + if end == 0 { PARTS.right } else { 0 }).min(pcm.len());
            let Parts { left, chunk, right } = view.parts;
            let expected = alone(&pcm[end - (left + chunk + right)..end]);
            assert_eq!(view.frames, expected.frames);
            let worst = view.features.iter().zip(&expected.features).map(|(a, b)| (a - b).abs());
            assert!(worst.fold(0.0, f32::max) < 1e-4, "window that ends at {end}");
            assert_eq!(view.last, end == pcm.len());
            tried += 1;
        }
        assert_eq!((tried, end), (10, pcm.len()));
    }

    #[test]
    fn the_cut_of_the_audio_does_not_show() {
        let pcm = signal(7 * SECOND);
        let whole = views(&pcm, pcm.len());
        for cut in [1, 999, 30_000] {
            let cut_up = views(&pcm, cut);
            assert_eq!(cut_up.len(), whole.len());
            assert!(cut_up.iter().zip(&whole).all(|(a, b)| a.features == b.features && a.parts == b.parts));
        }
    }

    #[test]
    fn the_sizes_are_those_of_the_window_asked_for_once_there_is_enough() {
        let sizes: Vec<Parts> =
            views(&signal(12 * SECOND), 1600).into_iter().map(|view| view.parts).collect();
        assert_eq!(sizes[0], Parts { left: 0, ..PARTS });
        assert_eq!(sizes[5], PARTS);
        let last = sizes.last().unwrap();
        assert_eq!((last.right, last.left + last.chunk), (0, PARTS.left + PARTS.chunk + PARTS.right));
    }

    #[test]
    fn a_stream_begun_anew_is_one_of_what_is_left() {
        let pcm = signal(12 * SECOND);
        let mut ring = Ring::new(&features(Normalize::PerFeature), PARTS).unwrap();
        ring.feed(&pcm);
        ring.end();
        let seen: usize = std::iter::from_fn(|| ring.step()).take(5).map(|view| view.parts.chunk).sum();
        let left = PARTS.left.min(seen - PARTS.chunk);
        let begin = seen - PARTS.chunk - left + 1280;
        ring.begin_after(1280);
        let rest: Vec<View> = std::iter::from_fn(|| ring.step()).collect();
        let expected = views(&pcm[begin..], SECOND);
        assert_eq!(rest.len(), expected.len());
        assert!(rest.iter().zip(&expected).all(|(a, b)| a.features == b.features && a.last == b.last));
    }

    #[test]
    fn a_click_makes_no_window() {
        let mut ring = Ring::new(&features(Normalize::None), PARTS).unwrap();
        ring.feed(&[0.1; 200]);
        ring.end();
        assert!(ring.step().is_none());
    }
}
