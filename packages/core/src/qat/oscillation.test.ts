import { nodeEngine } from '@fewbit/engine-node'
import { describe, expect, it } from 'vitest'
import { parseModel, Tensor } from '../ir/index.ts'
import { defaultOps } from '../ops/index.ts'
import { graphLoss, sgd, TrainingRun, trainingStep } from '../training/index.ts'
import { must } from '../util/index.ts'
import { oscillation } from './oscillation.ts'
import { type OscillationOptions, parseOscillation } from './oscillation-options.ts'

const engine = nodeEngine({ threads: 1 })
const SCALE = 0.5
const FACTOR = 2

/** The gradient by w is x, so that steps of rate 1 move w by −x. Codes are of the folded weight, 2·w, in steps of 0.5. */
const network = parseModel(`<ir_version = 8, opset_import = ["": 18]> main (float[4] x) => (float[] y, float[4] rounded)
  <float[4] w = {0.2, 0.2, 0.2, 0.2}, float[] s = {${SCALE}}, float[] f = {${FACTOR}}> {
    folded = Mul(w, f) steps = Div(folded, s) codes = Round(steps) rounded = Mul(codes, s)
    moved = Mul(w, x) y = ReduceSum<keepdims = 0>(moved) }`)
const first = parseModel(
  `<ir_version = 8, opset_import = ["": 18]> main (float[] output) => (float[] loss) { loss = Identity(output) }`,
)

async function runOf(options: OscillationOptions) {
  const site = { weight: 'w', factor: 'f', scale: 's', rounded: 'rounded' }
  const step = trainingStep({
    trainable: { model: network, parameters: [{ name: 'w', kind: 'weight' }], updates: new Map() },
    loss: graphLoss(first, defaultOps),
    optimizer: sgd({}),
    constraints: [oscillation([site], options)],
    ops: defaultOps,
  })
  return TrainingRun.load(engine, step)
}

const at = (run: TrainingRun, name: string): number[] =>
  Array.from(must(run.fullState().get(name), name).numbers(), Number)

/** Where each of four weights stands before each step: codes are w·4, rounded. */
const PATHS = [
  // Codes 1 2 1 2 1 2: turns at the third step and at every one after it.
  [0.2, 0.4, 0.2, 0.4, 0.2, 0.4],
  // 1 2 3 4 5 6: moves and never turns.
  [0.25, 0.5, 0.75, 1, 1.25, 1.5],
  // 1 1 2 2 1 1: one turn, at the fifth step, against the change two steps before it.
  [0.2, 0.3, 0.4, 0.5, 0.3, 0.2],
  // 1 1 1 1 1 1: moves within its code.
  [0.2, 0.25, 0.3, 0.25, 0.2, 0.25],
] as const

/** One step takes each weight to where its path has it next. */
async function follow(run: TrainingRun, steps: number, total = 100): Promise<void> {
  for (let t = 0; t < steps; t++) {
    const now = at(run, 'w')
    const x = Float32Array.from(PATHS, (path, i) => (now[i] as number) - (path[t] as number))
    // The first step goes from the initial weight to the path's beginning, and sees the code of the initial weight: 1 too.
    await run.advance({ feeds: { x: Tensor.float32([4], x) } }, { lr: 1, total })
  }
}

const close = (actual: readonly number[], expected: readonly number[]) => {
  for (const [i, e] of expected.entries()) expect(actual[i], `element ${i}`).toBeCloseTo(e, 5)
}

describe('oscillation', () => {
  it('counts turns, not moves', async () => {
    const run = await runOf({ ...parseOscillation('track'), momentum: 0.5 })
    // The seventh step sees the codes at which the paths end.
    await follow(run, 6)
    await run.advance({ feeds: { x: Tensor.float32([4], new Float32Array(4)) } }, { lr: 1, total: 100 })
    close(at(run, 'w/code'), [2, 6, 1, 1])
    close(at(run, 'w/direction'), [1, 1, -1, 0])
    // Turns of the first weight at the codes 1 2 1 2 1 2: 0 0 1 1 1 1; of the third at 1 1 2 2 1 1: 0 0 0 0 1 0.
    close(at(run, 'w/frequency'), [0.9375, 0, 0.25, 0])
    // From 1 by halves, where the first code is seen twice: 1 1 1.5 1.25 1.625 1.3125 1.65625; 1 1 1.5 2.25 3.125
    // 4.0625 5.03125; of the third 1 1 1 1.5 1.75 1.375 1.1875.
    close(at(run, 'w/mean'), [1.65625, 5.03125, 1.1875, 1])
    close(at(run, 'w/frozen'), [0, 0, 0, 0])
    await run.release()
  })

  it('freezes what turns more often than the threshold, at the mean of its codes', async () => {
    const options = parseOscillation('freeze:momentum=0.5,threshold=0.6,thresholdStart=0.6')
    const run = await runOf(options)
    await follow(run, 6)
    // Frequencies after the codes 1 | 1 2 1 2 1: 0, 0, 0, 0.5, 0.75: frozen in the fifth step, at round(1.625) = 2.
    close(at(run, 'w/frozen'), [1, 0, 0, 0])
    close(at(run, 'w/mean').slice(0, 1), [2])
    const held = (2 * SCALE) / FACTOR
    close(at(run, 'w'), [held, 1.5, 0.2, 0.25])
    // Whatever the gradient says from now on.
    await run.advance({ feeds: { x: Tensor.float32([4], Float32Array.of(5, 5, 0, 0)) } }, { lr: 1, total: 100 })
    close(at(run, 'w'), [held, -3.5, 0.2, 0.25])
    await run.release()
  })

  it('lets the threshold fall along half a cosine', async () => {
    // Constant turning: the frequency goes to 1 by halves; the threshold from 1 to 0 is 0.5 in the middle.
    const run = await runOf(parseOscillation('freeze:momentum=0.5,threshold=0,thresholdStart=1'))
    await follow(run, 4, 8)
    // The fourth step sees the first turn: 0.5 is not above 0.5.
    close(at(run, 'w/frozen').slice(0, 1), [0])
    await run.release()
    const later = await runOf(parseOscillation('freeze:momentum=0.5,threshold=0,thresholdStart=1'))
    await follow(later, 4, 7)
    close(at(later, 'w/frozen').slice(0, 1), [1])
    await later.release()
  })

  it('dampens by the gradient of λ·(W − ŵ)², ŵ constant', async () => {
    const run = await runOf({ ...parseOscillation('dampen:weight=0.3') })
    await run.advance({ feeds: { x: Tensor.float32([4], new Float32Array(4)) } }, { lr: 0.1, total: 1 })
    // Code 1 of 0.2: the middle of the code is 1 · 0.5 / 2 = 0.25. At the last step λ is whole.
    const expected = 0.2 - 0.1 * 2 * 0.3 * (0.2 - 0.25)
    close(at(run, 'w'), [expected, expected, expected, expected])
    await run.release()
  })

  it.each([
    ['stop', 'OSCILLATION_UNKNOWN'],
    ['freeze:threshold=2', 'OSCILLATION_OPTION'],
  ])('refuses %s', (text, code) => {
    expect(() => parseOscillation(text)).toThrow(new RegExp(code))
  })
})
