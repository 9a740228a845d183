"""MNN on the float network and the compression parameters that its converter reads.

The converter is called as a library: the program of the same name installs packages and reports its use. Operators of the converted
network have the names of the values that ONNX nodes made before activations were taken into them.
"""

import _tools
import MNN
import numpy as np
from common import Job


def convert(job):
    target = job.path("network.mnn")
    arguments = {
        "-f": "ONNX",
        "--modelFile": job.path(job["model"]),
        "--MNNModel": target,
        "--bizCode": "fewbit",
        "--compressionParamsFile": job.path(job["table"]),
    }
    _tools.mnnconvert(["mnnconvert", *[word for pair in arguments.items() for word in pair]])
    return target


def host_tensor(shape, values=None):
    array = np.zeros(shape, np.float32) if values is None else np.ascontiguousarray(values, np.float32)
    return MNN.Tensor(tuple(shape), MNN.Halide_Type_Float, array, MNN.Tensor_DimensionType_Caffe)


class Network:
    def __init__(self, path, feeds):
        self.interpreter = MNN.Interpreter(path)
        self.session = self.interpreter.createSession({"backend": "CPU", "precision": "high", "numThread": 1})
        for name, array in feeds.items():
            self.interpreter.resizeTensor(self.interpreter.getSessionInput(self.session, name), tuple(array.shape))
        self.interpreter.resizeSession(self.session)
        self.feed(feeds)
        self.seen = []
        self.each(lambda info, tensor: self.seen.append((info.getName(), info.getType(), tensor.getShape())))

    def feed(self, feeds):
        for name, array in feeds.items():
            tensor = self.interpreter.getSessionInput(self.session, name)
            tensor.copyFrom(host_tensor(array.shape, array))

    def each(self, visit):
        def ends(tensors, info):
            for tensor in tensors:
                visit(info, tensor)
            return True

        self.interpreter.runSessionWithCallBackInfo(self.session, lambda tensors, info: True, ends)

    def run(self, feeds):
        """The result of each operator: name, type and array. Codes come as real values."""
        self.feed(feeds)
        # Made before the run: a callback cannot make tensors.
        hosts = [host_tensor(shape) for _, _, shape in self.seen]
        free = iter(hosts)
        self.each(lambda info, tensor: tensor.copyToHostTensor(next(free)))
        return [(name, kind, np.array(host.getNumpyData())) for (name, kind, _), host in zip(self.seen, hosts)]

    def output(self, name):
        tensor = self.interpreter.getSessionOutput(self.session, name)
        host = host_tensor(tensor.getShape())
        tensor.copyToHostTensor(host)
        return np.array(host.getNumpyData())


def shown(results, nodes):
    """Quantized values by name: what integer kernels make, and what stands before those that sum products."""
    found = {}
    for (before, kind_before, array_before), (name, kind, array) in zip([("", "", None), *results], results):
        node = nodes.get(name.removesuffix("__matmul_converted"))
        if not node or "INT8" not in kind:
            continue
        found[node["value"]] = array
        if before.startswith(name + "_raster_") and "INT8" in kind_before and kind.startswith("Convolution"):
            found.setdefault(node["input"], array_before)
    return found


def main():
    job = Job()
    path = convert(job)
    network = None
    for feeds in job.samples():
        network = network or Network(path, feeds)
        results = network.run(feeds)
        for name in job["outputs"]:
            job.add("outputs", name, network.output(name))
        for name, array in shown(results, job["nodes"]).items():
            job.add("layers", name, array)
    job.finish(MNN.version())


main()
