//! Compositors of the wlroots family, whose programs may bring a keyboard along.

use super::{DISPLAY, Desktop, Extra, Kind, Layouts};
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::process::{Command, Stdio};

/// Who runs a compositor in the place of root.
const NOBODY: u32 = 65534;

impl Kind {
    /// A desktop whose programs may bring a keyboard along: the one that DESKTOP names,
    /// or Sway where this machine has it.
    pub fn of_wlroots() -> Option<Self> {
        if std::env::var_os("DESKTOP").is_some() {
            return Self::asked().filter(|kind| matches!(kind, Self::Sway | Self::Labwc));
        }
        let present = ["sway", "swaymsg", "foot", "setpriv"].iter().all(|name| crate::program(name));
        crate::need("sway", present).then_some(Self::Sway)
    }
}

impl Desktop {
    /// Tells Sway to do something, in its own language.
    ///
    /// # Errors
    /// Sway's refusal.
    pub fn tell(&self, what: &str) -> io::Result<()> {
        let sockets = fs::read_dir(self.home.path().join("run"))?.flatten().map(|entry| entry.path());
        let mut sockets = sockets.filter(|path| path.to_string_lossy().contains("/sway-ipc."));
        let socket = sockets.next().ok_or_else(|| io::Error::other("sway has no socket"))?;
        let told = self.command("swaymsg").arg("-s").arg(socket).arg(what).stdout(Stdio::null()).status()?;
        if told.success() { Ok(()) } else { Err(io::Error::other(format!("swaymsg {what}: {told}"))) }
    }

    pub(super) fn start_sway(&mut self, layouts: &Layouts) -> io::Result<()> {
        let (names, variants) = layouts.names_and_variants();
        self.write(
            "config/sway/config",
            &format!(
                "output * resolution 1024x768\n\
                 input type:keyboard {{\n xkb_layout \"{names}\"\n xkb_variant \"{variants}\"\n}}\n"
            ),
        )?;
        if fs::metadata(self.home.path())?.uid() != 0 {
            let sway = self.command("sway");
            return self.start_wlroots(sway);
        }
        // Sway does not run for root, who enters all the same.
        for folder in ["", "run", "config", "config/sway"] {
            chown(self.home.path().join(folder), Some(NOBODY), Some(NOBODY))?;
        }
        let mut sway = self.command("setpriv");
        sway.args([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")])
            .args(["--clear-groups", "sway"]);
        self.start_wlroots(sway)
    }

    pub(super) fn start_labwc(&mut self, layouts: &Layouts) -> io::Result<()> {
        let (names, variants) = layouts.names_and_variants();
        let mut labwc = self.command("labwc");
        labwc.env("XKB_DEFAULT_LAYOUT", names).env("XKB_DEFAULT_VARIANT", variants);
        self.start_wlroots(labwc)
    }

    pub(super) fn start_wlroots(&mut self, mut compositor: Command) -> io::Result<()> {
        self.bus("DBUS_SESSION_BUS_ADDRESS")?;
        let bus = self.variable("DBUS_SESSION_BUS_ADDRESS").unwrap_or_default().to_owned();
        let backends = if self.extra == Extra::Keyboards { "headless,libinput" } else { "headless" };
        compositor.env("DBUS_SESSION_BUS_ADDRESS", bus).env("WLR_BACKENDS", backends);
        compositor.env("WLR_RENDERER", "pixman").env("WLR_LIBINPUT_NO_DEVICES", "1");
        self.part(&mut compositor)?;
        // Both take the first free name. wlroots counts from 1 where it is compiled so.
        self.until("the compositor", |desktop| desktop.socket("run").is_some())?;
        let socket = self.socket("run").unwrap_or_else(|| DISPLAY.into());
        if socket != DISPLAY {
            std::os::unix::fs::symlink(&socket, self.display())?;
        }
        self.displayed()
    }

    /// The Wayland socket that a compositor chose in a runtime folder.
    pub(super) fn socket(&self, folder: &str) -> Option<String> {
        let names = fs::read_dir(self.home.path().join(folder)).ok()?.flatten();
        let mut names = names.filter_map(|entry| entry.file_name().into_string().ok());
        names.find(|name| name.starts_with("wayland-") && !name.ends_with(".lock"))
    }
}
