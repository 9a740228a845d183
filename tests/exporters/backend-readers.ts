import { type Artifact, type ExportContext, type ExporterName, readQuantization } from '@fewbit/core/exporters'
import { type Model, type Node, valuesByName } from '@fewbit/core/ir'
import { dataRanges, type QuantParams } from '@fewbit/core/quant'
import { decodeUtf8, must } from '@fewbit/core/util'

/** What a file says of one tensor: scales, and zero points among signed codes (0 where uint8 has 128). */
export interface Said {
  readonly scale: readonly number[]
  readonly zero: readonly number[]
  /** The backend finds it by arithmetic of its own, so that it agrees within rounding only. */
  readonly derived?: true
}

export type Read = (artifacts: readonly Artifact[], cx: ExportContext) => Map<string, Said>

/** The parameters of the plan in the same terms. */
export const saidOf = ({ spec, scale, zeroPoint }: QuantParams): Said => ({
  scale,
  zero: zeroPoint.map((z) => (spec.signed ? z : z - 2 ** (spec.bits - 1))),
})

function bytesOf(artifacts: readonly Artifact[], suffix: string): Uint8Array {
  const found = artifacts.find((a) => a.name.endsWith(suffix))
  if (found?.kind !== 'file') throw new Error(`no ${suffix} among ${artifacts.map((a) => a.name)}`)
  return found.bytes
}

export const textOf = (artifacts: readonly Artifact[], suffix: string): string => decodeUtf8(bytesOf(artifacts, suffix))

/** A file of another tool, in the shape that the tool gives it. */
const jsonOf = <T>(artifacts: readonly Artifact[], suffix: string): T => JSON.parse(textOf(artifacts, suffix)) as T

function modelOf(artifacts: readonly Artifact[]): Model {
  const found = artifacts.find((a) => a.kind === 'model')
  if (found?.kind !== 'model') throw new Error('no model')
  return found.model
}

const zeros = (values: readonly unknown[]): number[] => values.map(() => 0)
const list = <T>(x: T | T[]): T[] => (Array.isArray(x) ? x : [x])
const table = (entries: [string, Said][]): Map<string, Said> => new Map(entries)

/** Weights as a backend quantizes them that looks at nothing but the weights: |w| / 127, per channel or tensor like the plan. */
function symmetricWeights(model: Model, { plan }: ExportContext): [string, Said][] {
  return weightsOf(model, plan.tensors, ({ lo, hi }) => [Math.max(-lo, hi) / 127, 0])
}

/**
 * Tengine's uint8 tool: (max − min) / 255, zero point −min / scale (quant_save_graph.cpp). The tool drops a fraction, so that its
 * zero point is one less where float32 falls short of a whole number; every code but the lowest then moves along.
 */
function affineWeights(model: Model, { plan }: ExportContext): [string, Said][] {
  return weightsOf(model, plan.tensors, ({ lo, hi }) => {
    const scale = (hi - lo) / 255
    return [scale, Math.round(-lo / scale) - 128]
  })
}

function weightsOf(
  model: Model,
  tensors: ExportContext['plan']['tensors'],
  quantizer: (range: { lo: number; hi: number }) => [scale: number, zero: number],
): [string, Said][] {
  const values = valuesByName(model.graph)
  return tensors.flatMap(({ role, value, spec }): [string, Said][] => {
    const data = values.get(value)?.constant
    if (role !== 'weight' || !data) return []
    const each = dataRanges(data.numbers(), data.dims, spec.granularity).map(quantizer)
    return [[value, { scale: each.map(([s]) => s), zero: each.map(([, z]) => z), derived: true }]]
  })
}

const nodesByName = ({ model }: ExportContext): Map<string, Node> =>
  new Map([...model.graph.nodes].map((n) => [n.name, n]))

const inputName = (cx: ExportContext, node: string, i: number): string =>
  nodesByName(cx).get(node)?.inputs[i]?.name ?? ''

const legacy = (
  json: Record<string, { bitwidth: number; scale: number; offset: number; min: number; max: number }[]>,
) =>
  Object.entries(json).map(([name, encodings]): [string, Said] => {
    for (const { scale, offset, bitwidth, min, max } of encodings) {
      if (Math.abs(min - scale * offset) > 1e-6 * scale * 2 ** bitwidth) throw new Error(`min of ${name}`)
      if (Math.abs(max - scale * (offset + 2 ** bitwidth - 1)) > 1e-6 * scale * 2 ** bitwidth)
        throw new Error(`max of ${name}`)
    }
    return [
      name,
      { scale: encodings.map((e) => e.scale), zero: encodings.map((e) => -e.offset - 2 ** (e.bitwidth - 1)) },
    ]
  })

interface Encoding100 {
  name: string
  bw: number
  scale: number[]
  offset: number[]
}

type Nested = number | Nested[]

interface Encoding200 {
  name: string
  output_dtype: string
  y_scale: Nested
  y_zero_point?: Nested
}

/** Activation lines of ncnn and AMCT name a layer; what they say is of its first input. */
const ncnn: Read = (artifacts, cx) => {
  const said = new Map<string, Said>()
  for (const line of textOf(artifacts, '.table').trimEnd().split('\n')) {
    // The reader of ncnn2int8: strtok at spaces, the first token is the key, `_param_` marks weights.
    const [key = '', ...numbers] = line.split(' ').filter((token) => token !== '')
    const scale = numbers.map((text) => 1 / Math.fround(Number(text)))
    const isWeight = key.includes('_param_')
    const name = isWeight ? inputName(cx, key.replace('_param_0', ''), 1) : inputName(cx, key, 0)
    said.set(name, { scale, zero: zeros(scale), derived: true })
  }
  return said
}

const ascend: Read = (artifacts, cx) => {
  const said = new Map<string, Said>()
  const records = textOf(artifacts, '.record.txt')
    .split(/^record \{$/m)
    .slice(1)
  for (const record of records) {
    const numbers = (field: string) =>
      [...record.matchAll(new RegExp(`${field}: (\\S+)`, 'g'))].map(([, x]) => Number(x))
    const node = /key: "(.*)"/.exec(record)?.[1] ?? ''
    said.set(inputName(cx, node, 0), { scale: numbers('scale_d'), zero: numbers('offset_d') })
    const scale = numbers('scale_w')
    if (scale.length > 0) said.set(inputName(cx, node, 1), { scale, zero: numbers('offset_w') })
  }
  return said
}

/** RapidJSON tells doubles from integers by their text, and PPL takes the bits of either for a double. */
function pplDoubles(text: string): void {
  for (const [, field, value] of text.matchAll(/"(scale|zero_point|tensor_min|tensor_max)": (\[[^\]]*\]|[^,\s]+)/g)) {
    for (const number of (value ?? '').replace(/[[\]]/g, '').split(', ')) {
      if (!/[.e]/.test(number)) throw new Error(`${field} ${number} is no double to RapidJSON`)
    }
  }
}

interface PplInfo {
  bit_width: number
  tensor_min: number | number[]
  tensor_max: number | number[]
  zero_point: number | number[]
  scale: number | number[]
  sym: boolean
}

const ppl: Read = (artifacts) => {
  const text = textOf(artifacts, '.quant.json')
  pplDoubles(text)
  const { quant_info } = JSON.parse(text) as { quant_info: Record<string, PplInfo> }
  const entries = Object.entries(quant_info).map(([name, info]): [string, Said] => {
    const max = list(info.tensor_max)
    // OptGraph without USE_QDQ.
    const scale = list(info.tensor_min).map((min, i) => ((max[i] as number) - min) / (2 ** info.bit_width - 1))
    if (info.sym && list(info.tensor_min).some((min, i) => min + (max[i] as number) !== 0))
      throw new Error(`zero of ${name}`)
    const shift = info.sym ? 0 : 2 ** (info.bit_width - 1)
    return [name, { scale, zero: list(info.zero_point).map((z) => z - shift), derived: true }]
  })
  return table(entries)
}

interface MnnTensor {
  name: string
  scales: number[]
  zero_point?: number
}

interface MnnFile {
  algo: [{ quant_params: { layer: Record<'input' | 'weight' | 'output', MnnTensor[] | undefined>[] } }]
}

const mnn: Read = (artifacts) => {
  const { algo } = jsonOf<MnnFile>(artifacts, '.mnn.json')
  const said = new Map<string, Said>()
  for (const { input, weight, output } of algo[0].quant_params.layer) {
    // The converter looks a layer up by output(0) and stops the program where there is none.
    if (!output?.[0]) throw new Error('a layer without output')
    for (const { name, scales, zero_point = 0 } of [...(input ?? []), ...(weight ?? []), ...output]) {
      said.set(name, { scale: scales, zero: scales.map(() => zero_point) })
    }
  }
  return said
}

interface RknnFile {
  configs: Record<string, Record<string, { dominator: string; quant_min: number; bit_width: number }>>
  values: Record<string, { scale: number | number[]; zero_point: number | number[] }>
}

const rknn: Read = (artifacts) => {
  const { configs, values } = jsonOf<RknnFile>(artifacts, '.rknn.json')
  const said = new Map<string, Said>()
  for (const tensors of Object.values(configs)) {
    for (const [name, config] of Object.entries(tensors)) {
      const { scale, zero_point } = must(values[config.dominator], config.dominator)
      const shift = config.quant_min < 0 ? 0 : 2 ** (config.bit_width - 1)
      said.set(name, { scale: list(scale), zero: list(zero_point).map((z) => z - shift) })
    }
  }
  return said
}

const MEGENGINE_MIDDLE: Record<string, number> = { quint8: 128, quint4: 8 }

const megengine: Read = (artifacts) =>
  table(
    Object.entries(
      jsonOf<{ tensors: Record<string, { dtype: string; scale: number; zero_point?: number }> }>(
        artifacts,
        '.dtypes.json',
      ).tensors,
    ).map(([name, { dtype, scale, zero_point = 0 }]) => [
      name,
      { scale: [scale], zero: [zero_point - (MEGENGINE_MIDDLE[dtype] ?? 0)] },
    ]),
  )

const ranges = (json: Record<string, number>): [string, Said][] =>
  Object.entries(json).map(([name, range]) => [name, { scale: [range / 127], zero: [0], derived: true }])

const stpu: Read = (artifacts, cx) =>
  table(
    Object.entries(jsonOf<Record<string, { min?: number; max: number }>>(artifacts, '.stpu-minmax.json')).flatMap(
      ([key, { min, max }]): [string, Said][] => {
        if (min === undefined) return []
        const node = key.endsWith('_weights') ? key.slice(0, -'_weights'.length) : undefined
        return [
          [node === undefined ? key : inputName(cx, node, 1), { scale: [(max - min) / 254], zero: [0], derived: true }],
        ]
      },
    ),
  )

const nxp: Read = (artifacts) => {
  const values = valuesByName(modelOf(artifacts).graph)
  const names = [...values.keys()].filter((name) => name.endsWith('_min')).map((name) => name.slice(0, -4))
  return table(
    names.map((name) => {
      const [min, max] = ['_min', '_max'].map((end) => [...(values.get(`${name}${end}`)?.constant?.numbers() ?? [])])
      const scale = (min ?? []).map((low) => -low / 128)
      if (scale.some((s, i) => max?.[i] !== 127 * s)) throw new Error(`range of ${name}`)
      return [name, { scale, zero: zeros(scale) }]
    }),
  )
}

interface NnieFile {
  nnie: { gfpq_param_dict: Record<string, number[]> }
}

const nnie: Read = (artifacts, cx) => {
  const said = new Map<string, Said>()
  for (const [node, clips] of Object.entries(jsonOf<NnieFile>(artifacts, '.gfpq.json').nnie.gfpq_param_dict)) {
    for (const clip of clips)
      if (Math.abs(16 * Math.log2(clip) - Math.round(16 * Math.log2(clip))) > 1e-5) throw new Error(node)
    // One for each input that is no constant, and for each group of a convolution.
    const data =
      nodesByName(cx)
        .get(node)
        ?.inputs.filter((value) => value && !value.constant) ?? []
    for (const [i, value] of data.entries()) said.set(value?.name ?? '', { scale: clips.slice(i, i + 1), zero: [0] })
  }
  const step = ({ lo, hi }: { lo: number; hi: number }): [number, number] => {
    return [2 ** (Math.round(16 * Math.log2(Math.max(-lo, hi))) / 16), 0]
  }
  return new Map([...said, ...weightsOf(modelOf(artifacts), cx.plan.tensors, step)])
}

type EncodingList = 'activation_encodings' | 'param_encodings'
type LegacyFile = Record<EncodingList, Parameters<typeof legacy>[0]>

interface PplClip {
  step: number | number[]
  zero_point: number | number[]
  min: number | number[]
  bit: number
}

/** How each backend, or its tool, reads what is written for it; written from its source or documents, not from ours. */
export const READERS: Partial<Record<ExporterName, Read>> = {
  'aimet-0.6.1': (artifacts) => {
    const { activation_encodings, param_encodings } = jsonOf<LegacyFile>(artifacts, '.encodings.json')
    return table([...legacy(activation_encodings), ...legacy(param_encodings)])
  },
  'aimet-1.0.0': (artifacts) => {
    const { activation_encodings, param_encodings } = jsonOf<Record<EncodingList, Encoding100[]>>(
      artifacts,
      '.encodings.json',
    )
    const all: Encoding100[] = [...activation_encodings, ...param_encodings]
    return table(
      all.map(({ name, bw, scale, offset }) => [name, { scale, zero: offset.map((o) => -o - 2 ** (bw - 1)) }]),
    )
  },
  'aimet-2.0.0': (artifacts) =>
    table(
      jsonOf<{ encodings: Encoding200[] }>(artifacts, '.encodings.json').encodings.map((e) => {
        const scale = [e.y_scale].flat(8) as number[]
        const zero = e.y_zero_point === undefined ? zeros(scale) : ([e.y_zero_point].flat(8) as number[])
        const width = /^uint(\d+)$/.exec(e.output_dtype)?.[1]
        return [e.name, { scale, zero: zero.map((z) => z - (width ? 2 ** (Number(width) - 1) : 0)) }]
      }),
    ),
  ascend,
  json: (artifacts) => {
    const { plan, params } = readQuantization(bytesOf(artifacts, '.fewbit.json'))
    return table(plan.tensors.map(({ value, group }) => [value, saidOf(params.get(group) as QuantParams)]))
  },
  megengine,
  mnn,
  ncnn,
  nnie,
  nxp,
  ppl,
  'ppl-w8a16': (artifacts) =>
    table(
      Object.entries(jsonOf<{ ppl: Record<string, PplClip> }>(artifacts, '.clip-ranges.json').ppl).map(
        ([name, { step, zero_point, min, bit }]) => {
          const scale = list(step)
          const lowest = list(min).map(
            (low, i) => Math.round(low / (scale[i] as number)) + (list(zero_point)[i] as number),
          )
          const shift = (low: number) => (low < 0 ? 0 : 2 ** (bit - 1))
          return [name, { scale, zero: list(zero_point).map((z, i) => z - shift(lowest[i] as number)) }]
        },
      ),
    ),
  rknn,
  snpe: (artifacts) => {
    const { activation_encodings, param_encodings } = jsonOf<LegacyFile>(artifacts, '.overrides.json')
    return table([...legacy(activation_encodings), ...legacy(param_encodings)])
  },
  stpu,
  tengine: (artifacts, cx) => {
    const lines = textOf(artifacts, '.scale').trimEnd().split('\n')
    const isUnsigned = cx.plan.tensors.some((t) => t.role === 'activation' && !t.spec.signed)
    const shift = isUnsigned ? 128 : 0
    const activations = lines.map((line): [string, Said] => {
      const [name = '', scale, zero] = line.split(' ')
      return [name, { scale: [Number(scale)], zero: [Number(zero) - shift] }]
    })
    const model = modelOf(artifacts)
    return table([...activations, ...(isUnsigned ? affineWeights(model, cx) : symmetricWeights(model, cx))])
  },
  'tensorrt-cache': (artifacts, cx) => {
    const [header = '', ...lines] = textOf(artifacts, '.cache').trimEnd().split('\n')
    if (!/^TRT-\d+-EntropyCalibration2$/.test(header)) throw new Error(header)
    const activations = lines.map((line): [string, Said] => {
      const [, name = '', hex = ''] = /^(.*): ([0-9a-f]{8})$/.exec(line) ?? []
      return [name, { scale: [Buffer.from(hex, 'hex').readFloatBE()], zero: [0] }]
    })
    return table([...symmetricWeights(modelOf(artifacts), cx), ...activations])
  },
  'tensorrt-ranges': (artifacts, cx) => {
    const flat = jsonOf<{ act_quant_info: Record<string, number> }>(artifacts, '.ranges.json').act_quant_info
    const nested = jsonOf<{ tensorrt: { blob_range: unknown } }>(artifacts, '.clip-ranges.json').tensorrt.blob_range
    if (JSON.stringify(flat) !== JSON.stringify(nested)) throw new Error('two files, two ranges')
    return table([...symmetricWeights(modelOf(artifacts), cx), ...ranges(flat)])
  },
  vitis: (artifacts) =>
    table(
      Object.entries(jsonOf<{ vitis: Record<string, { scale: number }> }>(artifacts, '.clip-ranges.json').vitis).map(
        ([name, { scale }]) => {
          // Fix positions are −log2 of the scale.
          return [name, { scale: [2 ** -Math.round(-Math.log2(scale))], zero: [0] }]
        },
      ),
    ),
}
