//! What can go wrong with the store, in sentences for a person.

use std::io;
use std::path::Path;

/// Why something was not done. The text says what failed, with which file or value,
/// and what to do; the variant is for an exit code.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A catalogue cannot be used.
    #[error("{0}")]
    Catalogue(String),
    /// This is no name of a model.
    #[error("{0}")]
    Name(String),
    /// There is no such model, here or in the catalogue.
    #[error("{0}")]
    Absent(String),
    /// Files are there and not what they should be.
    #[error("{0}")]
    Damaged(String),
    /// Files are no model that is known here, or do not fit each other.
    #[error("{0}")]
    Model(String),
    /// The network, a server or what it sent.
    #[error("{0}")]
    Fetch(String),
    /// This machine's files or programs.
    #[error("{0}")]
    Local(String),
}

impl StoreError {
    /// A failure of the file system.
    pub(crate) fn local(path: &Path, what: &str, e: &io::Error) -> StoreError {
        StoreError::Local(format!("{} {what}: {e}", path.display()))
    }
}
