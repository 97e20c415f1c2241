//! From a real sound server, or a file, to 16 kHz blocks.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::f64::consts::TAU;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use swictation_daemon::audio::{AudioEvent, Capture};
use swictation_tests::pulse::Pulse;
use tempfile::TempDir;

/// The longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(20);
const SECONDS: f64 = 3.0;

/// The server is named by the environment, of which a process has only one.
static ENVIRONMENT: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner)
}

fn enter(pulse: &Pulse) {
    for (name, value) in pulse.env() {
        // Only tests that hold ENVIRONMENT have anything running that reads it.
        unsafe { std::env::set_var(name, value) };
    }
}

struct Listening {
    capture: Capture,
    events: Receiver<AudioEvent>,
}

fn listen(spec: &str) -> Listening {
    let (to, events) = channel();
    Listening { capture: Capture::start(spec, move |event| drop(to.send(event))), events }
}

impl Listening {
    fn next(&self) -> AudioEvent {
        self.events.recv_timeout(PATIENCE).expect("an audio event")
    }

    /// Waits for an event, throwing away the ones before it.
    fn until<T>(&self, wanted: impl Fn(AudioEvent) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = self.events.recv_timeout(left).expect("the awaited audio event");
            if let Some(found) = wanted(event) {
                return found;
            }
        }
    }

    fn until_block(&self) -> (usize, u64) {
        self.until(|event| match event {
            AudioEvent::Block { pcm, dropped, .. } => Some((pcm.len(), dropped)),
            _ => None,
        })
    }

    /// All blocks up to the end, and every trouble on the way.
    fn rest(&self) -> (Vec<f32>, Vec<String>) {
        let (mut all, mut troubles, mut heard) = (Vec::new(), Vec::new(), 0);
        loop {
            match self.next() {
                AudioEvent::Block { pcm, .. } => {
                    heard += pcm.len() as u64;
                    all.extend(pcm);
                    self.capture.heard(heard);
                }
                AudioEvent::Lost(reason) => troubles.push(reason),
                AudioEvent::Ended => return (all, troubles),
                AudioEvent::Started { .. } | AudioEvent::Silent(_) => {}
            }
        }
    }
}

/// A sweep from 200 to 4000 Hz: no part of it is like another.
fn sweep(at: f64) -> f32 {
    let slope = (4_000.0 - 200.0) / SECONDS;
    let inside = (0.0..SECONDS).contains(&at);
    if inside { (0.5 * (TAU * (200.0 * at + slope * at * at / 2.0)).cos()) as f32 } else { 0.0 }
}

fn sweep_file(folder: &Path, rate: u32) -> PathBuf {
    let path = folder.join(format!("sweep-{rate}.wav"));
    // What a server has rendered ahead when a player comes it takes back, but not
    // from recorders: the silence is for that to happen in.
    let count = ((SECONDS + 0.6) * f64::from(rate)) as usize;
    let samples: Vec<f32> = (0..count).map(|n| sweep(n as f64 / f64::from(rate) - 0.3)).collect();
    write(&path, rate, 1, 16, &samples);
    path
}

fn write(path: &Path, rate: u32, channels: u16, bits: u16, samples: &[f32]) {
    let float = bits == 33;
    let bits = if float { 32 } else { bits };
    let format = if float { hound::SampleFormat::Float } else { hound::SampleFormat::Int };
    let spec = hound::WavSpec { channels, sample_rate: rate, bits_per_sample: bits, sample_format: format };
    let mut file = hound::WavWriter::create(path, spec).unwrap();
    let full = ((1u64 << (bits - 1)) - 1) as f64;
    for sample in samples {
        if float {
            file.write_sample(*sample).unwrap();
        } else {
            file.write_sample((f64::from(*sample) * full).round() as i32).unwrap();
        }
    }
    file.finalize().unwrap();
}

/// How alike each quarter of a second of the sweep and of what was captured are
/// (1 is the same but for the level), for the alignment that suits them best.
fn likeness(captured: &[f32]) -> Vec<f64> {
    let onset = captured.iter().position(|s| s.abs() > 0.01).expect("something was captured");
    let alike = |start: f64| -> Vec<f64> {
        let window = |from: usize| {
            let (mut ab, mut aa, mut bb) = (0.0, 0.0, 1e-12);
            for n in from..from + 4_000 {
                let a = f64::from(sweep(n as f64 / 16_000.0));
                let at = start + n as f64;
                let (whole, part) = (at.floor() as usize, at.fract());
                let left = f64::from(captured.get(whole).copied().unwrap_or(0.0));
                let right = f64::from(captured.get(whole + 1).copied().unwrap_or(0.0));
                let b = left + (right - left) * part;
                (ab, aa, bb) = (ab + a * b, aa + a * a, bb + b * b);
            }
            ab / (aa * bb).sqrt()
        };
        (0..(SECONDS * 4.0) as usize).map(|n| window(n * 4_000)).collect()
    };
    let first = onset.saturating_sub(60) as f64;
    (0..360)
        .map(|step| alike(first + f64::from(step) / 3.0))
        .max_by(|a, b| a.iter().sum::<f64>().total_cmp(&b.iter().sum()))
        .unwrap()
}

fn worst(likeness: &[f64]) -> f64 {
    likeness.iter().copied().fold(1.0, f64::min)
}

fn captured_of(rate: u32) -> Option<Vec<f64>> {
    let pulse = Pulse::start(rate)?;
    enter(&pulse);
    let folder = TempDir::new().unwrap();
    let file = sweep_file(folder.path(), rate);
    let listening = listen("default");
    listening.until_block();
    pulse.play("mic", &file);
    listening.capture.stop();
    let (pcm, troubles) = listening.rest();
    assert_eq!(troubles, [""; 0]);
    Some(likeness(&pcm))
}

#[test]
fn a_16_khz_microphone_is_captured_as_it_was_played() {
    let _alone = alone();
    let Some(got) = captured_of(16_000) else { return };
    println!("16 kHz: worst quarter of a second {:.5}", worst(&got));
    assert!(worst(&got) >= 0.99, "{got:?}");
}

#[test]
fn a_48_khz_microphone_is_captured_as_it_was_played() {
    let _alone = alone();
    let Some(got) = captured_of(48_000) else { return };
    println!("48 kHz: worst quarter of a second {:.5}", worst(&got));
    assert!(worst(&got) >= 0.95, "{got:?}");
}

#[test]
fn a_stop_in_the_middle_loses_nothing_that_was_played_before_it() {
    let _alone = alone();
    let Some(pulse) = Pulse::start(16_000) else { return };
    enter(&pulse);
    let folder = TempDir::new().unwrap();
    let file = sweep_file(folder.path(), 16_000);
    let listening = listen("default");
    std::thread::scope(|threads| {
        let player = threads.spawn(|| pulse.play("mic", &file));
        let mut all = Vec::new();
        let mut first = None;
        while all.iter().filter(|s| **s != 0.0).count() < 24_000 {
            if let AudioEvent::Block { pcm, captured, dropped } = listening.next() {
                assert_eq!(dropped, 0);
                first.get_or_insert(captured - Duration::from_secs_f64(pcm.len() as f64 / 16_000.0));
                all.extend(pcm);
            }
        }
        let stopped = Instant::now();
        listening.capture.stop();
        assert!(stopped.elapsed() < Duration::from_millis(5), "stop waits");
        all.extend(listening.rest().0);
        let ended = stopped.elapsed();
        let clock = (stopped - first.unwrap()).as_secs_f64();
        let heard = all.len() as f64 / 16_000.0;
        println!("{heard:.3} s of audio in {clock:.3} s up to the stop; ended {ended:?} after it");
        assert!(heard > clock - 0.005 && heard < clock + 0.2, "{heard} s in {clock} s");
        assert!(ended < Duration::from_millis(500));
        player.join().unwrap();
    });
}

#[test]
fn a_server_that_dies_is_found_again_and_the_time_without_it_is_a_gap() {
    let _alone = alone();
    let Some(mut pulse) = Pulse::start(16_000) else { return };
    enter(&pulse);
    let listening = listen("default");
    listening.until_block();
    let died = Instant::now();
    pulse.kill();
    let reason = listening.until(|event| match event {
        AudioEvent::Lost(reason) => Some(reason),
        _ => None,
    });
    println!("lost {:?} after the server's end: {reason}", died.elapsed());
    assert!(died.elapsed() < Duration::from_secs(3));
    pulse.restart();
    listening.until(|event| matches!(event, AudioEvent::Started { .. }).then_some(()));
    let (_, dropped) = listening.until_block();
    let (gap, clock) = (dropped as f64 / 16_000.0, died.elapsed().as_secs_f64());
    println!("a gap of {gap:.2} s for {clock:.2} s");
    assert!((gap - clock).abs() < 1.0, "a gap of {gap} s for {clock} s");
    let folder = TempDir::new().unwrap();
    pulse.play("mic", &sweep_file(folder.path(), 16_000));
    listening.capture.stop();
    let (pcm, _) = listening.rest();
    assert!(worst(&likeness(&pcm)) >= 0.99);
}

#[test]
fn a_server_that_hangs_is_told_and_the_microphone_delivers_again_when_it_goes_on() {
    let _alone = alone();
    let Some(pulse) = Pulse::start(16_000) else { return };
    enter(&pulse);
    let listening = listen("default");
    listening.until_block();
    pulse.signal("STOP");
    let reason = listening.until(|event| match event {
        AudioEvent::Lost(reason) => Some(reason),
        _ => None,
    });
    assert!(reason.contains("has delivered nothing for"), "{reason}");
    pulse.signal("CONT");
    listening.until(|event| matches!(event, AudioEvent::Started { .. }).then_some(()));
    let (_, dropped) = listening.until_block();
    assert!(dropped > 0, "the time without sound is a gap");
}

#[test]
fn a_server_that_hangs_when_it_is_to_open_a_microphone_is_told_and_asked_again() {
    let _alone = alone();
    let Some(pulse) = Pulse::start(16_000) else { return };
    enter(&pulse);
    pulse.signal("STOP");
    let listening = listen("default");
    let AudioEvent::Lost(reason) = listening.next() else { panic!("there is no sound") };
    assert!(reason.contains("has not answered for"), "{reason}");
    pulse.signal("CONT");
    listening.until_block();
}

#[test]
fn a_stop_is_not_forgotten_when_the_server_dies_with_it() {
    let _alone = alone();
    let Some(mut pulse) = Pulse::start(16_000) else { return };
    enter(&pulse);
    let listening = listen("default");
    listening.until_block();
    listening.capture.stop();
    pulse.kill();
    assert_eq!(listening.rest().1, [""; 0]);
}

#[test]
fn the_default_microphone_is_followed_when_it_is_unplugged() {
    let _alone = alone();
    let Some(mut pulse) = Pulse::start(16_000) else { return };
    enter(&pulse);
    let sink = |name: &str| format!("sink_name={name}");
    pulse.pactl(&["load-module", "module-null-sink", &sink("desk"), "rate=16000", "channels=1"]);
    pulse.wake("desk.monitor");
    let usb = pulse.pactl(&["load-module", "module-null-sink", &sink("usb"), "rate=16000", "channels=1"]);
    pulse.wake("usb.monitor");
    pulse.pactl(&["set-default-source", "usb.monitor"]);
    let listening = listen("default");
    listening.until_block();
    pulse.pactl(&["set-default-source", "desk.monitor"]);
    pulse.pactl(&["unload-module", &usb]);
    let folder = TempDir::new().unwrap();
    pulse.play("desk", &sweep_file(folder.path(), 16_000));
    listening.capture.stop();
    let (pcm, troubles) = listening.rest();
    println!("moved with the troubles {troubles:?}");
    assert!(worst(&likeness(&pcm)) >= 0.99);
}

#[test]
fn a_microphone_that_delivers_nothing_but_zeros_is_said_to_be_silent() {
    let _alone = alone();
    let Some(pulse) = Pulse::start(16_000) else { return };
    enter(&pulse);
    let listening = listen("default");
    listening.until_block();
    let begun = Instant::now();
    let silence = |event| if let AudioEvent::Silent(silent) = event { Some(silent) } else { None };
    assert!(listening.until(silence));
    assert!(begun.elapsed() > Duration::from_millis(2_500), "{:?}", begun.elapsed());
    let folder = TempDir::new().unwrap();
    pulse.play("mic", &sweep_file(folder.path(), 16_000));
    assert!(!listening.until(silence));
}

#[test]
fn a_microphone_is_found_by_a_part_of_its_name_and_otherwise_the_names_are_listed() {
    let _alone = alone();
    let Some(pulse) = Pulse::start(16_000) else { return };
    enter(&pulse);
    let device = listen("MIC.mon").until(|event| match event {
        AudioEvent::Started { device, channels, .. } => Some((device, channels)),
        _ => None,
    });
    assert_eq!(device.1, 1);
    let listening = listen("Blue Yeti");
    let AudioEvent::Lost(reason) = listening.next() else { panic!("there is no Blue Yeti") };
    assert!(reason.contains("\"Blue Yeti\"") && reason.contains(&device.0), "{reason}");
    listening.capture.stop();
    assert_eq!(listening.next(), AudioEvent::Ended);
}

#[test]
fn without_any_sound_system_the_message_says_what_to_do() {
    let _alone = alone();
    let folder = TempDir::new().unwrap();
    let nothing = folder.path().join("asound.conf");
    std::fs::write(&nothing, "").unwrap();
    unsafe {
        std::env::set_var("PULSE_SERVER", format!("unix:{}", folder.path().join("none").display()));
        std::env::set_var("ALSA_CONFIG_PATH", &nothing);
    }
    let listening = listen("default");
    let AudioEvent::Lost(reason) = listening.next() else { panic!("there is no sound system") };
    unsafe { std::env::remove_var("ALSA_CONFIG_PATH") };
    println!("{reason}");
    for part in ["no microphone", "PulseAudio", "ALSA", "systemctl --user start", "plug"] {
        assert!(reason.contains(part), "{part:?} is not in {reason}");
    }
    let stopped = Instant::now();
    listening.capture.stop();
    assert_eq!(listening.next(), AudioEvent::Ended);
    assert!(stopped.elapsed() < Duration::from_millis(500));
}

/// Processor time of this process' threads of that name, in seconds.
fn cpu_of(name: &str) -> f64 {
    let ticks: u64 = threads()
        .filter(|(comm, _)| comm == name)
        .map(|(_, stat)| {
            let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
            fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
        })
        .sum();
    ticks as f64 / 100.0
}

fn threads() -> impl Iterator<Item = (String, String)> {
    std::fs::read_dir("/proc/self/task").unwrap().flatten().filter_map(|task| {
        let comm = std::fs::read_to_string(task.path().join("comm")).ok()?;
        Some((comm.trim().to_owned(), std::fs::read_to_string(task.path().join("stat")).ok()?))
    })
}

#[test]
fn the_first_sample_comes_at_once_and_an_idle_daemon_has_no_audio_thread() {
    let _alone = alone();
    let Some(pulse) = Pulse::start(16_000) else { return };
    enter(&pulse);
    let mut times = Vec::new();
    for _ in 0..20 {
        let start = Instant::now();
        let listening = listen("default");
        listening.until_block();
        times.push(start.elapsed());
        listening.capture.stop();
        listening.rest();
    }
    times.sort();
    println!("start to first sample: p50 {:?}, p95 {:?}, max {:?}", times[9], times[18], times[19]);
    assert!(times[18] < Duration::from_millis(150), "{times:?}");
    let deadline = Instant::now() + PATIENCE;
    // Threads that the sound libraries start have the name of ours that did it.
    while threads().any(|(comm, _)| comm.starts_with("audio-")) {
        let names: Vec<_> = threads().map(|(comm, _)| comm).collect();
        assert!(Instant::now() < deadline, "audio threads stay: {names:?}");
        std::thread::yield_now();
    }
}

#[test]
fn the_pump_takes_next_to_no_processor_time() {
    let _alone = alone();
    let Some(pulse) = Pulse::start(48_000) else { return };
    enter(&pulse);
    let listening = listen("default");
    listening.until_block();
    let before = cpu_of("audio-pump");
    let mut samples = 0;
    while samples < 5 * 16_000 {
        samples += listening.until_block().0;
    }
    let share = (cpu_of("audio-pump") - before) / (samples as f64 / 16_000.0);
    println!("the pump takes {:.2} % of a core", 100.0 * share);
    // Not optimised, it takes ten times what people get; what spins takes all there is.
    assert!(share < 0.25, "{share}");
}

/// Everything that a recording yields, heard as fast as it comes.
fn recording(path: &Path) -> (Vec<f32>, Vec<String>) {
    listen(&format!("wav:{}", path.display())).rest()
}

fn tone(rate: u32, samples: usize) -> Vec<f32> {
    (0..samples).map(|n| (0.5 * (TAU * 440.0 * n as f64 / f64::from(rate)).sin()) as f32).collect()
}

fn furthest(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn a_wav_file_of_any_sample_type_is_read_to_its_precision() {
    let folder = TempDir::new().unwrap();
    let samples = tone(16_000, 20_000);
    for bits in [8u16, 16, 24, 32, 33] {
        let path = folder.path().join(format!("{bits}.wav"));
        write(&path, 16_000, 1, bits, &samples);
        let (got, troubles) = recording(&path);
        assert_eq!(troubles, [""; 0], "{bits} bits");
        let step = if bits < 24 { 1.0 / (1u32 << (bits - 1)) as f32 } else { 1e-6 };
        assert!(furthest(&got, &samples) <= step, "{bits} bits: {}", furthest(&got, &samples));
    }
}

#[test]
fn a_stereo_file_of_another_rate_is_mixed_and_resampled() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("stereo.wav");
    let stereo: Vec<f32> = tone(48_000, 48_000).iter().flat_map(|s| [*s, *s / 2.0]).collect();
    write(&path, 48_000, 2, 16, &stereo);
    let (got, _) = recording(&path);
    let want: Vec<f32> = tone(16_000, 16_000).iter().map(|s| s * 0.75).collect();
    assert_eq!(got.len(), 16_000);
    assert!(furthest(&got[400..15_600], &want[400..15_600]) < 5e-3);
}

#[test]
fn a_header_that_lies_about_the_length_is_not_believed() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.wav");
    let samples = tone(16_000, 10_000);
    write(&path, 16_000, 1, 16, &samples);
    let honest = std::fs::read(&path).unwrap();
    let (whole, _) = recording(&path);
    let at = honest.windows(4).position(|w| w == b"data").unwrap() + 4;
    for length in [0, u32::MAX, 0x7FFF_FFFF, 0x7FFF_F000, 1 << 20] {
        let mut bytes = honest.clone();
        bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
        bytes.push(7);
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(recording(&path), (whole.clone(), vec![]), "{length:#x}");
    }
}

#[test]
fn chunks_around_the_samples_are_no_audio() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.wav");
    write(&path, 16_000, 1, 16, &tone(16_000, 5_000));
    let (whole, _) = recording(&path);
    let plain = std::fs::read(&path).unwrap();
    let at = plain.windows(4).position(|w| w == b"data").unwrap();
    let odd = b"LIST\x05\0\0\0INFO!\0";
    let bytes = [&plain[..at], odd, &plain[at..], odd].concat();
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(recording(&path), (whole, vec![]));
}

#[test]
fn a_file_that_is_no_recording_is_refused_with_a_reason() {
    let folder = TempDir::new().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let empty = folder.path().join("silence.wav");
    write(&empty, 16_000, 1, 16, &[]);
    let header = std::fs::read(&empty).unwrap();
    let mut compressed = header.clone();
    compressed[20] = 0x55;
    compressed.extend([0; 64]);
    let mut slow = header.clone();
    slow[24..32].copy_from_slice(&[7, 0, 0, 0, 14, 0, 0, 0]);
    slow.extend([0; 64]);
    for (path, reason) in [
        (folder.path().join("missing.wav"), "No such file"),
        (folder.path().to_path_buf(), "directory"),
        (file("nothing.wav", b""), "neither a WAV nor a FLAC"),
        (file("text.wav", b"hello, world"), "neither a WAV nor a FLAC"),
        (file("avi.wav", b"RIFF\0\0\0\0AVI LIST"), "neither a WAV nor a FLAC"),
        (file("cut.wav", &header[..30]), "before its samples"),
        (file("broken.flac", b"fLaC\0\0\0\x22garbage"), "broken.flac"),
        (file("mp3.wav", &compressed), "ffmpeg"),
        (file("slow.wav", &slow), "7 samples per second"),
        (empty, "no audio"),
    ] {
        let (pcm, troubles) = recording(&path);
        assert!(pcm.is_empty());
        assert!(matches!(&troubles[..], [one] if one.contains(reason)), "{path:?}: {troubles:?}");
    }
}

#[test]
fn a_flac_file_is_the_same_as_the_wav_file_it_was_made_of() {
    if !swictation_tests::need("flac", swictation_tests::program("flac")) {
        return;
    }
    let folder = TempDir::new().unwrap();
    let (wav, flac) = (folder.path().join("a.wav"), folder.path().join("a.flac"));
    for (channels, bits) in [(1, 16), (2, 16), (1, 24)] {
        write(&wav, 16_000, channels, bits, &tone(16_000, 30_000));
        let made = std::process::Command::new("flac")
            .args(["--silent", "--force", "-o"])
            .args([&flac, &wav])
            .status()
            .unwrap();
        assert!(made.success());
        assert_eq!(recording(&flac), recording(&wav), "{channels} channels of {bits} bits");
    }
    let cut = std::fs::read(&flac).unwrap();
    std::fs::write(&flac, &cut[..cut.len() / 2]).unwrap();
    let (pcm, troubles) = recording(&flac);
    assert!(!pcm.is_empty() && matches!(&troubles[..], [one] if one.contains("a.flac")), "{troubles:?}");
}

#[test]
fn a_file_waits_four_seconds_ahead_of_its_listener() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("long.wav");
    write(&path, 16_000, 1, 16, &tone(16_000, 160_000));
    let listening = listen(&format!("wav:{}", path.display()));
    let mut got = 0;
    while let Ok(event) = listening.events.recv_timeout(Duration::from_millis(300)) {
        got += if let AudioEvent::Block { pcm, .. } = event { pcm.len() } else { 0 };
    }
    assert_eq!(got, 64_000);
    listening.capture.heard(16_000);
    while got < 80_000 {
        got += listening.until_block().0;
    }
    assert!(listening.events.recv_timeout(Duration::from_millis(300)).is_err());
    listening.capture.heard(160_000);
    assert_eq!(listening.rest().0.len() + got, 160_000);
}

#[test]
fn a_file_can_play_a_microphone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("second.wav");
    write(&path, 16_000, 1, 16, &tone(16_000, 16_000));
    for (speed, least) in [("realtime", 0.99), ("speed=4", 0.24)] {
        let begun = Instant::now();
        let listening = listen(&format!("wav:{}?{speed}", path.display()));
        let (length, _) = listening.until_block();
        assert_eq!(length, 160);
        assert!(begun.elapsed() < Duration::from_millis(200));
        assert_eq!(listening.rest().0.len(), 15_840);
        let took = begun.elapsed().as_secs_f64();
        assert!(took > least && took < least + 0.5, "{speed}: {took} s");
    }
}

#[test]
fn a_file_can_be_stopped() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("long.wav");
    write(&path, 48_000, 1, 16, &tone(48_000, 480_000));
    for option in ["", "?realtime"] {
        let listening = listen(&format!("wav:{}{option}", path.display()));
        listening.until_block();
        let stopped = Instant::now();
        listening.capture.stop();
        assert!(listening.rest().0.len() < 160_000);
        assert!(stopped.elapsed() < Duration::from_millis(500));
    }
}

#[test]
fn a_spec_that_makes_no_sense_ends_with_its_reason() {
    let (pcm, troubles) = listen("wav:a.wav?speed=0").rest();
    assert!(pcm.is_empty() && troubles.len() == 1 && troubles[0].contains("speed"), "{troubles:?}");
}

#[test]
fn standard_input_is_a_file_too() {
    const CHILD: &str = "SWICTATION_TEST_READS_STDIN";
    if std::env::var_os(CHILD).is_some() {
        assert_eq!(listen("wav:-").rest().0.len(), 12_345);
        return;
    }
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.wav");
    write(&path, 16_000, 1, 16, &tone(16_000, 12_345));
    let done = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "standard_input_is_a_file_too"])
        .env(CHILD, "1")
        .stdin(std::fs::File::open(&path).unwrap())
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    assert!(String::from_utf8_lossy(&done.stdout).contains("1 passed"));
}

#[test]
fn without_a_sound_server_the_microphone_is_reached_through_alsa() {
    let _alone = alone();
    let plugin = "/usr/lib/x86_64-linux-gnu/alsa-lib/libasound_module_pcm_pulse.so";
    if !swictation_tests::need("alsa-pulse", Path::new(plugin).exists()) {
        return;
    }
    let Some(pulse) = Pulse::start(16_000) else { return };
    let folder = TempDir::new().unwrap();
    let (server, sound) = (folder.path().join("client.conf"), folder.path().join("asound.conf"));
    std::fs::write(&server, format!("default-server = unix:{}\n", pulse.socket().display())).unwrap();
    std::fs::write(&sound, "pcm.!default { type pulse }\nctl.!default { type pulse }\n").unwrap();
    // The server is hidden from us, and told to ALSA alone.
    unsafe {
        std::env::set_var("XDG_RUNTIME_DIR", folder.path());
        std::env::remove_var("PULSE_SERVER");
        std::env::remove_var("PULSE_RUNTIME_PATH");
        std::env::set_var("PULSE_CLIENTCONFIG", &server);
        std::env::set_var("ALSA_CONFIG_PATH", format!("/usr/share/alsa/alsa.conf:{}", sound.display()));
    }
    let listening = listen("default");
    let rate = listening.until(|event| match event {
        AudioEvent::Started { rate, device, .. } => Some(format!("{device} at {rate} Hz")),
        _ => None,
    });
    unsafe { std::env::remove_var("ALSA_CONFIG_PATH") };
    unsafe { std::env::remove_var("PULSE_CLIENTCONFIG") };
    listening.until_block();
    pulse.play("mic", &sweep_file(folder.path(), 16_000));
    listening.capture.stop();
    let (pcm, troubles) = listening.rest();
    let got = likeness(&pcm);
    println!("ALSA, {rate}: worst quarter of a second {:.5}", worst(&got));
    assert!(worst(&got) >= 0.9 && troubles.is_empty(), "{got:?} {troubles:?}");
}

#[test]
fn a_server_that_starts_again_finds_its_devices_left_alone() {
    let _alone = alone();
    let plugin = "/usr/lib/x86_64-linux-gnu/alsa-lib/libasound_module_pcm_pulse.so";
    if !swictation_tests::need("alsa-pulse", Path::new(plugin).exists()) {
        return;
    }
    let (Some(mut pulse), Some(device)) = (Pulse::start(16_000), Pulse::start(48_000)) else { return };
    enter(&pulse);
    // To ALSA, what another server has is a device like any other.
    let folder = TempDir::new().unwrap();
    let sound = folder.path().join("asound.conf");
    let of_alsa = format!("{{ type pulse server \"unix:{}\" }}", device.socket().display());
    std::fs::write(&sound, format!("pcm.!default {of_alsa}\nctl.!default {of_alsa}\n")).unwrap();
    let path = format!("/usr/share/alsa/alsa.conf:{}", sound.display());
    unsafe { std::env::set_var("ALSA_CONFIG_PATH", path) };
    let listening = listen("default");
    listening.until_block();
    pulse.kill();
    let next = || {
        listening.until(|event| match event {
            AudioEvent::Lost(reason) => Some(Err(reason)),
            AudioEvent::Started { rate, .. } => Some(Ok(rate)),
            _ => None,
        })
    };
    let (lost, gone) = (next(), next());
    unsafe { std::env::remove_var("ALSA_CONFIG_PATH") };
    println!("{lost:?}, then {gone:?}");
    assert!(lost.is_err() && gone.is_err(), "the other device is used: {lost:?}, {gone:?}");
    pulse.restart();
    listening.until_block();
}
