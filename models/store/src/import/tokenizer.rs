//! The pieces of a tokenizer, in the order of their ids.

use serde_json::Value;
use std::io::Cursor;
use swictation_onnx::wire::{Value as Field, Wire};

/// Pieces of a SentencePiece model (`sentencepiece_model.proto`: the pieces are field
/// 1 of `ModelProto`, their text is field 1, their type field 3).
///
/// # Errors
/// What is wrong, as the end of a sentence about the file.
pub(super) fn sentencepiece(bytes: &[u8]) -> Result<Vec<String>, String> {
    const BYTE: u64 = 6;
    let mut pieces = Vec::new();
    let mut bytewise = false;
    let read = Wire::new(Cursor::new(bytes)).and_then(|(mut wire, end)| {
        wire.message(end, &mut |wire, number, value| {
            let (1, Field::Until(end)) = (number, value) else { return Ok(()) };
            wire.count()?;
            let mut piece = String::new();
            wire.message(end, &mut |wire, number, value| {
                match number {
                    1 => piece = wire.text(value)?,
                    3 => bytewise |= wire.integer(value)? == BYTE,
                    _ => {}
                }
                Ok(())
            })?;
            pieces.push(piece);
            Ok(())
        })
    });
    read.map_err(|e| format!("is no SentencePiece model: {e}"))?;
    match pieces.is_empty() {
        true => Err("is no SentencePiece model: it has no pieces".into()),
        false if bytewise => {
            Err("has pieces of single bytes (byte_fallback), which are not supported".into())
        }
        false => Ok(pieces),
    }
}

/// Pieces of a `tokenizer.json` of Hugging Face's tokenizers: the vocabulary of its
/// model and the tokens that were added to it.
///
/// # Errors
/// As [`sentencepiece`].
pub(super) fn json(bytes: &[u8]) -> Result<Vec<String>, String> {
    let tokenizer: Value = serde_json::from_slice(bytes).map_err(|e| format!("is no JSON: {e}"))?;
    let mut pieces: Vec<Option<String>> = Vec::new();
    let mut put = |id: Option<u64>, piece: Option<&str>| {
        // An entry takes four bytes at least: no id is larger, where none is missing.
        let id = id.and_then(|id| usize::try_from(id).ok()).filter(|id| *id < bytes.len() / 4);
        let (Some(id), Some(piece)) = (id, piece) else { return Err("has a token without a usable id") };
        pieces.resize(pieces.len().max(id + 1), None);
        pieces[id] = Some(piece.to_owned());
        Ok(())
    };
    match &tokenizer["model"]["vocab"] {
        Value::Object(vocabulary) => {
            for (piece, id) in vocabulary {
                put(id.as_u64(), Some(piece))?;
            }
        }
        Value::Array(vocabulary) => {
            for (id, entry) in vocabulary.iter().enumerate() {
                put(Some(id as u64), entry[0].as_str())?;
            }
        }
        _ => return Err("has no model.vocab: it is no tokenizer.json of Hugging Face's tokenizers".into()),
    }
    for added in tokenizer["added_tokens"].as_array().into_iter().flatten() {
        put(added["id"].as_u64(), added["content"].as_str())?;
    }
    let count = pieces.len();
    let missing = pieces.iter().position(Option::is_none);
    match missing {
        Some(id) => Err(format!("has no token for the id {id} of {count}")),
        None => Ok(pieces.into_iter().flatten().collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_tokenizer_give_their_pieces_in_order() {
        let bpe =
            br#"{"model": {"vocab": {"b": 1, "a": 0}}, "added_tokens": [{"id": 2, "content": "<EOU>"}]}"#;
        assert_eq!(json(bpe).unwrap(), ["a", "b", "<EOU>"]);
        assert_eq!(json(br#"{"model": {"vocab": [["x", -1.0], ["y", -2.0]]}}"#).unwrap(), ["x", "y"]);
        let piece =
            |text: &str| [&[10, text.len() as u8 + 2, 10, text.len() as u8], text.as_bytes()].concat();
        assert_eq!(sentencepiece(&[piece("a"), piece("\u{2581}b")].concat()).unwrap(), ["a", "\u{2581}b"]);
    }

    #[test]
    fn what_is_no_tokenizer_is_refused() {
        assert!(json(br#"{"model": {"vocab": {"a": 0, "b": 2}}}"#).unwrap_err().contains("id 1 of 3"));
        assert!(json(br#"{"model": {"vocab": {"a": 99999999999}}}"#).unwrap_err().contains("usable id"));
        assert!(json(b"{}").unwrap_err().contains("no model.vocab"));
        assert!(sentencepiece(b"hello").unwrap_err().contains("no SentencePiece model"));
        assert!(sentencepiece(b"").unwrap_err().contains("no pieces"));
        assert!(sentencepiece(&[10, 5, 10, 1, b'a', 24, 6]).unwrap_err().contains("byte_fallback"));
    }
}
