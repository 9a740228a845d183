import { roundedToPowerOfTwo } from '../fake-quantizers/index.ts'
import type { Tensor } from '../ir/index.ts'
import { must } from '../util/index.ts'
import type { QuantizerRecord, State } from './record.ts'

/** What a quantizer's functions are given: its inputs by their own names, as its operator reads them. */
export const stateOfInputs = (inputs: QuantizerRecord['inputs'], state: State): Record<string, Tensor> =>
  Object.fromEntries(
    inputs.map(({ name, initializer, powerOfTwo }) => {
      const parameter = must(state.get(initializer), `parameter "${initializer}"`)
      return [name, powerOfTwo === undefined ? parameter : roundedToPowerOfTwo(parameter, powerOfTwo)]
    }),
  )
