import { qatOps } from '../fake-quantizers/index.ts'
import type { Model } from '../ir/index.ts'
import { defaultOps, GRADIENT_OPSET, type OpRegistry } from '../ops/index.ts'
import { convertOpset, inferShapes } from '../passes/index.ts'
import { type Parameter, type Trainable, trainBatchNorm, trainDropout } from '../training/index.ts'
import { Diagnostics } from '../util/index.ts'
import { batchNormStrategy } from './batch-norm/index.ts'
import { writeObservers } from './graph-observers.ts'
import { lift } from './lift.ts'
import type { QFloat } from './qfloat.ts'
import type { QFloatRecord } from './record.ts'
import { writeTraining } from './write.ts'

/**
 * The form in which a network with fake-quantizers trains: BatchNormalization as the strategy says, quantizers with parameters that gradients
 * or observers change. Initializers are named as in the network itself.
 * @throws FewbitError OPSET_* where the model cannot be raised to the opset of gradients.
 */
export function qatTrainable(qfloat: QFloat, ops: OpRegistry = qatOps(defaultOps)): Trainable {
  const { record } = qfloat
  const { base, state } = lift(qfloat, ops)
  convertOpset(GRADIENT_OPSET).run(base, { ops, diagnostics: new Diagnostics(), trace: () => {} })
  const { model, updates, random } = writeTraining(base, record, state, ops)
  inferShapes(model, { ops })
  const averages = batchNormStrategy(record.batchNorm).frozen ? new Map<string, string>() : trainBatchNorm(model)
  const masks = trainDropout(model)
  inferShapes(model, { ops })
  const observed = writeObservers(model.graph, record)
  inferShapes(model, { ops })
  const own = [...updates, ...observed].map(([name, value]) => [name, value.name] as const)
  return {
    model,
    parameters: parametersOf(model, record),
    updates: new Map([...averages, ...own]),
    random: [...masks, ...random],
  }
}

/** What gradients change and outputs depend on: a strategy that takes statistics of the batch makes biases before it idle. */
function parametersOf(model: Model, { parameters, quantizers }: QFloatRecord): Parameter[] {
  const used = usedNames(model)
  const trained = quantizers
    .filter(({ enabled, frozen, observer }) => enabled && !frozen && !observer)
    .flatMap(({ inputs }) => inputs.filter((input) => input.trained))
    .map(({ initializer }): Parameter => ({ name: initializer, kind: 'quantizer' }))
  return [...parameters, ...trained].filter(({ name }) => used.has(name))
}

function usedNames({ graph }: Model): ReadonlySet<string> {
  const used = new Set(graph.outputs)
  for (const value of used) for (const input of value.producer?.inputs ?? []) if (input) used.add(input)
  return new Set([...used].map(({ name }) => name))
}
