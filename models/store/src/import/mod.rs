//! `model.toml` for a model that people have already.
//!
//! What a model is comes from its files: the tensors of its graphs, the bounds and
//! strides in them, what its exporter wrote beside them. Where two of these say
//! the same thing they must agree; what nothing says is either what every released
//! model has, and is then named as assumed, or is asked for. Nothing is concluded
//! from how large a file is or what it is called, but for telling copies of a graph
//! from each other.

mod agree;
mod card;
mod choose;
mod explain;
mod folder;
mod geometry;
mod layout;
mod place;
mod role;
mod streaming;
mod tokenizer;
mod vocabulary;

pub(crate) use folder::{percent, shares};
pub use place::{Imported, Manner, import};

use crate::StoreError;
use choose::Chosen;
use folder::Folder;
use geometry::Geometry;
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use vocabulary::Vocabulary;

/// What a person says of the model that its files do not.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// What it is to be called; else as its folder.
    pub name: Option<String>,
    /// The code of its language; an attention decoder is told to write it.
    pub language: Option<String>,
    /// Of the weights, as an SPDX expression.
    pub licence: Option<String>,
    /// Which of several copies of a graph.
    pub precision: Option<Precision>,
    /// Which of several decoders.
    pub head: Option<Head>,
    /// A vocabulary or tokenizer that is not in the folder, or one of several.
    pub vocabulary: Option<PathBuf>,
    /// `[streaming] left_frames`.
    pub left_frames: Option<u64>,
    /// `[streaming] right_frames`.
    pub right_frames: Option<u64>,
    /// Mel frames per encoder frame.
    pub subsampling: Option<u64>,
    /// TDT: encoder frames by which each duration goes on.
    pub durations: Option<Vec<u32>>,
}

/// The data type of most weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floats.
    Fp32,
    /// 16-bit floats.
    Fp16,
    /// 8-bit integers with scales.
    Int8,
}

impl Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Precision::Fp32 => "fp32",
            Precision::Fp16 => "fp16",
            Precision::Int8 => "int8",
        })
    }
}

/// How tokens come from encoder frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// Connectionist temporal classification.
    Ctc,
    /// A transducer.
    Rnnt,
    /// A transducer that also scores durations.
    Tdt,
    /// An attention decoder.
    Aed,
}

impl Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Head::Ctc => "ctc",
            Head::Rnnt => "rnnt",
            Head::Tdt => "tdt",
            Head::Aed => "aed",
        })
    }
}

/// A model that was recognised.
pub struct Found {
    folder: Folder,
    name: String,
    layout: &'static str,
    chosen: Chosen,
    vocabulary: Vocabulary,
    geometry: Geometry,
    language: String,
    licence: String,
    /// What no file says.
    assumed: Vec<String>,
}

/// Finds out what the model in a folder is; nothing is written.
///
/// # Errors
/// [`StoreError::Model`] naming the file and the tensor that is missing, unknown, or
/// at odds with another; [`StoreError::Local`] for what cannot be read.
pub fn recognise(dir: &Path, wish: &Wish) -> Result<Found, StoreError> {
    let folder = Folder::read(dir)?;
    let name = match &wish.name {
        Some(name) => name.clone(),
        None => name_of(&folder.path),
    };
    crate::check_name(&name)?;
    let mut assumed = Vec::new();
    let layout = layout::recognise(&folder)?;
    let chosen = choose::choose(&folder, wish, layout.head)?;
    for graph in chosen.graphs(&folder) {
        graph.expect_beside(&folder)?;
    }
    chosen.expect_fit(&folder)?;
    let vocabulary = Vocabulary::find(&folder, &chosen, &layout, wish)?;
    let card = card::read(&folder);
    let language = wish.language.clone().or(card.language);
    let geometry =
        Geometry::find(&folder, &chosen, &layout, &vocabulary, wish, language.as_deref(), &mut assumed)?;
    let language = language.unwrap_or_else(|| {
        let language = if geometry.is_aed() { "en" } else { "und" };
        assumed.push(format!("language = {language:?} (no file says it; --language does)"));
        language.into()
    });
    let licence = wish.licence.clone().or(card.licence).unwrap_or_else(|| {
        assumed.push("licence = \"LicenseRef-unknown\" (no file says it; --licence does)".into());
        "LicenseRef-unknown".into()
    });
    Ok(Found { folder, name, layout: layout.name, chosen, vocabulary, geometry, language, licence, assumed })
}

/// The name of a folder as that of a model.
fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: String = name.chars().map(plain).collect();
    name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}

/// A file does not fit.
fn wrong(file: &Path, reason: impl Display) -> StoreError {
    StoreError::Model(format!("{} {reason}", file.display()))
}
