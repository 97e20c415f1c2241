//! A whole Wayland desktop without a screen, and a terminal in it that tells what it
//! gets.
//!
//! DESKTOP names the desktop: gnome, kde, sway or labwc. `scripts/desktops` runs the
//! tests where each is installed. A fixture has a home, a runtime folder and buses of
//! its own, and the layouts that it was asked for.

mod gnome;
mod hands;
mod input_method;
mod kde;
mod layouts;
mod parts;
mod picture;
mod portal;
mod question;
mod wlroots;
mod xwayland;

pub use portal::TOKEN;

use crate::Ended;
use crate::terminal::Typed;
use hands::Hands;
use layouts::Layouts;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// The longest that a part of a desktop may take to start.
const START: Duration = Duration::from_secs(30);

/// How long a terminal may take to say that it has the focus, where there is a keyboard.
const FOCUSING: Duration = Duration::from_secs(2);

/// The Wayland socket, in the runtime folder.
const DISPLAY: &str = "wayland-0";

/// The desktops that typing is tried on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// gnome-shell with the GNOME portal.
    Gnome,
    /// kwin with Plasma's portal.
    Kde,
    /// A tiling compositor of the wlroots family.
    Sway,
    /// A stacking compositor of the wlroots family.
    Labwc,
}

/// What a desktop may have that most tests do without.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extra {
    Nothing,
    /// A person could see it.
    Screen,
    /// The keyboards that the kernel has.
    Keyboards,
    /// An input method.
    InputMethod,
}

/// A running desktop; its processes end with it.
pub struct Desktop {
    /// Which it is.
    pub kind: Kind,
    /// The newest last.
    processes: Vec<Child>,
    /// What programs of this desktop find in their environment.
    environment: Vec<(&'static str, String)>,
    hands: Option<Hands>,
    extra: Extra,
    layouts: Layouts,
    home: TempDir,
}

/// A terminal that has the focus.
pub struct Terminal {
    _process: Ended,
    typed: Typed,
}

impl Kind {
    /// The desktop that DESKTOP names; says so where it names none.
    ///
    /// # Panics
    /// When it names one that is not known.
    #[allow(clippy::panic)]
    pub fn asked() -> Option<Self> {
        let name = std::env::var("DESKTOP").unwrap_or_default();
        let kind = match name.as_str() {
            "gnome" => Some(Self::Gnome),
            "kde" => Some(Self::Kde),
            "sway" => Some(Self::Sway),
            "labwc" => Some(Self::Labwc),
            "" => None,
            _ => panic!("DESKTOP={name}: gnome, kde, sway and labwc are known"),
        };
        crate::need("desktop", kind.is_some());
        kind
    }
}

impl Desktop {
    /// Starts the desktop with these layouts as groups, named as in "us", "us(dvorak)"
    /// or "de,ru".
    ///
    /// # Errors
    /// A program's failure to start, with what to look at.
    pub fn start(kind: Kind, layouts: &str) -> io::Result<Self> {
        Self::start_with(kind, layouts, Extra::Nothing)
    }

    /// As [`Desktop::start`], where [`Desktop::picture`] sees it.
    ///
    /// # Errors
    /// As for [`Desktop::start`].
    pub fn start_seen(kind: Kind, layouts: &str) -> io::Result<Self> {
        Self::start_with(kind, layouts, Extra::Screen)
    }

    /// As [`Desktop::start`], with the keyboards of the kernel.
    ///
    /// # Errors
    /// As for [`Desktop::start`].
    pub fn start_plugged(kind: Kind, layouts: &str) -> io::Result<Self> {
        Self::start_with(kind, layouts, Extra::Keyboards)
    }

    /// Once more where it does not come up, which was seen of GNOME once; why, the note says.
    fn start_with(kind: Kind, layouts: &str, extra: Extra) -> io::Result<Self> {
        Self::start_once(kind, layouts, extra).or_else(|e| {
            crate::note(&format!("{kind:?} is started once more: {e}"));
            Self::start_once(kind, layouts, extra)
        })
    }

    fn start_once(kind: Kind, layouts: &str, extra: Extra) -> io::Result<Self> {
        let home = tempfile::Builder::new().prefix("swictation-desktop").tempdir()?;
        for folder in ["run", "config", "state", "log"] {
            fs::create_dir(home.path().join(folder))?;
        }
        let layouts = Layouts::new(layouts);
        let mut desktop = Self {
            kind,
            processes: Vec::new(),
            environment: Vec::new(),
            hands: None,
            extra,
            layouts: layouts.clone(),
            home,
        };
        desktop.set("HOME", &desktop.path(""));
        desktop.set("XDG_CONFIG_HOME", &desktop.path("config"));
        desktop.set("XDG_STATE_HOME", &desktop.path("state"));
        desktop.set("XDG_RUNTIME_DIR", &desktop.path("run"));
        desktop.set("XDG_SESSION_TYPE", "wayland");
        if extra == Extra::InputMethod {
            desktop.profile()?;
        }
        match kind {
            Kind::Gnome => desktop.start_gnome(&layouts)?,
            Kind::Kde => desktop.start_kde(&layouts)?,
            Kind::Sway => desktop.start_sway(&layouts)?,
            Kind::Labwc => desktop.start_labwc(&layouts)?,
        }
        Ok(desktop)
    }

    /// A place in the home of this desktop's person, as text for an environment.
    pub fn path(&self, name: &str) -> String {
        self.home.path().join(name).to_string_lossy().into_owned()
    }

    /// A variable that programs of this desktop have.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment.iter().find(|(set, _)| *set == name).map(|(_, value)| value.as_str())
    }

    /// The Wayland socket.
    pub fn display(&self) -> PathBuf {
        self.home.path().join("run").join(DISPLAY)
    }

    /// A program of this desktop.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.env("LC_ALL", "C.UTF-8").envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null());
        command
    }

    /// Presses a key of the person's keyboard, by the kernel's keycode, and leaves it down.
    ///
    /// # Errors
    /// The desktop's refusal, or that this desktop has no such keyboard here.
    pub fn press(&self, key: u32) -> io::Result<()> {
        self.key(key, true)
    }

    /// Releases a key of the person's keyboard.
    ///
    /// # Errors
    /// As for [`Desktop::press`].
    pub fn release(&self, key: u32) -> io::Result<()> {
        self.key(key, false)
    }

    fn key(&self, key: u32, down: bool) -> io::Result<()> {
        let none = || io::Error::other("nobody has a keyboard here");
        self.hands.as_ref().ok_or_else(none)?.key(key, down)
    }

    /// Makes one of several layouts the active one, counted from 0, as a person would.
    ///
    /// # Errors
    /// The desktop's refusal, or that this is not known of it.
    pub fn layout(&self, number: u32) -> io::Result<()> {
        match self.kind {
            Kind::Gnome => {
                let code = format!(
                    "Main.panel.statusArea.keyboard._inputSourceManager.inputSources[{number}].activate(true)"
                );
                self.shell(&code)?;
                // Without IBus the shell does not write down what it otherwise does.
                let newest = self.layouts.newest(number as usize).sources();
                let schema = "org.gnome.desktop.input-sources";
                self.run("gsettings", &["set", schema, "mru-sources", &newest]).map(drop)
            }
            Kind::Kde => {
                let method = "org.kde.KeyboardLayouts.setLayout";
                self.call("org.kde.keyboard", "/Layouts", method, &[&number.to_string()]).map(drop)
            }
            Kind::Sway | Kind::Labwc => Err(io::Error::other("nobody knows how here")),
        }
    }

    /// Opens a terminal and waits until it has the focus.
    ///
    /// # Errors
    /// A program's failure, or no sign of the terminal.
    pub fn terminal(&self) -> io::Result<Terminal> {
        let script = r#"stty raw -echo; printf '\033[?1004h' >/dev/tty; exec >"$PIPE"; echo up; exec cat"#;
        self.foot(&["-f", "DejaVu Sans Mono:size=10"], script)
    }

    /// Opens a terminal that runs this script, and waits until it has the focus.
    fn foot(&self, options: &[&str], script: &str) -> io::Result<Terminal> {
        let typed = Typed::new(true)?;
        // The terminal has its size when its window is there, and reports the focus.
        let mut foot = self.command("foot");
        foot.arg("--log-level=error").args(options).args(["sh", "-c", script]);
        let process = foot.env("PIPE", typed.pipe()).stderr(Stdio::null()).spawn()?;
        let mut terminal = Terminal { _process: Ended(process), typed };
        terminal.typed.line(START)?;
        // Where no keyboard is plugged in nothing has the focus before the typist comes.
        match terminal.typed.until(FOCUSING, |typed| typed.focused() > 0) {
            Err(e) if e.kind() != ErrorKind::TimedOut => Err(e),
            _ => Ok(terminal),
        }
    }

    /// Ends what was started last, as a crash would: the portal on GNOME and Plasma, else the
    /// compositor or, where one was asked for, the input method.
    ///
    /// # Errors
    /// The system's refusal.
    pub fn kill_newest(&mut self) -> io::Result<()> {
        self.processes.last_mut().map_or(Ok(()), |newest| {
            newest.kill()?;
            newest.wait().map(drop)
        })
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        self.hands = None;
        // The newest first, so that nothing sees its server vanish.
        for process in self.processes.iter_mut().rev() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Terminal {
    /// Does something that takes the focus away for a while, and waits until it is back.
    ///
    /// # Errors
    /// The end of the terminal, or that the focus does not come back.
    pub fn interrupted(&mut self, interrupt: impl FnOnce()) -> io::Result<()> {
        let before = self.typed.focused();
        interrupt();
        self.typed.until(START, |typed| typed.focused() > before).map(drop)
    }

    /// Waits until as many bytes as `text` has were typed since the last call, and
    /// returns them; less after `patience`.
    ///
    /// # Errors
    /// None but the end of the terminal.
    pub fn typed(&mut self, text: &str, patience: Duration) -> io::Result<String> {
        self.typed.typed(text, patience)
    }
}
