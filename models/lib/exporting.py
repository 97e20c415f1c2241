"""ONNX graphs of NeMo models, written by NeMo's own exporters, and what they are worth."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from . import canary, manifest, reshape
from .compact import compact

# The largest difference between PyTorch and ONNX Runtime that is let through.
TOLERANCE = 1e-3
WINDOWS = {"aed": (1000, 500)}


def open_model(name, folder):
    """A NeMo model from a .nemo file, from the seeded ones (`seeded:NAME`), or by the name
    of a pretrained one; `folder` is for a tokenizer.
    """
    from nemo.collections.asr.models import ASRModel

    from . import seeded

    # Models are small or run once: threads that wait for each other cost more than they give.
    torch.set_num_threads(1)

    if name.startswith("seeded:"):
        kind = name.removeprefix("seeded:")
        if kind not in seeded.SPECS:
            raise SystemExit(f"no seeded model is called {kind}; there is {', '.join(seeded.SPECS)}")
        return seeded.build(kind, folder)
    if Path(name).suffix == ".nemo":
        if not Path(name).is_file():
            raise SystemExit(f"{name}: there is no such file")
        return seeded.quiet(ASRModel.restore_from(name, map_location="cpu"))
    return seeded.quiet(ASRModel.from_pretrained(name, map_location="cpu"))


def families(model):
    """The families that a model can be exported as."""
    streams = getattr(model.encoder, "att_context_style", None) == "chunked_limited"
    if hasattr(model, "transf_decoder"):
        return ["aed"]
    scheme = "cache-aware" if streams else "buffered"
    timed = bool(durations(model))
    if timed and streams:
        raise SystemExit("a cache-aware TDT model: there is no family for it")
    heads = (["tdt" if timed else "rnnt"] if hasattr(model, "joint") else []) + (
        ["ctc"] if hasattr(model, "ctc_decoder") or not hasattr(model, "joint") else []
    )
    return [f"{scheme}-{head}" for head in heads]


def durations(model):
    """What the duration scores of a TDT model stand for."""
    found = model.cfg.get("decoding", {}).get("durations") or model.cfg.get("model_defaults", {}).get("tdt_durations")
    return list(found) if found else None


def set_context(model, context):
    """Has a cache-aware model stream with `[left, right]` encoder frames."""
    known = [list(size) for size in model.encoder.att_context_size_all]
    if context is not None and list(context) not in known:
        print(f"note: att_context {list(context)} is none the model was trained with: {known}")
    chosen = list(context or known[0])
    if chosen[0] < 0 or chosen[0] % (chosen[1] + 1):
        raise SystemExit(f"att_context {chosen}: the left must be a multiple of the right plus 1, and finite")
    model.encoder.set_default_att_context_size(chosen)
    model.encoder.setup_streaming_params()


def ctc_head(model):
    """The CTC decoder of a model with one head or two."""
    return model.ctc_decoder if hasattr(model, "ctc_decoder") else model.decoder


def metadata(model, head):
    """What exporters for sherpa-onnx write into a cache-aware encoder: sizes of the caches
    that NeMo's exporter leaves open, and what goes with them.
    """
    encoder, config = model.encoder, model.encoder.streaming_cfg
    layers, left = len(encoder.layers), config.last_channel_cache_size
    classes = model.decoder.vocab_size if head == "rnnt" else ctc_head(model).num_classes_with_blank - 1
    found = dict(
        vocab_size=classes, window_size=config.chunk_size[1] + config.pre_encode_cache_size[1],
        chunk_shift=config.chunk_size[1], normalize_type="", cache_last_channel_dim1=layers,
        cache_last_channel_dim2=left, cache_last_channel_dim3=encoder.d_model, cache_last_time_dim1=layers,
        cache_last_time_dim2=encoder.d_model, cache_last_time_dim3=encoder.conv_context_size[0],
        subsampling_factor=encoder.subsampling_factor, feat_dim=model.cfg.preprocessor.features,
        model_type=type(model).__name__, version="1", model_author="NeMo",
    )
    if head == "rnnt":
        found |= dict(pred_rnn_layers=model.decoder.pred_rnn_layers, pred_hidden=model.decoder.pred_hidden)
    return found


def prepare(model, family, context=None):
    """Has `model` compute as the family and, where it streams, the att_context ask."""
    if family.startswith("cache-aware"):
        set_context(model, context)


def export(model, family, folder, about, context=None, small=False, split=False):
    """Writes graphs, vocab.txt and model.toml of `model` into `folder`.

    `context` is the att_context of a cache-aware model, `split` adds predictor and
    joint in a graph each, `small` takes away the names that only people read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {"encoder": "encoder-model.onnx"}
    head = family.rsplit("-", 1)[-1]
    if family == "aed":
        canary.export(model, folder)
        files["decoder"] = "decoder-model.onnx"
    else:
        settings = {"decoder_type": head if head == "ctc" else "rnnt"} if hasattr(model, "ctc_decoder") else {}
        if family.startswith("cache-aware"):
            settings["cache_support"] = "True"
        if settings:
            model.set_export_config(settings)
            prepare(model, family, context)
        model.export(str(folder / "model.onnx"), verbose=False)
        if head == "ctc":
            files = {"encoder": "model.onnx"}
        else:
            files["decoder_joint"] = "decoder_joint-model.onnx"
        if family.startswith("cache-aware"):
            encoder = folder / files["encoder"]
            described = reshape.described(onnx.load(str(encoder), load_external_data=False), metadata(model, head))
            onnx.save(described, str(encoder))
        if split and head != "ctc":
            model.decoder.export(str(folder / "decoder.onnx"), verbose=False)
            model.joint.export(str(folder / "joiner.onnx"), verbose=False)
    if small:
        for path in folder.glob("*.onnx"):
            onnx.save(compact(onnx.load(str(path))), str(path))
    (folder / "vocab.txt").write_text(manifest.vocabulary(model, family))
    files["vocabulary"] = "vocab.txt"
    timing = durations(model) if head == "tdt" else None
    about = dict(name=about["name"], family=family) | about | dict(precision="fp32", durations=timing)
    described = manifest.text(about, files, manifest.tables(model, family, WINDOWS.get(family, (2000, 2000))), folder)
    (folder / "model.toml").write_text(described)
    return files


def session(path):
    """A graph on ONNX Runtime, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def describe(path):
    """What a person wants to know of a graph: size, operator set, tensors."""
    graph = onnx.load(str(path), load_external_data=False)
    beside = sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*data"))
    opset = next(entry.version for entry in graph.opset_import if entry.domain in ("", "ai.onnx"))
    print(f"{path.name}: {path.stat().st_size + beside} bytes, opset {opset}")
    for direction, ports in (("in ", graph.graph.input), ("out", graph.graph.output)):
        for port in ports:
            tensor = port.type.tensor_type
            sizes = [dim.dim_param or dim.dim_value for dim in tensor.shape.dim]
            print(f"  {direction} {port.name} {onnx.TensorProto.DataType.Name(tensor.elem_type).lower()} {sizes}")


def difference(what, theirs, ours):
    """The largest difference between two arrays; refuses other shapes and large ones."""
    theirs = theirs.detach().numpy() if isinstance(theirs, torch.Tensor) else theirs
    if theirs.shape != ours.shape:
        raise SystemExit(f"{what}: PyTorch gives the shape {theirs.shape}, ONNX Runtime {ours.shape}")
    largest = float(np.abs(theirs.astype(np.float64) - ours).max()) if ours.size else 0.0
    if not largest <= TOLERANCE:
        known = f"ONNX Runtime differs from PyTorch by {largest:.1e}, more than {TOLERANCE:.0e}"
        raise SystemExit(f"{what}: {known}; this export is not to be used")
    return largest
