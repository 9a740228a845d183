import { readyToDifferentiate } from '../autodiff/index.ts'
import { GraphBuilder, type Model, tensorType, type Value, valuesByName } from '../ir/index.ts'
import { GradBuilder } from '../ops/index.ts'
import { convertOpset, inferShapes } from '../passes/index.ts'
import { Diagnostics, must } from '../util/index.ts'
import { ScalarInputs } from './scalar-inputs.ts'
import type { TrainingStepOptions } from './step.ts'
import { StepState } from './step-state.ts'

/** What those who write parts of a step share. */
export interface StepContext {
  readonly options: TrainingStepOptions
  readonly model: Model
  readonly b: GraphBuilder
  readonly g: GradBuilder
  readonly lr: Value
  readonly state: StepState
  readonly scalars: ScalarInputs
  /** A value of the network, by name. */
  value(name: string): Value
}

export function stepContext(options: TrainingStepOptions): StepContext {
  const { ops, teacher } = options
  const model = readyToDifferentiate(options.trainable.model, ops, options.shapes)
  if (teacher && teacher.opset() > model.opset()) {
    convertOpset(teacher.opset()).run(model, { ops, diagnostics: new Diagnostics(), trace: () => {} })
    inferShapes(model, { ops })
  }
  const values = valuesByName(model.graph)
  const b = new GraphBuilder(model.graph)
  return {
    options,
    model,
    b,
    g: new GradBuilder(b, 'train'),
    lr: b.input('lr', tensorType('float32', [])),
    state: new StepState(b),
    scalars: new ScalarInputs(b),
    value: (name) => must(values.get(name), `value "${name}"`),
  }
}
