import { dependencies, type Node } from '../../ir/index.ts'
import type { WeightedLayer } from './weighted-layer.ts'

/** Bytes of second moments that are collected at the same time. */
const PASS_BYTES = 512 * 2 ** 20

/**
 * Layers whose moments are collected together: as many as memory allows or, where each layer has to see what the ones before it make of the
 * data, those that lie equally deep.
 */
export function planPasses(layers: readonly WeightedLayer[], sequential: boolean): WeightedLayer[][] {
  const depths = sequential ? depthsOf(layers) : new Map<WeightedLayer, number>()
  const depth = (layer: WeightedLayer): number => depths.get(layer) ?? 0
  const passes: WeightedLayer[][] = []
  let bytes = 0
  for (const layer of layers.toSorted((a, b) => depth(a) - depth(b))) {
    const last = passes.at(-1)
    const own = 8 * (sequential ? 2 : 1) * layer.groups * layer.terms ** 2
    const fits = last?.[0] && depth(last[0]) === depth(layer) && bytes + own <= PASS_BYTES
    if (fits) last.push(layer)
    else passes.push([layer])
    bytes = own + (fits ? bytes : 0)
  }
  return passes
}

/** How many of the layers lie one behind the other before each of them. */
function depthsOf(layers: readonly WeightedLayer[]): Map<WeightedLayer, number> {
  const owners = new Map(layers.flatMap((layer) => layer.nodes.map((node): [Node, WeightedLayer] => [node, layer])))
  const before = new Map<Node, number>()
  const [first] = owners.keys()
  for (const node of first?.graph?.nodes ?? []) {
    const makers = [...dependencies(node)].flatMap(({ producer }) => producer ?? [])
    before.set(node, Math.max(0, ...makers.map((m) => (before.get(m) ?? 0) + (owners.has(m) ? 1 : 0))))
  }
  return new Map(layers.map((layer) => [layer, Math.max(...layer.nodes.map((node) => before.get(node) ?? 0))]))
}
