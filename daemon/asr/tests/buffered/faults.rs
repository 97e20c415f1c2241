//! What does not fit together is refused, with the file or value that is wrong.

use crate::{edited, open, runtime};
use swictation_asr::Settings;
use swictation_tests::programs;

fn refusal(model: &str, edit: impl Fn(&str) -> String) -> Option<String> {
    runtime()?;
    let (_folder, dir) = edited(model, edit);
    Some(open(&dir, &Settings::default()).err().expect("it is refused").to_string())
}

fn without_sums(text: &str) -> String {
    let lines = text.lines().map(|line| match line.split_once(", sha256") {
        Some((path, _)) => format!("{path} }}"),
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_window_that_makes_no_sense_is_refused_with_what_does() {
    if runtime().is_none() {
        return;
    }
    let refused = |settings: Settings| {
        open(&programs::toy("buffered-ctc"), &settings).err().expect("it is refused").to_string()
    };
    let context = Settings { context_seconds: Some(90.0), ..Settings::default() };
    assert!(
        refused(context).contains("context_seconds = 90 does not go with toy-buffered-ctc: it takes 2 to 60")
    );
    let nan = Settings { context_seconds: Some(f32::NAN), ..Settings::default() };
    assert!(refused(nan).contains("it takes 2 to 60"));
    let chunk = Settings { chunk_ms: Some(50), ..Settings::default() };
    assert!(refused(chunk).contains("chunk_ms = 50"));
    let hold = Settings { chunk_ms: Some(10_000), wait_k: Some(u32::MAX), ..Settings::default() };
    assert!(refused(hold).contains("wait_k is the number of chunks"));
}

#[test]
fn a_missing_table_and_missing_durations_are_named() {
    let Some(reason) = refusal("buffered-tdt", |text| {
        text.replace("[buffered]\nsubsampling = 8\nchunk_ms = 1000\nright_ms = 1000\n", "")
    }) else {
        return;
    };
    assert!(reason.contains("model.toml") && reason.contains("[buffered]"), "{reason}");
    let reason = refusal("buffered-tdt", |text| text.replace("durations = [0, 1, 2, 3, 4]\n", "")).unwrap();
    assert!(reason.contains("durations"), "{reason}");
    let reason = refusal("buffered-ctc", |text| text.replace("subsampling = 8", "subsampling = 0")).unwrap();
    assert!(reason.contains("subsampling = 0"), "{reason}");
}

#[test]
fn durations_that_the_graph_does_not_score_are_refused() {
    let Some(reason) = refusal("buffered-tdt", |text| text.replace("[0, 1, 2, 3, 4]", "[0, 1, 2]")) else {
        return;
    };
    assert!(reason.contains("vocab.txt") && reason.contains("scores 131 tokens"), "{reason}");
}

#[test]
fn a_family_that_is_not_the_graphs_is_refused() {
    let Some(reason) = refusal("buffered-tdt", |text| {
        text.replace("family = \"buffered-tdt\"", "family = \"buffered-ctc\"")
    }) else {
        return;
    };
    assert!(reason.contains("encoder-model.onnx") || reason.contains("vocab.txt"), "{reason}");
    let reason = refusal("buffered-tdt", |text| {
        text.replace("family = \"buffered-tdt\"", "family = \"buffered-rnnt\"")
    })
    .unwrap();
    assert!(reason.contains("vocab.txt") && reason.contains("134"), "{reason}");
}

#[test]
fn features_and_subsampling_must_be_the_graphs() {
    let Some(reason) = refusal("buffered-tdt", |text| text.replace("mels = 128", "mels = 80")) else {
        return;
    };
    assert!(reason.contains("feat_dim = 128"), "{reason}");
    let reason = refusal("buffered-tdt", |text| text.replace("subsampling = 8", "subsampling = 4")).unwrap();
    assert!(reason.contains("subsampling_factor = 8"), "{reason}");
    let reason = refusal("buffered-tdt", |text| text.replace("\"per_feature\"", "\"none\"")).unwrap();
    assert!(reason.contains("normalize_type = \"per_feature\""), "{reason}");
    let reason =
        refusal("buffered-ctc", |text| text.replace("precision = \"fp32\"", "precision = \"int8\"")).unwrap();
    assert!(reason.contains("0.0 % of its weights are int8"), "{reason}");
}

#[test]
fn graphs_of_two_models_do_not_go_together() {
    let Some(reason) = refusal("buffered-tdt", |text| {
        let text = without_sums(text);
        text.replace("decoder_joint-model.onnx", "encoder-model.onnx")
    }) else {
        return;
    };
    assert!(reason.contains("encoder-model.onnx") && reason.contains("[1, 64, any]"), "{reason}");
}
