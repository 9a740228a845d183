import {
  checkedOptions,
  type NamedRequest,
  namedIn,
  type Optioned,
  type OptionedKind,
  type OptionsOf,
  parseRequest,
  type Rng,
} from '../util/index.ts'
import { inPlace, OUTSIDE, type PictureShape, type Placement } from './placement.ts'

/** Moves a picture about, another way each time. */
export interface Augmentation<O extends object = object> {
  readonly name: string
  readonly summary: string
  readonly source: string
  readonly options: OptionsOf<O>
  move(placement: Placement, random: Rng, options: O): Placement
}

interface CropOptions {
  readonly pad: number
  readonly fill: string
}

const crop: Augmentation<CropOptions> = {
  name: 'crop',
  summary: 'shift by up to `pad` pixels along each axis: a random crop of the padded picture',
  source: 'Lee et al., Deeply-Supervised Nets, arXiv:1409.5185; He et al., arXiv:1512.03385, section 4.2',
  options: {
    pad: { summary: 'pixels added at each side', default: 4, least: 0, most: 1024 },
    fill: {
      summary: 'what is added: black pixels, or the mirrored picture',
      default: 'zero',
      choices: ['zero', 'reflect'],
    },
  },
  move({ rows, columns }, random, { pad, fill }) {
    const [down, right] = [random.int(2 * pad + 1) - pad, random.int(2 * pad + 1) - pad]
    return { rows: shifted(rows, down, fill), columns: shifted(columns, right, fill) }
  },
}

function shifted(indices: Int32Array, by: number, fill: string): Int32Array {
  const last = indices.length - 1
  return indices.map((_, i) => {
    const from = i + by
    if (from >= 0 && from <= last) return indices[from] as number
    return fill === 'zero' ? OUTSIDE : (indices[mirrored(from, last)] as number)
  })
}

/** The border pixel is not repeated. */
function mirrored(i: number, last: number): number {
  if (last === 0) return 0
  const period = 2 * last
  const at = ((i % period) + period) % period
  return at <= last ? at : period - at
}

interface FlipOptions {
  readonly probability: number
}

const flip: Augmentation<FlipOptions> = {
  name: 'flip',
  summary: 'mirror left and right',
  source: 'Krizhevsky et al., ImageNet Classification with Deep Convolutional Neural Networks, section 4.1',
  options: { probability: { summary: 'share of pictures', default: 0.5, least: 0, most: 1 } },
  move: ({ rows, columns }, random, { probability }) =>
    random.next() < probability ? { rows, columns: columns.slice().reverse() } : { rows, columns },
}

export const AUGMENTATIONS = { crop, flip } as const

const KIND: OptionedKind = { noun: 'augmentation', code: 'AUGMENTATION', option: 'augment' }

// Options differ from one augmentation to the next; they are checked before anything is moved.
type AnyAugmentation = Optioned & { move(placement: Placement, random: Rng, options: object): Placement }

const REGISTRY: Readonly<Record<string, AnyAugmentation>> = AUGMENTATIONS

/**
 * Reads a list such as `crop:pad=4,flip`.
 * @throws FewbitError AUGMENTATION_UNKNOWN, AUGMENTATION_OPTION
 */
export function parseAugmentations(text: string): NamedRequest[] {
  const words = text.split(',').map((word) => word.trim())
  const groups: string[] = []
  for (const word of words.filter(Boolean)) {
    const last = groups.pop()
    const begins = last === undefined || word.includes(':') || Object.hasOwn(REGISTRY, word)
    if (begins) groups.push(...(last === undefined ? [] : [last]), word)
    else groups.push(`${last}${last.includes(':') ? ',' : ':'}${word}`)
  }
  return groups.map((group) => parseRequest(KIND, group, REGISTRY))
}

/** Moves one picture; the same for the same random numbers. */
export type Mover = (shape: PictureShape, random: Rng) => Placement

/**
 * What is done to each picture, in the order in which it was asked for.
 * @throws FewbitError AUGMENTATION_UNKNOWN, AUGMENTATION_OPTION
 */
export function moverOf(requests: readonly NamedRequest[]): Mover {
  const chosen = requests.map(({ name, options }) => {
    const augmentation = namedIn(KIND, name, REGISTRY)
    return { augmentation, options: checkedOptions(KIND, augmentation, options) }
  })
  return (shape, random) =>
    chosen.reduce(
      (placement, { augmentation, options }) => augmentation.move(placement, random, options),
      inPlace(shape),
    )
}
