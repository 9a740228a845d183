"""Quantizes one network with onnxruntime.quantization and prints what it cost as one line of JSON.

python quantize.py float.onnx samples.npz out.onnx {per-tensor|per-channel} {MinMax|Percentile}

The archive holds one array for each input, samples along the first axis. Networks older than opset 13 are converted to 17 first,
because the tool writes files that ONNX Runtime refuses otherwise.
"""

import json
import resource
import sys
import time

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process


class Samples(CalibrationDataReader):
    def __init__(self, path):
        arrays = np.load(path)
        count = len(next(iter(arrays.values())))
        self.feeds = iter([{name: arrays[name][i] for name in arrays} for i in range(count)])

    def get_next(self):
        return next(self.feeds, None)


def converted(source, path):
    model = onnx.load(source)
    if max(o.version for o in model.opset_import if o.domain in ("", "ai.onnx")) >= 13:
        return source
    onnx.save(onnx.version_converter.convert_version(model, 17), path)
    return path


def main(source, samples, target, weights, method):
    readers = Samples(samples)
    start = time.perf_counter()
    prepared = target + ".prepared.onnx"
    quant_pre_process(converted(source, target + ".opset17.onnx"), prepared)
    quantize_static(
        prepared,
        target,
        readers,
        quant_format=QuantFormat.QDQ,
        per_channel=weights == "per-channel",
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod[method],
    )
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    versions = f"onnxruntime {onnxruntime.__version__}, onnx {onnx.__version__}, numpy {np.__version__}"
    print(json.dumps({"seconds": seconds, "peakMegabytes": peak, "versions": versions}))


main(*sys.argv[1:])
