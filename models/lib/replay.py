"""A model folder run on ONNX Runtime: greedy tokens of a recording, and every call of a graph.

The cache-aware families stream chunk by chunk, the others hear the whole recording in
one window. Tensors are found by their names, as NeMo's exports have them.
"""

import tomllib

import numpy as np
import onnxruntime

from . import mel

SYMBOLS = 10


class Model:
    """The graphs of a folder; `calls` keeps what went into them, by role."""

    def __init__(self, folder, keep=64):
        self.manifest = tomllib.loads((folder / "model.toml").read_text())
        self.files = {role: folder / file["path"] for role, file in self.manifest["files"].items()}
        self.graphs = {role: session(file) for role, file in self.files.items() if file.suffix == ".onnx"}
        self.calls, self.keep = {role: [] for role in self.graphs}, keep

    def run(self, role, inputs):
        graph, calls = self.graphs[role], self.calls[role]
        inputs = [value.astype(TYPES[port.type]) for port, value in zip(graph.get_inputs(), inputs, strict=True)]
        inputs = dict(zip((port.name for port in graph.get_inputs()), inputs))
        if len(calls) < self.keep:
            calls.append(inputs)
        return graph.run(None, inputs)

    def tokens(self, samples):
        family, features = self.manifest["family"], self.manifest["features"]
        frames, length = mel.features(samples, features["mels"], features["normalize"])
        if family.startswith("cache-aware"):
            return streamed(self, frames)
        if family == "aed":
            return attended(self, frames, length)
        outputs = self.run("encoder", [frames[None], np.array([length])])
        decode = Ctc() if family.endswith("ctc") else Transducer(self)
        count = int(outputs[1][0]) if len(outputs) > 1 else -(-length // self.manifest["buffered"]["subsampling"])
        decode.chunk(outputs[0], count)
        return decode.tokens


TYPES = {
    "tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(int64)": np.int64, "tensor(int32)": np.int32,
}


def session(file, threads=1):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def streamed(model, frames):
    geometry = model.manifest["streaming"]
    history = geometry["pre_encode_frames"]
    chunk = (geometry["right_frames"] + 1) * geometry["subsampling"]
    graph = model.graphs["encoder"]
    caches = [np.zeros(cache_shape(graph, port, geometry["left_frames"])) for port in graph.get_inputs()[2:]]
    frames = np.pad(frames, ((0, 0), (history, 0)))
    decode = Transducer(model) if model.manifest["family"].endswith("rnnt") else Ctc()
    for start in range(0, frames.shape[1] - history, chunk):
        part = frames[None, :, start : start + history + chunk]
        if part.shape[2] < history + geometry["subsampling"]:
            break
        encoded, lengths, *caches = model.run("encoder", [part, np.array([part.shape[2]]), *caches])[: 2 + len(caches)]
        decode.chunk(encoded, int(lengths[0]))
    return decode.tokens


def cache_shape(graph, port, left):
    """One stream; what is left open behind the batch is the left context, or in the metadata."""
    known = graph.get_modelmeta().custom_metadata_map
    dims = [d if isinstance(d, int) else None for d in port.shape]
    if len(dims) == 1:
        return [1]
    if "time" in port.name:
        left = int(known["cache_last_time_dim3"]) if None in dims[1:] else left
    batch = dims.index(1) if 1 in dims[:2] else dims.index(None)
    return [1 if i == batch else left if d is None else d for i, d in enumerate(dims)]


class Ctc:
    """Greedy CTC; the last class is the blank."""

    def __init__(self):
        self.tokens, self.last = [], None

    def chunk(self, scores, count):
        for token in scores[0, :count].argmax(-1).tolist():
            if token not in (self.last, scores.shape[2] - 1):
                self.tokens.append(token)
            self.last = token


class Transducer:
    """Greedy RNNT or TDT over predictor and joint network, in one graph or two."""

    def __init__(self, model):
        self.model, self.tokens, self.ahead, self.symbols = model, [], 0, 0
        self.durations = model.manifest.get("durations", [])
        role = "decoder_joint" if "decoder_joint" in model.graphs else "decoder"
        ports = [port for port in model.graphs[role].get_inputs() if "state" in port.name or len(port.shape) == 3]
        ports = [port for port in ports if "encoder" not in port.name]
        self.state = [np.zeros([d if isinstance(d, int) else 1 for d in port.shape]) for port in ports]
        self.last = None

    def score(self, frames):
        graphs = self.model.graphs
        target, one = np.array([[self.last]]), np.array([1])
        if "decoder_joint" in graphs:
            scores, *rest = self.model.run("decoder_joint", [frames, target, one, *self.state])
            return scores[0, :, 0], rest[-len(self.state) :]
        inputs = [target, one, *self.state] if len(graphs["decoder"].get_inputs()) > 1 + len(self.state) else [target, *self.state]
        predicted, *rest = self.model.run("decoder", inputs)
        return self.model.run("joiner", [frames, predicted])[0][0, :, 0], rest[-len(self.state) :]

    def chunk(self, encoded, count):
        if self.last is None:
            self.last = vocabulary(self.model) - 1
        blank = vocabulary(self.model) - 1
        t = self.ahead
        while t < count:
            scores, state = self.score(encoded[:, :, :count])
            while t < count:
                token = int(scores[t, : blank + 1].argmax())
                duration = self.durations[int(scores[t, blank + 1 :].argmax())] if self.durations else 0
                if token != blank:
                    break
                t, self.symbols = t + max(duration, 1), 0
            if t >= count:
                break
            self.tokens.append(token)
            self.last, self.state = token, state
            self.symbols = self.symbols + 1 if duration == 0 else 0
            t += duration
            if self.symbols == SYMBOLS:
                t, self.symbols = t + 1, 0
        self.ahead = t - count


def vocabulary(model):
    with open(model.files["vocabulary"]) as lines:
        return sum(1 for _ in lines)


def attended(model, frames, length, most=400):
    """Greedy decoding by attention, prompt first."""
    pieces = [line.rsplit(" ", 1)[0] for line in model.files["vocabulary"].read_text().splitlines()]
    settings = model.manifest["aed"]
    end = pieces.index(settings["end"])
    states, mask = model.run("encoder", [frames[None], np.array([length])])
    memory = next(port for port in model.graphs["decoder"].get_inputs() if "mems" in port.name)
    mems = np.zeros([memory.shape[0], 1, 0, memory.shape[3]])
    tokens, said = np.array([[pieces.index(piece) for piece in settings["prompt"]]]), []
    while len(said) < most:
        logits, mems, *_ = model.run("decoder", [tokens, states, mask, mems])
        token = int(logits[0, -1, : len(pieces)].argmax())
        if token == end:
            break
        said.append(token)
        tokens = np.array([[token]])
    return said


def errors(found, wanted):
    """Edit distance between two rows of tokens."""
    row = list(range(len(wanted) + 1))
    for i, token in enumerate(found, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(wanted, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (token != other))
    return row[-1]
