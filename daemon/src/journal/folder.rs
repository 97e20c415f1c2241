//! Where the files of a journal are, and how one is made that nobody else reads.

use crate::settings;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use swictation_core::config::Recovery;

/// Where a journal is kept, or why nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The folder; none when no journal is wanted.
    pub(super) folder: Option<Result<PathBuf, String>>,
    /// What is written is brought onto the disk about every second.
    pub(super) lasting: bool,
}

/// Where the configuration wants it.
///
/// Without a runtime folder `memory` has no place: the folders that everybody may
/// write to could be prepared by somebody else, and what was said is not put onto a
/// disk unasked.
pub fn place(recovery: Recovery) -> Place {
    let missing = || {
        "XDG_RUNTIME_DIR names no folder; log in through a desktop or systemd, or set recovery = \"disk\" \
         or \"off\" in config.toml"
            .to_owned()
    };
    match recovery {
        Recovery::Off => Place { folder: None, lasting: false },
        Recovery::Memory => Place { folder: Some(in_memory().ok_or_else(missing)), lasting: false },
        Recovery::Disk => Place { folder: Some(Ok(settings::state_dir())), lasting: true },
    }
}

/// Every folder where an earlier daemon can have left something.
pub fn places() -> Vec<PathBuf> {
    in_memory().into_iter().chain([settings::state_dir()]).collect()
}

fn in_memory() -> Option<PathBuf> {
    let folder = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_absolute());
    folder.map(|folder| folder.join("swictation"))
}

/// Makes the folder if need be, and makes sure that it is ours alone.
pub(super) fn prepare(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let about = fs::symlink_metadata(folder)?;
    // SAFETY: it reads a number and cannot fail.
    if !about.is_dir() || about.uid() != unsafe { libc::geteuid() } {
        return Err(io::Error::other("it is a link, or belongs to somebody else"));
    }
    if about.mode() & 0o077 != 0 {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Makes a file that was not there, and holds it as long as it is open.
pub(super) fn create(path: &Path) -> io::Result<File> {
    loop {
        let mut options = OpenOptions::new();
        let file =
            options.write(true).create_new(true).mode(0o600).custom_flags(libc::O_NOFOLLOW).open(path)?;
        // Whoever looks for leftovers can find the file before it is held, and take it
        // away: then there is room for another one of that name.
        if file.try_lock().is_ok() && file.metadata()?.nlink() > 0 {
            return Ok(file);
        }
        match fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
}
