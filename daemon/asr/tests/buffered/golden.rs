//! Tokens, frames, steps and text are NeMo's.

use crate::{edited, goldens, open, recording, runtime};
use swictation_asr::{Belief, Recognizer, Settings};
use swictation_core::SamplePos;
use swictation_tests::programs;

/// All beliefs of a clip that is fed in pieces of `cut` samples.
pub(crate) fn beliefs(model: &mut dyn Recognizer, pcm: &[f32], cut: usize) -> Vec<Belief> {
    let mut beliefs = Vec::new();
    model.begin(SamplePos(0), &[]);
    for piece in pcm.chunks(cut) {
        model.feed(piece);
        while let Some(belief) = model.step().unwrap() {
            beliefs.push(belief);
        }
    }
    model.end();
    while let Some(belief) = model.step().unwrap() {
        beliefs.push(belief);
    }
    let last = model.finish().unwrap();
    assert!(last.tokens.is_empty() && last.frozen == last.words.len());
    beliefs.push(last);
    beliefs
}

pub(crate) fn text(beliefs: &[Belief]) -> String {
    let words = beliefs.iter().flat_map(|belief| &belief.words[..belief.frozen]);
    words.map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")
}

/// The model with the window `left-chunk-right` in seconds: as it is, by settings,
/// and by its model.toml.
fn windowed(model: &str, sizes: &str) -> Box<dyn Recognizer> {
    match sizes {
        "20-1-1" => open(&programs::toy(model), &Settings::default()),
        "20-2-2" => {
            let settings = Settings { chunk_ms: Some(2000), wait_k: Some(1), ..Settings::default() };
            open(&programs::toy(model), &settings)
        }
        "5-1-0.5" => {
            let (_folder, dir) = edited(model, |text| text.replace("right_ms = 1000", "right_ms = 500"));
            open(&dir, &Settings { context_seconds: Some(5.0), ..Settings::default() })
        }
        _ => panic!("{sizes}"),
    }
    .unwrap()
}

/// Every golden of `model` but those of whole clips, fed in pieces of `cut`.
fn expect_goldens(model: &str, cut: usize) {
    let goldens = goldens(model);
    let of_windows = goldens.iter().filter(|(name, _)| !name.ends_with("offline"));
    let mut tried = 0;
    for (name, golden) in of_windows {
        let (clip, sizes) = name.split_once('.').unwrap();
        let (Some(_), Some(pcm)) = (runtime(), recording(clip)) else { return };
        let mut model = windowed(model, sizes);
        let beliefs = beliefs(model.as_mut(), &pcm, cut);
        let steps: Vec<&Vec<u32>> =
            beliefs[..beliefs.len() - 1].iter().map(|belief| &belief.tokens).collect();
        assert_eq!(steps, golden.steps.iter().collect::<Vec<_>>(), "{name}: tokens of every step");
        let frames: Vec<u32> = beliefs.iter().flat_map(|belief| belief.frames.clone()).collect();
        assert_eq!(frames, golden.frames, "{name}");
        let tokens: Vec<u32> = beliefs.iter().flat_map(|belief| belief.tokens.clone()).collect();
        assert_eq!(tokens, golden.tokens, "{name}");
        assert_eq!(text(&beliefs), golden.text, "{name}");
        tried += 1;
    }
    assert_eq!(tried, 6, "three windows on two clips");
}

#[test]
fn tdt_gives_nemos_tokens_step_by_step() {
    expect_goldens("buffered-tdt", 1600);
}

#[test]
fn ctc_gives_nemos_tokens_step_by_step() {
    expect_goldens("buffered-ctc", 1600);
}

#[test]
fn the_cut_of_the_audio_changes_no_token() {
    for cut in [1777, 1_000_000] {
        expect_goldens("buffered-tdt", cut);
        expect_goldens("buffered-ctc", cut);
    }
}

#[test]
fn a_window_as_long_as_the_clip_is_offline_recognition() {
    for model in ["buffered-tdt", "buffered-ctc"] {
        for (name, golden) in goldens(model).iter().filter(|(name, _)| name.ends_with("offline")) {
            let (Some(_), Some(pcm)) = (runtime(), recording(name.trim_end_matches(".offline"))) else {
                return;
            };
            let whole = Settings { chunk_ms: Some(30_000), wait_k: Some(0), ..Settings::default() };
            let mut model = open(&programs::toy(model), &whole).unwrap();
            let beliefs = beliefs(model.as_mut(), &pcm, 4096);
            // The last window is as long as its whole encoder frames; offline
            // NeMo also decodes the frame that the clip ends in.
            let within = |frame: &&u32| (**frame as usize + 1) * 1280 <= pcm.len();
            let frames: Vec<u32> = beliefs.iter().flat_map(|belief| belief.frames.clone()).collect();
            let expected: Vec<u32> = golden.frames.iter().filter(within).copied().collect();
            assert_eq!(frames, expected, "{name}");
            let tokens: Vec<u32> = beliefs.iter().flat_map(|belief| belief.tokens.clone()).collect();
            assert_eq!(tokens, golden.tokens[..expected.len()], "{name}");
        }
    }
}

#[test]
fn an_utterance_begins_with_nothing_of_the_one_before() {
    let (Some(_), Some(pcm)) = (runtime(), recording("beckett")) else { return };
    for model in ["buffered-tdt", "buffered-ctc"] {
        let mut model = open(&programs::toy(model), &Settings::default()).unwrap();
        let first = beliefs(model.as_mut(), &pcm, 1600);
        beliefs(model.as_mut(), &pcm[..70_000], 1600);
        assert_eq!(beliefs(model.as_mut(), &pcm, 1600), first);
        assert!(!text(&first).is_empty());
    }
}

#[test]
fn words_that_were_typed_are_not_said_again() {
    let (Some(_), Some(pcm)) = (runtime(), recording("beckett")) else { return };
    let mut model = open(&programs::toy("buffered-ctc"), &Settings::default()).unwrap();
    let all = text(&beliefs(model.as_mut(), &pcm, 1600));
    model.begin(SamplePos(0), &[" ever".to_owned(), " tried".to_owned()]);
    model.feed(&pcm);
    let rest = text(&[model.finish().unwrap()]);
    assert_eq!(rest.split(' ').collect::<Vec<_>>(), all.split(' ').skip(2).collect::<Vec<_>>());
}

#[test]
fn what_is_said_lies_where_it_was_said() {
    let (Some(_), Some(pcm)) = (runtime(), recording("two_cities_28s")) else { return };
    let mut model = open(&programs::toy("buffered-tdt"), &Settings::default()).unwrap();
    let mut heard = 0;
    let mut before = SamplePos(0);
    model.begin(SamplePos(0), &[]);
    for piece in pcm.chunks(8000) {
        model.feed(piece);
        heard += piece.len() as u64;
        while let Some(belief) = model.step().unwrap() {
            for word in &belief.words {
                assert!(word.start < word.end && word.start.0 <= heard, "{word:?} after {heard}");
            }
            for word in &belief.words[..belief.frozen] {
                assert!(word.start >= before, "{word:?} begins before {before:?}");
                before = word.start;
            }
        }
    }
}

#[test]
fn half_precision_and_single_precision_say_the_same_of_a_whole_clip() {
    let shared = programs::root().join("../shared/fixtures/tdt");
    let there = swictation_tests::need("the fixtures tdt/*.fp16.onnx", shared.exists());
    let (true, Some(_), Some(pcm)) = (there, runtime(), recording("two_cities_28s")) else { return };
    let (_folder, dir) = edited("buffered-tdt", |text| {
        let lines = text.lines().map(|line| match line.split_once(", sha256") {
            Some((path, _)) if path.contains("-model.onnx") => {
                format!("{} }}", path.replace(".onnx", ".fp16.onnx"))
            }
            _ => line.replace("precision = \"fp32\"", "precision = \"fp16\""),
        });
        lines.collect::<Vec<_>>().join("\n")
    });
    for name in ["encoder-model.fp16.onnx", "decoder_joint-model.fp16.onnx"] {
        std::fs::copy(shared.join(name), dir.join(name)).unwrap();
    }
    // Over shorter windows these models, which heard whole clips only, waver.
    let whole = Settings { chunk_ms: Some(30_000), wait_k: Some(0), ..Settings::default() };
    let mut half = open(&dir, &whole).unwrap();
    let mut single = open(&programs::toy("buffered-tdt"), &whole).unwrap();
    assert_eq!(half.info().precision, "fp16");
    assert_eq!(text(&beliefs(half.as_mut(), &pcm, 1600)), text(&beliefs(single.as_mut(), &pcm, 1600)));
}
