import {
  type DataSource,
  type Dataset,
  INTERPOLATIONS,
  modelInputs,
  PRESETS,
  type PreprocessOptions,
} from '@fewbit/core/engine'
import type { Model } from '@fewbit/core/ir'
import type { Recipe } from '@fewbit/core/pipeline'
import { problem } from '@fewbit/core/util'
import { type DataOptions, dataSource, openDataset } from '@fewbit/engine-node'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { CommandContext } from './command.ts'

/** Values of the flags that say how data become network inputs. */
export interface DataFlags {
  preset?: string
  resize?: string
  crop?: string
  interpolation?: (typeof INTERPOLATIONS)[number]
  mean?: number[]
  std?: number[]
  scale?: number
  layout?: 'nchw' | 'nhwc'
  channelOrder?: 'rgb' | 'bgr' | 'gray'
  seed?: number
  skipUnreadable?: boolean
}

export function positiveInteger(text: string): number {
  const n = Number(text)
  if (!Number.isInteger(n) || n < 1) throw new InvalidArgumentError('It must be a whole number from 1 up.')
  return n
}

export function wholeNumber(text: string): number {
  const n = Number(text)
  if (!Number.isInteger(n) || n < 0) throw new InvalidArgumentError('It must be a whole number from 0 up.')
  return n
}

function number(text: string): number {
  // `1/255` is how everybody writes it.
  const [a, b] = text.split('/').map(Number)
  const n = b === undefined ? a : (a ?? Number.NaN) / b
  if (n === undefined || !Number.isFinite(n))
    throw new InvalidArgumentError('It must be a number, such as 0.5 or 1/255.')
  return n
}

const numbers = (text: string): number[] => text.split(',').map(number)

/** Adds the preprocessing flags. */
export function withDataFlags(command: Command): Command {
  return command
    .addOption(new Option('--preset <name>', 'how images become inputs').choices(Object.keys(PRESETS)))
    .option('--resize <size>', 'short side in pixels, HxW, or none')
    .option('--crop <size>', 'centre crop: side in pixels, or HxW')
    .addOption(new Option('--interpolation <filter>', 'how images are resized').choices([...INTERPOLATIONS]))
    .option('--mean <list>', 'subtracted per channel, after scaling', numbers)
    .option('--std <list>', 'divided by per channel', numbers)
    .option('--scale <number>', 'multiplies pixels first, e.g. 1/255', number)
    .addOption(new Option('--layout <layout>', 'axis order of the input').choices(['nchw', 'nhwc']))
    .addOption(new Option('--channel-order <order>', 'order of colour channels').choices(['rgb', 'bgr', 'gray']))
    .option('--skip-unreadable', 'leave images out that cannot be read, with a warning each')
    .option('--seed <number>', 'seed of every random choice (default 1)', wholeNumber)
}

function size(option: string, text: string): { height: number; width: number } | number {
  const [, h, w] = /^(\d+)(?:x(\d+))?$/.exec(text) ?? []
  if (!h || Number(h) === 0 || w === '0') {
    throw problem('DATA_OPTION', `--${option} ${text} is not a size`, {
      at: { option },
      fix: 'write 256, or 224x320 for height x width',
    })
  }
  return w ? { height: Number(h), width: Number(w) } : Number(h)
}

export function preprocessOptions(flags: DataFlags): PreprocessOptions {
  const { preset, resize, crop, interpolation, mean, std, scale, layout, channelOrder } = flags
  const side = resize && resize !== 'none' ? size('resize', resize) : undefined
  const cut = crop ? size('crop', crop) : undefined
  const given = {
    preset,
    resize: resize === 'none' ? 'none' : typeof side === 'number' ? { shortSide: side } : side,
    crop: typeof cut === 'number' ? { height: cut, width: cut } : cut,
    interpolation,
    mean,
    std,
    scale,
    layout,
    channelOrder,
  }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as PreprocessOptions
}

/** Opens `--data` for a model: all of it, or `samples` evenly spread. */
export function openData(
  spec: string,
  model: Model,
  flags: DataFlags,
  cx: Pick<CommandContext, 'diagnostics'>,
  samples?: number,
): Promise<Dataset> {
  return open(spec, model, { ...preprocessOptions(flags), ...count(samples), seed: flags.seed ?? 1 }, flags, cx)
}

/** The same with the preprocessing, seed and number of samples that a recipe states. */
export function openRecordedData(
  spec: string,
  model: Model,
  { data, settings }: Recipe,
  flags: DataFlags,
  cx: Pick<CommandContext, 'diagnostics'>,
  samples?: number,
): Promise<Dataset> {
  // Whatever stands there is checked as options are.
  const preprocess = (data.preprocess ?? {}) as PreprocessOptions
  return open(spec, model, { ...preprocess, ...count(samples), seed: settings.seed }, flags, cx)
}

/** `--data` before it is fitted to a model, for verbs that know themselves how much they need. */
export const sourceOf = (
  spec: string,
  flags: DataFlags,
  { diagnostics }: Pick<CommandContext, 'diagnostics'>,
  samples?: number,
): Promise<DataSource> =>
  dataSource(spec, {
    ...{ ...preprocessOptions(flags), ...count(samples), seed: flags.seed ?? 1 },
    ...(flags.skipUnreadable && { onError: 'skip', diagnostics }),
  })

const count = (samples: number | undefined): DataOptions => (samples === undefined ? {} : { samples })

function open(
  spec: string,
  model: Model,
  options: DataOptions,
  { skipUnreadable }: DataFlags,
  { diagnostics }: Pick<CommandContext, 'diagnostics'>,
): Promise<Dataset> {
  const skipping = skipUnreadable ? ({ onError: 'skip', diagnostics } as const) : {}
  return openDataset(spec, modelInputs(model), { ...options, ...skipping })
}
