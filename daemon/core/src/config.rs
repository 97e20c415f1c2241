//! The configuration: what was written, and what it means.
//!
//! [`ConfigFile`] is the file as it stands, every key optional; [`Config`] is
//! what holds after the defaults are filled in. `None` in a recognizer setting
//! leaves the choice to the model; a value that the model cannot do is refused
//! by the worker and never silently ignored. An unknown key or a wrong value is
//! an error with line and key.

mod text;

use crate::hotwords::Hotword;
use crate::policy::Policy;
use crate::session::Taste;
use crate::text::{Command, Rules};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
pub use text::OwnPack;
use text::{Capitalise, Replacement};

/// What stands in `config.toml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    model: Option<String>,
    device: Option<String>,
    threads: Option<i64>,
    gpu_memory_mb: Option<i64>,
    tf32: Option<bool>,
    cuda_graph: Option<bool>,
    sandbox: Option<bool>,
    context_seconds: Option<f64>,
    chunk_ms: Option<i64>,
    wait_k: Option<i64>,
    latency_ms: Option<i64>,
    policy: Option<Policy>,
    hotwords: Option<String>,
    microphone: Option<String>,
    stop_tail_ms: Option<i64>,
    typist: Option<String>,
    focus: Option<Focus>,
    password_fields: Option<bool>,
    terminal_enter: Option<bool>,
    leading_space: Option<bool>,
    trailing_space: Option<bool>,
    cancel_erases: Option<bool>,
    unload_seconds: Option<i64>,
    keep_skipped: Option<bool>,
    recovery: Option<Recovery>,
    language: Option<String>,
    capitalise: Option<Capitalise>,
    spoken_commands: Option<bool>,
    ignored_commands: Option<Vec<Command>>,
    spoken_punctuation: Option<bool>,
    replace: Option<Vec<Replacement>>,
}

/// Where a running dictation is kept, so that it outlives the daemon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recovery {
    /// In the runtime folder, which is in memory: outlives the daemon.
    #[default]
    Memory,
    /// In the state folder: outlives a power cut, too.
    Disk,
    /// Nowhere.
    Off,
}

/// What becomes of text when another window gets the focus than the one that had it when
/// the dictation began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Focus {
    /// It is typed there.
    #[default]
    Follow,
    /// It is kept until the first window has the focus again.
    Hold,
    /// The dictation stops, and what was not typed is kept as with [`Focus::Hold`].
    Stop,
}

/// What holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// A model's name below the data folder's `models`, or the path of a folder.
    pub model: String,
    /// `auto` (the first CUDA device, else the processor), `cpu`, `cuda` or `cuda:N`.
    pub device: String,
    /// Threads of the processor that one model step may use; 0 = as many as help.
    pub threads: u32,
    /// The most video memory that each graph of a model may take, in MiB; 0 = no limit.
    pub gpu_memory_mb: u32,
    /// Multiply FP32 as TF32 on a GPU: quicker, and less exact.
    pub tf32: bool,
    /// Replay what a GPU does for a chunk in the place of starting each operator.
    pub cuda_graph: bool,
    /// Keep the recognizer from files, sockets and programs that it has no use for.
    pub sandbox: bool,
    /// Left context in seconds; `None`: 20, or what the model was exported with.
    pub context_seconds: Option<f32>,
    /// Audio per model step; `None`: what suits the model.
    pub chunk_ms: Option<u32>,
    /// How far behind the audio a word must be before it is committed, in the
    /// family's own unit (see [`Policy`]); `None`: what suits the model.
    pub wait_k: Option<u32>,
    /// The longest algorithmic latency in milliseconds, a step's chunk and what is heard
    /// behind it; `None`: what suits the model.
    pub latency_ms: Option<u32>,
    /// When a word is committed; `None`: what suits the model.
    pub policy: Option<Policy>,
    /// The file with the hotwords, by its path from the configuration's folder.
    pub hotwords: String,
    /// What stands in it; whoever reads the configuration reads that, too.
    pub expected: Vec<Hotword>,
    /// `default` or a part of a microphone's name.
    pub microphone: String,
    /// How long the microphone stays open after the stop, in milliseconds.
    pub stop_tail_ms: u32,
    /// `auto` or the name of a typist.
    pub typist: String,
    /// What becomes of text when the focus moves.
    pub focus: Focus,
    /// Text goes into fields for passwords, too.
    pub password_fields: bool,
    /// A line break in a terminal is Return there, which runs a command.
    pub terminal_enter: bool,
    /// Begin a dictation with a space where it would run on from the word before the caret.
    pub leading_space: bool,
    /// End a dictation with a space.
    pub trailing_space: bool,
    /// The worker, and the memory it takes, goes after so long without a dictation; 0 = never.
    pub unload_seconds: u32,
    /// Audio that no worker gets over is kept in a file.
    pub keep_skipped: bool,
    /// Where a running dictation is kept.
    pub recovery: Recovery,
    /// A cancelled dictation takes back what it typed.
    pub cancel_erases: bool,
    /// The language whose phrases are listened for: the name of a pack.
    pub language: String,
    /// What these phrases, and the person's replacements, mean.
    pub rules: Arc<Rules>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            model: "moonshine-tiny-en".to_owned(),
            device: "auto".to_owned(),
            threads: 0,
            gpu_memory_mb: 0,
            tf32: false,
            cuda_graph: false,
            sandbox: true,
            context_seconds: None,
            chunk_ms: None,
            wait_k: None,
            latency_ms: None,
            policy: None,
            hotwords: "hotwords.txt".to_owned(),
            expected: Vec::new(),
            microphone: "default".to_owned(),
            stop_tail_ms: 200,
            typist: "auto".to_owned(),
            focus: Focus::default(),
            password_fields: false,
            terminal_enter: false,
            leading_space: true,
            trailing_space: true,
            unload_seconds: 0,
            keep_skipped: false,
            recovery: Recovery::default(),
            cancel_erases: true,
            language: text::DEFAULT.to_owned(),
            rules: Arc::new(text::default_rules()),
        }
    }
}

/// What is wrong with a configuration, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ConfigError {
    /// Counted from 1.
    pub line: usize,
    /// Names the key and says what it takes.
    pub message: String,
}

impl Config {
    /// Reads the text of a `config.toml`, with the language packs that are built in.
    ///
    /// # Errors
    /// The line, and what is wrong in it.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        Self::parse_with(text, &|_| Ok(None))
    }

    /// Reads the text of a `config.toml`; `own` gives the person's language pack with a
    /// name, if there is one, and says why it cannot be read.
    ///
    /// # Errors
    /// The line, and what is wrong in it; of a pack, its own file and line.
    pub fn parse_with(
        text: &str,
        own: &dyn Fn(&str) -> Result<Option<OwnPack>, String>,
    ) -> Result<Self, ConfigError> {
        let file: ConfigFile = toml::from_str(text).map_err(|e| syntax(text, &e))?;
        file.resolve(text, own)
    }

    /// What the session needs of it.
    pub fn taste(&self) -> Taste {
        let devices: &[&str] = match self.device.as_str() {
            "auto" => &["cuda:0", "cpu"],
            one => &[one],
        };
        Taste {
            stop_tail: Duration::from_millis(u64::from(self.stop_tail_ms)),
            trailing_space: self.trailing_space,
            cancel_erases: self.cancel_erases,
            focus: self.focus,
            devices: devices.iter().map(|d| (*d).to_owned()).collect(),
            unload_after: (self.unload_seconds > 0)
                .then(|| Duration::from_secs(u64::from(self.unload_seconds))),
            smaller: None,
            impatient: false,
            rules: Arc::clone(&self.rules),
        }
    }

    /// Whether going from `self` to `next` needs another worker.
    pub fn needs_other_worker(&self, next: &Self) -> bool {
        self.with_taste_of(next) != *next
    }

    /// `self` with what `next` says and no worker needs to know of; a key that is
    /// not listed here is a recognizer's.
    pub fn with_taste_of(&self, next: &Self) -> Self {
        Self {
            microphone: next.microphone.clone(),
            stop_tail_ms: next.stop_tail_ms,
            typist: next.typist.clone(),
            focus: next.focus,
            password_fields: next.password_fields,
            terminal_enter: next.terminal_enter,
            leading_space: next.leading_space,
            trailing_space: next.trailing_space,
            unload_seconds: next.unload_seconds,
            keep_skipped: next.keep_skipped,
            hotwords: next.hotwords.clone(),
            recovery: next.recovery,
            cancel_erases: next.cancel_erases,
            language: next.language.clone(),
            rules: Arc::clone(&next.rules),
            ..self.clone()
        }
    }
}

impl ConfigFile {
    fn resolve(
        self,
        text: &str,
        own: &dyn Fn(&str) -> Result<Option<OwnPack>, String>,
    ) -> Result<Config, ConfigError> {
        let defaults = Config::default();
        let (language, rules) = text::rules(&self, text, own)?;
        let number = |key: &str, value: Option<i64>, low: i64, high: i64| match value {
            Some(n) if (low..=high).contains(&n) => Ok(Some(n as u32)),
            Some(n) => {
                Err(wrong(text, key, &format!("{key} = {n} is out of range: it takes {low} to {high}")))
            }
            None => Ok(None),
        };
        let device = self.device.unwrap_or(defaults.device);
        let cuda = |number: &str| number.parse::<u8>().is_ok_and(|n| n < 64);
        if !(matches!(device.as_str(), "auto" | "cpu" | "cuda")
            || device.strip_prefix("cuda:").is_some_and(cuda))
        {
            let message =
                format!("device = {device:?} is unknown: it takes \"auto\", \"cpu\", \"cuda\" or \"cuda:N\"");
            return Err(wrong(text, "device", &message));
        }
        let context_seconds = self.context_seconds.map(|s| s as f32);
        if let Some(s) = context_seconds.filter(|s| !(2.0..=60.0).contains(s)) {
            let message = format!("context_seconds = {s} is out of range: it takes 2.0 to 60.0");
            return Err(wrong(text, "context_seconds", &message));
        }
        let named = |key: &str, value: Option<String>, default: String| match value {
            Some(v) if v.trim().is_empty() => {
                Err(wrong(text, key, &format!("{key} is empty; leave the key out for {default:?}")))
            }
            Some(v) => Ok(v),
            None => Ok(default),
        };
        Ok(Config {
            model: named("model", self.model, defaults.model)?,
            device,
            threads: number("threads", self.threads, 0, 64)?.unwrap_or(defaults.threads),
            gpu_memory_mb: number("gpu_memory_mb", self.gpu_memory_mb, 0, 1 << 20)?
                .unwrap_or(defaults.gpu_memory_mb),
            tf32: self.tf32.unwrap_or(defaults.tf32),
            cuda_graph: self.cuda_graph.unwrap_or(defaults.cuda_graph),
            sandbox: self.sandbox.unwrap_or(defaults.sandbox),
            context_seconds,
            chunk_ms: number("chunk_ms", self.chunk_ms, 40, 4000)?,
            wait_k: number("wait_k", self.wait_k, 0, 20)?,
            latency_ms: number("latency_ms", self.latency_ms, 40, 30_000)?,
            policy: self.policy,
            hotwords: named("hotwords", self.hotwords, defaults.hotwords)?,
            expected: Vec::new(),
            microphone: named("microphone", self.microphone, defaults.microphone)?,
            stop_tail_ms: number("stop_tail_ms", self.stop_tail_ms, 0, 2000)?
                .unwrap_or(defaults.stop_tail_ms),
            typist: named("typist", self.typist, defaults.typist)?,
            focus: self.focus.unwrap_or(defaults.focus),
            password_fields: self.password_fields.unwrap_or(defaults.password_fields),
            terminal_enter: self.terminal_enter.unwrap_or(defaults.terminal_enter),
            leading_space: self.leading_space.unwrap_or(defaults.leading_space),
            trailing_space: self.trailing_space.unwrap_or(defaults.trailing_space),
            unload_seconds: number("unload_seconds", self.unload_seconds, 0, 86_400)?
                .unwrap_or(defaults.unload_seconds),
            keep_skipped: self.keep_skipped.unwrap_or(defaults.keep_skipped),
            recovery: self.recovery.unwrap_or(defaults.recovery),
            cancel_erases: self.cancel_erases.unwrap_or(defaults.cancel_erases),
            language,
            rules: Arc::new(rules),
        })
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|b| *b == b'\n').count() + 1
}

/// A fault of what stands at so many bytes from the beginning.
pub(crate) fn fault_at(text: &str, offset: usize, message: String) -> ConfigError {
    ConfigError { line: line_at(text, offset), message }
}

/// What the parser of TOML refused, and where.
pub(crate) fn syntax(text: &str, error: &toml::de::Error) -> ConfigError {
    let start = error.span().map_or(0, |span| span.start);
    let line = line_at(text, start);
    let key = text.lines().nth(line - 1).and_then(|l| l.split_once('=')).map(|(key, _)| key.trim());
    let message = match key {
        Some(key) if !key.is_empty() && !error.message().contains(&format!("`{key}`")) => {
            format!("{key}: {}", error.message())
        }
        _ => error.message().to_owned(),
    };
    ConfigError { line, message }
}

fn wrong(text: &str, key: &str, message: &str) -> ConfigError {
    let assigns = |l: &str| l.split_once('=').is_some_and(|(k, _)| k.trim() == key);
    let line = text.lines().position(assigns).map_or(1, |n| n + 1);
    ConfigError { line, message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Config::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_missing_key_has_its_default() {
        assert_eq!(Config::parse("").unwrap(), Config::default());
        let config = Config::parse("wait_k = 3\n").unwrap();
        assert_eq!((config.wait_k, config.model), (Some(3), Config::default().model));
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let text = error("# mine\n\nwait_kk = 3\n");
        assert!(text.starts_with("line 3: ") && text.contains("wait_kk"), "{text}");
    }

    #[test]
    fn a_wrong_value_is_named_with_its_line_and_what_the_key_takes() {
        for (text, parts) in [
            ("a = 1\n", ["line 1", "a"]),
            ("\ndevice = \"gpu\"\n", ["line 2", "\"cuda:N\""]),
            ("device = \"cuda:x\"\n", ["line 1", "cuda:x"]),
            ("context_seconds = 90.0\n", ["line 1", "2.0 to 60.0"]),
            ("wait_k = -1\n", ["wait_k = -1", "0 to 20"]),
            ("chunk_ms = \"fast\"\n", ["line 1", "chunk_ms"]),
            ("latency_ms = 20\n", ["latency_ms = 20", "40 to 30000"]),
            ("\npolicy = \"often\"\n", ["line 2", "`agreement`"]),
            ("threads = 65\n", ["threads", "0 to 64"]),
            ("gpu_memory_mb = -1\n", ["gpu_memory_mb = -1", "0 to 1048576"]),
            ("model = \"\"\n", ["model", "empty"]),
            ("hotwords = \"\"\n", ["hotwords", "empty"]),
            ("trailing_space = 1\n", ["line 1", "trailing_space"]),
            ("recovery = \"tape\"\n", ["line 1", "`memory`"]),
            ("wait_k = 1\nwait_k = 2\n", ["line 2", "wait_k"]),
            ("wait_k\n", ["line 1", ""]),
        ] {
            let message = error(text);
            assert!(parts.iter().all(|p| message.contains(p)), "{text:?} gives {message:?}");
        }
    }

    #[test]
    fn every_setting_of_the_recognizer_needs_another_worker_and_the_others_do_not() {
        let set = |text: &str| Config::parse(text).unwrap();
        for text in [
            "model = \"other\"",
            "device = \"cpu\"",
            "threads = 1",
            "context_seconds = 10.0",
            "chunk_ms = 250",
            "wait_k = 2",
            "latency_ms = 560",
            "policy = \"hold\"",
            "sandbox = false",
        ] {
            assert!(Config::default().needs_other_worker(&set(text)), "{text}");
        }
        assert!(!Config::default().needs_other_worker(&set("stop_tail_ms = 300")));
        let expected = crate::hotwords::parse("Swictation").unwrap();
        assert!(Config::default().needs_other_worker(&Config { expected, ..Config::default() }));
        assert!(!Config::default().needs_other_worker(&set("hotwords = \"names.txt\"")), "it says the same");
    }

    #[test]
    fn auto_prefers_the_gpu_and_a_named_device_is_never_replaced() {
        assert_eq!(Config::default().taste().devices, ["cuda:0", "cpu"]);
        assert_eq!(Config::parse("device = \"cuda\"").unwrap().taste().devices, ["cuda"]);
    }

    #[test]
    fn what_only_the_daemon_uses_needs_no_other_worker() {
        let old = Config::parse("model = \"a\"\nwait_k = 2").unwrap();
        let next = Config::parse("model = \"b\"\nmicrophone = \"usb\"\nrecovery = \"off\"").unwrap();
        assert!(old.needs_other_worker(&next));
        let held = old.with_taste_of(&next);
        assert!(!old.needs_other_worker(&held));
        assert_eq!((held.model.as_str(), held.wait_k, held.microphone.as_str()), ("a", Some(2), "usb"));
        assert_eq!(next.with_taste_of(&held), next);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_never_a_panic(text in "(?s).{0,80}") {
            let _ = Config::parse(&text);
        }
    }
}
