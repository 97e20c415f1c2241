//! A fuzz target: what daemon and worker send each other.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| swictation_fuzz::wire(bytes));

#[cfg(not(fuzzing))]
fn main() {}
