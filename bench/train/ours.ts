/** One training step of CIFAR ResNet-20 again and again: tsx ours.ts MODE BATCH WARMUP STEPS THREADS prints JSON, as step.py does. */
import type { Engine } from '@fewbit/core/engine'
import { qatOps } from '@fewbit/core/fake-quantizers'
import { Tensor } from '@fewbit/core/ir'
import { defaultOps } from '@fewbit/core/ops'
import { prepareQat } from '@fewbit/core/pipeline'
import { qatTrainable } from '@fewbit/core/qat'
import { crossEntropy, sgd, type Trainable, TrainingRun, trainable, trainingStep } from '@fewbit/core/training'
import { type Rng, rng } from '@fewbit/core/util'
import { buildZooModel } from '@fewbit/core/zoo'
import { nodeEngine, profileStep } from '@fewbit/engine-node'
import { fromSamples } from '../lib/shared-data.ts'

const [mode = 'float', ...numbers] = process.argv.slice(2)
const [batch = 64, warmup = 5, steps = 20, threads = 2] = numbers.map(Number)
const engine = nodeEngine({ threads })
const random = rng(3)
const picture = (random: Rng, count: number): Tensor =>
  Tensor.float32([count, 3, 32, 32], Float32Array.from({ length: count * 3072 }, random.normal))

/** BatchNormalization trains by itself, as in step.py: nothing is folded before weights are quantized. */
async function quantized(engine: Engine, scheme: string, fakeQuantizer: string): Promise<Trainable> {
  const samples = Array.from({ length: 8 }, (_, i) => ({ id: `${i}`, feeds: { input: picture(random, 1) } }))
  const data = fromSamples('noise', samples)
  const qfloat = await prepareQat(buildZooModel('resnet20'), {
    ...{
      engine,
      target: 'academic',
      scheme,
      calibration: { data },
      batchNorm: 'none',
      fakeQuantizer: { name: fakeQuantizer },
    },
  })
  return qatTrainable(qfloat)
}

const FORMS: Readonly<Record<string, () => Promise<Trainable>>> = {
  float: async () => trainable(buildZooModel('resnet20'), defaultOps),
  fake8: () => quantized(engine, 'w8a8', 'fixed'),
  lsq4: () => quantized(engine, 'w4a4', 'lsq'),
}

const form = FORMS[mode]
if (!form) throw new Error(`no mode "${mode}"; there are ${Object.keys(FORMS).join(', ')}`)
const step = trainingStep({
  trainable: await form(),
  loss: crossEntropy(),
  optimizer: sgd({ momentum: 0.9, weightDecay: 1e-4 }),
  shapes: { input: [batch, 3, 32, 32] },
  ops: qatOps(defaultOps),
})
const feeds = { feeds: { input: picture(random, batch) }, labels: Int32Array.from({ length: batch }, (_, i) => i % 10) }
if (process.env.PROFILE) {
  console.table((await profileStep(engine, step, feeds, { lr: 0.05, runs: steps })).slice(0, 24))
  process.exit(0)
}
const run = await TrainingRun.load(engine, step)
const ms: number[] = []
let before = process.cpuUsage()
let loss = Number.NaN
for (let i = 0; i < warmup + steps; i++) {
  if (i === warmup) before = process.cpuUsage()
  const start = performance.now()
  loss = (await run.advance(feeds, { lr: 0.05 })).loss
  if (i >= warmup) ms.push(performance.now() - start)
}
const { user, system } = process.cpuUsage(before)
await run.release()
const peakMegabytes = process.resourceUsage().maxRSS / 1024
console.log(JSON.stringify({ ms, loss, peakMegabytes, cpuMs: (user + system) / 1000 / steps }))
