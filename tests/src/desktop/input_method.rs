//! An input method in a whole desktop, that makes Vietnamese of what is typed: the IBus of
//! GNOME, and Fcitx 5 on the others.

use super::{Desktop, Extra, Kind, START};
use crate::input_method::{PROFILE, UNIKEY};
use std::io;
use std::time::{Duration, Instant};

/// Where IBus is, which GNOME would take if it were where programs are.
const IBUS: &str = "/opt/ibus";

impl Desktop {
    /// As [`Desktop::start`], with an input method beside the layouts.
    ///
    /// # Errors
    /// As for [`Desktop::start`].
    pub fn start_composed(kind: Kind, layouts: &str) -> io::Result<Self> {
        let mut desktop = Self::start_with(kind, layouts, Extra::InputMethod)?;
        if let Kind::Sway | Kind::Labwc = kind {
            let mut fcitx = desktop.command("fcitx5");
            desktop.part(fcitx.arg("--disable=xim,kimpanel,notificationitem"))?;
        }
        Ok(desktop)
    }

    /// Has it compose what is typed into the window with the focus, or leave that as it is.
    ///
    /// # Errors
    /// That it does not.
    pub fn compose(&self, composes: bool) -> io::Result<()> {
        let deadline = Instant::now() + START;
        let expected = match (self.kind, composes) {
            (Kind::Gnome, true) => UNIKEY,
            (Kind::Gnome, false) => "xkb:",
            (_, true) => "unikey",
            (_, false) => "keyboard-",
        };
        loop {
            let told = if self.kind == Kind::Gnome {
                let source = "Main.panel.statusArea.keyboard._inputSourceManager.inputSources";
                self.shell(&format!("{source}[{}].activate(true)", u32::from(composes)))?;
                self.run("ibus", &["engine"])
            } else {
                self.run("fcitx5-remote", &[if composes { "-o" } else { "-c" }])
                    .and_then(|_| self.run("fcitx5-remote", &["-n"]))
            };
            if told.as_ref().is_ok_and(|told| told.starts_with(expected)) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(self.fault(&format!("{expected}, instead of {told:?},")));
            }
            // It tells nobody when it is ready.
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The input sources of GNOME, of which the input method is one.
    pub(super) fn with_method(&self, sources: String) -> String {
        match self.extra {
            Extra::InputMethod => sources.replace(']', &format!(", ('ibus', '{UNIKEY}')]")),
            _ => sources,
        }
    }

    /// Where a shell finds programs.
    pub(super) fn path_of_programs(&self) -> String {
        let path = std::env::var("PATH").unwrap_or_default();
        if self.extra == Extra::InputMethod { format!("{path}:{IBUS}") } else { path }
    }

    /// What Fcitx reads when it is started.
    pub(super) fn profile(&self) -> io::Result<()> {
        self.write("config/fcitx5/profile", PROFILE)
    }

    /// What KWin reads to start it.
    pub(super) fn of_kwin(&self) -> &'static str {
        match self.extra {
            Extra::InputMethod => "[Wayland]\nInputMethod=/usr/share/applications/org.fcitx.Fcitx5.desktop\n",
            _ => "",
        }
    }
}
