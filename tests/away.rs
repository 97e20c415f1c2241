//! The machine sleeps, the screen is locked, the person logs out: everything said until
//! then is decoded, typed where it belongs, and the daemon is ready when they are back.
//!
//! What a daemon has captured is a part of its recording that ends at a sample which its
//! metrics tell; what `swictation transcribe` makes of that part must have been typed.

use crate::bad_input::{desk, verb};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use swictation_tests::bus::Bus;
use swictation_tests::logind::Logind;
use swictation_tests::programs::{Daemon, Follower, Home, PATIENCE, recording, runtime, toy};

/// A daemon that dictates a recording, and what is seen of it.
pub(crate) struct Desk {
    pub(crate) bus: Bus,
    pub(crate) home: Home,
    pub(crate) status: Follower,
    pub(crate) daemon: Daemon,
    wav: PathBuf,
}

impl Desk {
    /// A daemon that hears the first `seconds` of a reading, at the pace of the words
    /// behind `wav:FILE`.
    pub(crate) fn hearing(seconds: f64, pace: &str, more: impl FnOnce(&mut Command)) -> Option<Desk> {
        let (Some(_), Some(whole), Some((bus, home, mut status))) =
            (runtime(), recording("beckett.wav"), desk())
        else {
            return None;
        };
        let wav = cut(&whole, (seconds * 16_000.0) as usize, &home.path("heard.wav"));
        home.configure(&format!("model = {:?}\ndevice = \"cpu\"\n", toy("att70_6-rnnt")));
        let mut command = home.command("swictationd");
        let source = format!("wav:{}{pace}", wav.display());
        more(bus.give_to(&mut command).args(["--typist", "stdout", "--source", &source]));
        let daemon = Daemon::start(&mut command);
        status.until("an engine", |line| line["engine"]["state"] == "ready");
        Some(Desk { bus, home, status, daemon, wav })
    }

    /// Runs a verb; what it prints.
    pub(crate) fn verb(&self, name: &str) -> String {
        let ran = verb(&self.bus, &self.home, &[name]);
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.out.trim().to_owned()
    }

    /// The status at this moment.
    pub(crate) fn now(&self) -> Value {
        let ran = verb(&self.bus, &self.home, &["status", "--json"]);
        serde_json::from_str(&ran.out).unwrap()
    }

    /// The text of the first samples of the recording.
    pub(crate) fn text(&self, samples: usize) -> String {
        let part = cut(&self.wav, samples, &self.home.path("part.wav"));
        let ran = self.home.run("swictation", &["transcribe", part.to_str().unwrap()]);
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.out.trim().to_owned() + " "
    }

    /// The text of all that the daemon has captured.
    fn captured(&self) -> String {
        let seconds = self.now()["metrics"]["audio_seconds"].as_f64().unwrap();
        self.text((seconds * 16_000.0).round() as usize)
    }

    /// The process of the worker.
    pub(crate) fn worker(&self) -> u32 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.daemon.pid())).unwrap();
        let children = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("children")).unwrap());
        children
            .flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
            .next()
            .unwrap()
            .parse()
            .unwrap()
    }
}

/// Sends a signal.
pub(crate) fn signal(name: &str, pid: u32) {
    assert!(Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap().success());
}

/// Writes the first samples of a recording, 16 kHz mono in 16 bits, to another file.
fn cut(wav: &Path, samples: usize, to: &Path) -> PathBuf {
    let bytes = fs::read(wav).unwrap();
    let data = bytes.windows(4).position(|four| four == b"data").unwrap() + 8;
    let mut part = bytes[..(data + 2 * samples).min(bytes.len())].to_vec();
    let length = (part.len() - data) as u32;
    part[data - 4..data].copy_from_slice(&length.to_le_bytes());
    part[4..8].copy_from_slice(&(length + data as u32 - 8).to_le_bytes());
    fs::write(to, part).unwrap();
    to.to_owned()
}

/// A desk whose machine can sleep; logind waits so long for inhibitors.
fn on_a_machine(seconds: f64, pace: &str, delay: Duration) -> Option<(Bus, Logind, Desk)> {
    let system = Bus::start()?;
    let logind = Logind::on(&system, delay);
    let desk = Desk::hearing(seconds, pace, |command| {
        Logind::give_to(&system, command);
    })?;
    Some((system, logind, desk))
}

#[test]
fn sleep_in_mid_speech_waits_for_the_last_word_and_the_daemon_wakes_up_ready() {
    // Longer than a test is patient: it is let go because of the last word.
    let Some((_system, logind, mut desk)) = on_a_machine(9.0, "?realtime", 5 * PATIENCE) else {
        return;
    };
    let inhibitor = logind.inhibited();
    let [what, who, _, how] = &inhibitor.asked;
    assert_eq!([what.as_str(), who, how], ["sleep", "Swictation", "delay"]);
    desk.verb("start");
    let mut typed = desk.daemon.printed(1);
    logind.sleep();
    inhibitor.released();
    assert_eq!(desk.now()["alt"], "idle", "the machine was let go before the end");
    let said = desk.captured();
    typed += &desk.daemon.printed(said.len() - typed.len());
    assert_eq!(typed, said);
    assert_eq!(desk.verb("start"), "idle", "it is about to sleep");

    logind.wake();
    let inhibitor = logind.inhibited();
    assert_ne!(desk.verb("toggle"), "idle");
    desk.status.until("a dictation", |line| line["state"] != "idle");
    desk.verb("toggle");
    desk.status.state("idle");
    logind.sleep();
    inhibitor.released();
    assert!(desk.daemon.runs());
}

#[test]
fn a_machine_that_cannot_wait_sleeps_and_the_last_words_come_when_it_is_awake() {
    let Some((_system, logind, mut desk)) = on_a_machine(3.0, "", Duration::from_secs(1)) else { return };
    let inhibitor = logind.inhibited();
    let worker = desk.worker();
    signal("STOP", worker);
    desk.verb("start");
    desk.status.state("finishing");
    logind.sleep();
    inhibitor.released();
    assert_eq!(desk.now()["alt"], "finishing");
    logind.wake();
    logind.inhibited();
    signal("CONT", worker);
    desk.status.state("idle");
    let said = desk.text(48_000);
    assert_eq!(desk.daemon.printed(said.len()), said);
}

#[test]
fn a_logind_that_starts_again_is_asked_again() {
    let Some((system, logind, desk)) = on_a_machine(3.0, "", Duration::from_secs(30)) else { return };
    let first = logind.inhibited();
    logind.sleep();
    first.released();
    // The next one does not know that the machine is awake again, and cannot tell.
    drop(logind);
    let logind = Logind::on(&system, Duration::from_secs(30));
    let second = logind.inhibited();
    assert_ne!(desk.verb("start"), "idle");
    logind.sleep();
    second.released();
    assert_eq!(desk.now()["alt"], "idle");
}

#[test]
fn what_is_said_before_a_lock_is_typed_after_it() {
    let Some((_system, logind, mut desk)) = on_a_machine(9.0, "?realtime", Duration::from_secs(30)) else {
        return;
    };
    logind.inhibited();
    desk.verb("start");
    let mut typed = desk.daemon.printed(1);
    logind.hint(true);
    desk.status.until("a dictation", |line| line["state"] != "idle");
    desk.status.state("idle");
    let said = desk.captured();
    typed += &desk.daemon.printed(0);
    assert!(said.starts_with(&typed) && typed.len() < said.len(), "of {said:?} was typed: {typed:?}");
    // Asked for over a lock that is known of, this ends nothing.
    logind.unlock();
    logind.hint(false);
    typed += &desk.daemon.printed(said.len() - typed.len());
    assert_eq!(typed, said);
}

#[test]
fn a_logout_ends_the_daemon_with_everything_typed() {
    let Some(mut desk) = Desk::hearing(3.0, "", |_| {}) else { return };
    let worker = desk.worker();
    signal("STOP", worker);
    desk.verb("start");
    desk.status.state("finishing");
    signal("TERM", desk.daemon.pid());
    signal("CONT", worker);
    assert_eq!(desk.daemon.ended(), 0);
    let said = desk.text(48_000);
    assert_eq!(desk.daemon.printed(said.len()), said);
}
