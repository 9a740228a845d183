import type { Engine } from '@fewbit/core/engine'
import { cloneModel, type Model, readModel } from '@fewbit/core/ir'

/** An engine that runs other networks than it is given: how a defect of an engine looks from outside. */
export function faultyEngine(engine: Engine, plant: (model: Model) => void): Engine {
  return {
    ...engine,
    name: 'faulty',
    async load(source, options) {
      if ('path' in source) return engine.load(source, options)
      const model = source instanceof Uint8Array ? readModel(source) : cloneModel(source)
      plant(model)
      return engine.load(model, options)
    },
  }
}
