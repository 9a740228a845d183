import { z } from 'zod'
import type { ParamsTable, QuantParams, QuantPlan } from '../quant/index.ts'
import { decodeUtf8, problem } from '../util/index.ts'
import { NATIVE } from './native.ts'

/** Fields that the planner added since are kept: objects are loose, and only what other code relies on is asked for. */
const spec = z.looseObject({
  bits: z.int().min(1).max(32),
  signed: z.boolean(),
  symmetric: z.boolean(),
  quantMin: z.number(),
  quantMax: z.number(),
  granularity: z.discriminatedUnion('kind', [
    z.looseObject({ kind: z.literal('tensor') }),
    z.looseObject({ kind: z.literal('channel'), axis: z.int() }),
    z.looseObject({ kind: z.literal('group'), axis: z.int(), size: z.int().min(1) }),
  ]),
})

const reason = z.looseObject({ code: z.string(), text: z.string() })

const tensor = z.looseObject({
  value: z.string(),
  role: z.enum(['activation', 'weight', 'bias', 'fill']),
  spec,
  source: z.looseObject({ kind: z.string() }),
  group: z.string(),
  readers: z.array(z.string()),
  reason,
})

const node = z.looseObject({
  node: z.string(),
  opType: z.string(),
  decision: z.enum(['integer', 'fused', 'quantized', 'float']),
  reason,
})

const params = z
  .looseObject({ spec, scale: z.array(z.number().positive()).min(1), zeroPoint: z.array(z.number()).min(1) })
  .refine(({ scale, zeroPoint }) => scale.length === zeroPoint.length, 'as many scales as zero points')

const schema = z.looseObject({
  format: z.literal(NATIVE.format),
  version: z.literal(NATIVE.version),
  model: z.string(),
  plan: z.looseObject({
    format: z.literal('fewbit-plan'),
    version: z.literal(1),
    target: z.string(),
    scheme: z.string(),
    nodes: z.array(node),
    tensors: z.array(tensor),
    diagnostics: z.array(z.looseObject({ code: z.string(), level: z.string(), message: z.string() })),
  }),
  params: z.looseObject({}),
})

export interface SavedQuantization {
  /** File name of the float model beside the JSON. */
  readonly model: string
  readonly plan: QuantPlan
  readonly params: ParamsTable
}

/**
 * Reads what the exporter `json` wrote.
 * @throws FewbitError NATIVE_FORMAT, with the first few fields that are wrong.
 */
export function readQuantization(bytes: Uint8Array): SavedQuantization {
  const file = parse(bytes)
  const { model, plan } = checked(schema, file)
  const table = new Map<string, QuantParams>()
  // As entries: a record of zod's drops a tensor that is called `__proto__`.
  for (const [group, found] of Object.entries((file as { params: object }).params)) {
    table.set(group, checked(params, found, `params.${group}.`) as unknown as QuantParams)
  }
  const lost = plan.tensors.find((t) => !table.has(t.group))
  if (lost) throw refused([`params: none for the group "${lost.group}"`])
  return { model, plan: plan as unknown as QuantPlan, params: table }
}

function checked<T>(type: z.ZodType<T>, value: unknown, prefix = ''): T {
  const parsed = type.safeParse(value)
  if (parsed.success) return parsed.data
  throw refused(parsed.error.issues.slice(0, 5).map(({ path, message }) => `${prefix}${path.join('.')}: ${message}`))
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decodeUtf8(bytes))
  } catch (cause) {
    throw refused([String(cause)])
  }
}

const refused = (notes: string[]) =>
  problem('NATIVE_FORMAT', `the file is no quantization of version ${NATIVE.version}`, {
    notes,
    fix: 'write it again with the exporter json',
  })
