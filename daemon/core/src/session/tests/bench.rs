//! The bench on which a session runs: it reads operations, plays everybody around the
//! session, and verifies the invariants after each.

use super::*;

pub(super) struct Bench {
    pub(super) session: Session,
    pub(super) now: Now,
    /// What the worker knows: dictation, utterance, committed words in it.
    pub(super) told: Option<(DictationId, UtteranceId, u32)>,
    sent: SamplePos,
    /// Edits that wait for an answer, each with its text, and scratches, without one.
    pub(super) typing: Vec<(u64, String)>,
    /// Which scratches these are, and from which edit on.
    scratches: Vec<(u64, u64)>,
    /// An edit failed: the typist refuses the others until it is told to go on.
    halted: bool,
    /// Dictations that were cancelled, and whether their text is to be erased.
    pub(super) took_back: Vec<bool>,
    /// Where what can be taken back began or ended, each with the edits on their way.
    pub(super) watched: Vec<(bool, usize)>,
    /// A candidate's process runs.
    candidate: bool,
    /// Everything that was to be typed.
    pub(super) window: String,
    /// Everything that the typist said it typed and did not take back.
    pub(super) arrived: String,
    /// Which edits that is, and so many characters were there before.
    edits: Vec<(u64, usize)>,
    pub(super) capture: u32,
    pub(super) done: Vec<String>,
    /// What was recorded.
    pub(super) journal: Vec<Entry>,
}

pub(super) fn bench() -> Bench {
    let taste = Taste {
        stop_tail: Duration::from_millis(200),
        trailing_space: false,
        cancel_erases: true,
        focus: Focus::Follow,
        devices: vec!["cuda:0".into(), "cpu".into()],
        unload_after: None,
        smaller: None,
        impatient: false,
        rules: Arc::default(),
    };
    let mut bench = Bench {
        session: Session::new(taste),
        now: Now::default(),
        told: None,
        sent: SamplePos(0),
        typing: Vec::new(),
        scratches: Vec::new(),
        halted: false,
        took_back: Vec::new(),
        watched: Vec::new(),
        candidate: false,
        window: String::new(),
        arrived: String::new(),
        edits: Vec::new(),
        capture: 0,
        done: Vec::new(),
        journal: Vec::new(),
    };
    let mut out = Vec::new();
    bench.session.boot(&mut out);
    bench.perform(out, &mut String::new());
    bench
}

impl Bench {
    pub(super) fn perform(&mut self, effects: Vec<Effect>, text: &mut String) {
        for effect in effects {
            self.done.push(match effect {
                Effect::OpenMicrophone(n) => {
                    self.capture = n;
                    "open".into()
                }
                Effect::CloseMicrophone(_) => "close".into(),
                Effect::Spawn(device) => format!("spawn {device}"),
                Effect::Kill => {
                    self.told = None;
                    "kill".into()
                }
                Effect::SpawnCandidate(device) => {
                    self.candidate = true;
                    format!("try {device}")
                }
                Effect::KillCandidate => {
                    self.candidate = false;
                    "drop".into()
                }
                Effect::Adopt => {
                    assert!(self.candidate, "what takes over is there");
                    (self.candidate, self.told) = (false, None);
                    "adopt".into()
                }
                Effect::Reject(why) => {
                    assert!(!self.candidate, "what is refused is gone");
                    format!("reject {why}")
                }
                Effect::Send(ToWorker::Begin { dictation, at, checkpoint: Some(checkpoint), .. }) => {
                    let (utterance, frozen) = postcard::from_bytes(&checkpoint.state).unwrap();
                    self.told = Some((dictation, utterance, frozen));
                    self.sent = at;
                    assert_eq!((dictation, at), (checkpoint.dictation, checkpoint.at));
                    format!("resume {}", at.0 / 16)
                }
                Effect::Send(ToWorker::Begin { dictation, utterance, at, typed, checkpoint: None }) => {
                    self.told = Some((dictation, utterance, typed.len() as u32));
                    self.sent = at;
                    format!("begin {}{}", at.0 / 16, typed.concat())
                }
                Effect::Send(ToWorker::Audio { at, pcm }) => {
                    assert_eq!(at, self.sent, "audio follows audio");
                    self.sent = at + pcm.len() as u64;
                    format!("audio {}..{}", at.0 / 16, self.sent.0 / 16)
                }
                Effect::Send(ToWorker::Finish { at }) => format!("finish {}", at.0 / 16),
                Effect::Send(ToWorker::Forget) => {
                    self.told = None;
                    "forget".into()
                }
                Effect::Type(id, edit) => {
                    text.push_str(&edit.insert);
                    self.typing.push((id, edit.insert.clone()));
                    assert_eq!(edit.erase, 0, "a dictation only ever inserts");
                    format!("type {:?}", edit.insert)
                }
                Effect::Skipped(Skipped { from, to, .. }) => format!("skip {}..{}", from.0 / 16, to.0 / 16),
                Effect::Watch(dictating) => {
                    self.watched.push((dictating, self.typing.len()));
                    continue;
                }
                Effect::ResumeTyping => {
                    self.halted = false;
                    "resume".into()
                }
                Effect::TakeBack { from, erase, .. } => {
                    // The typist drops them and says that it is done with them.
                    self.typing.retain(|(id, _)| *id < from);
                    self.halted = false;
                    self.took_back.push(erase);
                    continue;
                }
                Effect::Scratch { id, from } => {
                    // The typist drops them and says that it is done with them.
                    let before = self.typing.len();
                    let scratches = |edit: u64| self.scratches.iter().any(|(scratch, _)| *scratch == edit);
                    self.typing.retain(|(edit, _)| *edit < from || scratches(*edit));
                    let dropped = before - self.typing.len();
                    self.typing.push((id, String::new()));
                    self.scratches.push((id, from));
                    format!("scratch and {dropped} on their way")
                }
                Effect::Done(_, end) => format!("done {}", end.0 / 16),
                Effect::Record(entry) => {
                    self.journal.push(entry);
                    continue;
                }
                Effect::MaySleep => "may sleep".into(),
                Effect::PrepareTypist
                | Effect::Decoded(..)
                | Effect::Replaced(_)
                | Effect::Committed(..)
                | Effect::Stepped(_)
                | Effect::Publish => continue,
            });
        }
    }

    pub(super) fn event(&mut self, event: Event) {
        let mut out = Vec::new();
        self.session.handle(event, self.now, &mut out);
        self.session.verify_invariants();
        let mut text = String::new();
        self.perform(out, &mut text);
        self.window.push_str(&text);
    }

    /// `words` before the bar are newly frozen, the others are the tail.
    pub(super) fn hypothesis(&mut self, ms: u64, words: &str, last: bool) {
        let Some((dictation, utterance, first)) = self.told else { return };
        let (frozen, tail) = words.split_once('|').unwrap_or(if last { (words, "") } else { ("", words) });
        let heard_to = SamplePos(samples_in_ms(ms)).min(self.sent);
        let word = |text: &str| Word {
            text: text.into(),
            glued: false,
            start: heard_to,
            end: heard_to,
            confidence: 1.0,
            tokens: vec![1],
        };
        let words: Vec<Word> = frozen.split_whitespace().chain(tail.split_whitespace()).map(word).collect();
        let frozen = frozen.split_whitespace().count() as u32;
        self.told = match last {
            true => Some((dictation, UtteranceId(utterance.0 + 1), 0)),
            false => Some((dictation, utterance, first + frozen)),
        };
        let message =
            Hypothesis { dictation, utterance, heard_to, first, words, frozen, last, step_us: 1000 };
        self.event(Event::Worker(FromWorker::Hypothesis(message)));
    }

    pub(super) fn apply(&mut self, op: &str) {
        let (verb, rest) = op.split_once(' ').unwrap_or((op, ""));
        let ms = || rest.split(' ').next().unwrap_or("").parse::<u64>().unwrap_or(0);
        let words = || rest.split_once(' ').map_or("", |(_, words)| words);
        match verb {
            "start" => self.event(Event::Command(Command::Start)),
            "stop" => self.event(Event::Command(Command::Stop)),
            "toggle" => self.event(Event::Command(Command::Toggle)),
            "cancel" => self.event(Event::Command(Command::Cancel)),
            "at" => self.event(calls::made(rest)),
            "away" => self.event(Event::Away(away::named(rest))),
            "mic" => {
                let pcm = vec![0.1; samples_in_ms(ms()) as usize];
                let block = Microphone::Block { pcm, captured: self.now, dropped: 0 };
                self.event(Event::Microphone(self.capture, block));
            }
            "gap" => {
                let dropped = samples_in_ms(ms());
                let block = Microphone::Block { pcm: vec![0.1; 16], captured: self.now, dropped };
                self.event(Event::Microphone(self.capture, block));
            }
            "lost" => self.event(Event::Microphone(self.capture, Microphone::Lost("unplugged".into()))),
            "ended" => self.event(Event::Microphone(self.capture, Microphone::Ended)),
            "ready" => {
                let info = match rest {
                    "" => EngineInfo { provider: "cpu".into(), ..engine() },
                    "other" => EngineInfo { model: "other".into(), ..engine() },
                    provider => EngineInfo { provider: provider.into(), ..engine() },
                };
                self.event(Event::Worker(FromWorker::Ready(info, 1000)));
            }
            "heard" => {
                let Some((dictation, ..)) = self.told else { return };
                let up_to = SamplePos(samples_in_ms(ms())).min(self.sent);
                let resume = SamplePos(samples_in_ms(words().parse().unwrap_or(0))).min(up_to);
                let message = FromWorker::Heard { dictation, up_to, speech: true, resume };
                self.event(Event::Worker(message));
            }
            "think" => self.hypothesis(ms(), words(), false),
            "last" => self.hypothesis(ms(), words(), true),
            "finished" => {
                let Some((dictation, ..)) = self.told else { return };
                self.event(Event::Worker(FromWorker::Finished { dictation }));
            }
            "crash" => {
                self.told = None;
                self.event(Event::WorkerGone(supervise::Ending::crashed("killed".into())));
            }
            "killed" => {
                self.told = None;
                self.event(Event::WorkerGone(supervise::Ending::killed("signal 9".into())));
            }
            "checkpoint" => {
                let Some((dictation, utterance, frozen)) = self.told else { return };
                let at = SamplePos(samples_in_ms(ms())).min(self.sent);
                let state = postcard::to_stdvec(&(utterance, frozen)).unwrap();
                let message = FromWorker::Checkpoint(Checkpoint { dictation, at, state });
                self.event(Event::Worker(message));
            }
            "fault" => {
                self.told = None;
                let kind = match rest {
                    "device" => FaultKind::Device,
                    "memory" => FaultKind::Memory,
                    "protocol" => FaultKind::Protocol,
                    _ => FaultKind::Model,
                };
                self.event(Event::WorkerGone(supervise::Ending::fault(kind, rest.into())));
            }
            "consider" => self.event(Event::Consider(vec!["cuda:0".into(), "cpu".into()])),
            "dismiss" => self.event(Event::Dismiss),
            "candidate" => self.candidate(rest),
            "english" => self.session.retaste(Taste { rules: text::english(), ..self.session.taste.clone() }),
            "stays" => {
                let Some((id, from)) = self.scratches.pop() else { return };
                self.typing.retain(|(edit, _)| *edit != id);
                self.answer_scratch(id, from, Err("the focus has moved"));
            }
            "typed" => self.answer(usize::MAX),
            "refused" => self.answer(ms() as usize),
            "elsewhere" if !self.typing.is_empty() => self.answer_from(0, true),
            "elsewhere" => {}
            "hold" | "release" => {
                let mut out = Vec::new();
                self.session.hold_typing(verb == "hold", self.now, &mut out);
                self.perform(out, &mut String::new());
            }
            "copy" => {
                let mut out = Vec::new();
                let text = self.session.text_to_copy(&mut out);
                self.session.text_was_copied(&text, &mut out);
                self.perform(out, &mut String::new());
                self.done.push(format!("copied {text:?}"));
            }
            "step" => {
                let step = Step { step: 0, tokens: vec![1], frames: vec![2] };
                self.event(Event::Worker(FromWorker::Step(step)));
            }
            _ => {
                let ms = verb.strip_prefix('+').and_then(|ms| ms.parse().ok());
                self.now =
                    self.now + Duration::from_millis(ms.unwrap_or_else(|| panic!("no operation {op:?}")));
                self.event(Event::Tick);
            }
        }
    }

    /// What is told of a candidate whose process runs.
    fn candidate(&mut self, news: &str) {
        if !self.candidate {
            return;
        }
        let gone =
            |fault| Event::CandidateGone(supervise::Ending { fault, killed: false, message: news.into() });
        let event = match news {
            "ready" => {
                let info = EngineInfo { model: "new".into(), provider: "cpu".into(), ..engine() };
                return self.event(Event::Candidate(FromWorker::Ready(info, 1000)));
            }
            "device" => gone(Some(FaultKind::Device)),
            "model" => gone(Some(FaultKind::Model)),
            _ => gone(None),
        };
        self.candidate = false;
        self.event(event);
    }

    /// The typist answers its oldest edit, of which so many characters arrived.
    pub(super) fn answer(&mut self, typed: usize) {
        if self.typing.is_empty() {
            return;
        }
        self.answer_from(typed, false);
    }

    /// The same where another window may have the focus.
    fn answer_from(&mut self, typed: usize, elsewhere: bool) {
        let (id, text) = self.typing.remove(0);
        if let Some(at) = self.scratches.iter().position(|(scratch, _)| *scratch == id) {
            let (_, from) = self.scratches.remove(at);
            return self.answer_scratch(id, from, Ok(()));
        }
        self.edits.push((id, self.arrived.chars().count()));
        let typed = if self.halted { 0 } else { typed.min(text.chars().count()) };
        self.arrived.extend(text.chars().take(typed));
        let result = match typed == text.chars().count() {
            true => Ok(()),
            false => Err(Untyped { typed, why: "no window".into(), elsewhere }),
        };
        self.halted |= result.is_err();
        self.event(Event::Typed(id, result));
    }

    /// The typist has taken back what the edits from this one on typed, or why not.
    fn answer_scratch(&mut self, id: u64, from: u64, result: Result<(), &str>) {
        if result.is_ok()
            && let Some((_, begin)) = self.edits.iter().find(|(edit, _)| *edit >= from)
        {
            self.arrived = self.arrived.chars().take(*begin).collect();
            self.edits.retain(|(edit, _)| *edit < from);
        }
        self.event(Event::Typed(
            id,
            result.map_err(|why| Untyped { typed: 0, why: why.into(), elsewhere: false }),
        ));
    }

    /// All that was typed, once the typist has answered everything.
    pub(super) fn typed_in_the_end(&mut self) -> &str {
        while !self.typing.is_empty() {
            self.answer(usize::MAX);
        }
        &self.arrived
    }
}

pub(super) fn engine() -> EngineInfo {
    EngineInfo {
        model: "toy".into(),
        family: "toy".into(),
        provider: "cpu".into(),
        precision: "fp32".into(),
        context_seconds: 20.0,
        chunk_ms: 500,
        latency_ms: None,
        wait_k: Some(1),
        unbounded: false,
        ..EngineInfo::default()
    }
}

/// Runs a program; what the session did in its last operation.
pub(super) fn run(program: &str) -> (Bench, String) {
    let mut bench = bench();
    for op in program.split(" · ") {
        bench.done.clear();
        bench.apply(op);
    }
    let done = bench.done.join(" · ");
    (bench, done)
}

#[track_caller]
pub(super) fn check(program: &str, expected: &str) -> Bench {
    let (bench, done) = run(program);
    assert_eq!(done, expected, "after {program}");
    bench
}
