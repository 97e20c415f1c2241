//! A private PulseAudio server whose microphone is a null sink.
//!
//! What is played to the sink `mic` is heard by whoever records the server's
//! default source. A null sink that nobody records works in blocks of 2 s, so one
//! recorder with a latency of 10 ms listens for as long as the fixture lives. The
//! server needs no D-Bus, no card and no real-time priority.

#![allow(clippy::unwrap_used)]

use crate::{need, program};
use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything of the server may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server; it and its recorders end when this is dropped.
pub struct Pulse {
    folder: TempDir,
    rate: u32,
    server: Option<Child>,
    recorders: Vec<Child>,
}

impl Pulse {
    /// Starts a server whose microphone has one channel of `rate` samples per
    /// second; none where PulseAudio is not installed.
    ///
    /// # Panics
    /// When the server does not come up.
    pub fn start(rate: u32) -> Option<Self> {
        let tools = ["pulseaudio", "pactl", "paplay", "parec"];
        if !need("pulseaudio", tools.iter().all(|tool| program(tool))) {
            return None;
        }
        let folder = tempfile::Builder::new().prefix("swictation-pulse").tempdir().unwrap();
        let mut pulse = Self { folder, rate, server: None, recorders: Vec::new() };
        pulse.restart();
        Some(pulse)
    }

    /// The environment that leads a program to this server and to no other.
    pub fn env(&self) -> Vec<(&'static str, OsString)> {
        let folder = self.folder.path();
        vec![
            ("XDG_RUNTIME_DIR", folder.into()),
            ("PULSE_RUNTIME_PATH", folder.join("pulse").into()),
            ("PULSE_STATE_PATH", folder.join("state").into()),
            ("PULSE_SERVER", format!("unix:{}", self.socket().display()).into()),
        ]
    }

    /// The server's socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("pulse/native")
    }

    /// Starts the server anew after [`kill`](Self::kill), on the same socket, and
    /// returns when its microphone is awake.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn restart(&mut self) {
        self.boot();
        self.wake("mic.monitor");
    }

    /// Like [`restart`](Self::restart), but returns as soon as the server answers.
    ///
    /// # Panics
    /// When it does not.
    pub fn boot(&mut self) {
        self.kill();
        std::fs::create_dir_all(self.folder.path().join("pulse")).unwrap();
        let sink = format!("module-null-sink sink_name=mic rate={} channels=1", self.rate);
        let log = format!("--log-target=file:{}", self.folder.path().join("log").display());
        let server = self
            .command("pulseaudio")
            .args(["-n", "--daemonize=no", "--exit-idle-time=-1", "--disallow-exit"])
            .args(["--realtime=no", "--high-priority=no", &log])
            .args(["-L", "module-native-protocol-unix auth-anonymous=1"])
            .args(["-L", &sink, "-L", "module-always-sink"])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.server = Some(server);
        let deadline = Instant::now() + PATIENCE;
        // The server tells nobody when it listens.
        while !self.command("pactl").arg("info").output().unwrap().status.success() {
            assert!(Instant::now() < deadline, "no PulseAudio after {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        self.pactl(&["set-default-source", "mic.monitor"]);
    }

    /// Keeps `source` awake, and returns when it delivers.
    ///
    /// # Panics
    /// When it does not.
    pub fn wake(&mut self, source: &str) {
        let mut recorder = self
            .command("parec")
            .args(["--latency-msec=10", "--raw", "-d", source])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = recorder.stdout.take().unwrap();
        self.recorders.push(recorder);
        let (awake, is_awake) = channel();
        std::thread::spawn(move || swallow(out, &awake));
        is_awake.recv_timeout(PATIENCE).unwrap();
    }

    /// Ends the server at once, as a crash would.
    pub fn kill(&mut self) {
        for mut child in self.server.take().into_iter().chain(self.recorders.drain(..)) {
            drop(child.kill());
            drop(child.wait());
        }
    }

    /// Sends the server a signal: one that is stopped hangs until it may go on.
    ///
    /// # Panics
    /// When there is no server.
    pub fn signal(&self, name: &str) {
        let server = self.server.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &server]).status().unwrap().success());
    }

    /// Plays a WAV file to a sink and returns when its last sample was played.
    ///
    /// # Panics
    /// When the server refuses it.
    pub fn play(&self, sink: &str, wav: &Path) {
        let device = format!("--device={sink}");
        assert!(self.command("paplay").arg(device).arg(wav).status().unwrap().success());
    }

    /// Runs pactl and returns what it prints.
    ///
    /// # Panics
    /// When it fails.
    pub fn pactl(&self, args: &[&str]) -> String {
        let done = self.command("pactl").args(args).output().unwrap();
        assert!(done.status.success(), "pactl {args:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.envs(self.env()).stdin(Stdio::null());
        command
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Reads a recorder's samples away; says so once they come steadily.
fn swallow(mut from: impl Read, awake: &Sender<()>) {
    let mut samples = [0; 4096];
    let mut reads = 0;
    while from.read(&mut samples).is_ok_and(|count| count > 0) {
        reads += 1;
        if reads == 20 {
            let _ = awake.send(());
        }
    }
}
