//! From a microphone or a file to blocks of 16 kHz mono.
//!
//! A source hands samples to a ring inside the sound server's callback
//! ([`realtime`]); the pump ([`pump`]) takes them out every 10 ms, brings them
//! to 16 kHz mono ([`resample`]) and says what happened as [`AudioEvent`]s. A
//! file yields the same events without the ring. Nothing here knows what the
//! audio is for, and nothing here runs, or keeps a device open, while no
//! [`Capture`] lives.

pub mod alsa;
pub mod capture;
pub mod pulse;
pub mod pump;
pub mod realtime;
pub mod resample;
pub mod wav;

pub use capture::{AudioEvent, Capture};
pub use pump::ring;
pub use realtime::RtSink;

use std::path::PathBuf;

/// Something that can be listened to.
pub trait AudioSource: Send {
    /// The device's name, once it was asked whether it can be listened to; nothing is
    /// recorded for that.
    fn device(&self) -> Result<String, AudioError>;
    /// Opens the device and lets it write to `sink` until [`stop`](Self::stop).
    fn start(&mut self, sink: RtSink) -> Result<Format, AudioError>;
    /// Closes the device; returns at once, even if the sound server hangs.
    fn stop(&mut self);
}

/// What a source delivers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// Samples per second and channel.
    pub rate: u32,
    /// Interleaved channels.
    pub channels: u16,
    /// The device's name, as people know it.
    pub device: String,
}

/// Makes a source for a device: all of them, by name, or the default one.
pub type Open = fn(device: Option<&str>) -> Result<Box<dyn AudioSource>, AudioError>;

/// The ways to a microphone, in the order in which they are tried.
pub const SOURCES: &[(&str, Open)] = &[("pulseaudio", pulse::open), ("alsa", alsa::open)];

/// What to listen to, as the configuration and the command line say it.
#[derive(Clone, Debug, PartialEq)]
pub enum Spec {
    /// The default microphone, or the one whose name contains this.
    Microphone(Option<String>),
    /// A WAV or FLAC file, `-` for standard input.
    File {
        /// Where it is.
        path: PathBuf,
        /// How many times faster than life; none for as fast as it is heard.
        speed: Option<f64>,
    },
}

/// Reads `default`, a part of a microphone's name, `wav:FILE`,
/// `wav:FILE?realtime` or `wav:FILE?speed=N`.
pub fn open(spec: &str) -> Result<Spec, AudioError> {
    let Some(file) = spec.strip_prefix("wav:") else {
        let name = spec.trim();
        let named = !name.is_empty() && name != "default";
        return Ok(Spec::Microphone(named.then(|| name.to_owned())));
    };
    let (path, speed) = match file.rsplit_once('?') {
        Some((path, "realtime")) => (path, Some(1.0)),
        Some((path, option)) if option.starts_with("speed=") => {
            let speed = option["speed=".len()..].parse::<f64>().ok();
            let speed = speed.filter(|s| (0.01..=1000.0).contains(s));
            (path, Some(speed.ok_or_else(|| AudioError::Speed(spec.to_owned()))?))
        }
        _ => (file, None),
    };
    if path.is_empty() {
        return Err(AudioError::NoFile(spec.to_owned()));
    }
    Ok(Spec::File { path: PathBuf::from(path), speed })
}

/// The device with that label or id; else one whose label or id contains it, in
/// any case, and rather a microphone than what a loudspeaker plays.
fn choose<D>(
    devices: impl IntoIterator<Item = D>,
    wanted: &str,
    names: impl Fn(&D) -> (String, String),
) -> Result<D, AudioError> {
    let lower = wanted.to_lowercase();
    let (mut best, mut there) = (None, Vec::new());
    for device in devices {
        let (label, id) = names(&device);
        let part = label.to_lowercase().contains(&lower) || id.to_lowercase().contains(&lower);
        let rank = match () {
            () if label == wanted || id == wanted => 3,
            () if part && !id.ends_with(".monitor") => 2,
            () if part => 1,
            () => 0,
        };
        if rank > best.as_ref().map_or(0, |(rank, _)| *rank) {
            best = Some((rank, device));
        }
        there.push(label);
    }
    best.map(|(_, device)| device).ok_or_else(|| AudioError::NotFound { name: wanted.to_owned(), there })
}

/// Why there is nothing to hear, for the person who wants to be heard.
#[derive(Debug, thiserror::Error)]
pub enum AudioError {
    /// Neither a sound server nor the kernel offers a microphone.
    #[error(
        "no microphone: {0}. Start the sound server (systemctl --user start pipewire-pulse, \
         or pulseaudio --start), or plug a microphone in"
    )]
    NoMicrophone(String),
    /// No microphone has the name that was asked for.
    #[error("no microphone is called {name:?}; there {}. Name one of them, or \"default\"", names(there))]
    NotFound {
        /// What was asked for.
        name: String,
        /// What there is.
        there: Vec<String>,
    },
    /// One way to a microphone does not work; another may.
    #[error("{0}")]
    Unavailable(String),
    /// The sound system did not answer.
    #[error(
        "the sound system has not answered for {0} s; if that stays so, restart the sound server \
         (systemctl --user restart pipewire pipewire-pulse wireplumber)"
    )]
    Silent(u64),
    /// The stream makes no sense.
    #[error("audio of {rate} samples per second in {channels} channels cannot be used")]
    Format {
        /// Samples per second.
        rate: u32,
        /// Channels.
        channels: u16,
    },
    /// The resampler refused.
    #[error("the audio cannot be brought to 16 kHz: {0}")]
    Resampler(String),
    /// The file cannot be read.
    #[error("cannot read {path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// What failed.
        reason: String,
    },
    /// The file holds no audio.
    #[error("{0} holds no audio: it ends right after its header")]
    Empty(String),
    /// `wav:` without a file.
    #[error("{0:?} names no file; write wav:FILE, or wav:- for standard input")]
    NoFile(String),
    /// A speed that is none.
    #[error("{0:?}: the speed is a number from 0.01 to 1000, as in wav:FILE?speed=2")]
    Speed(String),
}

fn names(there: &[String]) -> String {
    match there {
        [] => "is none at all".to_owned(),
        [one] => format!("is only {one:?}"),
        more => format!("are {}", more.iter().map(|n| format!("{n:?}")).collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_word_a_name_or_a_file() {
        let file = |path: &str, speed| Spec::File { path: path.into(), speed };
        for (text, spec) in [
            ("default", Spec::Microphone(None)),
            ("", Spec::Microphone(None)),
            ("Blue Yeti", Spec::Microphone(Some("Blue Yeti".into()))),
            ("wav:/a b.wav", file("/a b.wav", None)),
            ("wav:-", file("-", None)),
            ("wav:x.wav?realtime", file("x.wav", Some(1.0))),
            ("wav:x.wav?speed=2.5", file("x.wav", Some(2.5))),
            ("wav:what?.wav", file("what?.wav", None)),
        ] {
            assert_eq!(open(text).unwrap(), spec, "{text}");
        }
    }

    #[test]
    fn a_source_that_makes_no_sense_says_how_to_write_it() {
        for text in ["wav:", "wav:?realtime", "wav:x?speed=0", "wav:x?speed=fast", "wav:x?speed=NaN"] {
            let message = open(text).unwrap_err().to_string();
            assert!(message.contains(text) && message.contains("wav:"), "{message}");
        }
    }

    #[test]
    fn a_part_of_a_name_finds_a_microphone_before_a_loudspeaker() {
        let there = [("Monitor of Speakers", "usb.monitor"), ("USB Mic", "usb"), ("USB Mic 2", "b")];
        let find = |name: &str| choose(there, name, |(l, i)| ((*l).into(), (*i).into())).unwrap().1;
        assert_eq!(find("USB"), "usb");
        assert_eq!(find("speak"), "usb.monitor");
        assert_eq!(find("USB Mic 2"), "b");
        assert!(matches!(choose(there, "yeti", |_| Default::default()), Err(AudioError::NotFound { .. })));
    }

    #[test]
    fn a_missing_microphone_lists_those_there_are() {
        let missing = |there: &[&str]| {
            let there = there.iter().map(|s| (*s).to_owned()).collect();
            AudioError::NotFound { name: "yeti".into(), there }.to_string()
        };
        assert!(missing(&["Webcam", "Headset"]).contains("there are \"Webcam\", \"Headset\"."));
        assert!(missing(&["Webcam"]).contains("there is only \"Webcam\"."));
        assert!(missing(&[]).contains("there is none at all."));
    }
}
