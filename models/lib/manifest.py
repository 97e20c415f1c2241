"""model.toml and vocab.txt, as models/README.md describes them."""

import hashlib


def vocabulary(model, family):
    """`piece id` a line; the blank comes last where the family has one."""
    pieces = model.tokenizer.ids_to_tokens(list(range(model.tokenizer.vocab_size)))
    if family != "aed":
        pieces.append("<blk>")
    return "".join(f"{piece} {i}\n" for i, piece in enumerate(pieces))


def quoted(text):
    """A TOML string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def value(item):
    """A TOML value."""
    if isinstance(item, str):
        return quoted(item)
    if isinstance(item, (list, tuple)):
        return "[" + ", ".join(value(part) for part in item) + "]"
    return str(item)


def text(about, files, tables, folder):
    """model.toml: `about` at the top, `files` by role with their SHA-256, then tables."""
    lines = ["version = 1", *(f"{key} = {value(item)}" for key, item in about.items() if item is not None)]
    lines += ["", "[files]"]
    for role, name in files.items():
        digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        lines.append(f"{role} = {{ path = {quoted(name)}, sha256 = {quoted(digest)} }}")
    for title, table in tables.items():
        lines += ["", f"[{title}]", *(f"{key} = {value(item)}" for key, item in table.items())]
    return "\n".join(lines) + "\n"


def tables(model, family, window):
    """The tables of a family, read off the model; `window` has chunk and right context in ms."""
    preprocessor = model.cfg.preprocessor
    # NeMo takes every name that it does not know, such as "NA", as no normalisation.
    known = ("per_feature", "all_features")
    normalize = preprocessor.normalize if preprocessor.normalize in known else "none"
    if normalize == "all_features":
        raise SystemExit("normalize = all_features is not supported; per_feature and none are")
    features = dict(mels=preprocessor.features, normalize=normalize)
    factor, (chunk, right) = model.encoder.subsampling_factor, window
    if family.startswith("cache-aware"):
        left, ahead = model.encoder.att_context_size
        history = model.encoder.streaming_cfg.pre_encode_cache_size[1]
        streaming = dict(left_frames=left, right_frames=ahead, pre_encode_frames=history, subsampling=factor)
        return dict(streaming=streaming, features=features)
    if family == "aed":
        from . import fitting

        prompt = model.tokenizer.ids_to_tokens(fitting.prompt_of(model)[0].tolist())
        end = model.tokenizer.ids_to_tokens([model.tokenizer.eos_id])[0]
        aed = dict(subsampling=factor, chunk_ms=chunk, right_ms=right, policy="alignatt", wait_k=2, alignatt_frames=8)
        return dict(aed=aed | dict(prompt=prompt, end=end), features=features)
    return dict(buffered=dict(subsampling=factor, chunk_ms=chunk, right_ms=right), features=features)
