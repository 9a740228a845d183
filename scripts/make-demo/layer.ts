import type { GraphBuilder, Value } from '@fewbit/core/ir'
import type { Rng } from '@fewbit/core/util'

/** Activations of a batch, channels last: `data[((n · side + y) · side + x) · channels + c]`. Pictures are square. */
export interface Activations {
  readonly count: number
  readonly side: number
  readonly channels: number
  readonly data: Float64Array
}

export const emptyLike = (shape: Omit<Activations, 'data'>): Activations => ({
  ...shape,
  data: new Float64Array(shape.count * shape.side * shape.side * shape.channels),
})

/** Something to learn: values, and the gradient of the last backward pass. */
export interface Parameter {
  readonly values: Float64Array
  gradient: Float64Array
}

export const parameter = (values: Float64Array): Parameter => ({ values, gradient: new Float64Array(values.length) })

/** Zero-mean normal weights whose variance keeps that of a rectified signal (He et al. 2015, arXiv:1502.01852). */
export function heNormal(size: number, fanIn: number, random: Rng): Float64Array {
  const deviation = Math.sqrt(2 / fanIn)
  return Float64Array.from({ length: size }, () => deviation * random.normal())
}

/** A step of the network: forward and backward for training, and its ONNX nodes. */
export interface Layer {
  readonly parameters: readonly Parameter[]
  forward(x: Activations, training: boolean): Activations
  /** Takes dL/dy of the last forward pass, stores the parameters' gradients and returns dL/dx. */
  backward(dy: Activations): Activations
  emit(b: GraphBuilder, x: Value): Value
}
