//! Dictation as lines for scripts: the contract of `swictation transcribe`.
//!
//! Without `--json` the text is written as it would be typed. With it, every line
//! is one JSON object: `word` for a committed word, as the model wrote it, `step` for a
//! model step when steps were asked for, `skipped` for audio that had to be left out, and
//! last `final`, which has the text as it would be typed. Times are seconds of audio.

use serde_json::{Value, json};
use std::io::{self, Write};
use std::sync::Arc;
use swictation_core::config::Config;
use swictation_core::text::Command;
use swictation_core::wire::{EngineInfo, Step};
use swictation_core::{SamplePos, Word};

/// The configuration for what is written down: it ends without a space, and as neither a
/// recording nor a window can be changed by what is said, "scratch that" and "stop
/// dictation" are words like any other.
#[must_use]
pub fn configured(config: Config) -> Config {
    let rules = Arc::unwrap_or_clone(config.rules);
    let rules = rules.without(&[Command::ScratchThat, Command::StopDictation]);
    Config { trailing_space: false, rules: Arc::new(rules), ..config }
}

/// Writes what a dictation commits.
pub struct Transcript<W> {
    to: W,
    json: bool,
    text: String,
    tokens: Vec<u32>,
}

impl<W: Write> Transcript<W> {
    /// Lines of JSON, or plain text.
    pub fn new(to: W, json: bool) -> Self {
        Self { to, json, text: String::new(), tokens: Vec::new() }
    }

    /// Text that would be typed here.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub fn text(&mut self, text: &str) -> io::Result<()> {
        if self.json {
            self.text.push_str(text);
            return Ok(());
        }
        self.to.write_all(text.as_bytes())?;
        self.to.flush()
    }

    /// Words were committed when audio up to `heard` had been heard.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub fn words(&mut self, words: &[Word], heard: SamplePos) -> io::Result<()> {
        for word in words {
            self.tokens.extend(&word.tokens);
            if self.json {
                self.line(&json!({
                    "type": "word",
                    "text": word.text,
                    "start": round(word.start.seconds()),
                    "end": round(word.end.seconds()),
                    "confidence": round(f64::from(word.confidence)),
                    "committed": round(heard.seconds()),
                }))?;
            }
        }
        Ok(())
    }

    /// A model step.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub fn step(&mut self, step: &Step) -> io::Result<()> {
        if !self.json {
            return Ok(());
        }
        let line = json!({ "type": "step", "step": step.step, "tokens": step.tokens, "frames": step.frames });
        self.line(&line)
    }

    /// Audio from here to there was left out, because no worker gets over it.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub fn skipped(&mut self, from: SamplePos, to: SamplePos) -> io::Result<()> {
        if !self.json {
            return Ok(());
        }
        self.line(&json!({ "type": "skipped", "start": round(from.seconds()), "end": round(to.seconds()) }))
    }

    /// The dictation is over: its length, the time it took, and what decoded it.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub fn done(&mut self, end: SamplePos, took: f64, info: Option<&EngineInfo>) -> io::Result<()> {
        if !self.json {
            writeln!(self.to)?;
            return self.to.flush();
        }
        let duration = end.seconds();
        let line = json!({
            "type": "final",
            "text": self.text,
            "duration": round(duration),
            "tokens": self.tokens,
            "model": info.map(|i| i.model.as_str()),
            "provider": info.map(|i| i.provider.as_str()),
            "precision": info.map(|i| i.precision.as_str()),
            "context_seconds": info.map(|i| round(f64::from(i.context_seconds))),
            "latency_ms": info.and_then(|i| i.latency_ms),
            "rtf": if duration > 0.0 { round(took / duration) } else { 0.0 },
        });
        self.line(&line)
    }

    fn line(&mut self, value: &Value) -> io::Result<()> {
        writeln!(self.to, "{value}")?;
        self.to.flush()
    }
}

/// Thousandths are as exact as anything here.
fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(json: bool) -> String {
        let mut bytes = Vec::new();
        let mut transcript = Transcript::new(&mut bytes, json);
        let word = |text: &str, glued| Word {
            text: text.into(),
            glued,
            start: SamplePos(16_000),
            end: SamplePos(24_000),
            confidence: 0.5,
            tokens: vec![3, 4],
        };
        transcript.words(&[word("Ever", false), word("tried", false)], SamplePos(32_000)).unwrap();
        transcript.text("Ever tried").unwrap();
        transcript.step(&Step { step: 0, tokens: vec![3, 4], frames: vec![1, 2] }).unwrap();
        transcript.words(&[word(".", true)], SamplePos(48_000)).unwrap();
        transcript.text(".").unwrap();
        transcript.done(SamplePos(64_000), 1.0, None).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn plain_text_is_what_would_be_typed() {
        assert_eq!(written(false), "Ever tried.\n");
    }

    #[test]
    fn what_cannot_be_done_to_a_transcript_is_a_word() {
        let config = configured(Config::default());
        let without = Config::parse("ignored_commands = [\"scratch-that\", \"stop-dictation\"]").unwrap();
        assert_eq!((config.rules, config.trailing_space), (without.rules, false));
    }

    #[test]
    fn every_json_line_is_an_object_and_the_last_is_final() {
        let lines: Vec<Value> = written(true).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        let types: Vec<_> = lines.iter().map(|l| l["type"].as_str().unwrap()).collect();
        assert_eq!(types, ["word", "word", "step", "word", "final"]);
        assert_eq!(lines[0]["committed"], 2.0);
        assert_eq!((&lines[4]["text"], &lines[4]["rtf"]), (&json!("Ever tried."), &json!(0.25)));
        assert_eq!(lines[4]["tokens"], json!([3, 4, 3, 4, 3, 4]));
    }
}
