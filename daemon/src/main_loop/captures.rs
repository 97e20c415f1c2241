//! The captures: they are opened, heard, and kept where nothing could be made of them.

use super::{MainLoop, Wake};
use crate::audio::{AudioEvent, Capture};
use crate::skipped;
use swictation_control::exit;
use swictation_core::Now;
use swictation_core::session::{Event, Microphone, Skipped};

impl MainLoop {
    pub(super) fn open_microphone(&mut self, capture: u32) {
        let wakes = self.wakes.clone();
        let source = self.parts.source.as_deref().unwrap_or(&self.parts.config.microphone);
        let tell = move |event| drop(wakes.send(Wake::Heard(capture, event)));
        self.dictating_since = None;
        self.captures.insert(capture, Capture::start(source, tell));
    }

    pub(super) fn heard(&mut self, capture: u32, event: AudioEvent) {
        let news = match event {
            AudioEvent::Started { rate, channels, device } => {
                tracing::info!(rate, channels, %device, "listening");
                Microphone::Opened
            }
            AudioEvent::Block { pcm, captured, dropped } => {
                let captured = Now(captured.saturating_duration_since(self.origin));
                Microphone::Block { pcm, captured, dropped }
            }
            AudioEvent::Silent(silent) => Microphone::Silent(silent),
            AudioEvent::Lost(why) => {
                tracing::warn!("{why}");
                if self.parts.once {
                    // A file that cannot be read will not come back.
                    self.fail(exit::AUDIO, &why);
                }
                Microphone::Lost(why)
            }
            AudioEvent::Ended => {
                self.captures.remove(&capture);
                Microphone::Ended
            }
        };
        self.handle(Event::Microphone(capture, news));
    }

    pub(super) fn skipped(&mut self, skipped: &Skipped) {
        tracing::warn!("{}", self.session.trouble());
        self.write(|t| t.skipped(skipped.from, skipped.to));
        if !self.parts.config.keep_skipped {
            return;
        }
        match skipped::keep(&skipped.pcm) {
            Ok(path) => tracing::warn!("the audio that was left out is in {}", path.display()),
            Err(error) => tracing::warn!("the audio that was left out is not kept: {error}"),
        }
    }
}
