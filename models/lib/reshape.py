"""Other shapes of the same graph: renamed tensors, other axes, other places of weights."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def described(model, metadata):
    """The graph with these metadata and no others."""
    del model.metadata_props[:]
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=str(value))
    return model


def rename(model, names):
    """Gives tensors of the graph's interface other names, everywhere."""
    for port in [*model.graph.input, *model.graph.output]:
        port.name = names.get(port.name, port.name)

    def inside(graph):
        for node in graph.node:
            for ports in (node.input, node.output):
                for i, name in enumerate(ports):
                    ports[i] = names.get(name, name)
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    inside(attribute.g)

    inside(model.graph)
    return model


def layers_first(model, left, kernel):
    """The caches `[layers, 1, ...]` and of fixed size, where NeMo's exporter has the
    batch first and leaves `left` frames of states and `kernel - 1` of convolution open.
    """
    graph = model.graph
    ports = [port for port in [*graph.input, *graph.output] if "cache" in port.name and "len" not in port.name]
    inputs = {port.name for port in graph.input}
    sizes = {}
    for port in ports:
        dims = [dim.dim_value for dim in port.type.tensor_type.shape.dim]
        if port.name in inputs:
            sizes[port.name] = [dims[1], 1, dims[2] or left, dims[3] or kernel - 1]
    rename(model, {port.name: f"{port.name}.batch_first" for port in ports})
    before, behind = [], []
    for port in ports:
        inner, outer = port.name, port.name.removesuffix(".batch_first")
        shape = sizes[outer.removesuffix("_next")]
        port.CopyFrom(helper.make_tensor_value_info(outer, FLOAT, shape))
        # Swapping the first two axes is its own inverse.
        first, second = (outer, inner) if outer in inputs else (inner, outer)
        node = helper.make_node("Transpose", [first], [second], perm=[1, 0, 2, 3])
        (before if outer in inputs else behind).append(node)
    nodes = [*before, *graph.node, *behind]
    del graph.node[:]
    graph.node.extend(nodes)
    return model


def save_external(model, path, data):
    """Writes the graph with all weights in a file `data` beside it."""
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t") and attribute.t.dims:
                attribute.t.raw_data = numpy_helper.to_array(attribute.t).tobytes()
    onnx.save(
        model, str(path), save_as_external_data=True, all_tensors_to_one_file=True, location=data, size_threshold=256,
        convert_attribute=False,
    )
    onnx.checker.check_model(str(path))


def without_unused(model):
    """The graph without what no output needs."""
    needed = {port.name for port in model.graph.output}
    kept = []
    for node in reversed(model.graph.node):
        if needed.intersection(node.output):
            kept.insert(0, node)
            needed.update(node.input)
            needed.update(name for graph in inner_graphs(node) for inner in graph.node for name in inner.input)
    del model.graph.node[:]
    model.graph.node.extend(kept)
    weights = [tensor for tensor in model.graph.initializer if tensor.name in needed]
    del model.graph.initializer[:]
    model.graph.initializer.extend(weights)
    return model


def inner_graphs(node):
    """The branches of a node."""
    return [attribute.g for attribute in node.attribute if attribute.HasField("g")]


def quantized(model):
    """Every MatMul by a constant in 8-bit integers, as dynamic quantisation has it:
    `x · W ≈ (xq − zx)(Wq − zw) · sx · sw` with a scale for the whole of each.
    """
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    nodes, gone = [], set()
    for i, node in enumerate(graph.node):
        weight = weights.get(node.input[1]) if node.op_type == "MatMul" else None
        if weight is None or weight.data_type != FLOAT:
            nodes.append(node)
            continue
        array = numpy_helper.to_array(weight)
        low, high = min(array.min(), 0.0), max(array.max(), 0.0)
        scale = (high - low) / 255 or 1.0
        zero = int(round(-low / scale))
        whole = np.clip(np.round(array / scale) + zero, 0, 255).astype(np.uint8)
        name, x = f"q{i}", node.input[0]
        graph.initializer.extend([
            numpy_helper.from_array(whole, f"{name}.w"), numpy_helper.from_array(np.uint8(zero), f"{name}.zero"),
            numpy_helper.from_array(np.float32(scale), f"{name}.scale"),
        ])
        nodes += [
            helper.make_node("DynamicQuantizeLinear", [x], [f"{name}.x", f"{name}.xs", f"{name}.xz"]),
            helper.make_node("MatMulInteger", [f"{name}.x", f"{name}.w", f"{name}.xz", f"{name}.zero"], [f"{name}.i"]),
            helper.make_node("Cast", [f"{name}.i"], [f"{name}.f"], to=FLOAT),
            helper.make_node("Mul", [f"{name}.xs", f"{name}.scale"], [f"{name}.s"]),
            helper.make_node("Mul", [f"{name}.f", f"{name}.s"], list(node.output)),
        ]
        gone.add(weight.name)
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name not in gone or tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    return model


def preprocessor(mels):
    """A stand-in for onnx-asr's nemo80.onnx and nemo128.onnx: its tensors, and a level
    in place of every bin. Nothing that reads a model needs what it computes.
    """
    nodes = [
        helper.make_node("Unsqueeze", ["waveforms", "one"], ["mono"]),
        helper.make_node("Abs", ["mono"], ["level"]),
        helper.make_node("AveragePool", ["level"], ["frames"], kernel_shape=[400], strides=[160], pads=[200, 200]),
        helper.make_node("Tile", ["frames", "bins"], ["features"]),
        helper.make_node("Div", ["waveforms_lens", "hop"], ["features_lens"]),
    ]
    constants = [np.array([1]), np.array([1, mels, 1]), np.array(160)]
    weights = [numpy_helper.from_array(c, name) for c, name in zip(constants, ("one", "bins", "hop"))]
    inputs = [
        helper.make_tensor_value_info("waveforms", FLOAT, ["batch_size", "N"]),
        helper.make_tensor_value_info("waveforms_lens", INT64, ["batch_size"]),
    ]
    outputs = [
        helper.make_tensor_value_info("features", FLOAT, ["batch_size", mels, "T"]),
        helper.make_tensor_value_info("features_lens", INT64, ["batch_size"]),
    ]
    graph = helper.make_graph(nodes, "preprocessor", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def tokenizer(pieces):
    """A tokenizer.json of the tokenizers library: byte-pair merges over SentencePiece's pieces."""
    known, merges = set(pieces), []
    for piece in pieces:
        cuts = [(piece[:i], piece[i:]) for i in range(1, len(piece))]
        merges += [f"{a} {b}" for a, b in cuts if a in known and b in known and not piece.startswith("<")][:1]
    special = [i for i, piece in enumerate(pieces) if piece.startswith("<")]
    added = [
        dict(id=i, content=pieces[i], single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
        for i in special
    ]
    spaces = dict(type="Metaspace", replacement="\u2581", prepend_scheme="always", split=True)
    return dict(
        version="1.0", truncation=None, padding=None, added_tokens=added, normalizer=None, pre_tokenizer=spaces,
        post_processor=None, decoder=spaces,
        model=dict(
            type="BPE", dropout=None, unk_token="<unk>", continuing_subword_prefix=None, end_of_word_suffix=None,
            fuse_unk=True, byte_fallback=False, vocab={piece: i for i, piece in enumerate(pieces)}, merges=merges,
        ),
    )
