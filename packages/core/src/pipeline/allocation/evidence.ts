import type { SensitivityEntry } from '../../analysis/index.ts'
import type { BudgetReport } from './allocation.ts'
import type { BudgetRow } from './budget-rows.ts'
import { reach, spent } from './choose.ts'
import type { Allocatable, LayerGroup } from './layers.ts'
import { noiseOf } from './output-errors.ts'
import type { Sensitivity } from './sensitivity.ts'

/** What a choice for each group is expected to do to the outputs. */
export type Prediction = (chosen: readonly number[]) => Sensitivity

/**
 * Adds what groups cost by themselves, and what the network loses beside them: the error with the best choice everywhere, less what the
 * groups have of it.
 * @param table by group and choice.
 * @param uniform the whole network in each choice.
 */
export function predictor(table: readonly (readonly Sensitivity[])[], uniform: readonly Sensitivity[]): Prediction {
  const best = uniform.reduce((a, u, i) => (u.sqnr > (uniform[a]?.sqnr ?? Number.NEGATIVE_INFINITY) ? i : a), 0)
  const noise = adder(table, ({ sqnr }) => noiseOf(sqnr), uniform, best)
  const kl = adder(table, (s) => Math.max(0, s.kl ?? Number.NaN), uniform, best)
  return (chosen) => {
    const divergence = kl(chosen)
    return { sqnr: -10 * Math.log10(noise(chosen)), ...(Number.isNaN(divergence) ? {} : { kl: divergence }) }
  }
}

function adder(
  table: readonly (readonly Sensitivity[])[],
  figure: (s: Sensitivity) => number,
  uniform: readonly Sensitivity[],
  best: number,
) {
  const sum = (chosen: (group: number) => number): number =>
    table.reduce((total, choices, g) => total + figure(choices[chosen(g)] as Sensitivity), 0)
  const rest = Math.max(0, figure(uniform[best] as Sensitivity) - sum(() => best))
  return (chosen: readonly number[]): number => rest + sum((g) => chosen[g] as number)
}

export const budgetReport = (row: BudgetRow, chosen: readonly number[]): BudgetReport => {
  const { title, unit, limit } = row
  return { title, unit, limit, used: spent(row, chosen), ...reach(row) }
}

/** Groups by what they lose in the choice with the fewest bits, most first. */
export function sensitivityEntries(
  { groups }: Allocatable,
  choices: readonly string[],
  table: readonly (readonly Sensitivity[])[],
  chosen: readonly number[],
): SensitivityEntry[] {
  const least = groups.map((group, g) => table[g]?.[fewestBits(group)] ?? { sqnr: Number.NaN })
  const total = least.reduce((sum, { sqnr }) => sum + noiseOf(sqnr), 0)
  return groups
    .map(({ layers, followers }, g): SensitivityEntry => {
      const [first, ...more] = layers
      const others = [...more.map(({ node }) => node), ...followers]
      const { sqnr } = least[g] as Sensitivity
      return {
        node: first?.node ?? '',
        opType: first?.opType ?? '',
        sqnr,
        noiseShare: total > 0 ? noiseOf(sqnr) / total : 0,
        ...(others.length > 0 ? { others } : {}),
        choices: Object.fromEntries(choices.map((choice, c) => [choice, figures(table[g]?.[c])])),
        chosen: choices[chosen[g] ?? 0] ?? '',
      }
    })
    .sort((a, b) => b.noiseShare - a.noiseShare)
}

const figures = ({ sqnr, kl }: Sensitivity = { sqnr: Number.NaN }): Sensitivity => ({
  sqnr,
  ...(kl === undefined ? {} : { kl }),
})

function fewestBits({ layers }: LayerGroup): number {
  const bits = (layers[0]?.precision ?? []).map(({ weightBits, activationBits }) => weightBits * activationBits)
  return bits.indexOf(Math.min(...bits))
}
