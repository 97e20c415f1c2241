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
