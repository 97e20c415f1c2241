//! A window with one field, of GTK or of Qt, on an X server. What is in the field is known
//! once Return was pressed there.

use crate::bus::Bus;
use crate::input_method::Framework;
use crate::x11::XServer;
use crate::{Ended, need, program};
use std::io::{self, Read};
use std::path::Path;
use std::process::{Command, Stdio};

/// Debian's own Python, which need not be the first on the PATH, and what Qt is to it.
const PYTHON: [&str; 2] = ["/usr/bin/python3", "/usr/lib/python3/dist-packages/PyQt6/QtWidgets.abi3.so"];

/// Asks for a text as zenity does, under this title.
const ASK: &str = "import sys; from PyQt6.QtWidgets import *; application = QApplication([]); \
                   print(QInputDialog.getText(None, sys.argv[1], '')[0])";

/// A window with one field; it is closed with this.
pub struct Entry {
    process: Ended,
    title: String,
}

/// Whether a field of GTK is to be had; says so when not.
pub fn gtk_is_present() -> bool {
    need("zenity", program("zenity") && program("xdotool")) && crate::x11::present()
}

/// Whether a field of Qt is to be had; says so when not.
pub fn qt_is_present() -> bool {
    let present = PYTHON.iter().all(|path| Path::new(path).exists());
    need("PyQt6", present && program("xdotool")) && crate::x11::present()
}

impl Entry {
    /// Opens a field of GTK and gives it the focus.
    ///
    /// # Errors
    /// A program's failure, or that no window comes.
    pub fn of_gtk(server: &XServer, title: &str) -> io::Result<Self> {
        Self::open(server, zenity(server, "--entry", title).env("NO_AT_BRIDGE", "1"), title)
    }

    /// Opens a field of Qt and gives it the focus.
    ///
    /// # Errors
    /// As for [`Entry::of_gtk`].
    pub fn of_qt(server: &XServer, title: &str) -> io::Result<Self> {
        Self::open(server, &mut python(server, title), title)
    }

    /// Opens a field of Qt, which what assists people is told of on this bus, and gives it the
    /// focus.
    ///
    /// # Errors
    /// As for [`Entry::of_gtk`].
    pub fn told_by_qt(server: &XServer, bus: &Bus, title: &str) -> io::Result<Self> {
        let mut python = python(server, title);
        python.env("QT_LINUX_ACCESSIBILITY_ALWAYS_ON", "1");
        Self::open(server, bus.give_to(&mut python).env("HOME", bus.home()), title)
    }

    /// Opens a field of GTK of this kind, "--entry" or "--password", which what assists people
    /// is told of on this bus, and gives it the focus.
    ///
    /// # Errors
    /// As for [`Entry::of_gtk`].
    pub fn told(server: &XServer, bus: &Bus, kind: &str, title: &str) -> io::Result<Self> {
        let mut zenity = zenity(server, kind, title);
        Self::open(server, bus.give_to(&mut zenity).env("HOME", bus.home()), title)
    }

    /// Opens a field of GTK whose keys go to this input method of the bus first, and gives it
    /// the focus.
    ///
    /// # Errors
    /// As for [`Entry::of_gtk`].
    pub fn composed(server: &XServer, bus: &Bus, method: Framework, title: &str) -> io::Result<Self> {
        let mut zenity = zenity(server, "--entry", title);
        zenity.env("NO_AT_BRIDGE", "1").env("GTK_IM_MODULE", method.module()).env("HOME", bus.home());
        zenity.env("XDG_CONFIG_HOME", bus.home().join(".config"));
        Self::open(server, bus.give_to(&mut zenity), title)
    }

    fn open(server: &XServer, command: &mut Command, title: &str) -> io::Result<Self> {
        let process = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let entry = Self { process: Ended(process), title: title.to_owned() };
        entry.focus(server)?;
        Ok(entry)
    }

    /// Gives the field the focus.
    ///
    /// # Errors
    /// As for [`Entry::of_gtk`].
    pub fn focus(&self, server: &XServer) -> io::Result<()> {
        let mut xdotool = server.command("xdotool");
        xdotool.args(["search", "--sync", "--onlyvisible", "--name", &self.title, "windowfocus", "--sync"]);
        let focused = xdotool.status()?;
        if focused.success() { Ok(()) } else { Err(io::Error::other(format!("{}: {focused}", self.title))) }
    }

    /// Has the window's program hang, or go on.
    ///
    /// # Errors
    /// The system's refusal.
    pub fn hang(&self, hangs: bool) -> io::Result<()> {
        let signal = if hangs { "-STOP" } else { "-CONT" };
        let sent = Command::new("kill").args([signal, &self.process.0.id().to_string()]).status()?;
        if sent.success() { Ok(()) } else { Err(io::Error::other(format!("kill {signal}: {sent}"))) }
    }

    /// What is in the field, once somebody has pressed Return there.
    ///
    /// # Errors
    /// What is there is no text.
    pub fn text(mut self) -> io::Result<String> {
        let mut text = String::new();
        if let Some(mut said) = self.process.0.stdout.take() {
            said.read_to_string(&mut text)?;
        }
        Ok(text.trim_end_matches('\n').to_owned())
    }
}

fn python(server: &XServer, title: &str) -> Command {
    let mut python = server.command(PYTHON[0]);
    python.args(["-c", ASK, title]).env("QT_QPA_PLATFORM", "xcb");
    python
}

fn zenity(server: &XServer, kind: &str, title: &str) -> Command {
    let mut zenity = server.command("zenity");
    zenity.args([kind, &format!("--title={title}"), "--text="]);
    zenity
}
