//! The models that are there: which, whether they are as they were installed, and
//! how they go away.

use crate::import::{percent, shares};
use crate::places::{Places, check_name, clear, make_parent};
use crate::{Manifest, Role, StoreError, Sum};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::Path;
use swictation_onnx::Header;

/// What the files of an installed model hash to, in the format of `sha256sum`.
pub(crate) const SUMS: &str = "SHA256SUMS";

/// A model in the folder of models.
#[derive(Debug)]
pub struct Installed {
    /// The name of its folder.
    pub name: String,
    /// What its `model.toml` says, or why that cannot be read.
    pub manifest: Result<Manifest, String>,
    /// The bytes of all its files.
    pub size: u64,
}

/// What came of holding a model against its sums.
#[derive(Debug, PartialEq, Eq)]
pub struct Verified {
    /// How many files are right.
    pub right: usize,
    /// Files that `model.toml` needs and of which no sum is known.
    pub unknown: Vec<String>,
    /// What is wrong with the others, as sentences.
    pub faults: Vec<String>,
}

/// Every model that is there, by name. A folder without a `model.toml` is none.
///
/// # Errors
/// When the folder of models cannot be read; that it is missing is no error.
pub fn all(places: &Places) -> Result<Vec<Installed>, StoreError> {
    let local = |e| StoreError::local(places.models(), "cannot be read", &e);
    let entries = match fs::read_dir(places.models()) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(local(e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.map_err(local)?.file_name();
        if let Some(name) = name.to_str().filter(|name| check_name(name).is_ok()) {
            found.extend(one(places, name));
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// The model of that name, when it is there.
pub fn one(places: &Places, name: &str) -> Option<Installed> {
    let folder = places.model(name);
    let manifest = manifest(&folder)?;
    Some(Installed { name: name.into(), manifest, size: size(&folder) })
}

/// Reads every file of a model and compares it with what is known of it.
///
/// # Errors
/// [`StoreError::Name`] and [`StoreError::Absent`].
pub fn verify(places: &Places, name: &str) -> Result<Verified, StoreError> {
    check_name(name)?;
    let folder = places.model(name);
    let manifest = manifest(&folder).ok_or_else(|| absent(places, name))?;
    let mut verified = Verified { right: 0, unknown: Vec::new(), faults: Vec::new() };
    let mut sums = BTreeMap::new();
    match read_text(&folder.join(SUMS)) {
        Ok(text) => {
            for (n, line) in text.lines().enumerate() {
                match line.split_once("  ").and_then(|(sum, path)| Some((path.to_owned(), Sum::sha256(sum)?)))
                {
                    Some((path, sum)) => drop(sums.insert(path, sum)),
                    None => verified.faults.push(format!(
                        "{}, line {}: is not `SHA256  FILE`",
                        folder.join(SUMS).display(),
                        n + 1
                    )),
                }
            }
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => verified.faults.push(format!("{} cannot be read: {e}", folder.join(SUMS).display())),
    }
    match manifest {
        Err(reason) => verified.faults.push(format!("{}, {reason}", folder.join("model.toml").display())),
        // Where one made a model by hand, or scripts/setup did, there are no other sums.
        Ok(manifest) => {
            for (role, file) in manifest.files {
                match file.sha256.as_deref().map(Sum::sha256) {
                    Some(Some(sum)) => drop(sums.entry(file.path).or_insert(sum)),
                    Some(None) => verified.faults.push(format!(
                        "{}: [files] {role}: the sha256 is not 64 hex digits",
                        folder.join("model.toml").display()
                    )),
                    None if !sums.contains_key(&file.path) => verified.unknown.push(file.path),
                    None => {}
                }
            }
        }
    }
    for (path, wanted) in sums {
        let place = folder.join(&path);
        match wanted.of_file_like(&place) {
            Ok(found) if found == wanted => verified.right += 1,
            Ok(found) => {
                verified.faults.push(format!("{}: has {found}, should have {wanted}", place.display()));
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                verified.faults.push(format!("{}: is missing", place.display()));
            }
            Err(e) => verified.faults.push(format!("{}: cannot be read: {e}", place.display())),
        }
    }
    Ok(verified)
}

/// What each graph of a model weighs by the types of its weights, as lines: the
/// types are read from the files, whatever these are called.
pub fn weights(places: &Places, name: &str) -> Vec<String> {
    let folder = places.model(name);
    let Some(Ok(manifest)) = manifest(&folder) else { return Vec::new() };
    let line = |(role, file): (&String, &Role)| {
        let shares = match Path::new(&file.path).extension()?.to_str()? {
            "onnx" => match Header::of_file(&folder.join(&file.path)) {
                Ok(header) => percent(&shares(&header)),
                Err(e) => format!("unknown: the file {e}"),
            },
            // ONNX Runtime's own format, for which there is no description to go by.
            "ort" => "unknown (ORT format)".into(),
            _ => return None,
        };
        Some(format!("{role}, {}: {shares}", file.path))
    };
    manifest.files.iter().filter_map(line).collect()
}

/// Removes a model, and what was fetched for it and is not installed yet.
///
/// # Errors
/// [`StoreError::Name`] for what is a path, [`StoreError::Absent`] for what is not
/// there.
pub fn remove(places: &Places, name: &str) -> Result<(), StoreError> {
    check_name(name)?;
    let (folder, work) = (places.model(name), places.fetching(name));
    let is_there = fs::symlink_metadata(&folder).is_ok();
    if !is_there && !work.exists() {
        return Err(absent(places, name));
    }
    let _lock = places.lock()?;
    clear(&work)?;
    if is_there {
        // Renamed first: nobody must load what is half removed.
        make_parent(&work)?;
        fs::rename(&folder, &work).map_err(|e| StoreError::local(&folder, "cannot be removed", &e))?;
        clear(&work)?;
    }
    Ok(())
}

/// That a model is not there, and which are.
pub fn absent(places: &Places, name: &str) -> StoreError {
    let installed = all(places).unwrap_or_default();
    let names: Vec<_> = installed.iter().map(|model| model.name.as_str()).collect();
    let has = if names.is_empty() { "no model".into() } else { names.join(", ") };
    StoreError::Absent(format!("{name} is not installed; {} has {has}", places.models().display()))
}

/// What the `model.toml` of a folder says; none where there is no such file.
fn manifest(folder: &Path) -> Option<Result<Manifest, String>> {
    match read_text(&folder.join("model.toml")) {
        Ok(text) => Some(Manifest::parse(&text)),
        Err(e) if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&e.kind()) => None,
        Err(e) => Some(Err(format!("cannot be read: {e}"))),
    }
}

/// Reads a text of a size that such a file can have: a model comes from elsewhere.
fn read_text(path: &Path) -> io::Result<String> {
    const LIMIT: u64 = 1 << 20;
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut text = String::new();
    fs::File::open(path)?.take(LIMIT + 1).read_to_string(&mut text)?;
    match text.len() as u64 {
        0..=LIMIT => Ok(text),
        _ => Err(io::Error::other(format!("it has more than {LIMIT} bytes, which no such file has"))),
    }
}

/// The bytes of all files in a folder.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let of = |entry: fs::DirEntry| match fs::metadata(entry.path()) {
        Ok(_) if entry.file_type().is_ok_and(|kind| kind.is_dir()) => size(&entry.path()),
        // An import links to the folder with its files. A link is followed no further:
        // it may lead back here.
        Ok(about) if about.is_dir() => {
            let linked = fs::read_dir(entry.path()).into_iter().flatten().flatten();
            let files = linked.filter_map(|entry| fs::metadata(entry.path()).ok());
            files.filter(|about| about.is_file()).map(|about| about.len()).sum()
        }
        Ok(about) if about.is_file() => about.len(),
        _ => 0,
    };
    entries.map(of).sum()
}
