//! A plan of faults: one a line, and a record of those that happened.
//!
//! ```text
//! FAULT [WHEN] [times N | always] [on gpu]
//! ```
//!
//! A fault is `abort`, `segv`, `kill`, `exit`, `hang` (the step never returns), `stop`
//! (SIGSTOP), `error "TEXT"` (and every later step fails too), `oom`, `lose` (the GPU
//! is gone from here on), `poison` (an abort whenever audio of that stretch is decoded)
//! or `slow N` (a step takes N times as long as its audio). When is `at load`, `at SECONDS` (of the dictation),
//! `at finish` (of an utterance) or `in FROM..TO` (while audio of that stretch is
//! decoded). Poison and slowness are there always, all else happens once where the
//! plan does not say how often.
//!
//! What happened is written down before it happens, in the file `fired` beside the
//! plan, line by line as the number of the plan's line: a fault that ended the process
//! that had it is not had again by the next.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use swictation_core::SamplePos;

/// What goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Deed {
    Abort,
    Segv,
    Kill,
    Exit,
    Hang,
    Stop,
    Error(String),
    Oom,
    Lose,
    Slow(f64),
}

/// When it goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum When {
    Load,
    At(SamplePos),
    Finish,
    In(Range<SamplePos>),
}

/// A line of the plan.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fault {
    line: usize,
    pub(crate) deed: Deed,
    pub(crate) when: When,
    /// How often; none is always.
    times: Option<usize>,
    on_gpu: bool,
}

/// Where in its life the worker is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Moment {
    Load,
    /// A step that has this audio to decode, all of it since the beginning.
    Step(Range<SamplePos>),
    Finish(Range<SamplePos>),
}

/// The plan that is followed, and the record of it. The files stay open, so that a
/// worker that was shut in reads them still.
pub(crate) struct Faults {
    plan: File,
    fired: File,
    on_gpu: bool,
    faults: Vec<Fault>,
}

impl Faults {
    /// The plan at `path`, for a worker on a GPU or not.
    pub(crate) fn open(path: &Path, on_gpu: bool) -> Self {
        let fired = path.with_file_name("fired");
        let fired = OpenOptions::new().create(true).append(true).read(true).open(fired);
        let plan = File::open(path).expect("the plan can be read");
        let mut faults = Self { plan, fired: fired.expect("a record"), on_gpu, faults: Vec::new() };
        faults.read();
        faults
    }

    /// Reads the plan again: each dictation may have one of its own.
    pub(crate) fn read(&mut self) {
        self.faults = parse(&text(&self.plan)).expect("the plan can be understood");
    }

    /// The slowness at a moment, a factor of the audio's length.
    pub(crate) fn slowness(&self, moment: &Moment) -> f64 {
        let due = self.faults.iter().filter(|fault| self.is_due(fault, moment));
        due.filter_map(|fault| if let Deed::Slow(factor) = fault.deed { Some(factor) } else { None })
            .fold(0.0, f64::max)
    }

    /// The next fault of a moment, which from now on has happened.
    pub(crate) fn due(&mut self, moment: &Moment) -> Option<Deed> {
        let record = text(&self.fired);
        let had = |line: usize| record.lines().filter(|fired| *fired == line.to_string()).count();
        let open = |fault: &&Fault| fault.times.is_none_or(|times| had(fault.line) < times);
        let due = |fault: &&Fault| !matches!(fault.deed, Deed::Slow(_)) && self.is_due(fault, moment);
        let fault = self.faults.iter().filter(due).find(open)?.clone();
        // One write, so that the record is whole whatever comes next.
        self.fired.write_all(format!("{}\n", fault.line).as_bytes()).expect("a record of it");
        Some(fault.deed)
    }

    fn is_due(&self, fault: &Fault, moment: &Moment) -> bool {
        let due = match (&fault.when, moment) {
            (When::Load, Moment::Load) | (When::Finish, Moment::Finish(_)) => true,
            (When::At(at), Moment::Step(audio) | Moment::Finish(audio)) => *at <= audio.end,
            (When::In(stretch), Moment::Step(audio) | Moment::Finish(audio)) => {
                audio.start < stretch.end && stretch.start < audio.end
            }
            _ => false,
        };
        due && (self.on_gpu || !fault.on_gpu)
    }
}

/// All of a file, from its beginning, wherever it was read to before.
pub(crate) fn text(file: &File) -> String {
    let mut bytes = vec![0; file.metadata().map_or(0, |about| about.len()) as usize];
    let mut got = 0;
    while let Ok(count @ 1..) = file.read_at(&mut bytes[got..], got as u64) {
        got += count;
    }
    bytes.truncate(got);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn parse(plan: &str) -> Result<Vec<Fault>, String> {
    let lines = plan.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            fault(number + 1, line).ok_or_else(|| format!("line {}: {line:?} is no fault", number + 1))
        })
        .collect()
}

fn fault(number: usize, line: &str) -> Option<Fault> {
    let (line, quoted) = match line.split_once('"') {
        Some((before, rest)) => {
            let (quoted, after) = rest.split_once('"')?;
            (format!("{before}{after}"), Some(quoted.to_owned()))
        }
        None => (line.to_owned(), None),
    };
    let words: Vec<&str> = line.split_whitespace().collect();
    let (name, mut rest) = words.split_first()?;
    let (deed, lasting) = match *name {
        "abort" => (Deed::Abort, false),
        "segv" => (Deed::Segv, false),
        "kill" => (Deed::Kill, false),
        "exit" => (Deed::Exit, false),
        "hang" => (Deed::Hang, false),
        "stop" => (Deed::Stop, false),
        "error" => (Deed::Error(quoted?), false),
        "oom" => (Deed::Oom, false),
        "lose" => (Deed::Lose, false),
        "poison" => (Deed::Abort, true),
        "slow" => {
            let (factor, behind) = rest.split_first()?;
            rest = behind;
            (Deed::Slow(factor.parse().ok()?), true)
        }
        _ => return None,
    };
    let when = When::In(SamplePos(0)..SamplePos(u64::MAX));
    let mut fault = Fault { line: number, deed, when, times: (!lasting).then_some(1), on_gpu: false };
    while !rest.is_empty() {
        rest = match rest {
            ["always", rest @ ..] => {
                fault.times = None;
                rest
            }
            ["times", count, rest @ ..] => {
                fault.times = Some(count.parse().ok()?);
                rest
            }
            ["on", "gpu", rest @ ..] => {
                fault.on_gpu = true;
                rest
            }
            ["at", "load", rest @ ..] => {
                fault.when = When::Load;
                rest
            }
            ["at", "finish", rest @ ..] => {
                fault.when = When::Finish;
                rest
            }
            ["at", seconds, rest @ ..] => {
                fault.when = When::At(SamplePos::from_seconds(seconds.parse().ok()?));
                rest
            }
            ["in", stretch, rest @ ..] => {
                let (from, to) = stretch.split_once("..")?;
                let position = |seconds: &str| seconds.parse().ok().map(SamplePos::from_seconds);
                fault.when = When::In(position(from)?..position(to)?);
                rest
            }
            _ => return None,
        }
    }
    Some(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(from: f64, to: f64) -> Range<SamplePos> {
        SamplePos::from_seconds(from)..SamplePos::from_seconds(to)
    }

    #[test]
    fn a_plan_says_what_happens_when_and_how_often() {
        let read = |line: &str| parse(line).map(|faults| faults[0].clone());
        let fault = |deed, when, times, on_gpu| Ok(Fault { line: 1, deed, when, times, on_gpu });
        let at = |at: f64| When::At(SamplePos::from_seconds(at));
        assert_eq!(read("abort at 3.2"), fault(Deed::Abort, at(3.2), Some(1), false));
        assert_eq!(read("kill at finish times 3"), fault(Deed::Kill, When::Finish, Some(3), false));
        assert_eq!(read("oom at load always on gpu"), fault(Deed::Oom, When::Load, None, true));
        let error = Deed::Error("CUDA failure 700: at 3".into());
        assert_eq!(read("error \"CUDA failure 700: at 3\" at 2"), fault(error, at(2.0), Some(1), false));
        assert_eq!(read("poison in 7..8.5"), fault(Deed::Abort, When::In(seconds(7.0, 8.5)), None, false));
        assert_eq!(read("slow 2 in 1..2"), fault(Deed::Slow(2.0), When::In(seconds(1.0, 2.0)), None, false));
    }

    #[test]
    fn what_is_no_fault_is_named_and_not_passed_over() {
        for line in
            ["abrot at 1", "abort at", "abort 3", "error at 2", "slow at 3", "poison in 7", "hang on tpu"]
        {
            assert!(parse(line).unwrap_err().contains(line), "{line}");
        }
        assert_eq!(parse("\n  \n"), Ok(Vec::new()));
    }
}
