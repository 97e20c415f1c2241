//! The ways in which people pass NeMo models on, told from each other by their files.

use super::folder::Folder;
use super::{Head, wrong};
use crate::StoreError;
use serde_json::Value;
use std::fs::File;
use std::io::Read;

/// A way in which the files of a model lie in a folder, and what it tells of them.
pub(super) struct Layout {
    /// For a person.
    pub(super) name: &'static str,
    /// Which decoder, where the layout says it.
    pub(super) head: Option<Head>,
    /// Mel bins.
    pub(super) mels: Option<u64>,
    /// Mel frames per encoder frame.
    pub(super) subsampling: Option<u64>,
    /// Where the vocabulary is, the likeliest first.
    pub(super) vocabularies: &'static [&'static str],
}

/// Files that may hold the vocabulary, in the order of how much they tell.
const VOCABULARIES: [&str; 4] = ["vocab.txt", "tokens.txt", "tokenizer.model", "tokenizer.json"];

/// What is read of a config.json; onnx-asr's has a hundred bytes.
const MAX_CONFIG: u64 = 1 << 20;

type Recogniser = fn(&Folder) -> Result<Option<Layout>, StoreError>;

/// The layout of a folder. The last one takes whatever graphs there are.
pub(super) fn recognise(folder: &Folder) -> Result<Layout, StoreError> {
    let known: [Recogniser; 4] = [onnx_asr, sherpa_onnx, parakeet_rs, nemo];
    for recogniser in known {
        if let Some(layout) = recogniser(folder)? {
            return Ok(layout);
        }
    }
    Err(wrong(&folder.path, "has files of no known layout"))
}

/// onnx-asr (istupakov): `config.json` with the type of the model, `vocab.txt`, graphs
/// named after their parts with `.int8` before the ending for copies in INT8.
fn onnx_asr(folder: &Folder) -> Result<Option<Layout>, StoreError> {
    if !folder.files.contains("config.json") {
        return Ok(None);
    }
    let file = folder.at("config.json");
    let mut text = Vec::new();
    let opened = File::open(&file).and_then(|file| file.take(MAX_CONFIG + 1).read_to_end(&mut text));
    opened.map_err(|e| StoreError::local(&file, "cannot be read", &e))?;
    if text.len() as u64 > MAX_CONFIG {
        return Err(wrong(&file, "has more than a megabyte; that is no configuration of a model"));
    }
    let config: Value =
        serde_json::from_slice(&text).map_err(|e| wrong(&file, format!("is no JSON: {e}")))?;
    let Some(kind) = config["model_type"].as_str().and_then(|kind| kind.strip_prefix("nemo-conformer-"))
    else {
        // Other programs have a config.json of their own.
        return Ok(None);
    };
    let head = match kind {
        "ctc" => Head::Ctc,
        "rnnt" => Head::Rnnt,
        "tdt" => Head::Tdt,
        "aed" => Head::Aed,
        other => {
            let reason = format!(
                "says model_type = \"nemo-conformer-{other}\"; ctc, rnnt, tdt and aed are known here"
            );
            return Err(wrong(&file, reason));
        }
    };
    let number = |key: &str| match &config[key] {
        Value::Null => Ok(None),
        value => value
            .as_u64()
            .map(Some)
            .ok_or_else(|| wrong(&file, format!("says {key} = {value}, which is no number"))),
    };
    let (mels, subsampling) = (number("features_size")?, number("subsampling_factor")?);
    let vocabularies = &VOCABULARIES[..1];
    Ok(Some(Layout { name: "onnx-asr (istupakov)", head: Some(head), mels, subsampling, vocabularies }))
}

/// sherpa-onnx: `tokens.txt`, and metadata in the encoder.
fn sherpa_onnx(folder: &Folder) -> Result<Option<Layout>, StoreError> {
    let wrote = |key: &str| folder.graphs.iter().any(|graph| graph.header.metadata.contains_key(key));
    let is = folder.files.contains("tokens.txt") && (wrote("vocab_size") || wrote("model_type"));
    const FIRST: &[&str] = &["tokens.txt", "vocab.txt"];
    Ok(is.then_some(plain("sherpa-onnx", FIRST)))
}

/// parakeet-rs, as it has Nemotron and Parakeet EOU: plain names, and the tokenizer as
/// it was.
fn parakeet_rs(folder: &Folder) -> Result<Option<Layout>, StoreError> {
    let has = |name: &str| folder.files.contains(name);
    let is =
        has("encoder.onnx") && has("decoder_joint.onnx") && (has("tokenizer.model") || has("tokenizer.json"));
    const FIRST: &[&str] = &["tokenizer.model", "tokenizer.json"];
    Ok(is.then_some(plain("parakeet-rs", FIRST)))
}

/// NeMo's `model.export("NAME.onnx")`: `encoder-NAME.onnx` and `decoder_joint-NAME.onnx`,
/// or one graph; the tokenizer is what the person put beside it.
fn nemo(_: &Folder) -> Result<Option<Layout>, StoreError> {
    Ok(Some(plain("NeMo's export", &VOCABULARIES)))
}

fn plain(name: &'static str, vocabularies: &'static [&'static str]) -> Layout {
    Layout { name, head: None, mels: None, subsampling: None, vocabularies }
}
