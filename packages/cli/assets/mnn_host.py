"""MNN for fewbit, on the float network and the compression parameters that the exporter `mnn` writes.

The converter is called as a library: the program of the same name installs packages and reports its use.
"""

import os
import tempfile

from host import Network, needed, serve

modules = needed("MNN", {"MNN": "MNN", "_tools": "MNN", "numpy": "numpy"})
MNN, tools, np = modules["MNN"], modules["_tools"], modules["numpy"]


def converted(network, folder):
    network.write(folder)
    target = os.path.join(folder, "network.mnn")
    arguments = {
        "-f": "ONNX",
        "--modelFile": os.path.join(folder, network.file(".onnx")),
        "--MNNModel": target,
        "--bizCode": "fewbit",
    }
    if network.is_quantized:
        arguments["--compressionParamsFile"] = os.path.join(folder, network.file(".json"))
    tools.mnnconvert(["mnnconvert", *[word for pair in arguments.items() for word in pair]])
    if not os.path.exists(target):
        raise RuntimeError("its converter does not take the network")
    return target


def host_tensor(shape, values=None):
    array = np.zeros(shape, np.float32) if values is None else np.ascontiguousarray(values, np.float32)
    return MNN.Tensor(tuple(shape), MNN.Halide_Type_Float, array, MNN.Tensor_DimensionType_Caffe)


class Session:
    def __init__(self, body):
        self.network = Network(body)
        with tempfile.TemporaryDirectory() as folder:
            self.interpreter = MNN.Interpreter(converted(self.network, folder))
        self.session = self.interpreter.createSession({"backend": "CPU", "precision": "high", "numThread": 1})
        for value in self.network.inputs:
            self.interpreter.resizeTensor(self.interpreter.getSessionInput(self.session, value["name"]), tuple(value["shape"]))
        self.interpreter.resizeSession(self.session)
        self.inputs, self.outputs = self.network.describe()

    def run(self, feeds):
        for value in self.network.inputs:
            tensor = self.interpreter.getSessionInput(self.session, value["name"])
            tensor.copyFrom(host_tensor(value["shape"], feeds[value["name"]]))
        self.interpreter.runSession(self.session)
        return {value["name"]: self.output(value) for value in self.network.outputs}

    def output(self, value):
        tensor = self.interpreter.getSessionOutput(self.session, value["name"])
        host = host_tensor(tensor.getShape())
        tensor.copyToHostTensor(host)
        return np.array(host.getNumpyData(), np.float32).reshape(value["shape"])


serve("mnn", "MNN", MNN.version(), Session)
