//! A worker that behaves like a recognizer, and of which every word is known, is ended
//! at random: what stands in the window must be what stands there without that.

use super::*;

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
}

/// A session, its worker, and the window.
struct World {
    session: Session,
    now: Now,
    loading: bool,
    ready: bool,
    orders: VecDeque<ToWorker>,
    known: Option<Known>,
    window: String,
    capture: u32,
    /// Samples that each capture recorded.
    recorded: Vec<u64>,
    open: bool,
}

impl World {
    fn new() -> World {
        let taste = Taste {
            stop_tail: Duration::ZERO,
            trailing_space: true,
            cancel_erases: true,
            stops_elsewhere: false,
            devices: vec!["cpu".into()],
            unload_after: Some(Duration::from_secs(30)),
            smaller: None,
            impatient: false,
        };
        let mut world = World {
            session: Session::new(taste),
            now: Now::default(),
            loading: false,
            ready: false,
            orders: VecDeque::new(),
            known: None,
            window: String::new(),
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
                    self.window.push_str(&edit.insert);
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
                self.known = Some(Known { dictation, utterance, at, first, next, told: at });
                Vec::new()
            }
            ToWorker::Begin { dictation, utterance, at, typed, checkpoint: None } => {
                let (first, next) = (typed.len() as u32, at.0 / WORD + typed.len() as u64);
                self.known = Some(Known { dictation, utterance, at, first, next, told: at });
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
        let word = |n: u64| Word {
            text: format!("w{n}"),
            glued: false,
            start: SamplePos(n * WORD),
            end: SamplePos((n + 1) * WORD),
            confidence: 1.0,
            tokens: vec![1],
        };
        let words: Vec<Word> = (self.next..upto).map(word).collect();
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
        let words = |samples: &u64| {
            let words: Vec<String> = (0..samples / WORD).map(|n| format!("w{n}")).collect();
            if words.is_empty() { String::new() } else { words.join(" ") + " " }
        };
        self.recorded.iter().map(words).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]
    #[test]
    fn whenever_workers_end_every_word_is_typed_once_and_in_order(
        acts in prop::collection::vec(any_act(), 0..120)
    ) {
        let mut world = World::new();
        for act in acts {
            world.act(act);
        }
        world.settle();
        prop_assert_eq!(&world.window, &world.expected());
        prop_assert!(world.session.dictations.is_empty() && world.session.open.is_none());
    }
}
