"""ncnn for fewbit, on the float network and the table of scales that the exporter `ncnn` writes."""

import importlib.util
import os
import tempfile

from host import Network, failed, needed, serve

modules = needed("ncnn", {"ncnn": "ncnn", "onnx": "onnx", "numpy": "numpy"})
ncnn, np = modules["ncnn"], modules["numpy"]
if importlib.util.find_spec("pnnx") is None:
    failed("ENGINE_LOAD", "ncnn: there is no pnnx, which reads ONNX files", "install it: pip install --no-deps pnnx")
    raise SystemExit(0)

# It imports what was looked for above.
from ncnn_files import loaded


class Session:
    def __init__(self, body):
        self.network = Network(body)
        with tempfile.TemporaryDirectory() as folder:
            self.network.write(folder)
            table = os.path.join(folder, self.network.file(".table")) if self.network.is_quantized else None
            self.net, _ = loaded(os.path.join(folder, self.network.file(".onnx")), table)
        self.inputs, self.outputs = self.network.describe()

    def run(self, feeds):
        extractor = self.net.create_extractor()
        extractor.set_light_mode(False)
        for i, value in enumerate(self.network.inputs):
            # Its tensors have no batch.
            extractor.input(f"in{i}", ncnn.Mat(np.ascontiguousarray(feeds[value["name"]][0], np.float32)))
        # pnnx numbers them in the order of the ONNX file; ncnn lists them in another one.
        outputs = enumerate(self.network.outputs)
        return {value["name"]: self.output(extractor, f"out{i}", value["shape"]) for i, value in outputs}

    def output(self, extractor, blob, shape):
        code, mat = extractor.extract(blob)
        if code != 0:
            raise RuntimeError("it cannot compute an output")
        return np.array(mat, np.float32).reshape(shape)


serve("ncnn", "ncnn", ncnn.__version__, Session)
