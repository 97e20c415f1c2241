//! A real input method, IBus or Fcitx 5, that takes the keys of one's own X server before its
//! windows do and makes Vietnamese of them: of "see" it makes "sê".

use crate::bus::Bus;
use crate::x11::XServer;
use crate::{Ended, need, program};
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long it may take to do as it is told.
const PATIENCE: Duration = Duration::from_secs(30);

/// What IBus calls it.
pub(crate) const UNIKEY: &str = "Unikey";

/// A keyboard, and Vietnamese in the manner called Telex.
pub(crate) const PROFILE: &str = "[Groups/0]\nName=Default\nDefault Layout=us\nDefaultIM=unikey\n\n\
                       [Groups/0/Items/0]\nName=keyboard-us\n\n[Groups/0/Items/1]\nName=unikey\n\n\
                       [GroupOrder]\n0=Default\n";

/// Whose it is.
#[derive(Clone, Copy, Debug)]
pub enum Framework {
    /// IBus, which GNOME brings along.
    Ibus,
    /// Fcitx 5, which many take on Plasma and Sway.
    Fcitx,
}

impl Framework {
    /// Those that are to be had; says so of those that are not.
    pub fn present() -> impl Iterator<Item = Self> {
        let ibus = need(
            "ibus",
            program("ibus-daemon") && Path::new("/usr/share/ibus/component/unikey.xml").exists(),
        );
        let fcitx = need(
            "fcitx5",
            program("fcitx5") && Path::new("/usr/share/fcitx5/inputmethod/unikey.conf").exists(),
        );
        ibus.then_some(Self::Ibus).into_iter().chain(fcitx.then_some(Self::Fcitx))
    }

    /// What GTK calls it.
    pub fn module(self) -> &'static str {
        match self {
            Self::Ibus => "ibus",
            Self::Fcitx => "fcitx",
        }
    }
}

/// A running one; it ends with this.
pub struct InputMethod {
    framework: Framework,
    environment: Vec<(OsString, OsString)>,
    _process: Ended,
}

impl InputMethod {
    /// Starts it for the windows of this server that are on this bus.
    ///
    /// # Errors
    /// That it cannot be started.
    pub fn start(framework: Framework, server: &XServer, bus: &Bus) -> io::Result<Self> {
        let (name, arguments): (_, &[&str]) = match framework {
            Framework::Ibus => ("ibus-daemon", &["--panel", "disable", "--config", "disable"]),
            // What it would want of a desktop, or of the network.
            Framework::Fcitx => ("fcitx5", &["--disable=wayland,waylandim,kimpanel,notificationitem"]),
        };
        if let Framework::Fcitx = framework {
            let folder = bus.home().join(".config/fcitx5");
            std::fs::create_dir_all(&folder)?;
            std::fs::write(folder.join("profile"), PROFILE)?;
        }
        let mut command = server.command(name);
        bus.give_to(&mut command).env("HOME", bus.home()).env("XDG_RUNTIME_DIR", bus.home());
        command.env("GSETTINGS_BACKEND", "memory").envs([("XDG_CONFIG_HOME", bus.home().join(".config"))]);
        let set =
            |(name, value): (&std::ffi::OsStr, Option<&std::ffi::OsStr>)| Some((name.into(), value?.into()));
        let environment = command.get_envs().filter_map(set).collect();
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self { framework, environment, _process: Ended(command.spawn()?) })
    }

    /// Has it compose what is typed into the window with the focus, or leave that as it is.
    ///
    /// # Errors
    /// That it does not.
    pub fn compose(&self, composes: bool) -> io::Result<()> {
        let (set, asked, expected): (&[&str], &[&str], _) = match (self.framework, composes) {
            (Framework::Ibus, true) => (&["ibus", "engine", UNIKEY], &["ibus", "engine"], UNIKEY),
            (Framework::Ibus, false) => {
                (&["ibus", "engine", "xkb:us::eng"], &["ibus", "engine"], "xkb:us::eng")
            }
            (Framework::Fcitx, true) => (&["fcitx5-remote", "-o"], &["fcitx5-remote", "-n"], "unikey"),
            (Framework::Fcitx, false) => (&["fcitx5-remote", "-c"], &["fcitx5-remote", "-n"], "keyboard-us"),
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.run(set)?;
            let told = self.run(asked)?;
            if String::from_utf8_lossy(&told.stdout).trim() == expected {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(io::Error::other(format!("{set:?}: {told:?}")));
            }
            // It tells nobody when it is ready.
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn run(&self, words: &[&str]) -> io::Result<Output> {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).output()
    }
}
