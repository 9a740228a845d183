import { Tensor } from '../../../ir/index.ts'
import { floatAttribute, intAttribute } from '../../../passes/index.ts'
import { type CodeTensor, sizeOf } from '../codes.ts'
import { type Kernels, paddedLength } from '../kernels/kernels.ts'
import { POINT } from '../window.ts'
import type { BuildLayer, Site } from './layer.ts'
import { matmulOfActivations } from './matmul.ts'
import { type Output, outputOf, runAtOnce } from './requantize.ts'
import { copyRows, dotsOf, weightRows } from './rows.ts'
import { constantWeights, type Prepared, prepareWeights, type WeightLayout } from './weights.ts'

/** Elements of the data that are held at a time. */
const BLOCK = 1 << 17

/** Gemm with a constant matrix. */
export const gemm: BuildLayer = (site) => {
  const { node } = site
  if (floatAttribute(node, 'alpha', 1) !== 1 || floatAttribute(node, 'beta', 1) !== 1) return 'alpha or beta is not 1'
  if (intAttribute(node, 'transA', 0) === 1) return 'its data are transposed'
  return withMatrix(site, intAttribute(node, 'transB', 0) === 1)
}

/** MatMul, with a constant matrix or of two activations. */
export const matmul: BuildLayer = (site) => {
  const weights = constantWeights(site.node.inputs[1])
  if (typeof weights === 'string' || weights.dims.length !== 2) return matmulOfActivations(site)
  return withMatrix(site, false)
}

function withMatrix(site: Site, transposed: boolean): ReturnType<BuildLayer> {
  const { node, operands, scheme, result } = site
  const [x] = operands
  if (x?.kind !== 'codes' || x.constant) return 'its data are not codes'
  const weights = constantWeights(node.inputs[1])
  if (typeof weights === 'string') return weights
  const bias = node.opType === 'Gemm' ? node.inputs[2] : null
  const layout = matrixLayout(weights.dims, transposed)
  const facts = prepareWeights(weights, layout, { input: x.grid, bias, scheme })
  if (typeof facts === 'string') return facts
  const output = outputOf(site, facts)
  if (typeof output === 'string') return output
  return {
    reads: [0],
    makes: result ? 'result' : 'real',
    sums: facts,
    notes: facts.notes,
    run: ([data], kernels) =>
      multiply(
        data as CodeTensor,
        { facts, output, dtype: result?.grid.dtype, saturates: scheme.pairs === true },
        kernels,
      ),
  }
}

function matrixLayout(dims: readonly number[], transposed: boolean): WeightLayout {
  const [rows, columns] = dims as [number, number]
  return transposed
    ? { channels: rows, terms: columns, area: 1, at: (c, k) => c * columns + k, axis: 0 }
    : { channels: columns, terms: rows, area: 1, at: (c, k) => k * columns + c, axis: 1 }
}

interface Product {
  readonly facts: Prepared
  readonly output: Output
  readonly dtype: CodeTensor['dtype'] | undefined
  readonly saturates: boolean
}

function multiply(x: CodeTensor, { facts, output, dtype, saturates }: Product, kernels: Kernels): CodeTensor | Tensor {
  const { terms, channels } = facts
  const count = sizeOf(x.dims) / terms
  const out = output.make(count * channels)
  const dims = [...x.dims.slice(0, -1), channels]
  const made = (): CodeTensor | Tensor =>
    out instanceof Float32Array ? Tensor.float32(dims, out) : { dims, codes: out, dtype: dtype ?? 'int32' }
  const across = {
    ...POINT,
    size: count * terms,
    kernel: terms,
    stride: terms,
    paddedEnd: count * terms,
    positions: count,
  }
  const shape = {
    codes: x.codes,
    samples: 1,
    group: 1,
    inputs: 1,
    window: [POINT, across] as const,
    out,
    channelsLast: true,
  }
  if (runAtOnce(shape, { facts, output, saturates }, kernels)) return made()
  const block = Math.max(1, Math.min(count, Math.floor(BLOCK / paddedLength(terms))))
  const start = kernels.mark()
  const weights = weightRows(facts, 0, channels, kernels)
  for (let first = 0; first < count; first += block) {
    const mark = kernels.mark()
    const rows = kernels.rows(Math.min(block, count - first), terms)
    copyRows(x, first * terms, terms, facts.shift, rows)
    const sums = dotsOf(facts, rows, weights, kernels)
    for (let i = 0; i < rows.count; i++) {
      const [from, to] = [i * channels, (first + i) * channels]
      for (let c = 0; c < channels; c++) out[to + c] = output.convert(sums[from + c] as number, c)
    }
    kernels.release(mark)
  }
  kernels.release(start)
  return made()
}
