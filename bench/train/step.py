"""One training step of CIFAR ResNet-20 in PyTorch, again and again: python step.py MODE LAYOUT BATCH WARMUP STEPS THREADS prints JSON.

Modes: float; fake8 (8 bits, scales frozen, per channel for weights); lsq4 (Esser et al. 2020, 4 bits, learned scales for each tensor).
"""

import json
import resource
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


class LsqFunction(torch.autograd.Function):
    """Learned step size quantization, with the gradient of the paper."""

    @staticmethod
    def forward(ctx, x, scale, low, high, factor):
        scaled = x / scale
        ctx.save_for_backward(scaled, scale)
        ctx.bounds = (low, high, factor)
        return scaled.clamp(low, high).round_().mul_(scale)

    @staticmethod
    def backward(ctx, dy):
        scaled, scale = ctx.saved_tensors
        low, high, factor = ctx.bounds
        inside = (scaled >= low) & (scaled <= high)
        error = torch.where(inside, scaled.round() - scaled, scaled.clamp(low, high))
        return dy * inside, (dy * error).sum().mul_(factor).reshape(scale.shape), None, None, None


class Lsq(nn.Module):
    def __init__(self, bits, signed):
        super().__init__()
        self.low, self.high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
        self.scale = nn.Parameter(torch.tensor(0.0))
        self.ready = False

    def forward(self, x):
        if not self.ready:
            self.scale.data.fill_(2 * x.detach().abs().mean().item() / self.high**0.5)
            self.ready = True
        return LsqFunction.apply(x, self.scale, self.low, self.high, (x.numel() * self.high) ** -0.5)


class Fake(nn.Module):
    """Eight bits on scales that stay what the first batch made them."""

    def __init__(self, per_channel):
        super().__init__()
        self.per_channel = per_channel
        self.scale = None

    def forward(self, x):
        if self.per_channel:
            if self.scale is None:
                self.scale = x.detach().abs().amax((1, 2, 3)) / 127
                self.zero = torch.zeros_like(self.scale, dtype=torch.int32)
            return torch.fake_quantize_per_channel_affine(x, self.scale, self.zero, 0, -127, 127)
        if self.scale is None:
            low, high = min(0.0, x.min().item()), x.max().item()
            self.scale = (high - low) / 255
            self.zero = round(-low / self.scale)
        return torch.fake_quantize_per_tensor_affine(x, self.scale, self.zero, 0, 255)


class Conv(nn.Conv2d):
    def __init__(self, mode, inputs, outputs, stride):
        super().__init__(inputs, outputs, 3, stride, 1, bias=False)
        kinds = {
            'float': lambda _: nn.Identity(),
            'fake8': lambda weight: Fake(weight),
            'lsq4': lambda weight: Lsq(4, weight or inputs == 3),
        }
        self.weight_quantizer, self.input_quantizer = kinds[mode](True), kinds[mode](False)

    def forward(self, x):
        return self._conv_forward(self.input_quantizer(x), self.weight_quantizer(self.weight), None)


class Block(nn.Module):
    def __init__(self, mode, inputs, outputs, stride):
        super().__init__()
        self.conv1, self.bn1 = Conv(mode, inputs, outputs, stride), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = Conv(mode, outputs, outputs, 1), nn.BatchNorm2d(outputs)
        self.pad = (outputs - inputs) // 2

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        short = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad)) if self.pad else x
        return F.relu(y + short)


class ResNet20(nn.Module):
    def __init__(self, mode):
        super().__init__()
        self.conv, self.bn = Conv(mode, 3, 16, 1), nn.BatchNorm2d(16)
        sizes = [(16, 16, 1)] * 3 + [(16, 32, 2)] + [(32, 32, 1)] * 2 + [(32, 64, 2)] + [(64, 64, 1)] * 2
        self.blocks = nn.Sequential(*(Block(mode, *size) for size in sizes))
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        return self.fc(self.blocks(F.relu(self.bn(self.conv(x)))).mean((2, 3)))


def main():
    mode, layout, batch, warmup, steps, threads = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:7])
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = ResNet20(mode)
    memory = torch.channels_last if layout == 'channels_last' else torch.contiguous_format
    model = model.to(memory_format=memory)
    x = torch.randn(batch, 3, 32, 32).contiguous(memory_format=memory)
    labels = torch.arange(batch) % 10
    model(x)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    times = []
    before = 0.0
    for i in range(warmup + steps):
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
        if i == warmup - 1:
            before = time.process_time()
        if i >= warmup:
            times.append((time.perf_counter() - start) * 1000)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({'ms': times, 'loss': loss.item(), 'peakMegabytes': peak, 'cpuMs': (time.process_time() - before) * 1000 / steps}))


main()
