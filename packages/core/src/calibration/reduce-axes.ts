import { attribute, type GraphBuilder, Tensor, type Value } from '../ir/index.ts'

/** Opset in which reductions take their axes as an input. */
const AXES_INPUT_OPSET = 18

/** Reduces a value over some axes, which the result no longer has. */
export function reduceAxes(
  builder: GraphBuilder,
  opset: number,
  type: 'ReduceMin' | 'ReduceMax' | 'ReduceMean',
  value: Value,
  axes: readonly number[],
): Value {
  const keepdims = attribute.int(0)
  const name = `fewbit_${type}`
  if (axes.length === 0) return builder.op('Identity', [value], {}, { name })
  if (opset < AXES_INPUT_OPSET) return builder.op(type, [value], { keepdims, axes: attribute.ints(axes) }, { name })
  const input = builder.constant('fewbit_axes', Tensor.int64([axes.length], axes))
  return builder.op(type, [value, input], { keepdims }, { name })
}
