import type { Model } from '../ir/index.ts'
import { problem } from '../util/index.ts'
import type { Engine, Feeds } from './engine.ts'
import { unsupportedOutputs } from './guard.ts'

/**
 * Outputs of a model without inputs: how constants are folded.
 * @throws FewbitError ENGINE_UNSUPPORTED for outputs that no engine may fetch; ENGINE_LOAD and ENGINE_RUN from the engine.
 */
export async function evaluateModel(engine: Engine, model: Model): Promise<Feeds> {
  const refused = unsupportedOutputs(model)
  if (refused.length > 0) {
    throw problem('ENGINE_UNSUPPORTED', `the type of "${refused.join('", "')}" cannot leave the graph`)
  }
  // The graph runs once: optimizing it would evaluate it first.
  const session = await engine.load(model, { optimization: 'none', threads: 1 })
  try {
    return await session.run({})
  } finally {
    await session.release()
  }
}
