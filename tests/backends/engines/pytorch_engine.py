"""Carries out a plan with PyTorch's quantized operators.

Reads `float.onnx`, `plan.json` and `params.json`. A node that the plan calls `integer` runs as one kernel of torch.ops.quantized together with
the `fused` nodes behind it; every other node runs in float. Between them stand quantizers, as the plan says who reads what.
"""

import json

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from common import Job
from onnx import numpy_helper


class Plan:
    def __init__(self, job):
        with open(job.path("plan.json")) as file:
            plan = json.load(file)
        with open(job.path("params.json")) as file:
            self.params = json.load(file)
        self.decisions = {n["node"]: n["decision"] for n in plan["nodes"]}
        self.tensors = plan["tensors"]
        self.entries = {}
        for tensor in self.tensors:
            for reader in tensor["readers"]:
                self.entries[tensor["value"], reader] = tensor
            if tensor.get("graphOutput"):
                self.entries[tensor["value"], None] = tensor

    def entry(self, value, reader):
        return self.entries.get((value, reader))

    def of_value(self, value):
        """How a value leaves its kernel: the first of its quantizers."""
        return next((t for t in self.tensors if t["value"] == value and t["role"] == "activation"), None)

    def scale_zero(self, entry):
        """Scale and zero point for quint8; a signed plan is moved up by 128, which changes no value."""
        p = self.params[entry["group"]]
        shift = 128 if entry["spec"]["signed"] else 0
        return float(p["scale"][0]), int(p["zeroPoint"][0]) + shift


class Network:
    def __init__(self, job):
        model = onnx.load(job.path("float.onnx"))
        self.plan = Plan(job)
        self.graph = model.graph
        self.constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        self.readers = {}
        for node in model.graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        self.groups = list(self.grouped())
        self.prepacked = {}

    def grouped(self):
        """Nodes that run together: a host and the fused nodes behind it."""
        taken = set()
        for node in self.graph.node:
            if node.name in taken:
                continue
            group = [node]
            if self.plan.decisions.get(node.name) == "integer":
                while True:
                    readers = self.readers.get(group[-1].output[0], [])
                    if not readers or any(self.plan.decisions.get(r.name) != "fused" for r in readers):
                        break
                    group.append(readers[0])
                    taken.add(readers[0].name)
            yield group

    def run(self, feeds):
        self.values = {name: torch.from_numpy(array.copy()) for name, array in feeds.items()}
        for group in self.groups:
            head, last = group[0], group[-1]
            integer = self.plan.decisions.get(head.name) == "integer"
            out = self.plan.of_value(last.output[0])
            if integer and out is None and head.op_type not in MOVES:
                integer = False
            if integer:
                self.values[last.output[0]] = self.integer(head, group[1:], out)
                continue
            for node in group:
                inputs = [self.operand(name, node) for name in node.input]
                results = FLOAT[node.op_type](self, node, *inputs)
                for name, value in zip(node.output, results if isinstance(results, tuple) else (results,)):
                    self.values[name] = value
        return self.values

    def quantized(self, name, reader):
        """A value as the reader wants it: quantized now if it is not yet, converted if it is on another grid."""
        value = self.values.get(name)
        if value is None:
            value = torch.from_numpy(self.constants[name].copy())
        entry = self.plan.entry(name, reader)
        if entry is None:
            return value
        scale, zero = self.plan.scale_zero(entry)
        if value.is_quantized:
            if value.q_scale() == scale and value.q_zero_point() == zero:
                return value
            value = value.dequantize()
        return torch.quantize_per_tensor(value, scale, zero, torch.quint8)

    def operand(self, name, node):
        """A value for a float operator: rounded by its quantizer where the plan has one."""
        if not name:
            return None
        if name in self.constants:
            entry = self.plan.entry(name, node.name)
            array = self.constants[name]
            return torch.from_numpy((dequantized(array, entry, self.plan) if entry else array).copy())
        value = self.quantized(name, node.name)
        return value.dequantize() if value.is_quantized else value

    def integer(self, head, fused, out):
        x = self.quantized(head.input[0], head.name)
        scale, zero = self.plan.scale_zero(out) if out else (x.q_scale(), x.q_zero_point())
        result = INTEGER[head.op_type](self, head, x, scale, zero, "relu" if is_relu(fused) else "")
        for node in fused:
            if node.op_type != "Relu" or not is_relu(fused):
                result = clipped(result, node, self)
        return result


def is_relu(fused):
    return len(fused) > 0 and fused[0].op_type == "Relu"


def codes(array, entry, plan):
    p = plan.params[entry["group"]]
    shape = [1] * array.ndim
    granularity = entry["spec"]["granularity"]
    if granularity["kind"] == "channel":
        shape[granularity["axis"]] = -1
    scale = np.array(p["scale"], np.float32).reshape(shape)
    zero = np.array(p["zeroPoint"], np.float32).reshape(shape)
    spec = entry["spec"]
    return np.clip(np.rint(array / scale) + zero, spec["quantMin"], spec["quantMax"]), scale, zero


def dequantized(array, entry, plan):
    q, scale, zero = codes(array, entry, plan)
    return ((q - zero) * scale).astype(np.float32)


def attributes(node):
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def packed_weight(net, node, transpose):
    """Codes of the weight as a quantized torch tensor, output channels first."""
    entry = net.plan.entry(node.input[1], node.name)
    q, scale, zero = codes(net.constants[node.input[1]], entry, net.plan)
    q = np.ascontiguousarray(q.T if transpose else q).astype(np.int8)
    ints = torch.from_numpy(q)
    if scale.size == 1:
        return torch._make_per_tensor_quantized_tensor(ints, float(scale.ravel()[0]), int(zero.ravel()[0]))
    scales = torch.from_numpy(scale.ravel().astype(np.float64))
    zeros = torch.from_numpy(zero.ravel().astype(np.int64))
    return torch._make_per_channel_quantized_tensor(ints, scales, zeros, 0)


def bias_of(net, node):
    return torch.from_numpy(net.constants[node.input[2]].copy()) if len(node.input) > 2 and node.input[2] else None


def padded(x, pads, rank, value=0.0):
    """ONNX pads (all begins, then all ends) by hand; torch's own are symmetric."""
    pairs = [p for i in reversed(range(rank)) for p in (pads[i], pads[rank + i])]
    return F.pad(x, pairs, value=value)


def symmetric(pads, rank):
    return pads[:rank] == pads[rank:]


def spatial(node, rank):
    a = attributes(node)
    return (
        list(a.get("pads", [0] * 2 * rank)),
        list(a.get("strides", [1] * rank)),
        list(a.get("dilations", [1] * rank)),
        a,
    )


def q_conv(net, node, x, scale, zero, act):
    rank = x.dim() - 2
    pads, strides, dilations, a = spatial(node, rank)
    if not symmetric(pads, rank):
        x = padded(x, pads, rank)
        pads = [0] * 2 * rank
    if node.name not in net.prepacked:
        prepack = torch.ops.quantized.conv1d_prepack if rank == 1 else torch.ops.quantized.conv2d_prepack
        args = (strides, pads[:rank], dilations, a.get("group", 1))
        net.prepacked[node.name] = prepack(packed_weight(net, node, False), bias_of(net, node), *args)
    kernels = torch.ops.quantized
    kernel = {(1, ""): kernels.conv1d, (1, "relu"): kernels.conv1d_relu, (2, ""): kernels.conv2d, (2, "relu"): kernels.conv2d_relu}
    return kernel[rank, act](x, net.prepacked[node.name], scale, zero)


def q_linear(net, node, x, scale, zero, act):
    if node.name not in net.prepacked:
        transpose = node.op_type == "MatMul" or not attributes(node).get("transB", 0)
        net.prepacked[node.name] = torch.ops.quantized.linear_prepack(packed_weight(net, node, transpose), bias_of(net, node))
    kernel = torch.ops.quantized.linear_relu if act else torch.ops.quantized.linear
    return kernel(x, net.prepacked[node.name], scale, zero)


def q_binary(plain, with_relu):
    def run(net, node, x, scale, zero, act):
        return (with_relu if act else plain)(x, net.quantized(node.input[1], node.name), scale, zero)

    return run


def q_concat(net, node, x, scale, zero, act):
    inputs = [net.quantized(name, node.name) for name in node.input]
    kernel = torch.ops.quantized.cat_relu if act else torch.ops.quantized.cat
    return kernel(inputs, attributes(node)["axis"], scale, zero)


def onto(x, scale, zero):
    """Kernels that keep their input's grid, where the plan wants another: one more rounding, which is the plan's fault."""
    if x.q_scale() == scale and x.q_zero_point() == zero:
        return x
    return torch.quantize_per_tensor(x.dequantize(), scale, zero, torch.quint8)


def q_average_pool(net, node, x, scale, zero, act):
    rank = x.dim() - 2
    pads, strides, _, a = spatial(node, rank)
    include = bool(a.get("count_include_pad", 0))
    ceil = bool(a.get("ceil_mode", 0))
    return onto(F.avg_pool2d(x, list(a["kernel_shape"]), strides, pads[:rank], ceil, include), scale, zero)


def q_max_pool(net, node, x, scale, zero, act):
    rank = x.dim() - 2
    pads, strides, dilations, a = spatial(node, rank)
    lowest = -x.q_zero_point() * x.q_scale()
    x = x if symmetric(pads, rank) else padded(x, pads, rank, lowest)
    pads = pads[:rank] if symmetric(pads, rank) else [0] * rank
    return F.max_pool2d(x, list(a["kernel_shape"]), strides, pads, dilations, bool(a.get("ceil_mode", 0)))


def q_batch_norm(net, node, x, scale, zero, act):
    weight, bias, mean, var = (torch.from_numpy(net.constants[name].copy()) for name in node.input[1:5])
    kernel = torch.ops.quantized.batch_norm2d_relu if act else torch.ops.quantized.batch_norm2d
    return kernel(x, weight, bias, mean, var, attributes(node).get("epsilon", 1e-5), scale, zero)


def q_global_average_pool(net, node, x, scale, zero, act):
    return onto(F.adaptive_avg_pool2d(x, 1), scale, zero)


def q_reduce_mean(net, node, x, scale, zero, act):
    return onto(reduce_mean(net, node, x), scale, zero)


def q_moved(net, node, x, scale, zero, act):
    rest = [torch.from_numpy(net.constants[n].copy()) if n in net.constants else None for n in node.input[1:]]
    return MOVES[node.op_type](net, node, x, *rest)


def clipped(x, node, net):
    """Relu and Clip behind kernels that have no such form: on codes, which the quantizer has ended where they clip."""
    if node.op_type == "Relu":
        return torch.relu(x)
    lo, hi = clip_bounds(net, node)
    return torch.clamp(x, lo, hi)


def clip_bounds(net, node):
    bounds = [float(net.constants[n]) if n else None for n in node.input[1:3]]
    lo, hi = (bounds + [None, None])[:2]
    return (-3.4e38 if lo is None else lo), (3.4e38 if hi is None else hi)


def reduce_mean(net, node, x, axes=None):
    a = attributes(node)
    axes = a.get("axes", None if axes is None else axes.tolist())
    return torch.mean(x, dim=list(axes), keepdim=bool(a.get("keepdims", 1)))


def reshape(net, node, x, shape):
    sizes = [x.shape[i] if s == 0 else int(s) for i, s in enumerate(shape.tolist())]
    return torch.reshape(x, sizes)


def flatten(net, node, x):
    return torch.flatten(x, attributes(node).get("axis", 1))


def transpose(net, node, x):
    return x.permute(list(attributes(node)["perm"])).contiguous()


def slices(net, node, x, starts, ends, axes=None, steps=None):
    axes = range(len(starts)) if axes is None else axes.tolist()
    steps = [1] * len(starts) if steps is None else steps.tolist()
    for axis, start, end, step in zip(axes, starts.tolist(), ends.tolist(), steps):
        size = x.shape[axis]
        start = max(0, start + size if start < 0 else start)
        end = min(size, max(0, end + size) if end < 0 else end)
        x = x[tuple([slice(None)] * (axis % x.dim()) + [slice(start, end, step)])]
    return x.contiguous()


def pad(net, node, x, pads, value=None, axes=None):
    return padded(x, pads.tolist(), x.dim(), 0.0 if value is None else float(value))


def squeeze(net, node, x, axes):
    for axis in sorted(axes.tolist(), reverse=True):
        x = torch.squeeze(x, axis)
    return x


def dropout(net, node, x, *rest):
    return x


MOVES = {
    "Reshape": reshape,
    "Flatten": flatten,
    "Transpose": transpose,
    "Slice": slices,
    "Pad": pad,
    "Squeeze": squeeze,
    "Dropout": dropout,
}

INTEGER = {
    "Conv": q_conv,
    "Gemm": q_linear,
    "MatMul": q_linear,
    "Add": q_binary(torch.ops.quantized.add, torch.ops.quantized.add_relu),
    "Mul": q_binary(torch.ops.quantized.mul, torch.ops.quantized.mul_relu),
    "Concat": q_concat,
    "MaxPool": q_max_pool,
    "AveragePool": q_average_pool,
    "GlobalAveragePool": q_global_average_pool,
    "ReduceMean": q_reduce_mean,
    "BatchNormalization": q_batch_norm,
    "Relu": lambda net, node, x, scale, zero, act: onto(torch.relu(x), scale, zero),
    "Sigmoid": lambda net, node, x, scale, zero, act: torch.ops.quantized.sigmoid(x, scale, zero),
    "LeakyRelu": lambda net, node, x, scale, zero, act: torch.ops.quantized.leaky_relu(
        x, attributes(node).get("alpha", 0.01), False, scale, zero
    ),
    "Softmax": lambda net, node, x, scale, zero, act: torch.ops.quantized.softmax(
        x, attributes(node).get("axis", -1), scale, zero
    ),
    "Tanh": lambda net, node, x, scale, zero, act: onto(torch.tanh(x), scale, zero),
    **{name: q_moved for name in MOVES},
}


def f_conv(net, node, x, w, b=None):
    rank = x.dim() - 2
    pads, strides, dilations, a = spatial(node, rank)
    convolve = {1: F.conv1d, 2: F.conv2d}[rank]
    return convolve(padded(x, pads, rank), w, b, strides, 0, dilations, a.get("group", 1))


def f_gemm(net, node, x, w, b=None):
    a = attributes(node)
    x = x.T if a.get("transA", 0) else x
    w = w.T if a.get("transB", 0) else w
    return a.get("alpha", 1.0) * (x @ w) + (0 if b is None else a.get("beta", 1.0) * b)


def f_batch_norm(net, node, x, scale, bias, mean, var):
    return F.batch_norm(x, mean, var, scale, bias, eps=attributes(node).get("epsilon", 1e-5))


def f_average_pool(net, node, x):
    pads, strides, _, a = spatial(node, 2)
    include = bool(a.get("count_include_pad", 0))
    return F.avg_pool2d(x, list(a["kernel_shape"]), strides, pads[:2], bool(a.get("ceil_mode", 0)), include)


def f_max_pool(net, node, x):
    pads, strides, dilations, a = spatial(node, 2)
    x = padded(x, pads, 2, float("-inf"))
    return F.max_pool2d(x, list(a["kernel_shape"]), strides, 0, dilations, bool(a.get("ceil_mode", 0)))


FLOAT = {
    "Conv": f_conv,
    "Gemm": f_gemm,
    "MatMul": lambda net, node, x, w: x @ w,
    "Add": lambda net, node, x, y: x + y,
    "Mul": lambda net, node, x, y: x * y,
    "Relu": lambda net, node, x: torch.relu(x),
    "Clip": lambda net, node, x, *rest: torch.clamp(x, *clip_bounds(net, node)),
    "Sigmoid": lambda net, node, x: torch.sigmoid(x),
    "Softmax": lambda net, node, x: torch.softmax(x, attributes(node).get("axis", -1)),
    "Concat": lambda net, node, *xs: torch.cat(xs, attributes(node)["axis"]),
    "BatchNormalization": f_batch_norm,
    "AveragePool": f_average_pool,
    "GlobalAveragePool": lambda net, node, x: torch.mean(x, dim=(2, 3), keepdim=True),
    "MaxPool": f_max_pool,
    "ReduceMean": reduce_mean,
    **MOVES,
}


def main():
    job = Job()
    torch.backends.quantized.engine = job["engine"]
    torch.set_num_threads(2)
    network = Network(job)
    planned = {t["value"] for t in network.plan.tensors if t["role"] == "activation"}
    for feeds in job.samples():
        values = network.run(feeds)
        for name in job["outputs"]:
            out = values[name]
            job.add("outputs", name, out.dequantize() if out.is_quantized else out)
        for name in planned & values.keys():
            entry = network.plan.of_value(name)
            job.add("layers", name, network.quantized(name, entry["readers"][0] if entry["readers"] else None).dequantize())
    job.finish(torch.__version__)


main()
