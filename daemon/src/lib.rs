//! The daemon's parts, as a library so that tests can join them differently.
//!
//! The way is one: [`audio`] → the session of `swictation_core` → [`worker`] and
//! back → [`typist`], joined by [`main_loop`]. [`control`] brings commands in and
//! takes the state out. [`journal`] keeps what a daemon that is killed still owes.

pub mod audio;
mod bus;
pub mod clipboard;
pub mod control;
pub mod doctor;
pub mod gpu;
pub mod journal;
pub mod main_loop;
pub mod private;
pub mod settings;
pub mod skipped;
pub mod smaller;
pub mod transcript;
pub mod trial;
pub mod typist;
pub mod worker;
