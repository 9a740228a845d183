import { collectStats } from '../calibration/index.ts'
import { batches, dropPadding, type Feeds, modelInputs } from '../engine/index.ts'
import { cloneModel, type Model, type Node } from '../ir/index.ts'
import { RuleContext } from '../passes/index.ts'
import { must } from '../util/index.ts'
import type { AlgorithmContext, FloatAlgorithm } from './algorithm.ts'

export interface Relu6ToReluOptions {
  readonly force: boolean
  readonly tolerance: number
}

/** A Clip from 0 to `bound`, and the greatest value in front of it where that was measured. */
interface BoundedRelu {
  readonly name: string
  readonly bound: number
  readonly greatest?: number
}

/**
 * ReLU6 does not commute with scaling, ReLU does: equalization needs the bound away (Nagel et al. 2019, arXiv:1906.04721, section 5.1.1).
 * A bound that nothing on the data reaches may go. Of the others the least exceeded go as long as the outputs stay within the tolerance.
 */
export const relu6ToRelu: FloatAlgorithm<Relu6ToReluOptions> = {
  name: 'relu6-to-relu',
  stage: 'float',
  title: 'ReLU6 to ReLU',
  summary: 'drops the upper bound of activations where the outputs show that it does no harm',
  source: 'Nagel 2019, arXiv:1906.04721, section 5.1.1',
  options: {
    tolerance: {
      summary: 'greatest change of an output that dropping bounds may cause, as a share of its largest magnitude',
      default: 0.01,
      least: 0,
    },
    force: { summary: 'drops all bounds, whatever it does', default: false },
  },
  needsData: { when: { force: false } },
  preserves: 'approximate',
  async apply(cx, { force, tolerance }) {
    const found = boundedRelus(cx.model, cx)
    if (found.length === 0) return { changed: [], notes: ['no activation has an upper bound'] }
    if (force) return { changed: dropBounds(cx.model, found) }
    const measured = (await withMaxima(found, cx)).sort((a, b) => excess(a) - excess(b))
    const idle = measured.filter((clip) => excess(clip) <= 1).length
    const count = await mostWithin(tolerance, measured, idle, cx)
    const kept = measured.slice(count)
    const notes = kept.map(({ name, bound, greatest }) => `${name} keeps its bound ${bound}: values reach ${greatest}`)
    const details = { bounded: found.length, unreached: idle, dropped: count }
    return { changed: dropBounds(cx.model, measured.slice(0, count)), notes, details }
  },
}

const excess = ({ bound, greatest = 0 }: BoundedRelu): number => greatest / bound

function boundedRelus(model: Model, { ops }: AlgorithmContext): BoundedRelu[] {
  const cx = new RuleContext(model, ops)
  return [...model.graph.nodes].flatMap((node) => {
    const [low, high] = [1, 2].map((i) => cx.constant(node.inputs[i])?.numbers()[0])
    const is = node.qualifiedType === 'Clip' && low === 0 && high !== undefined && high > 0
    return is ? [{ name: node.name, bound: high }] : []
  })
}

async function withMaxima(found: readonly BoundedRelu[], cx: AlgorithmContext): Promise<BoundedRelu[]> {
  const { dataset, samples, batchSize } = must(cx.data, 'calibration data')
  const sources = nodesNamed(cx.model, found).map((node) => must(node.inputs[0], 'input').name)
  const requests = sources.map((value) => ({ value, wants: [] }))
  const options = { samples, batchSize, ...(cx.signal ? { signal: cx.signal } : {}) }
  const stats = await collectStats(cx.model, cx.engine, dataset, requests, options)
  return found.map((clip, i) => ({ ...clip, greatest: must(stats.get(sources[i] as string), 'statistics').max }))
}

/** Samples that the outputs are compared on. */
const COMPARED = 16

/** The greatest number of bounds, from the front of the list, whose loss stays within the tolerance: found by halving. */
async function mostWithin(tolerance: number, clips: readonly BoundedRelu[], idle: number, cx: AlgorithmContext) {
  let [good, bad] = [idle, clips.length + 1]
  if (good === clips.length) return good
  const before = await outputs(cx.model, cx)
  while (bad - good > 1) {
    const count = good === idle && bad > clips.length ? clips.length : (good + bad) >> 1
    const trial = cloneModel(cx.model)
    dropBounds(trial, clips.slice(0, count))
    if (change(before, await outputs(trial, cx)) <= tolerance) good = count
    else bad = count
  }
  return good
}

async function outputs(model: Model, { engine, data, signal }: AlgorithmContext): Promise<Feeds[]> {
  const { dataset, batchSize } = must(data, 'calibration data')
  const session = await engine.load(model)
  const found: Feeds[] = []
  try {
    const options = { batchSize, limit: COMPARED, ...(signal ? { signal } : {}) }
    for await (const batch of batches(dataset, modelInputs(model), options)) {
      found.push(dropPadding(await session.run(batch.feeds), batch))
    }
  } finally {
    await session.release()
  }
  return found
}

/** Greatest change of an element, as a share of the largest magnitude of its output. */
function change(before: readonly Feeds[], after: readonly Feeds[]): number {
  let worst = 0
  for (const [i, feeds] of before.entries()) {
    for (const [name, tensor] of Object.entries(feeds)) {
      const [a, b] = [tensor.numbers(), must(after[i]?.[name], `output ${name}`).numbers()]
      let [largest, difference] = [0, 0]
      for (let k = 0; k < a.length; k++) {
        largest = Math.max(largest, Math.abs(a[k] as number))
        difference = Math.max(difference, Math.abs((a[k] as number) - (b[k] as number)))
      }
      if (difference > 0) worst = Math.max(worst, difference / largest)
    }
  }
  return worst
}

function nodesNamed(model: Model, clips: readonly BoundedRelu[]): Node[] {
  const byName = new Map([...model.graph.nodes].map((node) => [node.name, node]))
  return clips.map(({ name }) => must(byName.get(name), `node ${name}`))
}

function dropBounds(model: Model, clips: readonly BoundedRelu[]): string[] {
  for (const node of nodesNamed(model, clips)) {
    node.opType = 'Relu'
    node.truncateInputs(1)
  }
  return clips.map(({ name }) => name)
}
