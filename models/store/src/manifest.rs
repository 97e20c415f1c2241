//! The part of a `model.toml` that the store reads; the recognizer checks the rest.

use serde::Deserialize;
use std::collections::BTreeMap;

/// What a `model.toml` says of the model and of its files.
#[derive(Clone, Debug, Deserialize)]
pub struct Manifest {
    /// The name people see.
    pub name: String,
    /// How the files work together.
    pub family: String,
    /// The code of its language; `mul` for several.
    pub language: String,
    /// Of the weights, as an SPDX expression.
    pub licence: String,
    /// The data type of most weights.
    pub precision: String,
    /// Role to file.
    pub files: BTreeMap<String, Role>,
}

/// The file of a role.
#[derive(Clone, Debug, Deserialize)]
pub struct Role {
    /// Relative to the `model.toml`.
    pub path: String,
    /// Lower-case hex.
    pub sha256: Option<String>,
}

impl Manifest {
    /// Reads the text of a `model.toml`.
    ///
    /// # Errors
    /// The line and what is wrong there.
    pub fn parse(text: &str) -> Result<Manifest, String> {
        toml::from_str(text).map_err(|e| explain(text, &e))
    }
}

/// "line 3: message", for a person who has the file open.
pub(crate) fn explain(text: &str, error: &toml::de::Error) -> String {
    match error.span() {
        Some(span) => format!("line {}: {}", line_of(text, span.start), error.message()),
        None => error.message().to_owned(),
    }
}

/// The line, counted from 1, that has this byte.
pub(crate) fn line_of(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|byte| *byte == b'\n').count() + 1
}
