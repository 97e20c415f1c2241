//! Imported models say what they said under their own names.
//!
//! The store's own tests look at what is recognised; here a model is imported and
//! used, by the programs that people use.

use serde_json::Value;
use std::fs;
use std::path::Path;
use swictation_tests::need;
use swictation_tests::programs::{Home, recording, root, runtime, toy};

/// What the model in a folder of the home says of a recording: tokens and text.
fn transcribed(home: &Home, model: &Path, wav: &Path) -> (Vec<Value>, Value) {
    let args = ["transcribe", "--json", "--steps", "--model", model.to_str().unwrap(), wav.to_str().unwrap()];
    let ran = home.run("swictation", &args);
    assert_eq!(ran.code, 0, "{}: {ran:?}", model.display());
    let lines: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let steps = lines.iter().filter(|line| line["type"] == "step");
    let tokens = steps.flat_map(|step| step["tokens"].as_array().unwrap().clone()).collect();
    (tokens, lines.last().unwrap()["text"].clone())
}

fn imported(home: &Home, folder: &Path, args: &[&str]) {
    let ran = home.run("swictation", &[&["model", "import", folder.to_str().unwrap()], args].concat());
    assert_eq!(ran.code, 0, "{}: {ran:?}", folder.display());
}

/// A layout, the toy model whose golden it must give and which run of it, and files of
/// models/toy under the names that others give them.
type Renamed = (&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)]);

const RENAMED: [Renamed; 4] = [
    (
        "nemo",
        "att70_6-rnnt",
        "beckett.rnnt",
        &[
            ("att70_6-rnnt/encoder-model.onnx", "encoder-stt_en.onnx"),
            ("att70_6-rnnt/decoder_joint-model.onnx", "decoder_joint-stt_en.onnx"),
            ("vocab.txt", "vocab.txt"),
        ],
    ),
    (
        "sherpa-transducer",
        "att70_6-rnnt",
        "beckett.rnnt",
        &[
            ("att70_6-rnnt/encoder-model.onnx", "encoder.onnx"),
            ("att70_6-rnnt-split/decoder.onnx", "decoder.onnx"),
            ("att70_6-rnnt-split/joiner.onnx", "joiner.onnx"),
            ("vocab.txt", "tokens.txt"),
        ],
    ),
    (
        "sherpa-ctc",
        "att70_6-ctc",
        "beckett.ctc",
        &[("att70_6-ctc/model-ctc.onnx", "model.onnx"), ("vocab.txt", "tokens.txt")],
    ),
    (
        "canary",
        "aed",
        "beckett.aed-alignatt8",
        &[
            ("aed/encoder-model.onnx", "encoder-model.onnx"),
            ("aed/decoder-xatt-model.onnx", "decoder-model.onnx"),
            ("aed/vocab.txt", "vocab.txt"),
        ],
    ),
];

/// Gives what the exporter of the toys wrote beside the graph names that nobody knows:
/// NeMo itself writes nothing there.
fn without_metadata(graph: &Path) {
    let mut bytes = fs::read(graph).unwrap();
    for key in
        ["cache_last_channel_dim", "cache_last_time_dim", "window_size", "chunk_shift", "subsampling_factor"]
    {
        let places: Vec<usize> =
            (0..bytes.len()).filter(|at| bytes[*at..].starts_with(key.as_bytes())).collect();
        assert!(!places.is_empty(), "{key}");
        for at in places {
            bytes[at..at + key.len()].fill(b'x');
        }
    }
    fs::write(graph, bytes).unwrap();
}

#[test]
fn a_model_under_other_names_gives_the_tokens_that_nemo_gives() {
    if runtime().is_none() {
        return;
    }
    let Some(wav) = recording("beckett.wav") else { return };
    for (name, goldens, run, files) in RENAMED {
        let home = Home::new();
        let folder = home.path(name);
        fs::create_dir(&folder).unwrap();
        for (from, to) in files {
            fs::copy(toy(from), folder.join(to)).unwrap();
        }
        if name == "nemo" {
            without_metadata(&folder.join("encoder-stt_en.onnx"));
        }
        imported(&home, &folder, &["--language", "en"]);
        let (tokens, text) = transcribed(&home, &home.path("data/swictation/models").join(name), &wav);
        let golden = fs::read_to_string(toy(goldens).join("golden.json")).unwrap();
        let golden: Value = serde_json::from_str(&golden).unwrap();
        assert_eq!(Value::from(tokens), golden[run]["tokens"], "{name}");
        assert_eq!(text, golden[run]["text"], "{name}");
    }
}

/// Layouts of the same weights.
const SAME: [&[&str]; 3] = [
    &["nemo-streaming-rnnt", "parakeet-rs-nemotron", "sherpa-transducer"],
    &["nemo-streaming-ctc", "sherpa-ctc"],
    &["istupakov-tdt", "external-data"],
];

#[test]
fn every_layout_loads_and_those_of_one_model_say_the_same() {
    let layouts = root().join("models/layouts.d");
    if !need("the folders of layouts", layouts.exists()) || runtime().is_none() {
        return;
    }
    let Some(wav) = recording("beckett.wav") else { return };
    let home = Home::new();
    let said = |name: &str| {
        // Nothing is written into the repository: the models are linked.
        imported(&home, &layouts.join(name), &["--link"]);
        transcribed(&home, &home.path("data/swictation/models").join(name), &wav)
    };
    for same in SAME {
        let first = said(same[0]);
        assert!(!first.0.is_empty(), "{}", same[0]);
        for name in &same[1..] {
            assert_eq!(said(name), first, "{name} and {}", same[0]);
        }
    }
    for name in [
        "nemo-ctc",
        "nemo-rnnt",
        "istupakov-tdt-int8",
        "istupakov-canary",
        "sherpa-unified",
        "parakeet-rs-eou",
    ] {
        if need(&format!("the layout {name}"), layouts.join(name).exists()) {
            assert!(!said(name).0.is_empty(), "{name}");
        }
    }
}

#[test]
fn the_daemon_types_with_an_imported_model() {
    if runtime().is_none() {
        return;
    }
    let Some(wav) = recording("beckett.wav") else { return };
    let home = Home::new();
    let folder = home.path("mine");
    fs::create_dir(&folder).unwrap();
    for (from, to) in RENAMED[0].3 {
        fs::copy(toy(from), folder.join(to)).unwrap();
    }
    imported(&home, &folder, &["--name", "my-own"]);
    home.configure("model = \"my-own\"\ndevice = \"cpu\"\n");
    let source = format!("wav:{}", wav.display());
    let ran = home.run("swictationd", &["--no-bus", "--typist", "stdout", "--source", &source]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let golden = fs::read_to_string(toy("att70_6-rnnt/golden.json")).unwrap();
    let golden: Value = serde_json::from_str(&golden).unwrap();
    assert_eq!(golden["beckett.rnnt"]["text"], ran.out.trim());
}
