//! No fault of a worker costs a word or types one twice: the text with a fault is the
//! text without it.
//!
//! The daemon and the worker are the real ones, the worker with the faults of a plan
//! in it (`tests/faults`) and with a GPU that is a word in a file. Each row is a
//! dictation of the same recording by the same daemon, so that what one fault leaves
//! behind would show in the next row.

use crate::bad_input::{desk, transcribe, verb};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use swictation_tests::bus::Bus;
use swictation_tests::programs::{Daemon, Follower, Home, PATIENCE, model, recording, runtime, toy};

/// A plan of faults, and how many workers they cost.
type Row = (&'static str, u64);

/// What ends a worker or stops it, at moments all over the recording.
const DEATHS: [Row; 9] = [
    ("kill at 1.2", 1),
    ("segv at 3.3", 1),
    ("abort at 5.1", 1),
    ("exit at 7.7", 1),
    ("abort at finish", 1),
    ("abort at 2\nsegv at 4\nkill at 6\nexit at 8", 4),
    ("hang at 4.4", 1),
    ("stop at 6.6", 1),
    // The next one never comes up.
    ("kill at 1.2\nhang at load", 2),
];

/// What a device says that computes no more, where the next process finds it well.
const ERRORS: [Row; 2] = [
    ("error \"CUDA failure 700: an illegal memory access was encountered ; GPU=0\" at 3.1", 1),
    ("oom at 5.5", 1),
];

/// What every fresh context meets again on the GPU, and never on the processor.
const STICKY: &str = "error \"CUDA failure 719: unspecified launch failure\" at 2.5 always on gpu";

/// How long the recording is.
const LENGTH: Duration = Duration::from_secs(10);

/// A daemon with the faulty worker, and what is seen of it.
struct Desk {
    bus: Bus,
    home: Home,
    status: Follower,
    daemon: Daemon,
    /// What the shipped worker makes of the recording.
    text: String,
}

impl Desk {
    /// One that hears `beckett.wav` at this `pace`, with a GPU that is so.
    fn new(model: Option<PathBuf>, device: &str, gpu: &str, pace: &str) -> Option<Desk> {
        let (Some(model), Some(_), Some(wav)) = (model, runtime(), recording("beckett.wav")) else {
            return None;
        };
        let (bus, home, mut status) = desk()?;
        home.configure(&format!("model = {model:?}\ndevice = {device:?}\nkeep_skipped = true\n"));
        let ran = transcribe(&home, &model, &wav);
        let mut command = home.faulty_daemon();
        fs::write(home.path("faults/gpu"), gpu).unwrap();
        let source = format!("wav:{}{pace}", wav.display());
        let daemon =
            Daemon::start(bus.give_to(&mut command).args(["--typist", "stdout", "--source", &source]));
        assert_eq!(ran.code, 0, "{ran:?}");
        status.until("an engine", |line| line["engine"]["state"] == "ready");
        Some(Desk { bus, home, status, daemon, text: ran.out.trim().to_owned() + " " })
    }

    /// From here on the faults are these, and none of them has happened.
    fn plan(&self, plan: &str) {
        fs::write(self.home.path("faults/plan"), plan).unwrap();
        fs::write(self.home.path("faults/fired"), "").unwrap();
    }

    fn gpu(&self, state: &str) {
        fs::write(self.home.path("faults/gpu"), state).unwrap();
    }

    fn happened(&self) -> u64 {
        fs::read_to_string(self.home.path("faults/fired")).unwrap().lines().count() as u64
    }

    fn metrics(&self) -> Value {
        let status = verb(&self.bus, &self.home, &["status", "--json"]);
        let mut status: Value = serde_json::from_str(&status.out).unwrap();
        status["metrics"].take()
    }

    fn ends(&self) -> u64 {
        self.metrics()["worker_ends"].as_u64().unwrap()
    }

    /// Dictates the recording; what was shown meanwhile.
    fn dictate(&mut self) -> Vec<Value> {
        assert_eq!(verb(&self.bus, &self.home, &["start"]).code, 0);
        self.status.until("a dictation", |line| line["state"] != "idle");
        self.status.through("the end of it", |line| line["state"] == "idle")
    }

    /// Dictates with these faults, and the text is what it is without; what was shown.
    fn types_the_same_with(&mut self, plan: &str) -> Vec<Value> {
        self.plan(plan);
        let shown = self.dictate();
        let typed = self.daemon.printed(self.text.len());
        assert_eq!(typed, self.text, "{plan}: {:?}", troubles(&shown));
        shown
    }

    /// The same, with as many ends of workers as there were faults, and all well again.
    fn survives(&mut self, (plan, workers): Row) {
        let before = self.ends();
        self.types_the_same_with(plan);
        assert_eq!(self.happened(), workers, "{plan}");
        // A machine that does much else may let one more seem to hang.
        let ended = self.ends() - before;
        assert!((workers..=workers + 1).contains(&ended), "{plan}: {ended}");
        self.is_well();
    }

    fn is_well(&mut self) {
        let well = |line: &Value| line["engine"]["state"] == "ready" && line["trouble"] == "";
        self.status.until("all well again", well);
    }

    /// With a GPU that works again.
    fn comes_back_to_the_gpu(&mut self) {
        self.gpu("present");
        let is_back = |line: &Value| line["engine"]["provider"] == "cuda:0";
        self.status.within(2 * PATIENCE, "the GPU", is_back);
        self.is_well();
        self.types_the_same_with("");
    }

    fn runs_on(&mut self, provider: &str) {
        self.status.until(provider, |line| line["engine"]["provider"] == provider);
    }
}

impl Drop for Desk {
    /// Nothing is typed after what was looked at: a word twice at the very end is one
    /// that no comparison saw.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let pid = self.daemon.pid().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.daemon.ended();
        assert_eq!(self.daemon.printed(0), "");
    }
}

/// The troubles in the order in which they came.
fn troubles(shown: &[Value]) -> Vec<&str> {
    let mut troubles: Vec<&str> = shown.iter().filter_map(|line| line["trouble"].as_str()).collect();
    troubles.dedup();
    troubles
}

fn nemo() -> Option<PathBuf> {
    Some(toy("att70_6-rnnt"))
}

fn moonshine() -> Option<PathBuf> {
    model("moonshine-tiny-en")
}

fn each_survives(model: Option<PathBuf>, device: &str, rows: &[Row]) {
    let Some(mut desk) = Desk::new(model, device, "present", "") else { return };
    rows.iter().for_each(|row| desk.survives(*row));
}

#[test]
fn a_streaming_worker_that_dies_or_hangs_types_the_same_text() {
    each_survives(nemo(), "cpu", &DEATHS);
}

#[test]
fn a_worker_with_the_default_model_that_dies_or_hangs_types_the_same_text() {
    each_survives(moonshine(), "cpu", &DEATHS);
}

#[test]
fn a_streaming_worker_on_a_gpu_that_fails_once_is_replaced_there() {
    each_survives(nemo(), "auto", &ERRORS);
}

#[test]
fn a_worker_with_the_default_model_on_a_gpu_that_fails_once_is_replaced_there() {
    each_survives(moonshine(), "auto", &ERRORS);
}

/// The processes of workers that a daemon has.
fn workers(daemon: u32) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{daemon}/task")).into_iter().flatten().flatten();
    let children = tasks.map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default());
    children.flat_map(|pids| pids.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// Dictates as a person speaks, and kills the worker from outside so often meanwhile.
fn is_killed_every(model: Option<PathBuf>, pause: Duration) {
    let Some(mut desk) = Desk::new(model, "cpu", "absent", "?realtime") else { return };
    let (daemon, before) = (desk.daemon.pid(), desk.ends());
    let killer = std::thread::spawn(move || {
        let (begun, mut killed) = (Instant::now(), Vec::new());
        while begun.elapsed() < LENGTH {
            // When it happens is what this is about.
            std::thread::sleep(pause);
            for worker in workers(daemon) {
                if !killed.contains(&worker)
                    && Command::new("kill").args(["-KILL", &worker]).status().unwrap().success()
                {
                    killed.push(worker);
                }
            }
        }
        killed.len() as u64
    });
    desk.types_the_same_with("");
    let killed = killer.join().unwrap();
    assert!(killed >= 2, "{killed}");
    desk.is_well();
    // The last one may have been killed a moment ago, and nobody tells when it is counted.
    let deadline = Instant::now() + PATIENCE;
    while desk.ends() - before < killed {
        assert!(Instant::now() < deadline, "{killed} were killed");
    }
}

#[test]
fn a_streaming_worker_that_is_killed_every_second_types_the_same_text() {
    is_killed_every(nemo(), Duration::from_secs(1));
}

#[test]
fn a_worker_with_the_default_model_that_is_killed_every_few_seconds_types_the_same_text() {
    is_killed_every(moonshine(), Duration::from_millis(3500));
}

/// A GPU that `plan` takes away in the middle of a dictation: the processor takes over,
/// that is said once, and when nobody dictates the GPU has the work back.
fn falls_and_comes_back(model: Option<PathBuf>, plan: &str) {
    let Some(mut desk) = Desk::new(model, "auto", "present", "") else { return };
    desk.runs_on("cuda:0");
    let shown = desk.types_the_same_with(plan);
    let last = shown.last().unwrap();
    assert_eq!(last["engine"]["provider"], "cpu", "{plan}: {:?}", troubles(&shown));
    let said = troubles(&shown).iter().filter(|trouble| trouble.contains("cpu is used")).count();
    assert_eq!(said, 1, "{plan}: {:?}", troubles(&shown));
    desk.plan("");
    desk.comes_back_to_the_gpu();
}

fn is_used_once_it_has_room(model: Option<PathBuf>) {
    let Some(mut desk) = Desk::new(model, "auto", "full", "") else { return };
    desk.runs_on("cpu");
    desk.types_the_same_with("");
    desk.comes_back_to_the_gpu();
}

#[test]
fn a_gpu_that_failed_hands_over_to_the_processor_and_has_the_work_back_when_nobody_dictates() {
    // It is left alone for a minute: all of them are, at the same time.
    std::thread::scope(|scope| {
        scope.spawn(|| falls_and_comes_back(nemo(), "lose at 4"));
        scope.spawn(|| falls_and_comes_back(moonshine(), "lose at 4"));
        scope.spawn(|| falls_and_comes_back(nemo(), STICKY));
        scope.spawn(|| falls_and_comes_back(nemo(), "abort at 4\noom at load"));
        scope.spawn(|| is_used_once_it_has_room(nemo()));
    });
}

/// What a dictation needs is loaded while it runs, and what nobody needs takes no memory.
fn is_unloaded_and_comes_back(model: Option<PathBuf>) {
    let Some(folder) = model.clone() else { return };
    let Some(mut desk) = Desk::new(model, "cpu", "absent", "") else { return };
    desk.home.configure(&format!("model = {folder:?}\ndevice = \"cpu\"\nunload_seconds = 1\n"));
    for _ in 0..2 {
        desk.status.until("no engine", |line| line["engine"]["state"] == "absent");
        // It was told to end; its memory is back when it has.
        let deadline = Instant::now() + PATIENCE;
        while !workers(desk.daemon.pid()).is_empty() {
            assert!(Instant::now() < deadline, "the process of the worker is still there");
            std::thread::yield_now();
        }
        desk.types_the_same_with("");
    }
    assert_eq!(desk.ends(), 0);
}

#[test]
fn a_model_that_nobody_needs_is_unloaded_and_the_next_dictation_loses_no_word() {
    is_unloaded_and_comes_back(nemo());
    is_unloaded_and_comes_back(moonshine());
}

fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

/// What is said where every worker dies, on every device, is skipped and marked, and
/// the rest is heard; the typed text.
fn gets_over_poison(model: Option<PathBuf>) -> Option<String> {
    let mut desk = Desk::new(model, "auto", "present", "")?;
    desk.plan("poison in 4..4.4");
    let shown = desk.dictate();
    let said = "could not be recognised and stand as [...]";
    assert!(troubles(&shown).iter().any(|trouble| trouble.contains(said)), "{:?}", troubles(&shown));
    let skipped = desk.metrics()["skipped_seconds"].as_f64().unwrap();
    assert!((0.4..5.0).contains(&skipped), "{skipped}");
    let kept = fs::read_dir(desk.home.path(".local/state/swictation/skipped")).unwrap();
    let kept: Vec<_> = kept.map(|entry| entry.unwrap().metadata().unwrap()).collect();
    assert!(kept.iter().all(|about| about.permissions().mode() & 0o777 == 0o600), "{kept:?}");
    let samples = kept.iter().map(|about| about.len()).sum::<u64>() as f64 / 4.0;
    assert!((samples / 16_000.0 - skipped).abs() < 0.1, "{samples} samples of {skipped} s");
    let text = desk.daemon.printed("Ever [...] ".len());
    assert!(text.contains(" [...] "), "{text:?}");
    desk.types_the_same_with("");
    Some(text)
}

#[test]
fn an_utterance_that_kills_every_worker_with_the_default_model_is_skipped_and_the_rest_typed() {
    let Some(text) = gets_over_poison(moonshine()) else { return };
    let (before, behind) = (words("Ever tried, ever failed."), words("fail better."));
    assert!(words(&text).starts_with(&before) && words(&text).ends_with(&behind), "{text:?}");
}

#[test]
fn what_kills_every_streaming_worker_is_skipped_and_the_rest_heard() {
    // The toy knows this one recording, and from its middle nothing.
    let Some(text) = gets_over_poison(nemo()) else { return };
    assert!(text.starts_with("ever "), "{text:?}");
}

#[test]
fn a_worker_that_is_too_slow_falls_behind_says_so_and_catches_up() {
    let Some(mut desk) = Desk::new(nemo(), "cpu", "absent", "?realtime") else { return };
    let shown = desk.types_the_same_with("slow 3 in 1..4");
    assert!(troubles(&shown).iter().any(|trouble| trouble.contains("behind")), "{:?}", troubles(&shown));
    assert_eq!((desk.ends(), shown.last().map(|line| &line["trouble"])), (0, Some(&Value::from(""))));
}
