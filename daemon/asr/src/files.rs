//! Which files a model may consist of, and how much of them is taken into memory.
//!
//! A model comes from elsewhere. Its `model.toml` and its graphs name files, and a
//! name must not lead out of what was installed: not by `..`, not by an absolute
//! path, not by a link. Text is read whole, so its size is asked first.

use crate::AsrError;
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use swictation_onnx::Header;

/// The largest `model.toml`, in bytes.
pub(crate) const MANIFEST: u64 = 1 << 20;
/// The largest vocabulary: a hundred bytes for each of a quarter of a million pieces
/// would be unusual.
pub(crate) const VOCABULARY: u64 = 8 << 20;
/// The largest graph: protocol buffers end at two gigabytes. More weights lie in
/// files of their own.
const GRAPH: u64 = 1 << 31;

/// The link to the folder of an imported model, beside its `model.toml`.
const ELSEWHERE: &str = "files";

/// Checks that `path`, which a model in `dir` names, is a regular file of the model:
/// relative, with one `..` at its beginning at most, and after all links in the
/// model's folder or the one around it, which models may share. The cache of a hub
/// (`models--NAME/snapshots/REVISION` with links to `models--NAME/blobs`) is a
/// model's folder, too, and so is the one that `model import` finds read-only and
/// links as `files` beside the `model.toml` that it writes elsewhere.
///
/// # Errors
/// What is wrong, for a person.
pub(crate) fn expect_inside(dir: &Path, path: &Path) -> Result<(), String> {
    if path.is_absolute() {
        return Err("the path must be relative to model.toml".to_owned());
    }
    let mut parts = path.components().filter(|part| *part != Component::CurDir).peekable();
    parts.next_if_eq(&Component::ParentDir);
    if parts.peek().is_none() || !parts.all(|part| matches!(part, Component::Normal(_))) {
        return Err("the path leads out of the model: it takes one `..` at most, at its beginning".to_owned());
    }
    let opened = |e: std::io::Error| format!("cannot be opened: {e}");
    let real = dir.join(path).canonicalize().map_err(opened)?;
    let elsewhere = dir.join(ELSEWHERE);
    let imported = path.starts_with(ELSEWHERE) && elsewhere.is_symlink();
    let folder = if imported { elsewhere } else { dir.to_path_buf() }.canonicalize().map_err(opened)?;
    let blobs = folder.ancestors().find(|above| above.ends_with("snapshots"));
    let blobs = blobs.map(|snapshots| snapshots.with_file_name("blobs"));
    let around = folder.parent().unwrap_or(&folder).to_path_buf();
    if ![Some(around), blobs].into_iter().flatten().any(|root| real.starts_with(root)) {
        return Err(format!(
            "it is a link to {}, out of the model's folder: put the file itself here, or a link to the whole folder in this folder's place",
            real.display()
        ));
    }
    if !real.metadata().map_err(opened)?.is_file() {
        return Err("is no regular file".to_owned());
    }
    Ok(())
}

/// How many folders deep a model's folder is looked through for links, and how many
/// entries of each.
const DEPTH: usize = 3;
const ENTRIES: usize = 1000;

/// Where the files of the model in `dir` lie after all links: what a process must be
/// able to read that loads it, and of what is around the folder no more than the model
/// names and [`expect_inside`] allows. Nothing for a folder that is not there.
pub fn places(dir: &Path) -> Vec<PathBuf> {
    let Ok(folder) = dir.canonicalize() else { return Vec::new() };
    let mut found = vec![folder.clone()];
    // What has no manifest is no model, whatever links are in it.
    let Ok(manifest) = read_text(&folder.join("model.toml"), MANIFEST) else { return found };
    found.extend(linked(&folder, Path::new(""), DEPTH));
    // What is shared with models beside this one is named so, or it is not read.
    let shared = manifest.split("\"../").skip(1).chain(manifest.split("'../").skip(1));
    for name in shared.filter_map(|rest| rest.split(['"', '\'']).next()) {
        let path = Path::new("..").join(name);
        if expect_inside(&folder, &path).is_ok() {
            found.extend(folder.join(path).canonicalize());
        }
    }
    found
}

/// The files outside of the model in `dir` that links in its folder `below` lead to.
fn linked(dir: &Path, below: &Path, depth: usize) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(dir.join(below)).into_iter().flatten().flatten();
    for entry in entries.take(ENTRIES) {
        let path = below.join(entry.file_name());
        let full = dir.join(&path);
        if full.is_dir() && depth > 0 {
            found.extend(linked(dir, &path, depth - 1));
        } else if expect_inside(dir, &path).is_ok() {
            found.extend(full.canonicalize().ok().filter(|real| !real.starts_with(dir)));
        }
    }
    found
}

/// Reads a file of at most `limit` bytes.
///
/// # Errors
/// What is wrong, for a person; [`std::io::ErrorKind`] where the system said it.
pub(crate) fn read(path: &Path, limit: u64) -> std::io::Result<Vec<u8>> {
    // A pipe or a device would be waited for, or read, without end.
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(std::io::Error::other(format!("it has more than {limit} bytes, which no such file has")));
    }
    Ok(bytes)
}

/// Reads a text of at most `limit` bytes.
///
/// # Errors
/// As [`read`], and what is no UTF-8.
pub(crate) fn read_text(path: &Path, limit: u64) -> std::io::Result<String> {
    String::from_utf8(read(path, limit)?).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        std::io::Error::other(format!("it is no UTF-8 text from byte {at} on"))
    })
}

/// Checks what an ONNX file says before the runtime believes it: tensors that are as
/// large as their values, and values in no other files than the model's. Gives what it
/// says; nothing for ONNX Runtime's own format, which is not read here.
///
/// # Errors
/// `Model`, naming the tensor.
pub(crate) fn sound_header(path: &Path) -> Result<Option<Header>, AsrError> {
    let fail = |reason: String| AsrError::Model { file: path.to_path_buf(), reason };
    let about = std::fs::metadata(path).map_err(|e| fail(format!("cannot be opened: {e}")))?;
    if about.len() >= GRAPH {
        return Err(fail(format!(
            "it has {} bytes; a graph has less than 2 GiB, and more weights in files beside it",
            about.len()
        )));
    }
    if is_ort_format(path) {
        return Ok(None);
    }
    let header = Header::of_file(path).map_err(|e| fail(e.to_string()))?;
    let beside = header.external_files().map_err(|e| fail(e.to_string()))?;
    let dir = path.parent().unwrap_or(Path::new("."));
    for (file, end) in beside {
        let fail = |reason: String| AsrError::Model { file: dir.join(&file), reason };
        expect_inside(dir, &file).map_err(|why| fail(format!("weights of {}: {why}", path.display())))?;
        let length = std::fs::metadata(dir.join(&file)).map_or(0, |about| about.len());
        if length < end {
            return Err(fail(format!(
                "it has {length} bytes; the weights of {} go to byte {end}: it is damaged or incomplete",
                path.display()
            )));
        }
    }
    Ok(Some(header))
}

/// Whether a file is in ONNX Runtime's own format, which says so in its first bytes.
fn is_ort_format(path: &Path) -> bool {
    let mut head = [0; 8];
    File::open(path).and_then(|mut file| file.read_exact(&mut head)).is_ok() && head[4..] == *b"ORTM"
}

/// The beginning of a text, for a message.
pub(crate) fn clip(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// A models folder with a model, a file that models share, and one that is none of theirs.
    fn models() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("models/a");
        fs::create_dir_all(model.join("sub")).unwrap();
        for file in ["models/a/x", "models/a/sub/x", "models/vocab.txt", "secret"] {
            fs::write(folder.path().join(file), "text").unwrap();
        }
        (folder, model)
    }

    fn refused(dir: &Path, path: &str) -> String {
        expect_inside(dir, Path::new(path)).unwrap_err()
    }

    #[test]
    fn a_model_has_its_folder_and_what_is_shared_right_above_it() {
        let (_folder, model) = models();
        for path in ["x", "./x", "sub/x", "../vocab.txt", "./../vocab.txt"] {
            expect_inside(&model, Path::new(path)).unwrap();
        }
    }

    #[test]
    fn a_path_that_leads_out_is_refused_before_it_is_opened() {
        let (_folder, model) = models();
        for path in ["../../secret", "sub/../x", "../../../../etc/passwd", "..", ".", "", "../a/../x"] {
            assert!(refused(&model, path).contains("leads out"), "{path}");
        }
        assert!(refused(&model, "/etc/passwd").contains("must be relative"));
    }

    #[test]
    fn a_link_is_followed_as_far_as_the_models_folders_go() {
        let (folder, model) = models();
        symlink(folder.path().join("secret"), model.join("out")).unwrap();
        symlink("../vocab.txt", model.join("shared")).unwrap();
        assert!(refused(&model, "out").contains("is a link to"));
        expect_inside(&model, Path::new("shared")).unwrap();
        // The whole folder may be a link: it is what it leads to.
        symlink(&model, folder.path().join("linked")).unwrap();
        expect_inside(&folder.path().join("linked"), Path::new("../vocab.txt")).unwrap();
    }

    #[test]
    fn the_cache_of_a_hub_is_a_model() {
        let folder = tempfile::tempdir().unwrap();
        let (blobs, snapshot) = (folder.path().join("m/blobs"), folder.path().join("m/snapshots/1/onnx"));
        fs::create_dir_all(&blobs).unwrap();
        fs::create_dir_all(&snapshot).unwrap();
        fs::write(blobs.join("abc"), "text").unwrap();
        symlink("../../../blobs/abc", snapshot.join("x")).unwrap();
        expect_inside(&snapshot, Path::new("x")).unwrap();
    }

    #[test]
    fn a_folder_that_was_imported_where_it_is_is_a_model() {
        let (folder, model) = models();
        let imported = folder.path().join("models/b");
        fs::create_dir(&imported).unwrap();
        symlink(&model, imported.join("files")).unwrap();
        expect_inside(&imported, Path::new("files/x")).unwrap();
        symlink(folder.path().join("secret"), model.join("out")).unwrap();
        assert!(refused(&imported, "files/out").contains("is a link to"));
        symlink(folder.path(), imported.join("other")).unwrap();
        assert!(refused(&imported, "other/secret").contains("is a link to"));
    }

    #[test]
    fn the_places_of_a_model_are_its_folder_what_it_names_above_and_where_its_links_lead() {
        let (folder, model) = models();
        let real = |path: &str| folder.path().join(path).canonicalize().unwrap();
        fs::write(folder.path().join("models/other.txt"), "text").unwrap();
        fs::write(folder.path().join("models/weights"), "text").unwrap();
        fs::write(model.join("model.toml"), "v = { path = \"../vocab.txt\" }\ns = '../../secret'\n").unwrap();
        symlink("../weights", model.join("w")).unwrap();
        symlink(folder.path().join("secret"), model.join("out")).unwrap();
        let mut found = places(&model);
        found.sort();
        assert_eq!(found, [real("models/a"), real("models/vocab.txt"), real("models/weights")]);
        // Other names of the same folder are the same model.
        symlink(&model, folder.path().join("linked")).unwrap();
        for dir in [folder.path().join("linked"), model.join("../a/sub/..")] {
            assert_eq!(places(&dir).len(), 3, "{}", dir.display());
        }
        assert_eq!(places(&folder.path().join("nowhere")), Vec::<PathBuf>::new());
    }

    #[test]
    fn the_places_of_an_imported_model_and_of_a_hubs_cache_are_their_files() {
        let (folder, model) = models();
        let imported = folder.path().join("models/b");
        fs::create_dir(&imported).unwrap();
        fs::write(imported.join("model.toml"), "").unwrap();
        symlink(&model, imported.join("files")).unwrap();
        let found = places(&imported);
        assert!(found.contains(&model.join("x").canonicalize().unwrap()), "{found:?}");
        assert!(found.contains(&model.join("sub/x").canonicalize().unwrap()), "{found:?}");
        let (blobs, snapshot) = (folder.path().join("m/blobs"), folder.path().join("m/snapshots/1/onnx"));
        fs::create_dir_all(&blobs).unwrap();
        fs::create_dir_all(&snapshot).unwrap();
        for blob in ["abc", "other"] {
            fs::write(blobs.join(blob), "text").unwrap();
        }
        fs::write(snapshot.join("model.toml"), "").unwrap();
        symlink("../../../blobs/abc", snapshot.join("x")).unwrap();
        let found = places(&snapshot);
        assert!(found.contains(&blobs.join("abc").canonicalize().unwrap()), "{found:?}");
        assert!(!found.iter().any(|path| path.ends_with("other")), "{found:?}");
    }

    #[test]
    fn what_is_no_regular_file_is_not_waited_for() {
        let (_folder, model) = models();
        assert!(refused(&model, "sub").contains("no regular file"));
        assert!(refused(&model, "nowhere").contains("cannot be opened"));
        assert!(read(Path::new("/dev/zero"), 10).unwrap_err().to_string().contains("no regular file"));
    }

    #[test]
    fn a_text_that_is_too_long_is_refused_without_being_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1 << 40).unwrap();
        assert!(read_text(file.path(), 100).unwrap_err().to_string().contains("more than 100 bytes"));
        file.as_file().set_len(100).unwrap();
        assert_eq!(read_text(file.path(), 100).unwrap().len(), 100);
        fs::write(file.path(), b"ab\xff").unwrap();
        assert!(read_text(file.path(), 100).unwrap_err().to_string().contains("byte 2"));
    }
}
