import { nodeEngine } from '@fewbit/engine-node'
import { fixture, memoryData, normalData } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { type Model, Tensor } from '../ir/index.ts'
import { structuralHash } from '../passes/index.ts'
import { writeSafetensors } from '../weights/index.ts'
import { climb } from './ladder/index.ts'
import { type QuantizeOptions, type QuantizeResult, quantize } from './quantize.ts'

const engine = nodeEngine({ threads: 1 })
const data = (seed?: number) => memoryData(normalData({ x: [1, 4, 8, 8] }, 16, seed))
const QUICK = { iterations: 40, learningRate: 0.05, scaleRate: 0.01, batch: 8, biasRate: 0.01 }
/** Three blocks, twice. */
const algorithms = [
  { name: 'adaquant', options: QUICK },
  { name: 'qdrop', options: QUICK },
]

const options = (over: Partial<QuantizeOptions> = {}): QuantizeOptions => ({
  ...{ engine, target: 'academic', scheme: 'w3a3', edgeBits: 3, algorithms },
  calibration: { data: data(), observer: 'minmax' },
  ...over,
})

const run = (over: Partial<QuantizeOptions> = {}, model: Model = fixture('residual')): Promise<QuantizeResult> =>
  quantize(model, options(over))

/** Everything that a run leaves, to the bit. */
const all = ({ model, float, params, report }: QuantizeResult) => ({
  ...{ model: structuralHash(model), float: structuralHash(float), params: [...params] },
  details: report.algorithms.map(({ details, changed, sqnr }) => ({ details, changed, sqnr })),
})

/** A place that ends the run, as a kill would, when it is to keep one checkpoint more than these. */
function place(saves = Number.POSITIVE_INFINITY, kept?: Uint8Array) {
  const state = { kept, saves: 0 }
  return {
    state,
    name: 'place',
    load: async () => state.kept,
    async save(bytes: Uint8Array) {
      if (state.saves === saves) throw new Error('killed')
      state.saves++
      state.kept = bytes
    },
  }
}

async function killedAfter(saves: number): Promise<Uint8Array> {
  const checkpoint = place(saves)
  await expect(run({ checkpoint })).rejects.toThrow('killed')
  return checkpoint.state.kept as Uint8Array
}

let whole: ReturnType<typeof all> | undefined
const unstopped = async () => {
  whole ??= all(await run())
  return whole
}

describe('a quantization that is stopped', () => {
  it.each([1, 2, 4, 5])('goes on behind its last finished block, of %i', async (saves) => {
    const steps = { adaquant: 0, qdrop: 0 }
    const onProgress: NonNullable<QuantizeOptions['onProgress']> = ({ stage, state }) => {
      if (state === 'progress' && stage in steps) steps[stage as keyof typeof steps]++
    }
    const checkpoint = place(undefined, await killedAfter(saves))
    const result = await run({ checkpoint, resume: true, onProgress })
    expect(all(result)).toEqual(await unstopped())
    // Two reports of each block: of 25 steps, and of the last.
    expect(steps).toEqual({ adaquant: 2 * Math.max(0, 3 - saves), qdrop: 2 * Math.min(3, 6 - saves) })
    expect(checkpoint.state.saves).toBe(6 - saves)
  })

  it('goes on behind its very last block', async () => {
    const checkpoint = place()
    await run({ checkpoint })
    expect(checkpoint.state.saves).toBe(6)
    expect(all(await run({ checkpoint, resume: true }))).toEqual(await unstopped())
    expect(checkpoint.state.saves).toBe(6)
  })

  it('is told from every other run', async () => {
    const checkpoint = place(undefined, await killedAfter(2))
    const resume = true
    await expect(run({ checkpoint })).rejects.toThrow('CHECKPOINT_EXISTS')
    const other = (over: Partial<QuantizeOptions>) => run({ checkpoint, resume, ...over })
    await expect(other({ seed: 2 })).rejects.toThrow(/CHECKPOINT_OTHER.*: seed\n.*1 then, 2 now/)
    await expect(other({ perTensor: true })).rejects.toThrow(/CHECKPOINT_OTHER.*: perTensor\n/)
    const calibration = { data: data(7), observer: 'minmax' }
    await expect(other({ calibration })).rejects.toThrow(/CHECKPOINT_OTHER.*: data\n/)
    const changed = fixture('residual')
    const [weight] = [...changed.graph.initializers].filter(({ constant }) => (constant?.dims.length ?? 0) === 4)
    if (weight?.constant) {
      const numbers = Float32Array.from(weight.constant.numbers(), (x, i) => (i === 0 ? x + 1e-3 : x))
      weight.constant = Tensor.float32(weight.constant.dims, numbers)
    }
    await expect(run({ checkpoint, resume }, changed)).rejects.toThrow(/CHECKPOINT_OTHER.*: model\n/)
    const junk = (kept: Uint8Array) => run({ checkpoint: place(0, kept), resume })
    await expect(junk(Uint8Array.of(1, 2, 3))).rejects.toThrow('SAFETENSORS_TRUNCATED')
    await expect(junk(writeSafetensors(new Map(), {}))).rejects.toThrow('CHECKPOINT_FORMAT')
    expect(checkpoint.state.saves).toBe(0)
  })

  it('says so where there is nothing to go on from', async () => {
    const of = async (over: Partial<QuantizeOptions>) => (await run({ resume: true, ...over })).diagnostics
    const code = expect.objectContaining({ code: 'CHECKPOINT_NONE', level: 'info' })
    expect(await of({ checkpoint: place() })).toContainEqual(code)
    expect(await of({ checkpoint: place(0), algorithms: [] })).toContainEqual(code)
  })
})

describe('a ladder that is stopped', () => {
  it('goes on within its trial, and takes no checkpoint of another one', async () => {
    const evaluation = { data: data(77), metrics: ['cosine'] }
    const { algorithms: _, ...plain } = options({ evaluation })
    const ladder = { ...plain, algorithms: [{ name: 'qdrop', options: QUICK }], maxDrop: { units: 0.9 } }
    const asked = await climb(fixture('residual'), ladder)
    const checkpoint = place(2)
    await expect(climb(fixture('residual'), { ...ladder, checkpoint })).rejects.toThrow('killed')
    const rest = place(undefined, checkpoint.state.kept)
    const { model, params } = await climb(fixture('residual'), { ...ladder, checkpoint: rest })
    expect([structuralHash(model), ...params]).toEqual([structuralHash(asked.model), ...asked.params])
    expect(rest.state.saves).toBe(1)
    const others = place(undefined, await killedAfter(2))
    await climb(fixture('residual'), { ...ladder, checkpoint: others })
    expect(others.state.saves).toBe(3)
  })
})
