import type { Model, Node } from '../ir/index.ts'
import type { OpDef } from './define-op.ts'

/** Looks operators up by domain and type. Immutable: `extend` returns a new registry. */
export class OpRegistry {
  readonly #defs: ReadonlyMap<string, OpDef>

  constructor(defs: Iterable<OpDef>) {
    this.#defs = new Map([...defs].map((def) => [`${def.domain}::${def.type}`, def]))
  }

  get(domain: string, type: string): OpDef | undefined {
    return this.#defs.get(`${domain}::${type}`)
  }

  of(node: Node): OpDef | undefined {
    return this.get(node.domain, node.opType)
  }

  extend(defs: Iterable<OpDef>): OpRegistry {
    return new OpRegistry([...this.#defs.values(), ...defs])
  }

  [Symbol.iterator](): IterableIterator<OpDef> {
    return this.#defs.values()
  }
}

/** The definition's version in force for a model: the largest `since` that does not exceed the model's opset. */
export function versionIn(def: OpDef, model: Model): number | undefined {
  const opset = model.opset(def.domain)
  return def.since.findLast((v) => v <= opset)
}
