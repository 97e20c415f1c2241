"""FP16 for what can bear it.

Weights and products of matrices become FP16. These stay FP32:

* sums over many numbers, and what is exponential in its input: normalisations,
  softmax, reductions, logarithms (SENSITIVE);
* what is computed from lengths and shapes alone: FP16 counts in steps of two from
  2048 on, and a window of 21 s has more mel frames than that;
* what comes near FP16's largest number, 65504, on real input.

Inputs and outputs stay FP32, so caches and decoder states are not rounded by a
conversion that the caller would have to make.
"""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

SENSITIVE = [
    "LayerNormalization", "BatchNormalization", "InstanceNormalization", "Softmax", "LogSoftmax", "ReduceMean",
    "ReduceSum", "ReduceSumSquare", "ReduceL1", "ReduceL2", "ReduceLogSumExp", "Exp", "Log", "Pow", "Sqrt",
    "Reciprocal", "Erf", "CumSum", "Range", "NonMaxSuppression", "TopK",
]
# Half of the largest: the input to come may be louder than the one that was heard.
LARGEST = 32752
PASSING = {"Reshape", "Transpose", "Identity", "Unsqueeze", "Squeeze", "Slice", "Gather", "Concat", "Expand", "Split"}


def convert(model, inputs):
    """The FP16 form of `model`, and names of nodes kept in FP32 beyond SENSITIVE, by reason.

    `inputs` are calls of the graph on real audio.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16

    counting = counting_nodes(model)
    large = large_nodes(model, inputs)
    blocked = sorted({*counting, *large})
    half = convert_float_to_float16(
        model, keep_io_types=True, op_block_list=SENSITIVE, node_block_list=blocked, disable_shape_infer=True,
    )
    drop_roundings(half.graph)
    return half, dict(counting=counting, large=large)


def counting_nodes(model):
    """Nodes that make floats of integers alone: lengths, positions, shapes."""
    initializers = {tensor.name: tensor for tensor in model.graph.initializer}
    constants = {n.output[0]: a.t for n in model.graph.node if n.op_type == "Constant" for a in n.attribute if a.HasField("t")}
    tables = {
        name for name, tensor in {**initializers, **constants}.items()
        if tensor.data_type == TensorProto.FLOAT and np.prod(tensor.dims) > 16
    }
    floats = {port.name for port in model.graph.value_info if port.type.tensor_type.elem_type == TensorProto.FLOAT}
    constant = set(initializers)
    counted = {port.name for port in model.graph.input if port.type.tensor_type.elem_type != TensorProto.FLOAT}
    found, feeding = [], {}
    for node in model.graph.node:
        if node.op_type == "Constant":
            constant.update(node.output)
            feeding.update((name, node.name) for name in node.output)
            continue
        inputs = [name for name in node.input if name]
        from_integers = node.op_type == "Shape" or (
            any(name in counted for name in inputs) and all(name in counted or name in constant for name in inputs)
        )
        # A table of weights that is looked up is no count.
        if from_integers and not tables.intersection(inputs):
            counted.update(node.output)
            # Also what makes integers of them again: it must not hear a rounded one.
            if floats.intersection([*node.input, *node.output]):
                found.append(node.name)
                found += [feeding[name] for name in inputs if name in feeding]
        elif inputs and all(name in constant for name in inputs):
            constant.update(node.output)
    return found


def large_nodes(model, inputs):
    """Nodes that take or give numbers near what FP16 can hold."""
    if not inputs:
        return []
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    given = {port.name for port in model.graph.output}
    names = [name for node in model.graph.node for name in node.output if name and name not in given]
    watched.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(watched.SerializeToString(), options, providers=["CPUExecutionProvider"])
    floats = [port.name for port in session.get_outputs() if port.type == "tensor(float)"]
    large = set()
    for call in inputs:
        for name, value in zip(floats, session.run(floats, call)):
            finite = value[np.isfinite(value)]
            if finite.size and np.abs(finite).max() > LARGEST:
                large.add(name)
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and np.abs(numpy_helper.to_array(tensor)).max(initial=0) > LARGEST:
            large.add(tensor.name)
    return [node.name for node in model.graph.node if large.intersection([*node.input, *node.output])]


def drop_roundings(graph):
    """Between two nodes that stayed FP32 nothing is to be rounded to FP16."""
    # The names are those that the converter gives to the casts it adds.
    added = lambda node, kind: node.op_type == "Cast" and node.name.startswith(kind[0]) and node.name.endswith(kind[1])
    halving = {
        node.output[0]: node.input[0] for node in graph.node
        if added(node, ("", "_cast_to_fp16_node")) or added(node, ("graph_input_cast", ""))
    }
    whole, nodes = {}, []
    for node in graph.node:
        if added(node, ("", "_cast_to_fp32_node")):
            # One for every node that needs it, all with the same name.
            if node.output[0] in whole:
                continue
            whole[node.output[0]] = halving.get(node.input[0], node.output[0])
        elif added(node, ("graph_output_cast", "")):
            node.input[0] = halving.get(node.input[0], node.input[0])
        nodes.append(node)
    for node in nodes:
        for i, name in enumerate(node.input):
            node.input[i] = whole.get(name, name)
    used = {name for node in nodes for name in node.input} | {port.name for port in graph.output}
    nodes = [node for node in nodes if used.intersection(node.output)]
    del graph.node[:]
    graph.node.extend(nodes)
