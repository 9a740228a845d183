import { nodeEngine } from '@fewbit/engine-node'
import { describe, expect, it } from 'vitest'
import { parseModel } from '../ir/index.ts'
import { planModel } from './quantize.ts'

const engine = nodeEngine({ threads: 1 })

/** A normalization in front of a layer, as vision transformers have before their head. */
const head = () =>
  parseModel(`<ir_version = 8, opset_import = ["": 17]> main (float[N,3] x) => (float[N,2] y) <float[3] g = {1, 20, 0.1}, float[3] b = {0, 0, 0},
    float[3] m = {0, 1, 2}, float[3] v = {1, 1, 1}, float[2,3] w = {0.5, -1, 0.25, 1, 0.5, -0.5}> {
    n = BatchNormalization(x, g, b, m, v) [fc] y = Gemm<transB = 1>(n, w) }`)

const operators = async (target: string, scheme: string) => {
  const { float } = await planModel(head(), { engine, target, scheme })
  return [...float.graph.nodes].map(({ opType }) => opType)
}

describe('what is folded before quantizing', () => {
  it('is a normalization in front of a layer, where the layer has codes enough for its factors', async () => {
    expect(await operators('academic', 'w8a8')).toEqual(['Gemm'])
  })

  it('is not, below 8 bits, unless the backend runs integers only', async () => {
    expect(await operators('academic', 'w4a8')).toEqual(['BatchNormalization', 'Gemm'])
    expect(await operators('qnn', 'w4a8')).toEqual(['Gemm'])
  })
})
