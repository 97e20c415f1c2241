//! A daemon that nobody needs takes no time and little memory.
//!
//! A thread that wakes up shows in the kernel's count of its context switches, so
//! a stretch without one is a stretch in which nothing ran. It comes after a
//! dictation, which leaves no thread behind that does anything.
//!
//! How long the stretch is, in seconds, is in SWICTATION_IDLE_SECONDS; 20 without.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};
use swictation_tests::bus::Bus;
use swictation_tests::note;
use swictation_tests::programs::{Daemon, Follower, Home, released, run, runtime, silence, toy};

/// How often each thread of the process and of its children has run, by name.
fn switches(pid: u32) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for task in fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let task = task.unwrap().path();
        let read = |name: &str| fs::read_to_string(task.join(name)).unwrap_or_default();
        let status = read("status");
        let count =
            |key: &str| field(&status, key).and_then(|value| value.parse::<u64>().ok()).unwrap_or_default();
        let sum = count("voluntary_ctxt_switches:") + count("nonvoluntary_ctxt_switches:");
        counts.insert(format!("{} of {}", read("comm").trim(), task.display()), sum);
        for child in read("children").split_whitespace() {
            counts.extend(switches(child.parse().unwrap()));
        }
    }
    counts
}

fn field<'t>(status: &'t str, key: &str) -> Option<&'t str> {
    status.lines().find_map(|line| line.strip_prefix(key)).map(str::trim)
}

/// Waits until a second has passed in which nothing ran; the counts since.
fn settled(pid: u32) -> BTreeMap<String, u64> {
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut before = switches(pid);
    loop {
        // Nobody is told that nothing happens.
        std::thread::sleep(Duration::from_secs(1));
        let after = switches(pid);
        if before == after {
            return after;
        }
        assert!(Instant::now() < deadline, "it never rests: {before:#?} became {after:#?}");
        before = after;
    }
}

/// A daemon at rest, behind a dictation.
fn idle(bus: &Bus, home: &Home, mut swictationd: Command) -> Daemon {
    home.configure(&format!("model = {:?}\ndevice = \"cpu\"\n", toy("att70_6-rnnt")));
    let mut status = Follower::on(bus, home);
    let source = format!("wav:{}", silence(home, 16_000).display());
    let daemon =
        Daemon::start(bus.give_to(&mut swictationd).args(["--typist", "stdout", "--source", &source]));
    status.until("an engine", |line| line["engine"]["state"] == "ready");
    let started = run(bus.give_to(&mut home.command("swictation")).arg("start"));
    assert_eq!(started.code, 0, "{started:?}");
    status.until("another state", |line| line["state"] != "idle");
    status.state("idle");
    daemon
}

#[test]
fn an_idle_daemon_does_not_wake_up() {
    let (Some(_), Some(bus), home) = (runtime(), Bus::start(), Home::new()) else { return };
    let daemon = idle(&bus, &home, home.command("swictationd"));
    let before = settled(daemon.pid());
    let seconds = std::env::var("SWICTATION_IDLE_SECONDS").ok().and_then(|text| text.parse().ok());
    std::thread::sleep(Duration::from_secs(seconds.unwrap_or(20)));
    let after = switches(daemon.pid());
    let woken: Vec<&String> =
        after.iter().filter(|(task, count)| before.get(*task) < Some(count)).map(|(task, _)| task).collect();
    assert!(woken.is_empty(), "{woken:?} woke up: {before:#?} became {after:#?}");
}

#[test]
fn an_idle_daemon_takes_less_than_20_mb() {
    // What is not optimised is three times as large, and that is what most of it is.
    let (Some(_), Some(program)) = (runtime(), released("swictationd")) else { return };
    let (Some(bus), home) = (Bus::start(), Home::new()) else { return };
    let daemon = idle(&bus, &home, home.command_at(&program));
    let about = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let resident = field(&about, "VmRSS:").and_then(|value| value.strip_suffix(" kB")?.trim().parse().ok());
    let resident: u64 = resident.unwrap();
    let threads = field(&about, "Threads:").unwrap();
    note(&format!("an idle swictationd has {resident} kB resident in {threads} threads"));
    assert!(resident < 20_000, "{about}");
}
