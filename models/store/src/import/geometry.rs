//! How a model is fed: mel bins, frames, context, and what an attention decoder is
//! told.

use super::agree::Number;
use super::choose::Chosen;
use super::folder::{Folder, Graph};
use super::layout::Layout;
use super::streaming::cache_aware;
use super::vocabulary::Vocabulary;
use super::{Head, Wish, role, wrong};
use crate::StoreError;
use std::path::Path;
use swictation_onnx::Port;

/// How a model is fed.
pub(super) struct Geometry {
    /// The family in `model.toml`.
    pub(super) family: &'static str,
    pub(super) mels: u64,
    /// Whether each mel bin is normalised over what is heard.
    pub(super) per_feature: bool,
    pub(super) subsampling: u64,
    pub(super) kind: Kind,
    /// What was found and where, for a person.
    pub(super) facts: Vec<String>,
}

/// What the tables of a family say.
pub(super) enum Kind {
    /// `[streaming]`.
    CacheAware { left: u64, right: u64, pre_encode: u64, convolution: Option<u64> },
    /// `[buffered]`, and the durations of TDT.
    Buffered { chunk_ms: u64, right_ms: u64, durations: Vec<u32> },
    /// `[aed]`.
    Aed { attends: bool, prompt: Vec<String>, end: &'static str },
}

/// Ten minutes in the shortest frames; far more than any model hears.
pub(super) const MAX_FRAMES: u64 = 7500;

impl Geometry {
    /// Finds what can be found.
    pub(super) fn find(
        folder: &Folder,
        chosen: &Chosen,
        layout: &Layout,
        vocabulary: &Vocabulary,
        wish: &Wish,
        language: Option<&str>,
        assumed: &mut Vec<String>,
    ) -> Result<Geometry, StoreError> {
        let encoder = chosen.encoder(folder);
        let file = folder.at(&encoder.file);
        let durations = vocabulary.durations;
        if durations > 0 && layout.head == Some(Head::Rnnt) {
            let reason = format!(
                "says that this is an RNNT model, but {durations} durations are scored behind the tokens: it is a TDT model"
            );
            return Err(wrong(&folder.at("config.json"), reason));
        }
        if durations > 0 && chosen.streams {
            return Err(wrong(
                &file,
                "streams with caches and has a TDT decoder; that is not supported: caches go with CTC and RNNT",
            ));
        }
        let mut facts = Vec::new();
        let mels = mels(encoder, &file, layout)?;
        let subsampling = subsampling(encoder, &file, layout, wish, &mut facts, assumed)?;
        let per_feature = per_feature(encoder, &file, chosen, assumed)?;
        let (family, kind) = match chosen.head {
            Head::Aed => ("aed", aed(folder, chosen, vocabulary, language, assumed)?),
            head if chosen.streams => {
                let family = if head == Head::Ctc { "cache-aware-ctc" } else { "cache-aware-rnnt" };
                (family, cache_aware(encoder, &file, subsampling, wish, &mut facts, assumed)?)
            }
            Head::Ctc => ("buffered-ctc", buffered(encoder, &file, subsampling, &mut facts, assumed)?),
            Head::Rnnt | Head::Tdt => {
                let family = if durations > 0 { "buffered-tdt" } else { "buffered-rnnt" };
                let mut kind = buffered(encoder, &file, subsampling, &mut facts, assumed)?;
                if let Kind::Buffered { durations: all, .. } = &mut kind {
                    *all = self::durations(&file, durations, wish, assumed)?;
                }
                (family, kind)
            }
        };
        Ok(Geometry { family, mels, per_feature, subsampling, kind, facts })
    }

    /// Whether tokens come from an attention decoder.
    pub(super) fn is_aed(&self) -> bool {
        matches!(self.kind, Kind::Aed { .. })
    }
}

pub(super) fn dim(port: Option<&Port>, axis: usize) -> Option<u64> {
    port?.dims.as_ref()?.get(axis)?.fixed()
}

fn mels(encoder: &Graph, file: &Path, layout: &Layout) -> Result<u64, StoreError> {
    let input = role::signal(&encoder.header.inputs);
    let name = input.map_or("audio_signal", |port| &port.name);
    let told =
        Number::new(file, "the number of mel bins").told(dim(input, 1), format!("the shape of {name}"));
    let told =
        told.told(layout.mels, "features_size of config.json").metadata(encoder, "feat_dim")?.agreed()?;
    match told {
        Some((mels @ (80 | 128), _)) => Ok(mels),
        Some((mels, by)) => {
            Err(wrong(file, format!("takes {mels} mel bins by {by}; 80 and 128 are supported")))
        }
        None => Err(wrong(file, format!("leaves open how many mel bins it takes (tensor {name:?})"))),
    }
}

fn subsampling(
    encoder: &Graph,
    file: &Path,
    layout: &Layout,
    wish: &Wish,
    facts: &mut Vec<String>,
    assumed: &mut Vec<String>,
) -> Result<u64, StoreError> {
    // Only what is before the layers strides: two-dimensional convolutions over time
    // and mel bins, by the same in both.
    let convolutions = encoder.header.convolutions.iter();
    let mut strides = convolutions.filter_map(|(one, count)| match one.strides[..] {
        [by, _] if by > 1 => u32::try_from(*count).ok().and_then(|count| by.checked_pow(count)),
        _ => None,
    });
    let strides = strides.try_fold(1_u64, u64::checked_mul).filter(|by| *by > 1);
    let told = Number::new(file, "the subsampling")
        .told(strides, "the strides of its convolutions")
        .told(layout.subsampling, "subsampling_factor of config.json")
        .told(wish.subsampling, "--subsampling")
        .metadata(encoder, "subsampling_factor")?;
    match told.agreed()? {
        Some((by @ 1..=64, source)) => {
            facts.push(format!("{by} mel frames (10 ms) make an encoder frame ({source})"));
            Ok(by)
        }
        Some((by, source)) => {
            Err(wrong(file, format!("has a subsampling of {by} by {source}; 1 to 64 is possible")))
        }
        None => {
            assumed.push("subsampling = 8, as every FastConformer (--subsampling says otherwise)".into());
            Ok(8)
        }
    }
}

fn per_feature(
    encoder: &Graph,
    file: &Path,
    chosen: &Chosen,
    assumed: &mut Vec<String>,
) -> Result<bool, StoreError> {
    match encoder.header.metadata.get("normalize_type").map(String::as_str) {
        Some("" | "NA") => Ok(false),
        Some("per_feature") if chosen.streams => Err(wrong(
            file,
            "says normalize_type = \"per_feature\" in its metadata; that needs the whole audio and does not go with caches",
        )),
        Some("per_feature") => Ok(true),
        Some(other) => Err(wrong(
            file,
            format!("says normalize_type = {other:?} in its metadata; NA and per_feature are supported"),
        )),
        None if chosen.streams => {
            assumed.push("features are not normalised, as in every released cache-aware model".into());
            Ok(false)
        }
        None => {
            assumed.push("features are normalised per mel bin, as in every released offline model".into());
            Ok(true)
        }
    }
}

fn buffered(
    encoder: &Graph,
    file: &Path,
    subsampling: u64,
    facts: &mut Vec<String>,
    assumed: &mut Vec<String>,
) -> Result<Kind, StoreError> {
    let frames = |key: &'static str| {
        Ok::<_, StoreError>(Number::new(file, key).metadata(encoder, key)?.agreed()?.map(|(n, _)| n))
    };
    let trained =
        (frames("left_encoder_frames")?, frames("chunk_encoder_frames")?, frames("right_encoder_frames")?);
    let ms = |frames: u64| frames * subsampling * 10;
    let (chunk_ms, right_ms) = match trained {
        (left, Some(chunk @ 1..=MAX_FRAMES), Some(right @ 0..=MAX_FRAMES)) => {
            facts.push(format!("made for chunks of {} ms with {} ms behind them (metadata chunk_encoder_frames, right_encoder_frames)", ms(chunk), ms(right)));
            if let Some(left @ 1..=MAX_FRAMES) = left {
                facts.push(format!(
                    "made for {:.1} s of left context: context_seconds = {:.1} in config.toml",
                    ms(left) as f64 / 1e3,
                    ms(left) as f64 / 1e3
                ));
            }
            (ms(chunk), ms(right))
        }
        _ => {
            assumed.push("chunks of 2 s with 2 s behind them, as NeMo recommends (chunk_ms and wait_k of config.toml change it)".into());
            (2000, 2000)
        }
    };
    Ok(Kind::Buffered { chunk_ms, right_ms, durations: Vec::new() })
}

/// By how many frames each of the scored durations goes on.
fn durations(
    file: &Path,
    scored: usize,
    wish: &Wish,
    assumed: &mut Vec<String>,
) -> Result<Vec<u32>, StoreError> {
    match &wish.durations {
        Some(told) if told.len() != scored => Err(wrong(
            file,
            format!("is of a model that scores {scored} durations; --durations names {}", told.len()),
        )),
        Some(told) => Ok(told.clone()),
        None => {
            let all: Vec<u32> = (0..).take(scored).collect();
            if let Some(last) = all.last() {
                assumed.push(format!(
                    "durations = 0 to {last}, in order, as in every released TDT model (--durations says otherwise)"
                ));
            }
            Ok(all)
        }
    }
}

fn aed(
    folder: &Folder,
    chosen: &Chosen,
    vocabulary: &Vocabulary,
    language: Option<&str>,
    assumed: &mut Vec<String>,
) -> Result<Kind, StoreError> {
    let decoder = chosen.graph(folder, "decoder");
    let attends = decoder.is_some_and(|graph| role::port(&graph.header.outputs, &["xatt"]).is_some());
    // A language of several is none to write in.
    let language = language.filter(|code| !["mul", "und"].contains(code)).unwrap_or("en");
    let spoken = format!("<|{language}|>");
    // NeMo's prompt formats canary2 and canary, with their defaults.
    let second = [
        "<|startofcontext|>",
        "<|startoftranscript|>",
        "<|emo:undefined|>",
        &spoken,
        &spoken,
        "<|pnc|>",
        "<|noitn|>",
        "<|notimestamp|>",
        "<|nodiarize|>",
    ];
    let first = ["<|startoftranscript|>", &spoken, "<|transcribe|>", &spoken, "<|pnc|>"];
    let lacks =
        |prompt: &[&str]| prompt.iter().find(|piece| !vocabulary.has(piece)).map(|piece| (*piece).to_owned());
    let (mut prompt, format) = match (lacks(&second), lacks(&first)) {
        (None, _) => (Vec::from(second.map(str::to_owned)), "canary2"),
        (_, None) => (Vec::from(first.map(str::to_owned)), "canary"),
        (Some(piece), _) => {
            let hint = if piece == spoken { "; --language names another language" } else { "" };
            return Err(wrong(
                &vocabulary.source,
                format!("has no piece {piece:?}, which the prompt of a Canary model needs{hint}"),
            ));
        }
    };
    // The tokenizer of the second format begins every text with this piece.
    if format == "canary2" && vocabulary.has("▁") {
        prompt.insert(0, "▁".into());
    }
    let end = "<|endoftext|>";
    if !vocabulary.has(end) {
        return Err(wrong(&vocabulary.source, format!("has no piece {end:?}, which ends a transcript")));
    }
    assumed.push(format!(
        "the prompt is NeMo's {format} for {language} with punctuation ([aed] prompt of model.toml changes it)"
    ));
    Ok(Kind::Aed { attends, prompt, end })
}
