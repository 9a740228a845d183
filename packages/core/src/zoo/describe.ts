import type { Model } from '../ir/index.ts'
import { isFloat } from '../util/index.ts'
import type { ZooEntry } from './entry.ts'
import { ZOO, type ZooName } from './registry.ts'

/** What is known of a network of the zoo. JSON. */
export interface ZooInfo
  extends Pick<ZooEntry, 'title' | 'paper' | 'names' | 'preset' | 'classes' | 'parameters' | 'macs'> {
  readonly name: ZooName
  /** Sizes of one sample, channels first. */
  readonly input: readonly number[]
}

export function describeZoo(): ZooInfo[] {
  return Object.entries<ZooEntry>(ZOO).map(([name, entry]) => {
    const { title, paper, names, input, preset, classes, parameters, macs } = entry
    const known = { title, paper, names, input, classes, parameters, macs, ...(preset && { preset }) }
    return { name: name as ZooName, ...known }
  })
}

/** Elements that training changes: all float constants with axes but BatchNormalization's statistics. */
export function countParameters(model: Model): number {
  let count = 0
  for (const { name, constant } of model.graph.initializers) {
    const trained = constant && isFloat(constant.dtype) && constant.dims.length > 0
    if (trained && !/\.running_(mean|var)$/.test(name)) count += constant.size
  }
  return count
}
