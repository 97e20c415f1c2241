//! The files of a folder, each graph with what it says about itself.

use super::role::Role;
use super::{Precision, wrong};
use crate::StoreError;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use swictation_onnx::{DataType, Header, Weights};

/// More files than any model has; whoever names such a folder meant another one.
const MAX_FILES: usize = 4096;

/// A folder that may hold a model.
pub(super) struct Folder {
    /// Without links and `..`.
    pub(super) path: PathBuf,
    /// The names of its regular files.
    pub(super) files: BTreeSet<String>,
    /// Its ONNX files, by name.
    pub(super) graphs: Vec<Graph>,
}

/// An ONNX file.
pub(super) struct Graph {
    /// Its name in the folder.
    pub(super) file: String,
    /// What it says about itself.
    pub(super) header: Header,
    /// What it is for; none where its tensors are not known here.
    pub(super) role: Option<Role>,
    /// Files beside it that hold its weights.
    pub(super) beside: BTreeMap<PathBuf, u64>,
}

impl Folder {
    /// Reads what is in a folder, and the header of every ONNX file.
    pub(super) fn read(path: &Path) -> Result<Folder, StoreError> {
        let local = |e| StoreError::local(path, "cannot be read", &e);
        let path = path.canonicalize().map_err(local)?;
        let mut files = BTreeSet::new();
        let mut folders = Vec::new();
        for entry in fs::read_dir(&path).map_err(local)? {
            let Ok(name) = entry.map_err(local)?.file_name().into_string() else { continue };
            // Links are followed: hubs keep their files elsewhere.
            match fs::metadata(path.join(&name)) {
                Ok(about) if about.is_dir() => folders.push(name),
                Ok(_) => drop(files.insert(name)),
                Err(e) if name.ends_with(".onnx") => {
                    return Err(StoreError::local(&path.join(name), "cannot be read", &e));
                }
                Err(_) => {}
            }
            if files.len() + folders.len() > MAX_FILES {
                return Err(wrong(
                    &path,
                    format!("it has more than {MAX_FILES} files; name the folder of one model"),
                ));
            }
        }
        let mut graphs = Vec::new();
        for file in files.iter().filter(|name| name.ends_with(".onnx")) {
            let place = path.join(file);
            let header = Header::of_file(&place).map_err(|e| wrong(&place, e))?;
            let beside = header.external_files().map_err(|e| wrong(&place, e))?;
            graphs.push(Graph { file: file.clone(), role: Role::of(&header), header, beside });
        }
        if graphs.is_empty() {
            let with = |name: &&String| {
                let inside = fs::read_dir(path.join(name)).into_iter().flatten().flatten();
                inside.take(MAX_FILES).any(|entry| entry.file_name().as_encoded_bytes().ends_with(b".onnx"))
            };
            let there: Vec<_> = folders.iter().filter(with).map(String::as_str).collect();
            let hint = match there.as_slice() {
                [] => "a model of NeMo in ONNX files is expected".to_owned(),
                there => format!("its folder {} has some: name that", there.join(", ")),
            };
            return Err(wrong(&path, format!("has no file *.onnx; {hint}")));
        }
        Ok(Folder { path, files, graphs })
    }

    /// The place of a file.
    pub(super) fn at(&self, file: &str) -> PathBuf {
        self.path.join(file)
    }
}

impl Graph {
    /// How it computes, by what most of its weights are; a graph that multiplies
    /// integers is INT8 however many of its weights stayed floats.
    pub(super) fn precision(&self) -> Precision {
        const INTEGER: [&str; 4] = ["MatMulInteger", "ConvInteger", "DynamicQuantize", "QLinear"];
        let operators = self.header.operators.keys();
        let multiplies = operators.into_iter().any(|name| INTEGER.iter().any(|part| name.contains(part)));
        let shares = shares(&self.header);
        match shares.first() {
            _ if multiplies => Precision::Int8,
            Some((dtype, _)) if [DataType::I8, DataType::U8].contains(dtype) => Precision::Int8,
            Some((dtype, _)) if *dtype == DataType::F16 => Precision::Fp16,
            _ => Precision::Fp32,
        }
    }

    /// Checks that the files beside it are there and long enough.
    pub(super) fn expect_beside(&self, folder: &Folder) -> Result<(), StoreError> {
        for (path, needed) in &self.beside {
            let place = folder.path.join(path);
            let user = folder.at(&self.file);
            match fs::metadata(&place) {
                Ok(about) if about.is_file() && about.len() >= *needed => {}
                Ok(about) if about.is_file() => {
                    let there = about.len();
                    let reason = format!(
                        "has {there} bytes; {} needs {needed} of it: it was not fetched to its end",
                        user.display()
                    );
                    return Err(wrong(&place, reason));
                }
                Ok(_) => return Err(wrong(&place, "is no regular file")),
                Err(e) => {
                    let reason = format!("cannot be read: {e}; {} has its weights there", user.display());
                    return Err(wrong(&place, reason));
                }
            }
        }
        Ok(())
    }
}

/// The share of each type among all elements of the weights, the largest first.
pub(crate) fn shares(header: &Header) -> Vec<(DataType, f64)> {
    let weights = header.weights_by_type();
    let of = |weights: &Weights| weights.elements as f64;
    let all: f64 = weights.values().map(of).sum();
    let mut shares: Vec<_> =
        weights.iter().map(|(dtype, weights)| (*dtype, of(weights) / all.max(1.0))).collect();
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    shares
}

/// Such shares as people read them, without what is nothing when rounded.
pub(crate) fn percent(shares: &[(DataType, f64)]) -> String {
    let parts = shares.iter().filter(|(_, share)| *share >= 0.005);
    let parts: Vec<_> = parts.map(|(dtype, share)| format!("{:.0} % {dtype}", share * 100.0)).collect();
    if parts.is_empty() { "no weights".into() } else { parts.join(", ") }
}
