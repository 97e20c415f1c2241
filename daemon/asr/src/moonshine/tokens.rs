//! Moonshine's vocabulary: token ids to bytes to words.
//!
//! `tokenizer.bin` is the list of SentencePiece pieces in id order, each with a
//! length of one byte, or of two when the first is 128 or more (low seven bits
//! first). A piece that begins with "▁" begins a word; the pieces of a word are
//! joined as bytes, because characters outside the vocabulary are spelled with
//! single-byte pieces.

use crate::AsrError;
use std::collections::HashMap;
use std::path::Path;

/// The id the decoder starts from.
pub(super) const START: u32 = 1;
/// The id that ends an utterance.
pub(super) const END: u32 = 2;

const SPACE: &[u8] = "▁".as_bytes();

/// The pieces by id.
pub(super) struct Tokens {
    pieces: Vec<Vec<u8>>,
    ids: HashMap<Vec<u8>, u32>,
    longest: usize,
}

/// Consecutive tokens that make one word.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spelled {
    /// The word, without the space before it.
    pub(super) text: String,
    /// It has no space before it.
    pub(super) glued: bool,
    /// How many tokens it took.
    pub(super) tokens: usize,
}

impl Tokens {
    pub(super) fn read(path: &Path) -> Result<Self, AsrError> {
        let fail = |reason: String| AsrError::Model { file: path.to_path_buf(), reason };
        let bytes = std::fs::read(path).map_err(|e| fail(format!("cannot be read: {e}")))?;
        let mut pieces = Vec::new();
        let mut at = 0;
        while let Some(&first) = bytes.get(at) {
            at += 1;
            let mut length = usize::from(first);
            if length >= 128 {
                let second =
                    bytes.get(at).ok_or_else(|| fail("ends in the middle of a length".to_owned()))?;
                length = usize::from(*second) * 128 + length - 128;
                at += 1;
            }
            let piece = bytes
                .get(at..at + length)
                .ok_or_else(|| fail(format!("piece {} goes beyond the end of the file", pieces.len())))?;
            pieces.push(piece.to_vec());
            at += length;
        }
        if pieces.len() <= END as usize {
            return Err(fail(format!("holds only {} pieces", pieces.len())));
        }
        let longest = pieces.iter().map(Vec::len).max().unwrap_or(0);
        // The first of equal pieces counts, as in SentencePiece.
        let ids = pieces.iter().enumerate().rev().map(|(id, piece)| (piece.clone(), id as u32)).collect();
        Ok(Self { pieces, ids, longest })
    }

    /// Spells text that was typed, longest pieces first. The model may have
    /// spelled it otherwise; as a forced prefix either will do.
    pub(super) fn encode(&self, text: &str) -> Vec<u32> {
        let text = text.replace(' ', "▁");
        let mut rest = text.as_bytes();
        let mut ids = Vec::new();
        while !rest.is_empty() {
            let known = (1..=rest.len().min(self.longest))
                .rev()
                .find_map(|n| self.ids.get(&rest[..n]).filter(|id| self.is_text(**id)).map(|id| (n, *id)));
            let (taken, id) = known.unwrap_or((1, 0));
            ids.extend((id != 0).then_some(id));
            rest = &rest[taken..];
        }
        ids
    }

    pub(super) fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Whether the token stands for text; markers such as `<s>` or `<<ST_7>>` do not.
    pub(super) fn is_text(&self, id: u32) -> bool {
        id > END && self.pieces.get(id as usize).is_some_and(|p| !p.is_empty() && !p.starts_with(b"<<ST_"))
    }

    /// Splits tokens into words; tokens that stand for no text belong to the
    /// word they follow.
    pub(super) fn words(&self, ids: &[u32]) -> Vec<Spelled> {
        let mut words: Vec<(Vec<u8>, bool, usize)> = Vec::new();
        for &id in ids {
            let piece: &[u8] = if self.is_text(id) { &self.pieces[id as usize] } else { &[] };
            let (spaced, text) = match piece.strip_prefix(SPACE) {
                Some(rest) => (true, rest),
                None => (false, piece),
            };
            match words.last_mut() {
                // A lone "▁" followed by the word's first piece is still one word.
                Some((word, glued, tokens)) if !spaced || word.is_empty() => {
                    *glued &= !spaced || !word.is_empty();
                    word.extend_from_slice(text);
                    *tokens += 1;
                }
                _ => words.push((text.to_vec(), !spaced, 1)),
            }
        }
        words.into_iter().map(|(word, glued, tokens)| Spelled { text: clean(&word), glued, tokens }).collect()
    }
}

/// A word as text: valid UTF-8, no white space (pieces of several spaces exist).
fn clean(word: &[u8]) -> String {
    String::from_utf8_lossy(word).chars().filter(|c| !c.is_whitespace() && *c != '▁').collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn tokens(bytes: &[u8]) -> Result<Tokens, AsrError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        Tokens::read(file.path())
    }

    fn sample() -> Tokens {
        let mut bytes = Vec::new();
        for piece in ["<unk>", "<s>", "</s>", "▁ever", "▁tr", "ied", ",", "▁", "<<ST_1>>"] {
            bytes.push(piece.len() as u8);
            bytes.extend_from_slice(piece.as_bytes());
        }
        bytes.extend_from_slice(&[1, 0xc3, 1, 0xa9]);
        tokens(&bytes).unwrap()
    }

    fn texts(ids: &[u32]) -> Vec<(String, bool, usize)> {
        sample().words(ids).into_iter().map(|w| (w.text, w.glued, w.tokens)).collect()
    }

    #[test]
    fn pieces_join_into_words_with_their_punctuation() {
        assert_eq!(texts(&[3, 4, 5, 6]), [("ever".into(), false, 1), ("tried,".into(), false, 3)]);
    }

    #[test]
    fn a_continuation_at_the_front_is_glued_to_what_precedes() {
        assert_eq!(texts(&[6, 3]), [(",".into(), true, 1), ("ever".into(), false, 1)]);
    }

    #[test]
    fn bytes_of_one_character_join_across_tokens() {
        assert_eq!(texts(&[7, 9, 10]), [("é".into(), false, 3)]);
    }

    #[test]
    fn typed_text_is_spelled_with_the_longest_pieces_and_reads_the_same() {
        let tokens = sample();
        assert_eq!(tokens.encode(" ever tried, é"), [3, 4, 5, 6, 7, 9, 10]);
        assert_eq!(tokens.encode("\u{3042}"), [], "what cannot be spelled is left out");
    }

    #[test]
    fn markers_stand_for_no_text() {
        assert_eq!(texts(&[3, 8, 1]), [("ever".into(), false, 3)]);
    }

    #[test]
    fn a_cut_file_is_an_error_that_names_the_piece() {
        let error = tokens(&[3, b'a', b'b']).err().unwrap().to_string();
        assert!(error.contains("piece 0"), "{error}");
    }
}
