//! How fast keys are pressed: 2,000 characters a second, which programs keep up with, and no
//! compositor takes for a program that floods it.

use std::time::Duration;

/// Characters between two waits for whoever takes them.
pub(super) const STRIDE: usize = 8;

/// How long nothing is pressed behind a stride.
pub(super) const PAUSE: Duration = Duration::from_millis(4);
