import { nodeEngine } from '@fewbit/engine-node'
import { describe, expect, it } from 'vitest'
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
