//! A fuzz target: vocabularies.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| swictation_fuzz::vocabulary(bytes));

#[cfg(not(fuzzing))]
fn main() {}
