//! Where a `model.toml` goes, so that the model is found by its name.
//!
//! It is written beside the files, and a link among the models leads there: what a
//! person has is not copied, and what they do with their folder shows here. Where
//! nothing can be written, the model gets a folder among the models, with a link
//! `files` to the folder that is read-only. A link of the whole folder is used and not
//! one for each file: ONNX Runtime looks for weights beside the file it was given, and
//! refuses those that turn out to lie elsewhere.

use super::{Found, wrong};
use crate::installed::SUMS;
use crate::places::{clear, make_folder, write};
use crate::sum::sha256_of;
use crate::{Places, StoreError};
use rustix::fs::{Access, access};
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// What stands before the names of files in a folder that only links to them.
const FILES: &str = "files";

/// How a model is entered.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// What an earlier import wrote is written anew.
    pub force: bool,
    /// Nothing is written into the folder, even where that is possible.
    pub link: bool,
}

/// What came of an import.
#[derive(Debug)]
pub struct Imported {
    /// The folder with the `model.toml`.
    pub folder: PathBuf,
    /// What else a person should know.
    pub notes: Vec<String>,
}

/// Writes the `model.toml` of a model that was recognised, and enters it among the
/// models; `tell` gets the name of each file before it is read whole for its sum.
///
/// # Errors
/// [`StoreError::Model`] when something else is there already, and what the file
/// system refuses. Then there is no new `model.toml`.
pub fn import(
    places: &Places,
    found: &Found,
    manner: Manner,
    tell: &mut dyn FnMut(&Path),
) -> Result<Imported, StoreError> {
    let Manner { force, link } = manner;
    let source = found.folder();
    let manifest = source.join("model.toml");
    if !force && fs::symlink_metadata(&manifest).is_ok() {
        return Err(wrong(
            &manifest,
            "is there already: the model can be used as it is (--model with its folder); --force writes it anew",
        ));
    }
    let _lock = places.lock()?;
    let entry = places.model(found.name());
    let is_here = entry.canonicalize().is_ok_and(|there| there == source);
    if !is_here {
        expect_free(&entry, source, force)?;
    }
    let mut notes = Vec::new();
    let writable = access(source, Access::WRITE_OK).is_ok();
    if writable && !link {
        write_beside(found, source, "", tell, force, &mut notes)?;
        if !is_here {
            make_folder(places.models())?;
            clear(&entry)?;
            symlink(source, &entry).map_err(|e| StoreError::local(&entry, "cannot be made", &e))?;
            notes.push(format!("{} leads to {}", entry.display(), source.display()));
        }
        return Ok(Imported { folder: source.to_path_buf(), notes });
    }
    if is_here {
        return Err(wrong(
            source,
            "cannot be written; it is the model's own folder, so there is no other place",
        ));
    }
    // Made aside and renamed: what is found by its name is whole.
    let work = places.fetching(found.name());
    clear(&work)?;
    make_folder(&work)?;
    let files = work.join(FILES);
    let made = symlink(source, &files).map_err(|e| StoreError::local(&files, "cannot be made", &e));
    let made = made
        .and_then(|()| write_beside(found, &work, &format!("{FILES}/"), tell, true, &mut notes))
        .and_then(|()| clear(&entry))
        .and_then(|_| {
            fs::rename(&work, &entry)
                .map_err(|e| StoreError::local(&entry, "cannot be put into its place", &e))
        });
    if made.is_err() {
        // What is left there would look like a model that is being fetched.
        let _ = clear(&work);
    }
    made?;
    let why = if writable { "is left as it is" } else { "cannot be written" };
    notes.push(format!("{} {why}: {} links to it", source.display(), entry.join(FILES).display()));
    Ok(Imported { folder: entry, notes })
}

/// The place of the name must be free, or hold an earlier import that may go.
fn expect_free(entry: &Path, source: &Path, force: bool) -> Result<(), StoreError> {
    let Ok(about) = fs::symlink_metadata(entry) else { return Ok(()) };
    let leads = |path: &Path| path.canonicalize().is_ok_and(|there| there == source);
    let link = about.is_symlink();
    let dangling = link && !entry.exists();
    let imported = fs::symlink_metadata(entry.join(FILES)).is_ok_and(|about| about.is_symlink());
    if dangling || force && (link || imported && leads(&entry.join(FILES))) {
        return Ok(());
    }
    let name = entry.file_name().unwrap_or_default().to_string_lossy();
    let reason = match imported && leads(&entry.join(FILES)) {
        true => "is this model, imported before; --force writes it anew".to_owned(),
        false => format!(
            "is another model; --name gives this one another name, `swictation model remove {name}` removes that one"
        ),
    };
    Err(wrong(entry, reason))
}

/// Writes vocabulary, sums and, last, `model.toml` into `folder`.
fn write_beside(
    found: &Found,
    folder: &Path,
    base: &str,
    tell: &mut dyn FnMut(&Path),
    force: bool,
    notes: &mut Vec<String>,
) -> Result<(), StoreError> {
    let mut sums = String::new();
    let mut sum = |path: String| -> Result<(), StoreError> {
        let place = folder.join(&path);
        tell(Path::new(&path));
        let sum = File::open(&place).and_then(sha256_of);
        let sum = sum.map_err(|e| StoreError::local(&place, "cannot be read", &e))?;
        sums += &format!("{sum}  {path}\n");
        Ok(())
    };
    for file in found.files() {
        sum(format!("{base}{}", file.display()))?;
    }
    if let Some((text, _)) = &found.vocabulary.made {
        let name = found.vocabulary_name();
        replace(&folder.join(&name), text)?;
        sum(name)?;
    }
    // Somebody's own sums, of these files or of others, are theirs.
    let place = folder.join(SUMS);
    if force || fs::symlink_metadata(&place).is_err() {
        replace(&place, &sums)?;
    } else {
        notes.push(format!("{} was there and stays; `swictation model verify` reads it", place.display()));
    }
    replace(&folder.join("model.toml"), &found.manifest(base))
}

/// Writes a whole file in the place of another.
fn replace(path: &Path, text: &str) -> Result<(), StoreError> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let new = path.with_file_name(name);
    clear(&new)?;
    write(&new, text)?;
    fs::rename(&new, path).map_err(|e| StoreError::local(path, "cannot be put into its place", &e))
}
