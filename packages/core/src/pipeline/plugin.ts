import { z } from 'zod'
import { ALGORITHM_STAGES, ALGORITHMS, type Algorithm } from '../algorithms/index.ts'
import { parseBody } from '../engine/index.ts'
import { EXPORTERS, type Exporter } from '../exporters/index.ts'
import {
  type AnyFakeQuantizer,
  FAKE_QUANTIZERS,
  type FakeQuantizers,
  QAT_DOMAIN,
  qatOps,
} from '../fake-quantizers/index.ts'
import { OBSERVERS, type Observer } from '../observers/index.ts'
import { defaultOps, type OpDef, type OpRegistry } from '../ops/index.ts'
import type { Target } from '../quant/index.ts'
import { TARGETS } from '../targets/index.ts'
import { Diagnostics } from '../util/index.ts'

/** What somebody adds to fewbit without changing it. Plain objects, of the same kinds as the built-in ones. */
export interface Plugin {
  readonly name: string
  /** Operators of a domain of its own, made with `defineOp`. */
  readonly ops?: readonly OpDef[]
  readonly observers?: readonly Observer<object>[]
  readonly targets?: readonly Target[]
  readonly exporters?: readonly Exporter[]
  readonly algorithms?: readonly Algorithm[]
  /** Their operators need not stand in `ops` as well. */
  readonly fakeQuantizers?: readonly AnyFakeQuantizer[]
}

/** Everything that a run can ask for by name. */
export interface Registries {
  readonly ops: OpRegistry
  readonly observers: Readonly<Record<string, Observer<object>>>
  readonly targets: Readonly<Record<string, Target>>
  readonly exporters: Readonly<Record<string, Exporter>>
  readonly algorithms: Readonly<Record<string, Algorithm>>
  readonly fakeQuantizers: FakeQuantizers
}

const text = z.string().min(1)
const method = z.custom<unknown>((value) => typeof value === 'function', 'expected a function')
const record = z.record(z.string(), z.unknown())

const operator = z.looseObject({
  type: text,
  domain: text,
  since: z.array(z.int().positive()).min(1),
  inputs: z.array(text),
  outputs: z.array(text),
  attrs: record,
  quant: record,
  body: text.optional(),
  evaluate: method.optional(),
})

/** Enough of each kind that what is missing is named here, and not in the middle of a run. */
const pluginSchema = z.strictObject({
  name: text,
  ops: z.array(operator).optional(),
  observers: z
    .array(z.looseObject({ name: text, summary: text, defaults: record, wants: z.array(text), range: method }))
    .optional(),
  targets: z
    .array(
      z.looseObject({
        name: text,
        title: text,
        activations: record,
        weights: record,
        bits: z.looseObject({ weights: z.array(z.number()), activations: z.array(z.number()) }),
        kernels: z.looseObject({ weights: z.array(text), activations: z.array(text) }),
        ops: record,
        fuse: z.array(record),
        minOpset: z.int(),
        exporters: z.array(text).min(1),
      }),
    )
    .optional(),
  exporters: z.array(z.looseObject({ name: text, summary: text, check: method, emit: method })).optional(),
  algorithms: z
    .array(
      z.looseObject({
        name: text,
        title: text,
        summary: text,
        source: text,
        stage: z.enum(ALGORITHM_STAGES),
        options: record,
        needsData: z.union([z.boolean(), z.looseObject({ when: record })]),
        apply: method,
      }),
    )
    .optional(),
  fakeQuantizers: z
    .array(
      z.looseObject({
        name: text,
        title: text,
        summary: text,
        source: text,
        roles: z.array(z.enum(['weight', 'activation'])).min(1),
        options: record,
        ops: z.array(operator.extend({ domain: z.literal(QAT_DOMAIN) })).min(1),
        init: method,
        toParams: method,
      }),
    )
    .optional(),
})

/**
 * The built-in registries with what plugins add, for one run.
 * @throws FewbitError PLUGIN_INVALID for a plugin that is not of the right shape; PLUGIN_CONFLICT for a name that is taken;
 * CUSTOM_OP_BODY for a function body that cannot be read.
 */
export function registriesWith(plugins: readonly Plugin[] = [], ops: OpRegistry = defaultOps): Registries {
  const found = new Diagnostics()
  for (const [i, plugin] of plugins.entries()) checkShape(plugin, i, found)
  found.throwIfErrors()
  const merge = <T>(
    kind: string,
    known: Readonly<Record<string, T>>,
    name: (item: T) => string,
    of: (p: Plugin) => readonly T[] = () => [],
  ) => merged(kind, known, plugins, name, of, found)
  const nameOf = ({ name }: { readonly name: string }) => name
  const registries = {
    ops: extendOps(qatOps(ops), plugins, found),
    observers: merge<Observer<object>>('observer', OBSERVERS, nameOf, (p) => p.observers ?? []),
    targets: merge<Target>('target', TARGETS, nameOf, (p) => p.targets ?? []),
    exporters: merge<Exporter>('exporter', EXPORTERS, nameOf, (p) => p.exporters ?? []),
    algorithms: merge<Algorithm>('algorithm', ALGORITHMS, nameOf, (p) => p.algorithms ?? []),
    fakeQuantizers: merge<AnyFakeQuantizer>('fake-quantizer', FAKE_QUANTIZERS, nameOf, (p) => p.fakeQuantizers ?? []),
  }
  found.throwIfErrors()
  return registries
}

function checkShape(plugin: unknown, index: number, found: Diagnostics): void {
  const parsed = pluginSchema.safeParse(plugin)
  if (parsed.success) return
  const name = (plugin as { name?: unknown } | null)?.name
  const label = typeof name === 'string' && name ? `"${name}"` : `number ${index + 1}`
  for (const { path, message } of parsed.error.issues) {
    found.error('PLUGIN_INVALID', `plugin ${label}: ${path.join('.') || 'the plugin'}: ${message}`, {
      at: { option: 'extensions' },
      fix: 'docs/extensions.md shows what each kind of extension has to hold',
    })
  }
}

function merged<T>(
  kind: string,
  known: Readonly<Record<string, T>>,
  plugins: readonly Plugin[],
  name: (item: T) => string,
  of: (plugin: Plugin) => readonly T[],
  found: Diagnostics,
): Readonly<Record<string, T>> {
  const all: Record<string, T> = { ...known }
  const owner = new Map<string, string>()
  for (const plugin of plugins) {
    for (const item of of(plugin)) {
      const key = name(item)
      if (Object.hasOwn(all, key)) conflict(kind, key, plugin, owner.get(key), found)
      all[key] = item
      owner.set(key, plugin.name)
    }
  }
  return all
}

function extendOps(ops: OpRegistry, plugins: readonly Plugin[], found: Diagnostics): OpRegistry {
  const key = ({ domain, type }: OpDef) => `${domain}::${type}`
  const known = Object.fromEntries([...ops].map((def) => [key(def), def]))
  const all = merged('operator', known, plugins, key, operatorsOf, found)
  const added = Object.entries(all).flatMap(([name, def]) => (known[name] === def ? [] : [def]))
  for (const def of added) if (def.body !== undefined) parseBody(def)
  return added.length > 0 ? ops.extend(added) : ops
}

/** Those that fake-quantizers share with each other, or with fewbit's, count once. */
function operatorsOf({ ops = [], fakeQuantizers = [] }: Plugin): OpDef[] {
  const own = new Set([...ops, ...fakeQuantizers.flatMap((quantizer) => quantizer.ops)])
  return [...own].filter((def) => !BUILT_IN.has(def))
}

const BUILT_IN = new Set(Object.values(FAKE_QUANTIZERS).flatMap((quantizer): readonly OpDef[] => quantizer.ops))

function conflict(kind: string, name: string, plugin: Plugin, owner: string | undefined, found: Diagnostics): void {
  const holder = owner === undefined ? 'fewbit' : `plugin "${owner}"`
  found.error('PLUGIN_CONFLICT', `plugin "${plugin.name}" adds the ${kind} "${name}", which ${holder} has already`, {
    at: { option: 'extensions' },
    fix: 'give it another name',
  })
}
