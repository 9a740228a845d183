import { attribute, type Value } from '../ir/index.ts'
import { TORCHVISION } from './conventions.ts'
import type { ZooEntry } from './entry.ts'
import type { NetworkWriter } from './network-writer.ts'

const { ints } = attribute

type Block = (net: NetworkWriter, x: Value, name: string, width: number, stride: number) => Value

const network =
  (block: Block, depths: readonly number[]): ZooEntry['write'] =>
  (net, input, classes) => {
    const stem = net.conv(input, 'conv1', { out: 64, kernel: 7, stride: 2 })
    let x = maxPool(net, net.relu(net.batchNorm(stem, 'bn1'), 'relu'))
    for (const [stage, depth] of depths.entries()) {
      for (let i = 0; i < depth; i++) {
        x = block(net, x, `layer${stage + 1}.${i}`, 64 * 2 ** stage, stage > 0 && i === 0 ? 2 : 1)
      }
    }
    return net.linear(net.globalPool(x, 'avgpool'), 'fc', classes)
  }

function maxPool(net: NetworkWriter, x: Value): Value {
  const attributes = { kernel_shape: ints([3, 3]), strides: ints([2, 2]), pads: ints([1, 1, 1, 1]) }
  return net.same(x, net.builder.op('MaxPool', [x], attributes, { name: 'maxpool' }))
}

const basic: Block = (net, x, name, out, stride) => {
  const first = net.batchNorm(net.conv(x, `${name}.conv1`, { out, stride }), `${name}.bn1`)
  const second = net.conv(net.relu(first, `${name}.relu1`), `${name}.conv2`, { out })
  return joined(net, x, net.batchNorm(second, `${name}.bn2`), name, stride)
}

/** The stride stands at the 3×3 convolution, as in torchvision ("v1.5"), not at the first one as in the paper. */
const bottleneck: Block = (net, x, name, width, stride) => {
  const first = net.batchNorm(net.conv(x, `${name}.conv1`, { out: width, kernel: 1 }), `${name}.bn1`)
  const second = net.conv(net.relu(first, `${name}.relu1`), `${name}.conv2`, { out: width, stride })
  const inner = net.relu(net.batchNorm(second, `${name}.bn2`), `${name}.relu2`)
  const third = net.conv(inner, `${name}.conv3`, { out: 4 * width, kernel: 1 })
  return joined(net, x, net.batchNorm(third, `${name}.bn3`), name, stride)
}

function joined(net: NetworkWriter, x: Value, y: Value, name: string, stride: number): Value {
  const out = net.channels(y)
  const alike = stride === 1 && net.channels(x) === out
  const path = `${name}.downsample`
  const shortcut = alike ? x : net.batchNorm(net.conv(x, `${path}.0`, { out, kernel: 1, stride }), `${path}.1`)
  return net.relu(net.add(y, shortcut, `${name}.add`), `${name}.relu`)
}

const ABOUT = {
  paper: 'He, Zhang, Ren & Sun 2015, Deep Residual Learning for Image Recognition, arXiv:1512.03385',
  names: 'torchvision',
  input: [3, 224, 224],
  preset: 'imagenet',
  classes: 1000,
  conventions: TORCHVISION,
} as const

export const RESNET18: ZooEntry = {
  ...ABOUT,
  title: 'ResNet-18',
  parameters: 11_689_512,
  macs: 1_814_073_344,
  write: network(basic, [2, 2, 2, 2]),
}

export const RESNET50: ZooEntry = {
  ...ABOUT,
  title: 'ResNet-50, stride in the 3×3 convolutions (v1.5)',
  parameters: 25_557_032,
  macs: 4_089_184_256,
  write: network(bottleneck, [3, 4, 6, 3]),
}
