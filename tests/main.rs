//! Whole-program tests, in one binary: real programs, a real bus, a real X server, a
//! real sound server.
//!
//! A test here starts what a person starts and looks at what a person sees. The
//! programs must have been built before (`scripts/test` does); a program that is
//! older than its sources is refused and not tested. What a test needs and the
//! machine does not have is named in its output (`swictation_tests::need`).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

// The machine sleeps, the screen is locked, the person logs out.
mod away;
// What a person gets who has something wrong: the exit code, and the way out.
mod bad_input;
// Calls that overtake each other, floods of them, and a bus that goes away.
mod calls;
// The default configuration says what the program does, and the README too.
mod config_docs;
// A worker in which something goes wrong does no harm.
mod confinement;
// What `swictation doctor` finds where parts are missing.
mod doctor;
// A driver that is there and does not work.
mod driver;
// From the microphone to the text in a terminal, with nothing replaced.
mod dictation;
// Every family of models through the programs that people use.
mod families;
// Models under other names and in other layouts say what they said before.
mod import;
// Names from a file are heard, and a saved file is taken over.
mod hotwords;
// A daemon that nobody needs takes no time and little memory.
mod idle;
// What could not be typed is kept, offered and copied, and a cancel takes back.
mod last;
// A microphone that goes away, changes or is muted.
mod microphone;
// Another model while the daemon runs, and what becomes of it when that one is bad.
mod model_use;
// A daemon that is killed costs no word.
mod journal;
// No fault of a worker costs a word or types one twice.
mod recovery;
// What scripts/setup fetches is whole, or not there.
mod setup;
// What is said is text, command or replacement, and what is scratched goes.
mod text;
// The rules of ARCHITECTURE.md, read off the sources and the dependency graph.
mod tidy;
