//! What is fuzzed, one function per kind of input: everything that reads bytes
//! which others wrote. `scripts/fuzz` runs them under libFuzzer; the test here runs
//! them on the seeds with every `cargo test`.
//!
//! A target has found something when it panics, takes more memory or time than
//! libFuzzer allows, or breaks one of the claims made here.

use serde::{Serialize, de::DeserializeOwned};
use std::cell::OnceCell;
use std::io::Cursor;
use std::path::PathBuf;
use swictation_asr::manifest::Manifest;
use swictation_asr::vocab::Vocabulary;
use swictation_core::config::Config;
use swictation_core::hotwords;
use swictation_core::journal::{Recovered, frame};
use swictation_core::text::Pack;
use swictation_core::wire::{FromWorker, ToWorker, read_frame, write_frame};
use swictation_daemon::audio::resample::Converter;
use swictation_daemon::audio::wav::Recording;
use swictation_onnx::Header;

/// A target: takes any bytes, and comes back.
pub type Target = fn(&[u8]);

/// All targets by name, which is also that of the folder with their seeds.
pub const TARGETS: &[(&str, Target)] = &[
    ("manifest", manifest),
    ("vocabulary", vocabulary),
    ("catalogue", catalogue),
    ("config", config),
    ("onnx", onnx),
    ("wav", wav),
    ("wire", wire),
    ("journal", journal),
];

/// `model.toml`, as the worker and as the store of models read it.
pub fn manifest(bytes: &[u8]) {
    let dir = place(bytes, "model.toml");
    if let Ok(manifest) = Manifest::read(&dir) {
        // Whatever is accepted must be good enough to calculate with.
        if let Some(streaming) = manifest.streaming
            && streaming.fault().is_none()
        {
            assert!(streaming.chunk_frames() > 0 && streaming.chunk_ms() > 0);
            assert!(streaming.context_seconds() >= 0.0);
        }
    }
    if let Ok(text) = str::from_utf8(bytes) {
        let _ = swictation_models::Manifest::parse(text);
    }
}

/// A file of a journal, and the entry that the bytes are when their sum is right.
pub fn journal(bytes: &[u8]) {
    let mut file = frame::HEAD.to_vec();
    file.extend((bytes.len() as u32).to_le_bytes());
    file.extend(crc32fast::hash(bytes).to_le_bytes());
    file.extend(bytes);
    for file in [bytes, &file] {
        let mut recovered = Recovered::default();
        frame::read(file, &mut |entry| recovered.add(entry));
        let untyped = recovered.untyped();
        assert!(untyped.len() <= file.len(), "text comes from the file");
        let stretches = recovered.stretches();
        let samples: usize = stretches.iter().flat_map(|s| &s.audio).map(|(_, pcm)| pcm.len()).sum();
        assert!(4 * samples <= file.len() * stretches.len().max(1), "audio comes from the file");
    }
}

/// `vocab.txt` and `tokens.txt`.
pub fn vocabulary(bytes: &[u8]) {
    let file = place(bytes, "vocab.txt").join("vocab.txt");
    for vocabulary in [Vocabulary::read(&file), Vocabulary::read_without_blank(&file)].into_iter().flatten() {
        let _ = (vocabulary.size(), vocabulary.blank());
        for id in 0..=vocabulary.size() as u32 {
            let _ = vocabulary.begins_word(id);
        }
        assert!(vocabulary.expect_width(vocabulary.size() + 1, &file).is_err());
    }
}

/// A person's own `catalogue.toml`.
pub fn catalogue(bytes: &[u8]) {
    let dir = place(bytes, "swictation/catalogue.toml");
    let places = swictation_models::Places::below(&dir, &dir);
    if let Ok(catalogue) = swictation_models::Catalogue::read(&places) {
        assert!(catalogue.get("moonshine-tiny-en").is_some(), "the built-in models are still there");
    }
}

/// `config.toml`, `hotwords.txt`, and a language pack of the person's own.
pub fn config(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let errors = [Config::parse(text).err(), hotwords::parse(text).err(), Pack::parse(text).err()];
    for error in errors.into_iter().flatten() {
        assert!(error.line >= 1 && error.line <= text.split('\n').count().max(1), "{error}");
    }
}

/// What an ONNX file says about itself; the weights are not read.
pub fn onnx(bytes: &[u8]) {
    let Ok(header) = Header::read(&mut Cursor::new(bytes)) else { return };
    let _ = header.weights_by_type();
    if let Ok(files) = header.external_files() {
        for file in files.keys() {
            let inside = file.components().all(|part| matches!(part, std::path::Component::Normal(_)));
            assert!(inside, "{} leads out of the model", file.display());
        }
    }
}

/// WAV and FLAC files, with what brings their samples to 16 kHz.
pub fn wav(bytes: &[u8]) {
    let Ok(mut recording) = Recording::new("fuzz".to_owned(), Box::new(Cursor::new(bytes.to_vec()))) else {
        return;
    };
    let Ok(mut converter) = Converter::new(recording.rate, recording.channels) else { return };
    let (mut frames, mut pcm) = (Vec::new(), Vec::new());
    // Compressed silence can be hours; a second of it is as good.
    for _ in 0..10 {
        frames.clear();
        let more = recording.read(recording.rate.div_ceil(10) as usize, &mut frames);
        assert!(frames.iter().all(|sample| sample.is_finite()), "a sample is no number");
        assert_eq!(frames.len() % usize::from(recording.channels), 0, "half a frame");
        if converter.push(&frames, &mut pcm).is_err() || !matches!(more, Ok(true)) {
            break;
        }
    }
    let _ = converter.finish(&mut pcm);
    assert!(pcm.iter().all(|sample| sample.is_finite()), "a resampled sample is no number");
}

/// What daemon and worker send each other.
pub fn wire(bytes: &[u8]) {
    frames::<ToWorker>(bytes);
    frames::<FromWorker>(bytes);
}

fn frames<T: Serialize + DeserializeOwned>(bytes: &[u8]) {
    let mut from = Cursor::new(bytes);
    while let Ok(message) = read_frame::<T>(&mut from) {
        let mut again = Vec::new();
        if write_frame(&mut again, &message).is_ok() {
            let back = read_frame::<T>(&mut again.as_slice());
            assert!(back.is_ok(), "what was read and written cannot be read");
        }
    }
}

/// Puts the bytes where a reader of files finds them: a folder of this thread, in
/// memory where the system has a place for that.
fn place(bytes: &[u8], name: &str) -> PathBuf {
    thread_local! {
        static FOLDER: OnceCell<tempfile::TempDir> = const { OnceCell::new() };
    }
    FOLDER.with(|folder| {
        let folder = folder.get_or_init(|| {
            let memory = tempfile::Builder::new().prefix("swictation-fuzz.").tempdir_in("/dev/shm");
            #[expect(clippy::expect_used, reason = "nothing can be fuzzed without a place for it")]
            memory.or_else(|_| tempfile::tempdir()).expect("a folder for what is read")
        });
        let file = folder.path().join(name);
        #[expect(clippy::expect_used, reason = "an input that was not written would find nothing")]
        std::fs::create_dir_all(file.parent().unwrap_or(folder.path()))
            .and_then(|()| std::fs::write(&file, bytes))
            .expect("the input is written");
        folder.path().to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn every_target_comes_back_from_its_seeds_whole_cut_and_spoilt() {
        for (name, target) in TARGETS {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name);
            let mut seeds = 0;
            for seed in std::fs::read_dir(&folder).unwrap() {
                let bytes = std::fs::read(seed.unwrap().path()).unwrap();
                target(&bytes);
                for at in (0..bytes.len()).step_by(bytes.len() / 50 + 1) {
                    target(&bytes[..at]);
                    let mut spoilt = bytes.clone();
                    spoilt[at] ^= 0xFF;
                    target(&spoilt);
                }
                seeds += 1;
            }
            assert!(seeds > 0, "{} has no seeds", folder.display());
        }
    }
}
