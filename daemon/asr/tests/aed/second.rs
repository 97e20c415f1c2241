//! The second golden set: other seed, sizes, windows and sound (models/README.md), so
//! that what agrees with NeMo was not fitted to the first.

use crate::toy::{self, end, steps, text};
use serde::Deserialize;
use std::collections::BTreeMap;
use swictation_asr::manifest::{Aed, Manifest, Policy};
use swictation_asr::{Belief, Recognizer, Settings};
use swictation_core::SamplePos;
use swictation_tests::{babble, programs};

/// What NeMo gave, and how it was asked.
#[derive(Deserialize)]
struct Golden {
    policy: String,
    /// Left context, chunk and right context.
    window_seconds: (f32, f32, f32),
    wait_k: u32,
    alignatt_frames: u32,
    tokens: Vec<u32>,
    text: String,
    steps: Vec<toy::GoldenStep>,
}

#[test]
fn both_policies_give_nemos_tokens_step_by_step_over_other_windows() {
    if toy::runtime().is_none() {
        return;
    }
    let dir = programs::seeded("aed");
    let goldens = std::fs::read_to_string(dir.join("golden.json")).unwrap();
    let goldens: BTreeMap<String, Golden> = serde_json::from_str(&goldens).unwrap();
    for (key, golden) in &goldens {
        let manifest = Manifest::read(&dir).unwrap();
        let milliseconds = |seconds: f32| (seconds * 1000.0).round() as u32;
        let (left, chunk, right) = golden.window_seconds;
        let aed = Aed {
            chunk_ms: milliseconds(chunk),
            right_ms: milliseconds(right),
            policy: if golden.policy == "waitk" { Policy::WaitK } else { Policy::AlignAtt },
            wait_k: golden.wait_k,
            alignatt_frames: golden.alignatt_frames,
            ..manifest.aed.clone().unwrap()
        };
        let manifest = Manifest { aed: Some(aed), ..manifest };
        let settings = Settings { context_seconds: Some(left), ..Settings::default() };
        let mut model = toy::load(&dir, &manifest, &settings).unwrap();
        model.begin(SamplePos(0), &[]);
        let mut beliefs: Vec<Belief> = Vec::new();
        for piece in babble::clip(key.split('.').next().unwrap()).chunks(1999) {
            model.feed(piece);
            beliefs.extend(steps(&mut model));
        }
        beliefs.extend(end(&mut model));
        let ours: Vec<&[u32]> = beliefs.iter().map(|belief| belief.tokens.as_slice()).collect();
        let theirs: Vec<&[u32]> = golden.steps.iter().map(|step| step.new_tokens.as_slice()).collect();
        // The last belief is the end, which has no tokens of its own.
        assert_eq!(ours[..ours.len() - 1], theirs, "{key}: tokens by step");
        assert_eq!(ours.concat(), golden.tokens, "{key}: tokens");
        assert_eq!(text(&beliefs), golden.text, "{key}: words");
    }
    assert_eq!(goldens.len(), 5, "three runs on two clips, one of which NeMo gives up");
}
