import { Tensor } from '../ir/index.ts'
import type { Sample } from './dataset.ts'
import type { Feeds } from './engine.ts'
import type { ModelInput } from './inputs.ts'
import { imageShape } from './presets.ts'

/** The samples with their colours reversed, or undefined if the model does not take one float32 colour image. */
export function swapChannels(inputs: readonly ModelInput[], samples: readonly Sample[]): Feeds[] | undefined {
  const [input, second] = inputs
  if (!input || second || input.dtype !== 'float32' || input.shape?.length !== 4) return undefined
  const axis = colourAxis(input)
  if (axis === undefined) return undefined
  return samples.map(({ feeds }) => {
    const tensor = feeds[input.name]
    return tensor ? { [input.name]: reverse(tensor, axis) } : feeds
  })
}

function colourAxis(input: ModelInput): number | undefined {
  const axis = [1, 3].find((a) => input.shape?.[a] === 3)
  return axis === undefined ? undefined : imageShape(input).layout === 'nchw' ? 1 : 3
}

function reverse(tensor: Tensor, axis: number): Tensor {
  const values = tensor.numbers()
  const inner = tensor.dims.slice(axis + 1).reduce((n, d) => n * d, 1)
  const out = new Float32Array(values.length)
  for (let i = 0; i < values.length; i++) {
    const channel = Math.floor(i / inner) % 3
    out[i + (2 - 2 * channel) * inner] = values[i] as number
  }
  return Tensor.float32(tensor.dims, out)
}
