"""TensorFlow Lite for Microcontrollers on a flatbuffer: its reference kernels, which CMSIS-NN's are written to equal.

Images are NHWC there: tensors of four axes are turned both ways. Names of tensors are those of the values.
"""

import numpy as np
from common import Job
from tflite_micro import __version__, runtime
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

ARENA = 1 << 28
CODES = {schema.TensorType.INT8: np.int8}


def channels_last(x):
    return np.moveaxis(x, 1, -1) if x.ndim == 4 else x


def channels_first(x):
    return np.moveaxis(x, -1, 1) if x.ndim == 4 else x


def name_of(tensor):
    return tensor.name.decode() if isinstance(tensor.name, bytes) else tensor.name


class Tensors:
    """What the flatbuffer says of its tensors."""

    def __init__(self, path):
        with open(path, "rb") as file:
            graph = schema.ModelT.InitFromPackedBuf(file.read(), 0).subgraphs[0]
        self.all = graph.tensors
        self.inputs, self.outputs = list(graph.inputs), list(graph.outputs)

    def codes(self, index, x):
        tensor = self.all[index]
        dtype = CODES.get(tensor.type)
        if dtype is None:
            return x.astype(np.float32)
        limits = np.iinfo(dtype)
        steps = np.rint(x / np.float32(tensor.quantization.scale[0])) + tensor.quantization.zeroPoint[0]
        return np.clip(steps, limits.min, limits.max).astype(dtype)

    def real(self, index, x):
        tensor = self.all[index]
        if tensor.type not in CODES:
            return x.astype(np.float32)
        scale, zero = np.float32(tensor.quantization.scale[0]), tensor.quantization.zeroPoint[0]
        return (x.astype(np.float32) - zero) * scale


def main():
    job = Job()
    path = job.path(job["model"])
    tensors = Tensors(path)
    made = runtime.Interpreter.from_file(path, arena_size=ARENA)
    for feeds in job.samples():
        for i, index in enumerate(tensors.inputs):
            array = next(iter(feeds.values())) if len(feeds) == 1 else feeds[name_of(tensors.all[index])]
            array = channels_last(array) if list(array.shape) != list(tensors.all[index].shape) else array
            made.set_input(np.ascontiguousarray(tensors.codes(index, array)), i)
        made.invoke()
        for i, (name, index) in enumerate(zip(job["outputs"], tensors.outputs)):
            job.add("outputs", name, channels_first(tensors.real(index, made.get_output(i))))
    job.finish(__version__)


main()
