"""AdaRound (Nagel 2020, arXiv:2004.10568) in PyTorch, layer by layer, and output errors of rounded weights.

    adaround.py round FOLDER OUTPUT.npz STEPS RATE     writes rounded weights, prints seconds
    adaround.py measure FOLDER NAME...                 prints each layer's mean squared output error with the weights of NAME.npz

FOLDER holds layers.json, weights.npz (w0, s0, w1, ...: weights, and their scales in the same shape), calibrate.npz and held-out.npz (x0, x1, ...).
"""
import json
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

BATCH, WARM_UP, BETA, LAMBDA = 32, 0.2, (20, 2), 0.01
ZETA, GAMMA = 1.1, -0.1


def apply(layer, x, w):
    if layer["op"] != "Conv":
        return x @ (w.T if layer["transposed"] else w)
    top, left, bottom, right = layer["pads"]
    padded = F.pad(x, (left, right, top, bottom)) if any(layer["pads"]) else x
    return F.conv2d(padded, w, None, layer["strides"], 0, layer["dilations"], layer["group"])


def samples(archive, i):
    x = torch.from_numpy(archive[f"x{i}"])
    return x.reshape(-1, *x.shape[2:])


def squared(layer, error):
    """Summed over output channels, a mean over the rest."""
    return error.pow(2).sum(1 if layer["op"] == "Conv" else -1).mean()


def adaround(layer, x, w, s, steps, rate):
    with torch.no_grad():
        y = apply(layer, x, w)
    lower = torch.floor(w / s)
    rest = w / s - lower
    v = (-torch.log((ZETA - GAMMA) / (rest - GAMMA) - 1)).requires_grad_()
    adam = torch.optim.Adam([v], lr=rate)
    warm = WARM_UP * steps
    for step in range(steps):
        picked = torch.randint(0, len(x), (BATCH,))
        h = torch.clamp(torch.sigmoid(v) * (ZETA - GAMMA) + GAMMA, 0, 1)
        codes = torch.clamp(lower + h, layer["quantMin"], layer["quantMax"])
        loss = squared(layer, apply(layer, x[picked], codes * s) - y[picked])
        if step >= warm:
            beta = BETA[1] + (BETA[0] - BETA[1]) * (1 - (step - warm) / (steps - warm))
            loss = loss + LAMBDA * (1 - (2 * h - 1).abs().pow(beta)).sum()
        adam.zero_grad()
        loss.backward()
        adam.step()
    return torch.clamp(lower + (v.detach() >= 0), layer["quantMin"], layer["quantMax"]) * s


def round_all(folder, output, steps, rate):
    torch.manual_seed(0)
    # Two threads that wait for each other on a shared machine take eight times the CPU time of one.
    torch.set_num_threads(1)
    layers = json.load(open(f"{folder}/layers.json"))
    weights, inputs = np.load(f"{folder}/weights.npz"), np.load(f"{folder}/calibrate.npz")
    rounded, seconds, cpu = {}, 0, 0
    for i, layer in enumerate(layers):
        x, w, s = samples(inputs, i), *(torch.from_numpy(weights[f"{k}{i}"][0]) for k in "ws")
        start, used = time.perf_counter(), time.process_time()
        rounded[f"w{i}"] = adaround(layer, x, w, s, int(steps), float(rate)).numpy()[None]
        seconds += time.perf_counter() - start
        cpu += time.process_time() - used
    np.savez(output, **rounded)
    print(json.dumps({"seconds": seconds, "cpuSeconds": cpu}))


def nearest(layers, weights):
    pairs = [(layer, weights[f"w{i}"], weights[f"s{i}"]) for i, layer in enumerate(layers)]
    return {f"w{i}": np.clip(np.rint(w / s), l["quantMin"], l["quantMax"]) * s for i, (l, w, s) in enumerate(pairs)}


def measure(folder, *names):
    layers, weights = json.load(open(f"{folder}/layers.json")), np.load(f"{folder}/weights.npz")
    found = {"nearest": nearest(layers, weights)} | {name: np.load(f"{folder}/{name}.npz") for name in names}
    errors = {name: {} for name in found}
    for part in ("calibrate", "held-out"):
        inputs = np.load(f"{folder}/{part}.npz")
        for name in found:
            errors[name][part] = [
                squared(l, apply(l, samples(inputs, i), torch.from_numpy(found[name][f"w{i}"][0] - weights[f"w{i}"][0]))).item()
                for i, l in enumerate(layers)
            ]
    print(json.dumps(errors))


if __name__ == "__main__":
    {"round": round_all, "measure": measure}[sys.argv[1]](*sys.argv[2:])
