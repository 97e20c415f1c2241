//! Moonshine's vocabulary: token ids to bytes to words.
//!
//! `tokenizer.bin` is the list of SentencePiece pieces in id order, each with a
//! length of one byte, or of two when the first is 128 or more (low seven bits
//! first). A piece that begins with "▁" begins a word; the pieces of a word are
//! joined as bytes, because characters outside the vocabulary are spelled with
//! single-byte pieces.

use crate::boost::Pieces;
use crate::{AsrError, files};
use std::path::Path;

/// The id the decoder starts from.
pub(super) const START: u32 = 1;
/// The id that ends an utterance.
pub(super) const END: u32 = 2;

const SPACE: &[u8] = "▁".as_bytes();

/// The pieces by id.
pub(super) struct Tokens {
    pieces: Vec<Vec<u8>>,
}

/// Consecutive tokens that make one word.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spelled {
    /// The word, without the space before it.
    pub(super) text: String,
    /// How many tokens it took.
    pub(super) tokens: usize,
}

impl Tokens {
    pub(super) fn read(path: &Path) -> Result<Self, AsrError> {
        let fail = |reason: String| AsrError::Model { file: path.to_path_buf(), reason };
        let bytes = files::read(path, files::VOCABULARY).map_err(|e| fail(format!("cannot be read: {e}")))?;
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
        Ok(Self { pieces })
    }

    #[cfg(test)]
    pub(super) fn of(pieces: &[&str]) -> Self {
        Self { pieces: pieces.iter().map(|piece| piece.as_bytes().to_vec()).collect() }
    }

    pub(super) fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Whether the token stands for text; markers such as `<s>` or `<<ST_7>>` do not.
    pub(super) fn is_text(&self, id: u32) -> bool {
        id > END && self.pieces.get(id as usize).is_some_and(|p| !p.is_empty() && !p.starts_with(b"<<ST_"))
    }

    /// The pieces that stand for text, with their tokens. A letter has a piece of its own
    /// and, earlier in the list, the one of its byte, which is for other letters.
    pub(super) fn pieces(&self) -> Pieces<'_> {
        let all = (0..).zip(&self.pieces).filter(|(id, _)| self.is_text(*id)).collect::<Vec<_>>();
        Pieces::new(all.into_iter().rev().map(|(id, piece)| (id, piece.as_slice())))
    }

    /// Splits tokens into words; tokens that stand for no text belong to the
    /// word they follow.
    pub(super) fn words(&self, ids: &[u32]) -> Vec<Spelled> {
        let mut words: Vec<(Vec<u8>, usize)> = Vec::new();
        for &id in ids {
            let piece: &[u8] = if self.is_text(id) { &self.pieces[id as usize] } else { &[] };
            let begins = piece.strip_prefix(SPACE);
            match words.last_mut() {
                // A lone "▁" followed by the word's first piece is still one word.
                Some((word, tokens)) if begins.is_none() || word.is_empty() => {
                    word.extend_from_slice(begins.unwrap_or(piece));
                    *tokens += 1;
                }
                _ => words.push((begins.unwrap_or(piece).to_vec(), 1)),
            }
        }
        words.into_iter().map(|(word, tokens)| Spelled { text: clean(&word), tokens }).collect()
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

    fn texts(ids: &[u32]) -> Vec<(String, usize)> {
        sample().words(ids).into_iter().map(|w| (w.text, w.tokens)).collect()
    }

    #[test]
    fn pieces_join_into_words_with_their_punctuation() {
        assert_eq!(texts(&[3, 4, 5, 6]), [("ever".into(), 1), ("tried,".into(), 3)]);
    }

    #[test]
    fn a_word_needs_no_space_at_the_very_front() {
        assert_eq!(texts(&[5, 3]), [("ied".into(), 1), ("ever".into(), 1)]);
    }

    #[test]
    fn bytes_of_one_character_join_across_tokens() {
        assert_eq!(texts(&[7, 9, 10]), [("é".into(), 3)]);
    }

    #[test]
    fn markers_stand_for_no_text() {
        assert_eq!(texts(&[3, 8, 1]), [("ever".into(), 3)]);
    }

    #[test]
    fn a_cut_file_is_an_error_that_names_the_piece() {
        let error = tokens(&[3, b'a', b'b']).err().unwrap().to_string();
        assert!(error.contains("piece 0"), "{error}");
    }
}
