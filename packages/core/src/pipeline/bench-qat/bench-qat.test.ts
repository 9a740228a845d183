import { nodeEngine } from '@fewbit/engine-node'
import { describe, expect, it } from 'vitest'
import { Tensor } from '../../ir/index.ts'
import { TARGETS, targetAtBits } from '../../targets/index.ts'
import { network, pictures } from '../train/small-task.fixture.ts'
import { type BenchQatOptions, benchQat } from './bench-qat.ts'
import type { QatBench, QatCell } from './state.ts'

const engine = nodeEngine({ threads: 1 })

/** Keeps tables as JSON, as a file would. */
function memory() {
  const saved: string[] = []
  return {
    ...{ saved, name: 'test' },
    load: async () => (saved.length > 0 ? JSON.parse(saved.at(-1) as string) : undefined),
    save: async (state: QatBench) => void saved.push(JSON.stringify(state)),
  }
}

const options = (more: Partial<BenchQatOptions> = {}): BenchQatOptions => ({
  ...{ engine, data: pictures(64, 1), evaluation: { data: pictures(30, 2) } },
  ...{ algorithms: ['lsq', 'pact'], targets: ['academic', 'tensorrt', 'tvm'] },
  recipe: { steps: 3, batchSize: 16, calibrationSamples: 16, edgeBits: 4 },
  ...more,
})

describe('benchQat', () => {
  it('scores what was trained and what is deployed, and says why the rest is not', async () => {
    const cells: QatCell[] = []
    const algorithms = ['lsq', 'pact', 'apot']
    const bench = await benchQat({ small: network() }, options({ algorithms, onCell: (cell) => cells.push(cell) }))
    expect(bench.cells).toEqual(cells)
    expect(bench.float.small?.top1).toBeGreaterThanOrEqual(0)
    const cell = (algorithm: string, target: string) =>
      cells.find((c) => c.algorithm === algorithm && c.target === target)
    expect(cell('lsq', 'academic')).toMatchObject({ within: 1, measuredOn: 'simulation' })
    expect(cell('lsq', 'academic')?.beyond).toBeUndefined()
    for (const algorithm of ['lsq', 'pact']) {
      for (const target of ['tensorrt', 'tvm']) {
        const found = cell(algorithm, target)
        expect(found).toMatchObject({ beyond: true, within: 1 })
        expect(found?.deployed).toEqual(found?.qfloat)
      }
    }
    expect(cell('apot', 'academic')).toMatchObject({ within: 1, measuredOn: 'simulation' })
    expect(cell('apot', 'academic')?.deployed).toEqual(cell('apot', 'academic')?.qfloat)
    expect(cell('apot', 'tvm')?.refused).toMatchObject({
      code: 'QAT_OBSTACLE',
      reason: expect.stringContaining('not evenly spaced'),
    })
  })

  it('measures nothing twice, and mixes no recipes', async () => {
    const kept = memory()
    const first = options({ memory: kept, algorithms: ['lsq'], targets: ['academic', 'tvm'] })
    const whole = await benchQat({ small: network() }, first)
    expect(kept.saved).toHaveLength(2)
    kept.saved.splice(0, 2, kept.saved[0] as string)
    const cells: string[] = []
    const again = await benchQat({ small: network() }, { ...first, onCell: ({ target }) => cells.push(target) })
    expect(cells).toEqual(['tvm'])
    expect(again.cells.map(({ seconds: _, ...cell }) => cell)).toEqual(
      whole.cells.map(({ seconds: _, ...cell }) => cell),
    )
    const other = { ...first, recipe: { ...first.recipe, lr: 0.5 } }
    await expect(benchQat({ small: network() }, other)).rejects.toThrow(/BENCH_SETTINGS.*recipe/)
    const foreign = { ...first, memory: { ...kept, load: async () => ({ cells: 1 }) } }
    await expect(benchQat({ small: network() }, foreign)).rejects.toThrow(/BENCH_FORMAT/)
  })

  it('makes a network when its turn comes, unless the table is of another one', async () => {
    const kept = memory()
    const made: string[] = []
    const lazily = (name: string, recipe: { epochs: number }) => ({
      recipe,
      make: async () => {
        made.push(name)
        return network()
      },
    })
    const one = options({ memory: kept, algorithms: ['lsq'], targets: ['academic'] })
    const bench = await benchQat({ a: lazily('a', { epochs: 1 }), b: network() }, one)
    expect(bench.settings).toMatchObject({ 'float a': { epochs: 1 }, 'model a': bench.settings['model b'] })
    expect(bench.settings).not.toHaveProperty('float b')
    expect(bench.training).toBeUndefined()
    await expect(benchQat({ a: lazily('again', { epochs: 2 }) }, one)).rejects.toThrow(/BENCH_SETTINGS.*float a/)
    expect(made).toEqual(['a'])
  })

  it('knows each network of a table again, not the first one alone', async () => {
    const one = options({ memory: memory(), algorithms: ['lsq'], targets: ['academic'] })
    await benchQat({ a: network(), b: network() }, one)
    const other = network()
    const weight = [...other.graph.initializers].find(({ constant }) => (constant?.dims.length ?? 0) > 1)!
    weight.constant = Tensor.float32(weight.constant!.dims, new Float32Array(weight.constant!.size))
    await expect(benchQat({ a: network(), b: other }, one)).rejects.toThrow(/BENCH_SETTINGS.*model b/)
  })

  it.each([
    [{ targets: ['academic', 'tensort'] }, /TARGET_UNKNOWN.*tensort/],
    [{ algorithms: ['lsq', 'pakt'] }, /FAKE_QUANTIZER_UNKNOWN.*pakt/],
    [{ schemes: ['w4b4'] }, /SCHEME_UNKNOWN.*w4b4/],
  ])('says what is mistyped in %j before anything is trained', async (names, message) => {
    const kept = memory()
    await expect(benchQat({ small: network() }, options({ ...names, memory: kept }))).rejects.toThrow(message)
    expect(kept.saved).toEqual([])
  })

  it('takes a target at its word where that is asked for', async () => {
    const { cells } = await benchQat({ small: network() }, options({ strict: true, targets: ['tensorrt'] }))
    expect(cells.map(({ refused }) => refused?.code)).toEqual(['SCHEME_UNSUPPORTED', 'SCHEME_UNSUPPORTED'])
  })
})

describe('targetAtBits', () => {
  it('changes bits and nothing else', () => {
    expect(targetAtBits(TARGETS.academic, 'w4a4')).toEqual({ target: TARGETS.academic, beyond: false })
    const { target, beyond } = targetAtBits(TARGETS.tensorrt, 'w4a4')
    const { name, title, bits, kernels, ...rest } = target
    expect(beyond).toBe(true)
    expect(TARGETS.tensorrt).toMatchObject(rest)
    expect([name, title]).toEqual(['tensorrt-at-w4a4', 'TensorRT at w4a4'])
    expect(bits).toEqual({ weights: [8, 4], activations: [8, 4] })
    expect(kernels.weights).toEqual(['int8', 'int4', 'uint4'])
  })
})
