//! A phrase in the pieces of a model's vocabulary.
//!
//! A model favours one of many ways to cut a word into pieces, which is the one that
//! its tokenizer cut the training texts in. Most are trained by byte-pair encoding
//! (Sennrich et al., 2016), whose pieces stand in the order in which they were merged;
//! doing the merges again gives its cut. Where a tokenizer is of another kind, longest
//! pieces first is often its cut, so a phrase is expected in that, too.

use std::collections::HashMap;

const SPACE: char = '▁';

/// The pieces that stand for text.
pub(crate) struct Pieces<'a> {
    ids: HashMap<&'a [u8], u32>,
}

impl<'a> Pieces<'a> {
    /// Of equal pieces the first counts, in the order of this list; the numbers tell
    /// which was merged earlier.
    pub(crate) fn new(pieces: impl IntoIterator<Item = (u32, &'a [u8])>) -> Self {
        let mut ids = HashMap::new();
        for (id, piece) in pieces {
            ids.entry(piece).or_insert(id);
        }
        Self { ids }
    }

    /// The ways in which the model may write `phrase`: as it stands and as a sentence
    /// begins with it, and only where it has no such letters, in small ones. What is
    /// favoured is typed, so nothing else is. None when it has no pieces for it.
    pub(super) fn spellings(&self, phrase: &str) -> Vec<Vec<u32>> {
        let cuts = |text: &str| -> Vec<Vec<u32>> {
            let words: Vec<String> = text.split_whitespace().map(|word| format!("{SPACE}{word}")).collect();
            let cut = |by: fn(&Self, &str) -> Option<Vec<u32>>| {
                words.iter().map(|word| by(self, word)).collect::<Option<Vec<_>>>().map(|cut| cut.concat())
            };
            [cut(Self::merged), cut(Self::longest)].into_iter().flatten().collect()
        };
        let mut spellings = [cuts(phrase), cuts(&capitalised(phrase))].concat();
        if spellings.is_empty() {
            spellings = cuts(&phrase.to_lowercase());
        }
        spellings.sort_unstable();
        spellings.dedup();
        spellings
    }

    /// Merges neighbours into the piece that comes first among all, again and again.
    fn merged(&self, word: &str) -> Option<Vec<u32>> {
        let mut ends: Vec<usize> = word.char_indices().map(|(at, _)| at).skip(1).collect();
        ends.push(word.len());
        let word = word.as_bytes();
        loop {
            let begin = |i: usize| if i == 0 { 0 } else { ends[i - 1] };
            let pairs = (1..ends.len()).filter_map(|i| {
                let id = self.ids.get(&word[begin(i - 1)..ends[i]])?;
                Some((*id, i - 1))
            });
            let Some((_, first)) = pairs.min() else { break };
            ends.remove(first);
        }
        let mut from = 0;
        let mut tokens = Vec::new();
        for end in ends {
            match self.ids.get(&word[from..end]) {
                Some(id) => tokens.push(*id),
                // A letter without a piece of its own is spelled by its bytes, if by anything.
                None => tokens.extend(self.bytes(&word[from..end])?),
            }
            from = end;
        }
        Some(tokens)
    }

    /// Takes the longest piece that the rest begins with, again and again.
    fn longest(&self, word: &str) -> Option<Vec<u32>> {
        let mut tokens = Vec::new();
        let mut rest = word;
        while let Some(letter) = rest.chars().next() {
            let ends = rest.char_indices().map(|(at, letter)| at + letter.len_utf8());
            let mut pieces =
                ends.filter_map(|end| self.ids.get(&rest.as_bytes()[..end]).map(|id| (end, *id)));
            let end = match pieces.next_back() {
                Some((end, id)) => {
                    tokens.push(id);
                    end
                }
                None => {
                    tokens.extend(self.bytes(&rest.as_bytes()[..letter.len_utf8()])?);
                    letter.len_utf8()
                }
            };
            rest = &rest[end..];
        }
        Some(tokens)
    }

    fn bytes(&self, letter: &[u8]) -> Option<Vec<u32>> {
        letter.iter().map(|byte| self.ids.get([*byte].as_slice()).copied()).collect()
    }
}

/// With a capital at the front.
fn capitalised(phrase: &str) -> String {
    let mut letters = phrase.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(pieces: &[&str], phrase: &str) -> Vec<String> {
        let all = pieces.iter().zip(0..).map(|(piece, id)| (id, piece.as_bytes()));
        let spellings = Pieces::new(all).spellings(phrase);
        let text = |tokens: &Vec<u32>| tokens.iter().map(|id| pieces[*id as usize]).collect::<Vec<_>>();
        spellings.iter().map(|tokens| text(tokens).join(" ")).collect()
    }

    #[test]
    fn a_word_is_cut_as_its_pieces_were_merged_and_by_the_longest() {
        let pieces = ["▁a", "bc", "▁ab", "c", "d", "b", "▁", "a"];
        assert_eq!(spelled(&pieces, "abcd"), ["▁a bc d", "▁ab c d"]);
    }

    #[test]
    fn a_phrase_is_as_it_stands_or_begins_a_sentence() {
        let pieces = ["▁", "a", "b", "A", "B"];
        assert_eq!(spelled(&pieces, "ab ba"), ["▁ a b ▁ b a", "▁ A b ▁ b a"]);
        assert_eq!(spelled(&pieces, "AB"), ["▁ A B"]);
    }

    #[test]
    fn a_model_without_capitals_gets_small_letters() {
        assert_eq!(spelled(&["▁", "a", "b"], "Ab"), ["▁ a b"]);
    }

    #[test]
    fn a_letter_without_a_piece_is_spelled_by_its_bytes_or_not_at_all() {
        let by_byte: [(u32, &[u8]); 3] = [(1, "▁".as_bytes()), (2, &[0xc3]), (3, &[0xa9])];
        assert_eq!(Pieces::new(by_byte).spellings("é"), [vec![1, 2, 3]]);
        assert_eq!(spelled(&["▁", "a"], "aé"), [""; 0]);
    }

    #[test]
    fn the_first_of_equal_pieces_counts() {
        let twice: [(u32, &[u8]); 3] = [(7, b"a"), (3, b"a"), (1, "▁".as_bytes())];
        assert_eq!(Pieces::new(twice).spellings("a"), [vec![1, 7]]);
    }
}
