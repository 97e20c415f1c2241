//! One number that several places tell.

use super::folder::Graph;
use super::wrong;
use crate::StoreError;
use std::path::Path;

/// What is known of a number, with who said it.
pub(super) struct Number<'a> {
    file: &'a Path,
    what: &'static str,
    told: Vec<(u64, String)>,
}

impl<'a> Number<'a> {
    /// Nothing is known yet of what `what` names; `file` is whom to blame.
    pub(super) fn new(file: &'a Path, what: &'static str) -> Self {
        Number { file, what, told: Vec::new() }
    }

    /// Adds what a source says, if it says anything.
    pub(super) fn told(mut self, value: Option<u64>, source: impl Into<String>) -> Self {
        self.told.extend(value.map(|value| (value, source.into())));
        self
    }

    /// Adds what the exporter wrote beside the graph under `key`.
    pub(super) fn metadata(self, graph: &Graph, key: &str) -> Result<Self, StoreError> {
        let Some(text) = graph.header.metadata.get(key) else { return Ok(self) };
        let value = text.parse();
        let value = value.map_err(|_| {
            wrong(self.file, format!("says {key} = {text:?} in its metadata, which is no number"))
        })?;
        Ok(self.told(Some(value), format!("metadata {key}")))
    }

    /// The number and its first source; none when nobody tells.
    ///
    /// # Errors
    /// When two sources disagree, naming both.
    pub(super) fn agreed(self) -> Result<Option<(u64, String)>, StoreError> {
        let Some((value, source)) = self.told.first().cloned() else { return Ok(None) };
        match self.told.iter().find(|(other, _)| *other != value) {
            Some((other, by)) => Err(wrong(
                self.file,
                format!("contradicts itself: {} is {value} by {source} and {other} by {by}", self.what),
            )),
            None => Ok(Some((value, source))),
        }
    }
}
