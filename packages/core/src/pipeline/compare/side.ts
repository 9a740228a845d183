import type { Checkpoint, Segment } from '../../analysis/index.ts'
import { type Engine, type Feeds, type LoadOptions, probeModel } from '../../engine/index.ts'
import type { Model, Tensor } from '../../ir/index.ts'
import { must } from '../../util/index.ts'

/** One of two networks, or of two engines, that are held beside each other. */
export interface Side {
  readonly model: Model
  readonly engine: Engine
  readonly load: LoadOptions
}

/** Runs a model once on each of the feeds. @param ran is told how many are done. */
export async function runSide(
  { model, engine, load }: Side,
  feeds: readonly Feeds[],
  ran: (done: number) => void = () => undefined,
): Promise<Feeds[]> {
  const session = await engine.load(model, load)
  try {
    const outputs: Feeds[] = []
    for (const each of feeds) {
      outputs.push(await session.run(each))
      ran(outputs.length)
    }
    return outputs
  } finally {
    await session.release()
  }
}

/** Tensors of checkpoints, as readers see them, in the order of the checkpoints. */
export async function valuesAt(side: Side, points: readonly Checkpoint[], feeds: Feeds): Promise<Tensor[]> {
  const names = points.map((point) => point.seen.name)
  const probed = probeModel(side.model, [...new Set(names)])
  const session = await side.engine.load(probed, side.load)
  try {
    const outputs = await session.run(feeds, [...new Set(names)])
    return names.map((name) => must(outputs[name], `value ${name}`))
  } finally {
    await session.release()
  }
}

/** What a part of the network makes of given tensors. */
export async function runSegment(side: Side, { model, output }: Segment, feeds: Feeds): Promise<Tensor> {
  const wanted = new Set(model.graph.inputs.map((value) => value.name))
  const needed = Object.fromEntries(Object.entries(feeds).filter(([name]) => wanted.has(name)))
  const [outputs] = await runSide({ ...side, model }, [needed])
  return must(outputs?.[output], `value ${output}`)
}
