"""Runs an ONNX graph of opset 18 or later in PyTorch, so that autograd differentiates it. One function for each operator."""

import math

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch.nn import functional as F

DTYPES = {1: torch.float32, 6: torch.int32, 7: torch.int64, 9: torch.bool, 10: torch.float16, 11: torch.float64}
CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
CONV_TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
MAX_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
ADAPTIVE_MAX = {1: F.adaptive_max_pool1d, 2: F.adaptive_max_pool2d, 3: F.adaptive_max_pool3d}


class Attributes(dict):
    def __init__(self, node):
        super().__init__({a.name: onnx.helper.get_attribute_value(a) for a in node.attribute})

    def text(self, name, default):
        value = self.get(name, default)
        return value.decode() if isinstance(value, bytes) else value


def integers(value):
    return None if value is None else [int(v) for v in value.reshape(-1)]


def pad(x, begins, ends, mode='constant', fill=0.0):
    """Pads (or crops, where negative) axes from the last to the first."""
    flat = [n for b, e in reversed(list(zip(begins, ends))) for n in (b, e)]
    if mode == 'constant':
        zeros = F.pad(x, flat)
        if not torch.is_tensor(fill):
            return zeros if fill == 0 else zeros + fill * (1 - F.pad(torch.ones_like(x), flat))
        return zeros + fill * (1 - F.pad(torch.ones_like(x), flat))
    for axis, (b, e) in enumerate(zip(begins, ends)):
        size = x.shape[axis]
        places = np.pad(np.arange(size), (max(b, 0), max(e, 0)), mode={'edge': 'edge', 'reflect': 'reflect', 'wrap': 'wrap'}[mode])
        places = places[max(-b, 0) : len(places) - max(-e, 0)]
        x = x.index_select(axis, torch.from_numpy(places))
    return x


def windows(x, a, kernel):
    """Strides, dilations and explicit padding of a sliding window."""
    rank = len(kernel)
    strides = list(a.get('strides', [1] * rank)) or [1] * rank
    dilations = list(a.get('dilations', [1] * rank)) or [1] * rank
    pads = list(a.get('pads', [0] * 2 * rank)) or [0] * 2 * rank
    auto = a.text('auto_pad', 'NOTSET')
    if auto.startswith('SAME'):
        for i in range(rank):
            extent = (kernel[i] - 1) * dilations[i] + 1
            missing = max(0, (math.ceil(x.shape[i + 2] / strides[i]) - 1) * strides[i] + extent - x.shape[i + 2])
            half = missing // 2
            pads[i], pads[i + rank] = (half, missing - half) if auto.endswith('UPPER') else (missing - half, half)
    return strides, dilations, pads[:rank], pads[rank:]


def conv(a, x, w, b=None):
    strides, dilations, begins, ends = windows(x, a, w.shape[2:])
    x = pad(x, [0, 0, *begins], [0, 0, *ends])
    return CONV[w.dim() - 2](x, w, b, strides, 0, dilations, a.get('group', 1))


def conv_transpose(a, x, w, b=None):
    strides, dilations, begins, ends = windows(x, a, w.shape[2:])
    extra = list(a.get('output_padding', [0] * len(strides))) or [0] * len(strides)
    # Without padding, which crops and may differ at both ends.
    y = CONV_TRANSPOSE[w.dim() - 2](x, w, b, strides, 0, extra, a.get('group', 1), dilations)
    return pad(y, [0, 0, *(-p for p in begins)], [0, 0, *(-p for p in ends)])


def overhang(x, a, kernel, strides, dilations, begins, ends):
    """How far a last window hangs over the padded end with ceil_mode."""
    extra = []
    for i, k in enumerate(kernel):
        size, extent = x.shape[i + 2] + begins[i] + ends[i], (k - 1) * dilations[i] + 1
        count = math.ceil((size - extent) / strides[i]) + 1
        if (count - 1) * strides[i] >= x.shape[i + 2] + begins[i]:
            count -= 1
        extra.append(max(0, (count - 1) * strides[i] + extent - size))
    return extra if a.get('ceil_mode', 0) else [0] * len(kernel)


def max_pool(a, x):
    kernel = list(a['kernel_shape'])
    strides, dilations, begins, ends = windows(x, a, kernel)
    ends = [e + o for e, o in zip(ends, overhang(x, a, kernel, strides, dilations, begins, ends))]
    flat = [n for b, e in reversed(list(zip(begins, ends))) for n in (b, e)]
    return MAX_POOL[len(kernel)](F.pad(x, flat, value=-math.inf), kernel, strides, 0, dilations)


def average_pool(a, x):
    kernel = list(a['kernel_shape'])
    strides, dilations, begins, ends = windows(x, a, kernel)
    over = overhang(x, a, kernel, strides, dilations, begins, ends)
    inside = torch.ones_like(x)
    counted = pad(inside, [0, 0, *begins], [0, 0, *ends], fill=1.0 if a.get('count_include_pad', 0) else 0.0)
    ones = torch.ones(x.shape[1], 1, *kernel, dtype=x.dtype)
    total = lambda v: CONV[len(kernel)](pad(v, [0] * v.dim(), [0, 0, *over]), ones, None, strides, 0, dilations, x.shape[1])
    return total(pad(x, [0, 0, *begins], [0, 0, *ends])) / total(counted)


def batch_norm(a, x, scale, bias, mean, variance):
    training = bool(a.get('training_mode', 0))
    statistics = (None, None) if training else (mean, variance)
    if not training:
        shape = [1, -1] + [1] * (x.dim() - 2)
        root = (variance + a.get('epsilon', 1e-5)).sqrt()
        return (x - mean.view(shape)) * (scale / root).view(shape) + bias.view(shape)
    return F.batch_norm(x, *statistics, scale, bias, training, 0.0, a.get('epsilon', 1e-5))


def layer_norm(a, x, scale, bias=None):
    axis = a.get('axis', -1) % x.dim()
    return F.layer_norm(x, x.shape[axis:], scale.expand(x.shape[axis:]), bias, a.get('epsilon', 1e-5))


def reduction(function):
    def run(a, x, axes=None):
        dims = integers(axes)
        if not dims:
            if a.get('noop_with_empty_axes', 0):
                return x
            dims = list(range(x.dim()))
        return function(x, dims, bool(a.get('keepdims', 1)))

    return run


def slices(a, x, starts, ends, axes=None, steps=None):
    starts, ends = integers(starts), integers(ends)
    axes = integers(axes) or list(range(len(starts)))
    steps = integers(steps) or [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps):
        places = range(*slice(start, end if end > -(2**62) else None, step).indices(x.shape[axis]))
        x = x.index_select(axis, torch.tensor(list(places), dtype=torch.int64))
    return x


def reshape(a, x, shape):
    dims = [x.shape[i] if d == 0 and not a.get('allowzero', 0) else d for i, d in enumerate(integers(shape))]
    return x.reshape(dims)


def gather(a, x, indices):
    axis = a.get('axis', 0) % x.dim()
    places = torch.where(indices < 0, indices + x.shape[axis], indices)
    picked = x.index_select(axis, places.reshape(-1))
    return picked.reshape([*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]])


def resample_matrix(a, size, count, scale, dtype):
    """Weights of one axis of Resize: [count, size], by the operator's specification."""
    mode, place = a.text('mode', 'nearest'), a.text('coordinate_transformation_mode', 'half_pixel')
    rows = torch.zeros(count, size, dtype=dtype)
    for i in range(count):
        if place == 'asymmetric':
            at = i / scale
        elif place == 'align_corners':
            at = i * (size - 1) / (count - 1) if count > 1 else 0
        elif place == 'pytorch_half_pixel':
            at = (i + 0.5) / scale - 0.5 if count > 1 else 0
        else:
            at = (i + 0.5) / scale - 0.5
        for index, weight in taps(a, mode, at, size):
            rows[i, min(max(index, 0), size - 1)] += weight
    return rows


def taps(a, mode, at, size):
    low = math.floor(at)
    part = at - low
    if mode == 'nearest':
        how = a.text('nearest_mode', 'round_prefer_floor')
        round_half = math.ceil(at - 0.5) if how == 'round_prefer_floor' else math.floor(at + 0.5)
        return [({'floor': low, 'ceil': math.ceil(at)}.get(how, round_half), 1.0)]
    if mode == 'linear':
        at = min(max(at, 0), size - 1)
        low = math.floor(at)
        return [(low, 1 - (at - low)), (low + 1, at - low)]
    c = a.get('cubic_coeff_a', -0.75)
    near = lambda t: ((c + 2) * t - (c + 3)) * t * t + 1
    far = lambda t: ((c * t - 5 * c) * t + 8 * c) * t - 4 * c
    found = [(low - 1, far(1 + part)), (low, near(part)), (low + 1, near(1 - part)), (low + 2, far(2 - part))]
    if a.get('exclude_outside', 0):
        found = [(i, w) for i, w in found if 0 <= i < size]
        total = sum(w for _, w in found)
        found = [(i, w / total) for i, w in found]
    return found


def resize(a, x, roi=None, scales=None, sizes=None):
    axes = [axis % x.dim() for axis in a.get('axes', range(x.dim()))]
    for i, axis in enumerate(axes):
        size = x.shape[axis]
        scale = float(scales[i]) if scales is not None and scales.numel() else int(sizes[i]) / size
        count = int(sizes[i]) if sizes is not None and sizes.numel() else math.floor(size * scale)
        if scale != 1 or count != size:
            matrix = resample_matrix(a, size, count, scale, x.dtype)
            x = torch.tensordot(x, matrix, dims=([axis], [1])).movedim(-1, axis)
    return x


def depth_to_space(a, x):
    b, (n, c, h, w) = a['blocksize'], x.shape
    if a.text('mode', 'DCR') == 'CRD':
        return x.reshape(n, c // (b * b), b, b, h, w).permute(0, 1, 4, 2, 5, 3).reshape(n, c // (b * b), h * b, w * b)
    return x.reshape(n, b, b, c // (b * b), h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, c // (b * b), h * b, w * b)


def space_to_depth(a, x):
    b, (n, c, h, w) = a['blocksize'], x.shape
    return x.reshape(n, c, h // b, b, w // b, b).permute(0, 3, 5, 1, 2, 4).reshape(n, c * b * b, h // b, w // b)


def extreme(function):
    def run(a, *values):
        result = values[0]
        for value in values[1:]:
            result = function(result, value)
        return result

    return run


def split(a, x, sizes=None):
    axis = a.get('axis', 0)
    if sizes is not None:
        return torch.split(x, integers(sizes), axis)
    return torch.tensor_split(x, a['num_outputs'], axis)


def gemm(a, x, y, c=None):
    x, y = x.T if a.get('transA', 0) else x, y.T if a.get('transB', 0) else y
    product = a.get('alpha', 1.0) * (x @ y)
    return product if c is None else product + a.get('beta', 1.0) * c


def clip(a, x, low=None, high=None):
    x = x if low is None else torch.where(x > low, x, low)
    return x if high is None else torch.where(x < high, x, high)


def pads(a, x, amounts, fill=None, axes=None):
    amounts, rank = integers(amounts), x.dim()
    where = [axis % rank for axis in integers(axes)] if axes is not None else list(range(rank))
    begins, ends = [0] * rank, [0] * rank
    for i, axis in enumerate(where):
        begins[axis], ends[axis] = amounts[i], amounts[i + len(where)]
    return pad(x, begins, ends, a.text('mode', 'constant'), 0.0 if fill is None else fill)


def squeeze(a, x, axes=None):
    dims = integers(axes) or [i for i, d in enumerate(x.shape) if d == 1]
    return x.reshape([d for i, d in enumerate(x.shape) if i not in [axis % x.dim() for axis in dims]])


def unsqueeze(a, x, axes):
    rank = x.dim() + axes.numel()
    for axis in sorted(d % rank for d in integers(axes)):
        x = x.unsqueeze(axis)
    return x


def constant(a):
    if 'value' in a:
        return torch.from_numpy(numpy_helper.to_array(a['value']).copy())
    name = next(n for n in ('value_float', 'value_floats', 'value_int', 'value_ints') if n in a)
    return torch.tensor(a[name], dtype=torch.float32 if 'float' in name else torch.int64)


def constant_of_shape(a, shape):
    value = numpy_helper.to_array(a['value']) if 'value' in a else np.zeros(1, np.float32)
    return torch.from_numpy(np.full(integers(shape), value.reshape(-1)[0]))


def cast(a, x):
    to = DTYPES[a['to']]
    # A graph of float32 that runs in doubles stays in doubles.
    return x if x.dtype == torch.float64 and to == torch.float32 else x.to(to)


def pow_(a, x, y):
    return torch.pow(x, y.to(x.dtype) if y.is_floating_point() or x.is_floating_point() else y)


def div(a, x, y):
    return x / y if x.is_floating_point() else torch.div(x, y, rounding_mode='trunc')


OPERATORS = {
    **{'Conv': conv, 'ConvTranspose': conv_transpose, 'Gemm': gemm, 'MatMul': lambda a, x, y: x @ y},
    **{'MaxPool': max_pool, 'AveragePool': average_pool},
    'GlobalAveragePool': lambda a, x: x.mean(list(range(2, x.dim())), keepdim=True),
    'GlobalMaxPool': lambda a, x: x.amax(list(range(2, x.dim())), keepdim=True),
    **{'BatchNormalization': batch_norm, 'LayerNormalization': layer_norm},
    'InstanceNormalization': lambda a, x, s, b: F.instance_norm(x, None, None, s, b, True, 0.0, a.get('epsilon', 1e-5)),
    'Softmax': lambda a, x: x.softmax(a.get('axis', -1)),
    'LogSoftmax': lambda a, x: x.log_softmax(a.get('axis', -1)),
    'Relu': lambda a, x: x.relu(),
    'LeakyRelu': lambda a, x: F.leaky_relu(x, a.get('alpha', 0.01)),
    'Elu': lambda a, x: F.elu(x, a.get('alpha', 1.0)),
    'Celu': lambda a, x: F.celu(x, a.get('alpha', 1.0)),
    'Selu': lambda a, x: F.selu(x),
    'ThresholdedRelu': lambda a, x: F.threshold(x, a.get('alpha', 1.0), 0.0),
    'HardSigmoid': lambda a, x: (a.get('alpha', 0.2) * x + a.get('beta', 0.5)).clamp(0, 1),
    'HardSwish': lambda a, x: F.hardswish(x),
    'Sigmoid': lambda a, x: x.sigmoid(),
    'Tanh': lambda a, x: x.tanh(),
    'Softplus': lambda a, x: F.softplus(x),
    'Softsign': lambda a, x: F.softsign(x),
    'Gelu': lambda a, x: F.gelu(x, approximate=a.text('approximate', 'none')),
    **{name: (lambda f: lambda a, x: f(x))(getattr(torch, name.lower())) for name in 'Abs Neg Sqrt Exp Log Erf Reciprocal Sin Cos Tan Atan Sinh Cosh Ceil Floor Round Sign'.split()},
    **{'Add': lambda a, x, y: x + y, 'Sub': lambda a, x, y: x - y, 'Mul': lambda a, x, y: x * y, 'Div': div, 'Pow': pow_},
    **{'Min': extreme(torch.minimum), 'Max': extreme(torch.maximum), 'Sum': extreme(torch.add)},
    'Mean': lambda a, *values: sum(values[1:], values[0]) / len(values),
    'PRelu': lambda a, x, slope: torch.where(x > 0, x, x * slope),
    'Clip': clip,
    'Where': lambda a, c, x, y: torch.where(c, x, y),
    'Less': lambda a, x, y: x < y,
    'Greater': lambda a, x, y: x > y,
    'Equal': lambda a, x, y: x == y,
    'Not': lambda a, x: ~x,
    'Identity': lambda a, x: x,
    'Dropout': lambda a, x, *_: x,
    'Cast': cast,
    'Flatten': lambda a, x: x.reshape(math.prod(x.shape[: a.get('axis', 1) % (x.dim() + 1)]), -1),
    **{'Reshape': reshape, 'Squeeze': squeeze, 'Unsqueeze': unsqueeze, 'Slice': slices, 'Pad': pads},
    'Transpose': lambda a, x: x.permute(*a.get('perm', range(x.dim())[::-1])),
    'Expand': lambda a, x, shape: x.expand(torch.broadcast_shapes(x.shape, integers(shape))),
    'Concat': lambda a, *values: torch.cat(values, a['axis']),
    **{'Split': split, 'Gather': gather},
    'GatherElements': lambda a, x, i: x.gather(a.get('axis', 0), torch.where(i < 0, i + x.shape[a.get('axis', 0)], i)),
    'ReduceSum': reduction(lambda x, d, k: x.sum(d, k)),
    'ReduceMean': reduction(lambda x, d, k: x.mean(d, k)),
    'ReduceMax': reduction(lambda x, d, k: x.amax(d, k)),
    'ReduceMin': reduction(lambda x, d, k: x.amin(d, k)),
    'ReduceL1': reduction(lambda x, d, k: x.abs().sum(d, k)),
    'ReduceL2': reduction(lambda x, d, k: x.square().sum(d, k).sqrt()),
    'ReduceLogSum': reduction(lambda x, d, k: x.sum(d, k).log()),
    'ReduceLogSumExp': reduction(lambda x, d, k: x.logsumexp(d, k)),
    'ReduceSumSquare': reduction(lambda x, d, k: x.square().sum(d, k)),
    **{'Resize': resize, 'DepthToSpace': depth_to_space, 'SpaceToDepth': space_to_depth},
    'Einsum': lambda a, *values: torch.einsum(a.text('equation', ''), *values),
    **{'Constant': constant, 'ConstantOfShape': constant_of_shape},
    'Shape': lambda a, x: torch.tensor(list(x.shape)[slice(a.get('start', 0), a.get('end'))], dtype=torch.int64),
    'Size': lambda a, x: torch.tensor(x.numel()),
    'Range': lambda a, start, end, step: torch.arange(start.item(), end.item(), step.item(), dtype=start.dtype),
}


def run(graph, values):
    """Fills in the values of a graph, from those of its inputs and initializers, by name."""
    for node in graph.node:
        if node.op_type not in OPERATORS:
            raise NotImplementedError(f'no {node.op_type} here')
        inputs = [values[name] if name else None for name in node.input]
        results = OPERATORS[node.op_type](Attributes(node), *inputs)
        results = results if isinstance(results, (tuple, list)) else [results]
        values.update({name: result for name, result in zip(node.output, results) if name})
    return values
