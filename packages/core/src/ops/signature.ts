import type { AttrSchema, OpDef, OpSignature } from './define-op.ts'

/** One formal parameter: `X`, `B?` (optional) or `inputs...` (variadic, last), taken apart. */
export interface Parameter {
  readonly name: string
  readonly optional: boolean
  readonly variadic: boolean
}

export function parameter(text: string): Parameter {
  const variadic = text.endsWith('...')
  const optional = text.endsWith('?')
  return { name: text.replace(/\?$|\.\.\.$/, ''), optional, variadic }
}

const signatures = new WeakMap<OpDef, Map<number, OpSignature>>()

/** The operator's inputs, outputs and attributes in one version, which must be one of `def.since`. */
export function signatureAt(def: OpDef, version: number): OpSignature {
  const byVersion = signatures.get(def) ?? new Map<number, OpSignature>()
  signatures.set(def, byVersion)
  const signature = byVersion.get(version) ?? buildSignature(def, version)
  byVersion.set(version, signature)
  return signature
}

function buildSignature(def: OpDef, version: number): OpSignature {
  const changes = Object.keys(def.before)
    .map(Number)
    .filter((before) => version < before)
    .sort((a, b) => b - a)
  let signature: OpSignature = { inputs: def.inputs, outputs: def.outputs, attrs: def.attrs }
  for (const before of changes) {
    const change = def.before[before] ?? {}
    signature = { ...signature, ...change, attrs: { ...signature.attrs, ...change.attrs } }
  }
  return { ...signature, attrs: attrsOf(signature.attrs, version) }
}

function attrsOf(attrs: AttrSchema, version: number): AttrSchema {
  const inForce = ([, s]: [string, AttrSchema[string]]) => version >= (s.since ?? 0) && version < (s.until ?? Infinity)
  return Object.fromEntries(Object.entries(attrs).filter(inForce))
}
