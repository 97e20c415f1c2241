//! The worker's protocol, as a library so that tests run it in memory.

pub mod limit;
pub mod serve;
