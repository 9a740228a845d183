import { describe, expect, it } from 'vitest'
import { Tensor } from '../ir/index.ts'
import { METRICS, type MetricName, metricNamed, type ScoredSample, scoredSamples } from './task-metrics.ts'

const row = (...values: number[]): Tensor => Tensor.float32([1, values.length], values)

function sample(scores: Tensor, label?: number, reference?: Tensor): ScoredSample {
  return { id: 's', label, outputs: { y: scores }, reference: reference && { y: reference } }
}

function scored(name: MetricName, samples: readonly ScoredSample[]): number {
  const metric = metricNamed(name).make()
  for (const s of samples) metric.add(s)
  return metric.value()
}

/** Scores that put the classes 0, 1, 2 … in order, best first. */
const descending = row(9, 8, 7, 6, 5, 4, 3)

describe('accuracy', () => {
  it('counts labels among the largest elements', () => {
    const samples = [0, 1, 4, 5, 6].map((label) => sample(descending, label))
    expect(scored('top1', samples)).toBe(20)
    expect(scored('top5', samples)).toBe(60)
  })

  it('looks at the first output only', () => {
    const outputs = { a: row(1, 2), b: row(2, 1) }
    expect(scored('top1', [{ id: 's', label: 1, outputs, reference: undefined }])).toBe(100)
  })

  it('is NaN without samples', () => {
    expect(scored('top1', [])).toBeNaN()
  })

  it.each([[undefined], [-1], [7]])('refuses the label %s of seven classes', (label) => {
    expect(() => scored('top1', [sample(descending, label)])).toThrow(
      expect.objectContaining({ code: 'EVALUATE_LABELS' }),
    )
  })

  it('takes the last class', () => {
    expect(scored('top1', [sample(row(1, 2, 3), 2)])).toBe(100)
  })
})

describe('metrics against a reference', () => {
  it('agreement is the share of samples with the same largest element, whatever the labels', () => {
    const pairs = [
      sample(row(1, 2, 3), undefined, row(7, 8, 9)),
      sample(row(1, 2, 3), 0, row(9, 8, 7)),
      sample(row(3, 2, 1), 2, row(9, 0, 0)),
    ]
    expect(scored('agreement', pairs)).toBeCloseTo(200 / 3, 10)
  })

  // r = (3, 4), c = (3, 5): Σr² = 25, Σ(c − r)² = 1, r·c = 29.
  it('pools errors of all samples and outputs', () => {
    const split: ScoredSample[] = [
      { id: 'a', label: undefined, outputs: { p: row(3) }, reference: { p: row(3) } },
      { id: 'b', label: undefined, outputs: { q: row(5) }, reference: { q: row(4) } },
    ]
    expect(scored('sqnr', split)).toBeCloseTo(10 * Math.log10(25), 10)
    expect(scored('mse', split)).toBe(0.5)
    expect(scored('max-error', split)).toBe(1)
    expect(scored('cosine', split)).toBeCloseTo(29 / (5 * Math.sqrt(34)), 10)
  })
})

describe('metricNamed', () => {
  it('finds every registered metric and names the choices for others', () => {
    for (const name of Object.keys(METRICS)) expect(metricNamed(name)).toBe(METRICS[name as MetricName])
    expect(() => metricNamed('top2')).toThrow(/METRIC_UNKNOWN.*top2[\s\S]*top1, top5, sqnr/)
    expect(() => metricNamed('toString')).toThrow(expect.objectContaining({ code: 'METRIC_UNKNOWN' }))
  })
})

describe('scoredSamples', () => {
  it('gives each sample its row of every output', () => {
    const samples = [3, 4].map((label) => ({ id: `${label}`, label, feeds: {} }))
    const batch = { feeds: {}, samples, rows: 2 }
    const outputs = { y: Tensor.float32([2, 2], [1, 2, 3, 4]), shared: row(5, 6, 7) }
    const found = [...scoredSamples({ batch, outputs })]
    expect(found.map((s) => [s.id, s.label])).toEqual([
      ['3', 3],
      ['4', 4],
    ])
    const numbers = (name: string) => found.map((s) => [...(s.outputs[name]?.numbers() ?? [])])
    expect(numbers('y')).toEqual([
      [1, 2],
      [3, 4],
    ])
    expect(numbers('shared')).toEqual([
      [5, 6, 7],
      [5, 6, 7],
    ])
  })
})
