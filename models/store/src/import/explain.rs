//! What was found, as `model.toml` and as lines for a person.

use super::folder::{percent, shares};
use super::geometry::Kind;
use super::{Found, Head};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// What NVIDIA's parakeet_realtime_eou models say when somebody has finished.
const END_OF_UTTERANCE: &str = "<EOU>";

impl Found {
    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        &self.folder.path
    }

    /// What was found and why it is believed, in lines.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line = |key: &str, value: String| lines.push(format!("{key}: {value}"));
        line("model", self.name.clone());
        line("layout", self.layout.into());
        line("family", self.geometry.family.into());
        for (role, at) in &self.chosen.graphs {
            let graph = &self.folder.graphs[*at];
            let beside: Vec<_> = graph.beside.keys().map(|path| path.display().to_string()).collect();
            let beside =
                if beside.is_empty() { String::new() } else { format!(", weights in {}", beside.join(", ")) };
            let shares = percent(&shares(&graph.header));
            line(role, format!("{}, {} ({shares}){beside}", graph.file, graph.precision()));
        }
        let pieces = self.vocabulary.pieces.len();
        let blank =
            if self.chosen.head == Head::Aed { ", no blank".into() } else { format!(", blank {pieces}") };
        let made = self.vocabulary.made.as_ref().map_or("", |(_, how)| how);
        let made =
            if made.is_empty() { String::new() } else { format!(", {} ({made})", self.vocabulary_name()) };
        let source =
            self.vocabulary.source.strip_prefix(&self.folder.path).unwrap_or(&self.vocabulary.source);
        line("vocabulary", format!("{}, {pieces} pieces{blank}{made}", source.display()));
        let normalize = if self.geometry.per_feature { "normalised per bin" } else { "not normalised" };
        line("features", format!("{} mel bins, {normalize}", self.geometry.mels));
        match &self.geometry.kind {
            Kind::Aed { attends: true, .. } => {
                line("policy", "alignatt, as the decoder tells what it attends to (xatt)".into())
            }
            Kind::Aed { .. } => {
                line("policy", "wait-k, as the decoder does not tell what it attends to (xatt)".into())
            }
            Kind::Buffered { durations, .. } if !durations.is_empty() => {
                line("durations", format!("{} scored behind the tokens", durations.len()));
            }
            Kind::CacheAware { .. } if self.vocabulary.has(END_OF_UTTERANCE) => {
                line("end of utterance", format!("the model says it, with the piece {END_OF_UTTERANCE}"));
            }
            _ => {}
        }
        for fact in &self.geometry.facts {
            line("found", fact.clone());
        }
        for left_out in &self.chosen.left_out {
            line("left out", left_out.clone());
        }
        for assumed in &self.assumed {
            line("assumed", assumed.clone());
        }
        lines
    }

    /// Every file of the model but `model.toml` and a vocabulary that is made,
    /// relative to the folder.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for graph in self.chosen.graphs(&self.folder) {
            files.push(PathBuf::from(&graph.file));
            files.extend(graph.beside.keys().cloned());
        }
        if self.vocabulary.made.is_none() {
            files.push(PathBuf::from(self.vocabulary_name()));
        }
        files.sort();
        files.dedup();
        files
    }

    /// The name of the vocabulary that the recognizer reads. One that is made takes no
    /// other file's place.
    pub(super) fn vocabulary_name(&self) -> String {
        match &self.vocabulary.made {
            None => self.vocabulary.source.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            Some((text, _)) => {
                let place = self.folder.at("vocab.txt");
                // Made before, by this.
                let ours =
                    !place.exists() || std::fs::read_to_string(&place).is_ok_and(|there| there == *text);
                if ours { "vocab.txt".into() } else { "vocab.swictation.txt".into() }
            }
        }
    }

    /// The text of `model.toml`; `base` stands before the names of files that were
    /// there.
    pub fn manifest(&self, base: &str) -> String {
        let mut text = String::from("# Written by `swictation model import`.\nversion = 1\n");
        let mut put = |line: String| {
            text.push_str(&line);
            text.push('\n');
        };
        put(format!("name = {}", quoted(&self.name)));
        put(format!("family = \"{}\"", self.geometry.family));
        put(format!("language = {}", quoted(&self.language)));
        put(format!("licence = {}", quoted(&self.licence)));
        put(format!("precision = \"{}\"", self.chosen.precision));
        if let Kind::Buffered { durations, .. } = &self.geometry.kind
            && !durations.is_empty()
        {
            put(format!("durations = {durations:?}"));
        }
        put("\n[files]".into());
        for (role, at) in &self.chosen.graphs {
            put(format!(
                "{role} = {{ path = {} }}",
                quoted(&format!("{base}{}", self.folder.graphs[*at].file))
            ));
        }
        let before = if self.vocabulary.made.is_some() { "" } else { base };
        put(format!("vocabulary = {{ path = {} }}", quoted(&format!("{before}{}", self.vocabulary_name()))));
        let subsampling = self.geometry.subsampling;
        match &self.geometry.kind {
            Kind::CacheAware { left, right, pre_encode, convolution } => {
                put(format!(
                    "\n[streaming]\nleft_frames = {left}\nright_frames = {right}\npre_encode_frames = {pre_encode}\n\
                     subsampling = {subsampling}"
                ));
                if let Some(frames) = convolution {
                    put(format!("convolution_frames = {frames}"));
                }
                if self.vocabulary.has(END_OF_UTTERANCE) {
                    put(format!("\n[end_of_utterance]\npieces = [\"{END_OF_UTTERANCE}\"]"));
                }
            }
            Kind::Buffered { chunk_ms, right_ms, .. } => {
                put(format!(
                    "\n[buffered]\nsubsampling = {subsampling}\nchunk_ms = {chunk_ms}\nright_ms = {right_ms}"
                ));
            }
            Kind::Aed { attends, prompt, end } => {
                let policy = if *attends { "alignatt" } else { "wait-k" };
                let prompt: Vec<_> = prompt.iter().map(|piece| format!("    {},\n", quoted(piece))).collect();
                put(format!(
                    "\n[aed]\nsubsampling = {subsampling}\nchunk_ms = 1000\nright_ms = 500\npolicy = \"{policy}\"\n\
                     wait_k = 2\nalignatt_frames = 8\nprompt = [\n{}]\nend = {}",
                    prompt.concat(),
                    quoted(end)
                ));
            }
        }
        let normalize = if self.geometry.per_feature { "per_feature" } else { "none" };
        put(format!("\n[features]\nmels = {}\nnormalize = \"{normalize}\"", self.geometry.mels));
        text
    }
}

/// A text as a basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", c as u32);
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}
