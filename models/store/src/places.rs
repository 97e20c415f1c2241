//! Where models, what is being fetched, and a person's own catalogue are.

use crate::StoreError;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

/// The folders that the store reads and writes.
#[derive(Clone, Debug)]
pub struct Places {
    models: PathBuf,
    catalogue: PathBuf,
    configuration: PathBuf,
}

impl Places {
    /// Those of the person who runs this, after the XDG base directories.
    pub fn own() -> Places {
        let base = |variable: &str, fallback: &str| {
            // The XDG specification has a relative path ignored.
            let set = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
            set.unwrap_or_else(|| std::env::home_dir().unwrap_or_else(|| "/".into()).join(fallback))
        };
        Places::below(&base("XDG_DATA_HOME", ".local/share"), &base("XDG_CONFIG_HOME", ".config"))
    }

    /// Those below other folders for data and for configuration.
    pub fn below(data: &Path, config: &Path) -> Places {
        Places {
            models: data.join("swictation/models"),
            catalogue: config.join("swictation/catalogue.toml"),
            configuration: config.join("swictation/config.toml"),
        }
    }

    /// A person's own catalogue, which need not exist.
    pub fn catalogue(&self) -> &Path {
        &self.catalogue
    }

    /// The daemon's configuration, which names a model and need not exist.
    pub fn configuration(&self) -> &Path {
        &self.configuration
    }

    /// The folder with the models.
    pub fn models(&self) -> &Path {
        &self.models
    }

    /// The folder of a model that is installed.
    pub fn model(&self, name: &str) -> PathBuf {
        self.models.join(name)
    }

    /// The folder of what is being fetched for a model. It is among the models, so
    /// that one rename installs even where their folder is a link to another disk;
    /// no model has a name with a dot before it.
    pub fn fetching(&self, name: &str) -> PathBuf {
        self.models.join(".fetching").join(name)
    }

    /// Keeps others from fetching and removing at the same time, until dropped.
    pub(crate) fn lock(&self) -> Result<Lock, StoreError> {
        let path = self.fetching(".lock");
        make_parent(&path)?;
        let file = create(&path).map_err(|e| StoreError::local(&path, "cannot be opened", &e))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock(file)),
            Err(fs::TryLockError::WouldBlock) => Err(StoreError::Local(
                "another `swictation model` fetches or removes a model: wait until it has ended".into(),
            )),
            Err(fs::TryLockError::Error(e)) => Err(StoreError::local(&path, "cannot be locked", &e)),
        }
    }
}

/// The store is this process's until this is dropped.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // To close the file would not do: a program that another thread is just
        // starting has inherited it, and would keep the lock until it is there.
        let _ = self.0.unlock();
    }
}

/// Refuses what is not the name of a model, above all what is a path.
///
/// # Errors
/// [`StoreError::Name`].
pub fn check_name(name: &str) -> Result<(), StoreError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || !name.chars().all(allowed)
    {
        return Err(StoreError::Name(format!(
            "{name:?} is no name of a model: names are letters, digits and `.`, `_`, `-`, with a letter or digit first; \
             `swictation model list` has them"
        )));
    }
    Ok(())
}

/// Whether a path stays in the folder that it is joined to.
pub(crate) fn stays_inside(path: &str) -> bool {
    let mut parts = Path::new(path).components().peekable();
    parts.peek().is_some() && !path.ends_with('/') && parts.all(|part| matches!(part, Component::Normal(_)))
}

/// Makes a folder, and those above it, that only this person may enter.
pub(crate) fn make_folder(path: &Path) -> Result<(), StoreError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|e| StoreError::local(path, "cannot be made", &e))
}

/// Makes the folder that a file is to be in.
pub(crate) fn make_parent(path: &Path) -> Result<(), StoreError> {
    path.parent().map_or(Ok(()), make_folder)
}

/// Opens a file of this person alone for writing; what is in it stays.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)
}

/// Writes a whole file of this person alone.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), StoreError> {
    make_parent(path)?;
    let written = create(path).and_then(|mut file| {
        file.set_len(0)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|e| StoreError::local(path, "cannot be written", &e))
}

/// Removes a file, a folder with all that is in it, or a link; false when nothing
/// is there.
pub(crate) fn clear(path: &Path) -> Result<bool, StoreError> {
    let done = match fs::symlink_metadata(path) {
        Ok(about) if about.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(e) => Err(e),
    };
    done.map(|()| true).map_err(|e| StoreError::local(path, "cannot be removed", &e))
}
