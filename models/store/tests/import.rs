//! Models as people have them, and folders that are none.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use swictation_models::{Head, Manner, Places, Precision, StoreError, Wish, import, installed, recognise};
use swictation_tests::need;
use swictation_tests::programs::{root, toy};
use tempfile::TempDir;

/// A person's folders, and one of theirs with a model in it.
struct Home {
    folder: TempDir,
}

impl Home {
    /// A folder with copies of files of models/toy under other names.
    fn with(files: &[(&str, &str)]) -> Home {
        let home = Home { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(home.model()).unwrap();
        for (from, to) in files {
            fs::copy(toy(from), home.at(to)).unwrap();
        }
        home
    }

    fn model(&self) -> PathBuf {
        self.folder.path().join("my model")
    }

    fn at(&self, name: &str) -> PathBuf {
        self.model().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.at(name), content).unwrap();
    }

    /// Replaces bytes of a file by as many others.
    fn patch(&self, name: &str, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) {
        let (from, to) = (from.as_ref(), to.as_ref());
        assert_eq!(from.len(), to.len());
        let mut bytes = fs::read(self.at(name)).unwrap();
        let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(from)).collect();
        assert!(!places.is_empty());
        for at in places {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
        self.write(name, bytes);
    }

    fn places(&self) -> Places {
        Places::below(&self.folder.path().join("data"), &self.folder.path().join("config"))
    }

    fn recognise(&self, wish: &Wish) -> Result<toml::Table, String> {
        let found = recognise(&self.model(), wish).map_err(|e| {
            assert!(matches!(e, StoreError::Model(_) | StoreError::Local(_)), "{e:?}");
            e.to_string()
        })?;
        Ok(found.manifest("").parse().unwrap())
    }

    fn said(&self) -> String {
        self.recognise(&Wish::default()).unwrap_err()
    }

    fn import(&self, manner: Manner) -> Result<swictation_models::Imported, StoreError> {
        let found = recognise(&self.model(), &Wish::default())?;
        import(&self.places(), &found, manner, &mut |_| {})
    }
}

/// A cache-aware RNNT model as NeMo exports it, with a vocabulary.
fn streaming() -> Home {
    Home::with(&[
        ("att70_6-rnnt/encoder-model.onnx", "encoder-model.onnx"),
        ("att70_6-rnnt/decoder_joint-model.onnx", "decoder_joint-model.onnx"),
        ("vocab.txt", "vocab.txt"),
    ])
}

/// An offline TDT model, with a vocabulary.
fn tdt() -> Home {
    Home::with(&[
        ("buffered-tdt/encoder-model.onnx", "encoder-model.onnx"),
        ("buffered-tdt/decoder_joint-model.onnx", "decoder_joint-model.onnx"),
        ("vocab.txt", "vocab.txt"),
    ])
}

#[test]
fn every_layout_that_people_have_is_recognised() {
    let folder = root().join("models/layouts.d");
    if !need("the folders of layouts", folder.exists()) {
        return;
    }
    let streaming = "streaming.left_frames 24, streaming.right_frames 3, streaming.pre_encode_frames 9";
    for (name, layout, family, mels, geometry) in [
        ("nemo-ctc", "NeMo's export", "buffered-ctc", 128, "buffered.subsampling 4"),
        ("nemo-rnnt", "NeMo's export", "buffered-rnnt", 80, "buffered.subsampling 8"),
        ("nemo-streaming-ctc", "NeMo's export", "cache-aware-ctc", 128, streaming),
        ("nemo-streaming-rnnt", "NeMo's export", "cache-aware-rnnt", 128, streaming),
        ("istupakov-tdt", "onnx-asr (istupakov)", "buffered-tdt", 80, "buffered.chunk_ms 2000"),
        ("istupakov-tdt-int8", "onnx-asr (istupakov)", "buffered-tdt", 80, "buffered.subsampling 8"),
        ("istupakov-canary", "onnx-asr (istupakov)", "aed", 80, "aed.subsampling 8"),
        ("external-data", "onnx-asr (istupakov)", "buffered-tdt", 80, "buffered.subsampling 8"),
        ("sherpa-ctc", "sherpa-onnx", "cache-aware-ctc", 128, streaming),
        ("sherpa-transducer", "sherpa-onnx", "cache-aware-rnnt", 128, streaming),
        (
            "sherpa-unified",
            "sherpa-onnx",
            "buffered-rnnt",
            80,
            "buffered.chunk_ms 560, buffered.right_ms 560",
        ),
        (
            "parakeet-rs-eou",
            "parakeet-rs",
            "cache-aware-rnnt",
            128,
            "streaming.left_frames 12, streaming.right_frames 2",
        ),
        ("parakeet-rs-nemotron", "parakeet-rs", "cache-aware-rnnt", 128, streaming),
    ] {
        if !need(&format!("the layout {name}"), folder.join(name).exists()) {
            continue;
        }
        let found = recognise(&folder.join(name), &Wish::default()).unwrap();
        let lines = found.lines();
        assert!(lines.contains(&format!("layout: {layout}")), "{name}: {lines:?}");
        let manifest: toml::Table = found.manifest("").parse().unwrap();
        assert_eq!(manifest["family"].as_str(), Some(family), "{name}");
        assert_eq!(manifest["features"]["mels"].as_integer(), Some(mels), "{name}");
        for fact in geometry.split(", ") {
            let (key, value) = fact.split_once(' ').unwrap();
            let (table, key) = key.split_once('.').unwrap();
            assert_eq!(manifest[table][key].as_integer(), value.parse().ok(), "{name}: {key}");
        }
        let ends = manifest.get("end_of_utterance").map(|table| table["pieces"].clone());
        let wanted = name.ends_with("eou").then(|| toml::Value::from(vec!["<EOU>"]));
        assert_eq!(ends, wanted, "{name}");
        let precision = if name.ends_with("int8") { "int8" } else { "fp32" };
        assert_eq!(manifest["precision"].as_str(), Some(precision), "{name}");
    }
}

#[test]
fn a_streaming_export_tells_its_geometry_without_metadata() {
    for (toy, left, right) in [("att70_0-rnnt", 70, 0), ("att70_13-rnnt", 70, 13), ("att252_6-rnnt", 252, 6)]
    {
        let home = streaming();
        fs::copy(self::toy(toy).join("encoder-model.onnx"), home.at("encoder-model.onnx")).unwrap();
        // What sherpa-onnx's exporter writes beside the graph, under names nobody knows.
        for key in [
            "cache_last_channel_dim",
            "chunk_shift",
            "window_size",
            "cache_last_time_dim",
            "subsampling_factor",
        ] {
            home.patch("encoder-model.onnx", key, "x".repeat(key.len()));
        }
        let manifest = home.recognise(&Wish::default()).unwrap();
        let number = |key: &str| manifest["streaming"][key].as_integer().unwrap();
        assert_eq!((number("left_frames"), number("right_frames")), (left, right), "{toy}");
        assert_eq!((number("pre_encode_frames"), number("subsampling")), (9, 8), "{toy}");
        assert_eq!(number("convolution_frames"), 8, "{toy}");
    }
}

#[test]
fn what_a_graph_says_twice_must_be_the_same() {
    let home = streaming();
    let wish = Wish { right_frames: Some(13), ..Wish::default() };
    let said = home.recognise(&wish).unwrap_err();
    assert!(said.contains("is 7 by the bound of encoded_lengths and 14 by --right-frames"), "{said}");
    home.patch("encoder-model.onnx", "window_size\x12\x0265", "window_size\x12\x0210");
    assert!(home.said().contains("windows of 10 mel frames"), "{}", home.said());
}

#[test]
fn the_durations_of_tdt_are_those_behind_the_tokens() {
    let home = tdt();
    let manifest = home.recognise(&Wish::default()).unwrap();
    assert_eq!(manifest["family"].as_str(), Some("buffered-tdt"));
    let durations = |manifest: &toml::Table| -> Vec<i64> {
        manifest["durations"].as_array().unwrap().iter().filter_map(toml::Value::as_integer).collect()
    };
    assert_eq!(durations(&manifest), [0, 1, 2, 3, 4]);
    let told = |durations: &[u32]| Wish { durations: Some(durations.to_vec()), ..Wish::default() };
    let manifest = home.recognise(&told(&[0, 1, 2, 4, 8])).unwrap();
    assert_eq!(durations(&manifest), [0, 1, 2, 4, 8]);
    let said = home.recognise(&told(&[0, 1])).unwrap_err();
    assert!(said.contains("scores 5 durations; --durations names 2"), "{said}");
    home.write("config.json", r#"{"model_type": "nemo-conformer-rnnt", "features_size": 128}"#);
    assert!(home.said().contains("it is a TDT model"), "{}", home.said());
    // 134 scores, in the header, made 16383: no model has so many durations.
    home.write("config.json", "{}");
    home.patch("decoder_joint-model.onnx", b"\x03\x08\x86\x01", b"\x03\x08\xff\x7f");
    assert!(home.said().contains("is made for 16383"), "{}", home.said());
}

#[test]
fn an_attention_decoder_gets_the_prompt_of_its_vocabulary() {
    let home = Home::with(&[
        ("aed/encoder-model.onnx", "encoder-model.onnx"),
        ("aed/decoder-xatt-model.onnx", "decoder-model.onnx"),
        ("aed/vocab.txt", "vocab.txt"),
    ]);
    home.write("config.json", r#"{"model_type": "nemo-conformer-aed", "features_size": 128}"#);
    let ours: toml::Table = fs::read_to_string(toy("aed-alignatt8/model.toml")).unwrap().parse().unwrap();
    let made = home.recognise(&Wish::default()).unwrap();
    assert_eq!((&made["aed"], &made["features"]), (&ours["aed"], &ours["features"]));
    let wish = Wish { language: Some("xy".into()), ..Wish::default() };
    let said = home.recognise(&wish).unwrap_err();
    assert!(said.contains("vocab.txt has no piece \"<|xy|>\"") && said.contains("--language"), "{said}");
}

#[test]
fn one_of_several_copies_is_chosen_by_its_weights_and_not_by_its_name() {
    let home = streaming();
    let half = toy("att70_6-rnnt-fp16/encoder-model.fp16.onnx");
    fs::copy(half, home.at("encoder-model.int8.onnx")).unwrap();
    let chosen = |precision| home.recognise(&Wish { precision, ..Wish::default() });
    let encoder = |made: &toml::Table| made["files"]["encoder"]["path"].as_str().unwrap().to_owned();
    assert_eq!(encoder(&chosen(None).unwrap()), "encoder-model.onnx");
    let made = chosen(Some(Precision::Fp16)).unwrap();
    assert_eq!(
        (encoder(&made).as_str(), made["precision"].as_str()),
        ("encoder-model.int8.onnx", Some("fp16"))
    );
    let said = chosen(Some(Precision::Int8)).unwrap_err();
    assert!(
        said.contains("has no encoder in int8") && said.contains("encoder-model.int8.onnx is fp16"),
        "{said}"
    );
    fs::copy(home.at("encoder-model.onnx"), home.at("encoder-other.onnx")).unwrap();
    assert!(home.said().contains("encoder-model.onnx and encoder-other.onnx"), "{}", home.said());
}

#[test]
fn of_two_decoders_the_one_that_is_asked_for_is_taken() {
    let home = streaming();
    fs::copy(toy("att70_6-ctc/model-ctc.onnx"), home.at("model-ctc.onnx")).unwrap();
    let family = |head| {
        let made = home.recognise(&Wish { head, ..Wish::default() });
        made.map(|made| made["family"].as_str().unwrap().to_owned())
    };
    assert_eq!(family(None).unwrap(), "cache-aware-rnnt");
    assert_eq!(family(Some(Head::Ctc)).unwrap(), "cache-aware-ctc");
    let said = family(Some(Head::Aed)).unwrap_err();
    assert!(said.contains("has no whole aed model"), "{said}");
    assert!(family(Some(Head::Tdt)).unwrap_err().contains("it is no TDT model"));
}

#[test]
fn a_vocabulary_is_made_where_there_is_a_tokenizer_or_no_blank() {
    let home = streaming();
    let lines = fs::read_to_string(home.at("vocab.txt")).unwrap();
    let without: Vec<&str> = lines.lines().take(128).collect();
    home.write("vocab.txt", without.join("\n"));
    let done = home.import(Manner::default()).unwrap();
    assert_eq!(fs::read_to_string(home.at("vocab.swictation.txt")).unwrap(), lines);
    assert_eq!(done.folder, home.model().canonicalize().unwrap());
    let manifest: toml::Table = fs::read_to_string(home.at("model.toml")).unwrap().parse().unwrap();
    assert_eq!(manifest["files"]["vocabulary"]["path"].as_str(), Some("vocab.swictation.txt"));
    let mode = fs::metadata(home.at("model.toml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // The same pieces as Hugging Face's tokenizers write them.
    let pieces: Vec<String> = without
        .iter()
        .map(|line| line.rsplit_once(' ').map(|(piece, id)| format!("{piece:?}: {id}")).unwrap())
        .collect();
    fs::remove_file(home.at("vocab.txt")).unwrap();
    home.write("tokenizer.json", format!("{{\"model\": {{\"vocab\": {{{}}}}}}}", pieces.join(", ")));
    home.import(Manner { force: true, link: false }).unwrap();
    assert_eq!(fs::read_to_string(home.at("vocab.txt")).unwrap(), lines);
}

#[test]
fn an_imported_model_is_found_by_its_name_and_goes_without_its_files() {
    for link in [false, true] {
        let home = streaming();
        let done = home.import(Manner { force: false, link }).unwrap();
        let places = home.places();
        let model = installed::one(&places, "my-model").unwrap();
        assert_eq!(model.manifest.unwrap().family, "cache-aware-rnnt");
        assert!(model.size > 2_000_000, "{}", model.size);
        assert_eq!(home.at("model.toml").exists(), !link);
        assert_eq!(done.folder == places.model("my-model"), link);
        let verified = installed::verify(&places, "my-model").unwrap();
        assert_eq!((verified.right, verified.faults), (3, vec![]));
        let weights = installed::weights(&places, "my-model");
        assert!(weights[1].starts_with("encoder, ") && weights[1].contains("100 % f32"), "{weights:?}");
        // Once more only when that is asked for; what it replaces is only its own.
        let again = home.import(Manner { force: false, link }).unwrap_err().to_string();
        assert!(again.contains("--force writes it anew"), "{again}");
        home.import(Manner { force: true, link }).unwrap();
        installed::remove(&places, "my-model").unwrap();
        assert!(home.at("encoder-model.onnx").exists());
    }
}

#[test]
fn another_model_of_that_name_stays() {
    let home = streaming();
    let other = home.places().model("my-model");
    fs::create_dir_all(&other).unwrap();
    fs::write(other.join("model.toml"), "other").unwrap();
    for force in [false, true] {
        let said = home.import(Manner { force, link: false }).unwrap_err().to_string();
        assert!(said.contains("is another model; --name"), "{said}");
    }
    assert_eq!(fs::read_to_string(other.join("model.toml")).unwrap(), "other");
    assert!(!home.at("model.toml").exists());
}

#[test]
fn the_card_of_a_hub_says_language_and_licence() {
    let home = streaming();
    home.write("README.md", "---\nlicense: cc-by-4.0\nlanguage:\n- de\n---\n# A model\n");
    let made = home.recognise(&Wish::default()).unwrap();
    assert_eq!((made["language"].as_str(), made["licence"].as_str()), (Some("de"), Some("CC-BY-4.0")));
}

#[test]
fn what_is_no_graph_is_named() {
    let home = streaming();
    home.write("encoder-model.onnx", "hello\n");
    assert!(home.said().contains("encoder-model.onnx is no ONNX file"), "{}", home.said());
    let whole = fs::read(toy("att70_6-rnnt/encoder-model.onnx")).unwrap();
    home.write("encoder-model.onnx", &whole[..whole.len() / 2]);
    assert!(home.said().contains("encoder-model.onnx is damaged or cut short"), "{}", home.said());
    home.write("encoder-model.onnx", "version https://git-lfs.github.com/spec/v1\n");
    assert!(home.said().contains("git lfs pull"), "{}", home.said());
}

#[test]
fn what_is_missing_is_named() {
    let home = streaming();
    fs::remove_file(home.at("decoder_joint-model.onnx")).unwrap();
    let said = home.said();
    assert!(
        said.contains("encoder-model.onnx is a cache-aware encoder, but there is no predictor"),
        "{said}"
    );
    let home = streaming();
    fs::remove_file(home.at("encoder-model.onnx")).unwrap();
    assert!(
        home.said().contains("decoder_joint-model.onnx is a predictor and joint network"),
        "{}",
        home.said()
    );
    let home = streaming();
    fs::remove_file(home.at("vocab.txt")).unwrap();
    assert!(home.said().contains("has no vocabulary") && home.said().contains(".nemo"), "{}", home.said());
    let home = Home::with(&[]);
    fs::create_dir(home.at("onnx")).unwrap();
    fs::write(home.at("onnx/model.onnx"), "x").unwrap();
    assert!(home.said().contains("no file *.onnx; its folder onnx has some"), "{}", home.said());
}

#[test]
fn parts_of_different_models_are_refused_with_both_tensors() {
    let home = tdt();
    home.patch("encoder-model.onnx", "audio_signal", "audio_sinnal");
    let said = home.said();
    assert!(
        said.contains("there is no encoder for it") && said.contains("takes audio_sinnal, length"),
        "{said}"
    );
    let home = Home::with(&[
        ("aed/encoder-model.onnx", "encoder.onnx"),
        ("att70_6-rnnt/decoder_joint-model.onnx", "decoder_joint.onnx"),
        ("vocab.txt", "vocab.txt"),
    ]);
    assert!(home.said().contains("there is no attention decoder for it"), "{}", home.said());
    // The shape of what the decoder takes, 64 values of each frame, in its header.
    let home = streaming();
    home.patch(
        "decoder_joint-model.onnx",
        "encoder_outputs_dynamic_axes_1\n\x02\x08\x40",
        "encoder_outputs_dynamic_axes_1\n\x02\x08\x41",
    );
    let said = home.said();
    assert!(said.contains("takes 65 values a frame (tensor \"encoder_outputs\")"), "{said}");
    assert!(said.contains("gives 64 (tensor \"outputs\"): they are of different models"), "{said}");
}

#[test]
fn a_vocabulary_of_another_model_is_refused() {
    for (home, wanted) in [(streaming(), "129"), (tdt(), "129")] {
        let text = fs::read_to_string(home.at("vocab.txt")).unwrap();
        let short: Vec<&str> = text.lines().take(120).collect();
        home.write("vocab.txt", short.join("\n"));
        let said = home.said();
        assert!(
            said.contains("has 121 pieces with the blank") && said.contains(&format!("for {wanted}")),
            "{said}"
        );
        home.write("vocab.txt", "a 0\nb 2\n");
        assert!(
            home.said().contains("vocab.txt line 2: the id is 2 where 1 was expected"),
            "{}",
            home.said()
        );
        home.write("vocab.txt", [0xff, 0xfe]);
        assert!(home.said().contains("is no UTF-8 text"), "{}", home.said());
    }
}

#[test]
fn a_configuration_that_is_none_is_refused() {
    let home = tdt();
    home.write("config.json", "{ nonsense");
    assert!(home.said().contains("config.json is no JSON"), "{}", home.said());
    home.write("config.json", vec![b' '; 3 << 20]);
    assert!(home.said().contains("config.json has more than a megabyte"), "{}", home.said());
    home.write("config.json", r#"{"model_type": "nemo-conformer-zip"}"#);
    assert!(home.said().contains("ctc, rnnt, tdt and aed are known"), "{}", home.said());
    home.write("config.json", r#"{"model_type": "nemo-conformer-tdt", "features_size": 80}"#);
    assert!(
        home.said().contains("mel bins is 128 by the shape of audio_signal and 80 by"),
        "{}",
        home.said()
    );
    // Somebody else's is nobody's business.
    home.write("config.json", r#"{"model_type": "whisper"}"#);
    assert!(home.recognise(&Wish::default()).is_ok());
}

#[test]
fn weights_beside_a_graph_must_be_there_and_inside() {
    let folder = root().join("models/layouts.d/external-data");
    if !need("the folders of layouts", folder.exists()) {
        return;
    }
    let home = Home::with(&[]);
    for entry in fs::read_dir(&folder).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), home.at(entry.file_name().to_str().unwrap())).unwrap();
    }
    assert!(home.recognise(&Wish::default()).is_ok());
    let data = fs::read(home.at("encoder-model.onnx.data")).unwrap();
    home.write("encoder-model.onnx.data", &data[..data.len() - 1]);
    assert!(home.said().contains("it was not fetched to its end"), "{}", home.said());
    fs::remove_file(home.at("encoder-model.onnx.data")).unwrap();
    assert!(home.said().contains("encoder-model.onnx has its weights there"), "{}", home.said());
    home.patch("encoder-model.onnx", "encoder-model.onnx.data", "../../../../etc//passwd");
    let said = home.said();
    assert!(said.contains("../../../../etc//passwd") && said.contains("no path inside the folder"), "{said}");
}

#[test]
fn a_tensor_that_claims_more_than_any_memory_is_refused() {
    // ModelProto: ir_version, graph with an initialiser of [2^60] floats, opset_import.
    let dim = [0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10];
    let tensor = [&dim[..], &[0x10, 1, 0x42, 4], b"bomb"].concat();
    let initializer = [&[0x2a, tensor.len() as u8][..], &tensor].concat();
    let graph = [&[0x3a, initializer.len() as u8][..], &initializer].concat();
    let home = streaming();
    home.write("encoder-model.onnx", [&[0x08, 8][..], &graph, &[0x42, 2, 0x10, 17]].concat());
    let said = home.said();
    assert!(said.contains("tensor \"bomb\"") && said.contains("larger than any memory"), "{said}");
}

#[test]
fn links_without_end_and_folders_that_nobody_may_read_are_said() {
    let home = streaming();
    fs::remove_file(home.at("encoder-model.onnx")).unwrap();
    symlink("encoder-model.onnx", home.at("encoder-model.onnx")).unwrap();
    assert!(home.said().contains("encoder-model.onnx cannot be read: "), "{}", home.said());
    let said = recognise(Path::new("/nonexistent/model"), &Wish::default()).err().unwrap().to_string();
    assert!(said.contains("/nonexistent/model cannot be read: No such file"), "{said}");
    let home = streaming();
    let closed = |mode| fs::set_permissions(home.model(), fs::Permissions::from_mode(mode)).unwrap();
    closed(0o000);
    let may_read = fs::read_dir(home.model()).is_ok();
    let said = recognise(&home.model(), &Wish::default()).err().map(|e| e.to_string());
    closed(0o700);
    if need("a user who is not root", !may_read) {
        assert!(said.unwrap().contains("Permission denied"));
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_linked() {
    let home = streaming();
    fs::set_permissions(home.model(), fs::Permissions::from_mode(0o500)).unwrap();
    let locked = fs::write(home.at("probe"), "").is_err();
    let done = home.import(Manner::default());
    fs::set_permissions(home.model(), fs::Permissions::from_mode(0o700)).unwrap();
    if need("a user who is not root", locked) {
        let done = done.unwrap();
        assert_eq!(done.folder, home.places().model("my-model"));
        assert!(done.notes[0].contains("cannot be written"), "{:?}", done.notes);
    }
}

#[test]
fn graphs_that_are_known_and_not_supported_say_so() {
    let home = Home::with(&[("aed/encoder-model.onnx", "encoder.onnx"), ("aed/vocab.txt", "tokens.txt")]);
    home.patch("encoder.onnx", "encoder_mask", "enc_states__");
    let said = home.said();
    assert!(said.contains("takes one token and its position at a time"), "{said}");
}
