import { nodeEngine } from '@fewbit/engine-node'
import { describe, expect, it } from 'vitest'
import { type Attribute, attribute, Graph, GraphBuilder, Model, Tensor, tensorType } from '../../ir/index.ts'
import { defaultOps, readAttrs, versionIn } from '../index.ts'

const engine = nodeEngine({ threads: 1 })
const { float, string } = attribute

/** From −6 to 6 in steps of 1/16, and what lies far out. */
const POINTS = [...Array.from({ length: 193 }, (_, i) => (i - 96) / 16), -40, 40, 1e-3, -1e-3]

const ATTRIBUTES: Readonly<Record<string, Record<string, Attribute>>> = {
  LeakyRelu: { alpha: float(0.2) },
  Elu: { alpha: float(1.5) },
  Selu: { alpha: float(1.25), gamma: float(0.5) },
  Celu: { alpha: float(2) },
  HardSigmoid: { alpha: float(0.3), beta: float(0.4) },
  Shrink: { bias: float(0.25), lambd: float(1) },
  ThresholdedRelu: { alpha: float(0.75) },
}

const rows = [...defaultOps]
  // Swish came after opset 20.
  .filter(({ scalar, type }) => scalar && type !== 'Swish')
  .flatMap(({ type }) => [
    { type, attributes: {} },
    ...(ATTRIBUTES[type] ? [{ type, attributes: ATTRIBUTES[type] }] : []),
    ...(type === 'Gelu' ? [{ type, attributes: { approximate: string('tanh') } }] : []),
  ])

function modelOf(type: string, attributes: Record<string, Attribute>): Model {
  const b = new GraphBuilder(new Graph('one'))
  const y = b.op(type, [b.input('x', tensorType('float32', [POINTS.length]))], attributes)
  y.name = 'y'
  b.output(y)
  const model = new Model(b.graph)
  model.opsets.set('', 20)
  model.irVersion = 9
  return model
}

describe('operators on one element', () => {
  it('there are as many as there are unary operators with a derivative', () => {
    expect(rows.length).toBeGreaterThan(35)
  })

  it.each(rows)('$type $attributes', async ({ type, attributes }) => {
    const model = modelOf(type, attributes)
    const [node] = [...model.graph.nodes]
    const def = defaultOps.get('', type)
    if (!node || !def?.scalar) throw new Error('no such operator')
    const scalar = def.scalar(readAttrs(def, node, versionIn(def, model) ?? 0))
    const session = await engine.load(model)
    const { y } = await session.run({ x: Tensor.float32([POINTS.length], POINTS) })
    const want = [...(y?.numbers() ?? [])]
    expect(want).toHaveLength(POINTS.length)
    POINTS.forEach((x, i) => {
      const [got, real] = [Math.fround(scalar(Math.fround(x))), want[i] as number]
      if (!Number.isFinite(real)) expect({ x, y: got }).toEqual({ x, y: real })
      // Float32 kernels are off by a few of their steps.
      else expect({ x, off: Math.abs(got - real) > 2e-6 * Math.max(1, Math.abs(real)) }).toEqual({ x, off: false })
    })
  })
})
