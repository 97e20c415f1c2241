//! Tokens to words.
//!
//! A vocabulary file has one `piece id` a line in the order of the ids, where the
//! decoder has a blank, that last; a piece that begins a word begins with "▁". [`Words`] puts the pieces
//! of a stream together. A greedy decoder takes no token back, so a word is
//! frozen as soon as the next one begins; only the newest may still get a piece.
//! Pieces in angle brackets steer the model and are never typed.

use crate::boost::Pieces;
use crate::decoder::Token;
use crate::{AsrError, Belief, files, state};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use swictation_core::{SamplePos, Word};

const WORD_START: char = '▁';

/// The pieces of a model, by token.
#[derive(Debug)]
pub struct Vocabulary {
    pieces: Vec<String>,
    file: PathBuf,
}

impl Vocabulary {
    /// Reads a vocabulary file (`vocab.txt`, `tokens.txt`) that ends with the blank.
    ///
    /// # Errors
    /// `Model` naming the line that is missing, doubled or not of the form `piece id`.
    pub fn read(file: &Path) -> Result<Self, AsrError> {
        let new = Self::parse(file, false)?;
        match new.pieces.last() {
            Some(blank) if is_special(blank) && new.pieces.len() > 1 => Ok(new),
            _ => {
                let line = new.pieces.len();
                let reason = format!("line {line}: the last piece must be the blank, such as <blk>");
                Err(AsrError::Model { file: file.to_path_buf(), reason })
            }
        }
    }

    /// Reads a vocabulary file of a decoder that has no blank. A piece may be there
    /// more than once: NeMo's `AggregateTokenizer` puts those of several languages
    /// one after the other.
    ///
    /// # Errors
    /// `Model` naming the line that is missing or not of the form `piece id`.
    pub fn read_without_blank(file: &Path) -> Result<Self, AsrError> {
        Self::parse(file, true)
    }

    fn parse(file: &Path, doubled: bool) -> Result<Self, AsrError> {
        let fail = |reason: String| AsrError::Model { file: file.to_path_buf(), reason };
        let text =
            files::read_text(file, files::VOCABULARY).map_err(|e| fail(format!("cannot be read: {e}")))?;
        let mut seen = HashMap::new();
        let mut pieces = Vec::new();
        for (i, line) in text.lines().enumerate() {
            let fail = |reason: String| Err(fail(format!("line {}: {reason}", i + 1)));
            let Some((piece, id)) = line.rsplit_once(' ') else {
                return fail(format!("{:?} is not of the form `piece id`", files::clip(line)));
            };
            if id.parse() != Ok(i) {
                return fail(format!(
                    "the id is {} where {i} was expected; a line is missing or doubled",
                    files::clip(id)
                ));
            }
            if piece.is_empty() || piece.contains(char::is_whitespace) {
                return fail(format!("{:?} cannot be a piece of a word", files::clip(piece)));
            }
            if piece.len() == 6 && piece.starts_with("<0x") {
                return fail(format!(
                    "{piece:?} is a byte; vocabularies with single bytes are not supported"
                ));
            }
            if let Some(before) = seen.insert(piece, i + 1).filter(|_| !doubled) {
                return fail(format!("{piece:?} is already on line {before}"));
            }
            pieces.push(piece.to_owned());
        }
        if pieces.is_empty() {
            return Err(fail("holds no pieces".to_owned()));
        }
        Ok(Self { pieces, file: file.to_path_buf() })
    }

    /// The blank's number, which is the number of all other pieces.
    pub fn blank(&self) -> usize {
        self.pieces.len() - 1
    }

    /// The number of pieces.
    pub fn size(&self) -> usize {
        self.pieces.len()
    }

    /// The token of a piece, the first of several.
    ///
    /// # Errors
    /// `Model` when there is no such piece.
    pub fn token(&self, piece: &str) -> Result<u32, AsrError> {
        let found = self.pieces.iter().position(|known| known == piece);
        found.and_then(|id| u32::try_from(id).ok()).ok_or_else(|| AsrError::Model {
            file: self.file.clone(),
            reason: format!("there is no piece {piece:?}, which model.toml asks for"),
        })
    }

    /// Whether a token begins a word.
    pub fn begins_word(&self, id: u32) -> bool {
        self.piece(id).starts_with(WORD_START)
    }

    /// The graph at `graph` scores `width` tokens, which must be these pieces.
    pub fn expect_width(&self, width: usize, graph: &Path) -> Result<(), AsrError> {
        if width == self.pieces.len() {
            return Ok(());
        }
        let reason = format!(
            "line {}: the file ends with {} pieces where {} scores {width} tokens",
            self.pieces.len(),
            self.pieces.len(),
            graph.display()
        );
        Err(AsrError::Model { file: self.file.clone(), reason })
    }

    /// The pieces that stand for text, with their tokens.
    pub(crate) fn pieces(&self) -> Pieces<'_> {
        let all = (0..).zip(&self.pieces).filter(|(_, piece)| !is_special(piece));
        Pieces::new(all.map(|(id, piece)| (id, piece.as_bytes())))
    }

    fn piece(&self, id: u32) -> &str {
        self.pieces.get(id as usize).map_or("", String::as_str)
    }
}

fn is_special(piece: &str) -> bool {
    piece.len() > 2 && piece.starts_with('<') && piece.ends_with('>')
}

/// A word that may still get a piece.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Open {
    text: String,
    first: u64,
    last: u64,
    probability: f32,
    tokens: Vec<u32>,
}

/// The words of one utterance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Words {
    begin: SamplePos,
    /// Samples per encoder frame.
    frame: u64,
    /// Words at the beginning that are typed already.
    typed: usize,
    /// Words completed so far, with the typed ones.
    completed: usize,
    fresh: Vec<Word>,
    /// Ends of utterances: fresh words before one, and its position.
    ends: Vec<(usize, SamplePos)>,
    open: Option<Open>,
    /// A word was said since the last end.
    said: bool,
}

impl Words {
    /// No words yet; the first sample is at `begin`, an encoder frame has `frame`
    /// samples, and the first `typed` words are not to be handed over again.
    pub fn new(begin: SamplePos, frame: u64, typed: usize) -> Self {
        let (fresh, ends) = (Vec::new(), Vec::new());
        Self { begin, frame, typed, completed: 0, fresh, ends, open: None, said: false }
    }

    /// Goes on with the words of another recognizer of the same model.
    ///
    /// # Errors
    /// `Checkpoint` when its frames have another length.
    pub(crate) fn restore(&mut self, words: Self) -> Result<(), AsrError> {
        state::expect(words.frame == self.frame, "the length of its encoder frames")?;
        *self = words;
        Ok(())
    }

    /// Takes in the next token.
    pub fn push(&mut self, token: Token, vocabulary: &Vocabulary) {
        let piece = vocabulary.piece(token.id);
        if is_special(piece) {
            return;
        }
        for (i, part) in piece.split(WORD_START).enumerate() {
            if i > 0 {
                self.complete();
            }
            // The mark counts as the beginning of the word that follows it, also
            // when it is a token of its own.
            if i == 0 && part.is_empty() {
                continue;
            }
            let word = self.open.get_or_insert_with(|| Open {
                text: String::new(),
                first: token.frame,
                last: token.frame,
                probability: 0.0,
                tokens: Vec::new(),
            });
            word.text.push_str(part);
            word.last = token.frame + u64::from(token.duration.max(1)) - 1;
            word.probability += token.probability;
            word.tokens.push(token.id);
        }
    }

    /// The newest word gets no more pieces.
    pub fn complete(&mut self) {
        if let Some(word) = self.newest() {
            if self.completed >= self.typed {
                self.fresh.push(word);
            }
            self.completed += 1;
            self.said = true;
        }
        self.open = None;
    }

    /// The utterance is over before the encoder frame `frame`: its newest word gets no
    /// more pieces. Where nothing was said since the last end there is none.
    pub fn end(&mut self, frame: u64) {
        self.complete();
        if std::mem::take(&mut self.said) {
            self.ends.push((self.fresh.len(), self.begin + frame * self.frame));
        }
    }

    /// The words frozen since the last belief and the newest word, with the
    /// tokens that the step added.
    pub fn belief(&mut self, tokens: &[Token]) -> Belief {
        let mut words = std::mem::take(&mut self.fresh);
        let frozen = words.len();
        if self.completed >= self.typed {
            words.extend(self.newest());
        }
        Belief {
            words,
            frozen,
            tokens: tokens.iter().map(|token| token.id).collect(),
            frames: tokens.iter().map(|token| u32::try_from(token.frame).unwrap_or(u32::MAX)).collect(),
            ends: std::mem::take(&mut self.ends),
        }
    }

    fn newest(&self) -> Option<Word> {
        let open = self.open.as_ref().filter(|open| !open.text.is_empty())?;
        Some(Word {
            text: open.text.clone(),
            glued: false,
            start: self.begin + open.first * self.frame,
            end: self.begin + (open.last + 1) * self.frame,
            confidence: (open.probability / open.tokens.len() as f32).clamp(0.0, 1.0),
            tokens: open.tokens.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(pieces: &[&str], typed: usize) -> (Vec<Belief>, Belief) {
        let vocabulary =
            Vocabulary { pieces: pieces.iter().map(|p| (*p).to_owned()).collect(), file: "v".into() };
        let mut words = Words::new(SamplePos(1000), 1280, typed);
        let token = |id| Token { id, frame: u64::from(id), duration: 1, probability: 0.5 };
        let steps = (0..pieces.len() as u32).map(|id| {
            words.push(token(id), &vocabulary);
            words.belief(&[token(id)])
        });
        let steps = steps.collect();
        words.complete();
        (steps, words.belief(&[]))
    }

    fn texts(belief: &Belief) -> Vec<&str> {
        belief.words.iter().map(|word| word.text.as_str()).collect()
    }

    #[test]
    fn a_word_grows_and_freezes_when_the_next_begins() {
        let (steps, end) = words(&["▁ne", "ver", ",", "▁mind"], 0);
        assert_eq!(
            steps.iter().map(texts).collect::<Vec<_>>(),
            [vec!["ne"], vec!["never"], vec!["never,"], vec!["never,", "mind"]]
        );
        assert_eq!(steps.iter().map(|belief| belief.frozen).collect::<Vec<_>>(), [0, 0, 0, 1]);
        assert_eq!((texts(&end), end.frozen), (vec!["mind"], 1));
        let never = &steps[3].words[0];
        assert_eq!((never.start, never.end), (SamplePos(1000), SamplePos(1000 + 3 * 1280)));
        assert!((never.confidence - 0.5).abs() < 1e-6);
    }

    #[test]
    fn a_mark_of_its_own_begins_a_word() {
        let (steps, end) = words(&["a", "▁", "▁", "b", "▁c"], 0);
        assert_eq!(texts(&steps[2]), Vec::<&str>::new());
        assert_eq!(texts(&steps[4]), ["b", "c"]);
        assert_eq!(texts(&end), ["c"]);
    }

    #[test]
    fn steering_pieces_are_not_typed() {
        let (_, end) = words(&["▁a", "<unk>", "b", "<EOU>"], 0);
        assert_eq!(texts(&end), ["ab"]);
    }

    #[test]
    fn an_end_freezes_the_newest_word_and_is_told_once() {
        let vocabulary =
            Vocabulary { pieces: ["▁a", "b", "▁c"].map(String::from).to_vec(), file: "v".into() };
        let mut words = Words::new(SamplePos(1000), 1280, 0);
        let token = |id, frame| Token { id, frame, duration: 1, probability: 0.5 };
        words.end(1);
        words.push(token(0, 2), &vocabulary);
        words.end(4);
        words.end(5);
        words.push(token(2, 6), &vocabulary);
        let belief = words.belief(&[]);
        assert_eq!((texts(&belief), belief.frozen), (vec!["a", "c"], 1));
        assert_eq!(belief.ends, [(1, SamplePos(1000 + 4 * 1280))], "silence ends nothing");
        words.push(token(1, 7), &vocabulary);
        words.end(8);
        let belief = words.belief(&[]);
        assert_eq!((texts(&belief), belief.frozen, belief.ends.len()), (vec!["cb"], 1, 1));
        assert_eq!(words.belief(&[]).ends, []);
    }

    #[test]
    fn typed_words_are_counted_and_left_out() {
        let (steps, end) = words(&["▁a", "b", "▁c", "▁d"], 2);
        assert!(steps[..3].iter().all(|belief| belief.words.is_empty()));
        assert_eq!(texts(&steps[3]), ["d"]);
        assert_eq!((texts(&end), end.frozen), (vec!["d"], 1));
        assert_eq!(steps[0].tokens, [0], "the tokens are those of the model");
    }
}
