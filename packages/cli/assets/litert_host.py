"""LiteRT for fewbit, on the flatbuffer that the exporter `tflite` writes: by its own kernels, or, with the argument `xnnpack`, as it comes.

Inputs and outputs stand in the order of axes that the exporter chose. Codes are taken and given as what they stand for.
"""

import sys
from importlib.metadata import version

from host import Network, needed, serve

modules = needed("LiteRT", {"ai_edge_litert.interpreter": "ai-edge-litert", "numpy": "numpy"})
litert, np = modules["ai_edge_litert.interpreter"], modules["numpy"]

DELEGATES = "xnnpack" in sys.argv
RESOLVERS = litert.OpResolverType
RESOLVER = RESOLVERS.AUTO if DELEGATES else RESOLVERS.BUILTIN_WITHOUT_DEFAULT_DELEGATES


def quantized(x, detail):
    scale, zero = detail["quantization"]
    if scale == 0:
        return x.astype(detail["dtype"])
    limits = np.iinfo(detail["dtype"])
    codes = np.rint(x.astype(np.float32) / np.float32(scale)) + zero
    return np.clip(codes, limits.min, limits.max).astype(detail["dtype"])


def real(x, detail):
    scale, zero = detail["quantization"]
    return x.astype(np.float32) if scale == 0 else (x.astype(np.float32) - zero) * np.float32(scale)


class Session:
    def __init__(self, body):
        self.network = Network(body)
        content = self.network.files[self.network.file(".tflite")]
        self.made = litert.Interpreter(model_content=content, experimental_op_resolver_type=RESOLVER, num_threads=1)
        self.made.allocate_tensors()
        self.orders = {value["name"]: value["order"] for value in self.network.inputs}
        self.inputs, self.outputs = self.network.describe()

    def run(self, feeds):
        for detail in self.made.get_input_details():
            array = np.transpose(feeds[detail["name"]], self.orders[detail["name"]])
            self.made.set_tensor(detail["index"], quantized(array, detail))
        self.made.invoke()
        given = zip(self.network.outputs, self.made.get_output_details())
        return {value["name"]: self.output(value, detail) for value, detail in given}

    def output(self, value, detail):
        array = real(self.made.get_tensor(detail["index"]), detail)
        return np.transpose(array, np.argsort(value["order"]))


serve("litert-xnnpack" if DELEGATES else "litert", "LiteRT", version("ai-edge-litert"), Session)
