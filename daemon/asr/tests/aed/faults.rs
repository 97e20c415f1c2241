//! What a mismatched model or a setting that cannot be says to a person.

use crate::toy;
use std::fs;
use std::path::Path;
use swictation_asr::{AsrError, Settings};
use tempfile::TempDir;

/// A copy of the toy model, without the hashes that would find the damage first.
fn copy() -> TempDir {
    let dir = TempDir::new().unwrap();
    for entry in fs::read_dir(toy::toy("aed")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    edit(&dir.path().join("model.toml"), |text| {
        let bare = |line: &str| line.split(", sha256").next().unwrap_or_default().to_owned();
        let line = |line| if str::contains(line, "sha256") { bare(line) + " }\n" } else { bare(line) + "\n" };
        text.lines().map(line).collect()
    });
    dir
}

fn edit(file: &Path, change: impl Fn(&str) -> String) {
    let text = fs::read_to_string(file).unwrap();
    let changed = change(&text);
    assert_ne!(text, changed, "{} was not changed", file.display());
    fs::write(file, changed).unwrap();
}

/// Replaces the same number of bytes wherever they are.
fn patch(file: &Path, from: &[u8], to: &[u8]) {
    let mut bytes = fs::read(file).unwrap();
    let places: Vec<usize> =
        (0..bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from)).collect();
    assert!(!places.is_empty() && from.len() == to.len());
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    fs::write(file, bytes).unwrap();
}

fn fault(dir: &Path, settings: &Settings) -> AsrError {
    match toy::open(dir, settings) {
        Ok(_) => panic!("{} opened", dir.display()),
        Err(error) => error,
    }
}

#[track_caller]
fn says(error: &AsrError, parts: &[&str]) {
    let error = error.to_string();
    for part in parts {
        assert!(error.contains(part), "{error:?} does not say {part:?}");
    }
}

#[track_caller]
fn model_says(change: impl Fn(&str) -> String, parts: &[&str]) {
    let dir = copy();
    edit(&dir.path().join("model.toml"), change);
    let error = fault(dir.path(), &Settings::default());
    assert!(matches!(error, AsrError::Model { .. }), "{error:?}");
    says(&error, parts);
}

#[test]
fn a_table_that_cannot_be_is_named_with_its_value() {
    if toy::runtime().is_none() {
        return;
    }
    model_says(
        |text| text[..text.find("[aed]").unwrap()].to_owned() + &text[text.find("[features]").unwrap()..],
        &["model.toml", "[aed]"],
    );
    let replaced = |from: &'static str, to: &'static str| move |text: &str| text.replace(from, to);
    model_says(replaced("chunk_ms = 1000", "chunk_ms = 79"), &["[aed] chunk_ms", "79", "80"]);
    model_says(replaced("right_ms = 500", "right_ms = 99000"), &["[aed] right_ms", "99000"]);
    model_says(replaced("subsampling = 8", "subsampling = 0"), &["[aed] subsampling", "0"]);
    model_says(replaced("wait_k = 2", "wait_k = 0"), &["[aed] wait_k", "0"]);
    model_says(replaced("\"wait-k\"", "\"wait\""), &["model.toml", "line", "wait", "alignatt"]);
    model_says(replaced("wait_k = 2", "wait_k = 2\nbeam = 4"), &["model.toml", "line", "beam"]);
    model_says(replaced("<|pnc|>", "<|shout|>"), &["vocab.txt", "<|shout|>"]);
    model_says(replaced("<|endoftext|>", "<|over|>"), &["vocab.txt", "<|over|>"]);
    model_says(replaced("\"fp32\"", "\"int8\""), &["encoder-model.onnx", "precision"]);
    model_says(replaced("mels = 128", "mels = 80"), &["encoder-model.onnx", "audio_signal", "80"]);
    model_says(replaced("decoder = ", "joint = "), &["model.toml", "decoder"]);
    model_says(replaced("decoder-xatt-model.onnx", "encoder-model.onnx"), &["encoder-model.onnx"]);
    model_says(
        |text| {
            text.replace("\"wait-k\"", "\"alignatt\"").replace("alignatt_frames = 8", "alignatt_frames = 262")
        },
        &["[aed] alignatt_frames", "262"],
    );
}

#[test]
fn a_setting_that_cannot_be_is_named_with_its_value() {
    if toy::runtime().is_none() {
        return;
    }
    let asked = |context_seconds, chunk_ms, wait_k| Settings { context_seconds, chunk_ms, wait_k };
    for (settings, parts) in [
        (asked(Some(1.0), None, None), ["context_seconds", "= 1 ", "60"]),
        (asked(Some(f32::NAN), None, None), ["context_seconds", "NaN", "60"]),
        (asked(None, Some(10), None), ["chunk_ms", "= 10 ", "80"]),
        (asked(None, None, Some(99)), ["wait_k", "= 99 ", "21"]),
    ] {
        let error = fault(&toy::toy("aed"), &settings);
        assert!(matches!(error, AsrError::Setting(_)), "{error:?}");
        says(&error, &parts);
    }
    let model = toy::open(&toy::toy("aed"), &asked(Some(10.0), Some(500), Some(3))).unwrap();
    let info = swictation_asr::Recognizer::info(&model);
    assert_eq!((info.context_seconds, info.chunk_ms, info.wait_k), (10.0, 480, Some(3)));
}

#[test]
fn alignatt_needs_a_decoder_that_tells_what_it_attends_to() {
    if toy::runtime().is_none() {
        return;
    }
    let dir = copy();
    patch(&dir.path().join("decoder-xatt-model.onnx"), b"\x04xatt", b"\x04mute");
    assert!(toy::open(dir.path(), &Settings::default()).is_ok(), "wait-k needs none");
    edit(&dir.path().join("model.toml"), |text| text.replace("\"wait-k\"", "\"alignatt\""));
    says(
        &fault(dir.path(), &Settings::default()),
        &["decoder-xatt-model.onnx", "\"xatt\"", "alignatt", "mute"],
    );
}

#[test]
fn a_vocabulary_larger_than_the_scores_is_refused() {
    if toy::runtime().is_none() {
        return;
    }
    let dir = copy();
    edit(&dir.path().join("vocab.txt"), |text| {
        (146..160).fold(text.to_owned(), |text, id| format!("{text}piece{id} {id}\n"))
    });
    says(&fault(dir.path(), &Settings::default()), &["decoder-xatt-model.onnx", "152", "160"]);
}

#[test]
fn an_encoder_of_another_width_is_refused() {
    if toy::runtime().is_none() {
        return;
    }
    let dir = copy();
    // ValueInfoProto of the decoder's input: [batch, frames, 96], to be 95.
    let file = dir.path().join("decoder-xatt-model.onnx");
    let mut bytes = fs::read(&file).unwrap();
    let name = b"encoder_embeddings\x12";
    let at = (0..bytes.len() - name.len()).rfind(|at| bytes[*at..].starts_with(name)).unwrap();
    let width = (at..at + 80).find(|at| bytes[*at..].starts_with(&[0x08, 96])).unwrap();
    bytes[width + 1] = 95;
    fs::write(&file, bytes).unwrap();
    let error = fault(dir.path(), &Settings::default());
    says(&error, &["decoder-xatt-model.onnx", "encoder_embeddings", "96"]);
}

#[test]
fn a_decoder_that_gives_no_numbers_is_refused() {
    if toy::runtime().is_none() {
        return;
    }
    let dir = copy();
    let file = dir.path().join("decoder-xatt-model.onnx");
    let mut bytes = fs::read(&file).unwrap();
    // Somewhere in the weights: no number in any alignment.
    let middle = bytes.len() / 2;
    bytes[middle..middle + 16].fill(0xff);
    fs::write(&file, bytes).unwrap();
    says(&fault(dir.path(), &Settings::default()), &["decoder-xatt-model.onnx", "not a number"]);
}
