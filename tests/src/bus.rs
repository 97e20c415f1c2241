//! A session bus of one's own, in a folder of one's own.
//!
//! The real dbus-daemon with the real session policy, so that names, activation
//! and refusals are what a desktop has. Programs of a test find it through
//! [`Bus::give_to`]; nothing touches the bus of the session the tests run in.

#![allow(clippy::expect_used)]

use crate::programs::PATIENCE;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Instant;
use tempfile::TempDir;

/// A running dbus-daemon and its folder.
pub struct Bus {
    daemon: Child,
    /// What the bus starts inherits the other end, and must not find it closed.
    _stdout: BufReader<ChildStdout>,
    address: String,
    home: TempDir,
}

impl Bus {
    /// Starts a bus, or says what is missing for one.
    ///
    /// # Panics
    /// When dbus-daemon is there and does not come up.
    pub fn start() -> Option<Bus> {
        if !crate::need("dbus-daemon", crate::program("dbus-daemon")) {
            return None;
        }
        let home = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir_all(services(home.path())).expect("a folder for activation files");
        let (daemon, stdout, address) = Bus::spawn(&home);
        Some(Bus { daemon, _stdout: stdout, address, home })
    }

    fn spawn(home: &TempDir) -> (Child, BufReader<ChildStdout>, String) {
        let mut daemon = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--nopidfile", "--print-address=1"])
            .arg(format!("--address=unix:path={}", home.path().join("bus").display()))
            // Activation files are searched where this points, and a program that
            // the bus starts inherits it.
            .env("HOME", home.path())
            .env("XDG_DATA_HOME", home.path().join("share"))
            .env("XDG_DATA_DIRS", home.path())
            .env("XDG_RUNTIME_DIR", home.path())
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // What the bus starts must not hold the test's own output open.
            .stderr(Stdio::null())
            .spawn()
            .expect("dbus-daemon starts");
        let mut address = String::new();
        let mut stdout = BufReader::new(daemon.stdout.take().expect("its stdout is a pipe"));
        stdout.read_line(&mut address).expect("dbus-daemon prints its address");
        assert!(!address.trim().is_empty(), "dbus-daemon ended before it listened");
        (daemon, stdout, address.trim().to_owned())
    }

    /// Starts the bus again after its [`kill`](Self::kill), at the same address.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn revive(&mut self) {
        let (daemon, stdout, address) = Bus::spawn(&self.home);
        let place = |address: &str| address.split(',').next().map(str::to_owned);
        assert_eq!(place(&address), place(&self.address), "it listens where it did");
        (self.daemon, self._stdout, self.address) = (daemon, stdout, address);
    }

    /// Where it listens, as in DBUS_SESSION_BUS_ADDRESS.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The folder of this bus, removed with it.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Has a program use this bus as its session bus.
    pub fn give_to<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.env("DBUS_SESSION_BUS_ADDRESS", &self.address).env_remove("DBUS_STARTER_ADDRESS")
    }

    /// Has the bus start `program` when somebody calls `name`.
    ///
    /// # Panics
    /// When the activation file cannot be written.
    pub fn activates(&self, name: &str, program: &str) {
        let file = services(self.home.path()).join(format!("{name}.service"));
        fs::write(&file, format!("[D-BUS Service]\nName={name}\nExec={program}\n"))
            .expect("an activation file");
        let reloaded = self
            .give_to(&mut Command::new("dbus-send"))
            .args(["--session", "--print-reply", "--dest=org.freedesktop.DBus", "/org/freedesktop/DBus"])
            .arg("org.freedesktop.DBus.ReloadConfig")
            .stdout(Stdio::null())
            .status()
            .expect("dbus-send comes with dbus-daemon");
        assert!(reloaded.success(), "the bus reads its activation files again");
    }

    /// Ends the bus as a crash or a logout would.
    ///
    /// # Panics
    /// When it cannot be killed.
    pub fn kill(&mut self) {
        self.daemon.kill().expect("dbus-daemon can be killed");
        self.daemon.wait().expect("dbus-daemon can be waited for");
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// Everything that is said on a bus.
pub struct Eavesdropper {
    process: Child,
    lines: Receiver<String>,
    said: String,
}

impl Eavesdropper {
    /// Listens from here on.
    ///
    /// # Panics
    /// When dbus-monitor cannot be started.
    pub fn on(bus: &Bus) -> Eavesdropper {
        let mut command = Command::new("dbus-monitor");
        let mut process =
            bus.give_to(&mut command).arg("--session").stdout(Stdio::piped()).spawn().expect("dbus-monitor");
        let mut out = BufReader::new(process.stdout.take().expect("dbus-monitor"));
        let mut first = String::new();
        out.read_line(&mut first).expect("dbus-monitor");
        let (tell, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = Vec::new();
            while out.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                let told = tell.send(String::from_utf8_lossy(&line).into_owned());
                line.clear();
                if told.is_err() {
                    return;
                }
            }
        });
        Eavesdropper { process, lines, said: first }
    }

    /// Waits until a line with this text is said.
    ///
    /// # Panics
    /// When nobody says it in time.
    pub fn until(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.said.lines().last().is_some_and(|line| line.contains(text)) {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left);
            self.said += &line.unwrap_or_else(|_| panic!("nobody says {text:?} in\n{}", self.said));
        }
    }

    /// All that was said.
    ///
    /// # Panics
    /// When dbus-monitor cannot be ended.
    pub fn heard(mut self) -> String {
        self.process.kill().expect("dbus-monitor");
        self.process.wait().expect("dbus-monitor");
        self.said + &self.lines.iter().collect::<String>()
    }
}

fn services(home: &Path) -> PathBuf {
    home.join("share/dbus-1/services")
}
