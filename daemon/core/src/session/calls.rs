//! The order in which calls were made, which is not always the order of arrival.
//!
//! Push-to-talk runs a process at the press and another one at the release; on a busy
//! machine the second can be the first to reach the daemon. Each call says when it was
//! made. One that comes late is put where it belongs among the newest ones, and what is
//! wanted is what they ask for in that order. Nothing is started or stopped here.

use super::Command;
use std::collections::VecDeque;

/// How many of the newest calls a late one is put among. A call that is older than all
/// of them counts as the oldest.
const KEPT: usize = 32;

/// When a call was made, on a clock that all processes of the machine share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Made {
    /// Hundredths of a second since the machine was started.
    pub hundredths: u64,
    /// The process that calls: within a hundredth, the older one has the lower number.
    pub process: u32,
}

impl Made {
    /// The process of a call that does not tell when it was made: after all that came before.
    pub const UNTOLD: u32 = u32::MAX;
}

/// The place of a call among all others: when it was made, then when it arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(Made, u64);

impl Place {
    /// When the call was made.
    #[cfg(test)]
    pub(super) fn made(self) -> Made {
        self.0
    }
}

/// The newest calls, in the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// What was wanted before the calls that are kept.
    before: Option<Place>,
    kept: VecDeque<(Place, Command)>,
    arrived: u64,
}

impl Calls {
    /// Takes in a call; its place.
    pub(super) fn take_in(&mut self, command: Command, made: Made) -> Place {
        self.arrived += 1;
        // Whether it was made before one that does not tell is not known within a hundredth:
        // it came after it.
        let untold = Made { process: Made::UNTOLD, ..made };
        let made = if self.last() == untold { untold } else { made };
        let place = Place(made, self.arrived);
        let at = self.kept.partition_point(|(other, _)| *other < place);
        self.kept.insert(at, (place, command));
        if self.kept.len() > KEPT
            && let Some((place, command)) = self.kept.pop_front()
        {
            self.before = after(self.before, place, command);
        }
        place
    }

    /// The call since which to record; none when nothing is to be recorded.
    pub(super) fn wanted(&self) -> Option<Place> {
        self.kept.iter().fold(self.before, |wanted, (place, command)| after(wanted, *place, *command))
    }

    /// When the call was made that was made last.
    pub(super) fn last(&self) -> Made {
        self.kept.back().map_or(Made::default(), |(place, _)| place.0)
    }
}

/// What is wanted after a call, when `wanted` was before it.
fn after(wanted: Option<Place>, place: Place, command: Command) -> Option<Place> {
    match command {
        Command::Start => wanted.or(Some(place)),
        Command::Toggle if wanted.is_none() => Some(place),
        Command::Toggle | Command::Stop | Command::Cancel => None,
    }
}
