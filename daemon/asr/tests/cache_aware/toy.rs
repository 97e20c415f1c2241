//! The toy models, their goldens and the recordings they were made of.
//!
//! What is missing is reported by `swictation_tests::need`, never replaced.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use swictation_asr::cache_aware::CacheAware;
use swictation_asr::graph::{Device, Runtime, runtime_path};
use swictation_asr::manifest::Manifest;
use swictation_asr::{AsrError, Settings};

pub(crate) const CPU: Device = Device::Cpu { threads: 1 };

/// The two recordings behind the goldens.
pub(crate) const CLIPS: [&str; 2] = ["beckett", "two_cities_28s"];

/// The repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A folder or file of `models/toy`.
pub(crate) fn toy(name: &str) -> PathBuf {
    root().join("models/toy").join(name)
}

/// The one ONNX Runtime of the test process, or `None` after saying what is missing.
pub(crate) fn runtime() -> Option<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let path = runtime_path();
    swictation_tests::need("ONNX Runtime", path.exists())
        .then(|| RUNTIME.get_or_init(|| Runtime::open(&path).unwrap()))
}

/// Opens the model in `dir`.
pub(crate) fn open(dir: &Path, settings: &Settings) -> Result<CacheAware, AsrError> {
    let runtime = runtime().expect("asked for before");
    CacheAware::load(runtime, dir, &Manifest::read(dir)?, CPU, settings)
}

/// What NeMo's own streaming loop gave.
#[derive(Deserialize)]
pub(crate) struct Golden {
    pub(crate) tokens: Vec<u32>,
    pub(crate) frames: Vec<u32>,
    pub(crate) text: String,
    /// Mel frames in, encoder frames out, tokens so far.
    pub(crate) steps: Vec<(usize, usize, usize)>,
}

/// The goldens of a toy model, by `clip.head`.
pub(crate) fn goldens(model: &str) -> BTreeMap<String, Golden> {
    let text = std::fs::read_to_string(toy(model).join("golden.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// An array of numpy's with two dimensions, row-major.
pub(crate) struct Array {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) data: Vec<f32>,
}

impl Array {
    pub(crate) fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        let (header, body) = bytes[10..].split_at(length);
        let header = std::str::from_utf8(header).unwrap();
        assert!(header.contains("'<f4'") && header.contains("'fortran_order': False"), "{header}");
        let shape = header.split(['(', ')']).nth(1).unwrap();
        let mut shape = shape.split(',').map(|n| n.trim().parse::<usize>().unwrap());
        let (rows, columns) = (shape.next().unwrap(), shape.next().unwrap());
        let data = body.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        Self { rows, columns, data }
    }

    /// Column after column: the order in which a live stream gives them.
    pub(crate) fn by_columns(&self) -> Vec<f32> {
        let column = |c: usize| (0..self.rows).map(move |r| self.data[r * self.columns + c]);
        (0..self.columns).flat_map(column).collect()
    }
}

/// The log-mel frames that NeMo computed of a clip.
pub(crate) fn mel(clip: &str) -> Array {
    Array::read(&toy(&format!("mel80_{clip}.npy")))
}

/// Where speech data outside the repository may lie.
pub(crate) fn fixture(name: &str) -> Option<PathBuf> {
    let path = root().join("../shared/fixtures").join(name);
    swictation_tests::need(&format!("the fixture {name}"), path.exists()).then_some(path)
}

/// The samples of a clip, or `None` after saying what is missing.
pub(crate) fn recording(clip: &str) -> Option<Vec<f32>> {
    let file = format!("{clip}.wav");
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).unwrap_or_default();
    let places =
        [root().join("../shared/fixtures/audio").join(&file), data.join("swictation/speech").join(&file)];
    let found = places.iter().find(|path| path.exists());
    swictation_tests::need(&format!("the recording {file}"), found.is_some());
    let mut reader = hound::WavReader::open(found?).unwrap();
    assert_eq!(reader.spec().sample_rate, 16_000);
    Some(reader.samples::<i16>().map(|s| f32::from(s.unwrap()) / 32768.0).collect())
}

/// Numbers that look random and are the same on every machine.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// A number in `0..below`.
    pub(crate) fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % below
    }
}
