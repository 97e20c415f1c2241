//! The daemon towards the outside: its object on the bus, its word to systemd, and
//! what logind tells.
//!
//! All only carry: a request in, a status out. What a command means is decided
//! by the main loop.

pub mod dbus;
pub mod logind;
pub mod notify;
pub mod pipe;
