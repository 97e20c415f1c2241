//! The programs as they were built, and a home of their own to run them in.
//!
//! They are found beside the test executable, where cargo puts them. One that is
//! not there, or is older than one of its sources, fails the test that wants it: a
//! test of yesterday's program would say nothing. What runs sees nothing of the
//! session the tests run in: no configuration, model, bus, display or microphone
//! but those a test gives it.

#![allow(clippy::unwrap_used, clippy::panic)]

use crate::bus::Bus;
use crate::{need, note};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant, SystemTime};
use tempfile::TempDir;

/// How long a program may take for anything but speech; far more than it needs,
/// for machines that do much else.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What is edited after the tests have begun is not what they are about.
static BEGUN: LazyLock<SystemTime> = LazyLock::new(SystemTime::now);

/// The folder of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// A model of models/toy.
pub fn toy(name: &str) -> PathBuf {
    root().join("models/toy").join(name)
}

/// A model of models/seeded, the second golden set.
pub fn seeded(name: &str) -> PathBuf {
    root().join("models/seeded").join(name)
}

/// A program that cargo built.
///
/// # Panics
/// When it is not there, or older than its sources.
pub fn built(name: &str) -> PathBuf {
    // target/PROFILE/deps/all-HASH
    let own = std::env::current_exe().unwrap();
    let program = own.parent().and_then(Path::parent).unwrap().join(name);
    let hint = "run scripts/test, or `cargo build --workspace` with the profile of the tests";
    fresh(program).unwrap_or_else(|why| panic!("{why}: {hint}"))
}

/// A program as it is given to people, where `cargo build --release` was run.
pub fn released(name: &str) -> Option<PathBuf> {
    let own = std::env::current_exe().unwrap();
    let program = own.ancestors().nth(3).unwrap().join("release").join(name);
    let program = fresh(program).inspect_err(|why| note(why));
    need("the release build", program.is_ok()).then(|| program.unwrap())
}

/// A program that is as new as its sources, or why not.
fn fresh(program: PathBuf) -> Result<PathBuf, String> {
    let begun = *BEGUN;
    let Ok(age) = fs::metadata(&program).and_then(|about| about.modified()) else {
        return Err(format!("{} is not built", program.display()));
    };
    // Cargo writes there what the program was made of.
    let sources = fs::read_to_string(program.with_extension("d")).unwrap_or_default();
    let sources = sources.split_once(": ").map_or("", |(_, sources)| sources);
    for source in sources.replace("\\ ", "\0").split_whitespace() {
        let source = source.replace('\0', " ");
        let edited = fs::metadata(&source).and_then(|about| about.modified());
        if edited.is_ok_and(|at| at > age && at < begun) {
            return Err(format!("{} is older than {source}", program.display()));
        }
    }
    Ok(program)
}

/// Where speech and models are that are not in the repository.
fn data() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_DATA_HOME").or_else(|| set("HOME").map(|home| home.join(".local/share")));
    base.unwrap_or_default().join("swictation")
}

/// ONNX Runtime, where ORT_DYLIB_PATH or the data folder has it.
pub fn runtime() -> Option<PathBuf> {
    let set = std::env::var_os("ORT_DYLIB_PATH").filter(|value| !value.is_empty());
    let path = set.map_or_else(|| data().join("onnxruntime/libonnxruntime.so"), PathBuf::from);
    need("ONNX Runtime", path.exists()).then_some(path)
}

/// The installed model of that name.
pub fn model(name: &str) -> Option<PathBuf> {
    let folder = data().join("models").join(name);
    need(&format!("the model {name}"), folder.join("model.toml").exists()).then_some(folder)
}

/// A recording that is not in the repository.
pub fn recording(name: &str) -> Option<PathBuf> {
    let places = [root().join("../shared/fixtures/audio").join(name), data().join("speech").join(name)];
    let found = places.into_iter().find(|path| path.exists());
    need(&format!("the recording {name}"), found.is_some());
    found
}

/// A person's folders, empty at first and removed with this.
pub struct Home {
    folder: TempDir,
}

impl Home {
    /// Makes the folders.
    ///
    /// # Panics
    /// When that is not possible.
    pub fn new() -> Home {
        let folder = tempfile::Builder::new().prefix("swictation-home").tempdir().unwrap();
        let home = Home { folder };
        for name in ["config/swictation", "data/swictation/models", "run"] {
            fs::create_dir_all(home.path(name)).unwrap();
        }
        home
    }

    /// A place in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes config.toml as an editor does: at once, and over the old one.
    ///
    /// # Panics
    /// When that is not possible.
    pub fn configure(&self, text: &str) {
        fs::write(self.path("config/swictation/new"), text).unwrap();
        fs::rename(self.path("config/swictation/new"), self.path("config/swictation/config.toml")).unwrap();
    }

    /// A program that was built, to be run here and to see nothing else.
    ///
    /// # Panics
    /// When it was not built.
    pub fn command(&self, program: &str) -> Command {
        self.command_at(&built(program))
    }

    /// swictationd with `faulty-worker` in the place of its worker, which follows the
    /// plan in `faults/plan` and finds its GPU in `faults/gpu`.
    ///
    /// # Panics
    /// When a program was not built, or the folders cannot be made.
    pub fn faulty_daemon(&self) -> Command {
        let (programs, faults) = (self.path("programs"), self.path("faults"));
        if !programs.exists() {
            fs::create_dir(&programs).unwrap();
            fs::create_dir(&faults).unwrap();
            // The daemon takes the worker that lies beside it.
            let places = [("swictationd", "swictationd"), ("faulty-worker", "swictation-worker")];
            for (program, place) in places {
                let (program, place) = (built(program), programs.join(place));
                fs::hard_link(&program, &place).or_else(|_| fs::copy(&program, &place).map(drop)).unwrap();
            }
            fs::write(faults.join("plan"), "").unwrap();
            fs::write(faults.join("gpu"), "absent").unwrap();
        }
        let mut command = self.command_at(&programs.join("swictationd"));
        command.env("SWICTATION_FAULTS", faults.join("plan"));
        command
    }

    /// This program, to be run here and to see nothing else.
    pub fn command_at(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().stdin(Stdio::null()).current_dir(self.folder.path());
        for kept in ["PATH", "LD_LIBRARY_PATH", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(kept) {
                command.env(kept, value);
            }
        }
        command.env("LC_ALL", "C.UTF-8").env("HOME", self.folder.path());
        command.env("XDG_CONFIG_HOME", self.path("config")).env("XDG_DATA_HOME", self.path("data"));
        command.env("XDG_RUNTIME_DIR", self.path("run"));
        // A machine with a microphone is the same as one without.
        command.env("PULSE_SERVER", format!("unix:{}", self.path("no-sound-server").display()));
        command.env("ALSA_CONFIG_PATH", self.path("no-alsa"));
        // Nobody's lid or lock is that of a test.
        command.env("DBUS_SYSTEM_BUS_ADDRESS", format!("unix:path={}", self.path("no-system-bus").display()));
        // The same for a GPU: what runs on the processor must run so everywhere.
        command.env("CUDA_VISIBLE_DEVICES", "-1");
        let runtime = std::env::var_os("ORT_DYLIB_PATH")
            .map_or_else(|| data().join("onnxruntime/libonnxruntime.so"), PathBuf::from);
        command.env("ORT_DYLIB_PATH", runtime);
        command
    }

    /// Runs a program to its end.
    ///
    /// # Panics
    /// When it was not built, or does not end.
    pub fn run(&self, program: &str, args: &[&str]) -> Ran {
        run(self.command(program).args(args))
    }
}

impl Default for Home {
    fn default() -> Home {
        Home::new()
    }
}

/// Writes a WAV file of so many samples of silence, 16 kHz mono.
///
/// # Panics
/// When that is not possible.
pub fn silence(home: &Home, samples: u32) -> PathBuf {
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + 2 * samples).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data");
    bytes.extend((2 * samples).to_le_bytes());
    bytes.resize(44 + 2 * samples as usize, 0);
    let path = home.path("silence.wav");
    fs::write(&path, bytes).unwrap();
    path
}

/// What a program did.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code; -1 for a signal.
    pub code: i32,
    /// What it printed.
    pub out: String,
    /// What it complained of.
    pub err: String,
}

/// Runs a command to its end.
///
/// # Panics
/// When it cannot be started or does not end.
pub fn run(command: &mut Command) -> Ran {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (out, err) = (gather(child.stdout.take()), gather(child.stderr.take()));
    let code = ended(&mut child);
    Ran { code, out: out.recv().unwrap_or_default(), err: err.recv().unwrap_or_default() }
}

/// Reads to the end on a thread, as a full pipe would hold up the program.
fn gather(from: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (send, text) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        drop(from.map(|mut from| from.read_to_end(&mut bytes)));
        send.send(String::from_utf8_lossy(&bytes).into_owned())
    });
    text
}

/// Waits for the end of a process; its exit code.
fn ended(child: &mut Child) -> i32 {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap_or(-1);
        }
        if Instant::now() > deadline {
            drop(child.kill());
            panic!("a program has not ended after {PATIENCE:?}");
        }
        // The system tells the end of a child, but not with a deadline.
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A running swictationd; killed when dropped.
pub struct Daemon {
    process: Child,
    log: Arc<Mutex<String>>,
    out: Arc<Mutex<String>>,
}

impl Daemon {
    /// Starts it.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn start(command: &mut Command) -> Daemon {
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (log, out) = (Arc::default(), Arc::default());
        keep(process.stdout.take(), &out);
        keep(process.stderr.take(), &log);
        Daemon { process, log, out }
    }

    /// Waits until it has printed so many bytes, and takes all that it has.
    ///
    /// # Panics
    /// When it does not, with what it printed.
    pub fn printed(&self, bytes: usize) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut out = self.out.lock().unwrap();
            if out.len() >= bytes {
                return std::mem::take(&mut out);
            }
            assert!(Instant::now() < deadline, "of {bytes} bytes only {:?} was printed", *out);
            drop(out);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// All that it and its workers have said so far. What it prints is part of what
    /// it tells: dictated text must be in neither.
    ///
    /// # Panics
    /// When the thread that listens did.
    pub fn log(&self) -> String {
        self.out.lock().unwrap().clone() + &self.log.lock().unwrap()
    }

    /// Whether it runs.
    ///
    /// # Panics
    /// When the system does not tell.
    pub fn runs(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// Waits for its end; the exit code.
    ///
    /// # Panics
    /// When it does not end.
    pub fn ended(&mut self) -> i32 {
        ended(&mut self.process)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        if std::thread::panicking() {
            let log = self.log.lock().map(|log| log.clone()).unwrap_or_default();
            crate::note(&format!("the daemon's log:\n{log}"));
        }
    }
}

fn keep(from: Option<impl Read + Send + 'static>, log: &Arc<Mutex<String>>) {
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        let (mut from, mut bytes) = (from?, [0; 4096]);
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            log.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
        Some(())
    });
}

/// What `swictation status --follow` shows, line by line.
pub struct Follower {
    process: Child,
    lines: Receiver<Value>,
    /// The newest line.
    pub last: Value,
}

impl Follower {
    /// Follows the daemon on that bus, be it there already or not.
    ///
    /// # Panics
    /// When `swictation` was not built.
    pub fn on(bus: &Bus, home: &Home) -> Follower {
        let mut command = home.command("swictation");
        bus.give_to(&mut command).args(["status", "--follow"]).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let (send, lines) = channel();
        let out = process.stdout.take();
        std::thread::spawn(move || {
            for line in out.into_iter().flat_map(|out| BufReader::new(out).lines()).map_while(Result::ok) {
                drop(send.send(serde_json::from_str(&line).unwrap_or(Value::String(line))));
            }
        });
        let mut follower = Follower { process, lines, last: Value::Null };
        follower.until("a first line", |_| true);
        follower
    }

    /// Waits until a line is as wanted, beginning with the newest; returns it.
    ///
    /// # Panics
    /// When none is within [`PATIENCE`].
    pub fn until(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.within(PATIENCE, what, wanted)
    }

    /// [`until`](Self::until), for what takes its time.
    ///
    /// # Panics
    /// When no line is as wanted in this time.
    pub fn within(&mut self, patience: Duration, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + patience;
        while self.last.is_null() || !wanted(&self.last) {
            let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) else {
                panic!("the status never showed {what}; the last line was {}", self.last);
            };
            self.last = line;
        }
        self.last.clone()
    }

    /// [`until`](Self::until), with all lines that came on the way.
    ///
    /// # Panics
    /// When none is as wanted within [`PATIENCE`].
    pub fn through(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let seen = std::cell::RefCell::new(Vec::new());
        let look = |line: &Value| {
            seen.borrow_mut().push(line.clone());
            wanted(line)
        };
        self.until(what, look);
        seen.into_inner()
    }

    /// [`until`](Self::until) the state is this.
    ///
    /// # Panics
    /// When it never is.
    pub fn state(&mut self, state: &str) -> Value {
        self.until(state, |line| line["state"] == state)
    }

    /// [`until`](Self::until) the trouble contains this; returns the trouble.
    ///
    /// # Panics
    /// When it never does.
    pub fn trouble(&mut self, part: &str) -> String {
        let contains = |line: &Value| line["trouble"].as_str().is_some_and(|text| text.contains(part));
        let line = self.until(&format!("the trouble {part:?}"), contains);
        line["trouble"].as_str().unwrap_or_default().to_owned()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
