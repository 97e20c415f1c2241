//! Which device the next worker is started on, after how long, or not at all.
//!
//! A worker tries exactly one device and then lives or dies; falling back is a
//! new worker. The device ladder goes down one step when a device refuses or
//! when workers keep dying on it without having got anywhere. What a person has
//! to mend (a broken model, a missing runtime, a wrong setting) is not retried.

use crate::Now;
use crate::wire::FaultKind;
use std::fmt;
use std::time::Duration;

/// Deaths in a row, without progress between them, that a device is given.
const PATIENCE: u32 = 3;

/// How a worker ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// What the worker said before it ended, if it did.
    pub fault: Option<FaultKind>,
    /// What happened, for a person.
    pub message: String,
}

impl Ending {
    /// An end without a word.
    pub fn crashed(message: String) -> Self {
        Self { fault: None, message }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Start a worker on [`Ladder::device`] at once.
    Spawn,
    /// Start one then.
    Wait(Now),
    /// Do not try again until a person asks; the reason.
    GiveUp(String),
}

/// The devices and how far down the ladder the workers have come.
#[derive(Clone, Debug)]
pub struct Ladder {
    devices: Vec<String>,
    at: usize,
    deaths: u32,
}

impl Ladder {
    /// A ladder of at least one device, best first.
    pub fn new(devices: Vec<String>) -> Self {
        let devices = if devices.is_empty() { vec!["cpu".to_owned()] } else { devices };
        Self { devices, at: 0, deaths: 0 }
    }

    /// The device of the next worker.
    pub fn device(&self) -> &str {
        &self.devices[self.at]
    }

    /// Back to the first device, because a person asks again.
    pub fn reset(&mut self) {
        self.at = 0;
        self.deaths = 0;
    }

    /// A worker has acknowledged audio: earlier deaths no longer count.
    pub fn progress(&mut self) {
        self.deaths = 0;
    }

    /// A worker has ended.
    pub fn ended(&mut self, ending: &Ending, now: Now) -> Next {
        match ending.fault {
            Some(FaultKind::Model | FaultKind::Runtime | FaultKind::Protocol) => {
                Next::GiveUp(ending.message.clone())
            }
            Some(FaultKind::Device | FaultKind::Memory) => self.down(ending),
            None => {
                self.deaths += 1;
                match self.deaths {
                    1 => Next::Spawn,
                    n if n < PATIENCE => Next::Wait(now + Duration::from_millis(500 * u64::from(n))),
                    _ => self.down(ending),
                }
            }
        }
    }

    fn down(&mut self, ending: &Ending) -> Next {
        self.deaths = 0;
        if self.at + 1 < self.devices.len() {
            self.at += 1;
            return Next::Spawn;
        }
        Next::GiveUp(format!("no device works; the last error was: {}", ending.message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(kind: FaultKind) -> Ending {
        Ending { fault: Some(kind), message: "it broke".into() }
    }

    fn ladder() -> Ladder {
        Ladder::new(vec!["cuda:0".into(), "cpu".into()])
    }

    #[test]
    fn a_device_that_refuses_makes_room_for_the_next_one() {
        let mut ladder = ladder();
        assert_eq!(ladder.ended(&fault(FaultKind::Device), Now::default()), Next::Spawn);
        assert_eq!(ladder.device(), "cpu");
        let Next::GiveUp(why) = ladder.ended(&fault(FaultKind::Device), Now::default()) else { panic!() };
        assert!(why.contains("it broke"), "{why}");
    }

    #[test]
    fn what_a_person_has_to_mend_is_not_retried() {
        for kind in [FaultKind::Model, FaultKind::Runtime, FaultKind::Protocol] {
            assert!(matches!(ladder().ended(&fault(kind), Now::default()), Next::GiveUp(_)));
        }
    }

    #[test]
    fn deaths_without_progress_go_down_the_ladder_and_progress_forgives_them() {
        let crash = Ending::crashed("killed by signal 9".into());
        let mut steady = ladder();
        for _ in 0..10 {
            assert_eq!(steady.ended(&crash, Now::default()), Next::Spawn);
            steady.progress();
        }
        assert_eq!(steady.device(), "cuda:0");
        let mut dying = ladder();
        assert_eq!(dying.ended(&crash, Now::default()), Next::Spawn);
        assert!(matches!(dying.ended(&crash, Now::default()), Next::Wait(_)));
        assert_eq!(dying.ended(&crash, Now::default()), Next::Spawn);
        assert_eq!(dying.device(), "cpu");
    }
}
