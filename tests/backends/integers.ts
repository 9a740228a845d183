import type { Engine, Feeds } from '@fewbit/core/engine'
import {
  type CodeTensor,
  compileIntegers,
  type Grid,
  IntegerSession,
  SCHEMES,
  type SchemeName,
} from '@fewbit/core/integer'
import { Tensor } from '@fewbit/core/ir'
import type { Case, Values } from './backend.ts'
import { joined } from './cases.ts'

export interface IntegerValues {
  readonly outputs: Values
  /** Quantized activations by the name of the value that was quantized. */
  readonly layers: Values
}

/** The case in whole numbers, in the arithmetic of one engine. */
export async function runIntegers(cx: Case, engine: Engine, scheme: SchemeName): Promise<IntegerValues> {
  const network = compileIntegers(cx.quantized, SCHEMES[scheme])
  const grids = new Map(
    network.steps.flatMap((step) => ('grid' in step && step.grid ? [[step.makes.name, step.grid]] : [])),
  )
  const session = await IntegerSession.open(network, { engine })
  try {
    const [outputs, layers]: [Feeds[], Feeds[]] = [[], []]
    for (const sample of cx.samples) {
      const run = await session.run(sample, true)
      outputs.push(run.outputs)
      layers.push(realValues(run.layers, grids))
    }
    return { outputs: joined(outputs), layers: joined(layers) }
  } finally {
    await session.release()
  }
}

function realValues(layers: ReadonlyMap<string, CodeTensor>, grids: ReadonlyMap<string, Grid>): Feeds {
  const each = [...layers].flatMap(([name, { dims, codes }]) => {
    const grid = grids.get(name)
    if (!grid) return []
    const values = Float32Array.from(codes, (code) => (code - grid.zeroPoint) * grid.scale)
    return [[name.replace(/_quantized$/, ''), Tensor.float32(dims, values)] as const]
  })
  return Object.fromEntries(each)
}
