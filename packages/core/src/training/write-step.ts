import { pullBack } from '../autodiff/index.ts'
import { addFunctionBodies, type ModelInput, modelInputs } from '../engine/index.ts'
import { asTensor, nodesLeadingTo, Tensor, type Value } from '../ir/index.ts'
import { inferShapes, lowerNodes } from '../passes/index.ts'
import { must, problem } from '../util/index.ts'
import { settingsOf } from './groups.ts'
import type { TrainingStep, TrainingStepOptions } from './step.ts'
import { type StepContext, stepContext } from './step-context.ts'
import { type WrittenLoss, writeLoss } from './step-loss.ts'
import { ownOutput, type StateInput } from './step-state.ts'
import { accumulated, clipped, type Moving, writeUpdates } from './step-updates.ts'

/** Forward pass, loss, backward pass, optimizer, in this order, in one graph. */
export function writeStep(options: TrainingStepOptions): TrainingStep {
  const cx = stepContext(options)
  const { graph } = cx.model
  const inputs = dataInputs(cx)
  const written = writeLoss(cx, [...graph.outputs])
  inferShapes(cx.model, { ops: options.ops })
  const parameters = openParameters(cx, written.loss)
  openUpdates(cx)
  const { moving, norm } = clipped(cx, accumulated(cx, withGradients(cx, parameters, written.loss)))
  writeUpdates(cx, moving)
  graph.outputs.length = 0
  const outputs = declareOutputs(cx, written, norm)
  const state = cx.state.close()
  inferShapes(cx.model, { ops: options.ops })
  lowerNodes(cx.model, options.ops)
  addFunctionBodies(cx.model, options.ops)
  return {
    model: cx.model,
    state,
    inputs,
    ...(written.labels && { labels: written.labels.name }),
    targets: Object.fromEntries(Object.entries(written.targets).map(([y, value]) => [y, value.name])),
    random: options.trainable.random ?? [],
    lr: cx.lr.name,
    scalars: cx.scalars.all(),
    outputs,
    accumulate: options.accumulate ?? 1,
    settings: settingsJson(options),
  }
}

function dataInputs({ model, options, lr }: StepContext): ModelInput[] {
  const noise = new Set(options.trainable.random?.map(({ name }) => name))
  return modelInputs(model).filter(({ name }) => name !== lr.name && !noise.has(name))
}

type Open = Omit<Moving, 'grad'>

/** Parameters that the loss depends on and no group freezes become state; others stay constants. */
function openParameters({ model, options, value, state }: StepContext, loss: Value): Open[] {
  const read = new Set(nodesLeadingTo(model.graph, [loss]).flatMap((node) => node.inputs))
  const chosen = options.trainable.parameters.filter((parameter) => {
    return read.has(value(parameter.name)) && !settingsOf(parameter, options.groups ?? []).frozen
  })
  if (chosen.length === 0) {
    throw problem('TRAIN_PARAMETERS', 'the loss depends on no parameter that may change', {
      fix: 'freeze fewer groups, or choose another loss',
    })
  }
  return chosen.map((parameter) => ({ parameter, state: state.open(value(parameter.name), 'parameter') }))
}

function openUpdates({ options, value, state }: StepContext): void {
  const { updates } = options.trainable
  const opened = [...updates].map(([name, next]): [StateInput, Value] => [
    state.open(value(name), 'update'),
    value(next),
  ])
  for (const [input, next] of opened) state.next(input, next)
}

function withGradients({ model, options, b }: StepContext, parameters: readonly Open[], loss: Value): Moving[] {
  const shape = asTensor(loss.type)?.shape
  if (shape && shape.length > 0) {
    const fix = 'reduce it to a scalar, such as the mean over the batch'
    throw problem('TRAIN_LOSS', `the loss ${options.loss.name} is not one number`, { fix })
  }
  const seeds = new Map([[loss, b.constant('grad_loss', Tensor.float32([], [1]))]])
  const gradients = pullBack(
    model,
    options.ops,
    seeds,
    parameters.map(({ state }) => state.value),
  )
  return parameters.map((open, i) => ({ ...open, grad: must(gradients[i], 'gradient') }))
}

function declareOutputs({ b, model }: StepContext, { loss, hits }: WrittenLoss, norm: Value | undefined) {
  const declare = (value: Value): string => ownOutput(model.graph, b, value).name
  return { loss: declare(loss), ...(hits && { hits: declare(hits) }), ...(norm && { gradNorm: declare(norm) }) }
}

/** What must be the same for a run to go on where another stopped. */
function settingsJson(options: TrainingStepOptions): Record<string, unknown> {
  const { loss, optimizer, groups = [], clipNorm, ema, accumulate = 1, regularizers = [], constraints = [] } = options
  const records = (list: readonly { toJSON(): unknown }[]) => list.map((record) => record.toJSON())
  return {
    loss: loss.toJSON(),
    optimizer: optimizer.toJSON(),
    groups,
    accumulate,
    ...(clipNorm !== undefined && { clipNorm }),
    ...(ema && { ema }),
    regularizers: records(regularizers),
    constraints: records(constraints),
    teacher: options.teacher !== undefined,
  }
}
