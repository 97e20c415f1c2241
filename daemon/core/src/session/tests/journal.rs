//! What is recorded of a dictation gives back what was not typed, wherever it ends.
//!
//! Each word is so many samples that hold its number. So a worker hears exactly what
//! was said, and whoever reads the journal can, too.

use super::*;
use crate::journal::Recovered;
use crate::text::{Pack, Rules, Said, Wanted};
use proptest::prelude::*;
use std::ops::Range;
use std::sync::LazyLock;

/// Samples of a word.
const WORD: u64 = 1600;

/// A worker that hears every word right, and the audio and text it was told.
#[derive(Default)]
struct Ideal {
    told: Option<(DictationId, UtteranceId)>,
    /// The utterance's audio, and where it begins.
    audio: Vec<f32>,
    start: SamplePos,
    /// Words of the utterance that are frozen.
    frozen: usize,
    finish: bool,
}

impl Ideal {
    fn heard_to(&self) -> SamplePos {
        self.start + self.audio.len() as u64
    }

    fn take(&mut self, message: ToWorker) {
        match message {
            ToWorker::Begin { dictation, utterance, at, typed, .. } => {
                *self = Self {
                    told: Some((dictation, utterance)),
                    start: at,
                    frozen: typed.len(),
                    ..Self::default()
                };
            }
            ToWorker::Audio { pcm, .. } => self.audio.extend(pcm),
            ToWorker::Finish { .. } => self.finish = true,
            ToWorker::Forget => *self = Self::default(),
        }
    }

    /// Freezes so many words of those it has heard to their end; all, and the utterance
    /// with them, when it is the `last`.
    fn think(&mut self, more: usize, last: bool) -> Option<FromWorker> {
        let (dictation, utterance) = self.told?;
        let words = spoken(&self.audio);
        let frozen = if last { words.len() } else { words.len().min(self.frozen + more) };
        let word = |n: usize| Word {
            text: words[n].clone(),
            glued: false,
            start: self.start + n as u64 * WORD,
            end: self.start + (n as u64 + 1) * WORD,
            confidence: 1.0,
            tokens: vec![1],
        };
        let hypothesis = Hypothesis {
            dictation,
            utterance,
            heard_to: self.heard_to(),
            first: self.frozen as u32,
            words: (self.frozen..words.len()).map(word).collect(),
            frozen: (frozen - self.frozen) as u32,
            last,
            step_us: 1,
        };
        self.frozen = frozen;
        if last {
            self.told = Some((dictation, UtteranceId(utterance.0 + 1)));
            (self.start, self.frozen) = (self.heard_to(), 0);
            self.audio.clear();
        }
        Some(FromWorker::Hypothesis(hypothesis))
    }
}

/// The words of whole samples of them.
fn spoken(pcm: &[f32]) -> Vec<String> {
    pcm.chunks_exact(WORD as usize).map(|word| format!("<{}>", word[0])).collect()
}

/// Rules after which two words of three are held for the next one, and typed as they are.
fn pairs() -> Arc<Rules> {
    static PAIRS: LazyLock<Arc<Rules>> = LazyLock::new(|| {
        let pair = |n: u32| format!("<{n}> <{}>", n + 1);
        let pairs: Vec<_> = (0..400).filter(|n| n % 3 != 2).map(|n| (pair(n), pair(n))).collect();
        Arc::new(Rules::new(&Pack::default(), &Wanted::default(), &pairs))
    });
    PAIRS.clone()
}

/// A session with an ideal worker, an ideal microphone and a typist.
struct Run {
    session: Session,
    worker: Ideal,
    typing: Vec<u64>,
    capture: u32,
    said: Range<u32>,
    /// A worker died: many in a row would have the session leave audio out.
    crashed: bool,
    journal: Vec<Entry>,
}

impl Run {
    fn new() -> Run {
        let mut session = super::bench().session;
        session.retaste(Taste { rules: pairs(), ..session.taste.clone() });
        let (worker, typing, journal) = (Ideal::default(), Vec::new(), Vec::new());
        let mut run = Run { session, worker, typing, capture: 0, said: 0..0, crashed: false, journal };
        run.event(Event::Worker(FromWorker::Ready(engine(), 1)));
        run
    }

    fn event(&mut self, event: Event) {
        let mut out = Vec::new();
        self.session.handle(event, Now::default(), &mut out);
        self.session.verify_invariants();
        for effect in out {
            match effect {
                Effect::OpenMicrophone(capture) => self.capture = capture,
                Effect::Send(message) => self.worker.take(message),
                Effect::Kill => self.worker = Ideal::default(),
                Effect::Type(id, _) => self.typing.push(id),
                Effect::Record(entry) => self.journal.push(entry),
                _ => {}
            }
        }
    }

    fn worker(&mut self, message: Option<FromWorker>) {
        message.into_iter().for_each(|message| self.event(Event::Worker(message)));
    }

    fn apply(&mut self, op: u8) {
        match op {
            0 => self.event(Event::Command(Command::Toggle)),
            1 => self.event(Event::Microphone(self.capture, Microphone::Ended)),
            2..=5 => {
                let words = u32::from(op - 1);
                let word = |n| vec![n as f32; WORD as usize];
                let pcm = (self.said.end..self.said.end + words).flat_map(word).collect();
                let block = Microphone::Block { pcm, captured: Now::default(), dropped: 0 };
                if self.session.recording().is_some() {
                    self.said.end += words;
                    self.event(Event::Microphone(self.capture, block));
                }
            }
            6..=8 => {
                let thought = self.worker.think(usize::from(op - 6), false);
                self.worker(thought);
            }
            9 => {
                let thought = self.worker.think(0, true);
                self.worker(thought);
            }
            // Words of a stream without utterances that are frozen are settled, too.
            10 | 11 => {
                let Some((dictation, _)) = self.worker.told else { return };
                let settled = if op == 11 { self.worker.frozen as u64 / 2 } else { 0 };
                let (up_to, resume) = (self.worker.heard_to(), self.worker.start + settled * WORD);
                let resume = resume.min(up_to);
                self.worker(Some(FromWorker::Heard { dictation, up_to, speech: true, resume }));
            }
            12 => {
                let Some((dictation, _)) = self.worker.told.filter(|_| self.worker.finish) else { return };
                let thought = self.worker.think(0, true);
                self.worker(thought);
                self.worker(Some(FromWorker::Finished { dictation }));
            }
            13 if self.crashed => {}
            13 => {
                self.crashed = true;
                self.worker = Ideal::default();
                self.event(Event::WorkerGone(supervise::Ending::killed("killed".into())));
                self.event(Event::Worker(FromWorker::Ready(engine(), 1)));
            }
            20 => self.event(Event::Away(Away::Lock)),
            21 => self.event(Event::Away(Away::Unlock)),
            op => {
                let Some(id) = self.typing.first().copied() else { return };
                self.typing.remove(0);
                let result = if op == 14 {
                    Err(Untyped { typed: 0, why: "no window".into(), elsewhere: false })
                } else {
                    Ok(())
                };
                self.event(Event::Typed(id, result));
            }
        }
    }
}

/// What a window has, what is given back and what was said, after these entries.
fn given_back(entries: &[Entry]) -> (String, String, String) {
    let (mut recovered, mut window, mut said) = (Recovered::default(), String::new(), String::new());
    let mut rest: Vec<(u64, String)> = Vec::new();
    for entry in entries {
        match entry {
            Entry::Text { piece, text, .. } => rest.push((*piece, text.clone())),
            Entry::Partly { piece, characters } => {
                let (_, text) = rest.iter_mut().find(|(id, _)| id == piece).unwrap();
                window.extend(text.drain(..*characters));
            }
            Entry::Paid { piece } => {
                let at = rest.iter().position(|(id, _)| id == piece).unwrap();
                window.push_str(&rest.remove(at).1);
            }
            Entry::Audio { pcm, .. } => said.push_str(&spoken(pcm).concat()),
            _ => {}
        }
        recovered.add(entry.clone());
    }
    let mut back = recovered.untyped();
    for stretch in recovered.stretches() {
        let pcm: Vec<f32> = stretch.audio.into_iter().flat_map(|(_, pcm)| pcm).collect();
        let words = spoken(&pcm);
        let known = &stretch.owed.past.typed;
        let again: Vec<_> = words.iter().take(known.len()).map(|word| format!(" {word}")).collect();
        assert!(again.iter().eq(known.iter().map(|(word, _)| word)), "{again:?} is not {known:?}");
        let (mut text, mut rest, pairs) = (stretch.owed.past.text, Vec::new(), pairs());
        for text_of_word in words.into_iter().skip(known.len()) {
            let word = Word {
                text: text_of_word,
                glued: false,
                start: SamplePos(0),
                end: SamplePos(0),
                confidence: 1.0,
                tokens: Vec::new(),
            };
            text.word(&word, &pairs, &mut rest);
        }
        text.end(false, &pairs, &mut rest);
        for said in rest {
            let Said::Text { text, .. } = said else { panic!("{said:?}") };
            back.push_str(&text);
        }
    }
    (window, back, said)
}

/// Words in the order of their numbers.
fn words(text: &str) -> Vec<u32> {
    let numbers = text.split(|c: char| !c.is_ascii_digit()).filter(|number| !number.is_empty());
    let mut numbers: Vec<u32> = numbers.map(|number| number.parse().unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn wherever_a_daemon_ends_what_was_typed_and_what_is_given_back_is_all_that_was_said_once(
        ops in prop::collection::vec(0u8..22, 0..60),
    ) {
        let mut run = Run::new();
        run.apply(0);
        ops.iter().for_each(|op| run.apply(*op));
        for end in 0..=run.journal.len() {
            let (window, back, said) = given_back(&run.journal[..end]);
            prop_assert_eq!(words(&(window + &back)), words(&said), "after {:?}", &run.journal[..end]);
        }
    }
}

#[test]
fn what_was_scratched_is_not_given_back_whether_it_was_typed_or_not() {
    for typed in ["typed", "+1", "refused 1"] {
        let talk = format!(
            "english · ready · start · mic 2000 · last 500 so · think 900 one two|three · {typed} · think 1500 three scratch that new|"
        );
        let (bench, _) = run(&talk);
        let mut recovered = Recovered::default();
        bench.journal.into_iter().for_each(|entry| recovered.add(entry));
        assert!(!recovered.untyped().contains("one"), "{typed}: {:?}", recovered.untyped());
        let mut text = recovered.stretches().remove(0).owed.past.text;
        let mut said = Vec::new();
        text.end(false, &super::text::english(), &mut said);
        assert_eq!(said, [Said::Text { utterance: 1, text: " new".into() }], "{typed}");
    }
}

#[test]
fn what_was_held_when_no_engine_was_left_is_given_back_once() {
    let talk = "english · ready · start · mic 2000 · think 500 one new|two · fault model · fault model · fault model";
    let (bench, _) = run(&format!("{talk} · stop · +200 · ended"));
    let mut recovered = Recovered::default();
    bench.journal.into_iter().for_each(|entry| recovered.add(entry));
    assert_eq!(recovered.untyped(), "one new");
    let mut said = Vec::new();
    recovered.stretches().remove(0).owed.past.text.end(false, &super::text::english(), &mut said);
    assert_eq!(said, []);
}

#[test]
fn nothing_is_owed_once_the_last_word_is_typed() {
    let bench = check("ready · start · mic 500 · stop · +200 · ended · last 500 a b · finished · typed", "");
    assert!(
        matches!(bench.journal[..], [Entry::Begin { .. }, .., Entry::Paid { .. }]),
        "{:?}",
        bench.journal
    );
    assert!(ledger(&bench).is_empty(), "{:?}", bench.journal);
}

#[test]
fn audio_that_is_settled_without_a_word_is_not_owed() {
    let (bench, _) = run("ready · start · mic 2000 · heard 1500 1400");
    assert_eq!(ledger(&bench).owed()[0].needed(), SamplePos(samples_in_ms(1400)));
}

#[test]
fn what_was_cancelled_is_not_given_back() {
    let (bench, _) = run("ready · start · mic 1000 · think 500 hello|world · cancel");
    assert!(ledger(&bench).is_empty(), "{:?}", bench.journal);
}

#[test]
fn what_waits_until_the_screen_is_unlocked_is_given_back() {
    let (bench, _) = run("ready · start · mic 1000 · away lock · +200 · ended · last 1000 a b · finished");
    assert_eq!((ledger(&bench).untyped().as_str(), bench.window.as_str()), ("a b", ""));
    let (bench, _) = run(
        "ready · start · mic 1000 · away lock · +200 · ended · last 1000 a b · finished · away unlock · typed",
    );
    assert!(ledger(&bench).is_empty(), "{:?}", bench.journal);
}

#[test]
fn what_no_engine_heard_is_given_back_although_the_dictation_is_over() {
    let (bench, _) = run("fault model · start · fault model · mic 100 · stop · +200 · ended");
    assert!(ledger(&bench).is_over() && !ledger(&bench).is_empty(), "{:?}", bench.journal);
}

#[test]
fn a_dictation_goes_on_in_another_daemon_where_it_was_cut_off_and_types_nothing_twice() {
    let (bench, _) = run("ready · start · mic 2000 · think 1500 one two|three");
    let mut recovered = Recovered::default();
    bench.journal.into_iter().for_each(|entry| recovered.add(entry));
    assert_eq!(recovered.untyped(), "one two");
    let stretch = recovered.stretches().remove(0);
    let mut next = super::bench();
    next.apply("ready");
    let mut out = Vec::new();
    next.session.resume(stretch.owed, next.now, &mut out);
    let mut text = String::new();
    next.perform(out, &mut text);
    next.done.clear();
    for (dropped, pcm) in stretch.audio {
        let block = Microphone::Block { pcm, captured: next.now, dropped };
        next.event(Event::Microphone(next.capture, block));
    }
    assert_eq!(next.done.join(" · "), "audio 0..500 · audio 500..1000 · audio 1000..1500 · audio 1500..2000");
    next.apply("think 2000 three|four");
    assert_eq!(next.window, " three");
}

fn ledger(bench: &Bench) -> crate::journal::Ledger {
    let mut ledger = crate::journal::Ledger::default();
    bench.journal.iter().for_each(|entry| ledger.apply(entry));
    ledger
}
