import { KERAS } from './conventions.ts'
import type { ZooEntry } from './entry.ts'

/** Output channels and stride of each depthwise separable convolution, at width 1. */
const BLOCKS: readonly (readonly [number, number])[] = [
  [64, 1],
  [128, 2],
  [128, 1],
  [256, 2],
  [256, 1],
  [512, 2],
  ...Array.from({ length: 5 }, () => [512, 1] as const),
  [1024, 2],
  [1024, 1],
]
const WIDTH = 0.25

/** TensorFlow's `SAME` for an even size and stride 2. */
const SAME = [0, 0, 1, 1] as const

/** MobileNetV1 at width 0.25 as MLPerf Tiny has it, after its Keras code: every convolution has a bias besides its BatchNormalization. */
export const MOBILENET_V1_VWW: ZooEntry = {
  title: 'MobileNetV1 0.25 of MLPerf Tiny (visual wake words)',
  paper:
    'Howard et al. 2017, MobileNets, arXiv:1704.04861; Banbury et al. 2021, MLPerf Tiny Benchmark, arXiv:2106.07597',
  names: 'own, after torchvision (the original is Keras)',
  input: [3, 96, 96],
  preset: 'unit',
  classes: 2,
  parameters: 216_322,
  macs: 7_489_664,
  conventions: KERAS,
  write(net, input, classes) {
    const stem = net.conv(input, 'features.0.0', { out: 32 * WIDTH, stride: 2, pads: SAME, bias: true })
    let x = net.relu(net.batchNorm(stem, 'features.0.1'), 'features.0.2')
    for (const [i, [channels, stride]] of BLOCKS.entries()) {
      const name = `features.${i + 1}`
      const groups = net.channels(x)
      const edges = stride === 2 ? { stride, pads: SAME } : {}
      const depthwise = net.conv(x, `${name}.0`, { out: groups, groups, bias: true, ...edges })
      const inner = net.relu(net.batchNorm(depthwise, `${name}.1`), `${name}.2`)
      const pointwise = net.conv(inner, `${name}.3`, { out: channels * WIDTH, kernel: 1, bias: true })
      x = net.relu(net.batchNorm(pointwise, `${name}.4`), `${name}.5`)
    }
    return net.linear(net.globalPool(x, 'avgpool'), 'classifier', classes)
  },
}
