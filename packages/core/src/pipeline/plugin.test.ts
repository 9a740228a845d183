import { nodeEngine } from '@fewbit/engine-node'
import { fixture, memoryData, normalData } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { qdq } from '../exporters/index.ts'
import { FAKE_QUANTIZERS } from '../fake-quantizers/index.ts'
import { minmax } from '../observers/index.ts'
import { defaultOps, defineOp } from '../ops/index.ts'
import { onnxruntime } from '../targets/index.ts'
import { FewbitError } from '../util/index.ts'
import { type Plugin, registriesWith } from './plugin.ts'
import { planModel, quantize } from './quantize.ts'

const engine = nodeEngine({ threads: 1 })

const { lsq } = FAKE_QUANTIZERS

/** Twice the range of minmax: told apart from it by its scales. */
const wide = {
  ...minmax,
  name: 'wide',
  range: (...args: Parameters<typeof minmax.range>) => {
    const { lo, hi } = minmax.range(...args)
    return { lo: 2 * lo, hi: 2 * hi }
  },
}
const square = defineOp({ type: 'Square', domain: 'example', since: [1], inputs: ['x'], outputs: ['y'] })

const codesOf = (plugins: readonly unknown[]): string[] => {
  try {
    registriesWith(plugins as readonly Plugin[])
  } catch (error) {
    if (error instanceof FewbitError) return error.diagnostics.map((d) => `${d.code} ${d.message}`)
    throw error
  }
  return []
}

describe('registriesWith', () => {
  it('adds what plugins bring to what there is, for one run only', () => {
    const bigger = { ...onnxruntime, name: 'bigger' }
    const mine = { ...qdq, name: 'mine' }
    const found = registriesWith([
      { name: 'a', ops: [square], observers: [wide] },
      { name: 'b', targets: [bigger], exporters: [mine] },
    ])
    expect(found.ops.get('example', 'Square')).toBe(square)
    expect(found.ops.get('', 'Conv')).toBe(defaultOps.get('', 'Conv'))
    expect([found.observers.wide, found.observers.minmax]).toEqual([wide, minmax])
    expect([found.targets.bigger, found.exporters.mine]).toEqual([bigger, mine])
    expect(registriesWith().observers).not.toHaveProperty('wide')
  })

  it('adds fake-quantizers with their operators, of which those that they share with others count once', () => {
    const op = { ...square, domain: 'fewbit.qat' }
    const mine = { ...lsq, name: 'mine', ops: [...lsq.ops, op] }
    const found = registriesWith([{ name: 'a', fakeQuantizers: [mine, { ...mine, name: 'other' }] }])
    expect(found.fakeQuantizers).toMatchObject({ lsq, mine, other: { name: 'other' } })
    expect(found.ops.get('fewbit.qat', 'Square')).toBe(op)
    expect(registriesWith().ops.get('fewbit.qat', 'FakeQuantize')).toBe(lsq.ops[0])
    expect(codesOf([{ name: 'b', fakeQuantizers: [lsq] }])).toEqual([
      expect.stringMatching(/^PLUGIN_CONFLICT plugin "b" adds the fake-quantizer "lsq", which fewbit has/),
    ])
    expect(codesOf([{ name: 'c', fakeQuantizers: [{ ...mine, init: undefined }] }])).toEqual([
      expect.stringMatching(/^PLUGIN_INVALID .*fakeQuantizers.0.init/),
    ])
    expect(codesOf([{ name: 'd', fakeQuantizers: [{ ...mine, ops: [square] }] }])).toEqual([
      expect.stringMatching(/^PLUGIN_INVALID .*fakeQuantizers.0.ops.0.domain/),
    ])
  })

  it('names every name that is taken, and by whom', () => {
    const again = {
      name: 'b',
      observers: [wide, { ...wide, name: 'mse' }],
      ops: [{ ...square, domain: '', type: 'Conv' }],
    }
    expect(
      codesOf([
        { name: 'a', observers: [wide] },
        { ...again, ops: [] },
      ]),
    ).toEqual([
      'PLUGIN_CONFLICT plugin "b" adds the observer "wide", which plugin "a" has already',
      'PLUGIN_CONFLICT plugin "b" adds the observer "mse", which fewbit has already',
    ])
    // Operators of ai.onnx are not for plugins to define.
    expect(codesOf([again])).toEqual([expect.stringContaining('PLUGIN_INVALID plugin "b": ops.0.domain')])
  })

  it('names every part that is missing', () => {
    expect(
      codesOf([
        { name: 'a', observers: [{ name: 'half', summary: 's', defaults: {}, wants: ['minmax'] }], target: [] },
      ]),
    ).toEqual([
      'PLUGIN_INVALID plugin "a": observers.0.range: expected a function',
      expect.stringContaining('PLUGIN_INVALID plugin "a": the plugin: Unrecognized key: "target"'),
    ])
    expect(codesOf([null])).toEqual([expect.stringContaining('PLUGIN_INVALID plugin number 1')])
  })
})

describe('extensions of a verb', () => {
  const data = memoryData(normalData({ x: [1, 16] }, 8))

  it('chooses ranges by an observer of a plugin', async () => {
    const scales = async (observer: string) => {
      const { params, report } = await quantize(fixture('perceptron'), {
        engine,
        calibration: { data, observer },
        extensions: [{ name: 'p', observers: [wide] }],
      })
      expect(report.choice.observer).toBe(observer)
      return params.get('x')?.scale[0] as number
    }
    expect((await scales('wide')) / (await scales('minmax'))).toBeCloseTo(2, 5)
  })

  it('plans for a target of a plugin, and lists its names among the known ones', async () => {
    const target = { ...onnxruntime, name: 'conv-only', ops: { Conv: { mode: 'integer' as const } } }
    const options = { engine, extensions: [{ name: 'p', targets: [target], observers: [wide] }] }
    const { plan } = await planModel(fixture('perceptron'), { ...options, target: 'conv-only' })
    expect(plan).toMatchObject({ target: 'conv-only', tensors: [] })
    await expect(planModel(fixture('perceptron'), { ...options, target: 'conv' })).rejects.toThrow(
      /TARGET_UNKNOWN[\s\S]*conv-only/,
    )
    const calibration = { data, observer: 'wider' }
    await expect(quantize(fixture('perceptron'), { ...options, calibration })).rejects.toThrow(
      /OPTION_INVALID[\s\S]*minmax.*wide/,
    )
    await expect(planModel(fixture('perceptron'), { engine, target: 'conv-only' })).rejects.toThrow(/TARGET_UNKNOWN/)
  })
})
