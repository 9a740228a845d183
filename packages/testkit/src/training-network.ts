import { type Model, parseModel, Tensor } from '@fewbit/core/ir'
import type { StepBatch } from '@fewbit/core/training'
import { rng } from '@fewbit/core/util'

/** Convolution, BatchNormalization or a bias, Dropout if asked for, pooling, three classes. */
export function smallNetwork({ norm = true, dropout = false } = {}): Model {
  const random = rng(3)
  const list = (count: number) => Array.from({ length: count }, () => (random.normal() * 0.4).toFixed(4)).join(', ')
  const normalized = norm ? 'n = BatchNormalization(c, s, b, m, v)' : 'n = Identity(c)'
  const dropped = dropout ? 'd = Dropout(r, ratio)' : 'd = Identity(r)'
  return parseModel(`<ir_version = 8, opset_import = ["": 17]> main (float32[N,2,6,6] x) => (float32[N,3] y)
    <float32[4,2,3,3] w = {${list(72)}}, float32[4] s = {1, 1, 1, 1}, float32[4] b = {0, 0, 0, 0}, float32[4] m = {0, 0, 0, 0},
     float32[4] v = {1, 1, 1, 1}, float32[3,4] wf = {${list(12)}}, float32[3] bf = {0, 0, 0}, float32[] ratio = {0.25}> {
    c = Conv<pads = [1, 1, 1, 1]>(x, w) ${normalized} r = Relu(n) ${dropped}
    p = GlobalAveragePool(d) f = Flatten(p) y = Gemm<transB = 1>(f, wf, bf) }`)
}

/** Samples whose class is the mean of their first channel. */
export function labelledBatch(seed: number, size: number): StepBatch & { readonly labels: Int32Array } {
  const random = rng(seed)
  const labels = Int32Array.from({ length: size }, () => random.int(3))
  const x = new Float32Array(size * 72)
  for (let i = 0; i < x.length; i++) {
    const isFirst = Math.floor(i / 36) % 2 === 0
    x[i] = random.normal() + (isFirst ? (labels[Math.floor(i / 72)] as number) - 1 : 0)
  }
  return { feeds: { x: Tensor.float32([size, 2, 6, 6], x) }, labels }
}
