import type { Node } from '../ir/index.ts'
import { nodeLabel } from '../ops/infer.ts'
import { hasOpenAttributes } from './node-attributes.ts'
import type { Pass } from './pass.ts'
import { RuleContext } from './rule-context.ts'

/** Why a rule that recognised its pattern leaves it alone. */
export class Decline {
  readonly reason: string

  constructor(reason: string) {
    this.reason = reason
  }
}

export const decline = (reason: string): Decline => new Decline(reason)

/**
 * A local rewrite. `match` only looks: it returns what the rewrite needs, a reason to decline where the pattern is there
 * but rewriting would be wrong, or undefined where the pattern is absent. `rewrite` only edits, and cannot fail.
 */
export interface RuleInit<C> {
  readonly name: string
  /** One line for `--help` and docs. */
  readonly summary: string
  /** The operator types (`domain::Type` outside ai.onnx) or the test that a node must pass for `match` to see it. */
  readonly anchor: readonly string[] | ((node: Node, cx: RuleContext) => boolean)
  match(node: Node, cx: RuleContext): C | Decline | undefined
  /** Edits the graph and says in a few words what changed. */
  rewrite(captures: C, cx: RuleContext): string
}

export type Outcome = { readonly declined: string } | { readonly fired: string }

/** A rule with its capture type sealed inside, so that rules of all kinds fit in one list. */
export interface Rule {
  readonly name: string
  readonly summary: string
  /** Matches at `node` and, if that succeeds, rewrites; undefined where the pattern is absent. */
  apply(node: Node, cx: RuleContext): Outcome | undefined
}

export function rule<C>(init: RuleInit<C>): Rule {
  const { name, summary, anchor } = init
  const types = typeof anchor === 'function' ? undefined : new Set(anchor)
  const anchored = (node: Node, cx: RuleContext): boolean =>
    types ? types.has(node.qualifiedType) : (anchor as (n: Node, c: RuleContext) => boolean)(node, cx)
  return {
    name,
    summary,
    apply(node, cx) {
      if (!anchored(node, cx) || hasOpenAttributes(node)) return undefined
      const match = init.match(node, cx)
      if (match === undefined) return undefined
      return match instanceof Decline ? { declined: match.reason } : { fired: init.rewrite(match, cx) }
    },
  }
}

/**
 * The pass that applies one rule at every node, in topological order, once: in the main graph, in every nested graph and
 * in every function body. Nodes that a rewrite inserts behind the current one are visited too.
 */
export function rulePass(r: Rule): Pass {
  return {
    name: r.name,
    summary: r.summary,
    run(model, pass) {
      const cx = new RuleContext(model, pass.ops)
      let modified = false
      for (const graph of cx.graphs) {
        for (const node of graph.nodes) {
          const label = nodeLabel(node)
          const outcome = guarded(r, node, cx)
          if (!outcome) continue
          const fired = 'fired' in outcome
          modified ||= fired
          const text = fired ? outcome.fired : outcome.declined
          pass.trace({ pass: r.name, kind: fired ? 'fired' : 'declined', node: label, text })
        }
      }
      return { modified }
    },
  }
}

/** Remembers at which node a rule was when it threw, for the runner's message. */
export class RuleFailure extends Error {
  readonly node: string

  constructor(node: string, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause })
    this.node = node
  }
}

function guarded(r: Rule, node: Node, cx: RuleContext): Outcome | undefined {
  try {
    return r.apply(node, cx)
  } catch (cause) {
    throw new RuleFailure(nodeLabel(node), cause)
  }
}
