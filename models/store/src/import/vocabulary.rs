//! Where the vocabulary is, and whether it is the graphs' own.
//!
//! The recognizer reads `piece id` lines, for all families but attention decoders
//! with the blank last. A tokenizer is turned into such a file; so is a vocabulary
//! without its blank.

use super::choose::Chosen;
use super::folder::Folder;
use super::layout::Layout;
use super::{Head, Wish, role, tokenizer, wrong};
use crate::StoreError;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Vocabularies and tokenizers have up to a few megabytes.
const MAX_FILE: u64 = 16 << 20;
/// Released TDT models have five durations.
const MAX_DURATIONS: usize = 64;
const BLANK: &str = "<blk>";

/// The pieces of a model.
pub(super) struct Vocabulary {
    /// Without the blank.
    pub(super) pieces: Vec<String>,
    /// Where they come from.
    pub(super) source: PathBuf,
    /// The file's text and how it came about, where one is to be written; else the
    /// source is used as it is.
    pub(super) made: Option<(String, &'static str)>,
    /// TDT: how many durations are scored behind pieces and blank.
    pub(super) durations: usize,
}

/// What a file holds.
struct Pieces {
    pieces: Vec<String>,
    /// Whether it is `piece id` lines, with a blank or without.
    plain: Option<bool>,
}

impl Vocabulary {
    /// Finds the vocabulary of the graphs that were chosen and holds it against them.
    pub(super) fn find(
        folder: &Folder,
        chosen: &Chosen,
        layout: &Layout,
        wish: &Wish,
    ) -> Result<Vocabulary, StoreError> {
        let source = match &wish.vocabulary {
            Some(file) => file.canonicalize().map_err(|e| StoreError::local(file, "cannot be read", &e))?,
            None => source(folder, layout)?,
        };
        let Pieces { pieces, plain } = read(&source)?;
        let durations = expect_fit(folder, chosen, pieces.len(), &source)?;
        let wants_blank = chosen.head != Head::Aed;
        let inside = source.parent() == Some(folder.path.as_path());
        let how = match plain {
            None => "made from the tokenizer",
            Some(false) if wants_blank => "with the blank added",
            Some(_) if !inside => "copied",
            Some(_) => return Ok(Vocabulary { pieces, source, made: None, durations }),
        };
        let blank = wants_blank.then_some(BLANK);
        let all = pieces.iter().map(String::as_str).chain(blank);
        let text = all.enumerate().map(|(id, piece)| format!("{piece} {id}\n")).collect();
        Ok(Vocabulary { pieces, source, made: Some((text, how)), durations })
    }

    /// Whether there is such a piece.
    pub(super) fn has(&self, piece: &str) -> bool {
        self.pieces.iter().any(|known| known == piece)
    }
}

/// The likeliest file.
fn source(folder: &Folder, layout: &Layout) -> Result<PathBuf, StoreError> {
    for name in layout.vocabularies {
        if folder.files.contains(*name) {
            let place = folder.at(name);
            // NeMo's own vocab.txt has pieces without ids, in another spelling; the
            // tokenizer that it was made with is beside it.
            let bare = *name == "vocab.txt"
                && !text(&place)?.lines().next().is_some_and(|line| line.ends_with(" 0"));
            if !(bare && folder.files.iter().any(|file| file.ends_with("tokenizer.model"))) {
                return Ok(place);
            }
        }
    }
    // In a .nemo archive a hash stands before the name.
    let mut tokenizers = folder.files.iter().filter(|file| file.ends_with("tokenizer.model"));
    match (tokenizers.next(), tokenizers.next()) {
        (Some(file), None) => Ok(folder.at(file)),
        (Some(first), Some(second)) => Err(wrong(
            &folder.path,
            format!("has more than one tokenizer: {first} and {second}; --vocabulary FILE says which"),
        )),
        _ => Err(wrong(
            &folder.path,
            format!(
                "has no vocabulary: {} is expected ({}). NeMo writes none: the tokenizer.model in the .nemo file, \
                 which is a tar archive, is what to put there, or to name with --vocabulary FILE",
                layout.vocabularies.join(", or "),
                layout.name
            ),
        )),
    }
}

/// The bytes of a file that is not too long to be a vocabulary.
fn bytes(file: &Path) -> Result<Vec<u8>, StoreError> {
    let local = |e| StoreError::local(file, "cannot be read", &e);
    if !std::fs::metadata(file).map_err(local)?.is_file() {
        return Err(wrong(file, "is no regular file"));
    }
    let mut bytes = Vec::new();
    File::open(file).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes)).map_err(local)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(wrong(file, "has more than 16 MiB; that is no vocabulary"));
    }
    Ok(bytes)
}

fn text(file: &Path) -> Result<String, StoreError> {
    String::from_utf8(bytes(file)?).map_err(|_| wrong(file, "is no UTF-8 text; a vocabulary is expected"))
}

fn read(file: &Path) -> Result<Pieces, StoreError> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    if name.ends_with(".model") {
        let pieces = tokenizer::sentencepiece(&bytes(file)?).map_err(|reason| wrong(file, reason))?;
        return checked(file, Pieces { pieces, plain: None });
    }
    if name.ends_with(".json") {
        let pieces = tokenizer::json(&bytes(file)?).map_err(|reason| wrong(file, reason))?;
        return checked(file, Pieces { pieces, plain: None });
    }
    let text = text(file)?;
    let mut pieces = Vec::new();
    for (id, line) in text.lines().enumerate() {
        let fail = |reason: String| Err(wrong(file, format!("line {}: {reason}", id + 1)));
        let Some((piece, number)) = line.rsplit_once(' ') else {
            return fail(format!("{line:?} is not of the form `piece id`"));
        };
        if number.parse() != Ok(id) {
            return fail(format!("the id is {number} where {id} was expected"));
        }
        pieces.push(piece.to_owned());
    }
    let is_blank = |piece: &String| ["<blk>", "<blank>", "<eps>"].contains(&piece.as_str());
    let blank = pieces.pop_if(|piece| is_blank(piece)).is_some();
    if let Some(id) = pieces.iter().position(is_blank) {
        return Err(wrong(file, format!("line {}: the blank must come last", id + 1)));
    }
    checked(file, Pieces { pieces, plain: Some(blank) })
}

/// Refuses pieces that the recognizer cannot type.
fn checked(file: &Path, read: Pieces) -> Result<Pieces, StoreError> {
    if read.pieces.is_empty() {
        return Err(wrong(file, "has no pieces"));
    }
    for (id, piece) in read.pieces.iter().enumerate() {
        if piece.is_empty() || piece.contains(char::is_whitespace) {
            return Err(wrong(file, format!("piece {id}: {piece:?} cannot be a piece of a word")));
        }
        if piece.len() == 6 && piece.starts_with("<0x") {
            return Err(wrong(
                file,
                format!("piece {id}: {piece:?} is a byte; vocabularies with single bytes are not supported"),
            ));
        }
    }
    Ok(read)
}

/// Holds the number of pieces against what the graphs score; for TDT, how many
/// durations are behind them.
fn expect_fit(folder: &Folder, chosen: &Chosen, pieces: usize, source: &Path) -> Result<usize, StoreError> {
    let last = match chosen.head {
        Head::Ctc => "encoder",
        Head::Aed => "decoder",
        Head::Rnnt | Head::Tdt if chosen.graph(folder, "joiner").is_some() => "joiner",
        Head::Rnnt | Head::Tdt => "decoder_joint",
    };
    let Some(graph) = chosen.graph(folder, last) else { return Ok(0) };
    let scores = role::port(&graph.header.outputs, &["logits", "logprob", "log_prob"]);
    let scores = scores.or_else(|| role::signal(&graph.header.outputs));
    let width = scores.and_then(|port| port.dims.as_ref()?.last()?.fixed());
    let (Some(scores), Some(width)) = (scores, width) else {
        return Err(wrong(
            &folder.at(&graph.file),
            format!("leaves open how many tokens it scores; it {}", role::ports(graph)),
        ));
    };
    let width = usize::try_from(width).unwrap_or(usize::MAX);
    let blank = usize::from(chosen.head != Head::Aed);
    let fail = |there: usize| {
        let with = if blank == 1 { " with the blank" } else { "" };
        Err(wrong(
            source,
            format!(
                "has {} pieces{with}, where {} is made for {there} (tensor {:?}): it is the vocabulary of another model",
                pieces + blank,
                graph.file,
                scores.name
            ),
        ))
    };
    match chosen.head {
        Head::Aed => {
            // NeMo widens the classifier to the next multiple of eight.
            let fits = pieces <= width && width - pieces < 8;
            if fits { Ok(0) } else { fail(width) }
        }
        Head::Ctc => {
            if width == pieces + 1 {
                Ok(0)
            } else {
                fail(width)
            }
        }
        Head::Rnnt | Head::Tdt => {
            // The predictor's embedding has a row for each piece and the blank.
            let predictor = chosen.graph(folder, "decoder").unwrap_or(graph);
            let embeds = |name: &str| name.contains("prediction.embed.weight");
            let rows =
                predictor.header.tensors.iter().find(|tensor| embeds(&tensor.name) && tensor.dims.len() == 2);
            let rows = rows.and_then(|tensor| usize::try_from(tensor.dims[0]).ok());
            match (rows, width.checked_sub(pieces + 1)) {
                (Some(rows), _) if rows != pieces + 1 => fail(rows),
                (None, Some(1..)) if chosen.head != Head::Tdt => Err(wrong(
                    &folder.at(&graph.file),
                    format!(
                        "scores {width} where {} has {} pieces with the blank: a TDT model with {} durations, or the \
                         vocabulary of another model; --head tdt says that it is the first",
                        source.display(),
                        pieces + 1,
                        width - pieces - 1
                    ),
                )),
                (_, Some(0)) if chosen.head == Head::Tdt => Err(wrong(
                    &folder.at(&graph.file),
                    format!(
                        "scores {width} tokens and no durations (tensor {:?}): it is no TDT model",
                        scores.name
                    ),
                )),
                (_, Some(durations)) if durations > MAX_DURATIONS => fail(width),
                (_, Some(durations)) => Ok(durations),
                (_, None) => fail(width),
            }
        }
    }
}
