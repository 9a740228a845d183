"""LiteRT on a flatbuffer: outputs by its default kernels, XNNPACK's among them, or by its own; intermediates by its own alone.

Images are NHWC there: tensors of four axes are turned both ways. Names of tensors are those of the values.
"""

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from common import Job


def channels_last(x):
    return np.moveaxis(x, 1, -1) if x.ndim == 4 else x


def channels_first(x):
    return np.moveaxis(x, -1, 1) if x.ndim == 4 else x


def quantized(x, detail):
    scale, zero = detail["quantization"]
    if scale == 0:
        return x.astype(detail["dtype"])
    limits = np.iinfo(detail["dtype"])
    codes = np.rint(x / np.float32(scale)) + zero
    return np.clip(codes, limits.min, limits.max).astype(detail["dtype"])


def real(x, detail):
    scale, zero = detail["quantization"]
    return x.astype(np.float32) if scale == 0 else (x.astype(np.float32) - zero) * np.float32(scale)


def interpreter(job, resolver, keep):
    made = Interpreter(
        model_path=job.path(job["model"]),
        experimental_op_resolver_type=resolver,
        experimental_preserve_all_tensors=keep,
        num_threads=1,
    )
    made.allocate_tensors()
    return made


def feed(made, feeds):
    for detail in made.get_input_details():
        array = next(iter(feeds.values())) if len(feeds) == 1 else feeds[detail["name"]]
        array = channels_last(array) if list(array.shape) != list(detail["shape"]) else array
        made.set_tensor(detail["index"], quantized(array, detail))
    made.invoke()


def activations(made, job):
    wanted = set(job["values"])
    return [d for d in made.get_tensor_details() if d["name"] in wanted and d["dtype"] in (np.int8, np.uint8)]


def main():
    job = Job()
    resolver = OpResolverType.AUTO if job["delegates"] else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    made = interpreter(job, resolver, False)
    shown = interpreter(job, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES, True)
    for feeds in job.samples():
        feed(made, feeds)
        for name, detail in zip(job["outputs"], made.get_output_details()):
            job.add("outputs", name, channels_first(real(made.get_tensor(detail["index"]), detail)))
        if not job["delegates"]:
            feed(shown, feeds)
            for detail in activations(shown, job):
                value = real(shown.get_tensor(detail["index"]), detail)
                is_as_fed = detail["name"] in feeds and feeds[detail["name"]].shape == value.shape
                job.add("layers", detail["name"], value if is_as_fed else channels_first(value))
    from importlib.metadata import version

    job.finish(version("ai-edge-litert"))


main()
