import { Tensor, type Value } from '../ir/index.ts'
import { MIN_SCALE, type NodeSink } from '../quant/index.ts'

export const scalar = (sink: NodeSink, name: string, value: number): Value =>
  sink.constant(name, Tensor.float32([], [value]))

/** No scale is smaller than what float32 holds. */
export const atLeastMinScale = (sink: NodeSink, scale: Value): Value =>
  sink.op('Max', [scale, scalar(sink, 'least', MIN_SCALE)])

/** The scale of an input `scale`: its size. */
export const sizeOfScale = (sink: NodeSink, scale: Value): Value => atLeastMinScale(sink, sink.op('Abs', [scale]))
