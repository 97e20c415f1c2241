//! What a capture tells, and what becomes of it: audio on the tape of its dictation.
//!
//! The microphone follows the person and waits for nobody. What it could not deliver is
//! a gap in time on the tape, and is said until the next dictation; what it did deliver
//! is never overwritten.

use super::{Command, Effect, Microphone, Session};
use crate::journal::Entry;
use crate::time::{SAMPLE_RATE, samples_in_ms};
use crate::{Now, SamplePos};

/// The most audio that waits to be recognised, 115 MB: then listening ends.
const LONGEST_WAIT: u64 = samples_in_ms(30 * 60 * 1000);

/// Less lost audio than this costs no word, and nobody is told.
const LEAST_GAP: u64 = samples_in_ms(100);

/// What is known of the sound of the newest dictation.
#[derive(Debug, Default)]
pub(super) struct Sound {
    /// Samples that were lost.
    lost: u64,
}

impl Session {
    pub(super) fn microphone(&mut self, capture: u32, news: Microphone, now: Now, out: &mut Vec<Effect>) {
        // A capture that belongs to no dictation was cancelled.
        let Some(at) = self.dictations.iter().position(|d| d.capture == capture) else { return };
        match news {
            Microphone::Block { pcm, captured, dropped } => {
                let dictation = &mut self.dictations[at];
                if !dictation.live {
                    dictation.live = true;
                    self.metrics.start.add(now - dictation.asked);
                }
                dictation.record(&pcm, captured, dropped);
                let (id, first) = (dictation.id, dictation.end().back(pcm.len() as u64));
                let full = dictation.waiting() >= LONGEST_WAIT && dictation.stopped.is_none();
                self.metrics.samples += pcm.len() as u64;
                self.metrics.lost_samples += dropped;
                self.sound.lost += dropped;
                out.push(Effect::Record(Entry::Audio { dictation: id, at: first, pcm }));
                self.sounds();
                if full {
                    self.full(now, out);
                }
            }
            Microphone::Silent(true) => {
                self.trouble.microphone =
                    "the microphone delivers only silence: is it muted, or is another one meant?".to_owned();
            }
            Microphone::Silent(false) | Microphone::Opened => self.sounds(),
            Microphone::Lost(why) => self.trouble.microphone = why,
            Microphone::Ended => self.captured(at, now, out),
        }
    }

    /// It delivers; what it did not deliver is said.
    fn sounds(&mut self) {
        self.trouble.microphone.clear();
        if self.sound.lost >= LEAST_GAP {
            let seconds = self.sound.lost as f64 / f64::from(SAMPLE_RATE);
            self.trouble.microphone =
                format!("{seconds:.1} s of sound were lost before the microphone delivered again");
        }
    }

    /// More waits than is kept.
    fn full(&mut self, now: Now, out: &mut Vec<Effect>) {
        self.called(Command::Stop, self.calls.last(), now, out);
        self.trouble.speech = format!(
            "{} minutes of speech wait to be recognised: listening has ended, so that none is lost",
            LONGEST_WAIT / samples_in_ms(60_000)
        );
    }

    /// Everything captured of a dictation is on its tape.
    fn captured(&mut self, at: usize, now: Now, out: &mut Vec<Effect>) {
        let dictation = &mut self.dictations[at];
        let capture = dictation.capture;
        dictation.complete = true;
        if dictation.stopped.replace(dictation.stopped.unwrap_or(now)).is_none() {
            // A file ends by itself, and what is asked for later is asked of an idle session.
            self.calls.take_in(Command::Stop, self.calls.last());
        }
        self.open = self.open.filter(|open| *open != capture);
        // What nothing was captured of needs no worker.
        if !dictation.begun()
            && dictation.end() == SamplePos(0)
            && let Some(done) = self.dictations.remove(at)
        {
            // One that is still decoded goes on with its text.
            if self.dictations.is_empty() {
                self.dictation_over(now, out);
            }
            out.push(Effect::Record(Entry::End { dictation: done.id }));
            out.push(Effect::Done(done.id, SamplePos(0)));
        }
    }
}
