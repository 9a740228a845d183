import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Dataset, Engine, Feeds, Sample } from '@fewbit/core/engine'
import { type Model, Tensor } from '@fewbit/core/ir'
import { fidelity, type Scores } from './score.ts'
import { DATA, fromSamples } from './shared-data.ts'
import { readWav } from './wav.ts'

const FRAME = 512
const CONTEXT = 64

const STATE = 128

/** Every eighth clip is for calibration. */
const isCalibration = (clip: number): boolean => clip % 8 === 0

/** The loudest frame of each clip with the state that the network has by then: of calibration clips, or of all others. */
export async function vadSamples(model: Model, engine: Engine, part: 'calibrate' | 'score'): Promise<Dataset> {
  const chosen = chosenClips(part)
  const samples: Sample[] = []
  await stream(model, engine, chosen, (frame, feeds) => {
    const { input, state, sr } = feeds as Record<'input' | 'state' | 'sr', Tensor>
    for (const [i, { id, label, audio }] of chosen.entries()) {
      if (frame !== loudest(audio)) continue
      const own = { input: rowOf(input, i, 1, FRAME + CONTEXT), state: rowOf(state, i, 2, STATE), sr }
      samples.push({ id, label, feeds: own })
    }
  })
  return fromSamples('speech_commands', samples)
}

const chosenClips = (part: 'calibrate' | 'score'): Clip[] =>
  clips().filter((_, i) => isCalibration(i) === (part === 'calibrate'))

/** Row `i` of the middle axis of `outer x N x inner`. */
function rowOf(tensor: Tensor, i: number, outer: number, inner: number): Tensor {
  const values = tensor.numbers() as Float32Array
  const n = values.length / (outer * inner)
  const row = new Float32Array(outer * inner)
  for (let o = 0; o < outer; o++) row.set(values.subarray((o * n + i) * inner, (o * n + i + 1) * inner), o * inner)
  return Tensor.float32(outer === 1 ? [1, inner] : [outer, 1, inner], row)
}

/** Runs all clips side by side, frame after frame, each frame with the end of the one before and the state that it left. */
async function stream(
  model: Model,
  engine: Engine,
  chosen: readonly Clip[],
  visit: (frame: number, feeds: Feeds, outputs: Feeds) => void,
): Promise<void> {
  const session = await engine.load(model)
  const frames = Math.floor(Math.max(...chosen.map((c) => c.audio.length)) / FRAME)
  let state = Tensor.float32([2, chosen.length, STATE], new Float32Array(2 * chosen.length * STATE))
  for (let frame = 0; frame < frames; frame++) {
    const input = new Float32Array(chosen.length * (CONTEXT + FRAME))
    for (const [i, { audio }] of chosen.entries()) {
      const start = frame * FRAME - CONTEXT
      const part = audio.subarray(Math.max(0, start), start + CONTEXT + FRAME)
      input.set(part, i * (CONTEXT + FRAME) + Math.max(0, -start))
    }
    const dims = [chosen.length, CONTEXT + FRAME]
    const feeds = { input: Tensor.float32(dims, input), state, sr: Tensor.int64([], [16000]) }
    const outputs = await session.run(feeds)
    visit(frame, feeds, outputs)
    state = outputs.stateN as Tensor
  }
  await session.release()
}

interface Clip {
  readonly id: string
  readonly label: number
  readonly audio: Float32Array
}

function clips(): Clip[] {
  const root = join(DATA, 'speech_commands')
  const folders = readdirSync(root, { withFileTypes: true }).filter((d) => d.isDirectory())
  return folders.flatMap(({ name }) =>
    readdirSync(join(root, name)).map((file) => ({
      id: `${name}/${file}`,
      label: name === '_silence_' ? 0 : 1,
      audio: readWav(readFileSync(join(root, name, file))),
    })),
  )
}

/** Number of the frame with most energy. */
function loudest(audio: Float32Array): number {
  let best = 0
  let bestEnergy = -1
  for (let frame = 0; (frame + 1) * FRAME <= audio.length; frame++) {
    const energy = audio.subarray(frame * FRAME, (frame + 1) * FRAME).reduce((sum, x) => sum + x * x, 0)
    if (energy > bestEnergy) [best, bestEnergy] = [frame, energy]
  }
  return best
}

/** Area under the ROC curve of each clip's highest probability: speech against noise. */
export async function vadScore(model: Model, engine: Engine, against?: Model): Promise<Scores> {
  const chosen = chosenClips('score')
  const highest = chosen.map(() => 0)
  await stream(model, engine, chosen, (_, _feeds, outputs) => {
    const speech = (outputs.output as Tensor).numbers()
    for (const i of chosen.keys()) highest[i] = Math.max(highest[i] as number, speech[i] as number)
  })
  const scores = (label: number): number[] => highest.filter((_, i) => chosen[i]?.label === label)
  const [positive, negative] = [scores(1), scores(0)]
  let wins = 0
  for (const p of positive) for (const n of negative) wins += p > n ? 1 : p === n ? 0.5 : 0
  const auc = wins / (positive.length * negative.length)
  if (!against) return { auc }
  return { auc, ...(await fidelity(model, await vadSamples(against, engine, 'score'), engine, against)) }
}
