import { parseModel, Tensor } from '../ir/index.ts'
import { must } from '../util/index.ts'
import type { Engine } from './engine.ts'

const CHANNELS = 16

/** A map of 16 channels and two columns, put in blocks. */
const PROBE = `<ir_version = 9, opset_import = ["": 20, "com.microsoft.nchwc": 1]> main
  (float32[1,${CHANNELS},1,2] x) => (y) { y = com.microsoft.nchwc::ReorderInput(x) }`

const known = new WeakMap<Engine, Promise<number>>()

/**
 * How many channels an engine's convolutions on blocked maps hold side by side, by ONNX Runtime's operators of the domain
 * `com.microsoft.nchwc`; 0 where it has none. That differs from one processor to the next.
 */
export function blockedChannels(engine: Engine): Promise<number> {
  const found = known.get(engine) ?? probe(engine)
  known.set(engine, found)
  return found
}

/** No interface tells the number, so a map whose elements are numbered is put in blocks: column 1 stands behind a block of column 0. */
async function probe(engine: Engine): Promise<number> {
  try {
    const session = await engine.load(parseModel(PROBE), { threads: 1 })
    const numbered = Float32Array.from({ length: CHANNELS * 2 }, (_, i) => i)
    const { y } = await session.run({ x: Tensor.float32([1, CHANNELS, 1, 2], numbered) })
    await session.release()
    return Math.max(0, Array.from(must(y, 'blocked map').numbers()).indexOf(1))
  } catch {
    return 0
  }
}
