//! A fuzz target: config.toml.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| swictation_fuzz::config(bytes));

#[cfg(not(fuzzing))]
fn main() {}
