import type { Model, Node } from '../ir/index.ts'
import { invariant } from '../util/index.ts'
import type { OpDef } from './define-op.ts'

/** Looks operators up by domain and type. Immutable: `extend` returns a new registry, in which later entries win. */
export class OpRegistry {
  readonly #defs: ReadonlyMap<string, OpDef>

  constructor(defs: Iterable<OpDef>) {
    const map = new Map<string, OpDef>()
    for (const def of defs) {
      const key = `${def.domain}::${def.type}`
      invariant(!map.has(key), () => `operator ${key} is defined twice`)
      map.set(key, def)
    }
    this.#defs = map
  }

  get(domain: string, type: string): OpDef | undefined {
    return this.#defs.get(`${domain}::${type}`)
  }

  of(node: Node): OpDef | undefined {
    return this.get(node.domain, node.opType)
  }

  extend(defs: Iterable<OpDef>): OpRegistry {
    const added = [...defs]
    const replaced = new Set(added.map((def) => `${def.domain}::${def.type}`))
    return new OpRegistry([...[...this].filter((def) => !replaced.has(`${def.domain}::${def.type}`)), ...added])
  }

  [Symbol.iterator](): IterableIterator<OpDef> {
    return this.#defs.values()
  }
}

/** The definition's version in force under an opset: the largest `since` that does not exceed it. */
export const versionAt = (def: OpDef, opset: number): number | undefined => def.since.findLast((v) => v <= opset)

/**
 * The definition's version in force for a model. Domains other than ai.onnx that the model forgot to import count as
 * version 1, as runtimes do.
 */
export const versionIn = (def: OpDef, model: Model): number | undefined =>
  versionAt(def, opsetIn(model.opsets, def.domain))

/** The imported version of a domain; 1 for a forgotten import of a domain other than ai.onnx. */
export const opsetIn = (opsets: ReadonlyMap<string, number>, domain: string): number =>
  opsets.get(domain) ?? (domain === '' ? 0 : 1)
