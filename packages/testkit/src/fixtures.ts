import { asTensor, type Model, parseModel } from '@fewbit/core/ir'
import { rng } from '@fewbit/core/util'
import { normal } from './models.ts'

/**
 * Small networks that each show one habit of real ones, in the text form. The first input carries data; all others are
 * parameters and get normal values from one seed.
 */
const TEXTS = {
  perceptron: `main (float32[N,16] x, float32[16,12] w1, float32[12] b1, float32[12,5] w2, float32[5] b2) => (float32[N,5] y) {
    h = MatMul(x, w1) k = Add(h, b1) r = Relu(k) l = Gemm(r, w2, b2) y = Softmax(l) }`,
  convolutional: `main (float32[N,3,8,8] x, float32[6,3,3,3] w1, float32[6] g, float32[6] beta, float32[6] mean, float32[5,6] wf,
    float32[5] bf) => (float32[N,5] y) <float32[6] var = {1, 2, 0.5, 1.5, 1, 0.25}> {
    c = Conv<pads = [1, 1, 1, 1]>(x, w1) n = BatchNormalization(c, g, beta, mean, var) r = Relu(n)
    m = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(r) p = GlobalAveragePool(m) f = Flatten(p)
    y = Gemm<transB = 1>(f, wf, bf) }`,
  residual: `main (float32[N,4,8,8] x, float32[4,4,3,3] w1, float32[4] b1, float32[4,4,3,3] w2, float32[4] b2, float32[4,4,1,1] w3)
    => (float32[N,4,8,8] y) {
    c1 = Conv<pads = [1, 1, 1, 1]>(x, w1, b1) r1 = Relu(c1) c2 = Conv<pads = [1, 1, 1, 1]>(r1, w2, b2) s = Add(c2, r1)
    r2 = Relu(s) y = Conv(r2, w3) }`,
  'squeeze-excite': `main (float32[N,4,8,8] x, float32[8,4,1,1] w1, float32[8] b1, float32[8,1,3,3] wd, float32[8] bd, float32[2,8,1,1] ws,
    float32[8,2,1,1] we, float32[4,8,1,1] wp) => (float32[N,4,8,8] y) <float32[] zero = {0}, float32[] six = {6}> {
    e = Conv(x, w1, b1) e6 = Clip(e, zero, six) d = Conv<group = 8, pads = [1, 1, 1, 1]>(e6, wd, bd) d6 = Clip(d, zero, six)
    p = GlobalAveragePool(d6) s = Conv(p, ws) sr = Relu(s) q = Conv(sr, we) gate = Sigmoid(q) m = Mul(d6, gate)
    o = Conv(m, wp) y = Add(o, x) }`,
  branches: `main (float32[N,4,8,8] x, float32[4,4,1,1] wa, float32[4,4,3,3] wb, float32[4,12,1,1] wc) => (float32[N,4,4,4] y) {
    a = Conv(x, wa) ar = Relu(a) b = Conv<pads = [1, 1, 1, 1]>(x, wb) br = Relu(b)
    m = MaxPool<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(x) j = Concat<axis = 1>(ar, br, m) c = Conv(j, wc)
    y = AveragePool<kernel_shape = [2, 2], strides = [2, 2]>(c) }`,
  attention: `main (float32[N,6,8] x, float32[8] g, float32[8] beta, float32[8,8] wq, float32[8,8] wk, float32[8,8] wv, float32[8,8] wo)
    => (float32[N,6,8] y) <float32[] scale = {2.8284271}> {
    n = LayerNormalization(x, g, beta) q = MatMul(n, wq) k = MatMul(n, wk) v = MatMul(n, wv) kt = Transpose<perm = [0, 2, 1]>(k)
    s = MatMul(q, kt) t = Div(s, scale) a = Softmax(t) h = MatMul(a, v) o = MatMul(h, wo) y = Add(o, x) }`,
  upsampling: `main (float32[N,4,4,4] x, float32[4,3,2,2] wt, float32[8,4,3,3] w, float32[3,5,1,1] wo) => (float32[N,3,8,8] y)
    <float32[4] twice = {1, 1, 2, 2}, float32[0] none = {}> {
    t = ConvTranspose<strides = [2, 2]>(x, wt) c = Conv<pads = [1, 1, 1, 1]>(x, w) r = Relu(c)
    d = DepthToSpace<blocksize = 2>(r) j = Concat<axis = 1>(t, d) o = Conv(j, wo)
    half = AveragePool<kernel_shape = [2, 2], strides = [2, 2]>(o)
    up = Resize<mode = "nearest", coordinate_transformation_mode = "asymmetric">(half, none, twice) y = Add(up, o) }`,
  'exported-shapes': `main (float32[N,4,6,6] x, float32[4,4,3,3] w, float32[144,5] wf) => (float32[N,5] y)
    <int64[] zero = {0}, int64[1] first = {0}, int64[1] rest = {-1}> {
    c = Conv<pads = [1, 1, 1, 1]>(x, w) same = Identity(c) drop = Dropout(same) s = Shape(drop) n = Gather(s, zero)
    n1 = Unsqueeze(n, first) target = Concat<axis = 0>(n1, rest) f = Reshape(drop, target) y = MatMul(f, wf) }`,
} satisfies Record<string, string>

export type FixtureName = keyof typeof TEXTS

export const FIXTURE_NAMES = Object.keys(TEXTS) as FixtureName[]

/** A fixture network at opset 17; every call builds a new one. */
export function fixture(name: FixtureName): Model {
  const model = parseModel(`<ir_version = 8, opset_import = ["": 17]> ${TEXTS[name]}`)
  const random = rng(11)
  const { graph } = model
  for (const value of graph.inputs.splice(1)) {
    value.constant = normal(random, (asTensor(value.type)?.shape ?? []) as readonly number[], 0.3)
    graph.initializers.add(value)
  }
  return model
}
