import type { Node } from '../ir/index.ts'
import type { Diagnostics } from '../util/index.ts'
import { matches, overrideText } from './overrides.ts'
import type { Override, Reason } from './plan.ts'
import type { PlannerOptions } from './planner-options.ts'
import { parseScheme, type SchemeRules, schemeRules } from './scheme.ts'
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
}

/** Looks settings up and remembers which overrides were of use. */
export class Settings {
  readonly #options: PlannerOptions
  readonly #target: Target
  readonly #rules = new Map<string, SchemeRules>()
  readonly #unused: Set<Override>
  readonly #unseenNodes: Set<string>
  readonly scheme: string

  constructor(options: PlannerOptions, target: Target) {
    this.#options = options
    this.#target = target
    this.scheme = parseScheme(options.scheme ?? 'w8a8').name
    this.#unused = new Set(options.overrides)
    this.#unseenNodes = new Set(options.floatNodes)
  }

  of(node: Node): NodeSettings {
    const own = (this.#options.overrides ?? []).filter((o) => matches(o, node.name, node.qualifiedType))
    for (const o of own) this.#unused.delete(o)
    this.#unseenNodes.delete(node.name)
    const withScheme = own.findLast((o) => o.scheme !== undefined)
    return {
      rules: this.#rulesOf(withScheme?.scheme ?? this.scheme),
      observer: own.findLast((o) => o.observer !== undefined)?.observer,
      granularity: own.findLast((o) => o.granularity !== undefined)?.granularity,
      float: this.#floatReason(node, withScheme),
      ownScheme: withScheme !== undefined,
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

  #rulesOf(scheme: string): SchemeRules {
    let rules = this.#rules.get(scheme)
    if (!rules) {
      const { activations, perTensor } = this.#options
      rules = schemeRules(parseScheme(scheme), this.#target, {
        ...(activations ? { activations } : {}),
        ...(perTensor ? { weightGranularity: 'tensor' as const } : {}),
      })
      this.#rules.set(scheme, rules)
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
