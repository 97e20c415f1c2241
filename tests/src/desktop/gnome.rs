//! GNOME Shell without a screen, with all that it wants to have around it.

use super::hands::Hands;
use super::{DISPLAY, Desktop, Layouts, TOKEN};
use std::io;

impl Desktop {
    pub(super) fn start_gnome(&mut self, layouts: &Layouts) -> io::Result<()> {
        self.set("XDG_CURRENT_DESKTOP", "GNOME");
        self.set("GSETTINGS_BACKEND", "keyfile");
        self.set("GNOME_SHELL_SESSION_MODE", "user");
        self.write(
            "config/glib-2.0/settings/keyfile",
            &format!(
                "[org/gnome/desktop/input-sources]\nsources={}\n\
                 [org/gnome/desktop/interface]\nenable-animations=false\n\
                 [org/gnome/desktop/session]\nidle-delay=uint32 0\n",
                self.with_method(layouts.sources())
            ),
        )?;
        // The shell does not live without logind.
        self.bus("DBUS_SYSTEM_BUS_ADDRESS")?;
        for template in ["logind", "upower"] {
            let mut mock = self.command("python3");
            self.part(mock.args(["-m", "dbusmock", "--system", "--template", template]))?;
        }
        self.run("gdbus", &["wait", "--system", "--timeout", "30", "org.freedesktop.login1"])?;
        self.bus("DBUS_SESSION_BUS_ADDRESS")?;
        let mut shell = self.command("gnome-shell");
        shell.args(["--headless", "--wayland", "--unsafe-mode"]);
        shell.args(["--virtual-monitor", "1024x768", "--wayland-display", DISPLAY]);
        shell.env("PATH", self.path_of_programs());
        self.part(&mut shell)?;
        self.displayed()?;
        // It begins with a view of all windows, which takes what is typed.
        let says = |desktop: &Self, code: &str, value: &str| {
            desktop.shell(code).is_ok_and(|said| said.contains(value))
        };
        self.until("the shell", |desktop| says(desktop, "Main.layoutManager._startingUp", "false"))?;
        self.until("a view of one window", |desktop| {
            says(desktop, "Main.overview.hide(); Main.overview.visible", "false")
        })?;
        self.xwayland()?;
        // Vendor, version, and what was allowed: the keyboard and the clipboard.
        let leave = "<('GNOME', uint32 1, <(int64 0, int64 0, uint32 1, true, @a(uuv) [])>)>";
        self.portal(Some("gnome"), &["Set", "remote-desktop", "true", TOKEN, "{'': ['yes']}", leave])?;
        self.hands = Some(Hands::on_gnome(self.variable("DBUS_SESSION_BUS_ADDRESS").unwrap_or_default())?);
        Ok(())
    }

    /// What the shell of GNOME says to a line of its own language.
    pub(super) fn shell(&self, code: &str) -> io::Result<String> {
        self.call("org.gnome.Shell", "/org/gnome/Shell", "org.gnome.Shell.Eval", &[code])
    }
}
