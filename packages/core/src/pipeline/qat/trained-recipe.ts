import type { Model } from '../../ir/index.ts'
import { structuralHash } from '../../passes/index.ts'
import type { QFloat } from '../../qat/index.ts'
import { recipeSchema, stampModel } from '../recipe.ts'

/** Writes the recipe of the preparation into a quantized model, with what was trained since as a digest. */
export function stampTrained(model: Model, { model: network, record }: QFloat, target: string): void {
  const prepared = recipeSchema.parse(record.recipe)
  const [activation, weight] = ['activation', 'weight'].map(
    (role) => record.quantizers.find((q) => q.role === role)?.quantizer,
  )
  stampModel(model, {
    ...prepared,
    settings: { ...prepared.settings, target },
    qat: {
      batchNorm: record.batchNorm,
      ...(activation ? { fakeQuantizer: { ...activation } } : {}),
      ...(weight ? { weightQuantizer: { ...weight } } : {}),
      networkDigest: structuralHash(network),
    },
  })
}
