//! The session's rules as sentences in a tiny language.
//!
//! A program is a line of operations joined by " · "; `run` gives back what the
//! session did, in the same style. The invariants are verified after each one.
//! The worker is honest here: it acknowledges what it was sent when it is told to.

mod journal;
mod recovery;
mod world;

use super::*;
use crate::hypothesis::{Hypothesis, UtteranceId, Word};
use crate::time::samples_in_ms;
use crate::wire::{Checkpoint, EngineInfo, FaultKind, FromWorker, Step, VERSION};
use crate::{SamplePos, supervise};
use proptest::prelude::*;

mod away;
mod calls;
mod text;
mod typing;

struct Bench {
    session: Session,
    now: Now,
    /// What the worker knows: dictation, utterance, committed words in it.
    told: Option<(DictationId, UtteranceId, u32)>,
    sent: SamplePos,
    /// Edits that wait for an answer, each with its text, and scratches, without one.
    typing: Vec<(u64, String)>,
    /// Which scratches these are, and from which edit on.
    scratches: Vec<(u64, u64)>,
    /// An edit failed: the typist refuses the others until it is told to go on.
    halted: bool,
    /// Dictations that were cancelled, and whether their text is to be erased.
    took_back: Vec<bool>,
    /// Where what can be taken back began or ended, each with the edits on their way.
    watched: Vec<(bool, usize)>,
    /// A candidate's process runs.
    candidate: bool,
    /// Everything that was to be typed.
    window: String,
    /// Everything that the typist said it typed and did not take back.
    arrived: String,
    /// Which edits that is, and so many characters were there before.
    edits: Vec<(u64, usize)>,
    capture: u32,
    done: Vec<String>,
    /// What was recorded.
    journal: Vec<Entry>,
}

fn bench() -> Bench {
    let taste = Taste {
        stop_tail: Duration::from_millis(200),
        trailing_space: false,
        cancel_erases: true,
        stops_elsewhere: false,
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
    fn perform(&mut self, effects: Vec<Effect>, text: &mut String) {
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
                Effect::TakeBack { from, erase } => {
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

    fn event(&mut self, event: Event) {
        let mut out = Vec::new();
        self.session.handle(event, self.now, &mut out);
        self.session.verify_invariants();
        let mut text = String::new();
        self.perform(out, &mut text);
        self.window.push_str(&text);
    }

    /// `words` before the bar are newly frozen, the others are the tail.
    fn hypothesis(&mut self, ms: u64, words: &str, last: bool) {
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

    fn apply(&mut self, op: &str) {
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
    fn answer(&mut self, typed: usize) {
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
    fn typed_in_the_end(&mut self) -> &str {
        while !self.typing.is_empty() {
            self.answer(usize::MAX);
        }
        &self.arrived
    }
}

fn engine() -> EngineInfo {
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
fn run(program: &str) -> (Bench, String) {
    let mut bench = bench();
    for op in program.split(" · ") {
        bench.done.clear();
        bench.apply(op);
    }
    let done = bench.done.join(" · ");
    (bench, done)
}

#[track_caller]
fn check(program: &str, expected: &str) -> Bench {
    let (bench, done) = run(program);
    assert_eq!(done, expected, "after {program}");
    bench
}

#[test]
fn start_opens_the_microphone_and_listening_begins_with_the_first_sample() {
    let bench = check("ready · start", "open · begin 0");
    assert_eq!(bench.session.state(), Published::Starting);
    let bench = check("ready · start · mic 100", "audio 0..100");
    assert_eq!(bench.session.state(), Published::Listening);
}

#[test]
fn words_are_typed_once_they_are_frozen_and_never_before() {
    check("ready · start · mic 1000 · think 500 hello", "");
    check("ready · start · mic 1000 · think 500 hello · think 1000 hello|world", "type \"hello\"");
    check("ready · start · mic 900 · think 500 a|b · think 900 b|c", "type \" b\"");
}

#[test]
fn stop_keeps_the_microphone_open_for_the_last_word_and_then_decodes_everything() {
    check("ready · start · mic 500 · stop", "");
    check("ready · start · mic 500 · stop · +199", "");
    check("ready · start · mic 500 · stop · +200", "close");
    check("ready · start · mic 500 · stop · mic 200 · +200 · ended", "finish 700");
    let bench =
        check("ready · start · mic 500 · stop · +200 · ended · last 500 the end · finished", "done 500");
    assert_eq!((bench.window.as_str(), bench.session.state()), ("the end", Published::Idle));
}

#[test]
fn every_verb_is_harmless_when_it_is_already_so() {
    check("ready · stop", "");
    check("ready · cancel", "");
    check("ready · start · start", "");
    check("ready · start · mic 10 · stop · stop", "");
}

#[test]
fn toggle_starts_and_stops_and_starts_again_while_the_last_words_are_decoded() {
    let bench = check("ready · toggle · mic 500 · toggle · toggle", "close · open");
    assert_eq!(bench.session.state(), Published::Starting);
    let mut bench = bench;
    // The first capture ends, its audio is decoded to the end, then the second's.
    bench.capture = 1;
    bench.apply("ended");
    bench.capture = 2;
    bench.apply("mic 300");
    bench.apply("last 500 one");
    bench.done.clear();
    bench.apply("finished");
    assert_eq!(bench.done.join(" · "), "done 500 · begin 0 · audio 0..300");
}

#[test]
fn the_microphone_does_not_wait_for_the_engine_and_no_word_is_lost_meanwhile() {
    check("start · mic 400 · mic 300", "");
    check("start · mic 400 · mic 300 · ready", "begin 0 · audio 0..500 · audio 500..700");
    check("start · mic 400 · stop · +200 · ended · ready", "begin 0 · audio 0..400 · finish 400");
}

#[test]
fn no_more_than_two_seconds_are_in_flight() {
    let five = "ready · start · mic 5000";
    check(five, "audio 0..500 · audio 500..1000 · audio 1000..1500 · audio 1500..2000");
    check(&format!("{five} · heard 600"), "audio 2000..2500 · audio 2500..3000");
}

#[test]
fn a_new_worker_gets_the_utterance_again_with_what_was_typed_and_types_nothing_twice() {
    let talk = "ready · start · mic 2000 · heard 2000 · think 1500 one two|three · crash";
    check(talk, "spawn cuda:0");
    check(
        &format!("{talk} · ready"),
        "begin 0 one two · audio 0..500 · audio 500..1000 · audio 1000..1500 · audio 1500..2000",
    );
    let bench = check(&format!("{talk} · ready · think 2000 three|four"), "type \" three\"");
    assert_eq!(bench.window, "one two three");
}

#[test]
fn a_new_utterance_begins_where_the_last_one_ended() {
    let talk = "ready · start · mic 2000 · last 1500 one two · crash · ready";
    check(talk, "begin 1500 · audio 1500..2000");
}

#[test]
fn a_stream_without_utterances_goes_on_after_the_words_that_are_settled() {
    let talk = "ready · start · mic 2000 · think 500 one|two · think 1000 two|three · heard 1500 800";
    let bench = check(&format!("{talk} · think 1500 three|four"), "type \" three\"");
    assert_eq!(bench.window, "one two three");
    check(
        &format!("{talk} · crash · ready"),
        "begin 800 two · audio 800..1300 · audio 1300..1800 · audio 1800..2000",
    );
    let bench = check(&format!("{talk} · crash · ready · think 1800 three|four"), "type \" three\"");
    assert_eq!(bench.window, "one two three");
}

#[test]
fn a_gap_in_the_audio_is_a_gap_in_time() {
    check("ready · start · mic 100 · gap 50", "audio 100..151");
}

#[test]
fn a_device_that_refuses_is_followed_by_the_next_and_then_by_an_explanation() {
    check("fault device", "spawn cpu");
    let bench = check("fault device · fault device", "kill");
    assert!(bench.session.trouble().contains("no device works"), "{}", bench.session.trouble());
    check("fault device · fault device · start", "open · spawn cuda:0");
}

#[test]
fn without_an_engine_a_stopped_dictation_ends_and_says_why() {
    let bench = check("fault model · start · fault model · mic 100 · stop · +200 · ended", "done 100");
    assert_eq!((bench.session.state(), bench.session.trouble()), (Published::Idle, "model".to_owned()));
}

#[test]
fn text_that_could_not_be_typed_is_kept_and_goes_before_the_next() {
    let talk = "ready · start · mic 2000 · think 500 one|two · refused";
    let bench = check(talk, "");
    assert!(bench.session.trouble().contains("no window"));
    check(&format!("{talk} · think 1000 two|three"), "resume · type \"one two\"");
    let bench = check(&format!("{talk} · think 1000 two|three · typed"), "");
    assert_eq!(bench.session.trouble(), "");
}

#[test]
fn cancel_closes_the_microphone_and_later_words_of_that_dictation_are_dropped() {
    check("ready · start · mic 500 · cancel", "close · forget");
    let (mut bench, _) = run("ready · start · mic 500");
    let stale = bench.told;
    bench.apply("cancel");
    bench.told = stale;
    bench.done.clear();
    bench.apply("last 500 too late");
    assert!(bench.done.is_empty(), "{:?}", bench.done);
}

#[test]
fn a_worker_that_breaks_the_protocol_is_replaced() {
    let (mut talking, _) = run("ready · start · mic 500");
    let dictation = talking.told.map(|t| t.0).unwrap();
    talking.done.clear();
    let up_to = SamplePos(999_999);
    talking.event(Event::Worker(FromWorker::Heard { dictation, up_to, speech: false, resume: up_to }));
    assert_eq!(talking.done.join(" · "), "kill · spawn cuda:0");
    let mut bench = bench();
    bench.done.clear();
    bench.event(Event::Worker(FromWorker::Hello { version: VERSION + 1 }));
    assert!(bench.session.trouble().contains("install both"), "{}", bench.session.trouble());
}

#[test]
fn a_lost_microphone_is_told_until_audio_comes_again() {
    let bench = check("ready · start · mic 100 · lost", "");
    assert_eq!(bench.session.trouble(), "unplugged");
    let bench = check("ready · start · mic 100 · lost · mic 100", "audio 100..200");
    assert_eq!(bench.session.trouble(), "");
}

#[test]
fn sound_that_was_lost_is_said_until_the_next_dictation() {
    let away = "ready · start · mic 100 · lost · gap 2300";
    let bench = check(away, "audio 100..600 · audio 600..1100 · audio 1100..1600 · audio 1600..2100");
    assert!(bench.session.trouble().starts_with("2.3 s of sound were lost"), "{}", bench.session.trouble());
    let bench = run(&format!("{away} · mic 500 · mic 500")).0;
    assert!(bench.session.trouble().starts_with("2.3 s of sound were lost"), "{}", bench.session.trouble());
    assert_eq!(run(&format!("{away} · toggle · toggle")).0.session.trouble(), "");
    assert_eq!(run("ready · start · mic 100 · gap 20 · gap 30").0.session.trouble(), "");
}

#[test]
fn an_idle_session_has_no_deadline() {
    assert_eq!(run("ready").0.session.deadline(), None);
    assert_eq!(run("ready · start · mic 100 · heard 100").0.session.deadline(), None);
    assert!(run("ready · start · mic 100 · heard 100 · stop").0.session.deadline().is_some());
}

/// Names the model that dictates.
fn model(bench: &Bench) -> &str {
    match bench.session.engine() {
        Engine::Ready(info) => &info.model,
        _ => "none",
    }
}

#[test]
fn a_candidate_that_is_ready_takes_over_at_once_while_nobody_dictates() {
    check("ready · consider", "try cuda:0");
    let bench = check("ready · consider · candidate ready", "adopt");
    assert_eq!(model(&bench), "new");
    check("ready · consider · candidate ready · start · mic 100", "audio 0..100");
}

#[test]
fn a_candidate_that_is_ready_while_somebody_dictates_waits_and_the_old_model_types_every_word() {
    let talk = "ready · start · mic 1000 · consider · candidate ready";
    let bench = check(talk, "");
    assert_eq!(model(&bench), "toy");
    check(&format!("{talk} · think 900 a|b"), "type \"a\"");
    let end = format!("{talk} · stop · +200 · ended · last 1000 a b · finished");
    let bench = check(&end, "done 1000 · adopt");
    assert_eq!((bench.window.as_str(), model(&bench)), ("a b", "new"));
}

#[test]
fn a_candidate_takes_over_between_two_dictations_and_hears_the_second_from_its_beginning() {
    let talk = "ready · toggle · mic 500 · consider · candidate ready · toggle · toggle";
    let (mut bench, _) = run(talk);
    for (capture, op) in [(1, "ended"), (2, "mic 300"), (2, "last 500 one")] {
        bench.capture = capture;
        bench.apply(op);
    }
    bench.done.clear();
    bench.apply("finished");
    assert_eq!(bench.done.join(" · "), "done 500 · adopt · begin 0 · audio 0..300");
}

#[test]
fn a_candidate_that_fails_changes_nothing_and_says_why() {
    for (end, why) in
        [("model", "model"), ("killed", "killed while the model was loaded or waited to be used")]
    {
        let talk = "ready · start · mic 500 · consider";
        let bench = check(&format!("{talk} · candidate {end}"), &format!("drop · reject {why}"));
        assert_eq!((model(&bench), bench.session.trouble().as_str()), ("toy", ""));
        check(&format!("{talk} · candidate {end} · mic 100"), "audio 500..600");
    }
}

#[test]
fn a_candidate_that_dies_after_it_was_ready_and_before_it_took_over_is_refused() {
    let bench =
        check("ready · start · mic 9 · consider · candidate ready · candidate killed · mic 9", "audio 9..18");
    assert_eq!(model(&bench), "toy");
}

#[test]
fn a_candidate_that_hangs_is_given_up() {
    check("ready · consider · +299999", "");
    check("ready · consider · +300000", "drop · reject the model is not ready after 300 s");
    check("ready · start · mic 100 · heard 100 · consider · candidate ready · +300000", "");
}

#[test]
fn a_candidate_goes_down_its_own_ladder_of_devices() {
    check("ready · consider · candidate device", "try cpu");
    check(
        "ready · consider · candidate device · candidate device",
        "drop · reject no device works; the last error was: device",
    );
}

#[test]
fn the_old_worker_that_dies_while_the_candidate_loads_comes_back_or_is_replaced() {
    let talk = "ready · start · mic 1000 · think 500 one|two · consider";
    check(&format!("{talk} · crash"), "spawn cuda:0");
    check(&format!("{talk} · crash · ready"), "begin 0 one · audio 0..500 · audio 500..1000");
    check(
        &format!("{talk} · crash · candidate ready"),
        "adopt · begin 0 one · audio 0..500 · audio 500..1000",
    );
    check(
        &format!("{talk} · candidate ready · crash"),
        "spawn cuda:0 · adopt · begin 0 one · audio 0..500 · audio 500..1000",
    );
    let bench = check(&format!("{talk} · crash · candidate ready · think 1000 two|"), "type \" two\"");
    assert_eq!((bench.window.as_str(), model(&bench)), ("one two", "new"));
}

#[test]
fn without_an_engine_the_microphone_waits_for_the_candidate_and_no_word_is_lost() {
    let talk = "fault model · consider · start · mic 400 · stop · +200 · ended";
    check(talk, "");
    check(&format!("{talk} · candidate ready"), "adopt · begin 0 · audio 0..400 · finish 400");
    check(&format!("{talk} · candidate model"), "drop · reject model · done 400");
}

#[test]
fn stop_toggle_and_cancel_mean_the_same_while_a_candidate_loads() {
    check("ready · consider · toggle", "open · begin 0");
    check("ready · start · mic 500 · consider · cancel", "close · forget");
    check("ready · start · mic 500 · consider · candidate ready · cancel", "close · forget · adopt");
    check("ready · start · mic 500 · consider · candidate ready · stop · +200 · ended", "finish 500");
}

#[test]
fn the_last_wish_counts() {
    check("ready · consider · consider", "drop · try cuda:0");
    check("ready · start · mic 9 · consider · candidate ready · consider", "drop · try cuda:0");
    let bench = check("ready · consider · dismiss", "drop");
    assert_eq!(model(&bench), "toy");
    check("ready · dismiss", "");
}

/// An engine on the graphics card that the candidate wants, too.
const ON_GPU: &str = "ready cuda:0 · consider";

#[test]
fn where_a_card_has_no_room_for_two_models_the_old_one_ends_first_and_comes_back_when_the_new_one_fails() {
    let crowded = format!("{ON_GPU} · candidate device");
    let bench = check(&crowded, "kill · try cuda:0");
    assert!(bench.session.trouble().contains("no room for two models"), "{}", bench.session.trouble());
    let bench = check(&format!("{crowded} · candidate ready"), "adopt");
    assert_eq!((model(&bench), bench.session.trouble().as_str()), ("new", ""));
    let bench = check(&format!("{crowded} · candidate model"), "drop · spawn cuda:0 · reject model");
    assert_eq!(bench.session.trouble(), "");
    check(&format!("{crowded} · candidate device"), "try cpu");
    check(&format!("{crowded} · start · mic 100 · candidate ready"), "adopt · begin 0 · audio 0..100");
}

#[test]
fn the_old_model_ends_for_the_new_one_only_when_nobody_dictates() {
    let talk = "ready cuda:0 · start · mic 500 · consider · candidate device";
    check(talk, "");
    check(&format!("{talk} · stop · +200 · ended · last 500 a · finished"), "done 500 · kill · try cuda:0");
    check(&format!("{talk} · crash"), "spawn cuda:0 · kill · try cuda:0");
}

#[test]
fn a_model_that_is_slower_than_speech_is_used_and_the_trouble_says_so() {
    let mut bench = bench();
    bench.event(Event::Worker(FromWorker::Ready(engine(), 500_001)));
    assert!(
        bench.session.trouble().starts_with("toy needs 500 ms for 500 ms of audio on cpu"),
        "{}",
        bench.session.trouble()
    );
    bench.event(Event::Worker(FromWorker::Ready(engine(), 500_000)));
    assert_eq!(bench.session.trouble(), "");
}

fn any_op() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("start"),
        Just("stop"),
        Just("toggle"),
        Just("cancel"),
        Just("at 5 start"),
        Just("at 4 stop"),
        Just("at 6 toggle"),
        Just("at 3 cancel"),
        Just("away sleep"),
        Just("away wake"),
        Just("away locking"),
        Just("away lock"),
        Just("away unlock"),
        Just("mic 130"),
        Just("mic 700"),
        Just("gap 40"),
        Just("lost"),
        Just("ended"),
        Just("ready"),
        Just("heard 300"),
        Just("heard 99999"),
        Just("think 500 a|b"),
        Just("think 900 |c d"),
        Just("last 99999 e f"),
        Just("finished"),
        Just("crash"),
        Just("killed"),
        Just("checkpoint 300"),
        Just("checkpoint 99999"),
        Just("fault device"),
        Just("fault memory"),
        Just("typed"),
        Just("refused"),
        Just("refused 2"),
        Just("elsewhere"),
        Just("hold"),
        Just("release"),
        Just("copy"),
        Just("english"),
        Just("think 900 new line|new"),
        Just("think 900 scratch that|"),
        Just("last 99999 so stop dictation"),
        Just("stays"),
        Just("step"),
        Just("ready cuda:0"),
        Just("consider"),
        Just("dismiss"),
        Just("candidate ready"),
        Just("candidate device"),
        Just("candidate model"),
        Just("candidate killed"),
        Just("+100"),
        Just("+700"),
        Just("+300000"),
    ]
    .prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn whatever_happens_in_whatever_order_the_invariants_hold(ops in prop::collection::vec(any_op(), 0..60)) {
        let mut bench = bench();
        for op in &ops {
            bench.apply(op);
        }
        // After the end of everything the session is idle and asks for nothing.
        for op in ["away wake", "away unlock", "cancel", "+2000", "+2000"] {
            bench.apply(op);
        }
        prop_assert_eq!(bench.session.state(), Published::Idle);
    }
}
