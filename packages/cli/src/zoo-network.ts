import type { Model } from '@fewbit/core/ir'
import { loadWeights, type NameMap, type WeightsReport } from '@fewbit/core/weights'
import { buildZooModel, findZooName, ZOO, ZOO_KEY, type ZooEntry } from '@fewbit/core/zoo'
import { readWeights } from '@fewbit/engine-node'
import type { DataFlags } from './data-flags.ts'

export interface ZooFlags {
  readonly classes?: number
  readonly seed?: number
}

/** A network of the zoo with random weights, and the preprocessing that it is made for. @throws FewbitError ZOO_* */
export function zooNetwork(text: string, { classes, seed }: ZooFlags): { model: Model } & Pick<DataFlags, 'preset'> {
  const name = findZooName(text)
  const { preset }: ZooEntry = ZOO[name]
  const options = { ...(classes !== undefined && { classes }), ...(seed !== undefined && { seed }) }
  const model = buildZooModel(name, options)
  return { model, ...(preset && { preset }) }
}

/** What a network of the zoo was built with, also when it has been trained since; nothing of other networks. */
export const zooFactsOf = (model: Model): Readonly<Record<string, unknown>> & Pick<DataFlags, 'preset'> =>
  JSON.parse(model.metadata.get(ZOO_KEY) ?? '{}')

/** A copy with the weights of a file. @throws FewbitError FILE_*, WEIGHTS_* */
export async function loadedFrom(
  model: Model,
  path: string,
  options: { readonly map?: NameMap; readonly partial?: boolean } = {},
): Promise<{ readonly model: Model; readonly report: WeightsReport }> {
  const { tensors, layout } = await readWeights(path)
  return loadWeights(model, tensors, { ...options, layout })
}
