import type { Value } from '../ir/index.ts'
import { EFFICIENTNET } from './conventions.ts'
import type { ZooEntry } from './entry.ts'
import { heFanOutOfGroup } from './initialization.ts'
import type { ConvOptions, NetworkWriter } from './network-writer.ts'

interface Stage {
  readonly expansion: number
  readonly kernel: number
  readonly stride: number
  readonly out: number
  readonly repeats: number
}

const stage = (expansion: number, kernel: number, stride: number, out: number, repeats: number): Stage => {
  return { expansion, kernel, stride, out, repeats }
}

const STAGES: readonly Stage[] = [
  stage(1, 3, 1, 16, 1),
  stage(6, 3, 2, 24, 2),
  stage(6, 5, 2, 40, 2),
  stage(6, 3, 2, 80, 3),
  stage(6, 5, 1, 112, 3),
  stage(6, 5, 2, 192, 4),
  stage(6, 3, 1, 320, 1),
]

/**
 * EfficientNet-Lite0: B0 with Relu6 for Swish, without squeeze and excitation, stem and head of fixed width. Padding is symmetric, as in timm's
 * `efficientnet_lite0`; the original TensorFlow form pads unevenly.
 */
export const EFFICIENTNET_LITE0: ZooEntry = {
  title: 'EfficientNet-Lite0',
  paper: 'Tan & Le 2019, EfficientNet, arXiv:1905.11946; Liu 2020, EfficientNet-Lite (TensorFlow TPU models)',
  names: 'timm (efficientnet_lite0)',
  input: [3, 224, 224],
  preset: 'imagenet',
  classes: 1000,
  parameters: 4_652_008,
  macs: 385_187_552,
  conventions: EFFICIENTNET,
  write(net, input, classes) {
    let x = net.relu6(convNorm(net, input, ['conv_stem', 'bn1'], { out: 32, stride: 2 }), 'act1')
    for (const [s, row] of STAGES.entries()) {
      for (let i = 0; i < row.repeats; i++) {
        x = block(net, x, `blocks.${s}.${i}`, i === 0 ? row : { ...row, stride: 1 })
      }
    }
    x = net.relu6(convNorm(net, x, ['conv_head', 'bn2'], { out: 1280, kernel: 1 }), 'act2')
    return net.linear(net.dropout(net.globalPool(x, 'global_pool'), 'drop', 0.2), 'classifier', classes)
  },
}

function convNorm(net: NetworkWriter, x: Value, [conv, norm]: readonly [string, string], o: ConvOptions): Value {
  return net.batchNorm(net.conv(x, conv, { ...o, weight: heFanOutOfGroup(o.groups ?? 1) }), norm)
}

/** Stage 0 is depthwise separable (`conv_dw`, `conv_pw`), the others are inverted residuals (`conv_pw`, `conv_dw`, `conv_pwl`). */
function block(net: NetworkWriter, x: Value, name: string, { expansion, kernel, stride, out }: Stage): Value {
  const names = expansion === 1 ? ['', 'conv_dw', 'conv_pw'] : ['conv_pw', 'conv_dw', 'conv_pwl']
  const at = (i: number): [string, string] => [`${name}.${names[i]}`, `${name}.bn${expansion === 1 ? i : i + 1}`]
  const wide = net.channels(x) * expansion
  const expanded = expansion === 1 ? x : net.relu6(convNorm(net, x, at(0), { out: wide, kernel: 1 }), `${name}.act1`)
  const depthwise = convNorm(net, expanded, at(1), { out: wide, kernel, stride, groups: wide })
  const y = convNorm(net, net.relu6(depthwise, `${name}.act2`), at(2), { out, kernel: 1 })
  return stride === 1 && net.channels(x) === out ? net.add(y, x, `${name}.add`) : y
}
