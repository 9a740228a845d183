import { valuesByName } from '../../ir/index.ts'
import { scaledWithin } from '../../quant/index.ts'
import { must } from '../../util/index.ts'
import type { QuantizedContext } from '../algorithm.ts'
import { learnedActivation } from './activation-sites.ts'
import { stateOf } from './call-writer.ts'
import type { TrainedUnit } from './train-unit.ts'
import type { TrainingForm } from './training-form.ts'
import { learnedWeight } from './weight-sites.ts'

/**
 * Writes what a unit learned into network and parameters: weights on their grids, scales, biases.
 * @returns what takes all of it back.
 */
export function deploy(
  { weights, activations, biases }: TrainingForm,
  { state }: TrainedUnit,
  { model, params }: QuantizedContext,
): () => void {
  const values = valuesByName(model.graph)
  const undo: (() => void)[] = []
  const setConstant = (name: string, tensor: (typeof values extends Map<string, infer V> ? V : never)['constant']) => {
    const value = must(values.get(name), `constant "${name}"`)
    const old = value.constant
    value.constant = tensor
    undo.push(() => {
      value.constant = old
    })
  }
  const setParams = (group: string, own: Parameters<typeof params.set>[1]) => {
    const old = must(params.get(group), `parameters of "${group}"`)
    params.set(group, own)
    undo.push(() => params.set(group, old))
  }
  for (const site of weights) {
    const learned = learnedWeight(site, state)
    setConstant(site.layer.weight.name, learned.weight)
    setParams(site.layer.tensor.group, learned.params)
  }
  for (const { members, params: own, inputs } of activations) {
    setParams(
      must(members[0], 'member').group,
      scaledWithin(learnedActivation(own.spec, stateOf(inputs, state)), members),
    )
  }
  for (const name of biases) setConstant(name, must(state.get(name), name))
  return () => {
    for (const back of undo) back()
  }
}
