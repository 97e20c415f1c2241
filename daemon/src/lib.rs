//! The daemon's parts, as a library so that tests can join them differently.

pub mod audio;
pub mod control;
pub mod typist;
