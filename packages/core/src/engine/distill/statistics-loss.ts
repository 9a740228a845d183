import { differentiate, readyToDifferentiate } from '../../autodiff/index.ts'
import { attribute, extract, GraphBuilder, type Model, Tensor, type Value, valuesByName } from '../../ir/index.ts'
import type { OpRegistry } from '../../ops/index.ts'
import { must, problem } from '../../util/index.ts'
import { type NormTarget, normTargets } from './norm-targets.ts'

/** A network of one input, whose outputs are the loss and its gradient by the input. */
export interface StatisticsLoss {
  readonly model: Model
  readonly loss: string
  readonly gradient: string
  /** BatchNormalizations that the loss compares. */
  readonly layers: number
}

/**
 * Σ over layers of mean over channels of (μ̃ − μ)² + (σ̃ − σ)²: how far a batch is from what BatchNormalization remembers (ZeroQ, Cai 2020,
 * arXiv:2001.00281, equation 2; the mean over channels is that of its code).
 * @throws FewbitError DISTILL_NORM for a network without BatchNormalization; AUTODIFF_* where it cannot be differentiated.
 */
export function statisticsLoss(
  original: Model,
  ops: OpRegistry,
  input: string,
  dims: readonly number[],
): StatisticsLoss {
  const model = readyToDifferentiate(original, ops, { [input]: dims })
  const targets = normTargets(model, ops)
  if (targets.length === 0) {
    throw problem('DISTILL_NORM', 'no BatchNormalization tells what the data were like', {
      fix: 'export the network before BatchNormalization is folded (in training mode, or with folding off), or give data with --data',
    })
  }
  const b = new GraphBuilder(model.graph)
  const parts = targets.map((target) => distance(b, target))
  const loss = b.op('Sum', parts, {}, { output: 'distill_loss' })
  const { model: both, gradients } = differentiate(model, { ops, loss: loss.name, by: [input] })
  const values = valuesByName(both.graph)
  const named = (name: string | undefined): Value => must(name === undefined ? undefined : values.get(name), 'value')
  const gradient = must(gradients.get(input), 'gradient')
  const part = extract(both, [named(input)], [named(loss.name), named(gradient)])
  return { model: part, loss: loss.name, gradient, layers: targets.length }
}

function distance(b: GraphBuilder, { value, rank, mean, std }: NormTarget): Value {
  const list = (values: readonly number[]) => b.constant('distill_axes', Tensor.int64([values.length], values))
  const axes = list([0, ...Array.from({ length: rank - 2 }, (_, i) => i + 2)])
  const average = (x: Value) => b.op('ReduceMean', [x, axes])
  const shape = [1, mean.length, ...Array<number>(rank - 2).fill(1)]
  const known = (numbers: Float64Array) => b.constant('distill_known', Tensor.float32(shape, numbers))
  const square = (x: Value) => b.op('Mul', [x, x])
  const found = average(value)
  // Inside the root, so that its slope stays finite for channels that are constant.
  const floor = b.constant('distill_floor', Tensor.float32([], [1e-5]))
  const spread = b.op('Sqrt', [b.op('Add', [average(square(b.op('Sub', [value, found]))), floor])])
  const off = (x: Value, numbers: Float64Array) => square(b.op('Sub', [x, known(numbers)]))
  const both = b.op('Add', [off(found, mean), off(spread, std)])
  return b.op('ReduceMean', [both], { keepdims: attribute.int(0) })
}
