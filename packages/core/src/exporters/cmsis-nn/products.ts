import { must, quantizeMultiplier } from '../../util/index.ts'
import { array, dims, int8Data, int32Data, struct, tile } from './c-text.ts'
import { clamp, type Emit, type Layer, padding, scaleOf, stride, zeroOf } from './layer.ts'

/** scale(input) · scale(weight) / scale(result) of each channel. */
function requantization(layer: Layer, channels: number): readonly string[] {
  const [x, w, y] = [layer.input(), layer.input(1), layer.output()]
  const scales = must(w.quantization, 'quantization').scale
  const factors = Array.from({ length: channels }, (_, c) =>
    quantizeMultiplier((scaleOf(x) * (scales[scales.length === 1 ? 0 : c] as number)) / scaleOf(y)),
  )
  return [
    array(
      'int32_t',
      layer.name('multiplier'),
      factors.map((f) => f.multiplier),
    ),
    array(
      'int32_t',
      layer.name('shift'),
      factors.map((f) => f.shift),
    ),
  ]
}

const quantParams = (layer: Layer): string =>
  struct('cmsis_nn_per_channel_quant_params', layer.name('quant'), {
    multiplier: layer.name('multiplier'),
    shift: layer.name('shift'),
  })

function constants(layer: Layer): readonly string[] {
  return [
    array('const int8_t', layer.name('weights'), int8Data(layer.input(1))),
    array('const int32_t', layer.name('bias'), int32Data(layer.input(2))),
  ]
}

function convolution(layer: Layer, type: string, extra: Readonly<Record<string, number>>): readonly string[] {
  const [x, w, y] = [layer.input(), layer.input(1), layer.output()]
  const [, kh = 1, kw = 1] = w.shape
  const dilation = [layer.op.options.dilationH ?? 1, layer.op.options.dilationW ?? 1] as const
  const channels = must(y.shape[3], 'channels')
  return [
    ...constants(layer),
    ...requantization(layer, channels),
    struct(type, layer.name('params'), {
      input_offset: -zeroOf(x),
      output_offset: zeroOf(y),
      ...extra,
      stride: stride(layer),
      padding: padding(layer, [kh, kw], dilation),
      dilation: tile(dilation),
      activation: clamp(layer),
    }),
    quantParams(layer),
    dims(layer.name('input_dims'), x.shape),
    dims(layer.name('filter_dims'), w.shape),
    dims(layer.name('bias_dims'), [channels]),
    dims(layer.name('output_dims'), y.shape),
  ]
}

export const conv: Emit = (layer) => ({
  call: 'arm_convolve_wrapper_s8',
  lines: convolution(layer, 'cmsis_nn_conv_params', {}),
})

export const depthwise: Emit = (layer) => ({
  call: 'arm_depthwise_conv_wrapper_s8',
  lines: convolution(layer, 'cmsis_nn_dw_conv_params', { ch_mult: layer.option('depthMultiplier') }),
})

/** Filter sizes are [depth of the sum, 1, 1, outputs]. */
export const fullyConnected: Emit = (layer) => {
  const [x, w, y] = [layer.input(), layer.input(1), layer.output()]
  const [outputs = 1, depth = 1] = w.shape
  const rows = x.shape.reduce((n, d) => n * d, 1) / depth
  const scales = must(w.quantization, 'quantization').scale.length
  return {
    call: 'arm_fully_connected_wrapper_s8',
    lines: [
      ...constants(layer),
      ...requantization(layer, scales),
      struct('cmsis_nn_fc_params', layer.name('params'), {
        input_offset: -zeroOf(x),
        filter_offset: 0,
        output_offset: zeroOf(y),
        activation: clamp(layer),
      }),
      struct('cmsis_nn_quant_params', layer.name('quant'), {
        multiplier: layer.name('multiplier'),
        shift: layer.name('shift'),
        is_per_channel: scales > 1 ? 1 : 0,
      }),
      dims(layer.name('input_dims'), [rows, 1, 1, depth]),
      dims(layer.name('filter_dims'), [depth, 1, 1, outputs]),
      dims(layer.name('bias_dims'), [outputs]),
      dims(layer.name('output_dims'), [rows, 1, 1, outputs]),
    ],
  }
}
