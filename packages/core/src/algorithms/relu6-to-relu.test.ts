import { nodeEngine } from '@fewbit/engine-node'
import { applyRewrite, newModel, outputError, runModel } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import type { Feeds } from '../engine/index.ts'
import { type Model, Tensor, tensorType } from '../ir/index.ts'
import { relu6ToRelu } from './relu6-to-relu.ts'

const engine = nodeEngine({ threads: 1 })

/** Three activations bounded by 6 and one by 1 from below, on x, x/2 and x·2, summed. */
function model(): Model {
  const { model, b } = newModel()
  const x = b.input('x', tensorType('float32', [4]))
  const bound = (v: number) => b.constant('bound', Tensor.float32([], [v]))
  const relu6 = (factor: number, name: string, low = 0) =>
    b.op('Clip', [b.op('Mul', [x, bound(factor)]), bound(low), bound(6)], {}, { name })
  b.output(b.op('Sum', [relu6(1, 'just'), relu6(0.5, 'never'), relu6(2, 'often'), relu6(1, 'other', 1)]))
  return model
}

const feeds = (...values: number[]): Feeds => ({ x: Tensor.float32([4], values) })
/** x reaches 6.3: "just" is exceeded by 5 %, "often" by 110 %, and the sum is 6 + 3.15 + 6 + 6 there. */
const DATA = [feeds(-1, 2, 3, 5), feeds(6.3, 1, 0, 2)]

const types = ({ graph }: Model) =>
  Object.fromEntries([...graph.nodes].filter((n) => ['Relu', 'Clip'].includes(n.opType)).map((n) => [n.name, n.opType]))

const convert = (tolerance: number) =>
  applyRewrite(relu6ToRelu, model(), engine, { tolerance, force: false }, { feeds: DATA })

describe('relu6-to-relu', () => {
  it('drops bounds that nothing on the data reaches, and says why others stay', async () => {
    const { model: after, outcome } = await convert(0)
    expect(types(after)).toEqual({ just: 'Clip', never: 'Relu', often: 'Clip', other: 'Clip' })
    expect(outcome.notes?.join()).toMatch(/just keeps its bound 6: values reach 6.3.*often keeps/)
    expect(outcome.details).toEqual({ bounded: 3, unreached: 1, dropped: 1 })
    for (const sample of DATA) {
      expect(outputError(await runModel(engine, model(), sample), await runModel(engine, after, sample))).toBe(0)
    }
  })

  it('drops the least exceeded bounds while the outputs stay within the tolerance', async () => {
    // 0.3 of 21.15 is 1.4 %; "often" would add 6.6 of it.
    expect(types((await convert(0.02)).model)).toEqual({ just: 'Relu', never: 'Relu', often: 'Clip', other: 'Clip' })
    expect(types((await convert(0.01)).model)).toMatchObject({ just: 'Clip', often: 'Clip' })
    expect(types((await convert(1)).model)).toMatchObject({ just: 'Relu', often: 'Relu', other: 'Clip' })
  })

  it('needs no data when told to', async () => {
    const { model: after } = await applyRewrite(relu6ToRelu, model(), engine, { tolerance: 0, force: true })
    expect(types(after)).toEqual({ just: 'Relu', never: 'Relu', often: 'Relu', other: 'Clip' })
  })
})
