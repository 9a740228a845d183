import { freezeInputDefaults } from '../ir/index.ts'
import type { Pass } from './pass.ts'

/**
 * Before IR version 4 every initializer had to be listed as a graph input too; it was a constant all the same. Newer files
 * do so on purpose, to let callers override a default, and keep it.
 */
export const freezeInputs: Pass = {
  name: 'freeze-inputs',
  summary: 'drop initializers from the inputs of files older than IR version 4',
  run(model, cx) {
    const defaults = model.graph.inputs.filter((value) => model.graph.initializers.has(value))
    if (model.irVersion >= 4) {
      for (const value of defaults) {
        const text = 'callers may override this default, so it is no constant'
        cx.trace({ pass: freezeInputs.name, kind: 'declined', node: value.name, text })
      }
      return { modified: false }
    }
    freezeInputDefaults(model)
    // Rules add initializers that are no inputs, which older versions do not know.
    model.irVersion = 4
    const text = `${defaults.length} initializers are no longer graph inputs`
    cx.trace({ pass: freezeInputs.name, kind: 'fired', node: model.graph.name, text })
    return { modified: true }
  },
}
