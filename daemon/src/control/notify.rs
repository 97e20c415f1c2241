//! What systemd is told: ready, what goes on, still alive, ending.
//!
//! All of it does nothing where no systemd started the daemon. Only the main loop
//! calls this, and above all [`watchdog`]: a loop that hangs must fall silent,
//! which a timer on another thread would hide. Never dictated text: a status
//! is shown to whoever asks for the unit.

use sd_notify::NotifyState;
use std::time::Duration;

/// The daemon serves requests; `status` says what it does.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// One line for `systemctl --user status`.
pub fn status(status: &str) {
    tell(&[NotifyState::Status(status)]);
}

/// The configuration is being read again; [`ready`] ends that.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(e) => tracing::debug!("systemd is not told of the reload: no monotonic clock: {e}"),
    }
}

/// The daemon is ending.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// The main loop turns.
pub fn watchdog() {
    tell(&[NotifyState::Watchdog]);
}

/// How often [`watchdog`] is due: half the time after which systemd would end the
/// daemon. None when nobody watches, and then no timer is needed.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

/// A failure here harms nobody but systemd's view, so it is only noted.
fn tell(state: &[NotifyState<'_>]) {
    if let Err(e) = sd_notify::notify(state) {
        tracing::debug!("systemd could not be told {state:?}: {e}");
    }
}
