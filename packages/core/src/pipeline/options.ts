import { z } from 'zod'
import { METRICS } from '../analysis/index.ts'
import type { Observers } from '../observers/index.ts'
import { DISPATCHES } from '../quant/index.ts'
import type { Diagnostic } from '../util/index.ts'
import { FewbitError, optionHint } from '../util/index.ts'

const overrideSchema = (observers: readonly string[]) =>
  z.strictObject({
    match: z.strictObject({
      name: z.union([z.string(), z.instanceof(RegExp)]).optional(),
      op: z.string().optional(),
      from: z.string().optional(),
      to: z.string().optional(),
    }),
    scheme: z.string().optional(),
    observer: z.enum(observers).optional(),
    granularity: z.enum(['tensor', 'channel', 'group']).optional(),
  })

const algorithmSchema = z.strictObject({
  name: z.string(),
  options: z.record(z.string(), z.union([z.number(), z.boolean(), z.string()])).default({}),
})

/** The part of quantize's options that is plain data: what a recipe holds. */
export function quantizeSettings(known: Observers) {
  const observers = Object.keys(known) as [string, ...string[]]
  return z.strictObject({
    target: z.string().default('onnxruntime'),
    scheme: z.string().optional(),
    /** `auto` measures which observer and which float exceptions serve this network best. */
    observer: z.enum(['auto', ...observers]).default('auto'),
    observerOptions: z.record(z.string(), z.number()).default({}),
    weightObserver: z.enum(observers).default('minmax'),
    samples: z.int().positive().default(128),
    /** Samples per run; chosen by the network's arithmetic unless given. */
    batchSize: z.int().positive().optional(),
    perTensor: z.boolean().default(false),
    /** Codes of activations; the target's own unless given. */
    activations: z.enum(['signed', 'unsigned']).optional(),
    /** Who is quantized; the target's own habit unless given. */
    dispatch: z.enum(DISPATCHES).optional(),
    /** Class probabilities and the decoding of boxes behind the last products. */
    tails: z.enum(['float', 'quantize']).optional(),
    /** Bits of the first and the last layer, whatever the scheme. */
    edgeBits: z.int().positive().optional(),
    /** `float` leaves layers at the input in float that are too small for integer kernels to be faster. */
    smallLayers: z.enum(['float', 'integer']).default('float'),
    overrides: z.array(overrideSchema(observers)).default([]),
    /** What to do about the error, beside choosing ranges. A name alone takes the algorithm's defaults. */
    algorithms: z
      .array(z.union([z.string().transform((name) => ({ name, options: {} })), algorithmSchema]))
      .default([]),
    floatOps: z.array(z.string()).default([]),
    /** Names of nodes, most often the most sensitive ones of an analysis. */
    floatNodes: z.array(z.string()).default([]),
    /** Leaves that many layers in float: those that lose most by themselves. */
    floatWorst: z.int().nonnegative().default(0),
    metrics: z.array(z.enum(Object.keys(METRICS) as [string, ...string[]])).optional(),
    seed: z.int().nonnegative().default(1),
  })
}

/** With the scheme that the target is mostly asked for, where the options named none. */
export type QuantizeSettings = z.infer<ReturnType<typeof quantizeSettings>> & { readonly scheme: string }

/**
 * Checks plain options and fills in defaults.
 * @throws FewbitError OPTION_UNKNOWN or OPTION_INVALID, one diagnostic for each option that is wrong.
 */
export function parseSettings<S extends z.ZodObject>(schema: S, given: unknown): z.infer<S> {
  const parsed = schema.safeParse(given)
  if (parsed.success) return parsed.data
  const known = Object.keys(schema.shape)
  throw new FewbitError(parsed.error.issues.flatMap((issue) => toDiagnostics(issue, known)))
}

function toDiagnostics(issue: z.core.$ZodIssue, known: readonly string[]): Diagnostic[] {
  const path = issue.path.join('.')
  if (issue.code !== 'unrecognized_keys') {
    const fix = issue.code === 'invalid_value' ? { fix: `choose one of ${issue.values.join(', ')}` } : {}
    const message = `${path}: ${issue.message}`
    return [{ code: 'OPTION_INVALID', level: 'error', message, at: { option: path }, ...fix }]
  }
  return issue.keys.map((key) => {
    return {
      code: 'OPTION_UNKNOWN',
      level: 'error',
      message: `there is no option "${[path, key].filter(Boolean).join('.')}"`,
      at: { option: key },
      fix: optionHint(key, known),
    }
  })
}
