import { type Model, Tensor, type Value } from '@fewbit/core/ir'
import { must, type Rng } from '@fewbit/core/util'

/** A BatchNorm, and the convolution that alone reads its rectified output. */
export interface Joint {
  readonly norm: string
  readonly reader: string
  /** Of the reader's input channels, the first that comes from the norm. */
  readonly offset?: number
}

/**
 * Multiplies each channel of a BatchNorm by a factor and divides the reader's weights for it by the same: Relu(f · x) =
 * f · Relu(x) for f > 0, so the network computes what it did, from weights whose channels differ more (Nagel et al. 2019,
 * arXiv:1906.04721, section 4.1, in reverse). Factors are powers of two, so that no weight is rounded.
 * @param most largest exponent: factors are 2 to a random integer from −most to 0.
 */
export function spreadChannels(model: Model, { norm, reader, offset = 0 }: Joint, most: number, random: Rng): void {
  const gamma = initializer(model, `${norm}.gamma`)
  const factors = Array.from(must(gamma.constant, gamma.name).numbers(), () => 2 ** -random.int(most + 1))
  edit(gamma, (v, i) => v * (factors[i] as number))
  edit(initializer(model, `${norm}.beta`), (v, i) => v * (factors[i] as number))
  const weight = initializer(model, `${reader}.weight`)
  const [, inputs = 1, height = 1, width = 1] = must(weight.constant, weight.name).dims
  // A depthwise kernel holds one input channel for each output channel.
  const channelOf = (i: number): number =>
    inputs === 1 ? Math.floor(i / (height * width)) : Math.floor(i / (height * width)) % inputs
  edit(weight, (v, i) => v / (factors[channelOf(i) - offset] ?? 1))
}

function initializer(model: Model, name: string): Value {
  return must(
    [...model.graph.initializers].find((value) => value.name === name),
    name,
  )
}

function edit(value: Value, f: (v: number, i: number) => number): void {
  const tensor = must(value.constant, value.name)
  value.constant = Tensor.float32(tensor.dims, Float32Array.from(tensor.numbers(), f))
}
