//! Every family of models through the programs that people use.
//!
//! The libraries' own tests compare every step with NeMo's; here it is seen that
//! nothing is lost between them and a person: model.toml, worker, pipes, daemon.

use crate::bad_input::transcribe;
use serde_json::Value;
use std::fs;
use swictation_tests::babble::babble;
use swictation_tests::programs::{Home, recording, root, runtime, seeded, silence, toy};

/// A toy model of every family and layout, the folder and the name of its golden,
/// and its family.
const FAMILIES: [(&str, &str, &str, &str); 8] = [
    ("att70_6-rnnt", "att70_6-rnnt", "rnnt", "cache-aware-rnnt"),
    ("att70_6-rnnt-split", "att70_6-rnnt", "rnnt", "cache-aware-rnnt"),
    ("att70_6-ctc", "att70_6-ctc", "ctc", "cache-aware-ctc"),
    ("buffered-tdt", "buffered-tdt", "20-1-1", "buffered-tdt"),
    ("buffered-tdt-split", "buffered-tdt", "20-1-1", "buffered-tdt"),
    ("buffered-ctc", "buffered-ctc", "20-1-1", "buffered-ctc"),
    ("aed", "aed", "aed", "aed"),
    ("aed-alignatt8", "aed", "aed-alignatt8", "aed"),
];

/// What is configured of the folder that has several contexts, the golden of the export
/// that has it, and its latency.
const CONTEXTS: [(&str, &str, u32); 4] = [
    ("latency_ms = 80", "att70_0-rnnt", 80),
    ("latency_ms = 560", "att70_6-rnnt", 560),
    ("latency_ms = 2000", "att70_13-rnnt", 1120),
    ("context_seconds = 20.16\nlatency_ms = 600", "att252_6-rnnt", 560),
];

/// Left context in seconds, chunk and right context in milliseconds.
type Window = (u32, u32, u32);

/// Models of the second golden set, the run, and its window where it has one.
const SECOND: [(&str, &str, Option<Window>); 6] = [
    ("att24_3-rnnt", "rnnt", None),
    ("att24_3-ctc", "ctc", None),
    ("eou-rnnt", "rnnt", None),
    ("buffered-rnnt", "6-1.5-0.5", Some((6, 1500, 500))),
    ("buffered-tdt", "6-1.5-0.5", Some((6, 1500, 500))),
    ("buffered-ctc", "6-1.5-0.5", Some((6, 1500, 500))),
];

/// A model of the second set whose window is the run's, and sound for it; its golden.
fn second(home: &Home, model: &str, run: &str, window: Option<Window>) -> Value {
    let folder = home.path("model");
    fs::create_dir(&folder).unwrap();
    for entry in fs::read_dir(seeded(model)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    let mut settings = format!("model = {folder:?}\ndevice = \"cpu\"\n");
    if let Some((left, chunk, right)) = window {
        let manifest = fs::read_to_string(folder.join("model.toml")).unwrap();
        let changed = manifest
            .replace("chunk_ms = 2000", &format!("chunk_ms = {chunk}"))
            .replace("right_ms = 2000", &format!("right_ms = {right}"));
        assert_ne!(manifest, changed, "{model}");
        fs::write(folder.join("model.toml"), changed).unwrap();
        settings += &format!("context_seconds = {left}.0\n");
    }
    home.configure(&settings);
    let samples: Vec<u8> = babble(202, 20).iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let length = samples.len() as u32;
    let mut wav = b"RIFF".to_vec();
    wav.extend((36 + length).to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    wav.extend(16_000u32.to_le_bytes());
    wav.extend(32_000u32.to_le_bytes());
    wav.extend(b"\x02\0\x10\0data");
    wav.extend(length.to_le_bytes());
    wav.extend(samples);
    fs::write(home.path("babble.wav"), wav).unwrap();
    let text = fs::read_to_string(folder.join("golden.json")).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()[format!("babble20.{run}")].take()
}

#[test]
fn the_second_set_gives_nemos_tokens_through_transcribe_and_its_text_through_the_daemon() {
    if runtime().is_none() {
        return;
    }
    for (model, run, window) in SECOND {
        let home = Home::new();
        let golden = second(&home, model, run, window);
        let wav = home.path("babble.wav");
        let ran = home.run("swictation", &["transcribe", "--json", "--steps", wav.to_str().unwrap()]);
        assert_eq!(ran.code, 0, "{model}: {ran:?}");
        let lines: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        for key in ["tokens", "frames"] {
            let steps = lines.iter().filter(|line| line["type"] == "step");
            let all: Vec<Value> = steps.flat_map(|step| step[key].as_array().unwrap().clone()).collect();
            assert!(all.len() > 10, "{model}: too little is said to show anything");
            assert_eq!(Value::from(all), golden[key], "{model}: {key}");
        }
        // Pieces that steer are in NeMo's text and never typed.
        let text = golden["text"].as_str().unwrap().replace(['<', '>'], " ");
        let typed = lines.last().unwrap()["text"].as_str().unwrap();
        assert!(model == "eou-rnnt" || typed == text, "{model}: {typed:?} is not {text:?}");
        let source = format!("wav:{}", wav.display());
        let ran = home.run("swictationd", &["--no-bus", "--typist", "stdout", "--source", &source]);
        assert_eq!((ran.code, ran.out.trim()), (0, typed), "{model}: {ran:?}");
    }
}

fn golden(folder: &str, run: &str) -> Value {
    let text = std::fs::read_to_string(toy(folder).join("golden.json")).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()[run].take()
}

#[test]
fn transcribe_gives_the_tokens_and_the_text_that_nemo_gives() {
    if runtime().is_none() {
        return;
    }
    for (model, goldens, run, _) in FAMILIES {
        for clip in ["beckett", "two_cities_28s"] {
            let Some(wav) = recording(&format!("{clip}.wav")) else { return };
            let golden = golden(goldens, &format!("{clip}.{run}"));
            let (home, folder) = (Home::new(), toy(model));
            let args = [
                "transcribe",
                "--json",
                "--steps",
                "--model",
                folder.to_str().unwrap(),
                wav.to_str().unwrap(),
            ];
            let ran = home.run("swictation", &args);
            assert_eq!(ran.code, 0, "{model}: {ran:?}");
            let lines: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            let steps = || lines.iter().filter(|line| line["type"] == "step");
            for (key, golden) in [("tokens", &golden["tokens"]), ("frames", &golden["frames"])] {
                // Attention decoders give a token no frame of its own.
                if golden.is_null() {
                    continue;
                }
                let all: Vec<Value> =
                    steps().flat_map(|step| step[key].as_array().unwrap().clone()).collect();
                assert_eq!(&Value::from(all), golden, "{model}, {clip}: {key}");
            }
            assert_eq!(lines.last().unwrap()["text"], golden["text"], "{model}, {clip}");
        }
    }
}

#[test]
fn the_daemon_types_what_nemo_gives() {
    if runtime().is_none() {
        return;
    }
    for (model, goldens, run, _) in FAMILIES {
        let Some(wav) = recording("beckett.wav") else { return };
        let home = Home::new();
        home.configure(&format!("model = {:?}\ndevice = \"cpu\"\n", toy(model)));
        let source = format!("wav:{}", wav.display());
        let ran = home.run("swictationd", &["--no-bus", "--typist", "stdout", "--source", &source]);
        assert_eq!(ran.code, 0, "{model}: {ran:?}");
        assert_eq!(ran.out.trim(), golden(goldens, &format!("beckett.{run}"))["text"], "{model}");
    }
}

#[test]
fn transcribe_gives_nemos_tokens_of_every_context_that_a_folder_has() {
    if runtime().is_none() {
        return;
    }
    for (settings, goldens, latency) in CONTEXTS {
        for clip in ["beckett", "two_cities_28s"] {
            let Some(wav) = recording(&format!("{clip}.wav")) else { return };
            let (golden, home) = (golden(goldens, &format!("{clip}.rnnt")), Home::new());
            home.configure(&format!("model = {:?}\ndevice = \"cpu\"\n{settings}\n", toy("att-all-rnnt")));
            let ran = home.run("swictation", &["transcribe", "--json", "--steps", wav.to_str().unwrap()]);
            assert_eq!(ran.code, 0, "{settings}: {ran:?}");
            let lines: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            for key in ["tokens", "frames"] {
                let steps = lines.iter().filter(|line| line["type"] == "step");
                let all: Vec<Value> = steps.flat_map(|step| step[key].as_array().unwrap().clone()).collect();
                assert_eq!(Value::from(all), golden[key], "{settings}, {clip}: {key}");
            }
            let last = lines.last().unwrap();
            assert_eq!((&last["text"], &last["latency_ms"]), (&golden["text"], &Value::from(latency)));
        }
    }
}

#[test]
fn the_daemon_types_what_nemo_gives_in_every_context_and_refuses_others_with_a_reason() {
    if runtime().is_none() {
        return;
    }
    let Some(wav) = recording("beckett.wav") else { return };
    let source = format!("wav:{}", wav.display());
    let run = |settings: &str| {
        let home = Home::new();
        home.configure(&format!("model = {:?}\ndevice = \"cpu\"\n{settings}\n", toy("att-all-rnnt")));
        home.run("swictationd", &["--no-bus", "--typist", "stdout", "--source", &source])
    };
    for (settings, goldens, _) in CONTEXTS {
        let ran = run(settings);
        assert_eq!(ran.code, 0, "{settings}: {ran:?}");
        assert_eq!(ran.out.trim(), golden(goldens, "beckett.rnnt")["text"], "{settings}");
    }
    for (settings, reason) in [
        ("latency_ms = 79", "80, 560, 1120"),
        ("latency_ms = 100\nchunk_ms = 560", "chunk_ms = 560"),
        ("policy = \"agreement\"", "never change"),
        ("wait_k = 1", "never change"),
    ] {
        let ran = run(settings);
        assert_eq!(ran.code, 6, "{settings}: {ran:?}");
        assert!(ran.err.contains(reason), "{settings}: {}", ran.err);
    }
}

#[test]
fn an_end_of_utterance_that_a_model_says_is_heard_and_never_typed() {
    let (Some(_), Some(wav)) = (runtime(), recording("beckett.wav")) else { return };
    let (home, golden) = (Home::new(), golden("att70_6-rnnt", "beckett.rnnt"));
    let folder = home.path("ending");
    std::fs::create_dir(&folder).unwrap();
    for file in ["encoder-model.onnx", "decoder_joint-model.onnx"] {
        std::fs::copy(toy("att70_6-rnnt").join(file), folder.join(file)).unwrap();
    }
    let vocabulary = std::fs::read_to_string(toy("vocab.txt")).unwrap();
    std::fs::write(folder.join("vocab.txt"), vocabulary.replace("\n▁no ", "\n<EOU> ")).unwrap();
    let manifest = std::fs::read_to_string(toy("att70_6-rnnt").join("model.toml")).unwrap();
    let manifest = manifest.lines().map(|line| match line.starts_with("vocabulary") {
        true => "vocabulary = { path = \"vocab.txt\" }",
        false => line,
    });
    let table = "[end_of_utterance]\npieces = [\"<EOU>\"]\nreset_decoder = false\n";
    let manifest = manifest.collect::<Vec<_>>().join("\n") + "\n" + table;
    std::fs::write(folder.join("model.toml"), manifest).unwrap();
    home.configure(&format!("model = {folder:?}\ndevice = \"cpu\"\n"));
    let text = golden["text"].as_str().unwrap().replace("no ", "");
    let ran = home.run("swictation", &["transcribe", "--json", "--steps", wav.to_str().unwrap()]);
    let lines: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let steps = lines.iter().filter(|line| line["type"] == "step");
    let tokens: Vec<Value> = steps.flat_map(|step| step["tokens"].as_array().unwrap().clone()).collect();
    assert_eq!(
        (Value::from(tokens), &lines.last().unwrap()["text"]),
        (golden["tokens"].clone(), &text.clone().into())
    );
    let source = format!("wav:{}", wav.display());
    let ran = home.run("swictationd", &["--no-bus", "--typist", "stdout", "--source", &source]);
    assert_eq!((ran.code, ran.out.trim()), (0, text.as_str()), "{ran:?}");
}

#[test]
fn every_family_that_can_be_loaded_is_described_for_the_people_who_write_a_manifest() {
    let readme = std::fs::read_to_string(root().join("models/README.md")).unwrap();
    for (.., family) in FAMILIES {
        assert!(readme.contains(family), "models/README.md does not mention {family}");
    }
}

#[test]
fn every_model_of_the_catalogue_has_a_manifest_that_the_worker_can_read() {
    let catalogue = std::fs::read_to_string(root().join("models/catalogue.toml")).unwrap();
    let catalogue: toml::Table = catalogue.parse().unwrap();
    let models = catalogue["models"].as_table().unwrap();
    assert!(models.len() > 2);
    let home = Home::new();
    let wav = silence(&home, 1600);
    if runtime().is_none() {
        return;
    }
    for (name, entry) in models {
        let folder = home.path("data/swictation/models").join(name);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("model.toml"), entry["manifest"].as_str().unwrap()).unwrap();
        let ran = transcribe(&home, &folder, &wav);
        // The text is read to its end; what is missing is the files it names.
        assert!(ran.err.contains("cannot be opened"), "{name}: {ran:?}");
        let fetched: Vec<&str> =
            entry["files"].as_array().unwrap().iter().filter_map(|f| f["path"].as_str()).collect();
        let manifest: toml::Table = entry["manifest"].as_str().unwrap().parse().unwrap();
        for (role, file) in manifest["files"].as_table().unwrap() {
            assert!(fetched.contains(&file["path"].as_str().unwrap()), "{name}: nothing fetches {role}");
        }
    }
}
