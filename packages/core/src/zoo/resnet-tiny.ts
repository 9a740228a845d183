import type { Value } from '../ir/index.ts'
import { KERAS } from './conventions.ts'
import type { ZooEntry } from './entry.ts'
import type { NetworkWriter } from './network-writer.ts'

/**
 * ResNet-8 as MLPerf Tiny has it, after its Keras code: unlike He's, convolutions have biases, shortcuts are convolutions of one pixel
 * without BatchNormalization, padding is TensorFlow's `SAME`, and pixels come as they are.
 */
export const RESNET8_MLPERF: ZooEntry = {
  title: 'ResNet-8 of MLPerf Tiny (image classification)',
  paper: 'Banbury et al. 2021, MLPerf Tiny Benchmark, arXiv:2106.07597',
  names: 'own, after torchvision (the original is Keras)',
  input: [3, 32, 32],
  preset: 'raw',
  classes: 10,
  parameters: 78_186,
  macs: 12_501_632,
  conventions: KERAS,
  write(net, input, classes) {
    let x = net.relu(net.batchNorm(net.conv(input, 'conv1', { out: 16, bias: true }), 'bn1'), 'relu')
    for (const [stage, out] of [16, 32, 64].entries()) x = block(net, x, `layer${stage + 1}.0`, out)
    return net.linear(net.globalPool(x, 'avgpool'), 'fc', classes)
  },
}

function block(net: NetworkWriter, x: Value, name: string, out: number): Value {
  const halves = out !== net.channels(x)
  const first = net.conv(x, `${name}.conv1`, { out, bias: true, ...(halves && { stride: 2, pads: [0, 0, 1, 1] }) })
  const inner = net.relu(net.batchNorm(first, `${name}.bn1`), `${name}.relu1`)
  const second = net.batchNorm(net.conv(inner, `${name}.conv2`, { out, bias: true }), `${name}.bn2`)
  const shortcut = halves ? net.conv(x, `${name}.downsample.0`, { out, kernel: 1, stride: 2, bias: true }) : x
  return net.relu(net.add(second, shortcut, `${name}.add`), `${name}.relu2`)
}
