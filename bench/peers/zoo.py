"""The networks of the zoo in PyTorch: their size, and their outputs with weights and inputs that a formula makes.

Prints one JSON document. torchvision and timm give the networks that they have; the others are written here after their sources. Weights are
`formula(name)`, the same numbers that packages/core/src/zoo/peers.test.ts makes, and arithmetic is in float64.
"""
import json
import sys

import numpy as np
import timm
import torch
import torchvision
from torch import nn
from torch.nn import functional as F


PERIOD = 65537


def uniform(name, count):
    """Numbers in [0, 1) that depend on name and index only: FNV-1a of the name, then the finalizer of MurmurHash3. They repeat."""
    mask = 0xFFFFFFFF
    seed = 0x811C9DC5
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x01000193) & mask
    x = (np.arange(min(count, PERIOD), dtype=np.uint64) * 2654435761 + seed) & mask
    x ^= x >> 16
    x = (x * 0x85EBCA6B) & mask
    x ^= x >> 13
    x = (x * 0xC2B2AE35) & mask
    x ^= x >> 16
    return np.resize(x.astype(np.float64) / 2**32, count)


def formula(name, dims):
    count = int(np.prod(dims))
    u = uniform(name, count)
    if name.endswith("running_var"):
        values = 0.5 + u
    elif name.endswith(".weight") and len(dims) == 1:
        values = 0.8 + 0.4 * u
    elif name.endswith(".weight"):
        values = (2 * u - 1) * np.sqrt(6 / np.prod(dims[1:]))
    else:
        values = 0.2 * (u - 0.5)
    return torch.from_numpy(values.astype(np.float32).reshape(dims))


class CifarBlock(nn.Module):
    """He et al. 2015, option A."""

    def __init__(self, channels, out):
        super().__init__()
        self.stride = 1 if channels == out else 2
        self.conv1 = nn.Conv2d(channels, out, 3, self.stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.stride == 2:
            quarter = y.shape[1] // 4
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, quarter, quarter))
        return F.relu(x + y)


class CifarResNet(nn.Module):
    def __init__(self, depth):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        n, channels = (depth - 2) // 6, 16
        for stage, out in enumerate([16, 32, 64], 1):
            blocks = [CifarBlock(channels if i == 0 else out, out) for i in range(n)]
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
            channels = out
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean((2, 3)))


class Same(nn.Module):
    """TensorFlow's padding: what is missing to ceil(size / stride) windows, the odd rest at the end."""

    def __init__(self, kernel, stride):
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x):
        pads = []
        for size, kernel in zip(reversed(x.shape[2:]), reversed(self.kernel)):
            total = max((-(-size // self.stride) - 1) * self.stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return F.pad(x, pads)


class KerasConv(nn.Conv2d):
    def __init__(self, channels, out, kernel, stride=1, groups=1):
        kernel = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        super().__init__(channels, out, kernel, stride, groups=groups)
        self.same = Same(kernel, stride)

    def forward(self, x):
        return super().forward(self.same(x))


def keras_norm(channels):
    return nn.BatchNorm2d(channels, eps=1e-3)


class TinyBlock(nn.Module):
    def __init__(self, channels, out):
        super().__init__()
        stride = 1 if channels == out else 2
        self.conv1, self.bn1 = KerasConv(channels, out, 3, stride), keras_norm(out)
        self.conv2, self.bn2 = KerasConv(out, out, 3), keras_norm(out)
        self.downsample = nn.Sequential(KerasConv(channels, out, 1, 2)) if stride == 2 else nn.Identity()

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(self.downsample(x) + y)


class TinyResNet(nn.Module):
    """mlcommons/tiny, image classification."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = KerasConv(3, 16, 3), keras_norm(16)
        self.layer1 = nn.Sequential(TinyBlock(16, 16))
        self.layer2 = nn.Sequential(TinyBlock(16, 32))
        self.layer3 = nn.Sequential(TinyBlock(32, 64))
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        return self.fc(F.avg_pool2d(self.layer3(self.layer2(self.layer1(x))), 8).flatten(1))


def separable(channels, out, stride=1):
    depthwise = [KerasConv(channels, channels, 3, stride, channels), keras_norm(channels), nn.ReLU()]
    return nn.Sequential(*depthwise, KerasConv(channels, out, 1), keras_norm(out), nn.ReLU())


class Separable(nn.Module):
    def __init__(self, features, window, channels, classes):
        super().__init__()
        self.features, self.window = features, window
        self.classifier = nn.Linear(channels, classes)

    def forward(self, x):
        return self.classifier(F.avg_pool2d(self.features(x), self.window).flatten(1))


def visual_wake_words():
    """mlcommons/tiny, visual wake words: MobileNetV1 at width 0.25."""
    blocks, channels = [nn.Sequential(KerasConv(3, 8, 3, 2), keras_norm(8), nn.ReLU())], 8
    rows = [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2)] + [(128, 1)] * 5 + [(256, 2), (256, 1)]
    for out, stride in rows:
        blocks.append(separable(channels, out, stride))
        channels = out
    return Separable(nn.Sequential(*blocks), (3, 3), channels, 2)


def keyword_spotting():
    """mlcommons/tiny, keyword spotting: DS-CNN."""
    stem = nn.Sequential(KerasConv(1, 64, (10, 4), 2), keras_norm(64), nn.ReLU())
    return Separable(nn.Sequential(stem, *[separable(64, 64) for _ in range(4)]), (25, 5), 64, 12)


def mobilenet_v2_cifar():
    rows = [[1, 16, 1, 1], [6, 24, 2, 1], [6, 32, 3, 2], [6, 64, 4, 2], [6, 96, 3, 1], [6, 160, 3, 2], [6, 320, 1, 1]]
    net = torchvision.models.MobileNetV2(num_classes=10, inverted_residual_setting=rows)
    net.features[0][0].stride = (1, 1)
    return net


def small_vit():
    shape = dict(img_size=32, patch_size=4, embed_dim=192, depth=6, num_heads=3, num_classes=10)
    return timm.models.vision_transformer.VisionTransformer(**shape)


NETWORKS = {
    "resnet8": (lambda: CifarResNet(8), (3, 32, 32)),
    "resnet20": (lambda: CifarResNet(20), (3, 32, 32)),
    "resnet56": (lambda: CifarResNet(56), (3, 32, 32)),
    "resnet8-mlperf": (TinyResNet, (3, 32, 32)),
    "mobilenet-v2-cifar": (mobilenet_v2_cifar, (3, 32, 32)),
    "vit-cifar": (small_vit, (3, 32, 32)),
    "ds-cnn": (keyword_spotting, (1, 49, 10)),
    "mobilenet-v1-vww": (visual_wake_words, (3, 96, 96)),
    "resnet18": (torchvision.models.resnet18, (3, 224, 224)),
    "resnet50": (torchvision.models.resnet50, (3, 224, 224)),
    "mobilenet-v2": (torchvision.models.mobilenet_v2, (3, 224, 224)),
    "efficientnet-lite0": (lambda: timm.create_model("efficientnet_lite0"), (3, 224, 224)),
    "regnetx-600mf": (lambda: timm.create_model("regnetx_006"), (3, 224, 224)),
    "deit-tiny": (lambda: timm.create_model("deit_tiny_patch16_224"), (3, 224, 224)),
}


def count_macs(net, x):
    """Products of convolutions, linear layers and attention's two matrix products."""
    total = 0

    def layer(module, inputs, output):
        nonlocal total
        total += output.numel() * module.weight[0].numel()

    def attention(module, inputs, output):
        nonlocal total
        tokens, width = inputs[0].shape[1:]
        total += 2 * tokens * tokens * width

    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.register_forward_hook(layer)
        elif type(module).__name__ == "Attention":
            module.register_forward_hook(attention)
    return (net(x), total)


def measure(name):
    make, shape = NETWORKS[name]
    torch.manual_seed(0)
    net = make().eval()
    state = net.state_dict()
    drawn = {key: formula(key, tuple(value.shape)) for key, value in state.items() if value.is_floating_point()}
    net.load_state_dict({**state, **drawn})
    net = net.double()
    x = torch.from_numpy(2 * uniform("input", int(np.prod(shape))) - 1).float().double().reshape((1, *shape))
    with torch.no_grad():
        logits, macs = count_macs(net, x)
    parameters = sum(p.numel() for p in net.parameters())
    first = [float(f"{v:.8g}") for v in logits[0][:10].tolist()]
    return {"parameters": parameters, "macs": macs, "largest": float(f"{logits.abs().max():.8g}"), "logits": first}


if __name__ == "__main__":
    names = sys.argv[1:] or list(NETWORKS)
    versions = {"torch": torch.__version__, "torchvision": torchvision.__version__, "timm": timm.__version__}
    print(json.dumps({"versions": versions, "networks": {name: measure(name) for name in names}}, indent=1))
