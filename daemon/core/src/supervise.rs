//! Which device the next worker is started on, after how long, or not at all.
//!
//! A worker tries exactly one device and then lives or dies; falling back is a
//! new worker. A device that refuses at once makes room for the next one, and so does
//! one on which workers keep dying without having got anywhere; where there is no next
//! one, it is the audio that is at fault, and it is skipped. A worker that somebody
//! else killed says nothing about its device. What a person has to mend (a broken
//! model, a missing runtime, a wrong setting) is not retried. A device that worked once,
//! or that only had no room, is tried again when nobody dictates.

use crate::Now;
use crate::wire::FaultKind;
use std::fmt;
use std::time::Duration;

/// Deaths in a row, without progress between them, that a device is given.
const PATIENCE: u32 = 3;

/// Starts in vain on all devices before a person is asked to act: with pauses that
/// double up to [`LONGEST_PAUSE`] that is about six minutes.
const ROUNDS: u32 = 10;

/// The first pause before a start that is likely to be in vain.
const PAUSE: Duration = Duration::from_millis(500);

/// The longest of those pauses.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A worker that others keep killing is not kept waiting for longer: they may stop.
const LONGEST_KILLED_PAUSE: Duration = Duration::from_secs(8);

/// How long a better device is left alone after it failed; doubles with each try.
const RETURN: Duration = Duration::from_secs(60);

/// The longest of those pauses: one start in an hour costs nothing.
const LONGEST_RETURN: Duration = Duration::from_secs(3600);

/// How a worker ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// What the worker said before it ended, if it did.
    pub fault: Option<FaultKind>,
    /// Somebody else ended it: the kernel for want of memory, or a person.
    pub killed: bool,
    /// What happened, for a person.
    pub message: String,
}

impl Ending {
    /// An end without a word.
    pub fn crashed(message: String) -> Self {
        Self { fault: None, killed: false, message }
    }

    /// An end by somebody else's hand.
    pub fn killed(message: String) -> Self {
        Self { fault: None, killed: true, message }
    }

    /// An end that the worker explained.
    pub fn fault(kind: FaultKind, message: String) -> Self {
        Self { fault: Some(kind), killed: false, message }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// What the worker was doing when it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// It was not ready yet.
    Loading,
    /// It had nothing to do.
    Resting,
    /// It owed an answer for audio.
    Decoding,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Start a worker on [`Ladder::device`] at once.
    Spawn,
    /// Start one then.
    Wait(Now),
    /// Start one at once, without the audio that no device gets over.
    Skip,
    /// Do not try again until a person asks; the reason.
    GiveUp(String),
}

/// The devices and how far down the ladder the workers have come.
#[derive(Clone, Debug)]
pub struct Ladder {
    devices: Vec<String>,
    at: usize,
    /// Which devices have worked since the daemon started, or could with more room.
    hopeful: Vec<bool>,
    deaths: u32,
    kills: u32,
    rounds: u32,
    /// Rounds after which nobody waits any more.
    longest: u32,
    /// When a better device is tried again, and how long the pause before that was.
    back: Option<(Now, Duration)>,
}

impl Ladder {
    /// A ladder of at least one device, best first.
    pub fn new(devices: Vec<String>) -> Self {
        let devices = if devices.is_empty() { vec!["cpu".to_owned()] } else { devices };
        let hopeful = vec![false; devices.len()];
        Self { devices, at: 0, hopeful, deaths: 0, kills: 0, rounds: 0, longest: ROUNDS, back: None }
    }

    /// One that gives up when every device has failed once: whoever asks waits for an end.
    pub fn impatient(self) -> Self {
        Self { longest: 0, ..self }
    }

    /// The device of the next worker.
    pub fn device(&self) -> &str {
        &self.devices[self.at]
    }

    /// No device is left to fall to.
    pub fn is_last(&self) -> bool {
        self.at + 1 == self.devices.len()
    }

    /// Back to the first device, because a person asks again.
    pub fn reset(&mut self) {
        self.at = 0;
        self.back = None;
        self.progress();
    }

    /// The current device works, or may another time.
    pub fn hope(&mut self) {
        self.hopeful[self.at] = true;
    }

    /// A worker has acknowledged audio that none had before: earlier ends no longer
    /// count.
    pub fn progress(&mut self) {
        (self.deaths, self.kills, self.rounds) = (0, 0, 0);
    }

    /// Ends since the last progress that are not somebody else's doing.
    pub fn deaths(&self) -> u32 {
        self.deaths
    }

    /// A worker has ended.
    pub fn ended(&mut self, ending: &Ending, doing: Doing, now: Now) -> Next {
        if ending.killed {
            self.kills += 1;
            // The first two are replaced at once: a person waits for the text.
            let pause = PAUSE * self.kills.saturating_sub(3).min(8).pow(2);
            return match self.kills {
                ..3 => Next::Spawn,
                _ => Next::Wait(now + (PAUSE + pause).min(LONGEST_KILLED_PAUSE)),
            };
        }
        match ending.fault {
            Some(FaultKind::Model | FaultKind::Runtime) => Next::GiveUp(ending.message.clone()),
            Some(FaultKind::Device) if doing == Doing::Loading => self.down(ending, doing, now),
            Some(FaultKind::Memory) if doing == Doing::Loading => {
                self.hope();
                self.down(ending, doing, now)
            }
            // A context that broke in mid-run breaks nothing in a fresh process, and one that
            // writes nonsense has lost its memory.
            _ => {
                self.deaths += 1;
                match self.deaths {
                    1 => Next::Spawn,
                    n if n < PATIENCE => Next::Wait(now + PAUSE * n),
                    _ => self.down(ending, doing, now),
                }
            }
        }
    }

    /// Whether a device above the current one failed that may work again.
    pub fn fell(&self) -> bool {
        self.hopeful[..self.at].contains(&true)
    }

    /// The devices that are worth another try, and when; only while [`Ladder::fell`].
    pub fn better(&self) -> Option<(Now, Vec<String>)> {
        let (at, _) = self.back?;
        self.fell().then(|| {
            let hopeful = self.devices[..self.at].iter().zip(&self.hopeful);
            (at, hopeful.filter(|(_, hopeful)| **hopeful).map(|(device, _)| device.clone()).collect())
        })
    }

    /// The better devices failed once more, or there was no time for them.
    pub fn put_off(&mut self, now: Now) {
        let pause = self.back.map_or(RETURN, |(_, pause)| (pause * 2).min(LONGEST_RETURN));
        self.back = Some((now + pause, pause));
    }

    /// A worker took over on a better device.
    pub fn climbed(&mut self, device: &str) {
        if let Some(at) = self.devices.iter().position(|one| one == device) {
            self.at = at;
        }
        // The pause is kept: a device that fails again at once is left alone for longer.
        self.progress();
        self.hope();
    }

    fn down(&mut self, ending: &Ending, doing: Doing, now: Now) -> Next {
        self.deaths = 0;
        if !self.is_last() {
            self.at += 1;
            self.put_off(now);
            return Next::Spawn;
        }
        if doing == Doing::Decoding {
            return Next::Skip;
        }
        self.rounds += 1;
        // What never worked, and says so, does not get better by waiting.
        let hopeless = ending.fault == Some(FaultKind::Device) && !self.hopeful.contains(&true);
        if hopeless || self.rounds > self.longest {
            return Next::GiveUp(format!("no device works; the last error was: {}", ending.message));
        }
        self.at = 0;
        Next::Wait(now + (PAUSE * 2_u32.pow(self.rounds)).min(LONGEST_PAUSE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Doing::{Decoding, Loading, Resting};

    fn fault(kind: FaultKind) -> Ending {
        Ending::fault(kind, "it broke".into())
    }

    fn crash() -> Ending {
        Ending::crashed("was killed by signal 11".into())
    }

    fn ladder() -> Ladder {
        Ladder::new(vec!["cuda:0".into(), "cpu".into()])
    }

    const NOW: Now = Now(Duration::ZERO);

    #[test]
    fn a_device_that_refuses_makes_room_for_the_next_one() {
        let mut ladder = ladder();
        assert_eq!(ladder.ended(&fault(FaultKind::Device), Loading, NOW), Next::Spawn);
        assert_eq!((ladder.device(), ladder.better()), ("cpu", None));
        let Next::GiveUp(why) = ladder.ended(&fault(FaultKind::Device), Loading, NOW) else { panic!() };
        assert!(why.contains("it broke"), "{why}");
    }

    #[test]
    fn what_a_person_has_to_mend_is_not_retried() {
        for kind in [FaultKind::Model, FaultKind::Runtime] {
            assert!(matches!(ladder().ended(&fault(kind), Loading, NOW), Next::GiveUp(_)));
        }
    }

    #[test]
    fn deaths_without_progress_go_down_the_ladder_and_progress_forgives_them() {
        let mut steady = ladder();
        for _ in 0..10 {
            assert_eq!(steady.ended(&crash(), Decoding, NOW), Next::Spawn);
            steady.progress();
        }
        assert_eq!(steady.device(), "cuda:0");
        let mut dying = ladder();
        assert_eq!(dying.ended(&crash(), Decoding, NOW), Next::Spawn);
        assert!(matches!(dying.ended(&crash(), Decoding, NOW), Next::Wait(_)));
        assert_eq!(dying.ended(&crash(), Decoding, NOW), Next::Spawn);
        assert_eq!(dying.device(), "cpu");
    }

    #[test]
    fn a_device_that_fails_in_mid_run_gets_a_fresh_process_first() {
        let mut ladder = ladder();
        ladder.hope();
        assert_eq!(ladder.ended(&fault(FaultKind::Device), Decoding, NOW), Next::Spawn);
        assert_eq!(ladder.device(), "cuda:0");
    }

    #[test]
    fn audio_that_kills_on_every_device_is_skipped_and_nothing_else_is() {
        let mut ladder = ladder();
        let ends: Vec<Next> = (0..6).map(|_| ladder.ended(&crash(), Decoding, NOW)).collect();
        assert_eq!(ends.iter().filter(|next| **next == Next::Skip).count(), 1);
        assert_eq!(ends[5], Next::Skip);
        let mut ladder = Ladder::new(vec!["cpu".into()]);
        for _ in 0..2 * PATIENCE {
            assert_ne!(ladder.ended(&crash(), Loading, NOW), Next::Skip);
        }
    }

    #[test]
    fn a_worker_that_others_kill_is_replaced_for_ever_on_the_same_device() {
        let mut ladder = ladder();
        let mut longest = Duration::ZERO;
        for n in 0..100 {
            match ladder.ended(&Ending::killed("was killed by signal 9".into()), Decoding, NOW) {
                Next::Spawn => assert!(n < 2),
                Next::Wait(at) => longest = longest.max(at - NOW),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((ladder.device(), longest), ("cuda:0", LONGEST_KILLED_PAUSE));
    }

    #[test]
    fn a_device_that_worked_or_had_no_room_is_tried_again_with_growing_pauses() {
        for kind in [FaultKind::Memory, FaultKind::Device] {
            let mut ladder = ladder();
            if kind == FaultKind::Device {
                ladder.hope();
            }
            assert_eq!(ladder.ended(&fault(kind), Loading, NOW), Next::Spawn);
            let (mut at, devices) = ladder.better().unwrap();
            assert_eq!((at, devices), (NOW + RETURN, vec!["cuda:0".to_owned()]));
            for _ in 0..9 {
                ladder.put_off(at);
                let (next, _) = ladder.better().unwrap();
                assert!(next - at <= LONGEST_RETURN);
                at = next;
            }
            ladder.climbed("cuda:0");
            assert_eq!((ladder.device(), ladder.better()), ("cuda:0", None));
        }
    }

    #[test]
    fn where_nothing_loads_starts_become_rarer_and_end_with_an_explanation() {
        let mut ladder = Ladder::new(vec!["cpu".into()]);
        let (mut now, mut starts) = (NOW, 0);
        let why = loop {
            match ladder.ended(&crash(), Loading, now) {
                Next::Spawn => starts += 1,
                Next::Wait(at) => (now, starts) = (at, starts + 1),
                Next::GiveUp(why) => break why,
                Next::Skip => panic!("nothing was decoded"),
            }
        };
        assert!(why.contains("signal 11"), "{why}");
        assert!((10..60).contains(&starts), "{starts}");
        assert!((60..900).contains(&(now - NOW).as_secs()), "{now:?}");
    }

    #[test]
    fn whoever_waits_for_an_end_has_it_when_every_device_has_failed_once() {
        let mut ladder = Ladder::new(vec!["cpu".into()]).impatient();
        let ends: Vec<Next> = (0..3).map(|_| ladder.ended(&crash(), Loading, NOW)).collect();
        assert!(matches!(ends[..], [Next::Spawn, Next::Wait(_), Next::GiveUp(_)]), "{ends:?}");
    }

    #[test]
    fn a_worker_that_ends_while_it_rests_is_replaced_and_skips_nothing() {
        let mut ladder = Ladder::new(vec!["cpu".into()]);
        ladder.hope();
        for _ in 0..PATIENCE * 2 {
            assert_ne!(ladder.ended(&crash(), Resting, NOW), Next::Skip);
        }
    }
}
