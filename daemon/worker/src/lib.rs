//! The worker as a library, so that tests run its protocol in memory and its life with
//! faults in it.

pub mod life;
pub mod limit;
pub mod process;
pub mod sandbox;
pub mod serve;
