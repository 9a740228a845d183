"""ncnn on the float network and its table of scales, with the files that the program's own engine makes of them."""

import os
import sys

import ncnn
import numpy as np
from common import Job

sys.path.append(os.path.join(os.path.dirname(__file__), "../../../packages/cli/assets"))
from ncnn_files import loaded


def codes(x, scale):
    """float2int8 of ncnn: half away from zero, -127 to 127."""
    scaled = x.astype(np.float32) * np.float32(scale)
    return np.clip(np.sign(scaled) * np.floor(np.abs(scaled) + np.float32(0.5)), -127, 127)


def main():
    job = Job()
    net, found = loaded(job.path(job["model"]), job.path(job["table"]))
    # Several layers may read one value.
    read = {node.input[0]: (layer.inputs[0], scale) for node, layer, scale in found}
    (name,) = job.inputs
    for feeds in job.samples():
        extractor = net.create_extractor()
        extractor.set_light_mode(False)
        extractor.input(net.input_names()[0], ncnn.Mat(np.ascontiguousarray(feeds[name][0])))
        # In the order of the network: what is extracted later may be computed in the place of what came before.
        for value, (blob, scale) in read.items():
            job.add("layers", value, codes(np.array(extractor.extract(blob)[1]), scale) / scale)
        for output, blob in zip(job["outputs"], net.output_names()):
            job.add("outputs", output, np.array(extractor.extract(blob)[1]))
    job.finish(ncnn.__version__)


main()
