import { attribute, type Value } from '../ir/index.ts'
import { HE } from './conventions.ts'
import type { ZooEntry } from './entry.ts'
import type { NetworkWriter } from './network-writer.ts'

/**
 * He et al. 2015, section 4.2: 6n + 2 layers of 16, 32 and 64 channels. Where channels double, the shortcut takes every second pixel and
 * fills up with zeros (option A), so that it has no parameters.
 */
const network =
  (n: number): ZooEntry['write'] =>
  (net, input, classes) => {
    let x = net.relu(net.batchNorm(net.conv(input, 'conv1', { out: 16 }), 'bn1'), 'relu')
    for (const [stage, channels] of [16, 32, 64].entries()) {
      for (let i = 0; i < n; i++) {
        x = block(net, x, `layer${stage + 1}.${i}`, channels, stage > 0 && i === 0 ? 2 : 1)
      }
    }
    return net.linear(net.globalPool(x, 'avgpool'), 'fc', classes)
  }

function block(net: NetworkWriter, x: Value, name: string, out: number, stride: number): Value {
  const first = net.batchNorm(net.conv(x, `${name}.conv1`, { out, stride }), `${name}.bn1`)
  const second = net.conv(net.relu(first, `${name}.relu1`), `${name}.conv2`, { out })
  const shortcut = stride === 1 ? x : padded(net, x, `${name}.shortcut`, out)
  return net.relu(net.add(net.batchNorm(second, `${name}.bn2`), shortcut, `${name}.add`), `${name}.relu2`)
}

function padded(net: NetworkWriter, x: Value, name: string, out: number): Value {
  const { builder } = net
  const slice = (part: string, values: readonly number[]) => net.integers(`${name}.${part}`, values)
  const span = [slice('starts', [0, 0]), slice('ends', [2 ** 31 - 1, 2 ** 31 - 1]), slice('axes', [2, 3])]
  const half = builder.op('Slice', [x, ...span, slice('steps', [2, 2])], {}, { name: `${name}.slice` })
  const added = out - net.channels(x)
  const pads = net.integers(`${name}.pads`, [0, added / 2, 0, 0, 0, added / 2, 0, 0])
  const wide = builder.op('Pad', [half, pads], { mode: attribute.string('constant') }, { name: `${name}.pad` })
  return net.withChannels(wide, out)
}

const entry = (depth: number, parameters: number, macs: number): ZooEntry => ({
  title: `ResNet-${depth} for CIFAR`,
  paper: 'He, Zhang, Ren & Sun 2015, Deep Residual Learning for Image Recognition, arXiv:1512.03385, section 4.2',
  names: 'torchvision (shortcuts have no parameters)',
  input: [3, 32, 32],
  preset: 'cifar10',
  classes: 10,
  parameters,
  macs,
  conventions: HE,
  write: network((depth - 2) / 6),
})

export const RESNET8 = entry(8, 75_290, 12_239_488)
export const RESNET20 = entry(20, 269_722, 40_551_040)
export const RESNET56 = entry(56, 853_018, 125_485_696)
