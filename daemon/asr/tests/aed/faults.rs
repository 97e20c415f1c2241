//! What a mismatched model or a setting that cannot be says to a person.

use crate::toy;
use std::fs;
use std::path::Path;
use swictation_asr::{AsrError, Recognizer, Settings};
use swictation_tests::{need, programs};
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
    let asked = |context_seconds, chunk_ms, wait_k| Settings {
        context_seconds,
        chunk_ms,
        wait_k,
        ..Settings::default()
    };
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

/// An encoder that gives its 128 mel bins as states, as an ONNX file.
fn wide_encoder() -> Vec<u8> {
    fn field(number: u8, body: &[u8]) -> Vec<u8> {
        let (low, high) = ((body.len() & 127) as u8 | 128, (body.len() >> 7) as u8);
        [&[number << 3 | 2, low, high][..], body].concat()
    }
    let number = |number: u8, value: u8| match value {
        0..128 => vec![number << 3, value],
        _ => vec![number << 3, value, 1],
    };
    let port = |at: u8, name: &str, element: u8, sizes: &[u8]| {
        let dim = |size: &u8| field(1, &if *size == 0 { field(2, b"n") } else { number(1, *size) });
        let shape: Vec<u8> = sizes.iter().flat_map(dim).collect();
        let tensor = [number(1, element), field(2, &shape)].concat();
        field(at, &[field(1, name.as_bytes()), field(2, &field(1, &tensor))].concat())
    };
    let node = |input: &str, output: &str, operator: &str, attribute: &str, values: &[u8]| {
        let values: Vec<u8> = values.iter().flat_map(|value| number(8, *value)).collect();
        // The attribute's type: integers.
        let attribute = [field(1, attribute.as_bytes()), values, vec![0xa0, 1, 7]].concat();
        let names = [field(1, input.as_bytes()), field(2, output.as_bytes())].concat();
        field(1, &[names, field(4, operator.as_bytes()), field(5, &attribute)].concat())
    };
    let graph = [
        node("audio_signal", "encoder_embeddings", "Transpose", "perm", &[0, 2, 1]),
        node("length", "encoder_mask", "Unsqueeze", "axes", &[1]),
        field(2, b"wide"),
        port(11, "audio_signal", 1, &[1, 128, 0]),
        port(11, "length", 7, &[1]),
        port(12, "encoder_embeddings", 1, &[1, 0, 128]),
        port(12, "encoder_mask", 7, &[1, 1]),
    ];
    [number(1, 7), field(7, &graph.concat()), field(8, &number(2, 11))].concat()
}

#[test]
fn an_encoder_of_another_width_is_refused() {
    if toy::runtime().is_none() {
        return;
    }
    let dir = copy();
    fs::write(dir.path().join("encoder-model.onnx"), wide_encoder()).unwrap();
    let error = fault(dir.path(), &Settings::default());
    says(&error, &["decoder-xatt-model.onnx", "encoder_embeddings", "96", "128"]);
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

#[test]
fn one_graph_of_another_precision_shows_in_the_shares_of_the_weights() {
    let quantised = programs::root().join("../shared/fixtures/aed/decoder-xatt-model.int8.onnx");
    let there = need("the fixture aed/decoder-xatt-model.int8.onnx", quantised.exists());
    if !there || toy::runtime().is_none() {
        return;
    }
    let dir = copy();
    fs::copy(quantised, dir.path().join("decoder.int8.onnx")).unwrap();
    edit(&dir.path().join("model.toml"), |text| text.replace("decoder-xatt-model.onnx", "decoder.int8.onnx"));
    let info = toy::open(dir.path(), &Settings::default()).unwrap().info();
    let decoder = info.graphs.iter().find(|graph| graph.file == "decoder.int8.onnx").unwrap();
    assert!(decoder.weights["int8"] > decoder.weights["fp32"], "{:?}", decoder.weights);
    let shares = info.weight_shares();
    assert!(shares["fp32"] > 50.0 && shares["int8"] > 10.0, "{shares:?}");
}
