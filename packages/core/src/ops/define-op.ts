import type { Attribute, AttributeKind, Dim, Node, Shape, Tensor, TensorType, Value, ValueType } from '../ir/index.ts'
import type { GradContext, Gradients, LowerContext } from './gradient.ts'
import type { InputRole, LearnedRole, QuantTraits } from './traits.ts'

/** One attribute's schema. `required` ones have no default; `optional` ones may be absent without one. */
export interface AttrSpec<T> {
  readonly kind: AttributeKind
  readonly required: boolean
  readonly default: T | undefined
  /** First version that has the attribute; absent means all. */
  readonly since?: number
  /** First version that no longer has the attribute; absent means none. */
  readonly until?: number
  /** From the file's exact form to the form that code wants; int64 saturates at ±(2^53 − 1). */
  readonly read: (name: string, attribute: Attribute) => T
}

export type AttrSchema = Readonly<Record<string, AttrSpec<any>>>

/** `attrs.group` is `number`, `attrs.pads` is `readonly number[]`, without casts: inferred from the literal schema. */
export type AttrValues<S extends AttrSchema> = {
  readonly [K in keyof S]: S[K] extends AttrSpec<infer T> ? T : never
}

/** What a shape rule and a value rule may look at. */
export interface InferContext<S extends AttrSchema = AttrSchema> {
  readonly node: Node
  /** The schema version in force: the largest `since` that is ≤ the model's opset for the domain. */
  readonly version: number
  readonly attrs: AttrValues<S>
  /** Tensor type of input i, or undefined when omitted, unknown or not a tensor. */
  input(i: number): TensorType | undefined
  /** Any type, for sequences and optionals. */
  inputType(i: number): ValueType | undefined
  readonly inputCount: number
  readonly outputCount: number
  /** Elements of input i if it is a known constant. */
  constant(i: number): Tensor | undefined
  /**
   * Elements of a small numeric input (rank 0 or 1) where each may be known, symbolic or unknown: shape arithmetic.
   * Floating-point inputs too, because exporters compute sizes as `Floor(Cast(size) * scale)`.
   */
  elements(i: number): readonly Dim[] | undefined
  /** The same for any rank, row by row: exporters build padding lists as matrices. */
  flatElements(i: number): readonly Dim[] | undefined
  /** Infers the nested graphs of an attribute with the given input types; returns their output types. */
  subgraph(name: string, inputs: readonly (ValueType | undefined)[]): readonly (ValueType | undefined)[]
  /** @throws FewbitError SHAPE_MISMATCH naming the node. For contradictions only, never for the unknown. */
  mismatch(message: string): never
}

/** The parts of a schema that a version changes. */
export interface OpSignature<S extends AttrSchema = AttrSchema> {
  /** `X` required, `B?` optional, `inputs...` variadic (last). */
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attrs: S
}

/**
 * A function property that may be called with a wider context than it declares. Definitions with different attributes
 * share one registry; what keeps this sound is that contexts are only built from the definition they are given to.
 */
type Facet<A extends readonly unknown[], R> = { call(...args: A): R }['call'] | undefined

/** Everything the project knows about one operator type. */
export interface OpDef<S extends AttrSchema = AttrSchema> extends OpSignature<S> {
  readonly type: string
  /** '' is ai.onnx. */
  readonly domain: string
  /** Opset versions in which the operator's definition changed, ascending. */
  readonly since: readonly number[]
  /**
   * What was different before a version: `{ 13: { inputs: ['data'], attrs: { axis: int(1) } } }` holds for versions < 13.
   * Attributes are replaced one by one; those that a version added or dropped say so themselves (`from`, `until`).
   */
  readonly before: Readonly<Record<number, Partial<OpSignature>>>
  /** First version in which the operator no longer exists (Upsample: 10). */
  readonly deprecated: number | undefined
  /** Output types in order; undefined where nothing can be said. */
  readonly infer: Facet<[cx: InferContext<S>], readonly (ValueType | undefined)[]>
  /** Elements of output 0, row by row, when it is a small tensor computed by shape arithmetic. */
  readonly elements: Facet<[cx: InferContext<S>], readonly Dim[] | undefined>
  /** Output 0 where the node itself holds it: Constant. */
  readonly constant: Facet<[cx: InferContext<S>], Tensor | undefined>
  /** Multiply-accumulates of the node, from its types; undefined while shapes are open. */
  readonly macs: Facet<[cx: InferContext<S>, outputs: readonly (Shape | undefined)[]], number | undefined>
  /**
   * Writes the gradient by each input as graph, from the gradients of the outputs. Called with the operator in a version of
   * `GRADIENT_OPSET` or later. Absent: the operator cannot be differentiated.
   */
  readonly grad: Facet<[cx: GradContext<NoInfer<S>>], Gradients>
  readonly quant: QuantTraits
  /**
   * What a constant vector (or a table, for Gather) at input i is when a network trains, where its role in `quant` does not say it: the
   * scale and shift of a normalization, a slope, an addend of each channel.
   */
  readonly learned: readonly (LearnedRole | null)[]
  /**
   * The operator as an ONNX function in the text form, for engines that do not know it: `function mine::Op <…> (x) => (y) { … }`.
   * Without an import of ai.onnx it takes the model's, and has to mean the same in every version.
   */
  readonly body: string | undefined
  /**
   * Writes output 0 by operators that engines run faster, the same but for signs of zeros, where inputs and attributes allow it; undefined elsewhere.
   * For graphs that run and are not kept.
   */
  readonly lower: Facet<[cx: LowerContext<NoInfer<S>>], Value | undefined>
  /** The operator in JavaScript, for engines that do not know it: all outputs from the inputs. Inputs left out are undefined. */
  readonly evaluate: Facet<
    [inputs: readonly (Tensor | undefined)[], attrs: AttrValues<S>],
    readonly Tensor[] | Promise<readonly Tensor[]>
  >
  /** One element of output 0 from one element of input 0 in float64, for operators that are a function of it. */
  readonly scalar: Facet<[attrs: AttrValues<S>], (x: number) => number>
  /** Axis of output channels in the weight input, e.g. 0 for Conv, 1 for ConvTranspose; may depend on attributes. */
  readonly weightChannelAxis: Facet<[attrs: AttrValues<S>, weightRank: number], number>
}

/** What an operator file writes: everything optional but type, since and signature. */
export type OpInit<S extends AttrSchema> = Pick<OpDef<S>, 'type' | 'since' | 'inputs' | 'outputs'> &
  Partial<Omit<OpDef<S>, 'type' | 'since' | 'inputs' | 'outputs' | 'attrs'>> & { readonly attrs?: S }

/** The role of input `i`. The last one given repeats for variadic inputs; others without are parameters. */
export function inputRole(def: OpDef, i: number): InputRole {
  const roles = def.quant.roles ?? []
  return roles[i] ?? (def.inputs.at(-1)?.endsWith('...') ? roles.at(-1) : undefined) ?? 'parameter'
}

/** What input `i` is when a network trains, or null where a constant there stays as it is. */
export function learnedRole(def: OpDef, i: number): LearnedRole | null {
  const role = inputRole(def, i)
  return role === 'weight' || role === 'bias' ? role : (def.learned[i] ?? null)
}

/** Fills in defaults. The identity of the returned object is the operator's identity in the registry. */
export function defineOp<const S extends AttrSchema>(init: OpInit<S>): OpDef<S> {
  return {
    domain: '',
    attrs: {} as S,
    before: {},
    deprecated: undefined,
    infer: undefined,
    elements: undefined,
    constant: undefined,
    macs: undefined,
    grad: undefined,
    quant: {},
    learned: [],
    body: undefined,
    lower: undefined,
    evaluate: undefined,
    scalar: undefined,
    weightChannelAxis: undefined,
    ...init,
  }
}
