import { softRoundingPenalty } from '../../fake-quantizers/index.ts'
import { type Tensor, valuesByName } from '../../ir/index.ts'
import type { GradBuilder, OpRegistry } from '../../ops/index.ts'
import type { NodeSink } from '../../quant/index.ts'
import {
  adam,
  type Constraint,
  lp,
  type ParameterGroup,
  type Progress,
  type Regularizer,
  type TrainingStep,
  trainingStep,
} from '../../training/index.ts'
import { must } from '../../util/index.ts'
import type { ReconstructionOptions } from './reconstruction-options.ts'
import type { TrainingForm } from './training-form.ts'

/** What drives codes to a decision. */
export interface Decision {
  /** λ. */
  readonly weight: number
  /** Share of the steps before it sets in. */
  readonly warmStart: number
}

/** β falls from 20 to 2: at first only codes that have all but decided are held. */
const BETA = { first: 20, last: 2 }

/** The graph of one step: outputs of the unit against targets, gradients, Adam. Rates are in the parameters' groups. */
export function unitStep(
  form: TrainingForm,
  options: ReconstructionOptions,
  decision: Decision | undefined,
  ops: OpRegistry,
): TrainingStep {
  return trainingStep({
    trainable: form.trainable,
    loss: lp({ p: options.p, reduction: 'channels' }),
    optimizer: adam(),
    groups: ratesOf(form, options),
    regularizers: decision ? [decided(form, decision)] : [],
    constraints: [COSINE],
    ops,
  })
}

/** λ Σ (1 − |2h(v) − 1|^β) over all weights (AdaRound, arXiv:2004.10568, equation 24). */
function decided({ weights }: TrainingForm, { weight, warmStart }: Decision): Regularizer {
  return {
    name: 'decision',
    toJSON: () => ({ name: 'decision', options: { weight, warmStart } }),
    scalars: ({ step, total }) => {
      const done = ((step - 1) / total - warmStart) / (1 - warmStart)
      const beta = BETA.last + (BETA.first - BETA.last) * (1 - Math.max(0, done))
      return { beta, weight: done < 0 ? 0 : weight }
    },
    write(g, network) {
      const beta = must(network.scalars.beta, 'beta')
      const terms = weights.map(({ inputs }) =>
        softRoundingPenalty(sinkOf(g), network.parameter(must(inputs.v, 'v')), beta),
      )
      const sum = terms.length === 1 ? must(terms[0], 'term') : g.op('Sum', terms)
      return g.mul(sum, must(network.scalars.weight, 'weight'))
    },
  }
}

const sinkOf = (g: GradBuilder): NodeSink => ({
  op: (type, inputs, attributes) => g.op(type, inputs, attributes),
  constant: (_, tensor) =>
    tensor.dims.length === 0 ? g.scalar(tensor.numbers()[0] as number) : g.tensor(tensor.dims, tensor.numbers()),
})

/** Rates fall to 0 along half a cosine for all but what decides on rounding, which the regularizer ends. */
const COSINE: Constraint = {
  name: 'cosine',
  toJSON: () => ({ name: 'cosine' }),
  scalars: ({ step, total }: Progress) => ({ factor: (1 + Math.cos((Math.PI * (step - 1)) / total)) / 2 }),
  slots: ({ name, kind }) => (kind === 'weight' && name.endsWith('_v') ? undefined : {}),
  write: (g, { old, param, scalars }) => ({
    param: g.add(old, g.mul(g.sub(param, old), must(scalars.factor, 'factor'))),
    slots: {},
  }),
}

/** Adam moves by about its rate whatever the size of gradients: what is learned moves in shares of its own size. */
function ratesOf({ trainable, weights, biases }: TrainingForm, options: ReconstructionOptions): ParameterGroup[] {
  const values = valuesByName(trainable.model.graph)
  const sizeOf = (name: string) => meanSize(must(values.get(name)?.constant, name))
  const steps = new Map(weights.map(({ layer, inputs }) => [layer.weight.name, sizeOf(must(inputs.scale, 'scale'))]))
  return trainable.parameters.map(({ name, kind }) => {
    const scaled =
      kind === 'quantizer' ? options.scaleRate * sizeOf(name) : options.learningRate * (steps.get(name) ?? 1)
    return { match: name, lrScale: biases.includes(name) ? options.biasRate * sizeOf(name) : scaled }
  })
}

function meanSize(tensor: Tensor): number {
  let sum = 0
  for (const x of tensor.numbers()) sum += Math.abs(x)
  return sum / tensor.size
}
