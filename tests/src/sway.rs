//! A real Sway without a screen, and terminals in it.
//!
//! Sway does not run for root, who tests in CI: there it runs for nobody, in a folder that
//! both can reach.

use crate::terminal::{START, Terminal};
use std::fs::{self, File, Permissions};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use tempfile::TempDir;

/// Who runs the compositor in the place of root.
const NOBODY: u32 = 65534;

/// A compositor, with the sockets of its clients and of its own language.
pub struct Sway {
    process: Child,
    display: PathBuf,
    control: String,
    folder: TempDir,
}

/// Whether sway and foot are installed; says so when not.
pub fn present() -> bool {
    let present = ["sway", "swaymsg", "foot", "mkfifo", "setpriv"].iter().all(|name| crate::program(name));
    crate::need("sway", present)
}

impl Sway {
    /// Starts a compositor with one empty workspace.
    ///
    /// # Errors
    /// A program's failure, or 20 seconds without a sign of the compositor.
    pub fn start() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("swictation-sway").tempdir()?;
        let (config, pipe) = (folder.path().join("config"), folder.path().join("up"));
        fs::write(
            &config,
            "output * resolution 1024x768\nxwayland disable\nfocus_follows_mouse no\nexec sh -c 'echo \"$WAYLAND_DISPLAY $SWAYSOCK\" > \"$XDG_RUNTIME_DIR/up\"'\n",
        )?;
        let made = Command::new("mkfifo").arg(&pipe).status()?;
        if !made.success() {
            return Err(io::Error::other(format!("mkfifo: {made}")));
        }
        // Programs of root's may enter all the same.
        let root = fs::metadata(folder.path())?.uid() == 0;
        let mut command = Command::new(if root { "setpriv" } else { "sway" });
        if root {
            for path in [folder.path(), &config, &pipe] {
                chown(path, Some(NOBODY), Some(NOBODY))?;
            }
            command
                .args([&format!("--reuid={NOBODY}"), &format!("--regid={NOBODY}"), "--clear-groups"])
                .arg("sway");
        }
        fs::set_permissions(folder.path(), Permissions::from_mode(0o700))?;
        let process = command
            .arg("-c")
            .arg(&config)
            .env("XDG_RUNTIME_DIR", folder.path())
            .env("HOME", folder.path())
            .env("WLR_BACKENDS", "headless")
            .env("WLR_RENDERER", "pixman")
            .env("WLR_LIBINPUT_NO_DEVICES", "1")
            .env_remove("WAYLAND_DISPLAY")
            .env_remove("DISPLAY")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut sway = Self { process, display: PathBuf::new(), control: String::new(), folder };
        let (send, up) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            let read = File::open(&pipe).and_then(|pipe| BufReader::new(pipe).read_line(&mut line));
            let _ = send.send(read.map(|_| line));
        });
        let line = up.recv_timeout(START).map_err(|_| io::Error::other("sway does not come up"))??;
        let (display, control) = line.trim().split_once(' ').ok_or_else(|| io::Error::other(line.clone()))?;
        (sway.display, sway.control) = (sway.folder.path().join(display), control.to_owned());
        Ok(sway)
    }

    /// A connection as a client has it.
    ///
    /// # Errors
    /// The system's refusal.
    pub fn connect(&self) -> io::Result<UnixStream> {
        UnixStream::connect(&self.display)
    }

    /// A program that will run in it.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("WAYLAND_DISPLAY", &self.display).env("XDG_RUNTIME_DIR", self.folder.path());
        command.env("SWAYSOCK", &self.control).env("XDG_SESSION_TYPE", "wayland").env("LC_ALL", "C.UTF-8");
        command.env_remove("DISPLAY");
        command
    }

    /// Opens a terminal, and waits until it has the focus.
    ///
    /// # Errors
    /// As for [`Terminal::run`].
    pub fn terminal(&self) -> io::Result<Terminal> {
        let mut events = self.command("swaymsg");
        events.args(["-r", "-m", "-t", "subscribe", r#"["window", "tick"]"#]).stdout(Stdio::piped());
        let mut events = events.spawn()?;
        let (send, lines) = mpsc::channel();
        if let Some(out) = events.stdout.take() {
            std::thread::spawn(move || BufReader::new(out).lines().try_for_each(|line| send.send(line).ok()));
        }
        let until = |part: &str| loop {
            let line =
                lines.recv_timeout(START).map_err(|_| io::Error::other(format!("no {part} event")))??;
            if line.contains(part) {
                return Ok::<_, io::Error>(());
            }
        };
        // A tick says that the events from here on are told.
        until(r#""first""#)?;
        let terminal = Terminal::run(self.command("foot").arg("--config=/dev/null"), "up");
        let focused = until(r#""focus""#);
        events.kill()?;
        events.wait()?;
        focused.and(terminal)
    }

    /// Tells Sway to do something, in its own language.
    ///
    /// # Errors
    /// Sway's refusal.
    pub fn tell(&self, what: &str) -> io::Result<()> {
        let told = self.command("swaymsg").arg(what).stdout(Stdio::null()).status()?;
        if told.success() { Ok(()) } else { Err(io::Error::other(format!("swaymsg {what}: {told}"))) }
    }

    /// Ends the compositor as a crash would.
    ///
    /// # Errors
    /// The system's refusal.
    pub fn kill(&mut self) -> io::Result<()> {
        self.process.kill()?;
        self.process.wait().map(drop)
    }
}

impl Drop for Sway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
