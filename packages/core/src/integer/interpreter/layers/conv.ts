import { Tensor } from '../../../ir/index.ts'
import { intAttribute } from '../../../passes/index.ts'
import type { CodeTensor, newCodes } from '../codes.ts'
import { type Kernels, paddedLength } from '../kernels/kernels.ts'
import { gatherPatches } from '../kernels/patches.ts'
import { type Window2, type WindowAxis, windowOf } from '../window.ts'
import type { BuildLayer, Built, Site } from './layer.ts'
import { type Output, outputOf, runAtOnce } from './requantize.ts'
import { dotsOf, weightRows } from './rows.ts'
import { stretched, transposedWindow } from './transposed.ts'
import { constantWeights, convLayout, type Prepared, prepareWeights } from './weights.ts'

/** Elements of patches that are held at a time. */
const BLOCK = 1 << 17

/** Conv and ConvTranspose over one or two axes with constant weights. */
export const conv: BuildLayer = (site) => {
  const { node, operands, scheme } = site
  const [x] = operands
  if (x?.kind !== 'codes' || x.constant) return 'its data are not codes'
  const weights = constantWeights(node.inputs[1])
  if (typeof weights === 'string') return weights
  const kernel = weights.dims.slice(2)
  if (kernel.length < 1 || kernel.length > 2) return `it has ${kernel.length} spatial axes`
  const layout = convLayout(node, weights.dims)
  const facts = prepareWeights(weights, layout, { input: x.grid, bias: node.inputs[2], scheme })
  if (typeof facts === 'string') return facts
  const group = intAttribute(node, 'group', 1)
  const output = outputOf(site, facts, group > 1 && facts.terms === kernel.reduce((n, d) => n * d, 1))
  if (typeof output === 'string') return output
  return built(site, { facts, output, group, kernel })
}

interface Convolution {
  readonly facts: Prepared
  readonly output: Output
  readonly group: number
  readonly kernel: readonly number[]
}

function built(site: Site, layer: Convolution): Built {
  const transposed = site.node.opType === 'ConvTranspose'
  return {
    reads: [0],
    makes: site.result ? 'result' : 'real',
    sums: layer.facts,
    notes: layer.facts.notes,
    run([x], kernels) {
      const data = x as CodeTensor
      const spatial = data.dims.slice(2)
      if (!transposed) {
        return convolve(data, windowOf(site.node, layer.kernel, spatial) as Window2, layer, { kernels, site })
      }
      const window = transposedWindow(site.node, layer.kernel, spatial)
      return convolve(stretched(data, site.node, layer.facts.input), window, layer, { kernels, site })
    },
  }
}

interface Run {
  readonly kernels: Kernels
  readonly site: Site
}

function convolve(x: CodeTensor, window: Window2, layer: Convolution, run: Run): CodeTensor | Tensor {
  const { facts, output } = layer
  const batch = x.dims[0] as number
  const plane = window[0].positions * window[1].positions
  const out = output.make(batch * facts.channels * plane)
  const inputs = (x.dims[1] as number) / layer.group
  const shape = { codes: x.codes, samples: batch, group: layer.group, inputs, window, out, channelsLast: false }
  if (!runAtOnce(shape, { facts, output, saturates: run.site.scheme.pairs === true }, run.kernels))
    for (let n = 0; n < batch; n++) {
      for (let g = 0; g < layer.group; g++) convolveGroup({ x, window, layer, n, g, plane, out, kernels: run.kernels })
    }
  const positions = window.map((axis: WindowAxis) => axis.positions).slice(-(x.dims.length - 2))
  const dims = [batch, facts.channels, ...positions]
  if (out instanceof Float32Array) return Tensor.float32(dims, out)
  return { dims, codes: out, dtype: run.site.result?.grid.dtype ?? 'int32' }
}

interface GroupJob {
  readonly x: CodeTensor
  readonly window: Window2
  readonly layer: Convolution
  readonly n: number
  readonly g: number
  readonly plane: number
  readonly out: ReturnType<typeof newCodes> | Float32Array
  readonly kernels: Kernels
}

/** The channels of one group of one sample, positions by blocks. */
function convolveGroup({ x, window, layer, n, g, plane, out, kernels }: GroupJob): void {
  const { facts, group, output } = layer
  const inputs = (x.dims[1] as number) / group
  const channels = facts.channels / group
  const area = window[0].size * window[1].size
  const patches = {
    codes: x.codes,
    offset: (n * (x.dims[1] as number) + g * inputs) * area,
    channels: inputs,
    window,
    fill: facts.input.zeroPoint,
    shift: facts.shift,
  }
  const block = Math.max(1, Math.min(plane, Math.floor(BLOCK / paddedLength(facts.terms))))
  const start = kernels.mark()
  const weights = weightRows(facts, g * channels, channels, kernels)
  for (let first = 0; first < plane; first += block) {
    const count = Math.min(block, plane - first)
    const mark = kernels.mark()
    const rows = kernels.rows(count, facts.terms)
    gatherPatches(patches, first, rows)
    const sums = dotsOf(facts, weights, rows, kernels)
    for (let c = 0; c < channels; c++) {
      const channel = g * channels + c
      const to = (n * facts.channels + channel) * plane + first
      for (let p = 0; p < count; p++) out[to + p] = output.convert(sums[c * count + p] as number, channel)
    }
    kernels.release(mark)
  }
  kernels.release(start)
}
