import { attribute, type GraphBuilder, Tensor, type Value } from '../ir/index.ts'
import type { QuantizedMultiplier, ShiftTies } from '../util/index.ts'

const INT64 = { to: attribute.int(7) }
const FLOAT = { to: attribute.int(1) }

/** A multiplier of one channel, or of all. */
export interface ChannelMultiplier extends QuantizedMultiplier {
  readonly ties: ShiftTies
}

/** Writes fixed-point arithmetic as nodes on int64, where products of 32 bits by 31 are exact. */
export class FixedPoint {
  readonly #b: GraphBuilder
  readonly #dims: readonly number[]

  /** @param dims of constants that hold one number for each channel; empty where there is one multiplier. */
  constructor(b: GraphBuilder, dims: readonly number[] = []) {
    this.#b = b
    this.#dims = dims
  }

  whole(x: Value): Value {
    return this.#b.op('Cast', [x], INT64)
  }

  float(x: Value): Value {
    return this.#b.op('Cast', [x], FLOAT)
  }

  number(value: number): Value {
    return this.#b.constant('whole', Tensor.fromNumbers('int64', [], [value]))
  }

  /** x / 2^exponent, halves up. @param exponent at least 1. */
  shiftedRight(x: Value, exponent: number): Value {
    const raised = this.#b.op('Add', [x, this.number(2 ** (exponent - 1))])
    return this.#cutDown(raised, this.number(2 ** exponent))
  }

  /** What `multiplyByQuantizedMultiplier` computes, of an int64 value. */
  multiply(x: Value, multipliers: readonly ChannelMultiplier[]): Value {
    const b = this.#b
    const each = (value: (m: ChannelMultiplier) => number): Value =>
      b.constant('channels', Tensor.fromNumbers('int64', this.#dims, multipliers.map(value)))
    const shifted = b.op('Mul', [x, each(({ shift }) => 2 ** Math.max(shift, 0))])
    const product = b.op('Mul', [shifted, each(({ multiplier }) => multiplier)])
    // Halves of the first rounding go up: of negative products, toward zero.
    const high = this.shiftedRight(product, 31)
    const half = ({ shift }: ChannelMultiplier): number => (shift < 0 ? 2 ** (-shift - 1) : 0)
    // One less takes halves of negative numbers down, and with them away from zero.
    const below = each((m) => half(m) - (m.ties === 'away' && m.shift < 0 ? 1 : 0))
    const isNegative = b.op('Less', [high, this.number(0)])
    const raised = b.op('Add', [high, b.op('Where', [isNegative, below, each(half)])])
    return this.#cutDown(
      raised,
      each(({ shift }) => 2 ** Math.max(-shift, 0)),
    )
  }

  /** Division cuts off toward zero; less the remainder, which has the divisor's sign, it is a shift. */
  #cutDown(x: Value, divisor: Value): Value {
    return this.#b.op('Div', [this.#b.op('Sub', [x, this.#b.op('Mod', [x, divisor])]), divisor])
  }
}
