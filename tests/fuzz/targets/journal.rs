//! A fuzz target: a file of what a dictation owes.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| swictation_fuzz::journal(bytes));

#[cfg(not(fuzzing))]
fn main() {}
