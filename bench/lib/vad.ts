import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Dataset, type Engine, modelInputs, type Sample } from '@fewbit/core/engine'
import { type Model, Tensor } from '@fewbit/core/ir'
import { eachOutput, fidelity, type Scores } from './score.ts'
import { DATA, fromSamples } from './shared-data.ts'
import { readWav } from './wav.ts'

const FRAME = 512
const CONTEXT = 64

/** One frame from the loudest part of each clip, with a zero state: speech commands against background noise. */
export function vadSamples(model: Model): Dataset {
  const names = modelInputs(model).map((input) => input.name)
  const samples = clips().map(({ id, label, audio }) => {
    const start = Math.max(CONTEXT, loudest(audio))
    const frame = new Float32Array(CONTEXT + FRAME)
    frame.set(audio.subarray(start - CONTEXT, start + FRAME))
    const state = Tensor.float32([2, 1, 128], new Float32Array(256))
    const feeds = Object.fromEntries(names.map((name) => [name, tensorFor(name, frame, state)]))
    return { id, label, feeds } satisfies Sample
  })
  return fromSamples('speech_commands', samples)
}

function tensorFor(name: string, frame: Float32Array, state: Tensor): Tensor {
  if (name === 'sr') return Tensor.int64([], [16000])
  return name === 'state' ? state : Tensor.float32([1, frame.length], frame)
}

function clips(): { id: string; label: number; audio: Float32Array }[] {
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

function loudest(audio: Float32Array): number {
  let best = 0
  let bestEnergy = -1
  for (let start = 0; start + FRAME <= audio.length; start += FRAME / 2) {
    let energy = 0
    for (let i = start; i < start + FRAME; i++) energy += (audio[i] as number) ** 2
    if (energy > bestEnergy) [best, bestEnergy] = [start, energy]
  }
  return best
}

/** Area under the ROC curve of the first output: speech against noise. */
export async function vadScore(model: Model, engine: Engine, against?: Model): Promise<Scores> {
  const data = vadSamples(model)
  const scored: { label: number; score: number }[] = []
  await eachOutput(model, data, engine, (sample, outputs) => {
    scored.push({ label: sample.label ?? 0, score: Object.values(outputs)[0]?.numbers()[0] ?? 0 })
  })
  const positive = scored.filter((s) => s.label === 1)
  const negative = scored.filter((s) => s.label === 0)
  let wins = 0
  for (const p of positive) for (const n of negative) wins += p.score > n.score ? 1 : p.score === n.score ? 0.5 : 0
  return { auc: wins / (positive.length * negative.length), ...(await fidelity(model, data, engine, against)) }
}
