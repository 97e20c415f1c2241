//! The offline families against onnx-asr, an independent implementation: whole clips
//! in one window give the same tokens. Clips are cut to whole encoder frames, because
//! NeMo's scheme of windows rounds down at the end of the audio, a whole clip rounds up.
//!
//! `SWICTATION_PYTHON` names a Python with onnx-asr in it, else it is `python3`.
//! `SWICTATION_COMPARE` may list more recordings, separated by colons: 16 kHz mono WAV
//! files of up to 30 seconds, which is as long as a chunk can be.

#![cfg(test)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use swictation_asr::graph::{Device, Runtime};
use swictation_asr::manifest::Manifest;
use swictation_asr::{Settings, load};
use swictation_core::SamplePos;
use swictation_tests::{need, note, programs};

/// Loads the folder (of the type in the second argument) and prints a line of JSON per
/// recording: the pieces, with spaces where words begin.
const PROGRAM: &str = "
import json, sys, onnx_asr
model = onnx_asr.load_model(sys.argv[2], sys.argv[1]).with_timestamps()
for recording in sys.argv[3:]:
    print(json.dumps(model.recognize(recording).tokens or []))
";

#[test]
fn a_whole_clip_gives_the_tokens_of_onnx_asr_with_tdt() {
    agrees("buffered-tdt", "nemo-conformer-tdt", 128);
}

#[test]
fn a_whole_clip_gives_the_tokens_of_onnx_asr_with_ctc() {
    agrees("buffered-ctc", "nemo-conformer-ctc", 80);
}

#[test]
fn a_whole_clip_gives_the_tokens_of_onnx_asr_with_attention() {
    agrees("aed", "nemo-conformer-aed", 128);
}

fn agrees(model: &str, kind: &str, mels: u32) {
    let Some(runtime) = runtime() else { return };
    let Some(python) = python() else { return };
    let Some(recordings) = recordings() else { return };
    let dir = programs::toy(model);
    let manifest = Manifest::read(&dir).unwrap();
    let folder = layout(&dir, &manifest, kind, mels);
    let recordings: Vec<PathBuf> = recordings.iter().map(|file| whole_frames(file, folder.path())).collect();
    let theirs = Command::new(python)
        .args(["-c", PROGRAM])
        .arg(folder.path())
        .arg(kind)
        .args(&recordings)
        .env("HF_HUB_OFFLINE", "1")
        .output()
        .unwrap();
    assert!(theirs.status.success(), "onnx-asr: {}", String::from_utf8_lossy(&theirs.stderr));
    let theirs = String::from_utf8(theirs.stdout).unwrap();
    let theirs: Vec<Vec<String>> = theirs.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(theirs.len(), recordings.len());
    let vocabulary = fs::read_to_string(manifest.file(&dir, "vocabulary").unwrap()).unwrap();
    let pieces: Vec<String> =
        vocabulary.lines().map(|line| line.rsplit_once(' ').unwrap().0.replace('▁', " ")).collect();
    // For attention the first token comes after wait_k chunks, and there is only one.
    let wait_k = kind.ends_with("aed").then_some(1);
    let settings = Settings { chunk_ms: Some(30_000), wait_k, ..Settings::default() };
    let mut recognizer = load(runtime, &dir, &manifest, Device::Cpu { threads: 1 }, &settings).unwrap();
    let mut total = 0;
    for (recording, wanted) in recordings.iter().zip(theirs) {
        let pcm = samples(recording);
        assert!(pcm.len() < 30 * 16_000, "{}: longer than a chunk can be", recording.display());
        recognizer.begin(SamplePos(0), &[]);
        recognizer.feed(&pcm);
        let ours = recognizer.finish().unwrap().tokens;
        let ours: Vec<&str> = ours.iter().map(|id| pieces[*id as usize].as_str()).collect();
        assert_eq!(ours, wanted, "{} of {model}", recording.display());
        total += ours.len();
    }
    note(&format!("{model}: {total} tokens of {} recordings are onnx-asr's", recordings.len()));
    assert!(total > 30, "only {total} tokens were compared");
}

/// The model's files as onnx-asr wants them named.
fn layout(dir: &Path, manifest: &Manifest, kind: &str, mels: u32) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let names = [
        ("encoder", if kind.ends_with("ctc") { "model.onnx" } else { "encoder-model.onnx" }),
        ("decoder_joint", "decoder_joint-model.onnx"),
        ("decoder", "decoder-model.onnx"),
        ("vocabulary", "vocab.txt"),
    ];
    for (role, name) in names {
        if let Ok(file) = manifest.file(dir, role) {
            fs::copy(file, folder.path().join(name)).unwrap();
        }
    }
    let config = format!(
        "{{\"model_type\": \"{kind}\", \"features_size\": {mels}, \"subsampling_factor\": 8, \"max_sequence_length\": 512}}"
    );
    fs::write(folder.path().join("config.json"), config).unwrap();
    folder
}

/// The one ONNX Runtime of the test process, or `None` after saying what is missing.
fn runtime() -> Option<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    programs::runtime().map(|path| RUNTIME.get_or_init(|| Runtime::open(&path).unwrap()))
}

/// A Python with onnx-asr, or `None` after saying that there is none.
fn python() -> Option<PathBuf> {
    let python = std::env::var_os("SWICTATION_PYTHON").map_or("python3".into(), PathBuf::from);
    let works = Command::new(&python).args(["-c", "import onnx_asr"]).output();
    need("the Python module onnx_asr", works.is_ok_and(|ran| ran.status.success())).then_some(python)
}

fn recordings() -> Option<Vec<PathBuf>> {
    let mut all = vec![programs::recording("beckett.wav")?];
    let more = std::env::var_os("SWICTATION_COMPARE").unwrap_or_default();
    all.extend(std::env::split_paths(&more).filter(|path| !path.as_os_str().is_empty()));
    Some(all)
}

/// A copy in `folder` that ends with an encoder frame.
fn whole_frames(file: &Path, folder: &Path) -> PathBuf {
    const FRAME: u32 = 1280;
    let copy = folder.join(file.file_name().unwrap());
    let mut reader = hound::WavReader::open(file).unwrap();
    let (spec, whole) = (reader.spec(), reader.len() / FRAME * FRAME);
    let mut writer = hound::WavWriter::create(&copy, spec).unwrap();
    reader.samples::<i16>().take(whole as usize).for_each(|s| writer.write_sample(s.unwrap()).unwrap());
    writer.finalize().unwrap();
    copy
}

fn samples(file: &Path) -> Vec<f32> {
    let mut reader = hound::WavReader::open(file).unwrap();
    assert_eq!(reader.spec().sample_rate, 16_000, "{}", file.display());
    reader.samples::<i16>().map(|s| f32::from(s.unwrap()) / 32768.0).collect()
}
