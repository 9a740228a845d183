/** A small network of an operator, whose float inputs are all differentiated by. */
export interface GradientCase {
  /** Interface and nodes in the text form, in float32; float64 takes its place where the engine has kernels for it. */
  readonly text: string
  /** Set where doubles would be another case. */
  readonly single?: boolean
  /** Where inputs lie; default −2 … 2. */
  readonly range?: readonly [number, number]
}

const one = (inputs: string, call: string, range?: readonly [number, number]): GradientCase => {
  return { text: `(${inputs}) => (y) { y = ${call} }`, ...(range && { range }) }
}
const unary = (call: string, range?: readonly [number, number]) => [one('float32[3,7] x', call, range)]
const binary = (type: string, range?: readonly [number, number]) => [
  one('float32[2,3,4] x, float32[2,3,4] z', `${type}(x, z)`, range),
  one('float32[2,1,4] x, float32[3,1] z', `${type}(x, z)`, range),
  one('float32[4] x, float32[2,1,1] z', `${type}(x, z)`, range),
]
const conv = (attrs: string, x: string, w: string, type = 'Conv') =>
  one(`float32${x} x, float32${w} w, float32[4] b`, `${type}<${attrs}>(x, w, b)`)
const pool = (type: string, attrs: string, x = '[2,2,7,6]') => one(`float32${x} x`, `${type}<${attrs}>(x)`)
const reduction = (type: string, range?: readonly [number, number]): GradientCase[] => [
  { ...one('float32[2,3,4] x', `${type}(x)`, range) },
  {
    text: `(float32[2,3,4] x) => (y) <int64[2] axes = {0, -1}> { y = ${type}<keepdims = 0>(x, axes) }`,
    ...(range && { range }),
  },
  { text: `(float32[2,3,4] x) => (y) <int64[1] axes = {1}> { y = ${type}(x, axes) }`, ...(range && { range }) },
  { ...one('float32[2,3] x', `${type}<keepdims = 0>(x)`, range) },
]
const softmax = (type: string) => [one('float32[3,5] x', `${type}(x)`), one('float32[2,4,3] x', `${type}<axis = 1>(x)`)]
const resize = (attrs: string, from: string, scales: string) => ({
  text: `(float32${from} x) => (y) <float32[0] none = {}, float32[4] s = {${scales}}> { y = Resize<${attrs}>(x, none, s) }`,
})

const POSITIVE = [0.3, 3] as const

/** What the gradient of each operator is tried on, by the operator's type. */
export const GRADIENT_CASES: Readonly<Record<string, readonly GradientCase[]>> = {
  Conv: [
    conv('pads = [1, 1, 1, 1]', '[2,3,5,6]', '[4,3,3,3]'),
    conv('strides = [2, 3], pads = [1, 0, 0, 2]', '[2,2,8,7]', '[4,2,3,2]'),
    conv('group = 2, dilations = [2, 1], pads = [2, 1, 1, 0]', '[2,4,6,5]', '[4,2,2,3]'),
    conv('group = 4, strides = [2, 2], auto_pad = "SAME_UPPER"', '[1,4,7,6]', '[4,1,3,3]'),
    conv('strides = [2, 2], auto_pad = "SAME_LOWER"', '[1,2,6,6]', '[4,2,3,3]'),
    conv('auto_pad = "VALID", strides = [3], dilations = [2]', '[2,2,12]', '[4,2,3]'),
    conv('strides = [4, 4]', '[1,2,7,7]', '[4,2,1,1]'),
    conv('pads = [1, 1, 1, 1, 1, 1]', '[1,2,3,3,3]', '[4,2,2,2,2]'),
    conv('strides = [2, 2], pads = [1, 1, 0, 1], dilations = [2, 1]', '[3,3,8,7]', '[4,3,3,2]'),
    conv('dilations = [1, 2], pads = [1, 2, 1, 2]', '[2,3,5,6]', '[4,3,3,3]'),
    conv('strides = [2], pads = [1, 2]', '[2,3,8]', '[4,3,3]'),
    conv('strides = [1, 2, 1], pads = [1, 0, 0, 0, 1, 1]', '[2,2,3,4,3]', '[4,2,2,2,2]'),
    conv('strides = [2, 2], pads = [1, 1, 1, 1]', '[16,16,8,8]', '[4,16,3,3]'),
    conv('pads = [1, 0, 1, 0], dilations = [2, 1]', '[10,2,5,4]', '[4,2,3,2]'),
    conv('pads = [1, 1]', '[11,2,5]', '[4,2,3]'),
  ],
  ConvTranspose: [
    conv('strides = [2, 2]', '[2,3,3,4]', '[3,4,2,2]', 'ConvTranspose'),
    conv('strides = [2, 3], pads = [1, 0, 0, 1], output_padding = [1, 2]', '[1,2,3,3]', '[2,4,3,3]', 'ConvTranspose'),
    conv('group = 2, dilations = [1, 2]', '[2,4,3,3]', '[4,2,2,2]', 'ConvTranspose'),
  ],
  Gemm: [
    ...['', 'transA = 1', 'transB = 1', 'transA = 1, transB = 1'].map((attrs) => {
      const a = attrs.includes('transA') ? '[4,3]' : '[3,4]'
      const b = attrs.includes('transB') ? '[5,4]' : '[4,5]'
      const list = ['alpha = 0.5, beta = 2.0', ...(attrs ? [attrs] : [])].join(', ')
      return one(`float32${a} a, float32${b} b, float32[5] c`, `Gemm<${list}>(a, b, c)`)
    }),
    one('float32[3,4] a, float32[4,5] b, float32[3,1] c', 'Gemm(a, b, c)'),
  ],
  MatMul: [
    one('float32[3,4] a, float32[4,2] b', 'MatMul(a, b)'),
    one('float32[2,1,3,4] a, float32[3,4,2] b', 'MatMul(a, b)'),
    one('float32[2,3,4] a, float32[4,2] b', 'MatMul(a, b)'),
    one('float32[4] a, float32[3,4,2] b', 'MatMul(a, b)'),
    one('float32[2,3,4] a, float32[4] b', 'MatMul(a, b)'),
    one('float32[4] a, float32[4] b', 'MatMul(a, b)'),
  ],
  MaxPool: [
    pool('MaxPool', 'kernel_shape = [2, 2], strides = [2, 2]'),
    pool('MaxPool', 'kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]'),
    pool('MaxPool', 'kernel_shape = [3, 2], strides = [2, 3], ceil_mode = 1'),
    pool('MaxPool', 'kernel_shape = [2], dilations = [2]', '[2,2,7]'),
  ],
  AveragePool: [
    pool('AveragePool', 'kernel_shape = [2, 2], strides = [2, 2]'),
    pool('AveragePool', 'kernel_shape = [3, 3], strides = [2, 1], pads = [1, 1, 0, 1]'),
    pool('AveragePool', 'kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1], count_include_pad = 1'),
    pool('AveragePool', 'kernel_shape = [3, 3], strides = [2, 2], auto_pad = "SAME_UPPER"'),
    pool('AveragePool', 'kernel_shape = [3, 3], strides = [2, 2], ceil_mode = 1'),
    pool('AveragePool', 'kernel_shape = [3, 2], strides = [3, 2]'),
  ],
  GlobalAveragePool: [pool('GlobalAveragePool', '')],
  GlobalMaxPool: [pool('GlobalMaxPool', '')],
  BatchNormalization: [
    {
      text: `(float32[2,3,2,2] x, float32[3] s, float32[3] b, float32[3] m, float32[3] v) => (y) {
        y = BatchNormalization<epsilon = 0.01>(x, s, b, m, v) }`,
      range: [0.4, 2],
    },
    {
      text: '(float32[4,3] x, float32[3] s, float32[3] b, float32[3] m, float32[3] v) => (y) { y = BatchNormalization(x, s, b, m, v) }',
      range: [0.4, 2],
    },
    {
      text: `(float32[3,2,2,3] x, float32[2] s, float32[2] b, float32[2] m, float32[2] v) => (y) {
        y, bm, bv = BatchNormalization<epsilon = 0.01, momentum = 0.0, training_mode = 1>(x, s, b, m, v) }`,
      range: [0.4, 2],
    },
    {
      text: `(float32[5,3] x, float32[3] s, float32[3] b, float32[3] m, float32[3] v) => (y) {
        y, rm, rv = BatchNormalization<training_mode = 1>(x, s, b, m, v) }`,
      range: [0.4, 2],
    },
  ],
  LayerNormalization: [
    one('float32[2,3,5] x, float32[5] s, float32[5] b', 'LayerNormalization(x, s, b)'),
    one('float32[2,3,4] x, float32[3,4] s', 'LayerNormalization<axis = 1, epsilon = 0.1>(x, s)'),
  ],
  InstanceNormalization: [one('float32[2,3,2,4] x, float32[3] s, float32[3] b', 'InstanceNormalization(x, s, b)')],
  Softmax: softmax('Softmax'),
  LogSoftmax: softmax('LogSoftmax'),
  // Single precision has a formulation of its own.
  Relu: [...unary('Relu(x)'), { ...one('float32[3,7] x', 'Relu(x)'), single: true }],
  LeakyRelu: unary('LeakyRelu<alpha = 0.2>(x)'),
  Elu: unary('Elu<alpha = 0.7>(x)'),
  Celu: unary('Celu<alpha = 0.7>(x)'),
  Selu: unary('Selu(x)'),
  ThresholdedRelu: unary('ThresholdedRelu<alpha = 0.5>(x)'),
  HardSigmoid: unary('HardSigmoid<alpha = 0.4>(x)'),
  HardSwish: unary('HardSwish(x)', [-5, 5]),
  Sigmoid: unary('Sigmoid(x)'),
  Tanh: unary('Tanh(x)'),
  Softplus: unary('Softplus(x)'),
  Softsign: unary('Softsign(x)'),
  Gelu: [...unary('Gelu(x)'), ...unary('Gelu<approximate = "tanh">(x)')],
  Abs: unary('Abs(x)'),
  Neg: unary('Neg(x)'),
  Sqrt: unary('Sqrt(x)', POSITIVE),
  Exp: unary('Exp(x)'),
  Log: unary('Log(x)', POSITIVE),
  Erf: unary('Erf(x)'),
  Reciprocal: unary('Reciprocal(x)', POSITIVE),
  Sin: unary('Sin(x)'),
  Cos: unary('Cos(x)'),
  Tan: unary('Tan(x)', [-1, 1]),
  Atan: unary('Atan(x)'),
  Sinh: unary('Sinh(x)'),
  Cosh: unary('Cosh(x)'),
  // Away from their steps, where they are constant.
  Ceil: unary('Ceil(x)', [0.1, 0.4]),
  Floor: unary('Floor(x)', [0.1, 0.4]),
  Round: unary('Round(x)', [0.1, 0.4]),
  Sign: unary('Sign(x)', POSITIVE),
  Add: binary('Add'),
  Sub: binary('Sub'),
  Mul: binary('Mul'),
  Div: binary('Div', POSITIVE),
  Pow: [
    ...binary('Pow', POSITIVE),
    { text: '(float32[3,4] x) => (y) <float32[] two = {2}> { y = Pow(x, two) }' },
    { text: '(float32[3,4] x) => (y) <int64[] three = {3}> { y = Pow(x, three) }' },
  ],
  Min: binary('Min'),
  Max: [...binary('Max'), one('float32[5] x, float32[5] z, float32[1] w', 'Max(x, z, w)')],
  Sum: [...binary('Sum'), one('float32[5] x, float32[2,1] z, float32[1] w', 'Sum(x, z, w)')],
  Mean: [...binary('Mean'), one('float32[5] x, float32[2,1] z, float32[1] w', 'Mean(x, z, w)')],
  PRelu: [one('float32[2,3,4] x, float32[3,1] s', 'PRelu(x, s)')],
  Clip: [
    one('float32[3,8] x, float32[] low, float32[] high', 'Clip(x, low, high)'),
    { text: '(float32[3,8] x) => (y) <float32[] low = {-0.7}, float32[] high = {0.9}> { y = Clip(x, low, high) }' },
    one('float32[3,8] x, float32[] high', 'Clip(x, "", high)'),
  ],
  Where: [
    { text: '(float32[2,3] x, float32[3] z) => (y) <bool[2,1] c = {1, 0}> { y = Where(c, x, z) }' },
    { text: '(float32[3] x, float32[2,3] z) => (y) { c = Less(x, z) y = Where(c, x, z) }' },
  ],
  Identity: unary('Identity(x)'),
  Dropout: unary('Dropout(x)'),
  Cast: [{ text: '(float32[2,3] x) => (y) { h = Cast<to = 11>(x) k = Mul(h, h) y = Cast<to = 1>(k) }', single: true }],
  Flatten: [one('float32[2,3,4] x', 'Flatten(x)')],
  Reshape: [{ text: '(float32[2,3,4] x) => (y) <int64[2] s = {0, -1}> { y = Reshape(x, s) }' }],
  Squeeze: [one('float32[2,1,3,1] x', 'Squeeze(x)')],
  Unsqueeze: [{ text: '(float32[2,3] x) => (y) <int64[2] a = {0, -1}> { y = Unsqueeze(x, a) }' }],
  Transpose: [one('float32[2,3,4] x', 'Transpose(x)'), one('float32[2,3,4] x', 'Transpose<perm = [1, 2, 0]>(x)')],
  Expand: [{ text: '(float32[3,1] x) => (y) <int64[3] s = {2, 1, 4}> { y = Expand(x, s) }' }],
  Concat: [one('float32[2,3,2] x, float32[2,1,2] z, float32[2,2,2] w', 'Concat<axis = -2>(x, z, w)')],
  Split: [
    { text: '(float32[2,6] x) => (y, z, w) <int64[3] s = {1, 3, 2}> { y, z, w = Split<axis = 1>(x, s) }' },
    { text: '(float32[2,6] x) => (z) <int64[3] s = {1, 3, 2}> { y, z, w = Split<axis = -1>(x, s) }' },
  ],
  Slice: [
    {
      text: '(float32[4,5] x) => (y) <int64[1] s = {1}, int64[1] e = {-1}, int64[1] a = {1}> { y = Slice(x, s, e, a) }',
    },
    {
      text: `(float32[7,5] x) => (y) <int64[2] s = {1, -1}, int64[2] e = {9223372036854775807, -9223372036854775807},
        int64[2] a = {0, 1}, int64[2] k = {2, -3}> { y = Slice(x, s, e, a, k) }`,
    },
    {
      text: `(float32[2,3,8,8] x) => (y) <int64[2] s = {0, 0}, int64[2] e = {8, 7}, int64[2] a = {2, 3}, int64[2] k = {2, 2}> {
        y = Slice(x, s, e, a, k) }`,
    },
  ],
  Pad: [
    { text: '(float32[3,4] x, float32[] fill) => (y) <int64[4] p = {1, 0, 2, -1}> { y = Pad(x, p, fill) }' },
    { text: '(float32[3,4] x) => (y) <int64[2] p = {1, 2}, int64[1] a = {1}> { y = Pad(x, p, "", a) }' },
    { text: '(float32[3,4] x) => (y) <int64[4] p = {2, 1, 1, 3}> { y = Pad<mode = "reflect">(x, p) }' },
    { text: '(float32[1,2,3,4] x) => (y) <int64[8] p = {0, 0, 2, 1, 0, 0, 0, 5}> { y = Pad<mode = "edge">(x, p) }' },
    {
      text: '(float32[3,4] x) => (y) <int64[2] p = {3, 2}, int64[1] a = {-1}> { y = Pad<mode = "wrap">(x, p, "", a) }',
    },
  ],
  Einsum: [
    one('float32[2,3] x, float32[3,4] z', 'Einsum<equation = "ij,jk->ik">(x, z)'),
    one('float32[2,3,4] x, float32[2,4,5] z', 'Einsum<equation = "bij,bjk">(x, z)'),
    one('float32[2,3,4] x, float32[3,1] z', 'Einsum<equation = "...ij,ij->...i">(x, z)'),
    one('float32[2,1,4] x, float32[3,4] z', 'Einsum<equation = "a...,...->a...">(x, z)'),
    one('float32[2,3] x, float32[4] z, float32[3] w', 'Einsum<equation = "ij,k,j->kj">(x, z, w)'),
    one('float32[2,3,4] x', 'Einsum<equation = "ijk->ki">(x)'),
  ],
  Gather: [
    { text: '(float32[4,3] x) => (y) <int64[2,2] i = {0, 3, 3, -1}> { y = Gather(x, i) }' },
    { text: '(float32[2,4,3] x) => (y) <int64[3] i = {2, 0, 2}> { y = Gather<axis = 1>(x, i) }' },
    { text: '(float32[2,3,4] x) => (y) <int64[] i = {1}> { y = Gather<axis = -1>(x, i) }' },
  ],
  GatherElements: [{ text: '(float32[3,2] x) => (y) <int64[2,2] i = {0, 2, 0, -1}> { y = GatherElements(x, i) }' }],
  ReduceSum: reduction('ReduceSum'),
  ReduceMean: reduction('ReduceMean'),
  ReduceMax: reduction('ReduceMax'),
  ReduceMin: reduction('ReduceMin'),
  ReduceL1: reduction('ReduceL1'),
  ReduceL2: reduction('ReduceL2'),
  ReduceLogSum: reduction('ReduceLogSum', POSITIVE),
  ReduceLogSumExp: reduction('ReduceLogSumExp'),
  ReduceSumSquare: reduction('ReduceSumSquare'),
  Resize: [
    resize(
      'mode = "nearest", coordinate_transformation_mode = "asymmetric", nearest_mode = "floor"',
      '[1,2,3,4]',
      '1, 1, 2, 3',
    ),
    resize('mode = "nearest"', '[1,2,5,4]', '1, 1, 0.6, 1.5'),
    resize('mode = "linear"', '[1,2,3,4]', '1, 1, 2, 2.5'),
    resize('mode = "linear", coordinate_transformation_mode = "align_corners"', '[1,2,4,3]', '1, 1, 2, 0.7'),
    resize('mode = "linear", coordinate_transformation_mode = "pytorch_half_pixel"', '[1,2,4,3]', '1, 1, 0.5, 3'),
    resize('mode = "cubic"', '[1,2,4,3]', '1, 1, 1.7, 2.5'),
    resize('mode = "cubic", cubic_coeff_a = -0.5, exclude_outside = 1', '[1,1,5,4]', '1, 1, 0.6, 2'),
    resize('mode = "cubic", coordinate_transformation_mode = "align_corners"', '[1,1,4,5]', '1, 1, 2, 0.8'),
    {
      text: `(float32[1,2,3,5] x) => (y) <float32[0] none = {}, int64[4] s = {1, 2, 7, 4}> {
        y = Resize<mode = "linear", coordinate_transformation_mode = "asymmetric">(x, none, none, s) }`,
    },
  ],
  DepthToSpace: [
    one('float32[1,8,2,3] x', 'DepthToSpace<blocksize = 2>(x)'),
    one('float32[1,8,2,3] x', 'DepthToSpace<blocksize = 2, mode = "CRD">(x)'),
  ],
  SpaceToDepth: [one('float32[1,2,4,6] x', 'SpaceToDepth<blocksize = 2>(x)')],
}
