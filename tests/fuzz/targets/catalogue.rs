//! A fuzz target: a person's own catalogue.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| swictation_fuzz::catalogue(bytes));

#[cfg(not(fuzzing))]
fn main() {}
