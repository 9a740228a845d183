// MobileNetV1 of MLPerf Tiny as it was published, trained: its weights in the zoo's graph give its outputs.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loadModel, nodeEngine } from '@fewbit/engine-node'
import { describe, expect, it } from 'vitest'
import { type Model, Tensor } from '../ir/index.ts'
import { must, rng } from '../util/index.ts'
import { loadWeights } from '../weights/index.ts'
import { buildZooModel } from './index.ts'

const data = process.env.FEWBIT_DATA ?? fileURLToPath(new URL('../../../../../shared/data', import.meta.url))
const path = join(data, 'models/vww_mobilenetv1_025_96.onnx')

/** Its layers are numbered in order: convolutions with weight and bias, normalizations with four vectors. */
function stateDict(published: Model): Map<string, Tensor> {
  const tensors = new Map<string, Tensor>()
  const put = (name: string, parts: readonly string[], inputs: Model['graph']['inputs']) => {
    for (const [i, part] of parts.entries())
      tensors.set(`${name}.${part}`, must(inputs[i]?.constant, `${name}.${part}`))
  }
  const counts = { Conv: 0, BatchNormalization: 0 }
  for (const node of published.graph.nodes) {
    const inputs = node.inputs.slice(1).map((value) => must(value, 'input'))
    // The stem is features.0.0 and .1, a block features.i.0, .1, .3 and .4.
    const at = (n: number) => (n === 0 ? 'features.0.' : `features.${Math.ceil(n / 2)}.`)
    const offset = (n: number) => (n > 0 && n % 2 === 0 ? 3 : 0)
    if (node.opType === 'Conv') {
      const n = counts.Conv++
      put(at(n) + offset(n), ['weight', 'bias'], inputs)
    } else if (node.opType === 'BatchNormalization') {
      const n = counts.BatchNormalization++
      put(at(n) + (offset(n) + 1), ['weight', 'bias', 'running_mean', 'running_var'], inputs)
    } else if (node.opType === 'Gemm') put('classifier', ['weight', 'bias'], inputs)
  }
  return tensors
}

describe.skipIf(!existsSync(path))('MobileNetV1 0.25 of MLPerf Tiny', () => {
  it('computes with published weights what the published network computes', async () => {
    const published = await loadModel(path)
    const tensors = stateDict(published)
    const gemm = [...published.graph.nodes].find(({ opType }) => opType === 'Gemm')
    const turned = gemm?.attributes.get('transB')
    const weight = must(tensors.get('classifier.weight'), 'head')
    if (!turned) tensors.set('classifier.weight', transposed(weight))
    const { model, report } = loadWeights(buildZooModel('mobilenet-v1-vww'), tensors)
    expect(report).toMatchObject({ missing: [], mismatched: [], unused: [] })
    const random = rng(5)
    const pixels = Float32Array.from({ length: 96 * 96 * 3 }, () => random.next())
    const engine = nodeEngine()
    const theirs = await engine.load(published)
    const ours = await engine.load(model)
    const { dense_softmax: expected } = await theirs.run({ input: Tensor.float32([1, 96, 96, 3], pixels) })
    const { logits } = await ours.run({ input: Tensor.float32([1, 3, 96, 96], channelsFirst(pixels, 96 * 96)) })
    const [a, b] = must(logits, 'logits').numbers() as unknown as [number, number]
    const [p, q] = must(expected, 'probabilities').numbers() as unknown as [number, number]
    expect(a - b).toBeCloseTo(Math.log(p / q), 4)
  })
})

function transposed(matrix: Tensor): Tensor {
  const [rows, columns] = matrix.dims as [number, number]
  const from = matrix.numbers()
  return Tensor.float32(
    [columns, rows],
    Float32Array.from(from, (_, i) => must(from[(i % rows) * columns + Math.floor(i / rows)], 'element')),
  )
}

const channelsFirst = (pixels: Float32Array, area: number): Float32Array =>
  Float32Array.from(pixels, (_, i) => must(pixels[(i % area) * 3 + Math.floor(i / area)], 'pixel'))
