import { attrs, defineOp, Tensor } from 'fewbit'

/** Both operators keep shape and type of their input. */
const likeInput = { domain: 'example', since: [1], inputs: ['x'], outputs: ['y'], infer: (cx) => [cx.input(0)] }

/**
 * x · sigmoid(β · x) as an ONNX function: the body goes into the models that are run and written, and whatever reads ONNX functions
 * can run them.
 */
const swish = defineOp({
  ...likeInput,
  type: 'Swish',
  attrs: { beta: attrs.float(1) },
  body: `function example::Swish <opset_import = ["": 17], attributes = [], beta = 1.0> (x) => (y) {
    factor = Constant<value_float = @FLOAT(beta)>()
    scaled = Mul(x, factor)
    gate = Sigmoid(scaled)
    y = Mul(x, gate)
  }`,
  quant: { roles: ['activation'] },
})

/**
 * The median of each element and its two neighbours on the last axis, in JavaScript: fewbit cuts the graph here and runs the parts in
 * order. Every result is one of the elements of the input, so that it could share the input's scale.
 */
const median3 = defineOp({
  ...likeInput,
  type: 'Median3',
  quant: { roles: ['activation'], traits: ['scale-preserving'] },
  evaluate: ([x]) => {
    const values = x.numbers()
    const length = x.dims.at(-1)
    const result = values.map((value, i) => {
      const at = i % length
      const left = at > 0 ? values[i - 1] : value
      const right = at < length - 1 ? values[i + 1] : value
      return Math.max(Math.min(left, value), Math.min(Math.max(left, value), right))
    })
    return [Tensor.float32(x.dims, result)]
  },
})

export const plugin = { name: 'example-operators', ops: [swish, median3] }
