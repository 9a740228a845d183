import { nodeEngine } from '@fewbit/engine-node'
import { memoryData, normalData, runModel } from '@fewbit/testkit'
import { describe, expect, it } from 'vitest'
import { probeModel } from '../../engine/index.ts'
import { type Model, parseModel, readModel, serializeModel } from '../../ir/index.ts'
import type { QuantParams } from '../../quant/index.ts'
import { must, rng } from '../../util/index.ts'
import { exportArtifacts } from '../export.ts'
import { exportModel } from '../export-model.ts'
import { convertQat } from './convert-qat.ts'
import { prepareQat } from './prepare-qat.ts'
import { resetQuantizers } from './reset-quantizers.ts'

const engine = nodeEngine({ threads: 1 })
const random = rng(3)
const list = (count: number) => Array.from({ length: count }, () => (0.5 * random.normal()).toFixed(5)).join()

/** Four layers; what the second reads is never negative, what the third reads is. */
const network = parseModel(`<ir_version = 8, opset_import = ["": 17]> main (float[N,2,6,6] x) => (float[N,3,6,6] y)
  <float[4,2,3,3] wa = {${list(72)}}, float[4,4,3,3] wb = {${list(144)}}, float[4,4,1,1] wc = {${list(16)}}, float[3,4,1,1] wd = {${list(12)}}> {
    [a] a = Conv<pads = [1, 1, 1, 1]>(x, wa) ra = Relu(a) [b] b = Conv<pads = [1, 1, 1, 1]>(ra, wb)
    [c] c = Conv(b, wc) rc = Relu(c) [d] y = Conv(rc, wd)
  }`)
const samples = normalData({ x: [1, 2, 6, 6] }, 8)
const feeds = must(samples[5], 'sample')
const data = memoryData(samples)

/** Exponents of the sets of which one term each is added, 0 in each beside them: arXiv:1909.13144, equation 5 and, of an odd number of bits, below. */
const SETS: Readonly<Record<number, readonly (readonly number[])[]>> = {
  1: [[1]],
  2: [[1, 2, 3]],
  3: [[1, 2, 4], [3]],
  4: [
    [1, 3, 5],
    [2, 4, 6],
  ],
}

/** The paper's levels between −1 and 1, for so many bits, one of them the sign where there is one. */
function paperLevels(bits: number, signed: boolean): number[] {
  const sets = must(SETS[signed ? bits - 1 : bits], 'sets')
  const sums = sets.reduce<number[]>((all, set) => all.flatMap((sum) => [sum, ...set.map((e) => sum + 2 ** -e)]), [0])
  const levels = sums.map((sum) => sum / Math.max(...sums))
  return signed ? [...levels, ...levels.map((level) => -level)] : levels
}

/** Every element is the nearest level; on a tie, either. */
function expectNearest(
  values: ArrayLike<number>,
  rounded: ArrayLike<number>,
  [scale]: readonly number[],
  levels: number[],
) {
  const grid = levels.map((level) => level * must(scale, 'scale'))
  expect(rounded.length).toBe(values.length)
  for (let i = 0; i < values.length; i++) {
    const [x, y] = [values[i] as number, rounded[i] as number]
    const toGrid = Math.min(...grid.map((level) => Math.abs(level - y)))
    const least = Math.min(...grid.map((level) => Math.abs(level - x)))
    expect(toGrid, `element ${i} is a level`).toBeLessThan(1e-6)
    expect(Math.abs(x - y), `element ${i} is near`).toBeLessThan(least + 1e-6)
  }
}

const prepare = (scheme: string, options: object = {}) =>
  prepareQat(network, { engine, target: 'academic', scheme, fakeQuantizer: 'apot', calibration: { data }, ...options })

const weightOf = (model: Model, node: string) =>
  must([...model.graph.nodes].find(({ name }) => name === node)?.inputs[1]?.constant, node).numbers() as Float32Array

describe('levels in the academic setting', () => {
  it.each([2, 3, 4])(
    'stand for integers inside the network, by the paper at %i bits; ends keep 8 bits',
    async (bits) => {
      const { record } = await prepare(`w${bits}a${bits}`)
      const found = record.quantizers.map(({ group, quantizer, spec }) => [
        group,
        quantizer.name,
        spec.bits,
        spec.signed,
      ])
      expect(found).toEqual([
        ['x', 'lsq', 8, true],
        ['wa', 'lsq', 8, true],
        ['ra', 'apot', bits, false],
        ['wb', 'apot', bits, true],
        ['b', 'apot', bits, true],
        ['wc', 'apot', bits, true],
        ['rc', 'lsq', 8, false],
        ['wd', 'lsq', 8, true],
      ])
      for (const { quantizer, spec } of record.quantizers) {
        if (quantizer.name === 'lsq') expect(spec.format).toBeUndefined()
        else {
          const format = must(spec.format, 'format')
          const expected = [...new Set(paperLevels(bits, spec.signed).map((level) => level + 0))].sort((a, b) => a - b)
          expect(format).toEqual({ kind: 'levels', levels: expected.map((level) => expect.closeTo(level, 12)) })
        }
      }
    },
  )

  it.each(['apot', 'apot:normalize=true'])(
    'are what the written file computes on any runtime (%s)',
    async (fakeQuantizer) => {
      const qfloat = await prepare('w4a4', { fakeQuantizer })
      const converted = await convertQat(qfloat, { engine, data, tensors: true })
      const { artifacts, exporters } = exportArtifacts(converted, { forms: 'first' })
      expect(exporters).toEqual(['simulate'])
      const [artifact] = artifacts
      const file = readModel(serializeModel(artifact?.kind === 'model' ? artifact.model : network))
      const [expected, actual] = [await runModel(engine, qfloat.model, feeds), await runModel(engine, file, feeds)]
      expect([...must(actual.y, 'y').numbers()]).toEqual(
        [...must(expected.y, 'y').numbers()].map((v) => expect.closeTo(Number(v), 5)),
      )

      const scaleOf = (group: string) => must<QuantParams>(converted.params.get(group), group).scale
      for (const [value, signed] of [
        ['ra', false],
        ['b', true],
      ] as const) {
        const probed = await runModel(engine, probeModel(file, [value, `${value}_dequantized`]), feeds)
        const [before, behind] = [value, `${value}_dequantized`].map(
          (name) => must(probed[name], name).numbers() as Float32Array,
        )
        expectNearest(must(before, 'before'), must(behind, 'behind'), scaleOf(value), paperLevels(4, signed))
      }
      for (const [node, weight] of [
        ['b', 'wb'],
        ['c', 'wc'],
      ] as const)
        expectNearest(weightOf(converted.float, node), weightOf(file, node), scaleOf(weight), paperLevels(4, true))
      for (const { value, within } of must(converted.conversion?.tensors, 'tensors'))
        expect([value, within]).toEqual([value, 1])
    },
  )

  it('are not exported again from the file that simulates them', async () => {
    const { model } = await convertQat(await prepare('w4a4'), { engine })
    for (const target of ['academic', 'tensorrt'])
      await expect(exportModel(readModel(serializeModel(model)), { engine, target })).rejects.toThrow(
        /EXPORT_SIMULATED/,
      )
    const even = await convertQat(await prepare('w4a4', { fakeQuantizer: 'lsq' }), { engine })
    expect((await exportModel(even.model, { engine })).exporters).toContain('qdq')
    expect(exportArtifacts(even, { forms: 'first' }).exporters).toEqual(['qdq'])
  })

  it('give way to no fake-quantizer of integers, nor integers to one of levels', async () => {
    const [apot, lsq] = [await prepare('w4a4'), await prepare('w4a4', { fakeQuantizer: 'lsq' })]
    expect(() => resetQuantizers(apot, { preset: 'lsq' })).toThrow(/QAT_OBSTACLE.*levels/)
    expect(() => resetQuantizers(lsq, { fakeQuantizer: 'apot' })).toThrow(/QAT_OBSTACLE.*integers/)
    const [ends, inside] = [
      { fakeQuantizer: 'tqt', match: { name: 'x' } },
      { fakeQuantizer: 'apot', match: { name: 'b' } },
    ]
    expect(resetQuantizers(resetQuantizers(apot, ends), inside).record.quantizers[0]?.quantizer.name).toBe('tqt')
  })

  it('stay integers where the bits have no levels, and that is refused', async () => {
    await expect(prepare('w16a16')).rejects.toThrow(/QAT_OBSTACLE/)
  })
})
