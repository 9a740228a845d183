import { cloneModel, type Model } from '../../ir/index.ts'
import { structuralHash } from '../../passes/index.ts'
import { materialize } from '../../quant/index.ts'
import { type Diagnostic, problem } from '../../util/index.ts'
import { targetOf } from '../make-plan.ts'
import { statsFor } from '../parameters.ts'
import { calibrated } from '../produce.ts'
import type { QuantizeOptions } from '../quantize.ts'
import { evaluateBoth } from '../quantize-report.ts'
import { plainSettings, versionsOf } from '../recipe.ts'
import { Run } from '../run.ts'
import { settingsOf } from '../settings.ts'
import type { Allocation } from './allocation.ts'
import type { Budget } from './budget.ts'
import { type BudgetRow, budgetRow } from './budget-rows.ts'
import { choicesOf } from './choices.ts'
import { checkReachable, choose, spent } from './choose.ts'
import { budgetReport, type Prediction, predictor, sensitivityEntries } from './evidence.ts'
import { paretoReport, sweep } from './front.ts'
import { type Allocatable, allocatable, type LayerGroup } from './layers.ts'
import {
  additive,
  type Bench,
  errorsOf,
  mixedPlan,
  overridesOf,
  type Sensitivity,
  type SensitivityName,
  sensitivities,
} from './sensitivity.ts'
import type { Solver } from './solver.ts'

export interface AllocateOptions extends Omit<QuantizeOptions, 'recipe' | 'allowOtherData' | 'checkpoint' | 'resume'> {
  /** What layers may have: bits of weights, whole schemes, or `float`. */
  readonly bits: readonly (number | string)[]
  /** All of them are kept. */
  readonly budgets: readonly Budget[]
  /** Default `auto`: `kl` where outputs are class scores, else `sqnr`. */
  readonly sensitivity?: SensitivityName | 'auto'
  /** Samples that errors are measured on; default up to 64, fewer for networks that take long. */
  readonly sensitivitySamples?: number
  /** Budgets to try between the least and the most; default 8, none with 0. */
  readonly points?: number
  readonly solver: Solver
}

export interface AllocateResult {
  readonly allocation: Allocation
  readonly diagnostics: readonly Diagnostic[]
}

const POINTS = 8
/** The mixed network may have this many dB less than predicted before that is worth a word: twice the noise. */
const MARGIN = 3
const MAX_SAMPLES = 64
const MIN_SAMPLES = 4
/** Multiply-accumulates that the measurement of one choice may cost. */
const TRIAL_MACS = 16e9

/**
 * Chooses the precision of each layer: measures what each choice costs by itself, minimizes the sum within budgets by integer programming,
 * and measures the mixed network that comes of it. The caller's model is not changed.
 * @throws FewbitError ALLOCATE_*, LATENCY_TABLE, SOLVER_FAILED, and what `quantize` throws.
 */
export async function allocate(model: Model, options: AllocateOptions): Promise<AllocateResult> {
  const run = new Run(options)
  const trial = await open(model, options, run)
  const { bench, found, choices, rows } = trial
  const { sensitivity = 'auto', points = POINTS, solver } = options
  const table = await run.stage('sensitivities', (progress) =>
    sensitivities(bench, found.groups, choices, sensitivity, progress),
  )
  const by = nameOf(sensitivity, table)
  const costs = table.map((each) => each.map((s) => additive(s, by)))
  const chosen = await run.stage('solve', () => choose({ costs, rows }, solver))
  const front = points > 0 ? withChosen(await sweep(rows, costs, points, solver), chosen, rows) : [chosen]
  const { uniform, measured } = await measureAll(trial, front)
  const predict = by === 'layer' ? undefined : predictor(table, uniform)
  const outcome = { chosen, front, measured, uniform, predict }
  const evaluation = await evaluateMixed(model, trial, chosen, options)
  const allocation: Allocation = {
    ...{ format: 'fewbit-allocation', version: 1, modelDigest: structuralHash(model) },
    settings: plainSettings(bench.ready.settings),
    choices,
    nodes: nodesOf(schemesOf(trial, chosen)),
    ...{ by, samples: bench.samples, solver: solver.name },
    sensitivity: sensitivityEntries(found, choices, table, chosen),
    ...evidenceOf(trial, outcome, points > 0),
    ...(evaluation ? { evaluation } : {}),
    versions: versionsOf(run),
    seconds: run.seconds,
  }
  warnOfJoint(allocation, run)
  return { allocation, diagnostics: run.diagnostics.list }
}

/** A calibrated network, what can be chosen in it, and what that costs. */
interface Trial {
  readonly bench: Bench
  readonly found: Allocatable
  readonly choices: readonly string[]
  readonly rows: readonly BudgetRow[]
}

async function open(model: Model, options: AllocateOptions, run: Run): Promise<Trial> {
  const quantizing = quantizingPart(options)
  const settings = settingsOf(quantizing, run)
  const choices = choicesOf(options.bits, settings.scheme, targetOf(settings, run))
  const ready = await calibrated(model, quantizing, run, choices)
  const { float, macs, target, looked } = ready
  const plans = choices.map((scheme) => ready.plan({ scheme }))
  const found = allocatable({ model: float, ops: run.ops, target, macs, plans })
  if (found.groups.length === 0) {
    throw problem('ALLOCATE_NOTHING', `no layer of the network differs between ${choices.join(', ')}`, {
      fix: 'see with fewbit why what keeps layers in float, or leave exceptions out',
    })
  }
  const rows = options.budgets.map((budget) => budgetRow(budget, found, choices))
  checkReachable(rows)
  const samples = Math.min(options.sensitivitySamples ?? samplesFor(macs), looked.data.length ?? MAX_SAMPLES)
  const stats = statsFor(ready.first, ready.stats)
  return { bench: { ready, stats, data: looked.dataset, samples, run }, found, choices, rows }
}

/** The options that are those of `quantize`. */
function quantizingPart(options: AllocateOptions): QuantizeOptions {
  const { bits: _b, budgets: _l, sensitivity: _n, sensitivitySamples: _s, points: _p, solver: _v, ...rest } = options
  return rest
}

function samplesFor(macs: ReadonlyMap<string, number>): number {
  const total = [...macs.values()].reduce((a, b) => a + b, 0)
  return Math.min(MAX_SAMPLES, Math.max(MIN_SAMPLES, Math.floor(TRIAL_MACS / Math.max(1, total))))
}

/** @throws FewbitError ALLOCATE_SENSITIVITY for divergences of outputs that are no class scores. */
function nameOf(wanted: SensitivityName | 'auto', table: readonly (readonly Sensitivity[])[]): SensitivityName {
  const isScored = table.flat().every(({ kl }) => kl !== undefined)
  if (wanted === 'auto') return isScored ? 'kl' : 'sqnr'
  if (wanted !== 'kl' || isScored) return wanted
  throw problem('ALLOCATE_SENSITIVITY', 'the outputs are no class scores, so that they have no divergence', {
    at: { option: 'sensitivity' },
    fix: 'use --sensitivity sqnr',
  })
}

/** The sweep with the choice that was asked for, by what they spend. */
function withChosen(
  points: readonly (readonly number[])[],
  chosen: readonly number[],
  rows: readonly BudgetRow[],
): (readonly number[])[] {
  const others = points.filter((point) => point.join() !== chosen.join())
  const [row] = rows
  return [...others, chosen].sort((a, b) => (row ? spent(row, a) - spent(row, b) : 0))
}

/** Really quantizes: the whole network in each choice, and each point of the front. */
async function measureAll(trial: Trial, front: readonly (readonly number[])[]) {
  const { bench, choices } = trial
  const all = [...choices.map((_, c) => everywhere(c, trial)), ...front]
  const errors = await bench.run.stage('mixed networks', (progress) =>
    errorsOf(
      bench,
      all.map((chosen) => () => mixedPlan(bench, schemesOf(trial, chosen))),
      progress,
    ),
  )
  const figures = errors.map(({ sqnr, kl }): Sensitivity => ({ sqnr, ...(kl === undefined ? {} : { kl }) }))
  return { uniform: figures.slice(0, choices.length), measured: figures.slice(choices.length) }
}

const everywhere = (choice: number, { found }: Trial): number[] => found.groups.map(() => choice)

const schemesOf = ({ found, choices }: Trial, chosen: readonly number[]): Map<LayerGroup, string> =>
  new Map(found.groups.map((group, g) => [group, choices[chosen[g] ?? 0] as string]))

const nodesOf = (schemes: ReadonlyMap<LayerGroup, string>): Record<string, string> =>
  Object.fromEntries(
    [...schemes].flatMap(([group, scheme]) => overridesOf(group, scheme).map(({ match }) => [match.name, scheme])),
  )

async function evaluateMixed(model: Model, trial: Trial, chosen: readonly number[], options: AllocateOptions) {
  const { bench } = trial
  const { float, execution } = bench.ready
  const { plan, params } = mixedPlan(bench, schemesOf(trial, chosen))
  const quantized = materialize(cloneModel(float), plan, params, { form: execution.form })
  return evaluateBoth({ original: model, quantized, execution, options }, bench.run)
}

interface Outcome {
  readonly chosen: readonly number[]
  readonly front: readonly (readonly number[])[]
  /** Of the front. */
  readonly measured: readonly Sensitivity[]
  readonly uniform: readonly Sensitivity[]
  readonly predict: Prediction | undefined
}

function evidenceOf(trial: Trial, { chosen, front, measured, uniform, predict }: Outcome, isSwept: boolean) {
  const { found, choices, rows } = trial
  const [row] = rows
  const predicted = front.map((point) => predict?.(point))
  const at = front.indexOf(chosen)
  return {
    budgets: rows.map((each) => budgetReport(each, chosen)),
    ...(predicted[at] ? { predicted: predicted[at] } : {}),
    measured: measured[at] as Sensitivity,
    uniform: choices.map((choice, c) => {
      return { choice, ...(uniform[c] as Sensitivity), used: rows.map((each) => spent(each, everywhere(c, trial))) }
    }),
    ...(row && isSwept
      ? { pareto: paretoReport({ points: front, measured, predicted, row, found, choices, chosen }) }
      : {}),
  }
}

/** Errors of layers add up only while they are small and independent. */
function warnOfJoint({ predicted, measured, uniform, budgets }: Allocation, { diagnostics }: Run): void {
  const db = (sqnr: number): string => `${sqnr.toFixed(1)} dB`
  if (predicted && !(measured.sqnr >= predicted.sqnr - MARGIN)) {
    const text = `the mixed network has ${db(measured.sqnr)}, and its layers by themselves promised ${db(predicted.sqnr)}`
    diagnostics.warn('ALLOCATE_JOINT', text, { fix: 'see that the mixed network is good enough, or raise the budget' })
  }
  const better = uniform.find(
    ({ sqnr, used }) => sqnr > measured.sqnr && used.every((spending, i) => spending <= (budgets[i]?.limit ?? 0)),
  )
  if (!better) return
  const text = `${better.choice} everywhere keeps the budgets too and has ${db(better.sqnr)}, the mixed network ${db(measured.sqnr)}`
  diagnostics.warn('ALLOCATE_UNIFORM', text, { fix: `quantize with --scheme ${better.choice}` })
}
