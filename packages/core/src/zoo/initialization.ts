import { Tensor } from '../ir/index.ts'
import { bytesOf, digest, type Rng, rng } from '../util/index.ts'

/** How the elements of a tensor are drawn. */
export type Distribution =
  | { readonly kind: 'constant'; readonly value: number }
  | { readonly kind: 'normal'; readonly std: number }
  /** A normal distribution without what lies beyond two standard deviations; `std` is that of the whole one. */
  | { readonly kind: 'truncated-normal'; readonly std: number }
  | { readonly kind: 'uniform'; readonly bound: number }

/** The distribution of a weight of the given sizes, output channels first. */
export type Initialization = (dims: readonly number[]) => Distribution

const product = (sizes: readonly number[]): number => sizes.reduce((n, d) => n * d, 1)
/** Products that one output sums up. */
const fanIn = (dims: readonly number[]): number => product(dims.slice(1))
/** Products that one input channel goes into; of grouped convolutions all groups are counted, as PyTorch does. */
const fanOut = (dims: readonly number[]): number => product(dims) / (dims[1] ?? 1)

/** What is left of a standard deviation when a normal distribution is cut at two of them. */
const CUT_STD = 0.8796256610342398

export const constant =
  (value: number): Initialization =>
  () => ({ kind: 'constant', value })
export const normal =
  (std: number): Initialization =>
  () => ({ kind: 'normal', std })
export const truncatedNormal =
  (std: number): Initialization =>
  () => ({ kind: 'truncated-normal', std })

/** Kaiming He et al. 2015, for layers before Relu: variance 2 / fan-in keeps the size of activations. */
export const heFanIn: Initialization = (dims) => ({ kind: 'normal', std: Math.sqrt(2 / fanIn(dims)) })
/** The same for gradients: variance 2 / fan-out. */
export const heFanOut: Initialization = (dims) => ({ kind: 'normal', std: Math.sqrt(2 / fanOut(dims)) })
/** With fan-out of one group, as TensorFlow's EfficientNet and timm have it. */
export const heFanOutOfGroup =
  (groups: number): Initialization =>
  (dims) => ({ kind: 'normal', std: Math.sqrt((2 * groups) / fanOut(dims)) })
/** Keras' `he_normal`: cut at two standard deviations, widened so that the variance is 2 / fan-in. */
export const heTruncated: Initialization = (dims) => ({
  kind: 'truncated-normal',
  std: Math.sqrt(2 / fanIn(dims)) / CUT_STD,
})
/** Glorot & Bengio 2010, Keras' default. */
export const glorotUniform: Initialization = (dims) => ({
  kind: 'uniform',
  bound: Math.sqrt(6 / (fanIn(dims) + fanOut(dims))),
})
/** PyTorch's default of convolutions and linear layers: ±1/√fan-in, for weights and biases alike. */
export const torchDefault: Initialization = (dims) => ({ kind: 'uniform', bound: 1 / Math.sqrt(fanIn(dims)) })
/** ±1/√outputs: the head of TensorFlow's EfficientNet. */
export const uniformByOutputs: Initialization = (dims) => ({ kind: 'uniform', bound: 1 / Math.sqrt(dims[0] ?? 1) })

/**
 * A float32 tensor that is drawn when it is first read, so that a network can be counted without a weight. What is drawn depends on seed and
 * name alone: the same layer of a longer network begins alike.
 */
export function drawnTensor(name: string, dims: readonly number[], from: Distribution, seed: number): Tensor {
  const count = product(dims)
  let bytes: Uint8Array | undefined
  const read = (): Uint8Array => {
    bytes ??= bytesOf(draw(count, from, rng(seedOf(name, seed))))
    return bytes
  }
  return new Tensor('float32', dims, { byteLength: 4 * count, read })
}

const seedOf = (name: string, seed: number): number => Number.parseInt(digest(`${seed}/${name}`).slice(0, 8), 16)

function draw(count: number, from: Distribution, random: Rng): Float32Array {
  const values = new Float32Array(count)
  if (from.kind === 'constant') return values.fill(from.value)
  const next = sampler(from, random)
  for (let i = 0; i < count; i++) values[i] = next()
  return values
}

function sampler(from: Exclude<Distribution, { kind: 'constant' }>, random: Rng): () => number {
  if (from.kind === 'uniform') return () => from.bound * (2 * random.next() - 1)
  if (from.kind === 'normal') return () => from.std * random.normal()
  return () => {
    let value = random.normal()
    while (Math.abs(value) > 2) value = random.normal()
    return from.std * value
  }
}
