//! A dictation's audio in, what the daemon is told out.
//!
//! [`Stream`] puts voice activity and utterance ends around a [`Recognizer`].
//! Audio is handled in the detector's frames whatever the cut it comes in, so
//! the same audio gives the same messages (but for `Heard` and the step times).
//! With voice activity the frames begin with the first sample that is not zero: a
//! sound server hands out zeros before anything arrives, and the same speech has
//! to give the same text however many there were.
//! While nobody speaks a bounded recognizer is not run at all; a short history
//! is kept so that its utterance can begin before the detector was sure. A
//! recognizer that streams without bound hears everything and is never ended
//! before the dictation is; a model among those may say that an utterance is over.
//! Memory is bounded by the recognizer's own window.

mod checkpoint;

use crate::vad::{FRAME, Vad};
use crate::{AsrError, Belief, Recognizer};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::Instant;
use swictation_core::endpoint::{Edge, PRE_ROLL, RULES, Segmenter};
use swictation_core::time::samples_in_ms;
use swictation_core::wire::{FromWorker, Step};
use swictation_core::{DictationId, Hypothesis, SamplePos, UtteranceId, Word, block};

/// Missing audio up to this long is silence; after more, speech begins anew.
const LONGEST_GAP: u64 = samples_in_ms(2_000);

/// A stream without utterances settles what is older than this, words or not: no
/// word is that long, and hours of silence must not pile up in the daemon.
const UNSETTLED: u64 = crate::hold::LONGEST;

/// Where messages for the daemon go.
pub type Out<'a> = &'a mut dyn FnMut(FromWorker);

/// A recognizer and what surrounds it.
pub struct Stream {
    recognizer: Box<dyn Recognizer>,
    vad: Option<Vad>,
    steps: bool,
    dictation: Option<Dictation>,
}

/// The state of one dictation.
#[derive(Serialize, Deserialize)]
struct Dictation {
    /// Not written down: whoever goes on with the dictation says what it is called.
    #[serde(skip)]
    id: DictationId,
    utterance: UtteranceId,
    /// Position after the last sample fed.
    end: SamplePos,
    /// Samples that do not fill a frame yet; none where a checkpoint is.
    #[serde(skip)]
    partial: Vec<f32>,
    segmenter: Segmenter,
    /// What was heard before an onset, at most [`PRE_ROLL`] and a frame.
    #[serde(with = "block::floats")]
    history: VecDeque<f32>,
    /// Where the utterance that the recognizer is in began.
    begun: Option<SamplePos>,
    /// The recognizer has ended an utterance of this dictation.
    ended: bool,
    /// Frozen words of the utterance so far.
    frozen: u32,
    /// Utterances begin and end by voice activity.
    gated: bool,
    /// Something other than zeros was heard.
    sounded: bool,
    /// The end of the last frozen word.
    settled: SamplePos,
    /// The model said that the utterance is over, and no word has come since.
    resting: bool,
    /// The tail of the last hypothesis, to tell changes.
    tail: Vec<Word>,
    step: u32,
    /// Where the last checkpoint was, or the dictation began.
    checkpoint: SamplePos,
}

impl Stream {
    /// `steps` asks for a [`FromWorker::Step`] for every model step.
    pub fn new(recognizer: Box<dyn Recognizer>, vad: Option<Vad>, steps: bool) -> Self {
        let vad = vad.filter(|_| !recognizer.info().unbounded);
        Self { recognizer, vad, steps, dictation: None }
    }

    /// Begins a dictation, or goes on with one that another worker began; `typed`
    /// are the words of the current utterance that are typed already.
    pub fn begin(&mut self, dictation: DictationId, utterance: UtteranceId, at: SamplePos, typed: &[String]) {
        if let Some(vad) = &mut self.vad {
            vad.reset();
        }
        let goes_on = self.vad.is_none() || !typed.is_empty();
        let segmenter = match goes_on {
            true => Segmenter::speaking(RULES, at),
            false => Segmenter::new(RULES, at),
        };
        if goes_on {
            self.recognizer.begin(at, typed);
        }
        self.dictation = Some(Dictation {
            id: dictation,
            utterance,
            end: at,
            partial: Vec::with_capacity(FRAME),
            segmenter,
            history: VecDeque::new(),
            begun: goes_on.then_some(at),
            ended: false,
            frozen: typed.len() as u32,
            gated: self.vad.is_some(),
            sounded: goes_on,
            settled: at,
            resting: false,
            tail: Vec::new(),
            step: 0,
            checkpoint: at,
        });
    }

    /// Takes in audio whose first sample is at `at`; what was fed before is not
    /// taken in again.
    ///
    /// # Errors
    /// What the model or the detector said; the dictation is lost here then.
    pub fn feed(&mut self, at: SamplePos, pcm: &[f32], out: Out<'_>) -> Result<(), AsrError> {
        let Some(mut dictation) = self.dictation.take() else { return Ok(()) };
        let gap = at.since(dictation.end);
        if gap > LONGEST_GAP {
            self.close(&mut dictation, out)?;
            self.begin(dictation.id, dictation.utterance, at, &[]);
            let Some(fresh) = self.dictation.take() else { return Ok(()) };
            dictation = Dictation { step: dictation.step, ..fresh };
        } else if gap > 0 {
            self.take_in(&mut dictation, &vec![0.0; gap as usize], out)?;
        }
        let known = dictation.end.since(at) as usize;
        self.take_in(&mut dictation, pcm.get(known..).unwrap_or_default(), out)?;
        out(dictation.heard());
        self.dictation = Some(dictation);
        Ok(())
    }

    /// Decodes what is left before `at` and ends the dictation.
    ///
    /// # Errors
    /// What the model or the detector said.
    pub fn finish(&mut self, _at: SamplePos, out: Out<'_>) -> Result<(), AsrError> {
        let Some(mut dictation) = self.dictation.take() else { return Ok(()) };
        self.close(&mut dictation, out)?;
        out(FromWorker::Finished { dictation: dictation.id });
        Ok(())
    }

    /// Drops the dictation.
    pub fn forget(&mut self) {
        self.dictation = None;
    }

    fn take_in(&mut self, dictation: &mut Dictation, mut pcm: &[f32], out: Out<'_>) -> Result<(), AsrError> {
        while !pcm.is_empty() {
            let utterance = dictation.utterance;
            if !dictation.sounded {
                let near = &pcm[..pcm.len().min(dictation.to_checkpoint())];
                let silent = near.iter().take_while(|v| **v == 0.0).count();
                dictation.sounded = silent < near.len();
                dictation.end = dictation.end + silent as u64;
                pcm = &pcm[silent..];
            } else {
                let (now, later) = pcm.split_at(pcm.len().min(FRAME - dictation.partial.len()));
                dictation.partial.extend_from_slice(now);
                dictation.end = dictation.end + now.len() as u64;
                pcm = later;
                if dictation.partial.len() < FRAME {
                    return Ok(());
                }
                let frame = std::mem::take(&mut dictation.partial);
                self.frame(dictation, &frame, false, out)?;
                dictation.partial = frame;
                dictation.partial.clear();
            }
            if dictation.to_checkpoint() == 0 || dictation.utterance != utterance {
                self.checkpoint(dictation, out)?;
            }
        }
        Ok(())
    }

    /// One frame, or with `last` what is left at the very end.
    fn frame(
        &mut self,
        dictation: &mut Dictation,
        frame: &[f32],
        last: bool,
        out: Out<'_>,
    ) -> Result<(), AsrError> {
        let edge = match &mut self.vad {
            None => None,
            Some(vad) => {
                let edge = match frame {
                    [] => None,
                    _ => dictation.segmenter.frame(vad.score(frame)?, dictation.end),
                };
                edge.or_else(|| if last { dictation.segmenter.last(dictation.end) } else { None })
            }
        };
        if dictation.begun.is_some() {
            self.recognizer.feed(frame);
        } else {
            dictation.history.extend(frame);
            let surplus = dictation.history.len().saturating_sub(PRE_ROLL as usize + FRAME);
            dictation.history.drain(..surplus);
        }
        if let Some(Edge::Onset(at)) = edge {
            let from = dictation.history.len().saturating_sub(dictation.end.since(at) as usize);
            dictation.begun = Some(dictation.end.back((dictation.history.len() - from) as u64));
            // The recognizer begins the very first utterance and follows later.
            let begun = dictation.begun.unwrap_or(at);
            match dictation.ended {
                true => self.recognizer.follow(begun),
                false => self.recognizer.begin(begun, &[]),
            }
            let history: Vec<f32> = dictation.history.drain(..).skip(from).collect();
            self.recognizer.feed(&history);
        }
        self.steps(dictation, out)?;
        if edge == Some(Edge::End) {
            self.end(dictation, out)?;
        }
        Ok(())
    }

    /// Makes every step that the audio allows.
    fn steps(&mut self, dictation: &mut Dictation, out: Out<'_>) -> Result<(), AsrError> {
        while dictation.begun.is_some() {
            let began = Instant::now();
            let Some(belief) = self.recognizer.step()? else { return Ok(()) };
            self.tell(dictation, belief, false, began, out);
        }
        Ok(())
    }

    /// Ends the utterance, if there is one, and freezes its words.
    fn end(&mut self, dictation: &mut Dictation, out: Out<'_>) -> Result<(), AsrError> {
        if dictation.begun.is_some() {
            let began = Instant::now();
            let belief = self.recognizer.finish()?;
            self.tell(dictation, belief, true, began, out);
        }
        Ok(())
    }

    /// Ends everything: the partial frame, the recognizer's last steps, its utterance.
    fn close(&mut self, dictation: &mut Dictation, out: Out<'_>) -> Result<(), AsrError> {
        let frame = std::mem::take(&mut dictation.partial);
        self.frame(dictation, &frame, true, out)?;
        if dictation.begun.is_some() {
            self.recognizer.end();
            self.steps(dictation, out)?;
        }
        self.end(dictation, out)
    }

    fn tell(&mut self, dictation: &mut Dictation, belief: Belief, last: bool, began: Instant, out: Out<'_>) {
        let Belief { mut words, frozen, tokens, frames, ends } = belief;
        if self.steps && !(last && tokens.is_empty()) {
            out(FromWorker::Step(Step { step: dictation.step, tokens, frames }));
            dictation.step += 1;
        }
        let mut ended = 0;
        for (count, at) in ends {
            let said: Vec<Word> = words.drain(..(count - ended).min(words.len())).collect();
            let frozen = said.len();
            // The words were heard when the step was made, wherever their utterance ends.
            dictation.say(said, frozen, None, began, out);
            dictation.say(Vec::new(), 0, Some(at.min(dictation.end)), began, out);
            ended = count;
        }
        let frozen = if last { words.len() } else { frozen.saturating_sub(ended).min(words.len()) };
        let end = last.then_some(dictation.end);
        dictation.say(words, frozen, end, began, out);
        if last {
            dictation.begun = None;
            dictation.ended = true;
        }
    }
}

impl Dictation {
    /// Tells of `words`, the first `frozen` of which will never change, and with `end`
    /// that the utterance is over there.
    fn say(&mut self, words: Vec<Word>, frozen: usize, end: Option<SamplePos>, began: Instant, out: Out<'_>) {
        let first = self.frozen;
        self.frozen += frozen as u32;
        let newest = end.or(words[..frozen].last().map(|word| word.end));
        self.settled = self.settled.max(newest.unwrap_or_default().min(self.end));
        self.resting = words.is_empty() && (end.is_some() || self.resting);
        if end.is_some() || frozen > 0 || words != self.tail {
            self.tail = words[frozen..].to_vec();
            out(FromWorker::Hypothesis(Hypothesis {
                dictation: self.id,
                utterance: self.utterance,
                heard_to: end.unwrap_or(self.end),
                first,
                words,
                frozen: frozen as u32,
                last: end.is_some(),
                step_us: u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX),
            }));
        }
        if end.is_some() {
            self.utterance = UtteranceId(self.utterance.0 + 1);
            self.frozen = 0;
            self.tail.clear();
        }
    }

    fn heard(&self) -> FromWorker {
        let resume = match self.begun {
            Some(_) if !self.gated => self.settled.max(self.end.back(UNSETTLED)),
            Some(at) => at,
            None => self.segmenter.earliest(self.end.back(self.partial.len() as u64)),
        };
        FromWorker::Heard {
            dictation: self.id,
            up_to: self.end,
            speech: self.begun.is_some() && self.segmenter.is_speech() && !self.resting,
            resume: resume.min(self.end),
        }
    }
}
