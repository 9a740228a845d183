import { nodeEngine } from '@fewbit/engine-node'
import { newModel } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { type Model, Tensor, tensorType } from '../../ir/index.ts'
import { defaultOps } from '../../ops/index.ts'
import { inferShapes } from '../../passes/index.ts'
import { must, rng } from '../../util/index.ts'
import { CachedRows } from './cached-rows.ts'
import { partOf } from './unit-part.ts'
import { unitsOf } from './units.ts'

const engine = nodeEngine({ threads: 1 })
const SAMPLES = 5
const random = rng(3)
const numbers = (dims: readonly number[]) =>
  Tensor.float32(dims, Float32Array.from({ length: dims.reduce((n, d) => n * d, 1) }, random.normal))

/** Conv, Relu, Reshape, MatMul, exported for one sample. */
function network(shape: readonly number[], columns: number): Model {
  const { model, b } = newModel()
  const x = b.input('x', tensorType('float32', [1, 2, 3, 3]))
  const conv = b.op('Conv', [x, b.constant('w', numbers([3, 2, 1, 1]))])
  const flat = b.op('Reshape', [b.op('Relu', [conv]), b.constant('shape', Tensor.int64([shape.length], shape))])
  b.output(b.op('MatMul', [flat, b.constant('fc', numbers([columns, 4]))], {}, { output: 'y' }))
  inferShapes(model, { ops: defaultOps })
  return model
}

const FED = Array.from({ length: SAMPLES }, () => numbers([1, 2, 3, 3]))

/** The whole network as one unit for five samples at once. */
async function part(model: Model) {
  const layers = new Set([...model.graph.nodes].filter(({ opType }) => opType === 'Conv'))
  const [unit] = unitsOf(model, layers, { granularity: 'net', depth: 6 })
  const session = await engine.load(model)
  const outputs = []
  for (const x of FED) outputs.push(must((await session.run({ x })).y, 'y'))
  await session.release()
  const seen = new Map([['x', new CachedRows(FED)]])
  const data = { count: SAMPLES, seen, float: seen, targets: new Map([['y', new CachedRows(outputs)]]) }
  return { found: partOf(model, must(unit, 'unit'), data, SAMPLES, defaultOps), data }
}

describe('partOf', () => {
  it('runs many samples through a network that was exported for one, to what each gives alone', async () => {
    const { found, data } = await part(network([1, 27], 27))
    const session = await engine.load(must(found, 'part'))
    const { y } = await session.run({ x: data.seen.get('x')?.all() as Tensor })
    await session.release()
    expect(y?.dims).toEqual([SAMPLES, 4])
    const alone = must(data.targets.get('y'), 'y').all().numbers()
    for (const [i, value] of alone.entries()) expect(y?.numbers()[i]).toBeCloseTo(value, 5)
  })

  it('knows where the batch cannot be another one', async () => {
    const { found } = await part(network([3, 9], 9))
    expect(found).toBeUndefined()
  })
})
