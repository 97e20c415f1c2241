//! A worker that behaves like a recognizer, and of which every word is known, is ended
//! at random: what stands in the window must be what stands there without that, which is
//! what the same words come to when they are taken in at once.

use super::*;
use crate::text::{Said, Text};
use proptest::prelude::*;
use std::rc::Rc;

/// A word every 300 ms, frozen 100 ms behind its end, and an utterance every 8 words.
const WORD: u64 = samples_in_ms(300);
const LATE: u64 = samples_in_ms(100);
const UTTERANCE: u64 = 8 * WORD;

/// A recognizer of which every word is known: its state is where it is.
struct Known {
    dictation: DictationId,
    utterance: UtteranceId,
    at: SamplePos,
    /// Words of the utterance that were said, and the number of the next.
    first: u32,
    next: u64,
    /// Where the last checkpoint was.
    told: SamplePos,
    script: Script,
}

/// What is said again and again in every dictation; the number of the word where it is
/// empty. What begins with + is glued to the word before.
type Script = Rc<[&'static str]>;

fn word(script: &Script, n: u64) -> Word {
    let said = (!script.is_empty()).then(|| script[n as usize % script.len()]);
    let text = said.map_or(format!("w{n}"), |said| said.trim_start_matches('+').into());
    Word {
        text,
        glued: said.is_some_and(|said| said.starts_with('+')),
        start: SamplePos(n * WORD),
        end: SamplePos((n + 1) * WORD),
        confidence: 1.0,
        tokens: vec![1],
    }
}

/// A session, its worker, and the window.
struct World {
    session: Session,
    now: Now,
    loading: bool,
    ready: bool,
    orders: VecDeque<ToWorker>,
    known: Option<Known>,
    /// The edits in the window.
    window: Vec<(u64, String)>,
    script: Script,
    capture: u32,
    /// Samples that each capture recorded.
    recorded: Vec<u64>,
    open: bool,
}

impl World {
    fn new(script: &[&'static str]) -> World {
        let taste = Taste {
            stop_tail: Duration::ZERO,
            trailing_space: true,
            cancel_erases: true,
            focus: Focus::Follow,
            devices: vec!["cpu".into()],
            unload_after: Some(Duration::from_secs(30)),
            smaller: None,
            impatient: false,
            rules: text::english(),
        };
        let mut world = World {
            session: Session::new(taste),
            now: Now::default(),
            loading: false,
            ready: false,
            orders: VecDeque::new(),
            known: None,
            window: Vec::new(),
            script: script.into(),
            capture: 0,
            recorded: Vec::new(),
            open: false,
        };
        let mut out = Vec::new();
        world.session.boot(&mut out);
        world.perform(out);
        world
    }

    fn event(&mut self, event: Event) {
        let mut out = Vec::new();
        self.session.handle(event, self.now, &mut out);
        self.session.verify_invariants();
        self.perform(out);
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Spawn(_) => {
                    assert!(!self.loading && !self.ready, "one worker at a time");
                    self.loading = true;
                }
                Effect::Kill => self.gone(),
                Effect::Send(order) => self.orders.push_back(order),
                Effect::OpenMicrophone(capture) => {
                    assert!(!self.open, "one microphone at a time");
                    (self.capture, self.open) = (capture, true);
                    self.recorded.push(0);
                }
                Effect::CloseMicrophone(capture) => {
                    self.open = false;
                    self.event(Event::Microphone(capture, Microphone::Ended));
                }
                Effect::Type(id, edit) => {
                    self.window.push((id, edit.insert));
                    self.event(Event::Typed(id, Ok(())));
                }
                Effect::Scratch { id, from } => {
                    self.window.retain(|(edit, _)| *edit < from);
                    self.event(Event::Typed(id, Ok(())));
                }
                Effect::Skipped(skipped) => panic!("{skipped:?}"),
                _ => {}
            }
        }
    }

    fn gone(&mut self) {
        (self.loading, self.ready, self.known) = (false, false, None);
        self.orders.clear();
    }

    /// The worker does so many things.
    fn work(&mut self, count: usize) {
        for _ in 0..count {
            if std::mem::take(&mut self.loading) {
                self.ready = true;
                self.event(Event::Worker(FromWorker::Ready(engine(), 1000)));
            } else if let Some(order) = self.orders.pop_front() {
                for message in self.answer(order) {
                    self.event(Event::Worker(message));
                }
            }
        }
    }

    fn answer(&mut self, order: ToWorker) -> Vec<FromWorker> {
        match order {
            ToWorker::Begin { dictation, at, checkpoint: Some(checkpoint), .. } => {
                let (utterance, first, next) = postcard::from_bytes(&checkpoint.state).unwrap();
                let script = self.script.clone();
                self.known = Some(Known { dictation, utterance, at, first, next, told: at, script });
                Vec::new()
            }
            ToWorker::Begin { dictation, utterance, at, typed, checkpoint: None } => {
                let (first, next) = (typed.len() as u32, at.0 / WORD + typed.len() as u64);
                let script = self.script.clone();
                self.known = Some(Known { dictation, utterance, at, first, next, told: at, script });
                Vec::new()
            }
            ToWorker::Audio { at, pcm } => {
                let Some(known) = &mut self.known else { return Vec::new() };
                assert_eq!(at, known.at, "audio follows audio");
                known.hear(at + pcm.len() as u64)
            }
            ToWorker::Finish { .. } => {
                let Some(mut known) = self.known.take() else { return Vec::new() };
                let mut said = Vec::new();
                known.say(known.at.0 / WORD, Some(known.at), &mut said);
                said.push(FromWorker::Finished { dictation: known.dictation });
                said
            }
            ToWorker::Forget => {
                self.known = None;
                Vec::new()
            }
        }
    }
}

impl Known {
    fn hear(&mut self, end: SamplePos) -> Vec<FromWorker> {
        let mut said = Vec::new();
        while self.at < end {
            let stop = SamplePos((self.at.0 / UTTERANCE + 1) * UTTERANCE);
            self.at = end.min(stop);
            self.say(self.at.back(LATE).0 / WORD, None, &mut said);
            if self.at == stop {
                self.say(stop.0 / WORD, Some(stop), &mut said);
            }
        }
        let begun = SamplePos(self.at.0 / UTTERANCE * UTTERANCE);
        let (dictation, up_to) = (self.dictation, self.at);
        said.push(FromWorker::Heard { dictation, up_to, speech: true, resume: begun });
        if self.at.since(self.told) > samples_in_ms(700) {
            self.told = self.at;
            let state = postcard::to_stdvec(&(self.utterance, self.first, self.next)).unwrap();
            said.push(FromWorker::Checkpoint(Checkpoint { dictation, at: self.at, state }));
        }
        said
    }

    /// Says the words before number `upto`, and with `end` that the utterance is over.
    fn say(&mut self, upto: u64, end: Option<SamplePos>, said: &mut Vec<FromWorker>) {
        let words: Vec<Word> = (self.next..upto).map(|n| word(&self.script, n)).collect();
        if words.is_empty() && end.is_none() {
            return;
        }
        let frozen = words.len() as u32;
        said.push(FromWorker::Hypothesis(Hypothesis {
            dictation: self.dictation,
            utterance: self.utterance,
            heard_to: end.unwrap_or(self.at),
            first: self.first,
            words,
            frozen,
            last: end.is_some(),
            step_us: 1000,
        }));
        self.next = self.next.max(upto);
        self.first += frozen;
        if end.is_some() {
            self.utterance = UtteranceId(self.utterance.0 + 1);
            self.first = 0;
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Start,
    Stop,
    Toggle,
    Speak(u64),
    Work(usize),
    Kill,
    Crash,
    Hang,
    Rest(u64),
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => Just(Act::Start),
        1 => Just(Act::Stop),
        1 => Just(Act::Toggle),
        8 => (1_u64..1500).prop_map(Act::Speak),
        8 => (1_usize..9).prop_map(Act::Work),
        3 => Just(Act::Kill),
        1 => Just(Act::Crash),
        1 => Just(Act::Hang),
        3 => (1_u64..40_000).prop_map(Act::Rest),
    ]
}

impl World {
    fn act(&mut self, act: Act) {
        // A worker that crashes by itself in the same place again and again is another
        // matter; here it gets somewhere in between.
        let forgiven = self.session.ladder.deaths() == 0;
        let there = self.loading || self.ready;
        match act {
            Act::Start => self.event(Event::Command(Command::Start)),
            Act::Stop => self.event(Event::Command(Command::Stop)),
            Act::Toggle => self.event(Event::Command(Command::Toggle)),
            Act::Speak(ms) if self.open => {
                let pcm = vec![0.1; samples_in_ms(ms) as usize];
                *self.recorded.last_mut().unwrap() += pcm.len() as u64;
                let block = Microphone::Block { pcm, captured: self.now, dropped: 0 };
                self.event(Event::Microphone(self.capture, block));
            }
            Act::Work(count) => self.work(count),
            Act::Kill if there => self.end(supervise::Ending::killed("signal 9".into())),
            Act::Crash if there && forgiven => self.end(supervise::Ending::crashed("signal 11".into())),
            Act::Hang if self.ready && forgiven => self.wait(61_000),
            Act::Rest(ms) if self.orders.is_empty() && !self.loading => self.wait(ms),
            _ => {}
        }
        // The stop has no tail here: what it asks for is due at once.
        self.event(Event::Tick);
    }

    fn end(&mut self, ending: supervise::Ending) {
        self.gone();
        self.event(Event::WorkerGone(ending));
    }

    fn wait(&mut self, ms: u64) {
        self.now = self.now + Duration::from_millis(ms);
        self.event(Event::Tick);
    }

    /// Lets everything come to its end without another fault.
    fn settle(&mut self) {
        self.act(Act::Stop);
        for _ in 0..10_000 {
            if self.session.state() == Published::Idle {
                return;
            }
            self.work(4);
            if let Engine::Waiting(at) = self.session.engine() {
                self.now = self.now.max(*at);
            }
            self.event(Event::Tick);
        }
        panic!("it never ends: {:?}, {}", self.session.engine(), self.session.trouble());
    }

    /// What is in the window when nothing ever fails.
    fn expected(&self) -> String {
        let rules = text::english();
        let dictation = |samples: &u64| {
            let (mut text, mut said) = (Text::default(), Vec::new());
            for n in 0..samples / WORD {
                text.word(&word(&self.script, n), &rules, &mut said);
                if ((n + 1) * WORD).is_multiple_of(UTTERANCE) {
                    text.end_utterance(&rules, &mut said);
                }
            }
            text.end(true, &rules, &mut said);
            let mut window: Vec<(u32, String)> = Vec::new();
            for said in said {
                match said {
                    Said::Text { utterance, text } => window.push((utterance, text)),
                    Said::Scratch(from) => {
                        window.retain(|(utterance, _)| from.is_none_or(|from| *utterance < from));
                    }
                }
            }
            window.into_iter().map(|(_, text)| text).collect::<String>()
        };
        self.recorded.iter().map(dictation).collect()
    }

    #[track_caller]
    fn run(script: &[&'static str], acts: Vec<Act>) {
        let mut world = World::new(script);
        for act in acts {
            world.act(act);
        }
        world.settle();
        let window: String = world.window.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(window, world.expected());
        assert!(world.session.dictations.is_empty() && world.session.open.is_none());
    }
}

/// Words, and what is no word but for the words around it.
fn any_script() -> impl Strategy<Value = Vec<&'static str>> {
    let any = prop_oneof![
        4 => Just("Hello,"),
        4 => Just("world."),
        2 => Just("+,"),
        1 => Just("+s"),
        2 => Just("new"),
        1 => Just("New line."),
        1 => Just("new paragraph,"),
        1 => Just("Comma"),
        1 => Just("period."),
        1 => Just("open quote"),
        1 => Just("close quote."),
        1 => Just("quotation mark"),
        1 => Just("all caps"),
        1 => Just("all caps on"),
        1 => Just("all caps off"),
        1 => Just("literal"),
        1 => Just("no space here"),
        2 => Just("Scratch that."),
        1 => Just("so to speak"),
    ];
    let phrases = prop::collection::vec(any, 1..12);
    phrases.prop_map(|phrases| phrases.into_iter().flat_map(str::split_whitespace).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]
    #[test]
    fn whenever_workers_end_every_word_is_typed_once_and_in_order(
        acts in prop::collection::vec(any_act(), 0..120)
    ) {
        World::run(&[], acts);
    }

    #[test]
    fn whenever_workers_end_the_text_is_what_the_words_come_to_at_once(
        script in any_script(), stops: bool, acts in prop::collection::vec(any_act(), 0..120)
    ) {
        let end: &[&str] = if stops { &["stop", "dictation"] } else { &[] };
        World::run(&[&script, end].concat(), acts);
    }
}
