//! What a person reads whose ONNX Runtime is too old, or something else.
//!
//! The libraries are made here by the compiler that is there anyway. Every process
//! loads one runtime, so these tests have one of their own.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;
use swictation_asr::AsrError;
use swictation_asr::graph::Runtime;
use swictation_tests::{need, program};

/// A library that calls itself ONNX Runtime of that version; `None` without a compiler.
fn library(folder: &Path, name: &str, source: &str) -> Option<PathBuf> {
    if !need("cc", program("cc")) {
        return None;
    }
    let (code, library) = (folder.join("library.c"), folder.join(name));
    std::fs::write(&code, source).unwrap();
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&code).status();
    assert!(built.unwrap().success());
    Some(library)
}

#[track_caller]
fn refused(path: &Path, parts: &[&str]) {
    let Err(AsrError::Runtime(message)) = Runtime::open(path) else { panic!("{} opened", path.display()) };
    let always = ["./scripts/run", "ORT_DYLIB_PATH", "1.24 or newer", path.to_str().unwrap()];
    for part in always.iter().chain(parts) {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
    for debugged in ["DlOpen", "BadVersion", "desc:", "Some(", "\\\"", "{"] {
        assert!(!message.contains(debugged), "{debugged:?} is in {message:?}");
    }
}

#[test]
fn a_runtime_that_is_too_old_is_named_with_its_version() {
    let folder = tempfile::tempdir().unwrap();
    let source = "static const char* version(void) { return \"1.20.1\"; }\n\
        static const void* api(unsigned wanted) { (void)wanted; return 0; }\n\
        struct Base { const void* (*get)(unsigned); const char* (*version)(void); };\n\
        static const struct Base base = { api, version };\n\
        const struct Base* OrtGetApiBase(void) { return &base; }\n";
    let Some(path) = library(folder.path(), "libonnxruntime.so", source) else { return };
    refused(&path, &["version 1.20.1", "too old"]);
}

#[test]
fn a_library_that_is_no_onnx_runtime_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let Some(path) = library(folder.path(), "libother.so", "int other(void) { return 1; }\n") else { return };
    refused(&path, &["is not ONNX Runtime"]);
}

#[test]
fn what_is_no_library_or_not_there_says_what_the_loader_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text.so");
    std::fs::write(&path, "text").unwrap();
    refused(&path, &["cannot be loaded", "file too short"]);
    refused(&folder.path().join("missing.so"), &["there is no ONNX Runtime"]);
}
