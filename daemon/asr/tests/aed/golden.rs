//! Parity with NeMo, from the recording to the words, step by step.
//!
//! The goldens come from NeMo's GreedyBatchedStreamingAEDComputer on a toy model
//! that was fitted to two recordings (models/README.md).

use crate::toy::{self, CLIPS, end, frozen, steps, text};
use swictation_asr::manifest::{Manifest, Precision};
use swictation_asr::{Belief, Recognizer, Settings};
use swictation_core::SamplePos;

/// Folder of the toy model and the left context of NeMo's run in seconds.
const RUNS: [(&str, f32); 4] =
    [("aed", 20.0), ("aed-waitk3", 20.0), ("aed-alignatt8", 20.0), ("aed-alignatt4", 5.0)];

fn asked(context_seconds: f32) -> Settings {
    Settings { context_seconds: Some(context_seconds), ..Settings::default() }
}

/// Feeds `pcm` in pieces of these lengths, over and over, making every step at once.
fn decode(model: &mut impl FnMut(Option<&[f32]>) -> Vec<Belief>, pcm: &[f32], cuts: &[usize]) -> Vec<Belief> {
    let (mut rest, mut beliefs) = (pcm, Vec::new());
    for cut in cuts.iter().cycle() {
        let (piece, after) = rest.split_at((*cut).min(rest.len()));
        beliefs.extend(model(Some(piece)));
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    beliefs.extend(model(None));
    beliefs
}

#[test]
fn audio_gives_nemos_tokens_step_by_step_however_it_is_cut() {
    if toy::runtime().is_none() {
        return;
    }
    let goldens = toy::goldens();
    for precision in [Precision::Fp32, Precision::Fp16] {
        for (name, context) in RUNS {
            let mut manifest = Manifest::read(&toy::toy(name)).unwrap();
            let mut dir = toy::toy(name);
            if precision == Precision::Fp16 {
                dir = toy::toy("aed-fp16");
                manifest = Manifest { aed: manifest.aed, ..Manifest::read(&dir).unwrap() };
            }
            let mut model = toy::load(&dir, &manifest, &asked(context)).unwrap();
            for clip in CLIPS {
                let Some(pcm) = toy::recording(clip) else { return };
                let golden = &goldens[&format!("{clip}.{name}")];
                let mut whole: Option<Vec<Belief>> = None;
                for cuts in [&[16_000][..], &[7919, 1, 160, 30_011]] {
                    model.begin(SamplePos(0), &[]);
                    let mut feed = |piece: Option<&[f32]>| match piece {
                        Some(piece) => {
                            model.feed(piece);
                            steps(&mut model)
                        }
                        None => end(&mut model),
                    };
                    let beliefs = decode(&mut feed, &pcm, cuts);
                    let run = format!("{name}, {precision:?}, {clip}");
                    let ours: Vec<&[u32]> = beliefs.iter().map(|belief| belief.tokens.as_slice()).collect();
                    let theirs = golden.steps.iter().map(|step| step.new_tokens.as_slice());
                    // The last belief is the end, which has no tokens of its own.
                    assert_eq!(ours[..ours.len() - 1], theirs.collect::<Vec<_>>(), "{run}: tokens by step");
                    assert_eq!(ours.concat(), golden.tokens, "{run}: tokens");
                    assert_eq!(text(&beliefs), golden.text, "{run}: words");
                    match &whole {
                        Some(whole) => assert_eq!(&beliefs, whole, "{run}: the cut shows"),
                        None => whole = Some(beliefs),
                    }
                }
            }
        }
    }
}

#[test]
fn a_step_is_made_once_it_is_known_that_audio_follows_its_own() {
    let Some((_, pcm)) = toy::runtime().zip(toy::recording("beckett")) else { return };
    let golden = &toy::goldens()["beckett.aed"];
    let mut model = toy::open(&toy::toy("aed"), &asked(20.0)).unwrap();
    model.begin(SamplePos(0), &[]);
    let (last, steps) = golden.steps.split_last().unwrap();
    for step in steps {
        let (begin, end) = step.samples;
        // One sample of it was fed with the step before.
        model.feed(&pcm[begin + usize::from(begin > 0)..end]);
        assert!(model.step().unwrap().is_none(), "this may be the end");
        model.feed(&pcm[end..=end]);
        assert_eq!(model.step().unwrap().unwrap().tokens, step.new_tokens);
    }
    model.feed(&pcm[last.samples.0 + 1..]);
    assert!(model.step().unwrap().is_none());
    let belief = model.finish().unwrap();
    assert_eq!((belief.tokens, belief.frozen), (last.new_tokens.clone(), belief.words.len()));
}

#[test]
fn a_token_of_alignatt_has_the_frame_it_attended_to() {
    let Some((_, pcm)) = toy::runtime().zip(toy::recording("two_cities_28s")) else { return };
    for (name, context, behind) in [("aed-alignatt8", 20.0, 8), ("aed-alignatt4", 5.0, 4)] {
        let golden = &toy::goldens()[&format!("two_cities_28s.{name}")];
        let mut model = toy::open(&toy::toy(name), &asked(context)).unwrap();
        model.begin(SamplePos(48_000), &[]);
        model.feed(&pcm);
        let beliefs: Vec<Belief> = steps(&mut model).into_iter().chain(end(&mut model)).collect();
        let frames: Vec<u32> = beliefs.iter().flat_map(|belief| belief.frames.clone()).collect();
        assert_eq!(frames.len(), golden.alignment.len());
        assert!(frames.is_sorted());
        let last = golden.steps.last().unwrap().new_tokens.len();
        for (frame, heard) in frames.iter().zip(&golden.alignment).take(frames.len() - last) {
            assert!(u64::from(*frame) + behind < *heard, "{name}: {frame} of {heard}");
        }
        let words = frozen(&beliefs);
        assert_eq!(words[0].start, SamplePos(48_000 + u64::from(frames[0]) * 1280));
        assert!(words.iter().all(|word| word.start < word.end && word.confidence > 0.0));
    }
}

#[test]
fn typed_words_are_not_said_again() {
    let Some((_, pcm)) = toy::runtime().zip(toy::recording("beckett")) else { return };
    let golden = &toy::goldens()["beckett.aed"];
    let mut model = toy::open(&toy::toy("aed"), &asked(20.0)).unwrap();
    let typed: Vec<String> = golden.text.split(' ').take(3).map(String::from).collect();
    model.begin(SamplePos(0), &typed);
    model.feed(&pcm);
    let beliefs: Vec<Belief> = steps(&mut model).into_iter().chain(end(&mut model)).collect();
    assert_eq!(text(&beliefs), golden.text.splitn(4, ' ').last().unwrap());
}

#[test]
fn one_window_with_everything_gives_the_text_of_the_whole_recording() {
    let Some((_, pcm)) = toy::runtime().zip(toy::recording("two_cities_28s")) else { return };
    let settings = Settings { chunk_ms: Some(30_000), wait_k: Some(1), ..Settings::default() };
    let mut model = toy::open(&toy::toy("aed"), &settings).unwrap();
    model.begin(SamplePos(0), &[]);
    model.feed(&pcm);
    let belief = model.finish().unwrap();
    assert_eq!(belief.tokens, toy::goldens()["two_cities_28s.offline"].tokens);
}

#[test]
fn the_end_may_come_at_any_time() {
    if toy::runtime().is_none() {
        return;
    }
    for name in ["aed", "aed-alignatt8"] {
        let mut model = toy::open(&toy::toy(name), &Settings::default()).unwrap();
        for samples in [0, 1, 319, 320, 1279, 1280, 9000, 23_040, 23_041] {
            model.begin(SamplePos(0), &[]);
            model.feed(&vec![0.01; samples]);
            let before = steps(&mut model).len();
            assert_eq!(before, usize::from(samples > 23_040));
            let belief = model.finish().unwrap();
            assert_eq!(belief.frozen, belief.words.len());
            model.feed(&[0.0; 48_000]);
            assert_eq!(model.step().unwrap(), None, "audio after the end is not decoded");
        }
    }
}
