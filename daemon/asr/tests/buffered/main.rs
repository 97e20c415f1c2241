//! The buffered families on toy models: parity with NeMo's left-chunk-right
//! inference (`speech_to_text_streaming_infer_rnnt.py`), and models that do not fit.
//!
//! The goldens are of toy models that were fitted to two recordings
//! (models/README.md) and heard whole clips only, so the windowed text is poor;
//! what counts is that it is NeMo's, token for token and step for step.

#![cfg(test)]

mod faults;
mod golden;
mod second;

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use swictation_asr::graph::{Device, Runtime};
use swictation_asr::manifest::Manifest;
use swictation_asr::{AsrError, Recognizer, Settings, load};
use swictation_tests::programs;

/// What NeMo gave.
#[derive(Deserialize)]
pub(crate) struct Golden {
    pub(crate) tokens: Vec<u32>,
    pub(crate) frames: Vec<u32>,
    pub(crate) text: String,
    /// The tokens of every step.
    pub(crate) steps: Vec<Vec<u32>>,
}

/// The goldens of a toy model, by `clip.left-chunk-right` in seconds.
pub(crate) fn goldens(model: &str) -> BTreeMap<String, Golden> {
    let text = std::fs::read_to_string(programs::toy(model).join("golden.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The one ONNX Runtime of the test process, or `None` after saying what is missing.
pub(crate) fn runtime() -> Option<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    programs::runtime().map(|path| RUNTIME.get_or_init(|| Runtime::open(&path).unwrap()))
}

/// Opens the model in `dir`.
pub(crate) fn open(dir: &Path, settings: &Settings) -> Result<Box<dyn Recognizer>, AsrError> {
    let runtime = runtime().expect("asked for before");
    load(runtime, dir, &Manifest::read(dir)?, Device::Cpu { threads: 1 }, settings)
}

/// The samples of a clip, or `None` after saying what is missing.
pub(crate) fn recording(clip: &str) -> Option<Vec<f32>> {
    let mut reader = hound::WavReader::open(programs::recording(&format!("{clip}.wav"))?).unwrap();
    assert_eq!(reader.spec().sample_rate, 16_000);
    Some(reader.samples::<i16>().map(|s| f32::from(s.unwrap()) / 32768.0).collect())
}

/// A copy of a toy model in a folder of its own, whose `model.toml` is edited.
pub(crate) fn edited(model: &str, edit: impl Fn(&str) -> String) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join(model);
    std::fs::create_dir(&dir).unwrap();
    for entry in std::fs::read_dir(programs::toy(model)).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, dir.join(path.file_name().unwrap())).unwrap();
    }
    std::fs::copy(programs::toy("vocab.txt"), folder.path().join("vocab.txt")).unwrap();
    let manifest = dir.join("model.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let changed = edit(&text);
    assert_ne!(text, changed, "the edit changes something");
    std::fs::write(manifest, changed).unwrap();
    (folder, dir)
}
