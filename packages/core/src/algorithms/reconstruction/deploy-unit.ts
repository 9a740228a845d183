import { type Tensor, valuesByName } from '../../ir/index.ts'
import { type QuantParams, scaledWithin } from '../../quant/index.ts'
import { must } from '../../util/index.ts'
import type { QuantizedContext } from '../algorithm.ts'
import { learnedActivation } from './activation-sites.ts'
import { stateOf } from './call-writer.ts'
import type { TrainedUnit } from './train-unit.ts'
import type { TrainingForm } from './training-form.ts'
import { learnedWeight } from './weight-sites.ts'

/** What a unit learned, as network and parameters hold it. */
export interface Learned {
  /** Weights on their grids, and biases, by name. */
  readonly constants: ReadonlyMap<string, Tensor>
  /** By group. */
  readonly params: ReadonlyMap<string, QuantParams>
}

export function learnedBy({ weights, activations, biases }: TrainingForm, { state }: TrainedUnit): Learned {
  const constants = new Map<string, Tensor>()
  const params = new Map<string, QuantParams>()
  for (const site of weights) {
    const learned = learnedWeight(site, state)
    constants.set(site.layer.weight.name, learned.weight)
    params.set(site.layer.tensor.group, learned.params)
  }
  for (const { members, params: own, inputs } of activations) {
    const learned = learnedActivation(own.spec, stateOf(inputs, state))
    params.set(must(members[0], 'member').group, scaledWithin(learned, members))
  }
  for (const name of biases) constants.set(name, must(state.get(name), name))
  return { constants, params }
}

/**
 * Writes what a unit learned into network and parameters.
 * @returns what takes all of it back.
 */
export function deploy(learned: Learned, { model, params }: Pick<QuantizedContext, 'model' | 'params'>): () => void {
  const values = valuesByName(model.graph)
  const undo: (() => void)[] = []
  for (const [name, tensor] of learned.constants) {
    const value = must(values.get(name), `constant "${name}"`)
    const old = value.constant
    value.constant = tensor
    undo.push(() => {
      value.constant = old
    })
  }
  for (const [group, own] of learned.params) {
    const old = must(params.get(group), `parameters of "${group}"`)
    params.set(group, own)
    undo.push(() => params.set(group, old))
  }
  return () => {
    for (const back of undo) back()
  }
}
