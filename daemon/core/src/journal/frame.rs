//! Entries as bytes: what a file of a journal holds.
//!
//! A file begins with [`HEAD`]; each entry follows as a frame of a little-endian u32
//! length, a u32 CRC-32 of the body, and a postcard body. A daemon that dies while it
//! writes leaves a torn last frame: that is an end like any other. Anything else that
//! cannot be read is told, and what came before it is still good.

use super::Entry;

/// The first bytes of every file; another version has another line.
pub const HEAD: &[u8] = b"swictation journal 2\n";

/// The bytes before a body.
const PREFIX: usize = 8;

/// How a file ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// After an entry.
    Whole,
    /// In the middle of an entry that was being written.
    Torn,
    /// From this byte on it cannot be read.
    Broken(usize),
    /// It is no file of this version.
    Foreign,
}

/// Adds the frame of an entry.
pub fn write(entry: &Entry, to: &mut Vec<u8>) {
    let start = to.len();
    to.extend([0; PREFIX]);
    // Writing into memory cannot fail, and every entry has a form in postcard.
    let Ok(body) = postcard::to_stdvec(entry) else { return to.truncate(start) };
    to.extend(&body);
    to[start..start + 4].copy_from_slice(&(body.len() as u32).to_le_bytes());
    to[start + 4..start + PREFIX].copy_from_slice(&crc32fast::hash(&body).to_le_bytes());
}

/// Tells every entry of a file, as far as it can be read.
pub fn read(bytes: &[u8], each: &mut dyn FnMut(Entry)) -> End {
    let Some(mut rest) = bytes.strip_prefix(HEAD) else {
        return if HEAD.starts_with(bytes) { End::Torn } else { End::Foreign };
    };
    while !rest.is_empty() {
        // A file can have become longer before its bytes came onto the disk.
        if rest.iter().all(|byte| *byte == 0) {
            return End::Torn;
        }
        let Some((prefix, behind)) = rest.split_at_checked(PREFIX) else { return End::Torn };
        let number =
            |at: usize| u32::from_le_bytes([prefix[at], prefix[at + 1], prefix[at + 2], prefix[at + 3]]);
        let Some((body, next)) = behind.split_at_checked(number(0) as usize) else { return End::Torn };
        let entry = match postcard::take_from_bytes::<Entry>(body) {
            Ok((entry, [])) if crc32fast::hash(body) == number(4) && entry.is_plausible() => entry,
            _ => return End::Broken(bytes.len() - rest.len()),
        };
        each(entry);
        rest = next;
    }
    End::Whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hypothesis::DictationId;
    use crate::journal::Past;
    use crate::time::SamplePos;

    fn entries() -> Vec<Entry> {
        let dictation = DictationId(1);
        let past = Past { at: SamplePos(3), typed: vec![(" é".into(), SamplePos(4))], ..Past::default() };
        vec![
            Entry::Begin { dictation },
            Entry::Audio { dictation, at: SamplePos(0), pcm: vec![0.5, -0.25, 1e-7] },
            Entry::Text { piece: 1, text: "é".into(), past: Some((dictation, past)) },
            Entry::Paid { piece: 1 },
        ]
    }

    /// The bytes of a file, and where each frame ends.
    fn file() -> (Vec<u8>, Vec<usize>) {
        let (mut bytes, mut ends) = (HEAD.to_vec(), vec![HEAD.len()]);
        for entry in &entries() {
            write(entry, &mut bytes);
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    fn all(bytes: &[u8]) -> (Vec<Entry>, End) {
        let mut entries = Vec::new();
        let end = read(bytes, &mut |entry| entries.push(entry));
        (entries, end)
    }

    #[test]
    fn entries_come_back_as_they_went_to_the_last_bit_of_a_sample() {
        assert_eq!(all(&file().0), (entries(), End::Whole));
    }

    #[test]
    fn a_file_that_is_torn_at_any_byte_gives_back_every_entry_before_it() {
        let (bytes, ends) = file();
        for cut in 0..bytes.len() {
            let (read, end) = all(&bytes[..cut]);
            let whole = ends.iter().filter(|at| **at <= cut).count().saturating_sub(1);
            assert_eq!(read, entries()[..whole], "cut at {cut}");
            assert_eq!(end, if ends.contains(&cut) { End::Whole } else { End::Torn }, "cut at {cut}");
        }
    }

    #[test]
    fn a_byte_that_changed_is_found_and_what_came_before_is_good() {
        let (bytes, ends) = file();
        for at in HEAD.len()..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x40;
            let (read, end) = all(&bytes);
            let before = ends.iter().filter(|end| **end <= at).count() - 1;
            assert_eq!(read, entries()[..before], "changed at {at}");
            assert_ne!(end, End::Whole, "changed at {at}");
        }
    }

    #[test]
    fn what_a_power_cut_leaves_as_zeros_was_never_written() {
        let (mut bytes, _) = file();
        bytes.resize(bytes.len() + 4096, 0);
        assert_eq!(all(&bytes), (entries(), End::Torn));
    }

    #[test]
    fn a_file_of_another_version_is_left_to_that_version() {
        assert_eq!(all(b"swictation journal 1\nabc"), (Vec::new(), End::Foreign));
    }

    #[test]
    fn numbers_that_no_session_tells_are_not_believed() {
        let mut bytes = HEAD.to_vec();
        let at = SamplePos(u64::MAX);
        write(&Entry::Audio { dictation: DictationId(1), at, pcm: vec![0.0; 9] }, &mut bytes);
        assert_eq!(all(&bytes), (Vec::new(), End::Broken(HEAD.len())));
    }

    proptest::proptest! {
        #[test]
        fn garbage_is_read_as_far_as_it_goes_and_never_a_panic(bytes: Vec<u8>, torn in 0usize..200) {
            all(&bytes);
            let (mut file, _) = file();
            file.truncate(torn.min(file.len()));
            file.extend(bytes);
            all(&file);
        }

        /// The sum is right, so that the bytes come through to the entry.
        #[test]
        fn garbage_with_a_right_sum_is_no_panic_either(body: Vec<u8>) {
            let mut file = HEAD.to_vec();
            file.extend((body.len() as u32).to_le_bytes());
            file.extend(crc32fast::hash(&body).to_le_bytes());
            file.extend(&body);
            let mut recovered = crate::journal::Recovered::default();
            read(&file, &mut |entry| recovered.add(entry));
            recovered.stretches();
        }
    }
}
