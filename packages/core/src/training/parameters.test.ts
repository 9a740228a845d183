import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loadModel } from '@fewbit/engine-node'
import { describe, expect, it } from 'vitest'
import { parseModel } from '../ir/index.ts'
import { defaultOps } from '../ops/index.ts'
import { rng } from '../util/index.ts'
import { trainable } from './index.ts'

const random = rng(3)
const list = (count: number) => Array.from({ length: count }, () => random.normal().toFixed(4)).join()
const found = (text: string) =>
  trainable(parseModel(`<ir_version = 8, opset_import = ["": 17]> main ${text}`), defaultOps).parameters.map(
    ({ name, kind }) => `${name} ${kind}`,
  )

const data = process.env.FEWBIT_DATA ?? fileURLToPath(new URL('../../../../../shared/data', import.meta.url))
const published = (name: string) => join(data, 'models', `${name}.onnx`)

describe('parameters of a network', () => {
  it('are learned embeddings, class tokens and positions, and neither masks nor what follows the last layer', () => {
    const text = `(float[N,2,4] x) => (float[N,3,4] y)
      <float[4,4] w = {${list(16)}}, float[1,1,4] token = {${list(4)}}, float[1,3,4] positions = {${list(12)}},
       float[1,3,3] mask = {0, -1e9, -1e9, 0, 0, -1e9, 0, 0, 0}, float[1,3,4] far = {${list(11)}, -1e9}, float[4,4] v = {${list(16)}},
       float[1,3,4] grid = {${list(12)}}, float[1,2,4] before = {${list(8)}}, int64[3] zeros = {1, 1, 4}> {
        given = Add(x, before) a = MatMul(given, w) fill = ConstantOfShape(zeros) tokens = Add(fill, token) c = Concat<axis = 1>(tokens, a)
        p = Add(c, positions) t = Transpose<perm = [0, 2, 1]>(p) scores = MatMul(p, t) masked = Add(scores, mask) s = Softmax(masked)
        m = MatMul(s, p) f = Add(m, far) h = MatMul(f, v) y = Add(h, grid) }`
    expect(found(text)).toEqual(['w weight', 'token bias', 'positions bias', 'v weight'])
  })

  it('are found behind operators that only move them', () => {
    const text = `(float[N,4] x) => (float[N,6] y)
      <float[4,2] a = {${list(8)}}, float[2,2,4] b = {${list(16)}}, float[6] c = {${list(6)}}, int64[2] flat = {4, 4}, int64[1] from = {0},
       int64[1] to = {6}> {
        bf = Reshape(b, flat) bt = Transpose<perm = [1, 0]>(bf) w = Concat<axis = 1>(a, bt) bias = Slice(c, from, to) y = Gemm(x, w, bias) }`
    expect(found(text)).toEqual(['a weight', 'b weight', 'c bias'])
    const computed = text.replace('bf = Reshape(b, flat)', 'e = Exp(b) bf = Reshape(e, flat)')
    expect(found(computed)).toEqual(['c bias'])
  })

  const vit = published('cifar_vit_ibp_3_3_8')
  it.skipIf(!existsSync(vit))('of a vision transformer hold its class token and its positions', async () => {
    const names = trainable(await loadModel(vit), defaultOps).parameters.map(({ name }) => name)
    expect(names).toEqual(expect.arrayContaining(['0.cls_token', '0.positions', '0.projection.weight']))
  })

  const silero = published('vad_silero_16k')
  it.skipIf(!existsSync(silero))('of a recurrent network are found in branches', async () => {
    const names = trainable(await loadModel(silero), defaultOps).parameters.map(({ name }) => name)
    const recurrent = ['weight_ih', 'weight_hh', 'bias_ih', 'bias_hh'].map((name) => `model.decoder.rnn.${name}`)
    expect(names).toEqual(expect.arrayContaining([...recurrent, 'model.encoder.0.reparam_conv.weight']))
  })
})
