import { dims, int32Data, struct, tile } from './c-text.ts'
import { clamp, type Emit, type Emitted, type Layer, padding, sameGrid, stride } from './layer.ts'

export const pool =
  (call: string): Emit =>
  (layer) => {
    const kernel = [layer.option('filterH'), layer.option('filterW')] as const
    return pooling(layer, call, kernel, stride(layer), padding(layer, kernel, [1, 1]))
  }

function pooling(layer: Layer, call: string, kernel: readonly [number, number], steps: string, pads: string): Emitted {
  return {
    call,
    lines: [
      struct('cmsis_nn_pool_params', layer.name('params'), { stride: steps, padding: pads, activation: clamp(layer) }),
      dims(layer.name('input_dims'), layer.input().shape),
      dims(layer.name('filter_dims'), [1, ...kernel, 1]),
      dims(layer.name('output_dims'), layer.output().shape),
    ],
  }
}

/** A mean over height and width is one window, if the scale stays. */
export const mean: Emit = (layer) => {
  const [x, axes] = [layer.input(), Array.from(int32Data(layer.input(1)))]
  const [, h = 1, w = 1] = x.shape
  if (x.shape.length !== 4 || axes.join() !== '1,2' || !sameGrid(x, layer.output())) return undefined
  const emitted = pooling(layer, 'arm_avgpool_s8', [h, w], tile([1, 1]), tile([0, 0]))
  const lines = emitted.lines.filter((line) => !line.includes(layer.name('output_dims')))
  return { ...emitted, lines: [...lines, dims(layer.name('output_dims'), [x.shape[0] ?? 1, 1, 1, x.shape[3] ?? 1])] }
}
