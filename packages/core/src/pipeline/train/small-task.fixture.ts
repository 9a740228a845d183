import { type Dataset, type Preprocess, pictureSamples, preprocessSchema } from '../../engine/index.ts'
import { type Model, parseModel } from '../../ir/index.ts'
import { rng } from '../../util/index.ts'

/** Three classes of 6×6 pictures; `mean` of BatchNormalization fits no data yet. */
export const network = (batch = 'N'): Model => {
  const random = rng(3)
  const list = (count: number) => Array.from({ length: count }, () => (random.normal() * 0.4).toFixed(4)).join(', ')
  return parseModel(`<ir_version = 8, opset_import = ["": 17]> main (float32[${batch},3,6,6] x) => (float32[${batch},3] y)
    <float32[4,3,3,3] w = {${list(108)}}, float32[4] s = {1, 1, 1, 1}, float32[4] b = {0, 0, 0, 0}, float32[4] m = {0, 0, 0, 0},
     float32[4] v = {1, 1, 1, 1}, float32[3,4] wf = {${list(12)}}, float32[3] bf = {0, 0, 0}> {
    c = Conv<pads = [1, 1, 1, 1]>(x, w) n = BatchNormalization(c, s, b, m, v) r = Relu(n)
    p = GlobalAveragePool(r) f = Flatten(p) y = Gemm<transB = 1>(f, wf, bf) }`)
}

/** The class is the brightest channel, among noise. */
export function pictures(count: number, seed: number): Dataset {
  const preprocess: Preprocess = preprocessSchema.parse({ scale: 1 / 255, mean: [0.5], std: [0.25] })
  const source = {
    input: { name: 'x', dtype: 'float32' as const },
    preprocess,
    async *read() {
      const random = rng(seed)
      for (let i = 0; i < count; i++) {
        const data = Uint8Array.from({ length: 108 }, (_, k) => random.int(200) + (k % 3 === i % 3 ? 50 : 0))
        yield { id: `${i}`, label: i % 3, pixels: { data, height: 6, width: 6, channels: 3 as const } }
      }
    },
  }
  const toJSON = () => ({ kind: 'test', count, seed })
  return { name: 'test', length: count, pictures: source, samples: () => pictureSamples(source), toJSON }
}
