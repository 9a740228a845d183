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
export function buildZooModel(network: ZooName, options: ZooOptions = {}): Model {
  const name = findZooName(network)
  const entry: ZooEntry = ZOO[name]
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

/**
 * The name in the zoo of a network whose name people write in many ways: `mobilenetv2`, `MobileNet_V2` and `mobilenet-v2` are one. Undefined where the zoo has
 * none.
 */
export function zooName(text: string): ZooName | undefined {
  const letters = (name: string): string => name.toLowerCase().replaceAll(/[^a-z0-9]/g, '')
  return NAMES.find((name) => name === text) ?? NAMES.find((name) => letters(name) === letters(text))
}

/** @throws FewbitError ZOO_UNKNOWN with the nearest names. */
export function findZooName(text: string): ZooName {
  const name = zooName(text)
  if (name) return name
  throw problem('ZOO_UNKNOWN', `the zoo has no network "${text}"`, { at: { option: 'name' }, fix: zooHint(text) })
}

/** What to write in place of a name that the zoo does not have. */
export function zooHint(name: string): string {
  const near = nearestNames(name, NAMES)
  return `${near.length > 0 ? `did you mean ${near.join(' or ')}? ` : ''}"fewbit zoo" lists all`
}

const NAMES = Object.keys(ZOO) as ZooName[]

const badOption = (option: string, value: unknown, wanted: string): Error =>
  problem('ZOO_OPTION', `${option} is ${String(value)}, but must be ${wanted}`, { at: { option } })
