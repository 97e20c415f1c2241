//! Entries into files, and files away again when nothing in them is owed.
//!
//! A journal is a row of segments. Each begins with all that is owed at that moment
//! but for audio, so the segments before it are needed for their audio alone, and go
//! when that is settled. The files together hold the audio that no word came of, two
//! segments of what did, and never more than [`BOUND`]. At the bound the oldest audio
//! stays and new audio is left out, and is told to be: text is still written.
//!
//! A write that fails costs the rest of the segment. The next attempt is a segment of
//! its own, a second later, which begins with all that is owed by then.

use super::Place;
use super::folder::{create, prepare};
use std::collections::{HashMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use swictation_core::journal::{Entry, Ledger, frame};
use swictation_core::{DictationId, SamplePos};

/// All files of a journal together, in bytes, but for text: over an hour of audio.
pub(super) const BOUND: u64 = 256 << 20;

/// A segment ends when it has so much more than it began with: 16 s of audio.
const SEGMENT: u64 = 1 << 20;

/// How long after a failure a new segment is tried.
const AGAIN: Duration = Duration::from_secs(1);

/// How long what is written may stay out of a lasting place.
const SYNC: Duration = Duration::from_secs(1);

/// Writes one journal after the other.
pub(super) struct Writer {
    place: Place,
    /// Where the next journal is kept.
    next: Option<Place>,
    ledger: Ledger,
    segments: VecDeque<Segment>,
    /// What the files of this journal are called, and how many there were.
    name: String,
    made: u32,
    /// What the newest segment gets with the next flush.
    buffer: Vec<u8>,
    bound: u64,
    full: bool,
    failed: Option<(Instant, String)>,
    /// The log has it already.
    warned: bool,
    /// Since when something is not on the disk.
    unsynced: Option<Instant>,
}

/// A file; it is held as long as it is open.
struct Segment {
    path: PathBuf,
    file: File,
    bytes: u64,
    /// It is closed once it has so many.
    until: u64,
    /// How far the audio in it goes.
    audio: HashMap<DictationId, SamplePos>,
}

/// What became of a dictation with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It goes on, or there was none.
    Open,
    /// It is over and something is owed: the files were left for `recover`.
    Left,
}

impl Writer {
    pub(super) fn new(place: Place) -> Self {
        Self {
            place,
            next: None,
            ledger: Ledger::default(),
            segments: VecDeque::new(),
            name: String::new(),
            made: 0,
            buffer: Vec::new(),
            bound: BOUND,
            full: false,
            failed: None,
            warned: false,
            unsynced: None,
        }
    }

    /// The next journal is kept there.
    pub(super) fn keep_in(&mut self, place: Place) {
        self.next = Some(place);
    }

    /// Takes in an entry; it is in a file after the next [`Writer::flush`].
    pub(super) fn take(&mut self, entry: &Entry, now: Instant) -> Outcome {
        if self.ledger.is_empty() {
            // Nothing is owed, and only these change that.
            if !matches!(entry, Entry::Begin { .. } | Entry::Text { .. }) {
                return Outcome::Open;
            }
            self.place = self.next.take().unwrap_or_else(|| self.place.clone());
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            self.name = format!("journal-{}-{}", since.as_millis(), std::process::id());
            (self.made, self.failed, self.full, self.warned) = (0, None, false, false);
        }
        if self.place.folder.is_some() {
            self.append(entry, now);
        }
        self.ledger.apply(entry);
        if self.ledger.is_empty() {
            self.wipe();
        } else if self.ledger.is_over() {
            self.flush(now);
            let left = !self.segments.is_empty();
            (self.ledger, self.segments) = Default::default();
            return if left { Outcome::Left } else { Outcome::Open };
        } else {
            self.drop_settled();
        }
        Outcome::Open
    }

    /// What is wrong, for a person; empty when nothing is.
    pub(super) fn trouble(&self) -> String {
        if let Some((_, why)) = &self.failed {
            return format!("the recovery file cannot be written: {why}; dictation goes on");
        }
        if self.full {
            return format!(
                "the recovery file is full: it has {} MiB of speech that no word came of yet; dictation goes \
                 on, and what is said from here on is lost if the daemon is killed",
                self.bound >> 20
            );
        }
        String::new()
    }

    /// Brings what was taken in into the file.
    pub(super) fn flush(&mut self, now: Instant) {
        let Some(segment) = self.segments.back_mut().filter(|_| !self.buffer.is_empty()) else { return };
        match segment.file.write_all(&self.buffer) {
            Ok(()) => {
                segment.bytes += self.buffer.len() as u64;
                self.unsynced = self.unsynced.or(self.place.lasting.then_some(now));
            }
            Err(e) => {
                // What was written of it would be a torn frame in the middle.
                drop(segment.file.set_len(segment.bytes));
                segment.until = 0;
                let path = segment.path.clone();
                self.fail(&path, &e, now);
            }
        }
        self.buffer.clear();
    }

    /// When [`Writer::sync`] is due; none while nothing is.
    pub(super) fn due(&self) -> Option<Instant> {
        self.unsynced.map(|since| since + SYNC)
    }

    /// Brings what was written onto the disk.
    pub(super) fn sync(&mut self, now: Instant) {
        self.unsynced = None;
        let Some(segment) = self.segments.back() else { return };
        if let Err(e) = segment.file.sync_data() {
            let path = segment.path.clone();
            self.fail(&path, &e, now);
        }
    }

    /// Whether something stays behind if the daemon ends now.
    pub(super) fn owes(&self) -> bool {
        !self.segments.is_empty()
    }

    fn append(&mut self, entry: &Entry, now: Instant) {
        let open = self.segments.back().is_some_and(|s| s.bytes + (self.buffer.len() as u64) < s.until);
        if !open {
            self.flush(now);
            if self.failed.as_ref().is_some_and(|(at, _)| now.duration_since(*at) < AGAIN) {
                return;
            }
            if let Err((path, e)) = self.open() {
                return self.fail(&path, &e, now);
            }
        }
        if let Entry::Audio { dictation, at, pcm } = entry {
            let held: u64 = self.segments.iter().map(|segment| segment.bytes).sum();
            self.full = held + (self.buffer.len() + 4 * pcm.len()) as u64 > self.bound;
            let Some(segment) = self.segments.back_mut().filter(|_| !self.full) else { return };
            segment.audio.insert(*dictation, *at + pcm.len() as u64);
        }
        frame::write(entry, &mut self.buffer);
    }

    /// Begins a segment with all that is owed.
    fn open(&mut self) -> Result<(), (PathBuf, io::Error)> {
        let folder = match &self.place.folder {
            Some(Ok(folder)) => folder.clone(),
            Some(Err(why)) => return Err((PathBuf::new(), io::Error::other(why.clone()))),
            None => return Ok(()),
        };
        prepare(&folder).map_err(|e| (folder.clone(), e))?;
        let mut base = frame::HEAD.to_vec();
        frame::write(&Entry::Carried(self.ledger.clone()), &mut base);
        let path = folder.join(format!("{}.{}", self.name, self.made));
        self.made += 1;
        let failed = |e: io::Error| (path.clone(), e);
        let mut file = create(&path).map_err(failed)?;
        let begun = file.write_all(&base).and_then(|()| match self.place.lasting {
            // A power cut can take a file away that is not in its folder yet.
            true => File::open(&folder).and_then(|folder| folder.sync_all()),
            false => Ok(()),
        });
        if let Err(e) = begun {
            drop(fs::remove_file(&path));
            return Err(failed(e));
        }
        let bytes = base.len() as u64;
        self.segments.push_back(Segment {
            path,
            file,
            bytes,
            until: 2 * bytes + SEGMENT,
            audio: HashMap::new(),
        });
        self.failed = None;
        Ok(())
    }

    fn fail(&mut self, path: &Path, e: &io::Error, now: Instant) {
        let path = path.display().to_string();
        let why = if path.is_empty() { e.to_string() } else { format!("{path}: {e}") };
        if !std::mem::replace(&mut self.warned, true) {
            tracing::warn!("the recovery file cannot be written: {why}");
        }
        self.failed = Some((now, why));
    }

    /// Removes what nobody needs any more, but for the segment that is written to.
    fn drop_settled(&mut self) {
        let ledger = &self.ledger;
        let settled = |segment: &Segment| segment.audio.iter().all(|(id, end)| !ledger.needs(*id, *end));
        while self.segments.len() > 1 && self.segments.front().is_some_and(settled) {
            self.segments.pop_front().as_ref().map(Segment::remove);
        }
    }

    fn wipe(&mut self) {
        self.buffer.clear();
        self.segments.drain(..).for_each(|segment| segment.remove());
        (self.failed, self.full, self.unsynced) = (None, false, None);
    }
}

impl Segment {
    fn remove(&self) {
        if let Err(e) = fs::remove_file(&self.path) {
            tracing::warn!("{} is of no use any more and cannot be removed: {e}", self.path.display());
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.flush(Instant::now());
        if self.owes() {
            tracing::warn!("not all is typed: `swictation recover` gives back what was not");
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
