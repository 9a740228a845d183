import { must, roundHalfAway } from '../../util/index.ts'
import type { TfGraph, TfOperator, TfTensor } from '../tflite/graph.ts'
import { ACTIVATION, PADDING } from '../tflite/schema.ts'
import { tile } from './c-text.ts'

/** One operator of the graph, with the prefix of its names in C. */
export class Layer {
  readonly op: TfOperator
  readonly prefix: string
  readonly #graph: TfGraph

  constructor(graph: TfGraph, op: TfOperator, prefix: string) {
    this.#graph = graph
    this.op = op
    this.prefix = prefix
  }

  input(i = 0): TfTensor {
    return must(this.#graph.tensors[must(this.op.inputs[i], 'input')], 'tensor')
  }

  output(): TfTensor {
    return must(this.#graph.tensors[must(this.op.outputs[0], 'output')], 'tensor')
  }

  name(suffix: string): string {
    return `${this.prefix}_${suffix}`
  }

  /** Whether all that it computes with are codes. */
  isInt8(): boolean {
    const tensors = [...this.op.inputs, ...this.op.outputs].map((i) => must(this.#graph.tensors[i], 'tensor'))
    return tensors.every((t) => t.type !== 'FLOAT32')
  }

  option(name: string): number {
    return this.op.options[name] ?? 0
  }
}

/** A CMSIS-NN function and the C text of what it takes. */
export interface Emitted {
  readonly call: string
  readonly lines: readonly string[]
}

/** Undefined where the library has no function that does it. */
export type Emit = (layer: Layer) => Emitted | undefined

export const scaleOf = (t: TfTensor): number => must(t.quantization?.scale[0], 'scale')
export const zeroOf = (t: TfTensor): number => t.quantization?.zeroPoint[0] ?? 0

export const sameGrid = (a: TfTensor, b: TfTensor): boolean => scaleOf(a) === scaleOf(b) && zeroOf(a) === zeroOf(b)

/** The codes that the activation leaves. */
export function activation(layer: Layer): { readonly min: number; readonly max: number } {
  const y = layer.output()
  const code = (x: number): number => Math.min(Math.max(zeroOf(y) + roundHalfAway(x / scaleOf(y)), -128), 127)
  const kind = layer.option('activation')
  const min = kind === ACTIVATION.NONE ? -128 : code(kind === ACTIVATION.RELU_N1_TO_1 ? -1 : 0)
  const max = kind === ACTIVATION.RELU6 ? code(6) : kind === ACTIVATION.RELU_N1_TO_1 ? code(1) : 127
  return { min, max }
}

export function clamp(layer: Layer): string {
  const { min, max } = activation(layer)
  return `{ .min = ${min}, .max = ${max} }`
}

export const stride = (layer: Layer): string => tile([layer.option('strideH'), layer.option('strideW')])

/** Rows above and columns to the left. */
export function padding(layer: Layer, kernel: readonly [number, number], dilation: readonly [number, number]): string {
  if (layer.option('padding') === PADDING.VALID) return tile([0, 0])
  const [x, y] = [layer.input().shape, layer.output().shape]
  const strides = [layer.option('strideH'), layer.option('strideW')]
  const before = [0, 1].map((i) => {
    const reach = ((kernel[i] as number) - 1) * (dilation[i] as number) + 1
    const total = ((y[1 + i] as number) - 1) * (strides[i] as number) + reach - (x[1 + i] as number)
    return Math.floor(Math.max(total, 0) / 2)
  })
  return tile([before[0] as number, before[1] as number])
}
