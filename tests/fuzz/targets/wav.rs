//! A fuzz target: WAV and FLAC files.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| swictation_fuzz::wav(bytes));

#[cfg(not(fuzzing))]
fn main() {}
