import type { Model } from '../ir/index.ts'
import { nearestNames, problem } from '../util/index.ts'
import type { ZooEntry } from './entry.ts'
import { NetworkWriter } from './network-writer.ts'
import { ZOO, type ZooName } from './registry.ts'

export interface ZooOptions {
  /** Outputs of the last layer; default what the network was made for. */
  readonly classes?: number
  /** Of the weights, which the same seed draws alike on every machine. Default 0. */
  readonly seed?: number
  /** Size of the first axis, or its name where it stays open. Default `N`. */
  readonly batch?: number | string
}

/** Metadata of a model of the zoo: JSON of what it was built with. */
export const ZOO_KEY = 'fewbit.zoo'

/**
 * A network of the zoo with random weights, in the form in which it trains: BatchNormalization and Dropout stand as nodes, input `input`, output
 * `logits` N×classes. Weights are drawn when they are first read.
 * @throws FewbitError ZOO_UNKNOWN, ZOO_OPTION
 */
export function buildZooModel(name: ZooName, options: ZooOptions = {}): Model {
  const entry: ZooEntry = zooEntry(name)
  const { classes = entry.classes, seed = 0, batch = 'N' } = options
  if (!(Number.isSafeInteger(classes) && classes > 0)) throw badOption('classes', classes, 'a positive whole number')
  if (!Number.isSafeInteger(seed)) throw badOption('seed', seed, 'a whole number')
  if (typeof batch === 'number' && !(Number.isSafeInteger(batch) && batch > 0)) {
    throw badOption('batch', batch, 'a positive whole number, or a name for an open size')
  }
  const net = new NetworkWriter(entry.conventions, seed, entry.opset)
  net.output(entry.write(net, net.input(entry.input, batch), classes), classes, batch)
  net.model.graph.name = name
  net.model.metadata.set(
    ZOO_KEY,
    JSON.stringify({ name, classes, seed, ...(entry.preset && { preset: entry.preset }) }),
  )
  return net.model
}

/** @throws FewbitError ZOO_UNKNOWN with the nearest names. */
export function zooEntry(name: string): ZooEntry {
  if (isZooName(name)) return ZOO[name]
  throw problem('ZOO_UNKNOWN', `the zoo has no network "${name}"`, { at: { option: 'name' }, fix: zooHint(name) })
}

/** What to write in place of a name that the zoo does not have. */
export function zooHint(name: string): string {
  const near = nearestNames(name, Object.keys(ZOO))
  return `${near.length > 0 ? `did you mean ${near.join(' or ')}? ` : ''}"fewbit zoo" lists all`
}

export const isZooName = (name: string): name is ZooName => Object.hasOwn(ZOO, name)

const badOption = (option: string, value: unknown, wanted: string): Error =>
  problem('ZOO_OPTION', `${option} is ${String(value)}, but must be ${wanted}`, { at: { option } })
