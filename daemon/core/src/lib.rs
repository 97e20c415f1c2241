//! The vocabulary and the rules of Swictation, without any machine around them.
//!
//! Nothing in this crate reads a clock, starts a thread, opens a file, knows an
//! environment variable, a device or a bus: time is an argument, audio is a
//! slice, and what is to be done comes back as a value. That is what makes every
//! rule testable as a sentence.

pub mod block;
pub mod config;
pub mod edit;
pub mod endpoint;
pub mod engine;
pub mod hotwords;
pub mod hypothesis;
pub mod journal;
pub mod metrics;
pub mod policy;
pub mod session;
pub mod supervise;
pub mod tape;
pub mod text;
pub mod time;
pub mod wire;

pub use edit::Edit;
pub use hypothesis::{DictationId, Hypothesis, UtteranceId, Word};
pub use time::{Now, SAMPLE_RATE, SamplePos};
