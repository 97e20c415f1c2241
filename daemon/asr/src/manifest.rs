//! `model.toml`: what a model says about itself.
//!
//! The loader believes this file and checks it against the graphs; it never
//! guesses from shapes or file names. An unknown key, family or version is an
//! error that names the file, the line and the key.

use crate::{AsrError, files};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The version of the manifest format this loader understands.
pub const VERSION: u32 = 1;

/// A parsed `model.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Format version, [`VERSION`].
    pub version: u32,
    /// The name people see in `status`.
    pub name: String,
    /// How the files work together.
    pub family: Family,
    /// Language code such as `en`.
    pub language: String,
    /// SPDX licence expression of the weights.
    pub licence: String,
    /// The data type of most weights, checked where the runtime tells it.
    pub precision: Precision,
    /// Role to file.
    pub files: BTreeMap<String, ModelFile>,
    /// Streaming geometry, for families whose graph fixes it.
    pub streaming: Option<Streaming>,
    /// Further exports of the same weights with other contexts, each an encoder.
    #[serde(default)]
    pub settings: Vec<Setting>,
    /// Tokens by which a cache-aware model says that an utterance is over.
    pub end_of_utterance: Option<EndOfUtterance>,
    /// The window of families that hear it anew at every step.
    pub buffered: Option<Buffered>,
    /// TDT: frames by which each duration score goes on.
    pub durations: Option<Vec<u32>>,
    /// Log-mel features, for families that compute them outside the graph.
    pub features: Option<Features>,
    /// How an attention decoder is made to stream.
    pub aed: Option<Aed>,
}

/// A known way of putting graphs together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// Attention encoder-decoder on raw audio, run in chunks over a ring.
    Moonshine,
    /// NeMo cache-aware streaming FastConformer with a CTC head.
    CacheAwareCtc,
    /// NeMo cache-aware streaming FastConformer with an RNNT head.
    CacheAwareRnnt,
    /// NeMo offline Conformer with a CTC head over a moving window.
    BufferedCtc,
    /// NeMo offline Conformer with an RNNT decoder over a moving window.
    BufferedRnnt,
    /// NeMo offline Conformer with a TDT decoder over a moving window.
    BufferedTdt,
    /// NeMo attention encoder-decoder (Canary), streamed by Wait-k or AlignAtt.
    Aed,
}

impl Family {
    /// The name in `model.toml` and in `status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Moonshine => "moonshine",
            Self::CacheAwareCtc => "cache-aware-ctc",
            Self::CacheAwareRnnt => "cache-aware-rnnt",
            Self::BufferedCtc => "buffered-ctc",
            Self::BufferedRnnt => "buffered-rnnt",
            Self::BufferedTdt => "buffered-tdt",
            Self::Aed => "aed",
        }
    }
}

/// The data type of most weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats.
    Fp32,
    /// 16-bit floats.
    Fp16,
    /// 8-bit integers with scales.
    Int8,
}

impl Precision {
    /// The name in `model.toml` and in `status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fp32 => "fp32",
            Self::Fp16 => "fp16",
            Self::Int8 => "int8",
        }
    }
}

/// One file of a model.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// Relative to the manifest, in its folder or the one above, see `files`.
    pub path: PathBuf,
    /// Lower-case hex; verified at load when present.
    pub sha256: Option<String>,
}

/// Geometry of a cache-aware graph, in NeMo's terms (`encoder.streaming_cfg`).
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Streaming {
    /// Left attention context in encoder frames (`att_context_size[0]`).
    pub left_frames: u32,
    /// Right attention context, the look-ahead, in encoder frames (`att_context_size[1]`).
    pub right_frames: u32,
    /// Mel frames of history each call carries (`pre_encode_cache_size[1]`).
    pub pre_encode_frames: u32,
    /// Mel frames per encoder frame.
    pub subsampling: u32,
    /// Encoder frames that the convolution cache holds (`conv_kernel_size` - 1), for
    /// graphs that leave it open in the shape and have no metadata.
    #[serde(default)]
    pub convolution_frames: Option<u32>,
}

impl Streaming {
    /// New mel frames per call.
    pub fn chunk_frames(&self) -> usize {
        (self.right_frames as usize + 1) * self.subsampling as usize
    }
    /// New audio per call in milliseconds; a mel frame is 10 ms.
    pub fn chunk_ms(&self) -> u32 {
        (self.right_frames + 1) * self.subsampling * 10
    }
    /// Left context in seconds.
    pub fn context_seconds(&self) -> f32 {
        (self.left_frames * self.subsampling) as f32 / 100.0
    }
    /// What cannot be a cache-aware model's geometry, in words.
    pub fn fault(&self) -> Option<String> {
        let Self { left_frames, right_frames, pre_encode_frames, subsampling, convolution_frames } = *self;
        if !(1..=64).contains(&subsampling) {
            return Some(format!("subsampling = {subsampling} is not between 1 and 64"));
        }
        // Ten minutes: far beyond any model, small enough to allocate.
        for (key, value) in [
            ("left_frames", left_frames),
            ("right_frames", right_frames),
            ("pre_encode_frames", pre_encode_frames),
            ("convolution_frames", convolution_frames.unwrap_or(0)),
        ] {
            if value > 7500 {
                return Some(format!("{key} = {value} is more than ten minutes"));
            }
        }
        (left_frames % (right_frames + 1) != 0).then(|| {
            format!("left_frames = {left_frames} is no multiple of right_frames + 1 = {}", right_frames + 1)
        })
    }
}

/// Another setting of a cache-aware model: its encoder exported with another
/// `att_context_size`. All else is as in [`Streaming`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// Left attention context in encoder frames.
    pub left_frames: u32,
    /// Right attention context, the look-ahead, in encoder frames.
    pub right_frames: u32,
    /// The role of its encoder in `[files]`.
    pub encoder: String,
}

/// How a model says that an utterance is over (parakeet_realtime_eou_120m).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndOfUtterance {
    /// The pieces that say so; they are never typed.
    pub pieces: Vec<String>,
    /// The predictor begins anew behind such a piece. A model is trained on single
    /// utterances and has seen nothing follow it.
    #[serde(default = "yes")]
    pub reset_decoder: bool,
}

fn yes() -> bool {
    true
}

/// The moving window of an offline encoder; what the settings do not say.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Buffered {
    /// Mel frames per encoder frame.
    pub subsampling: u32,
    /// New audio per step.
    pub chunk_ms: u32,
    /// Audio behind the chunk that is heard before its words are believed.
    pub right_ms: u32,
}

/// How an attention decoder streams, in NeMo's terms (`AEDStreamingDecodingConfig`).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aed {
    /// Mel frames (10 ms) per encoder frame.
    pub subsampling: u32,
    /// New audio per step (`chunk_secs`), rounded down to encoder frames.
    pub chunk_ms: u32,
    /// Audio that the encoder hears in advance (`right_context_secs`), rounded likewise.
    pub right_ms: u32,
    /// Which rule says when a token may come out (`streaming_policy`).
    pub policy: Policy,
    /// Chunks to hear before the first token (`waitk_lagging`), for both policies.
    pub wait_k: u32,
    /// AlignAtt: encoder frames that must follow the one a token attends to (`alignatt_thr`).
    pub alignatt_frames: u32,
    /// Pieces that the decoder begins with: task, languages, punctuation and the like.
    pub prompt: Vec<String>,
    /// The piece that ends a transcript.
    pub end: String,
}

/// When the token of an attention decoder may come out before all audio is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Policy {
    /// One token per chunk, after the first few.
    #[serde(rename = "wait-k")]
    WaitK,
    /// Tokens that attend to audio far enough from the newest.
    #[serde(rename = "alignatt")]
    AlignAtt,
}

/// Log-mel features, in NeMo's terms (`AudioToMelSpectrogramPreprocessor`).
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Features {
    /// Mel bins.
    pub mels: u32,
    /// Normalisation over the utterance.
    pub normalize: Normalize,
}

/// How features are normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalize {
    /// Not at all, as every cache-aware model.
    None,
    /// Mean and deviation of each bin over the utterance.
    PerFeature,
}

impl Manifest {
    /// Reads and checks `dir/model.toml` and the presence and hashes of its files.
    ///
    /// # Errors
    /// `Model` naming the file, and the line or the role that is wrong.
    pub fn read(dir: &Path) -> Result<Self, AsrError> {
        let file = dir.join("model.toml");
        let fail = |file: &Path, reason: String| AsrError::Model { file: file.to_path_buf(), reason };
        let text = files::read_text(&file, files::MANIFEST).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => fail(
                &file,
                "there is no model here; ./scripts/run fetches the default model, `model` in config.toml or --model names another folder".to_owned(),
            ),
            _ => fail(&file, format!("cannot be read: {e}")),
        })?;
        let manifest: Self = toml::from_str(&text).map_err(|e| fail(&file, toml_error(&text, &e)))?;
        if manifest.version != VERSION {
            let reason = format!(
                "version = {} is not known here; this program reads version {VERSION}",
                manifest.version
            );
            return Err(fail(&file, reason));
        }
        let caches = matches!(manifest.family, Family::CacheAwareCtc | Family::CacheAwareRnnt);
        let unfit = match () {
            () if caches => None,
            () if !manifest.settings.is_empty() => Some("[[settings]]"),
            () => manifest.end_of_utterance.as_ref().map(|_| "[end_of_utterance]"),
        };
        if let Some(table) = unfit {
            let reason = format!("{table} does not go with family {}", manifest.family.as_str());
            return Err(fail(&file, reason));
        }
        for (role, entry) in &manifest.files {
            // A gigabyte that is not used need not be read: see `verify`.
            let chosen_later = manifest.settings.iter().any(|setting| setting.encoder == *role);
            manifest.check_file(dir, role, entry, !chosen_later)?;
        }
        Ok(manifest)
    }

    /// Checks the hash of the file with a role, which [`Manifest::read`] leaves out for
    /// the encoders of `[[settings]]`.
    ///
    /// # Errors
    /// `Model` naming the file.
    pub fn verify(&self, dir: &Path, role: &str) -> Result<(), AsrError> {
        self.files.get(role).map_or(Ok(()), |entry| self.check_file(dir, role, entry, true))
    }

    /// The path of the file with a role.
    pub fn file(&self, dir: &Path, role: &str) -> Result<PathBuf, AsrError> {
        let entry = self.files.get(role).ok_or_else(|| AsrError::Model {
            file: dir.join("model.toml"),
            reason: format!("family {} needs a file with the role {role:?} in [files]", self.family.as_str()),
        })?;
        Ok(dir.join(&entry.path))
    }

    fn check_file(&self, dir: &Path, role: &str, entry: &ModelFile, hash: bool) -> Result<(), AsrError> {
        let path = dir.join(&entry.path);
        let fail = |reason: String| AsrError::Model { file: path.clone(), reason };
        files::expect_inside(dir, &entry.path).map_err(|why| fail(format!("[files] {role}: {why}")))?;
        let mut file =
            File::open(&path).map_err(|e| fail(format!("[files] {role}: cannot be opened: {e}")))?;
        let Some(wanted) = entry.sha256.as_ref().filter(|_| hash) else { return Ok(()) };
        let found = sha256(&mut file).map_err(|e| fail(format!("[files] {role}: cannot be read: {e}")))?;
        if found != *wanted {
            return Err(fail(format!(
                "[files] {role}: sha256 is {found}, model.toml says {wanted}; the file is damaged or incomplete: fetch the model again"
            )));
        }
        Ok(())
    }
}

/// "line 3: message", for a person who has the file open.
fn toml_error(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map(|s| text[..s.start.min(text.len())].matches('\n').count() + 1);
    match line {
        Some(line) => format!("line {line}: {}", error.message()),
        None => error.message().to_owned(),
    }
}

fn sha256(file: &mut File) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0u8; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect()),
            n => hash.update(&buffer[..n]),
        }
    }
}
