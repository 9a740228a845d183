// Makes packages/cli/assets/demo.onnx: trains the demo's network on generated pictures. See docs/demo.md.
import { writeFileSync } from 'node:fs'
import { type Model, serializeModel } from '@fewbit/core/ir'
import { rng } from '@fewbit/core/util'
import { nodeEngine } from '@fewbit/engine-node'
import { INPUT, pictureTensor } from '../../packages/cli/src/demo/picture-data.ts'
import { drawPicture, SIDE, SPLITS } from '../../packages/cli/src/demo/pictures.ts'
import { CLASSES } from '../../packages/cli/src/demo/shapes.ts'
import { adam, crossEntropy } from './adam.ts'
import type { Sequence } from './combine.ts'
import type { Activations } from './layer.ts'
import { demoNetwork, toModel } from './network.ts'
import { type Joint, spreadChannels } from './spread-channels.ts'

const SEED = 7
const STEPS = 2000
const BATCH = 32
const PEAK_RATE = 4e-3
const TEST_PICTURES = 2048
const ASSET = new URL('../../packages/cli/assets/demo.onnx', import.meta.url)

/** Where channels are spread, and by how many powers of two at most: see docs/demo.md for why. */
const SPREAD_SEED = 5
const SPREAD: readonly (Joint & { most: number })[] = [
  { norm: 'stem.norm', reader: 'block1.depthwise', most: 5 },
  { norm: 'block3.norm2', reader: 'block4.depthwise', most: 5 },
  { norm: 'block3.side.norm', reader: 'block4.depthwise', offset: 48, most: 5 },
  ...['block1', 'block2', 'block3', 'block4', 'block5'].map((block) => ({
    norm: `${block}.norm1`,
    reader: `${block}.pointwise`,
    most: 1,
  })),
]

/** Pictures `first` to `first + count` of a split, as the trainer takes them: 0 to 1, channels last. */
function pictureBatch(seed: number, first: number, count: number): { x: Activations; labels: number[] } {
  const data = new Float64Array(count * SIDE * SIDE * 3)
  const labels = Array.from({ length: count }, (_, n) => {
    const { label, pixels } = drawPicture(seed, first + n)
    for (let i = 0; i < pixels.length; i++) data[n * pixels.length + i] = pixels[i]! / 255
    return label
  })
  return { x: { count, side: SIDE, channels: 3, data }, labels }
}

/** Rises over the first twentieth, then falls along half a cosine. */
function learningRate(step: number): number {
  const warmUp = STEPS / 20
  if (step < warmUp) return (PEAK_RATE * (step + 1)) / warmUp
  return (PEAK_RATE * (1 + Math.cos((Math.PI * (step - warmUp)) / (STEPS - warmUp)))) / 2
}

function train(network: Sequence): void {
  const update = adam(network.parameters)
  let recent = 0
  for (let step = 0; step < STEPS; step++) {
    const { x, labels } = pictureBatch(SPLITS.train, step * BATCH, BATCH)
    const y = network.forward(x, true)
    const { loss, gradient } = crossEntropy(y.data, labels, CLASSES.length)
    network.backward({ ...y, data: gradient })
    update(learningRate(step))
    recent += loss
    if ((step + 1) % 100 === 0) {
      console.log(`step ${step + 1}: loss ${(recent / 100).toFixed(4)}, ${process.uptime().toFixed(0)} s`)
      recent = 0
    }
  }
}

const largestAt = (scores: ArrayLike<number>): number =>
  Array.from(scores).reduce((best, s, i, all) => (s > all[best]! ? i : best), 0)

/** Runs the test pictures through the trainer's network and through the file, and says how they differ. */
async function compare(network: Sequence, model: Model): Promise<void> {
  const session = await nodeEngine({ threads: 1 }).load(serializeModel(model))
  let [right, apart] = [0, 0]
  for (let i = 0; i < TEST_PICTURES; i++) {
    // The trainer's matrix product takes rows by fours.
    const { x } = pictureBatch(SPLITS.test, i & ~3, 4)
    const ours = network.forward(x, false).data.subarray((i & 3) * CLASSES.length, ((i & 3) + 1) * CLASSES.length)
    const picture = drawPicture(SPLITS.test, i)
    const { scores } = await session.run({ [INPUT]: pictureTensor(picture) })
    const theirs = scores!.numbers()
    if (largestAt(theirs) === picture.label) right++
    for (const [k, s] of ours.entries()) apart = Math.max(apart, Math.abs(s - theirs[k]!))
  }
  await session.release()
  console.log(`float accuracy on ${TEST_PICTURES} test pictures: ${((100 * right) / TEST_PICTURES).toFixed(2)} %`)
  console.log(`largest difference of a score between the trainer and ONNX Runtime: ${apart.toExponential(1)}`)
}

const network = demoNetwork(CLASSES.length, rng(SEED))
train(network)
const model = toModel(network, CLASSES.length, SIDE)
const random = rng(SPREAD_SEED)
for (const { most, ...joint } of SPREAD) spreadChannels(model, joint, most, random)
await compare(network, model)
writeFileSync(ASSET, serializeModel(model))
