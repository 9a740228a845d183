import { problem } from '../../util/index.ts'
import type { Budget, LatencyTable } from './budget.ts'
import { FLOAT_BITS } from './choices.ts'
import type { Allocatable, Precision, ProductLayer } from './layers.ts'

/** A budget in figures: what each choice costs each group, and what may be spent. */
export interface BudgetRow {
  readonly budget: Budget
  /** In words. */
  readonly title: string
  readonly unit: string
  /** By group and choice. */
  readonly costs: readonly (readonly number[])[]
  /** Of layers that nothing is chosen for. */
  readonly fixed: number
  /** In the unit, `fixed` included. */
  readonly limit: number
}

interface Measure {
  readonly title: string
  readonly unit: string
  /** Of one layer at one precision; `choice` is its place in the list. */
  cost(layer: ProductLayer, precision: Precision, choice: number): number
}

/**
 * @param choices names of schemes, as in the precisions of layers.
 * @throws FewbitError LATENCY_TABLE for a table that lacks a layer or a choice.
 */
export function budgetRow(budget: Budget, { groups, fixed }: Allocatable, choices: readonly string[]): BudgetRow {
  const measure = measureOf(
    budget,
    groups.flatMap(({ layers }) => layers),
    choices,
  )
  const costs = groups.map(({ layers }) => choices.map((_, c) => total(layers, c, measure)))
  const rest = budget.measure === 'latency' ? 0 : total(fixed, 0, measure)
  return {
    budget,
    title: measure.title,
    unit: measure.unit,
    costs,
    fixed: rest,
    limit: limitOf(budget, { groups, fixed }, rest),
  }
}

function total(layers: readonly ProductLayer[], choice: number, { cost }: Measure): number {
  const of = (layer: ProductLayer) => cost(layer, layer.precision[choice] as Precision, choice)
  return layers.reduce((sum, layer) => sum + of(layer), 0)
}

const size: Measure = {
  title: 'size of weights',
  unit: 'bytes',
  cost: ({ elements }, { storedBits }) => Math.ceil((elements * storedBits) / 8),
}

const bops: Measure = {
  title: 'bit operations',
  unit: 'bit operations',
  cost: ({ macs }, { weightBits, activationBits }) => macs * weightBits * activationBits,
}

function measureOf(budget: Budget, layers: readonly ProductLayer[], choices: readonly string[]): Measure {
  if (budget.measure === 'latency') return latency(budget.table, choices)
  if (budget.measure !== 'macs') return budget.measure === 'size' ? size : bops
  const fewest = Math.min(...layers.flatMap(({ precision }) => precision.map((p) => p.weightBits)))
  const { above = fewest } = budget
  const title = `multiply-accumulates above ${above} bits`
  return { title, unit: 'MACs', cost: ({ macs }, { weightBits }) => (weightBits > above ? macs : 0) }
}

function latency(table: LatencyTable, choices: readonly string[]): Measure {
  const cost = ({ node }: ProductLayer, _: Precision, choice: number): number => {
    const name = choices[choice] as string
    const time = table[node]?.[name]
    if (typeof time === 'number' && time >= 0) return time
    throw problem('LATENCY_TABLE', `the latency table has no time for "${node}" as ${name}`, {
      at: { node },
      fix: 'give milliseconds of every layer in every choice: { "conv1": { "w4a8": 0.2, "w8a8": 0.3 } }',
    })
  }
  return { title: 'latency', unit: 'ms', cost }
}

/** Shares are of the same network with weights and activations of 8 bits, or in float, where a choice can be made. */
function limitOf(budget: Budget, { groups, fixed }: Allocatable, rest: number): number {
  const layers = groups.flatMap((group) => group.layers)
  const sum = (list: readonly ProductLayer[], { cost }: Measure, bits: number) =>
    list.reduce((n, l) => n + cost(l, { weightBits: bits, activationBits: bits, storedBits: bits }, 0), 0)
  if (budget.measure === 'latency') return budget.limit
  if (budget.measure === 'macs') return budget.limit * [...layers, ...fixed].reduce((n, { macs }) => n + macs, 0)
  if (!budget.of) return budget.limit
  const measure = budget.measure === 'size' ? size : bops
  return (
    budget.limit *
    (budget.of === 'w8' ? rest + sum(layers, measure, 8) : sum([...layers, ...fixed], measure, FLOAT_BITS))
  )
}
