//! What a damaged or mismatched model says to the person who has it.

use crate::toy;
use std::fs;
use std::path::Path;
use swictation_asr::{AsrError, Settings};
use tempfile::TempDir;

/// A copy of two toy models and their vocabulary, to be damaged.
fn copy() -> TempDir {
    let dir = TempDir::new().unwrap();
    fs::copy(toy::toy("vocab.txt"), dir.path().join("vocab.txt")).unwrap();
    for model in ["att70_6-rnnt", "att70_6-ctc"] {
        fs::create_dir(dir.path().join(model)).unwrap();
        for entry in fs::read_dir(toy::toy(model)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), dir.path().join(model).join(entry.file_name())).unwrap();
        }
        // The hashes would find the damage first.
        edit(&dir.path().join(model).join("model.toml"), |text| {
            text.lines()
                .map(|line| {
                    line.split(", sha256").next().unwrap().to_owned()
                        + if line.contains("sha256") { " }\n" } else { "\n" }
                })
                .collect()
        });
    }
    dir
}

fn edit(file: &Path, change: impl Fn(&str) -> String) {
    let text = fs::read_to_string(file).unwrap();
    let changed = change(&text);
    assert_ne!(text, changed, "{} was not changed", file.display());
    fs::write(file, changed).unwrap();
}

/// The error that opening gives, as a person reads it.
fn fault(dir: &Path, settings: &Settings) -> String {
    match toy::open(dir, settings) {
        Ok(_) => panic!("{} opened", dir.display()),
        Err(error @ (AsrError::Model { .. } | AsrError::Setting(_))) => error.to_string(),
        Err(other) => panic!("not the model's fault: {other:?}"),
    }
}

fn replaced(model: &str, from: &str, to: &str) -> String {
    let dir = copy();
    edit(&dir.path().join(model).join("model.toml"), |text| text.replace(from, to));
    fault(&dir.path().join(model), &Settings::default())
}

#[track_caller]
fn says(error: &str, parts: &[&str]) {
    for part in parts {
        assert!(error.contains(part), "{error:?} does not say {part:?}");
    }
}

#[test]
fn a_truncated_graph_is_named() {
    if toy::runtime().is_none() {
        return;
    }
    for (file, length) in
        [("encoder-model.onnx", 100_000), ("encoder-model.onnx", 0), ("decoder_joint-model.onnx", 999)]
    {
        let dir = copy();
        let model = dir.path().join("att70_6-rnnt");
        fs::OpenOptions::new().write(true).open(model.join(file)).unwrap().set_len(length).unwrap();
        says(&fault(&model, &Settings::default()), &[file]);
    }
}

#[test]
fn a_damaged_file_does_not_have_its_hash() {
    if toy::runtime().is_none() {
        return;
    }
    let dir = copy();
    let model = dir.path().join("att70_6-ctc");
    fs::copy(toy::toy("att70_6-ctc/model.toml"), model.join("model.toml")).unwrap();
    edit(&dir.path().join("vocab.txt"), |text| text.replace("▁w 1", "▁v 1"));
    says(&fault(&model, &Settings::default()), &["vocab.txt", "sha256", "damaged"]);
}

#[test]
fn a_wrong_vocabulary_is_named_with_its_line() {
    if toy::runtime().is_none() {
        return;
    }
    type Damage<'a> = &'a dyn Fn(&str) -> String;
    let damage: [(Damage<'_>, &[&str]); 7] = [
        (
            &|text| text.lines().filter(|line| !line.ends_with(" 57")).map(|l| format!("{l}\n")).collect(),
            &["line 58", "57", "missing"],
        ),
        (&|text| text.replacen("▁o 2\n", "▁o 2\n▁o 2\n", 1), &["line 4", "doubled"]),
        (&|text| text.replacen("▁o 2\n", "▁w 2\n", 1), &["line 3", "already on line 2"]),
        (&|text| text.replacen("▁o 2\n", "\n", 1), &["line 3", "piece id"]),
        (&|text| text.replacen("<blk> 128\n", "", 1), &["line 128", "blank"]),
        (&|text| text.replacen("<blk> 128\n", "zz 128\n<blk> 129\n", 1), &["130 pieces", "129 tokens"]),
        (&|_| String::new(), &["vocab.txt", "no pieces"]),
    ];
    for (damage, parts) in damage {
        let dir = copy();
        edit(&dir.path().join("vocab.txt"), damage);
        for model in ["att70_6-rnnt", "att70_6-ctc"] {
            says(&fault(&dir.path().join(model), &Settings::default()), parts);
        }
    }
    let dir = copy();
    edit(&dir.path().join("vocab.txt"), |text| text.replacen("<blk> 128\n", "zz 128\n<blk> 129\n", 1));
    says(
        &fault(&dir.path().join("att70_6-ctc"), &Settings::default()),
        &["vocab.txt", "pieces", "model-ctc.onnx"],
    );
}

#[test]
fn swapped_graphs_are_told_apart() {
    if toy::runtime().is_none() {
        return;
    }
    let (encoder, joint) = ("\"encoder-model.onnx\"", "\"decoder_joint-model.onnx\"");
    says(&replaced("att70_6-rnnt", encoder, joint), &["decoder_joint-model.onnx", "cache_last_channel"]);
    says(&replaced("att70_6-rnnt", joint, encoder), &["encoder-model.onnx", "more than one tensor"]);
    let ctc = "\"../att70_6-ctc/model-ctc.onnx\"";
    assert!(replaced_and_failed("att70_6-rnnt", encoder, ctc).contains("decoder_joint-model.onnx"));
    says(
        &replaced("att70_6-ctc", "\"model-ctc.onnx\"", "\"../att70_6-rnnt/encoder-model.onnx\""),
        &["CTC head"],
    );
}

/// A pair that only a run can tell apart still fails while it loads.
fn replaced_and_failed(model: &str, from: &str, to: &str) -> String {
    let dir = copy();
    edit(&dir.path().join(model).join("model.toml"), |text| text.replace(from, to));
    toy::open(&dir.path().join(model), &Settings::default()).err().map(|e| e.to_string()).unwrap_or_default()
}

#[test]
fn a_manifest_that_does_not_fit_the_graph_is_refused() {
    if toy::runtime().is_none() {
        return;
    }
    let model = "att70_6-rnnt";
    says(
        &replaced(model, "left_frames = 70", "left_frames = 140"),
        &["encoder-model.onnx", "cache_last_channel_dim2 = 70", "140"],
    );
    says(&replaced(model, "right_frames = 6", "right_frames = 1"), &["chunk_shift = 56", "16"]);
    says(&replaced(model, "left_frames = 70", "left_frames = 71"), &["model.toml", "multiple"]);
    says(&replaced(model, "subsampling = 8", "subsampling = 0"), &["model.toml", "subsampling"]);
    says(&replaced(model, "left_frames = 70", "left_frames = 4000000000"), &["left_frames", "ten minutes"]);
    says(&replaced(model, "mels = 80", "mels = 128"), &["encoder-model.onnx", "feat_dim"]);
    says(&replaced(model, "mels = 80", "mels = 64"), &["mels = 64"]);
    says(&replaced(model, "\"none\"", "\"per_feature\""), &["per_feature", "cache-aware"]);
    says(&replaced(model, "\"fp32\"", "\"int8\""), &["encoder-model.onnx", "precision"]);
    says(&replaced(model, "[streaming]", "[streaming]\nlook_ahead = 3"), &["model.toml", "look_ahead"]);
    says(&replaced(model, "decoder_joint =", "joint ="), &["model.toml", "decoder_joint"]);
    says(&replaced(model, "decoder_joint =", "joiner ="), &["model.toml", "\"decoder\""]);
}

#[test]
fn settings_that_the_graph_does_not_have_are_refused_with_those_that_work() {
    if toy::runtime().is_none() {
        return;
    }
    let dir = toy::toy("att252_6-rnnt");
    let asked = |context_seconds, chunk_ms, wait_k| Settings {
        context_seconds,
        chunk_ms,
        wait_k,
        ..Settings::default()
    };
    says(&fault(&dir, &asked(Some(10.0), None, None)), &["10 s", "20.16"]);
    says(&fault(&dir, &asked(None, Some(1120), None)), &["1120 ms", "560"]);
    says(&fault(&dir, &asked(None, None, Some(2))), &["wait_k = 2", "never change"]);
    says(&fault(&dir, &asked(Some(f32::NAN), None, None)), &["20.16"]);
    assert!(toy::open(&dir, &asked(Some(20.0), Some(560), None)).is_ok(), "20 s is 20.16 s within 1 %");
}

#[test]
fn a_tensor_of_the_wrong_type_is_refused() {
    if toy::runtime().is_none() {
        return;
    }
    for (file, tensor) in
        [("encoder-model.onnx", "audio_signal"), ("decoder_joint-model.onnx", "encoder_outputs")]
    {
        let dir = copy();
        let path = dir.path().join("att70_6-rnnt").join(file);
        let mut bytes = fs::read(&path).unwrap();
        // ValueInfoProto: the name, then the type with its element type: float, to be double.
        let name = bytes
            .windows(tensor.len() + 1)
            .rposition(|w| w.starts_with(tensor.as_bytes()) && w.ends_with(&[0x12]));
        let element = name.unwrap() + tensor.len() + 4;
        assert_eq!(bytes[element..element + 2], [0x08, 0x01]);
        bytes[element + 1] = 11;
        fs::write(&path, bytes).unwrap();
        says(&fault(&dir.path().join("att70_6-rnnt"), &Settings::default()), &[file]);
    }
}
