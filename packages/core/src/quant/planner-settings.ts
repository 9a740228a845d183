import type { Graph, Node } from '../ir/index.ts'
import type { Diagnostics } from '../util/index.ts'
import { matches, overrideText } from './overrides.ts'
import type { Override, Reason } from './plan.ts'
import type { Formats, PlannerOptions } from './planner-options.ts'
import { spanOf } from './planner-span.ts'
import { defaultScheme, parseScheme, type Scheme, type SchemeRules, schemeRules } from './scheme.ts'
import type { Granularity } from './spec.ts'
import type { Target } from './target.ts'

/** What the user's options and overrides say of one node. */
export interface NodeSettings {
  readonly rules: SchemeRules
  /** Set by an override. */
  readonly observer: string | undefined
  readonly granularity: Granularity['kind'] | undefined
  /** Set if the user keeps the node in float. */
  readonly float: Reason | undefined
  /** True if an override chose the scheme. */
  readonly ownScheme: boolean
  /** True for the first and the last node that sum products, where these have bits of their own. */
  readonly isEdge: boolean
  /** What stands for integers: nothing at the edges. */
  readonly formats: Formats
}

/** Looks settings up and remembers which overrides were of use. */
export class Settings {
  readonly #options: PlannerOptions
  readonly #target: Target
  readonly #rules = new Map<string, SchemeRules>()
  readonly #unused: Set<Override>
  readonly #unseenNodes: Set<string>
  readonly #spans = new Map<Override, ReadonlySet<Node> | undefined>()
  /** Nodes whose bits are not the scheme's. */
  readonly #edges = new Map<Node, number>()
  readonly scheme: string

  constructor(options: PlannerOptions, target: Target, graph: Graph) {
    this.#options = options
    this.#target = target
    this.scheme = parseScheme(options.scheme ?? defaultScheme(target)).name
    this.#unused = new Set(options.overrides)
    this.#unseenNodes = new Set(options.floatNodes)
    for (const o of options.overrides ?? []) this.#spans.set(o, spanOf(o, graph))
  }

  of(node: Node): NodeSettings {
    const own = (this.#options.overrides ?? []).filter(
      (o) => matches(o, node.name, node.qualifiedType) && (this.#spans.get(o)?.has(node) ?? true),
    )
    for (const o of own) this.#unused.delete(o)
    this.#unseenNodes.delete(node.name)
    const withScheme = own.findLast((o) => o.scheme !== undefined)
    const isEdge = !withScheme && this.#edges.has(node)
    return {
      rules: this.#rulesOf(withScheme?.scheme ?? this.scheme, withScheme ? undefined : this.#edges.get(node)),
      observer: own.findLast((o) => o.observer !== undefined)?.observer,
      granularity: own.findLast((o) => o.granularity !== undefined)?.granularity,
      float: this.#floatReason(node, withScheme),
      ownScheme: withScheme !== undefined,
      isEdge,
      formats: isEdge ? {} : (this.#options.formats ?? {}),
    }
  }

  /** Reports exceptions that speak of nobody: most often a misspelt name. */
  reportUnused(diagnostics: Diagnostics): void {
    for (const o of this.#unused) {
      diagnostics.warn('OVERRIDE_UNMATCHED', `the override ${overrideText(o)} matches no node`, {
        at: { option: 'override' },
        fix: 'fewbit inspect lists the names and operators of a model',
      })
    }
    for (const name of this.#unseenNodes) {
      diagnostics.warn('OVERRIDE_UNMATCHED', `no node is called "${name}", so it cannot be kept in float`, {
        at: { node: name, option: 'floatNodes' },
      })
    }
  }

  /** Gives a node bits of its own, unless an override speaks of it. */
  setEdge(node: Node, bits: number): void {
    this.#edges.set(node, bits)
  }

  #rulesOf(name: string, bits?: number): SchemeRules {
    const key = `${name}@${bits ?? ''}`
    let rules = this.#rules.get(key)
    if (!rules) {
      const { activations, perTensor } = this.#options
      const scheme = parseScheme(name)
      rules = schemeRules(bits === undefined ? scheme : widened(scheme, bits), this.#target, {
        ...(activations ? { activations } : {}),
        ...(perTensor ? { weightGranularity: 'tensor' as const } : {}),
      })
      this.#rules.set(key, rules)
    }
    return rules
  }

  #floatReason(node: Node, override: Override | undefined): Reason | undefined {
    const { floatOps = [], floatNodes = [], scheme } = this.#options
    if (override?.scheme === 'float')
      return reason('FLOAT_OVERRIDE', `the override ${overrideText(override)} keeps it in float`)
    if (override) return undefined
    if (floatNodes.includes(node.name)) return reason('FLOAT_NODE', 'it is on the list of nodes to keep in float')
    if (floatOps.includes(node.qualifiedType)) {
      return reason('FLOAT_OP', `${node.qualifiedType} is on the list of operators to keep in float`)
    }
    return scheme === 'float' ? reason('FLOAT_SCHEME', 'the scheme is float') : undefined
  }
}

const reason = (code: string, text: string): Reason => ({ code, text })

/** The roles that a scheme quantizes, at these bits. */
function widened(scheme: Scheme, bits: number): Scheme {
  const { weights, activations } = scheme
  return { ...scheme, ...(weights && { weights: { ...weights, bits } }), ...(activations && { activations: { bits } }) }
}
