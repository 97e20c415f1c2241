//! The toy model, its goldens and the recordings they were made of.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use swictation_asr::aed::Aed;
use swictation_asr::graph::{Device, Runtime, runtime_path};
use swictation_asr::manifest::Manifest;
use swictation_asr::{AsrError, Belief, Recognizer, Settings};
use swictation_core::Word;
use swictation_tests::{need, programs};

const CPU: Device = Device::Cpu { threads: 1 };

/// The two recordings behind the goldens.
pub(crate) const CLIPS: [&str; 2] = ["beckett", "two_cities_28s"];

/// A folder or file of `models/toy`.
pub(crate) fn toy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/toy").join(name)
}

/// The one ONNX Runtime of the test process, or `None` after saying what is missing.
pub(crate) fn runtime() -> Option<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let path = runtime_path();
    need("ONNX Runtime", path.exists()).then(|| RUNTIME.get_or_init(|| Runtime::open(&path).unwrap()))
}

/// Opens the model in `dir`.
pub(crate) fn open(dir: &Path, settings: &Settings) -> Result<Aed, AsrError> {
    load(dir, &Manifest::read(dir)?, settings)
}

/// Opens the files in `dir` as `manifest` says.
pub(crate) fn load(dir: &Path, manifest: &Manifest, settings: &Settings) -> Result<Aed, AsrError> {
    Aed::load(runtime().expect("asked for before"), dir, manifest, CPU, settings)
}

/// What NeMo's own loop gave.
#[derive(Deserialize)]
pub(crate) struct Golden {
    pub(crate) tokens: Vec<u32>,
    /// Encoder frames heard when a token came out; only AlignAtt fills them in.
    #[serde(default)]
    pub(crate) alignment: Vec<u64>,
    pub(crate) text: String,
    #[serde(default)]
    pub(crate) steps: Vec<GoldenStep>,
}

/// One step of it.
#[derive(Deserialize)]
pub(crate) struct GoldenStep {
    /// The new audio: first sample and the one after the last.
    pub(crate) samples: (usize, usize),
    pub(crate) new_tokens: Vec<u32>,
}

/// The goldens, by `clip.folder`.
pub(crate) fn goldens() -> BTreeMap<String, Golden> {
    serde_json::from_str(&std::fs::read_to_string(toy("aed/golden.json")).unwrap()).unwrap()
}

/// The samples of a clip, or `None` after saying what is missing.
pub(crate) fn recording(clip: &str) -> Option<Vec<f32>> {
    let file = programs::recording(&format!("{clip}.wav"))?;
    let mut reader = hound::WavReader::open(file).unwrap();
    assert_eq!(reader.spec().sample_rate, 16_000);
    Some(reader.samples::<i16>().map(|s| f32::from(s.unwrap()) / 32768.0).collect())
}

/// All the steps there are.
pub(crate) fn steps(model: &mut Aed) -> Vec<Belief> {
    std::iter::from_fn(|| model.step().unwrap()).collect()
}

/// The last steps of an utterance and its end, which must have no tokens left.
pub(crate) fn end(model: &mut Aed) -> Vec<Belief> {
    model.end();
    let mut beliefs = steps(model);
    beliefs.push(model.finish().unwrap());
    assert!(beliefs.last().unwrap().tokens.is_empty(), "the steps had left tokens");
    beliefs
}

/// The words that became frozen, one after the other.
pub(crate) fn frozen(beliefs: &[Belief]) -> Vec<Word> {
    beliefs.iter().flat_map(|belief| belief.words[..belief.frozen].to_vec()).collect()
}

/// Their text.
pub(crate) fn text(beliefs: &[Belief]) -> String {
    frozen(beliefs).iter().map(|word| word.text.clone()).collect::<Vec<_>>().join(" ")
}
