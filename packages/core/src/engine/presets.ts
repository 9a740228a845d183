import type { z } from 'zod'
import type { Shape } from '../ir/index.ts'
import { problem } from '../util/index.ts'
import { formatType, type ModelInput } from './inputs.ts'
import { type Preprocess, preprocessSchema } from './preprocess.ts'

interface Preset {
  readonly summary: string
  readonly values: Partial<Preprocess>
  /** Short side before the centre crop, for a crop of 224. Without it images are resized to the input's size. */
  readonly shortSide?: number
}

/** Named preprocessing of well-known training recipes. */
export const PRESETS = {
  imagenet: {
    summary: 'short side 256, centre crop 224, RGB, /255, ImageNet mean and std (torchvision)',
    values: { scale: 1 / 255, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
    shortSide: 256,
  },
  'imagenet-caffe': {
    summary: 'short side 256, centre crop 224, BGR 0..255 minus (104, 117, 123)',
    values: { mean: [104, 117, 123], channelOrder: 'bgr' },
    shortSide: 256,
  },
  cifar10: {
    summary: '/255, mean (.4914, .4822, .4465), std (.2023, .1994, .2010)',
    values: { scale: 1 / 255, mean: [0.4914, 0.4822, 0.4465], std: [0.2023, 0.1994, 0.201] },
  },
  unit: { summary: 'pixels / 255, in 0..1', values: { scale: 1 / 255 } },
  raw: { summary: 'pixels as they are, 0..255', values: {} },
} as const satisfies Record<string, Preset>

export type PresetName = keyof typeof PRESETS

/** What a user writes: a preset, and anything that differs from it. */
export interface PreprocessOptions extends Partial<z.input<typeof preprocessSchema>> {
  readonly preset?: PresetName
}

/**
 * Fills in everything that the preset and the model's input say; explicit options win.
 * @throws FewbitError DATA_PRESET for an unknown preset, DATA_OPTION for invalid values, DATA_LAYOUT if the input is no image.
 */
export function resolvePreprocess(
  options: PreprocessOptions,
  input: Pick<ModelInput, 'name' | 'shape' | 'dtype'>,
): Preprocess {
  const { preset: name = 'raw', ...explicit } = options
  const preset: Preset | undefined = Object.hasOwn(PRESETS, name) ? PRESETS[name] : undefined
  if (!preset) throw unknownPreset(name)
  const image = imageShape(input, explicit.layout)
  const merged = { ...geometry(preset, image), ...channels(image), ...preset.values, ...explicit, layout: image.layout }
  if (image.channels === 1) merged.channelOrder = 'gray'
  const parsed = preprocessSchema.safeParse(dropUndefined(merged))
  if (!parsed.success) throw invalidOption(parsed.error)
  return parsed.data
}

/**
 * Least and greatest number that pictures of 0..255 become. Channels that are not normalized alike share the widest range.
 * @returns nothing where the options say nothing of it.
 */
export function normalizedRange({ preset, ...explicit }: PreprocessOptions): readonly [number, number] | undefined {
  const known: Partial<Preprocess> = preset ? PRESETS[preset].values : {}
  const { scale = 1, mean = [0], std = [1] } = { ...known, ...dropUndefined(explicit) } as Partial<Preprocess>
  const says = ['scale', 'mean', 'std'].some((name) => Object.hasOwn(explicit, name))
  if (!preset && !says) return undefined
  const at = (pixel: number) =>
    Array.from({ length: Math.max(mean.length, std.length) }, (_, c) => {
      return (pixel * scale - (mean[c] ?? mean[0] ?? 0)) / (std[c] ?? std[0] ?? 1)
    })
  return [Math.min(...at(0)), Math.max(...at(255))]
}

const dropUndefined = (o: object): object => Object.fromEntries(Object.entries(o).filter(([, v]) => v !== undefined))

const channels = (image: ImageShape) => (image.channels === 1 ? { channelOrder: 'gray' as const } : {})

interface ImageShape {
  readonly layout: Preprocess['layout']
  readonly channels: number
  readonly height: number | undefined
  readonly width: number | undefined
}

/** Reads an image input's axes: the channel axis is the one of size 1 or 3, and NCHW where both or neither tell. */
export function imageShape(
  input: Pick<ModelInput, 'name' | 'shape' | 'dtype'>,
  layout?: Preprocess['layout'],
): ImageShape {
  const shape = input.shape
  if (shape?.length !== 4) throw notAnImage(input)
  const isChannels = (i: number): boolean => shape[i] === 1 || shape[i] === 3
  const chosen = layout ?? (isChannels(3) && !isChannels(1) ? 'nhwc' : 'nchw')
  const [c, h, w] = chosen === 'nchw' ? [1, 2, 3] : [3, 1, 2]
  const channelCount = known(shape, c) ?? 3
  if (channelCount !== 1 && channelCount !== 3) throw notAnImage(input)
  return { layout: chosen, channels: channelCount, height: known(shape, h), width: known(shape, w) }
}

function known(shape: Shape, axis: number | undefined): number | undefined {
  const dim = axis === undefined ? null : shape[axis]
  return typeof dim === 'number' ? dim : undefined
}

/** ImageNet recipes keep the ratio 256 : 224 at other sizes, and their own size where the input's is open. */
function geometry(preset: Preset, { height, width }: ImageShape): Partial<Preprocess> {
  if (preset.shortSide !== undefined) {
    const crop = { height: height ?? 224, width: width ?? 224 }
    const short = Math.max(crop.height, crop.width)
    return { resize: { shortSide: Math.ceil((short * preset.shortSide) / 224) }, crop }
  }
  return height !== undefined && width !== undefined ? { resize: { height, width } } : {}
}

function unknownPreset(name: string): Error {
  return problem('DATA_PRESET', `there is no preset "${name}"`, {
    at: { option: 'preset' },
    fix: `use one of ${Object.keys(PRESETS).join(', ')}`,
  })
}

function invalidOption(error: z.ZodError): Error {
  return problem('DATA_OPTION', 'the preprocessing options are not valid', {
    notes: error.issues.map((issue) => `${issue.path.join('.') || 'options'}: ${issue.message}`),
  })
}

function notAnImage(input: Pick<ModelInput, 'name' | 'shape' | 'dtype'>): Error {
  return problem(
    'DATA_LAYOUT',
    `input "${input.name}" ${formatType(input.dtype, input.shape)} does not look like an image`,
    {
      at: { value: input.name },
      fix: 'images need an input N×C×H×W or N×H×W×C with 1 or 3 channels; give other data as .npz or .npy',
    },
  )
}
