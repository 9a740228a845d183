import { z } from 'zod'
import type { Model } from '../ir/index.ts'
import type { QuantPlan, Target, TensorPlan } from '../quant/index.ts'

const recorded = z.object({ settings: z.object({ target: z.string(), scheme: z.string() }) })

/** Backend and scheme that the file's recipe names; else the given backend, and the scheme that most tensors are in. */
export function planOrigin(
  model: Model,
  tensors: readonly TensorPlan[],
  target: Target | undefined,
): Pick<QuantPlan, 'target' | 'scheme'> {
  const settings = recordedSettings(model)
  return {
    target: target?.name ?? settings?.target ?? 'imported',
    scheme: settings?.scheme ?? schemeOf(tensors),
  }
}

/** What the recipe in the metadata was made for, if fewbit wrote one. */
export function recordedSettings(model: Model): { readonly target: string; readonly scheme: string } | undefined {
  try {
    return recorded.parse(JSON.parse(model.metadata.get('fewbit.recipe') ?? '')).settings
  } catch {
    // Metadata are anybody's to write; what the graph says is enough.
    return undefined
  }
}

function schemeOf(tensors: readonly TensorPlan[]): string {
  const weights = usualBits(tensors.filter((t) => t.role === 'weight'))
  const activations = usualBits(tensors.filter((t) => t.role === 'activation'))
  if (weights === undefined) return activations === undefined ? 'float' : `a${activations}`
  return activations === undefined ? `w${weights}` : `w${weights}a${activations}`
}

/** The most frequent width, the smallest of equals. */
function usualBits(tensors: readonly TensorPlan[]): number | undefined {
  const counts = new Map<number, number>()
  for (const { spec } of tensors) counts.set(spec.bits, (counts.get(spec.bits) ?? 0) + 1)
  return [...counts].sort(([a, n], [b, m]) => m - n || a - b)[0]?.[0]
}
