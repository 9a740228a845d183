import { type Attribute, type AttributeKind, attribute, Graph, Node, Tensor, Value } from '@fewbit/core/ir'
import { inferNode, type OpDef, type OpSignature, parameter, readAttrs, signatureAt } from '@fewbit/core/ops'
import { FewbitError } from '@fewbit/core/util'
import { type ContractCheck, demand } from './contract.ts'

/** What every operator definition promises. */
export function opContract(def: OpDef): ContractCheck[] {
  const atEach = (check: (version: number, signature: OpSignature) => void) => () => {
    for (const version of def.since) check(version, signatureAt(def, version))
  }
  return [
    { name: 'lists its versions in order', run: () => versionsAscend(def) },
    { name: 'declares parameters that a node can be read by', run: atEach((v, s) => parametersReadable(v, s)) },
    { name: 'reads every attribute, written or left out', run: atEach((v, s) => attributesReadable(def, v, s)) },
    { name: 'has quantization traits that fit its inputs', run: () => traitsFit(def) },
    { name: 'infers nothing, without complaint, from nothing', run: atEach((v, s) => infersFromNothing(def, v, s)) },
  ]
}

function versionsAscend({ since, before, deprecated, type }: OpDef): void {
  demand(since.length > 0, () => `${type} has no version`)
  demand(
    since.every((v, i) => Number.isInteger(v) && v > (since[i - 1] ?? 0)),
    () => `versions ${since.join()} are not ascending`,
  )
  const last = since.at(-1) as number
  demand(deprecated === undefined || deprecated > last, () => `removed in ${deprecated}, changed in ${last}`)
  const unknown = Object.keys(before).filter((v) => !since.includes(Number(v)))
  demand(unknown.length === 0, () => `changes are told for ${unknown.join()}, which are no versions`)
}

function parametersReadable(version: number, { inputs, outputs }: OpSignature): void {
  for (const list of [inputs, outputs]) {
    const parameters = list.map(parameter)
    const names = parameters.map((p) => p.name)
    demand(new Set(names).size === names.length, () => `version ${version} names a parameter twice: ${list.join()}`)
    const early = parameters.slice(0, -1).filter((p) => p.variadic)
    demand(early.length === 0, () => `version ${version} repeats ${early[0]?.name}, which is not the last`)
  }
}

/** A value of each kind, to see that a reader takes it. */
const SAMPLES: Readonly<Partial<Record<AttributeKind, () => Attribute>>> = {
  int: () => attribute.int(1),
  ints: () => attribute.ints([1]),
  float: () => attribute.float(1),
  floats: () => attribute.floats([1]),
  string: () => attribute.string('a'),
  strings: () => attribute.strings(['a']),
  tensor: () => attribute.tensor(Tensor.float32([1], [1])),
  graph: () => attribute.graph(new Graph('empty')),
}

function nodeOf(def: OpDef, signature: OpSignature, wanted: (required: boolean) => boolean): Node {
  const inputs = signature.inputs.filter((text) => wanted(!parameter(text).optional)).map((_, i) => new Value(`x${i}`))
  const outputs = signature.outputs.map((_, i) => new Value(`y${i}`))
  const node = new Node({ opType: def.type, domain: def.domain, inputs, outputs })
  for (const [name, spec] of Object.entries(signature.attrs)) {
    const sample = SAMPLES[spec.kind]
    if (wanted(spec.required) && sample) node.attributes.set(name, sample())
  }
  return node
}

const everything = () => true
const requiredOnly = (required: boolean) => required

function attributesReadable(def: OpDef, version: number, signature: OpSignature): void {
  const written = readAttrs(def, nodeOf(def, signature, everything), version)
  for (const [name, spec] of Object.entries(signature.attrs)) {
    const known = !SAMPLES[spec.kind] || (written as Record<string, unknown>)[name] !== undefined
    demand(known, () => `version ${version} reads nothing from ${name}`)
  }
  const plain: Record<string, unknown> = readAttrs(def, nodeOf(def, signature, requiredOnly), version)
  for (const [name, spec] of Object.entries(signature.attrs)) {
    demand(spec.required || plain[name] === spec.default, () => `version ${version} has another default for ${name}`)
  }
}

function traitsFit({ inputs, quant, weightChannelAxis }: OpDef): void {
  const { roles = [], traits = [], fixedRange } = quant
  const variadic = inputs.at(-1)?.endsWith('...')
  demand(variadic || roles.length <= inputs.length, () => `${roles.length} roles for ${inputs.length} inputs`)
  const accumulates = traits.includes('accumulates')
  demand(!accumulates || roles.includes('weight'), () => 'it accumulates products, but no input is a weight')
  demand(!weightChannelAxis || inputs.length > 1, () => 'it has a channel axis, but no weight')
  demand(!roles.includes('bias') || roles.includes('weight'), () => 'it has a bias, but no input is a weight')
  demand(!fixedRange || fixedRange[0] < fixedRange[1], () => `the range ${fixedRange?.join()} is empty`)
}

function infersFromNothing(def: OpDef, version: number, signature: OpSignature): void {
  const node = nodeOf(def, signature, requiredOnly)
  try {
    const { types } = inferNode(def, node, version)
    demand(types.length <= Math.max(def.outputs.length, node.outputs.length), () => `${types.length} output types`)
  } catch (error) {
    // The sample of a required attribute may be no sensible value; that is a stated problem, not a fault.
    const stated = error instanceof FewbitError && Object.values(signature.attrs).some((spec) => spec.required)
    demand(stated, () => `version ${version}: ${(error as Error).message}`)
  }
}
