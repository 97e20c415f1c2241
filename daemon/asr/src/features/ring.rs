//! Features of a window that moves over the stream: left context, chunk, right context.
//!
//! NeMo's buffered inference (`StreamingBatchedAudioBuffer`, `ContextSize` in
//! `asr/parts/utils/streaming_utils.py`) hands the whole window to the
//! preprocessor at every step. A mel frame that lies inside the window is the
//! same in every window that holds it, so it is computed once, when its audio
//! arrives; only the frames at the two edges, which reach beyond the window, and
//! the normalisation over the window are a step's own work. Where the very last
//! window begins between two frames, all of it is computed anew, once.

use super::{HOP, LogMel};
use crate::AsrError;
use crate::manifest::{Features, Normalize};

/// Frames at the front of a window that reach beyond it.
const EDGE: usize = 2;
/// Samples that make those frames, and no more, final.
const EDGE_SAMPLES: usize = HOP + 200;
/// What NeMo adds to a deviation before it divides by it.
const DEVIATION_GUARD: f64 = 1e-5;

/// Sizes of the parts of the window, in samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// What the window holds now.
    there: Parts,
    normalize: Normalize,
    /// Frames of the whole stream, as if it had no end.
    stream: LogMel,
    /// For the frames at the edges.
    edge: LogMel,
    /// Frames of the stream from the one at `start` on.
    frames: Vec<f32>,
    audio: Vec<f32>,
    /// Position of `audio[0]` in the stream.
    start: u64,
    /// Samples behind the window.
    coming: Vec<f32>,
    stepped: bool,
    ended: bool,
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
            there: Parts { left: 0, chunk: 0, right: 0 },
            normalize: features.normalize,
            edge: stream.clone(),
            stream,
            frames: Vec::new(),
            audio: Vec::new(),
            start: 0,
            coming: Vec::new(),
            stepped: false,
            ended: false,
        })
    }

    /// Values per frame.
    pub fn mels(&self) -> usize {
        self.stream.mels()
    }

    /// Begins a new stream.
    pub fn begin(&mut self) {
        self.there = Parts { left: 0, chunk: 0, right: 0 };
        self.stream.reset();
        self.frames.clear();
        self.audio.clear();
        self.coming.clear();
        (self.start, self.stepped, self.ended) = (0, false, false);
    }

    /// Begins a new stream with what follows the first `samples` of the window.
    pub fn begin_after(&mut self, samples: usize) {
        let mut rest = self.audio.split_off(samples.min(self.audio.len()));
        rest.append(&mut self.coming);
        let ended = self.ended;
        self.begin();
        (self.coming, self.ended) = (rest, ended);
    }

    /// Takes in samples; one that is no number counts as silence.
    pub fn feed(&mut self, pcm: &[f32]) {
        self.coming.extend(pcm.iter().map(|v| if v.is_finite() { *v } else { 0.0 }));
    }

    /// Nothing follows: what is left makes the last window.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// The next window, when its audio is there and it is known whether more follows.
    pub fn step(&mut self) -> Option<View> {
        let Parts { left, chunk, right } = self.wanted;
        let needed = if self.stepped { chunk } else { chunk + right };
        let more = self.coming.len() > needed;
        if !more && (!self.ended || self.coming.is_empty()) {
            return None;
        }
        let samples: Vec<f32> = self.coming.drain(..needed.min(self.coming.len())).collect();
        self.stream.feed(&samples, &mut self.frames);
        self.audio.extend_from_slice(&samples);
        self.stepped = true;
        let there = &mut self.there;
        there.left += there.chunk;
        there.right += samples.len();
        there.chunk = if more { chunk } else { there.right };
        there.right -= there.chunk;
        let surplus = (there.left + there.chunk + there.right).saturating_sub(left + chunk + right);
        there.left -= surplus.min(there.left);
        self.forget(surplus);
        let length = self.audio.len() / HOP;
        // A deviation takes two frames; less than that is a click.
        (length >= 2).then(|| self.view(length, !more))
    }

    /// Lets go of the oldest samples and of the frames that no window needs again.
    fn forget(&mut self, surplus: usize) {
        let mels = self.mels();
        let frame = |sample: u64| sample / HOP as u64;
        let passed = frame(self.start + surplus as u64) - frame(self.start);
        self.audio.drain(..surplus.min(self.audio.len()));
        self.frames.drain(..(passed as usize * mels).min(self.frames.len()));
        self.start += surplus as u64;
    }

    fn view(&mut self, length: usize, last: bool) -> View {
        let mels = self.mels();
        let mut frames = Vec::with_capacity((length + 2) * mels);
        self.edge.reset();
        if self.start.is_multiple_of(HOP as u64) && self.audio.len() > EDGE_SAMPLES {
            self.edge.feed(&self.audio[..EDGE_SAMPLES], &mut frames);
            frames.extend_from_slice(&self.frames[(EDGE * mels).min(self.frames.len())..]);
            // What the stream would end with here is the window's other edge.
            self.edge.clone_from(&self.stream);
            self.edge.end(&mut frames);
        } else {
            self.edge.feed(&self.audio, &mut frames);
            self.edge.end(&mut frames);
        }
        debug_assert_eq!(frames.len(), (length + 1) * mels);
        if self.normalize == Normalize::PerFeature {
            normalise(&mut frames, mels, length);
        }
        let features = (0..mels).flat_map(|bin| frames[bin..].iter().step_by(mels).copied()).collect();
        View { features, frames: length + 1, parts: self.there, last }
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
