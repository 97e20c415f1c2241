//! A file of which a part is there: the bytes so far, and beside them the ETag that
//! the server gave the file they are of.

use crate::StoreError;
use crate::places::{clear, create, make_parent, write};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// A file that is being fetched.
#[derive(Debug)]
pub(crate) struct Part {
    bytes: PathBuf,
    etag: PathBuf,
}

impl Part {
    /// The part of the file `name`, in the folder of parts.
    pub(crate) fn new(folder: &Path, name: &str) -> Part {
        let beside = |ending: &str| folder.join(format!("{name}.{ending}"));
        Part { bytes: beside("part"), etag: beside("etag") }
    }

    /// Where the bytes are.
    pub(crate) fn path(&self) -> &Path {
        &self.bytes
    }

    /// How many bytes are there.
    pub(crate) fn length(&self) -> u64 {
        fs::metadata(&self.bytes).map_or(0, |about| about.len())
    }

    /// The bytes that are there, and the ETag with which a server can be asked for
    /// the rest; none where there are no bytes, or none that a server would know.
    pub(crate) fn start(&self) -> Option<(u64, String)> {
        let etag = fs::read_to_string(&self.etag).ok().filter(|etag| is_strong(etag))?;
        Some((self.length(), etag)).filter(|(length, _)| *length > 0)
    }

    /// Opens it for the bytes that follow the first `length`, which are of the file
    /// with this ETag; without one it cannot go on later.
    pub(crate) fn open(&self, length: u64, etag: Option<&str>) -> Result<File, StoreError> {
        make_parent(&self.bytes)?;
        let local = |e: io::Error| StoreError::local(&self.bytes, "cannot be written", &e);
        if length == 0 {
            // Old bytes must not be taken for those of the file with the new ETag.
            clear(&self.etag)?;
        }
        let mut file = create(&self.bytes).map_err(local)?;
        if file.metadata().map_err(local)?.is_file() {
            file.set_len(length).and_then(|()| file.seek(SeekFrom::End(0))).map_err(local)?;
        }
        if let Some(etag) = etag.filter(|etag| is_strong(etag)) {
            write(&self.etag, etag)?;
        }
        Ok(file)
    }

    /// Forgets the bytes.
    pub(crate) fn discard(&self) -> Result<(), StoreError> {
        clear(&self.etag)?;
        clear(&self.bytes).map(drop)
    }

    /// Moves the whole file to its place.
    pub(crate) fn finish(&self, place: &Path) -> Result<(), StoreError> {
        make_parent(place)?;
        fs::rename(&self.bytes, place).map_err(|e| {
            let from = Path::new(self.bytes.file_name().unwrap_or(OsStr::new("")));
            StoreError::local(place, &format!("cannot be made of {}", from.display()), &e)
        })?;
        clear(&self.etag).map(drop)
    }
}

/// Whether an ETag names exactly these bytes: only then may a rest be asked for.
fn is_strong(etag: &str) -> bool {
    etag.len() > 2 && etag.starts_with('"') && etag.ends_with('"')
}
