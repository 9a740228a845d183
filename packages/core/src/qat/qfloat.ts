import { z } from 'zod'
import { cloneModel, type Model, type Tensor, valuesByName } from '../ir/index.ts'
import { problem } from '../util/index.ts'
import type { QFloatRecord } from './record.ts'

/**
 * A float network with fake-quantizers in it, in the form in which it is evaluated. Saved as ONNX; `record` stands in its metadata under
 * `fewbit.qfloat`, so that the file is all that training and converting need. Fake-quantizers are functions of domain `fewbit.qat` whose
 * bodies are in the file: any runtime runs it.
 */
export interface QFloat {
  readonly model: Model
  readonly record: QFloatRecord
}

const KEY = 'fewbit.qfloat'

const head = z.looseObject({ format: z.literal('fewbit-qfloat'), version: z.number() })

/** Enough to know that the record is ours: names in it are checked against the graph where they are used. */
const recordSchema = z.looseObject({
  format: z.literal('fewbit-qfloat'),
  version: z.literal(1),
  ...{ target: z.string(), scheme: z.string(), seed: z.number(), batchNorm: z.string() },
  plan: z.looseObject({
    format: z.literal('fewbit-plan'),
    tensors: z.array(z.looseObject({ value: z.string(), group: z.string() })),
  }),
  norms: z.array(z.looseObject({ layer: z.string(), norm: z.string(), weight: z.string() })),
  quantizers: z.array(
    z.looseObject({
      group: z.string(),
      role: z.enum(['activation', 'weight', 'bias', 'fill', 'operand']),
      quantizer: z.strictObject({ name: z.string(), options: z.record(z.string(), z.unknown()) }),
      inputs: z.array(z.looseObject({ name: z.string(), initializer: z.string(), trained: z.boolean() })),
      sites: z.array(z.strictObject({ value: z.string(), node: z.string() })),
    }),
  ),
  biases: z.array(z.looseObject({ layer: z.string(), value: z.string(), input: z.string(), weight: z.string() })),
  engine: z.string().optional(),
  kernels: z.array(z.looseObject({ node: z.string(), inputs: z.array(z.string()), output: z.string() })).optional(),
  held: z.record(z.string(), z.strictObject({ dims: z.array(z.int()), values: z.array(z.number()) })),
  parameters: z.array(z.strictObject({ name: z.string(), kind: z.enum(['weight', 'bias', 'norm']) })),
  recipe: z.record(z.string(), z.unknown()),
})

export const isQFloat = (model: Model): boolean => model.metadata.has(KEY)

/** A network with its record in its metadata. The model is stamped in place. */
export function qfloatOf(model: Model, record: QFloatRecord): QFloat {
  model.metadata.set(KEY, JSON.stringify(record))
  return { model, record }
}

/** The model without the record. */
export function withoutRecord(model: Model): Model {
  model.metadata.delete(KEY)
  return model
}

/**
 * Reads what was saved.
 * @throws FewbitError QFLOAT_MISSING for a model without a record; QFLOAT_VERSION for one of another version; QFLOAT_FORMAT for one that
 * fewbit did not write, or whose graph lacks what the record names.
 */
export function readQFloat(model: Model): QFloat {
  const text = model.metadata.get(KEY)
  if (text === undefined) {
    throw problem('QFLOAT_MISSING', 'the model has no fake-quantizers of fewbit', {
      fix: 'prepare it first: prepareQat',
    })
  }
  const value = readJson(text)
  const first = head.safeParse(value)
  if (first.success && first.data.version !== 1) {
    const text = `the fake-quantizers are described in version ${first.data.version}, and this fewbit reads version 1`
    throw problem('QFLOAT_VERSION', text, { fix: 'use the fewbit that wrote the file, or prepare the network anew' })
  }
  const parsed = recordSchema.safeParse(value)
  if (!parsed.success) {
    throw damaged(
      parsed.error.issues.slice(0, 5).map((issue) => `${issue.path.join('.') || 'record'}: ${issue.message}`),
    )
  }
  // As it stands in the file: the parts that the schema leaves open were written by this version.
  const record = value as QFloatRecord
  checkNames(model, record)
  return { model, record }
}

const damaged = (notes: string[]) =>
  problem('QFLOAT_FORMAT', 'what the model says of its fake-quantizers does not fit', {
    notes,
    fix: 'prepare the network anew',
  })

function checkNames(model: Model, { quantizers, norms, kernels = [] }: QFloatRecord): void {
  const nodes = new Set([...model.graph.nodes].map((node) => node.name))
  const values = valuesByName(model.graph)
  const on = quantizers.filter(({ enabled }) => enabled)
  const missing = [
    ...on.flatMap(({ sites }) => sites.filter(({ node }) => !nodes.has(node)).map(({ node }) => `node "${node}"`)),
    ...on.flatMap(({ inputs }) =>
      inputs.filter((i) => !values.get(i.initializer)?.constant).map((i) => `initializer "${i.initializer}"`),
    ),
    ...norms.filter(({ layer }) => !nodes.has(layer)).map(({ layer }) => `node "${layer}"`),
    ...kernels.filter(({ node }) => !nodes.has(node)).map(({ node }) => `node "${node}"`),
    ...kernels.filter(({ output }) => !values.get(output)?.producer).map(({ output }) => `value "${output}"`),
  ]
  if (missing.length > 0) throw damaged(missing.slice(0, 5).map((what) => `there is no ${what}`))
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The network with other contents in initializers of these names: what training found. Names that it does not have are left out. */
export function withTrained({ model, record }: QFloat, state: ReadonlyMap<string, Tensor>): QFloat {
  const copy = cloneModel(model)
  for (const value of copy.graph.initializers) {
    const found = state.get(value.name)
    if (found) value.constant = found
  }
  return { model: copy, record }
}
