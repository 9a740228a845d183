import type { TensorType, Value } from '../ir/index.ts'
import type { AttrSchema, InferContext } from './define-op.ts'
import type { GradBuilder } from './grads/builder.ts'

/**
 * The lowest ai.onnx opset in which gradients are written. From here on reductions, Pad and Split take everything as inputs, and
 * scattering can add.
 */
export const GRADIENT_OPSET = 18

/** What a gradient rule may look at and write with. Types of `x`, `y` are inferred; static shapes are known where they can be. */
export interface GradContext<S extends AttrSchema = AttrSchema> extends InferContext<S> {
  readonly g: GradBuilder
  /** Input i. @throws an internal error where it is left out. */
  x(i: number): Value
  /** Output i of the node. @throws an internal error where it is left out. */
  y(i: number): Value
  /** Gradient of the loss by output i, in that output's shape and type; null where the loss does not depend on it. */
  dy(i: number): Value | null
  /** Tensor type of output i. */
  output(i: number): TensorType | undefined
  /** Whether somebody asks for the gradient by input i. */
  wanted(i: number): boolean
  /** Makes the node give output i as well, which it leaves out so far. */
  require(i: number, type: TensorType): Value
  /** @throws FewbitError AUTODIFF_OPERATOR: this form of the operator has no gradient here. */
  unsupported(what: string): never
  /** @throws FewbitError AUTODIFF_SHAPE: the rule needs to know a size that is open. */
  open(what: string): never
}

/** What a rule that lowers an operator may look at and write with. */
export interface LowerContext<S extends AttrSchema = AttrSchema> extends InferContext<S> {
  readonly g: GradBuilder
  /** Input i. @throws an internal error where it is left out. */
  x(i: number): Value
}

/** The gradient by each input, in that input's shape and type; null where it is zero or nobody asks. */
export type Gradients = readonly (Value | null)[]
