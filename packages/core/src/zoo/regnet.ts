import type { Value } from '../ir/index.ts'
import { TORCHVISION_MOBILE } from './conventions.ts'
import type { ZooEntry } from './entry.ts'
import type { ConvOptions, NetworkWriter } from './network-writer.ts'

/** What w₀ = 48, w_a = 36.97, w_m = 2.24 and 16 blocks quantize to (section 4 of the paper), and how wide a group is. */
const WIDTHS = [48, 96, 240, 528]
const DEPTHS = [1, 3, 5, 7]
const GROUP = 24

export const REGNETX_600MF: ZooEntry = {
  title: 'RegNetX-600MF',
  paper: 'Radosavovic, Kosaraju, Girshick, He & Dollár 2020, Designing Network Design Spaces, arXiv:2003.13678',
  names: 'timm (regnetx_006)',
  input: [3, 224, 224],
  preset: 'imagenet',
  classes: 1000,
  parameters: 6_196_040,
  macs: 600_890_112,
  conventions: TORCHVISION_MOBILE,
  write(net, input, classes) {
    let x = net.relu(convNorm(net, input, 'stem', { out: 32, stride: 2 }), 'stem.relu')
    for (const [stage, depth] of DEPTHS.entries()) {
      for (let i = 0; i < depth; i++) {
        x = block(net, x, `s${stage + 1}.b${i + 1}`, WIDTHS[stage] as number, i === 0 ? 2 : 1)
      }
    }
    return net.linear(net.globalPool(x, 'head.global_pool'), 'head.fc', classes)
  },
}

/** The X block: 1×1, grouped 3×3, 1×1, all of the same width. */
function block(net: NetworkWriter, x: Value, name: string, out: number, stride: number): Value {
  const first = net.relu(convNorm(net, x, `${name}.conv1`, { out, kernel: 1 }), `${name}.relu1`)
  const grouped = convNorm(net, first, `${name}.conv2`, { out, stride, groups: out / GROUP })
  const third = convNorm(net, net.relu(grouped, `${name}.relu2`), `${name}.conv3`, { out, kernel: 1 })
  const alike = stride === 1 && net.channels(x) === out
  const shortcut = alike ? x : convNorm(net, x, `${name}.downsample`, { out, kernel: 1, stride })
  return net.relu(net.add(third, shortcut, `${name}.add`), `${name}.relu3`)
}

function convNorm(net: NetworkWriter, x: Value, name: string, options: ConvOptions): Value {
  return net.batchNorm(net.conv(x, `${name}.conv`, options), `${name}.bn`)
}
