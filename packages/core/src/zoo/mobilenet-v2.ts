import type { Value } from '../ir/index.ts'
import { TORCHVISION_MOBILE } from './conventions.ts'
import type { ZooEntry } from './entry.ts'
import type { ConvOptions, NetworkWriter } from './network-writer.ts'

/** Expansion, output channels, repeats, stride of the first: table 2 of the paper. */
type Row = readonly [number, number, number, number]

const IMAGENET: readonly Row[] = [
  [1, 16, 1, 1],
  [6, 24, 2, 2],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1],
]

/** For pictures of 32 pixels: the first two halvings are left out. */
const CIFAR = IMAGENET.map(([t, c, n, s]): Row => (c === 24 ? [t, c, n, 1] : [t, c, n, s]))

const network =
  (rows: readonly Row[], stemStride: number): ZooEntry['write'] =>
  (net, input, classes) => {
    let x = convNormRelu6(net, input, 'features.0', { out: 32, stride: stemStride })
    let index = 1
    for (const [expansion, out, repeats, stride] of rows) {
      for (let i = 0; i < repeats; i++) {
        x = invertedResidual(net, x, `features.${index++}`, { expansion, out, stride: i === 0 ? stride : 1 })
      }
    }
    x = convNormRelu6(net, x, `features.${index}`, { out: 1280, kernel: 1 })
    return net.linear(net.dropout(net.globalPool(x, 'avgpool'), 'classifier.0', 0.2), 'classifier.1', classes)
  }

function convNormRelu6(net: NetworkWriter, x: Value, name: string, options: ConvOptions): Value {
  return net.relu6(net.batchNorm(net.conv(x, `${name}.0`, options), `${name}.1`), `${name}.2`)
}

interface Residual {
  readonly expansion: number
  readonly out: number
  readonly stride: number
}

function invertedResidual(net: NetworkWriter, x: Value, name: string, { expansion, out, stride }: Residual): Value {
  const wide = net.channels(x) * expansion
  const expanded = expansion === 1 ? x : convNormRelu6(net, x, `${name}.conv.0`, { out: wide, kernel: 1 })
  const at = expansion === 1 ? 0 : 1
  const depthwise = convNormRelu6(net, expanded, `${name}.conv.${at}`, { out: wide, stride, groups: wide })
  const linear = net.conv(depthwise, `${name}.conv.${at + 1}`, { out, kernel: 1 })
  const y = net.batchNorm(linear, `${name}.conv.${at + 2}`)
  return stride === 1 && net.channels(x) === out ? net.add(x, y, `${name}.add`) : y
}

const ABOUT = {
  paper: 'Sandler, Howard, Zhu, Zhmoginov & Chen 2018, MobileNetV2, arXiv:1801.04381',
  names: 'torchvision',
  conventions: TORCHVISION_MOBILE,
} as const

export const MOBILENET_V2: ZooEntry = {
  ...ABOUT,
  title: 'MobileNetV2',
  input: [3, 224, 224],
  preset: 'imagenet',
  classes: 1000,
  parameters: 3_504_872,
  macs: 300_774_272,
  write: network(IMAGENET, 2),
}

export const MOBILENET_V2_CIFAR: ZooEntry = {
  ...ABOUT,
  title: 'MobileNetV2 for CIFAR: stem and second stage without stride',
  input: [3, 32, 32],
  preset: 'cifar10',
  classes: 10,
  parameters: 2_236_682,
  macs: 87_976_448,
  write: network(CIFAR, 1),
}
