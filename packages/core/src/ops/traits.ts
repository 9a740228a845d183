/**
 * Structural facts about an operator, each with more than one user. Shared code asks for a trait; it never compares
 * operator names.
 */
export type Trait =
  /** Sums products of input 0 and the weight input: Conv, ConvTranspose, Gemm, MatMul. What int8 is about. */
  | 'accumulates'
  /** Every output element is one of input 0's elements: MaxPool, Reshape, Transpose, Slice. Shares input 0's scale. */
  | 'scale-preserving'
  /** Every output element is a mean of elements of input 0, and so never negative where these are not: AveragePool. */
  | 'averaging'
  /** All data inputs and the output want one scale: Concat. */
  | 'same-scale-inputs'
  /** Elementwise of one input and cheap enough for kernels to absorb into their producer: Relu, Clip, HardSwish. */
  | 'fusable-activation'
  /** Output is never negative. */
  | 'non-negative'
  /** f(k·x) = k·f(x) for k > 0, so that per-channel equalization may pass through. */
  | 'positively-homogeneous'
  /** Works on each channel (axis 1) of input 0 by itself, in the same way: pooling, resampling. */
  | 'channelwise'
  /** Elementwise with numpy broadcasting over all inputs. */
  | 'elementwise'
  /** Output depends on the input's shape only, never on its elements: Shape, Size. */
  | 'shape-source'
  /** Same inputs may give different outputs, or the call has an effect: RandomNormal, Dropout in training. */
  | 'impure'
  /** QuantizeLinear and its relatives: nothing may be folded or moved across it. */
  | 'quantizer'
  /** Output is input 0, unchanged: Identity. */
  | 'identity'
  /** Turns scores into shares of one: Softmax. At the end of a network nothing is left to gain from its codes. */
  | 'normalizing'
  /** Picks among candidates by their scores: TopK, NonMaxSuppression. What leads there is compared, not summed. */
  | 'selecting'

/** How quantization sees one input. */
export type InputRole =
  /** Carries data that may be quantized. */
  | 'activation'
  /** Multiplied and accumulated; quantized as a weight when constant, as an activation when not. */
  | 'weight'
  /** Added to the accumulator. */
  | 'bias'
  /** A constant in units of input 0, which takes its codes: the value that Pad fills with, the bounds of Clip. */
  | 'fill'
  /** Shapes, axes, indices, states: never quantized. */
  | 'parameter'

/** What gradients change: rates and decay of a training run may differ between these. */
export type LearnedRole = 'weight' | 'bias' | 'norm'

/** Everything the planner may ask of an operator. */
export interface QuantTraits {
  /** Role per input position; the last one repeats for variadic inputs; missing means 'parameter'. */
  readonly roles?: readonly InputRole[]
  readonly traits?: readonly Trait[]
  /** The output's range whatever the input: Softmax (0, 1), Sigmoid (0, 1), Tanh (-1, 1). */
  readonly fixedRange?: readonly [number, number]
}
