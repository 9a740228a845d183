import { KERAS } from './conventions.ts'
import type { ZooEntry } from './entry.ts'
import { glorotUniform } from './initialization.ts'

/**
 * DS-CNN as MLPerf Tiny has it, after its Keras code: 49 frames of 10 cepstral coefficients, padding by TensorFlow's `SAME` (nine rows and
 * two columns for a window of 10×4 with stride 2).
 */
export const DS_CNN: ZooEntry = {
  title: 'DS-CNN of MLPerf Tiny (keyword spotting)',
  paper:
    'Zhang et al. 2017, Hello Edge, arXiv:1711.07128; Banbury et al. 2021, MLPerf Tiny Benchmark, arXiv:2106.07597',
  names: 'own, after torchvision (the original is Keras)',
  input: [1, 49, 10],
  classes: 12,
  parameters: 23_756,
  macs: 2_656_768,
  conventions: { ...KERAS, convWeight: glorotUniform, linearWeight: glorotUniform },
  write(net, input, classes) {
    const window = { kernel: [10, 4], stride: 2, pads: [4, 1, 5, 1] } as const
    const stem = net.conv(input, 'features.0.0', { out: 64, bias: true, ...window })
    let x = net.dropout(net.relu(net.batchNorm(stem, 'features.0.1'), 'features.0.2'), 'features.0.3', 0.2)
    for (let i = 1; i <= 4; i++) {
      const name = `features.${i}`
      const depthwise = net.conv(x, `${name}.0`, { out: 64, groups: 64, bias: true })
      const inner = net.relu(net.batchNorm(depthwise, `${name}.1`), `${name}.2`)
      const pointwise = net.conv(inner, `${name}.3`, { out: 64, kernel: 1, bias: true })
      x = net.relu(net.batchNorm(pointwise, `${name}.4`), `${name}.5`)
    }
    const dropped = net.dropout(x, 'dropout', 0.4)
    return net.linear(net.globalPool(dropped, 'avgpool'), 'classifier', classes)
  },
}
