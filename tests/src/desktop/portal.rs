//! The portal of a desktop, which lends keyboards.

use super::{Desktop, Kind};
use std::io;

/// The token of the leave to type that a person gave GNOME before.
pub const TOKEN: &str = "8ecf7b0c-51d1-4b1d-9e7c-6a0f4b3d2e19";

impl Desktop {
    /// Whether its portal types, and pastes what the layouts lack.
    pub fn pastes(&self) -> bool {
        matches!(self.kind, Kind::Gnome | Kind::Kde)
    }

    /// Ends the session that its portal has lent, as a person can.
    ///
    /// # Errors
    /// The desktop's refusal, or that there is none.
    pub fn end_session(&self) -> io::Result<()> {
        let backend = format!("org.freedesktop.impl.portal.desktop.{}", self.backend());
        let sessions = "/org/freedesktop/portal/desktop/session";
        let tree =
            ["introspect", "--session", "--recurse", "--only-properties", "-d", &backend, "-o", sessions];
        let tree = self.run("gdbus", &tree)?;
        let session = tree.split_whitespace().rfind(|word| word.starts_with(sessions));
        let session = session.ok_or_else(|| io::Error::other(format!("no session in {tree}")))?;
        self.call(&backend, session, "org.freedesktop.impl.portal.Session.Close", &[]).map(drop)
    }

    /// What the backend of its portal is called.
    pub(super) fn backend(&self) -> &'static str {
        if self.kind == Kind::Gnome { "gnome" } else { "kde" }
    }

    /// The portal, with leave to type given beforehand by `leave`.
    pub(super) fn portal(&mut self, backend: Option<&str>, leave: &[&str]) -> io::Result<()> {
        let store = "org.freedesktop.impl.portal.PermissionStore";
        let mut process = self.command("/usr/libexec/xdg-permission-store");
        self.part(&mut process)?;
        self.named(store)?;
        if let [method, arguments @ ..] = leave {
            let path = "/org/freedesktop/impl/portal/PermissionStore";
            self.call(store, path, &format!("{store}.{method}"), arguments)?;
        }
        if self.kind == Kind::Kde {
            // Where it lies depends on the machine's architecture; the bus knows.
            let (bus, path) = ("org.freedesktop.DBus", "/org/freedesktop/DBus");
            let start = ["org.freedesktop.impl.portal.desktop.kde", "0"];
            self.call(bus, path, "org.freedesktop.DBus.StartServiceByName", &start)?;
        }
        if let Some(backend) = backend {
            let mut process = self.command(format!("/usr/libexec/xdg-desktop-portal-{backend}"));
            self.part(&mut process)?;
            self.named(&format!("org.freedesktop.impl.portal.desktop.{backend}"))?;
        }
        let mut process = self.command("/usr/libexec/xdg-desktop-portal");
        self.part(process.arg("-r"))?;
        let portal = "org.freedesktop.portal.Desktop";
        self.named(portal)?;
        // It hears from the compositor later that there are keyboards.
        self.until("a keyboard to lend", |desktop| {
            let asked = ["org.freedesktop.portal.RemoteDesktop", "AvailableDeviceTypes"];
            let (path, get) = ("/org/freedesktop/portal/desktop", "org.freedesktop.DBus.Properties.Get");
            let types = desktop.call(portal, path, get, &asked);
            types.is_ok_and(|types| !types.contains("uint32 0"))
        })
    }
}
