//! What every family makes of every setting: it does as asked, or says why not.

use crate::{FAMILIES, beliefs, committed, open, recording};
use serde_json::Value;
use swictation_asr::{AsrError, Recognizer, Settings};
use swictation_core::policy::Policy;
use swictation_tests::programs;

const CUT: [(usize, bool); 1] = [(8000, false)];

fn refusal(model: &str, settings: &Settings) -> Option<String> {
    let error = match open(model, settings)? {
        Ok(_) => panic!("{model} takes {settings:?}"),
        Err(error) => error,
    };
    assert!(matches!(error, AsrError::Setting(_)), "{error:?}");
    Some(error.to_string())
}

#[track_caller]
fn refused(model: &str, settings: &Settings, parts: &[&str]) {
    let Some(error) = refusal(model, settings) else { return };
    assert!(parts.iter().all(|part| error.contains(part)), "{model}: {error:?} does not say {parts:?}");
}

/// Tokens of a clip.
fn tokens(model: &mut dyn Recognizer, pcm: &[f32]) -> Vec<u32> {
    beliefs(model, pcm, &CUT).iter().flat_map(|belief| belief.tokens.clone()).collect()
}

fn golden(folder: &str, run: &str) -> Vec<u32> {
    let text = std::fs::read_to_string(programs::toy(folder).join("golden.json")).unwrap();
    serde_json::from_value(serde_json::from_str::<Value>(&text).unwrap()[run]["tokens"].take()).unwrap()
}

#[test]
fn a_context_of_2_and_of_60_seconds_works_or_is_refused_with_those_that_work() {
    let Some(pcm) = recording("beckett") else { return };
    for model in FAMILIES {
        for seconds in [2.0, 60.0] {
            let settings = Settings { context_seconds: Some(seconds), ..Settings::default() };
            if model.starts_with("att") {
                refused(model, &settings, &["left context", "5.6 s", "another context"]);
                continue;
            }
            let Some(opened) = open(model, &settings) else { continue };
            let mut opened = opened.unwrap();
            assert!((opened.info().context_seconds - seconds).abs() < 0.08, "{model}");
            let beliefs = beliefs(opened.as_mut(), &pcm, &CUT);
            assert!(!committed(&beliefs).is_empty(), "{model} with {seconds} s says nothing");
        }
        for seconds in [1.9, 60.1, f32::NAN, -1.0, f32::INFINITY] {
            refused(model, &Settings { context_seconds: Some(seconds), ..Settings::default() }, &["context"]);
        }
    }
}

#[test]
fn a_policy_that_a_family_cannot_do_is_refused_with_the_reason() {
    use Policy::{Agreement, AlignAtt, Hold, WaitK};
    let refusals: [(&str, &[Policy], &str); 4] = [
        ("att70_6-rnnt", &[WaitK, AlignAtt, Agreement, Hold], "words never change"),
        ("buffered-tdt", &[AlignAtt, Agreement, Hold], "\"wait-k\""),
        ("aed", &[Agreement], "never taken back"),
        ("moonshine-tiny-en", &[AlignAtt], "which audio a word comes from"),
    ];
    for (model, cannot, why) in refusals {
        for policy in Policy::ALL {
            let settings = Settings { policy: Some(policy), ..Settings::default() };
            match cannot.contains(&policy) {
                true => refused(model, &settings, &[policy.as_str(), why]),
                false => {
                    assert!(open(model, &settings).is_none_or(|opened| opened.is_ok()), "{model} {policy:?}")
                }
            }
        }
    }
}

#[test]
fn a_latency_is_chunk_and_right_context_where_a_window_moves() {
    let Some(pcm) = recording("beckett") else { return };
    let latency =
        |latency_ms, chunk_ms, wait_k| Settings { latency_ms, chunk_ms, wait_k, ..Settings::default() };
    for (model, settings, run, chunk, in_force) in [
        ("buffered-tdt", latency(Some(2000), None, None), "beckett.20-1-1", 960, 1920),
        ("buffered-ctc", latency(Some(4000), None, Some(1)), "beckett.20-2-2", 2000, 4000),
        ("buffered-ctc", latency(Some(4000), Some(2000), None), "beckett.20-2-2", 2000, 4000),
        ("aed", latency(Some(1500), None, None), "beckett.aed", 960, 1440),
        ("aed-alignatt8", latency(Some(1500), Some(1000), None), "beckett.aed-alignatt8", 960, 1440),
    ] {
        let Some(opened) = open(model, &settings) else { return };
        let mut opened = opened.unwrap();
        let info = opened.info();
        assert_eq!((info.chunk_ms, info.latency_ms), (chunk, Some(in_force)), "{model} {settings:?}");
        let folder = if model.starts_with("aed") { "aed" } else { model };
        assert_eq!(tokens(opened.as_mut(), &pcm), golden(folder, run), "{model} {settings:?}");
    }
}

#[test]
fn a_latency_that_cannot_be_is_refused_with_what_stands_against_it() {
    let latency =
        |latency_ms, chunk_ms, wait_k| Settings { latency_ms, chunk_ms, wait_k, ..Settings::default() };
    for model in ["buffered-tdt", "aed"] {
        refused(model, &latency(Some(79), None, None), &["latency_ms = 79", "80 ms"]);
        refused(model, &latency(Some(500), Some(1000), None), &["chunk_ms = 1000", "latency_ms = 500"]);
    }
    let asked = latency(Some(2500), Some(1000), Some(2));
    refused("buffered-ctc", &asked, &["chunk_ms = 1000", "wait_k = 2", "latency_ms = 2500"]);
    refused(
        "moonshine-tiny-en",
        &latency(Some(500), None, None),
        &["latency_ms = 500", "chunk_ms", "wait_k"],
    );
}

#[test]
fn the_policy_of_the_configuration_goes_before_the_models_own() {
    let Some(pcm) = recording("beckett") else { return };
    for (model, policy, run) in
        [("aed", Policy::AlignAtt, "beckett.aed-alignatt8"), ("aed-alignatt8", Policy::WaitK, "beckett.aed")]
    {
        let Some(opened) = open(model, &Settings { policy: Some(policy), ..Settings::default() }) else {
            return;
        };
        assert_eq!(tokens(opened.unwrap().as_mut(), &pcm), golden("aed", run), "{model} as {policy:?}");
    }
}

#[test]
fn held_words_come_at_the_end_and_are_those_that_would_have_come_before() {
    let Some(pcm) = recording("beckett") else { return };
    let hold = Settings { policy: Some(Policy::Hold), ..Settings::default() };
    for model in ["aed", "aed-alignatt8"] {
        let (Some(plain), Some(held)) = (open(model, &Settings::default()), open(model, &hold)) else {
            return;
        };
        let held = beliefs(held.unwrap().as_mut(), &pcm, &CUT);
        assert!(held[..held.len() - 1].iter().all(|belief| belief.frozen == 0), "{model}");
        assert_eq!(committed(&held), committed(&beliefs(plain.unwrap().as_mut(), &pcm, &CUT)), "{model}");
    }
}

#[test]
fn moonshine_commits_by_agreement_or_at_the_end_and_understands_the_same() {
    let Some(pcm) = recording("beckett") else { return };
    for (policy, wait_k) in [(Policy::Agreement, None), (Policy::Agreement, Some(2)), (Policy::Hold, None)] {
        let settings = Settings { policy: Some(policy), wait_k, ..Settings::default() };
        let Some(model) = open("moonshine-tiny-en", &settings) else { return };
        let mut model = model.unwrap();
        assert_eq!(model.info().wait_k, if policy == Policy::Hold { None } else { wait_k.or(Some(0)) });
        let beliefs = beliefs(model.as_mut(), &pcm, &CUT);
        let early = beliefs[..beliefs.len() - 1].iter().map(|belief| belief.frozen).sum::<usize>();
        assert_eq!(early == 0, policy == Policy::Hold, "{policy:?}: {early} words before the end");
        let text = committed(&beliefs).into_iter().map(|(text, ..)| text).collect::<Vec<_>>().join(" ");
        assert!(text.to_lowercase().contains("fail better"), "{policy:?}: {text}");
    }
    let held_back = Settings { policy: Some(Policy::Hold), wait_k: Some(1), ..Settings::default() };
    refused("moonshine-tiny-en", &held_back, &["wait_k = 1", "hold"]);
}
