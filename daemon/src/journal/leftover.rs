//! What a daemon that was killed has left behind.
//!
//! Files that somebody holds belong to a daemon that lives, and are not looked at.
//! What is found is held in turn, so that nobody else takes it meanwhile.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use swictation_core::journal::{Recovered, frame};

/// For how long something that was left waits to be given back.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// The files of one journal; held as long as this lives.
pub struct Leftover {
    /// When it was begun.
    pub begun: SystemTime,
    segments: Vec<(PathBuf, File)>,
}

/// All that was left in these folders, the oldest first. What nobody gave back for a
/// week before `now` is removed.
pub fn all(folders: &[PathBuf], now: SystemTime) -> Vec<Leftover> {
    let mut found: BTreeMap<(u128, u32), Vec<(u32, PathBuf)>> = BTreeMap::new();
    for folder in folders {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if let Some((journal, number)) = entry.file_name().to_str().and_then(numbers) {
                found.entry(journal).or_default().push((number, entry.path()));
            }
        }
    }
    let held = found.into_iter().filter_map(|((millis, _), mut paths)| {
        paths.sort();
        let segments = paths.into_iter().map(|(_, path)| Some((path.clone(), hold(&path)?)));
        let begun = UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).ok()?.min(1 << 50));
        Some(Leftover { begun, segments: segments.collect::<Option<_>>()? })
    });
    let (old, left): (Vec<_>, Vec<_>) = held.partition(|leftover| leftover.is_older_than(KEPT, now));
    for leftover in old {
        tracing::info!(
            "what was cut off {} was not given back for a week and is removed",
            clock(leftover.begun, now)
        );
        if let Err(e) = leftover.remove() {
            tracing::warn!("{e}");
        }
    }
    left
}

/// What the daemon says of it; empty when there is nothing.
pub fn summary(left: &[Leftover]) -> String {
    let Some(last) = left.last().map(|leftover| clock(leftover.begun, SystemTime::now())) else {
        return String::new();
    };
    let gives = "`swictation recover` gives back what was not typed";
    match left.len() {
        1 => format!("a dictation of {last} was cut off: {gives}"),
        n => format!("{n} dictations were cut off, the last one of {last}: {gives}"),
    }
}

impl Leftover {
    /// Its newest file.
    pub fn path(&self) -> &Path {
        self.segments.last().map_or(Path::new(""), |(path, _)| path)
    }

    /// What is owed, and a sentence for each file that could not be read to its end.
    pub fn read(&self) -> (Recovered, Vec<String>) {
        let (mut recovered, mut damage) = (Recovered::default(), Vec::new());
        for (path, mut file) in self.segments.iter().map(|(path, file)| (path.display(), file)) {
            let mut bytes = Vec::new();
            if let Err(e) = file.read_to_end(&mut bytes) {
                damage.push(format!("{path} cannot be read to its end: {e}"));
            }
            match frame::read(&bytes, &mut |entry| recovered.add(entry)) {
                frame::End::Whole | frame::End::Torn => {}
                frame::End::Broken(at) => damage.push(format!("{path} is damaged from byte {at} on")),
                frame::End::Foreign => damage.push(format!("{path} is not a journal of this version")),
            }
        }
        (recovered, damage)
    }

    /// Removes the files.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub fn remove(self) -> Result<(), String> {
        for (path, _) in &self.segments {
            fs::remove_file(path).map_err(|e| format!("{} cannot be removed: {e}", path.display()))?;
        }
        Ok(())
    }

    fn is_older_than(&self, age: Duration, now: SystemTime) -> bool {
        let changed = self.segments.iter().filter_map(|(_, file)| file.metadata().ok()?.modified().ok());
        changed.max().is_some_and(|at| now.duration_since(at).is_ok_and(|since| since > age))
    }
}

/// The journal and the place in it that `journal-MILLISECONDS-PROCESS.NUMBER` names.
fn numbers(name: &str) -> Option<((u128, u32), u32)> {
    let (journal, number) = name.strip_prefix("journal-")?.split_once('.')?;
    let (millis, process) = journal.split_once('-')?;
    Some(((millis.parse().ok()?, process.parse().ok()?), number.parse().ok()?))
}

/// Opens a file that nobody else holds, and holds it.
fn hold(path: &Path) -> Option<File> {
    let file =
        OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path).ok()?;
    (file.metadata().ok()?.is_file() && file.try_lock().is_ok()).then_some(file)
}

/// A time as people say it: the hour of today, or the day and the hour.
pub fn clock(at: SystemTime, now: SystemTime) -> String {
    let [at, now] = [at, now].map(local);
    let same_day = (at.tm_yday, at.tm_year) == (now.tm_yday, now.tm_year);
    let hour = format!("{:02}:{:02}", at.tm_hour, at.tm_min);
    let day = || format!("{}-{:02}-{:02} {hour}", at.tm_year + 1900, at.tm_mon + 1, at.tm_mday);
    if same_day { hour } else { day() }
}

fn local(at: SystemTime) -> libc::tm {
    let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as libc::time_t;
    // SAFETY: all numbers and a pointer, for which zero is a value; localtime_r writes
    // into the one and reads the other.
    unsafe {
        let mut broken_down: libc::tm = std::mem::zeroed();
        libc::localtime_r(&seconds, &mut broken_down);
        broken_down
    }
}
