"""ONNX graphs: reading, writing, and what their weights are made of."""

from collections import Counter

import numpy as np
import onnx
from onnx import TensorProto, helper

NAMES = {
    TensorProto.FLOAT: "fp32", TensorProto.FLOAT16: "fp16", TensorProto.INT8: "int8", TensorProto.UINT8: "int8",
    TensorProto.BFLOAT16: "bf16", TensorProto.DOUBLE: "fp64",
}
# A protobuf message ends at 2 GiB; the graph itself needs some of it.
LARGEST = 1_900_000_000


def load(file):
    """The graph with its weights, also those in files of their own.

    Every node has a name and every tensor its type; types are inferred without the
    weights, because a message with them may be larger than protobuf allows.
    """
    model = onnx.load(str(file), load_external_data=False)
    inferred = onnx.shape_inference.infer_shapes(without_weights(model))
    onnx.load_external_data_for_model(model, str(file.parent))
    del model.graph.value_info[:]
    model.graph.value_info.extend(inferred.graph.value_info)
    taken = {node.name for node in model.graph.node}
    for number, node in enumerate(model.graph.node):
        if not node.name:
            name = f"{node.op_type}_{number}"
            node.name = name if name not in taken else f"{name}_"
    return model


def without_weights(model):
    """The same graph whose larger initializers are inputs of that type and shape."""
    light = onnx.ModelProto()
    for field in ("ir_version", "producer_name"):
        setattr(light, field, getattr(model, field))
    light.opset_import.extend(model.opset_import)
    graph = light.graph
    graph.name = model.graph.name
    for field in ("node", "input", "output"):
        getattr(graph, field).extend(getattr(model.graph, field))
    for tensor in model.graph.initializer:
        # Small ones may be shapes and axes, whose values the inference needs.
        if np.prod(tensor.dims) <= 16 and not tensor.external_data:
            graph.initializer.append(tensor)
        else:
            graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
    return light


def save(model, file):
    """Writes the graph; the weights into `file`.data where one file cannot hold them."""
    data = file.with_name(file.name + ".data")
    for old in (file, data):
        old.unlink(missing_ok=True)
    if sum(len(tensor.raw_data) for tensor in model.graph.initializer) < LARGEST:
        onnx.save(model, str(file))
    else:
        onnx.save(model, str(file), save_as_external_data=True, location=data.name)


def size(file):
    """Bytes of a graph with the weights that lie beside it."""
    return sum(part.stat().st_size for part in file.parent.glob(file.name + "*"))


def weights(model):
    """Numbers in the weights, by type: initializers and the tensors of constants."""
    counts = Counter()
    constants = (a.t for node in model.graph.node if node.op_type == "Constant" for a in node.attribute if a.HasField("t"))
    for tensor in [*model.graph.initializer, *constants]:
        count = 1
        for length in tensor.dims:
            count *= length
        if tensor.data_type in NAMES:
            counts[NAMES[tensor.data_type]] += count
    return counts


def shares(counts):
    total = sum(counts.values()) or 1
    return ", ".join(f"{kind} {100 * count / total:.1f} %" for kind, count in counts.most_common())


def sort(graph):
    """Puts every node behind those it gets its inputs from."""
    made = {port.name for port in graph.input} | {tensor.name for tensor in graph.initializer} | {""}
    waiting, nodes = list(graph.node), []
    while waiting:
        ready = [node for node in waiting if made.issuperset(node.input)]
        if not ready:
            raise ValueError(f"node {waiting[0].name!r} needs a tensor that nothing makes")
        for node in ready:
            made.update(node.output)
        known = {id(node) for node in ready}
        waiting = [node for node in waiting if id(node) not in known]
        nodes += ready
    del graph.node[:]
    graph.node.extend(nodes)
