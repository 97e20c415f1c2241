"""A tokenizer for the seeded models, fitted to text of our own."""

from pathlib import Path

import sentencepiece

TEXT = """the daemon listens and types what it has heard into the window that has the focus
a word is typed when nothing that is still to be said can change it
the model hears a chunk of sound and remembers what came before it
when the voice pauses the rest of the sentence follows at once
a key starts the dictation and the same key stops it again
numbers and names are harder than the small words between them
the graph is loaded once and answers in a few milliseconds
nothing that was said leaves the machine and nothing is written down"""

# What Canary's tokenizer knows besides text.
CANARY = [
    "<pad>", "<|endoftext|>", "<|startoftranscript|>", "<|startofcontext|>", "<|emo:undefined|>", "<|nospeech|>",
    "<|pnc|>", "<|nopnc|>", "<|itn|>", "<|noitn|>", "<|timestamp|>", "<|notimestamp|>", "<|diarize|>",
    "<|nodiarize|>", "<|en|>", "<|de|>", "<|es|>", "<|fr|>",
]
PIECES = 64


def tokenizer(folder, spec):
    """Writes a SentencePiece model as NeMo wants it into `folder`, and returns that."""
    folder.mkdir(parents=True, exist_ok=True)
    text = folder / "text.txt"
    text.write_text(TEXT + "\n")
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(folder / "tokenizer"), vocab_size=PIECES, model_type="bpe", bos_id=-1,
        eos_id=-1, pad_id=-1, unk_id=0, user_defined_symbols=CANARY if spec.kind == "aed" else [],
        character_coverage=1.0, normalization_rule_name="identity", minloglevel=2,
    )
    finish(folder / "tokenizer.model", ["<EOU>", "<EOB>"] if spec.end_of_utterance else [])
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    named = [pieces.id_to_piece(i) for i in range(1, pieces.get_piece_size())]
    # NeMo's vocab.txt beside it is in WordPiece spelling: '##' goes on with a word.
    spelled = (p[1:] if p.startswith("\u2581") and len(p) > 1 else "##" + p for p in named)
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in spelled))
    return folder


def finish(model, pieces):
    """Adds pieces with ids behind all others, as NeMo's own models have `<EOU>`, and
    takes out where on this machine the model was made.
    """
    from sentencepiece import sentencepiece_model_pb2 as format

    proto = format.ModelProto()
    proto.ParseFromString(Path(model).read_bytes())
    for piece in pieces:
        proto.pieces.add(piece=piece, score=0.0, type=format.ModelProto.SentencePiece.USER_DEFINED)
    proto.trainer_spec.ClearField("input")
    proto.trainer_spec.ClearField("model_prefix")
    Path(model).write_bytes(proto.SerializeToString())
