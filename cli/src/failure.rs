//! Why a verb did not do its work: an exit code and what a person can do.
//!
//! The bus answers with names of errors; this is the one place that reads them.

use std::fmt;
use std::io;
use swictation_control::{Refused, exit};
use swictation_models::StoreError;
use zbus::DBusError;

/// A message for a person, and the code of [`exit`] that goes with it.
#[derive(Debug)]
pub(crate) struct Failure {
    /// See [`exit`].
    pub(crate) code: u8,
    message: String,
}

impl Failure {
    pub(crate) fn new(code: u8, message: String) -> Failure {
        Failure { code, message }
    }

    /// A failure that has no code of its own.
    pub(crate) fn other(e: impl fmt::Display) -> Failure {
        Failure::new(exit::FAILURE, e.to_string())
    }

    /// There is no bus to ask.
    pub(crate) fn no_bus(e: &zbus::Error) -> Failure {
        Failure::new(
            exit::NO_BUS,
            format!(
                "no session bus: {e}. Run this inside the desktop session; \
                 from elsewhere, set DBUS_SESSION_BUS_ADDRESS to the address of the session's bus"
            ),
        )
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<StoreError> for Failure {
    fn from(e: StoreError) -> Failure {
        let code = match e {
            StoreError::Name(_) => exit::USAGE,
            StoreError::Catalogue(_) => exit::CONFIGURATION,
            StoreError::Absent(_) | StoreError::Damaged(_) | StoreError::Model(_) => exit::MODEL,
            StoreError::Fetch(_) | StoreError::Local(_) => exit::FAILURE,
        };
        Failure::new(code, e.to_string())
    }
}

/// Whether the bus says that nobody has the daemon's name.
pub(crate) fn is_no_daemon(e: &zbus::Error) -> bool {
    matches!(error_name(e).as_deref(), Some(SERVICE_UNKNOWN | "org.freedesktop.DBus.Error.NameHasNoOwner"))
}

const SERVICE_UNKNOWN: &str = "org.freedesktop.DBus.Error.ServiceUnknown";

impl From<zbus::Error> for Failure {
    fn from(e: zbus::Error) -> Failure {
        let log = "`journalctl --user -u swictation` may say why";
        match &e {
            zbus::Error::InputOutput(io) if io.kind() == io::ErrorKind::TimedOut => {
                return Failure::new(exit::NO_DAEMON, format!("the daemon does not answer; {log}"));
            }
            zbus::Error::InputOutput(_) => {
                return Failure::new(exit::NO_BUS, format!("the session bus went away: {e}"));
            }
            _ => {}
        }
        let Some(name) = error_name(&e) else { return Failure::other(e) };
        let said = error_text(&e);
        if let Some(code) = Refused::exit_code(&name) {
            return Failure::new(code, said);
        }
        match name.strip_prefix("org.freedesktop.DBus.Error.").unwrap_or(&name) {
            "Failed" => Failure::new(exit::FAILURE, said),
            "ServiceUnknown" | "NameHasNoOwner" => Failure::new(
                exit::NO_DAEMON,
                "no daemon runs and the bus does not know how to start one: \
                 run scripts/install, or start swictationd by hand"
                    .into(),
            ),
            "NoReply" | "Disconnected" => {
                Failure::new(exit::NO_DAEMON, format!("the daemon ended before it answered; {log}"))
            }
            "UnknownMethod" | "UnknownInterface" | "UnknownObject" | "InvalidArgs" => Failure::new(
                exit::FAILURE,
                format!(
                    "the daemon is of another version than this program ({said}): `swictation quit` and start it again"
                ),
            ),
            start if start.starts_with("Spawn.") || start.starts_with("org.freedesktop.systemd1.") => {
                Failure::new(exit::NO_DAEMON, format!("the daemon cannot be started: {said}; {log}"))
            }
            "TimedOut" => {
                Failure::new(exit::NO_DAEMON, format!("the daemon cannot be started: {said}; {log}"))
            }
            _ => Failure::new(exit::FAILURE, format!("{name}: {said}")),
        }
    }
}

fn error_name(e: &zbus::Error) -> Option<String> {
    match e {
        zbus::Error::MethodError(name, ..) => Some(name.to_string()),
        zbus::Error::FDO(e) => Some(e.name().to_string()),
        _ => None,
    }
}

fn error_text(e: &zbus::Error) -> String {
    match e {
        zbus::Error::MethodError(_, text, _) => text.clone().unwrap_or_default(),
        zbus::Error::FDO(e) => e.description().unwrap_or_default().to_owned(),
        e => e.to_string(),
    }
}
