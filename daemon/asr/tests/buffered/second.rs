//! The second golden set: other seed, sizes, subsampling, TDT durations, windows and
//! sound (models/README.md), so that what agrees with NeMo was not fitted to the first.

use crate::golden::{beliefs, text};
use crate::{Golden, runtime};
use std::collections::BTreeMap;
use swictation_asr::graph::Device;
use swictation_asr::manifest::{Buffered, Manifest};
use swictation_asr::{Settings, load};
use swictation_tests::{babble, programs};

/// Every golden of a window, with the audio fed in pieces of `cut` samples.
fn expect_goldens(name: &str, cut: usize) {
    let Some(runtime) = runtime() else { return };
    let dir = programs::seeded(name);
    let golden = std::fs::read_to_string(dir.join("golden.json")).unwrap();
    let goldens: BTreeMap<String, Golden> = serde_json::from_str(&golden).unwrap();
    let mut tried = 0;
    for (key, golden) in goldens.iter().filter(|(key, _)| !key.ends_with("offline")) {
        let (clip, sizes) = key.split_once('.').unwrap();
        let seconds: Vec<f32> = sizes.split('-').map(|size| size.parse().unwrap()).collect();
        let milliseconds = |seconds: f32| (seconds * 1000.0).round() as u32;
        let manifest = Manifest::read(&dir).unwrap();
        let buffered = Buffered {
            chunk_ms: milliseconds(seconds[1]),
            right_ms: milliseconds(seconds[2]),
            ..manifest.buffered.unwrap()
        };
        let manifest = Manifest { buffered: Some(buffered), ..manifest };
        let settings = Settings { context_seconds: Some(seconds[0]), ..Settings::default() };
        let mut model = load(runtime, &dir, &manifest, Device::Cpu { threads: 1 }, &settings).unwrap();
        let beliefs = beliefs(model.as_mut(), &babble::clip(clip), cut);
        let steps: Vec<&Vec<u32>> =
            beliefs[..beliefs.len() - 1].iter().map(|belief| &belief.tokens).collect();
        assert_eq!(steps, golden.steps.iter().collect::<Vec<_>>(), "{name}, {key}: tokens of every step");
        let frames: Vec<u32> = beliefs.iter().flat_map(|belief| belief.frames.clone()).collect();
        assert_eq!(frames, golden.frames, "{name}, {key}");
        assert_eq!(text(&beliefs), golden.text, "{name}, {key}");
        assert!(golden.tokens.len() > 10, "{name}, {key}: too little is said to show anything");
        tried += 1;
    }
    assert_eq!(tried, 6, "three windows on two clips");
}

#[test]
fn rnnt_gives_nemos_tokens_step_by_step() {
    expect_goldens("buffered-rnnt", 1600);
}

#[test]
fn tdt_with_other_durations_gives_nemos_tokens_step_by_step() {
    expect_goldens("buffered-tdt", 1777);
}

#[test]
fn ctc_behind_a_conformer_that_subsamples_by_four_gives_nemos_tokens_step_by_step() {
    expect_goldens("buffered-ctc", 1_000_000);
}
