//! Parity with NeMo: features, encoder states and tokens, step by step.
//!
//! The goldens come from NeMo's own streaming loop on toy models that were fitted
//! to two recordings (models/README.md). Everything behind the features runs from
//! committed mel frames and needs no audio.

use crate::toy::{self, Array, CLIPS, CPU, Dice};
use swictation_asr::cache_aware::CacheAware;
use swictation_asr::encoder::CacheAwareEncoder;
use swictation_asr::features::LogMel;
use swictation_asr::manifest::{Features, Manifest, Normalize};
use swictation_asr::{Belief, Recognizer, Settings};
use swictation_core::{SamplePos, Word};

pub(crate) fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

pub(crate) fn log_mel(mels: u32, pcm: &[f32]) -> Vec<f32> {
    let mut front = LogMel::new(&Features { mels, normalize: Normalize::None }).unwrap();
    let mut frames = Vec::new();
    front.feed(pcm, &mut frames);
    front.end(&mut frames);
    frames
}

/// By how much the states of all steps differ from `golden`, which has as many frames.
pub(crate) fn states_difference(encoder: &mut CacheAwareEncoder, golden: &Array) -> f32 {
    let (mut frame, mut difference) = (0, 0.0_f32);
    while let Some(encoded) = encoder.step().unwrap() {
        let (states, width) = (encoded.value.floats().unwrap(), encoded.value.shape()[2]);
        for row in 0..golden.rows {
            let ours = &states[row * width..][..encoded.frames];
            let theirs = &golden.data[row * golden.columns + frame..][..encoded.frames];
            difference = difference.max(largest_difference(ours, theirs));
        }
        frame += encoded.frames;
    }
    assert_eq!(frame, golden.columns);
    difference
}

/// All the steps there are, then the end of the utterance.
pub(crate) fn decode_all(model: &mut dyn Recognizer) -> Vec<Belief> {
    let mut beliefs = Vec::new();
    while let Some(belief) = model.step().unwrap() {
        beliefs.push(belief);
    }
    model.end();
    while let Some(belief) = model.step().unwrap() {
        beliefs.push(belief);
    }
    beliefs.push(model.finish().unwrap());
    beliefs
}

fn frozen(beliefs: &[Belief]) -> Vec<Word> {
    beliefs.iter().flat_map(|belief| belief.words[..belief.frozen].to_vec()).collect()
}

fn text(words: &[Word]) -> String {
    words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")
}

#[test]
fn features_equal_nemos() {
    for clip in CLIPS {
        let Some(pcm) = toy::recording(clip) else { return };
        let difference = largest_difference(&log_mel(80, &pcm), &toy::mel(clip).by_columns());
        println!("{clip}: features differ by at most {difference:e}");
        assert!(difference < 1e-3, "{clip}: {difference}");
    }
}

#[test]
fn features_with_128_bins_equal_nemos_once_normalised() {
    for clip in CLIPS {
        let Some(pcm) = toy::recording(clip) else { return };
        let Some(golden) = toy::fixture(&format!("tdt/mel128_pf_{clip}.npy")) else { return };
        let (frames, golden) = (log_mel(128, &pcm), Array::read(&golden));
        let valid = golden.columns - 1;
        for bin in 0..128 {
            let ours: Vec<f64> = (0..valid).map(|t| f64::from(frames[t * 128 + bin])).collect();
            let mean = ours.iter().sum::<f64>() / valid as f64;
            let variance = ours.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (valid - 1) as f64;
            let ours: Vec<f32> =
                ours.iter().map(|x| ((x - mean) / (variance.sqrt() + 1e-5)) as f32).collect();
            let theirs = &golden.data[bin * golden.columns..][..valid];
            assert!(largest_difference(&ours, theirs) < 1e-3, "{clip}: bin {bin}");
        }
    }
}

#[test]
fn encoder_states_equal_nemos() {
    let Some(runtime) = toy::runtime() else { return };
    for (model, tolerance) in [("att70_6-rnnt", 1e-3), ("att70_6-rnnt-fp16", 2e-2)] {
        let dir = toy::toy(model);
        let manifest = Manifest::read(&dir).unwrap();
        let path = manifest.file(&dir, "encoder").unwrap();
        let mut encoder =
            CacheAwareEncoder::open(runtime, &path, CPU, manifest.streaming.unwrap(), 80).unwrap();
        for clip in CLIPS {
            encoder.begin();
            encoder.pending().extend(toy::mel(clip).by_columns());
            encoder.end();
            let golden = Array::read(&toy::toy("att70_6-rnnt").join(format!("encoded_{clip}.npy")));
            let difference = states_difference(&mut encoder, &golden);
            println!("{model}, {clip}: encoder states differ by at most {difference:e}");
            assert!(difference < tolerance, "{model}, {clip}: {difference}");
        }
    }
}

/// (model, golden's folder, head)
const MODELS: [(&str, &str, &str); 6] = [
    ("att70_6-rnnt", "att70_6-rnnt", "rnnt"),
    ("att70_6-rnnt-fp16", "att70_6-rnnt", "rnnt"),
    ("att70_6-ctc", "att70_6-ctc", "ctc"),
    ("att70_0-rnnt", "att70_0-rnnt", "rnnt"),
    ("att70_13-rnnt", "att70_13-rnnt", "rnnt"),
    ("att252_6-rnnt", "att252_6-rnnt", "rnnt"),
];

/// Decodes both clips with every model after `feed` gave them their input; `false`
/// ends the test.
pub(crate) fn expect_nemos_steps(
    models: &[(&str, &str, &str)],
    clips: [&str; 2],
    feed: impl Fn(&mut CacheAware, &str) -> bool,
) {
    if toy::runtime().is_none() {
        return;
    }
    for (name, golden, head) in models {
        let goldens = toy::goldens(golden);
        let mut model = toy::open(&toy::toy(name), &Settings::default()).unwrap();
        for clip in clips {
            let golden = &goldens[&format!("{clip}.{head}")];
            model.begin(SamplePos(0), &[]);
            if !feed(&mut model, clip) {
                return;
            }
            let beliefs = decode_all(&mut model);
            let (last, steps) = beliefs.split_last().unwrap();
            assert!(last.tokens.is_empty(), "{name}, {clip}: the steps had left tokens");
            assert_eq!(steps.len(), golden.steps.len(), "{name}, {clip}: steps");
            let mut tokens = 0;
            for (i, (step, (_, _, wanted))) in steps.iter().zip(&golden.steps).enumerate() {
                tokens += step.tokens.len();
                assert_eq!(tokens, *wanted, "{name}, {clip}: tokens up to step {i}");
            }
            let join = |of: fn(&Belief) -> &[u32]| steps.iter().flat_map(of).copied().collect::<Vec<_>>();
            assert_eq!(join(|belief| &belief.tokens), golden.tokens, "{name}, {clip}: tokens");
            assert_eq!(join(|belief| &belief.frames), golden.frames, "{name}, {clip}: frames");
            assert_eq!(text(&frozen(&beliefs)), golden.text, "{name}, {clip}: words");
        }
    }
}

#[test]
fn mel_frames_give_nemos_tokens_at_nemos_frames_step_by_step() {
    expect_nemos_steps(&MODELS, CLIPS, |model, clip| {
        model.feed_frames(&toy::mel(clip).by_columns());
        true
    });
}

#[test]
fn audio_gives_nemos_tokens_at_nemos_frames_step_by_step() {
    expect_nemos_steps(&MODELS, CLIPS, |model, clip| {
        let pcm = toy::recording(clip);
        model.feed(pcm.as_deref().unwrap_or_default());
        pcm.is_some()
    });
}

#[test]
fn words_have_their_times_and_freeze_once_the_next_begins() {
    if toy::runtime().is_none() {
        return;
    }
    let mut model = toy::open(&toy::toy("att70_6-rnnt"), &Settings::default()).unwrap();
    model.begin(SamplePos(48_000), &[]);
    model.feed_frames(&toy::mel("beckett").by_columns());
    let beliefs = decode_all(&mut model);
    let words = frozen(&beliefs);
    // "ever" is tokens at frames 0 to 2 of 1280 samples each.
    let golden = &toy::goldens("att70_6-rnnt")["beckett.rnnt"];
    assert_eq!(words[0].start, SamplePos(48_000 + u64::from(golden.frames[0]) * 1280));
    assert!(words.windows(2).all(|pair| pair[0].start <= pair[1].start && pair[0].end <= pair[1].end));
    assert!(
        words.iter().all(|word| word.start < word.end && word.confidence > 0.0 && word.confidence <= 1.0)
    );
    let last = u64::from(*golden.frames.last().unwrap());
    assert_eq!(words.last().unwrap().end, SamplePos(48_000 + (last + 1) * 1280));
    let (end, steps) = beliefs.split_last().unwrap();
    assert!(steps.iter().all(|belief| belief.words.len() <= belief.frozen + 1));
    assert_eq!(end.frozen, end.words.len());
    // The tail before the end is the word that the end froze, or its beginning.
    let tail = &steps.last().unwrap().words.last().unwrap().text;
    assert!(words.last().unwrap().text.starts_with(tail.as_str()));
}

#[test]
fn typed_words_are_not_said_again() {
    if toy::runtime().is_none() {
        return;
    }
    let mut model = toy::open(&toy::toy("att70_6-ctc"), &Settings::default()).unwrap();
    let typed: Vec<String> = ["ever", "tried", "ever"].map(String::from).to_vec();
    model.begin(SamplePos(0), &typed);
    model.feed_frames(&toy::mel("beckett").by_columns());
    let beliefs = decode_all(&mut model);
    assert_eq!(text(&frozen(&beliefs)), "failed no matter try again fail again fail better");
    assert!(beliefs.iter().flat_map(|belief| &belief.words).all(|word| !"tried".starts_with(&word.text)));
}

#[test]
fn audio_cut_anywhere_gives_the_same_words() {
    let Some(pcm) = toy::recording("beckett") else { return };
    if toy::runtime().is_none() {
        return;
    }
    for (name, head) in [("att70_6-rnnt", "rnnt"), ("att70_6-ctc", "ctc")] {
        let golden = &toy::goldens(name)[&format!("beckett.{head}")];
        let mut model = toy::open(&toy::toy(name), &Settings::default()).unwrap();
        model.begin(SamplePos(0), &[]);
        model.feed(&pcm);
        let whole = decode_all(&mut model);
        assert_eq!(text(&frozen(&whole)), golden.text);
        for seed in 0..6 {
            let (mut dice, mut rest, mut beliefs) = (Dice(seed), pcm.as_slice(), Vec::new());
            let longest = [3, 160, 700, 5000, 20_000, 90_000][seed as usize];
            model.begin(SamplePos(0), &[]);
            while !rest.is_empty() {
                let (piece, after) = rest.split_at((1 + dice.roll(longest)).min(rest.len()));
                model.feed(piece);
                // Sometimes the audio runs ahead of the steps.
                if dice.roll(3) > 0 {
                    while let Some(belief) = model.step().unwrap() {
                        beliefs.push(belief);
                    }
                }
                rest = after;
            }
            beliefs.extend(decode_all(&mut model));
            assert_eq!(beliefs, whole, "{name}: cut with seed {seed}");
        }
    }
}

#[test]
fn the_end_may_come_at_any_time() {
    if toy::runtime().is_none() {
        return;
    }
    let mut model = toy::open(&toy::toy("att70_6-rnnt"), &Settings::default()).unwrap();
    for samples in [0, 1, 159, 160, 1279, 1280, 8959, 8960, 9160, 10_000] {
        model.begin(SamplePos(0), &[]);
        model.feed(&vec![0.01; samples]);
        let frames = if samples == 0 { 0 } else { samples / 160 + 1 };
        let (whole, left) = (frames / 56, frames % 56);
        let steps = decode_all(&mut model).len() - 1;
        assert_eq!(steps, whole + usize::from(left >= 8), "{samples} samples");
        model.feed(&[0.0; 16_000]);
        assert_eq!(model.step().unwrap(), None, "audio after the end is not decoded");
    }
}
