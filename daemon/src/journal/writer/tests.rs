//! Journals in a folder of their own, read back as `recover` does.

use super::*;
use crate::journal::leftover;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use swictation_core::UtteranceId;
use swictation_core::journal::{Past, Recovered};
use tempfile::TempDir;

const FIRST: DictationId = DictationId(1);

/// Samples of a block: a second.
const BLOCK: u64 = 16_000;

struct Desk {
    home: TempDir,
    writer: Writer,
    now: Instant,
}

impl Desk {
    fn new() -> Desk {
        let home = tempfile::tempdir().unwrap();
        let place = Place { folder: Some(Ok(home.path().join("swictation"))), lasting: true };
        Desk { home, writer: Writer::new(place), now: Instant::now() }
    }

    fn folder(&self) -> PathBuf {
        self.home.path().join("swictation")
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> =
            fs::read_dir(self.folder()).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
        files.sort_by_key(|path| path.extension().unwrap().to_str().unwrap().parse::<u32>().unwrap());
        files
    }

    fn take(&mut self, entry: Entry) -> Outcome {
        let outcome = self.writer.take(&entry, self.now);
        self.writer.flush(self.now);
        outcome
    }

    fn say(&mut self, seconds: std::ops::Range<u64>) {
        for second in seconds {
            let pcm = vec![second as f32; BLOCK as usize];
            self.take(Entry::Audio { dictation: FIRST, at: SamplePos(second * BLOCK), pcm });
        }
    }

    fn settle(&mut self, second: u64) {
        let past = Past { utterance: UtteranceId(0), at: SamplePos(second * BLOCK), ..Past::default() };
        self.take(Entry::Settled { dictation: FIRST, past });
    }

    /// What another program reads, seconds of audio by their numbers, and text.
    fn read(&self) -> (String, Vec<f32>) {
        let mut recovered = Recovered::default();
        for path in self.files() {
            let end = frame::read(&fs::read(path).unwrap(), &mut |entry| recovered.add(entry));
            assert_eq!(end, frame::End::Whole);
        }
        let audio = |stretch: &swictation_core::journal::Stretch| -> Vec<f32> {
            stretch.audio.iter().map(|(_, pcm)| pcm[0]).collect()
        };
        (recovered.untyped(), recovered.stretches().first().map(audio).unwrap_or_default())
    }
}

fn seconds(range: std::ops::Range<u8>) -> Vec<f32> {
    range.map(f32::from).collect()
}

fn text(piece: u64) -> Entry {
    Entry::Text { piece, text: format!(" word{piece}"), past: None }
}

#[test]
fn what_is_dictated_is_in_a_file_that_nobody_else_reads_and_gone_once_it_is_typed() {
    let mut desk = Desk::new();
    desk.take(Entry::Begin { dictation: FIRST });
    desk.say(0..3);
    desk.take(text(1));
    assert_eq!(desk.read(), (" word1".into(), seconds(0..3)));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&desk.folder()), mode(&desk.files()[0])), (0o700, 0o600));
    desk.take(Entry::End { dictation: FIRST });
    assert_eq!(desk.read(), (" word1".into(), vec![]));
    desk.take(Entry::Paid { piece: 1 });
    assert_eq!(desk.files(), Vec::<PathBuf>::new());
}

#[test]
fn an_idle_session_leaves_no_file() {
    let mut desk = Desk::new();
    desk.take(Entry::Forgotten);
    desk.take(Entry::Paid { piece: 9 });
    assert!(!desk.folder().exists());
}

#[test]
fn what_is_settled_goes_while_the_dictation_goes_on_and_the_rest_is_read_alone() {
    let mut desk = Desk::new();
    desk.take(Entry::Begin { dictation: FIRST });
    desk.take(text(1));
    let mut most = 0;
    for second in 0..200 {
        desk.say(second..second + 1);
        desk.settle(second.saturating_sub(20));
        most = most.max(desk.files().len());
    }
    assert!(most <= 4, "{most} files for 20 seconds that are not settled");
    assert_eq!(desk.read(), (" word1".into(), seconds(179..200)));
    assert!(!desk.files()[0].to_str().unwrap().ends_with(".0"), "the first file is gone");
}

#[test]
fn at_the_bound_the_oldest_audio_stays_and_that_is_said() {
    let mut desk = Desk::new();
    desk.writer.bound = 3 << 20;
    desk.take(Entry::Begin { dictation: FIRST });
    desk.say(0..100);
    let held: u64 = desk.files().iter().map(|path| fs::metadata(path).unwrap().size()).sum();
    assert!(held <= 3 << 20, "{held}");
    assert!(desk.writer.trouble().contains("is full: it has 3 MiB"), "{}", desk.writer.trouble());
    let (_, kept) = desk.read();
    assert_eq!(kept, seconds(0..kept.len() as u8), "the oldest, without a hole");
    desk.take(text(1));
    assert_eq!(desk.read().0, " word1", "text is still written");
    desk.settle(100);
    desk.say(100..102);
    assert_eq!((desk.writer.trouble().as_str(), desk.read().1), ("", seconds(100..102)));
}

#[test]
fn a_folder_that_cannot_be_written_is_told_and_tried_again_with_all_that_is_owed() {
    let mut desk = Desk::new();
    fs::write(desk.folder(), "").unwrap();
    desk.take(Entry::Begin { dictation: FIRST });
    desk.take(text(1));
    desk.say(0..2);
    let trouble = desk.writer.trouble();
    assert!(trouble.contains("cannot be written") && trouble.contains("dictation goes on"), "{trouble}");
    fs::remove_file(desk.folder()).unwrap();
    desk.say(2..3);
    assert_ne!(desk.writer.trouble(), "", "not tried for every block");
    desk.now += AGAIN;
    desk.say(3..5);
    assert_eq!(desk.writer.trouble(), "");
    let (text, audio) = desk.read();
    assert_eq!((text.as_str(), audio.last()), (" word1", Some(&4.0)), "{audio:?}");
}

#[test]
fn what_a_full_disk_did_not_take_is_in_the_next_file_with_all_that_is_owed() {
    let mut desk = Desk::new();
    desk.take(Entry::Begin { dictation: FIRST });
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    desk.writer.segments[0].file = full;
    desk.take(text(1));
    assert!(desk.writer.trouble().contains("No space left"), "{}", desk.writer.trouble());
    desk.now += AGAIN;
    desk.take(text(2));
    assert_eq!((desk.writer.trouble().as_str(), desk.read().0.as_str()), ("", " word1 word2"));
}

#[test]
fn a_link_in_the_place_of_the_folder_is_not_followed() {
    let mut desk = Desk::new();
    let elsewhere = desk.home.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, desk.folder()).unwrap();
    desk.take(Entry::Begin { dictation: FIRST });
    assert!(desk.writer.trouble().contains("it is a link"), "{}", desk.writer.trouble());
    assert_eq!(fs::read_dir(elsewhere).unwrap().count(), 0);
}

#[test]
fn what_a_living_daemon_writes_is_no_leftover_and_what_a_dead_one_wrote_is_one() {
    let mut desk = Desk::new();
    let folders = [desk.folder()];
    desk.take(Entry::Begin { dictation: FIRST });
    desk.say(0..60);
    let now = SystemTime::now();
    assert_eq!(leftover::all(&folders, now).len(), 0);
    // As when its process ends, which lets go of the files.
    desk.writer.segments.clear();
    desk.writer.buffer.clear();
    let mut left = leftover::all(&folders, now);
    assert_eq!(left.len(), 1);
    assert_eq!(leftover::all(&folders, now).len(), 0, "somebody recovers it already");
    let summary = leftover::summary(&left);
    assert!(summary.contains("was cut off: `swictation recover` gives back"), "{summary}");
    let (recovered, damage) = left[0].read();
    let audio: usize = recovered.stretches()[0].audio.iter().map(|(_, pcm)| pcm.len()).sum();
    assert_eq!((audio as u64, damage.len()), (60 * BLOCK, 0));
    left.remove(0).remove().unwrap();
    assert_eq!(desk.files().len(), 0);
}

#[test]
fn what_no_engine_heard_is_left_and_the_next_dictation_has_files_of_its_own() {
    let mut desk = Desk::new();
    desk.take(Entry::Begin { dictation: FIRST });
    desk.say(0..2);
    assert_eq!(desk.take(Entry::Unheard { dictation: FIRST }), Outcome::Left);
    let left = leftover::all(&[desk.folder()], SystemTime::now());
    assert_eq!(left[0].read().0.stretches().len(), 1);
    desk.take(Entry::Begin { dictation: DictationId(2) });
    desk.take(Entry::End { dictation: DictationId(2) });
    assert_eq!(desk.files().len(), 1, "the first one's");
}

#[test]
fn what_nobody_gave_back_for_a_week_is_removed() {
    let mut desk = Desk::new();
    desk.take(Entry::Begin { dictation: FIRST });
    desk.writer.segments.clear();
    let day = Duration::from_secs(24 * 3600);
    let now = SystemTime::now();
    assert_eq!(leftover::all(&[desk.folder()], now + 6 * day).len(), 1);
    assert_eq!(leftover::all(&[desk.folder()], now + 8 * day).len(), 0);
    assert_eq!(desk.files().len(), 0);
}

#[test]
fn a_damaged_file_gives_back_what_can_be_read_and_is_named() {
    let mut desk = Desk::new();
    desk.take(Entry::Begin { dictation: FIRST });
    desk.take(text(1));
    desk.say(0..1);
    desk.writer.segments.clear();
    let path = desk.files().remove(0);
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 9;
    bytes[last] ^= 1;
    fs::write(&path, bytes).unwrap();
    let left = leftover::all(&[desk.folder()], SystemTime::now());
    let (recovered, damage) = left[0].read();
    assert_eq!(recovered.untyped(), " word1");
    assert!(
        damage[0].contains(path.to_str().unwrap()) && damage[0].contains("damaged from byte"),
        "{damage:?}"
    );
}
