//! A microphone that goes away, changes or is muted in the middle of a dictation, on a
//! real sound server and with the default model: what was said before and after it is
//! typed, and what happened is said.

use crate::bad_input::{desk, verb};
use crate::dictation::word_error_rate;
use serde_json::Value;
use std::path::PathBuf;
use swictation_tests::bus::Bus;
use swictation_tests::programs::{Daemon, Follower, Home, model, recording, runtime};
use swictation_tests::pulse::Pulse;

/// A daemon that listens to the default microphone of a sound server.
struct Desk {
    pulse: Pulse,
    bus: Bus,
    home: Home,
    status: Follower,
    daemon: Daemon,
    wav: PathBuf,
    /// What the daemon makes of the recording as a file.
    text: String,
}

impl Desk {
    fn new() -> Option<Desk> {
        let (Some(_), Some(model), Some(wav)) =
            (runtime(), model("moonshine-tiny-en"), recording("beckett.wav"))
        else {
            return None;
        };
        let (pulse, (bus, home, mut status)) = (Pulse::start(16_000)?, desk()?);
        home.configure(&format!("model = {model:?}\ndevice = \"cpu\"\n"));
        let ran = home.run("swictation", &["transcribe", wav.to_str().unwrap()]);
        assert_eq!(ran.code, 0, "{ran:?}");
        let mut command = home.command("swictationd");
        bus.give_to(&mut command).envs(pulse.env()).args(["--typist", "stdout"]);
        let daemon = Daemon::start(&mut command);
        status.until("an engine", |line| line["engine"]["state"] == "ready");
        let mut desk = Desk { pulse, bus, home, status, daemon, wav, text: ran.out.trim().to_owned() };
        desk.verb("start");
        desk.status.state("listening");
        Some(desk)
    }

    fn verb(&self, name: &str) {
        assert_eq!(verb(&self.bus, &self.home, &[name]).code, 0);
    }

    fn speak(&self, sink: &str) {
        self.pulse.play(sink, &self.wav);
    }

    fn microphone(&mut self, name: &str, rate: u32) {
        let (name_of, rate) = (format!("sink_name={name}"), format!("rate={rate}"));
        self.pulse.pactl(&["load-module", "module-null-sink", &name_of, &rate, "channels=1"]);
        self.pulse.wake(&format!("{name}.monitor"));
        self.pulse.pactl(&["set-default-source", &format!("{name}.monitor")]);
    }

    fn metrics(&self) -> Value {
        let status = verb(&self.bus, &self.home, &["status", "--json"]);
        let mut status: Value = serde_json::from_str(&status.out).unwrap();
        status["metrics"].take()
    }

    /// Ends the dictation; it typed the recording so often.
    fn has_typed(&mut self, times: usize) {
        self.verb("stop");
        self.status.state("idle");
        let wanted = vec![self.text.as_str(); times].join(" ");
        // What is typed last is typed before the state is idle.
        let typed = self.daemon.printed(1);
        let rate = word_error_rate(&wanted, &typed);
        assert!(rate <= 0.1, "{rate}: {typed:?} for {wanted:?}");
    }
}

#[test]
fn what_is_said_before_and_after_the_sound_server_died_is_typed_and_the_gap_is_said() {
    let Some(mut desk) = Desk::new() else { return };
    desk.speak("mic");
    desk.pulse.kill();
    desk.status.trouble("sound");
    desk.pulse.restart();
    let said = desk.status.trouble("s of sound were lost before the microphone delivered again");
    desk.speak("mic");
    desk.has_typed(2);
    let lost = desk.metrics()["lost_seconds"].as_f64().unwrap();
    assert!(lost > 0.1 && said.starts_with(&format!("{lost:.1} s")), "{lost}: {said}");
}

#[test]
fn another_default_microphone_of_another_rate_is_followed_and_one_that_is_muted_is_named() {
    let Some(mut desk) = Desk::new() else { return };
    desk.microphone("usb", 44_100);
    desk.pulse.pactl(&["set-source-mute", "usb.monitor", "1"]);
    desk.status.trouble("delivers only silence: is it muted");
    desk.pulse.pactl(&["set-source-mute", "usb.monitor", "0"]);
    desk.speak("usb");
    desk.status.until("all well again", |line| line["trouble"] == "");
    desk.has_typed(1);
}
