import { type Rng, rng } from '@fewbit/core/util'
import { CLASSES, coverage, type Placed } from './shapes.ts'

/** Width and height in pixels. */
export const SIDE = 32

/** Pictures of different seeds have nothing in common. */
export const SPLITS = { train: 1, calibrate: 2, test: 3 } as const
export type Split = keyof typeof SPLITS

export interface Picture {
  /** Index into `CLASSES`. */
  readonly label: number
  /** Height × width × RGB, 0 to 255. */
  readonly pixels: Uint8ClampedArray
}

type Colour = readonly [number, number, number]

/** A wave across the picture, added to a colour. */
interface Texture {
  readonly fx: number
  readonly fy: number
  readonly phase: number
  readonly amplitude: number
}

interface Painted {
  readonly placed: Placed
  readonly colour: Colour
  readonly texture: Texture
}

/** How hard the pictures are: chosen so that a small network errs on a few of a hundred. */
const CLUTTER = { least: 1, most: 4, smallest: 1.5, largest: 3 }
const LEAST_CONTRAST = 0.18
const MOST_NOISE = 0.08
/** Radians. */
const MOST_TURN = 0.6

/**
 * The picture number `index` of a seed. One large shape names the class; small shapes of every class, textures, uneven
 * light and noise surround it. Classes take turns, so that any run of pictures is balanced.
 */
export function drawPicture(seed: number, index: number): Picture {
  // Odd multipliers spread neighbouring pictures over the generator's 32-bit state.
  const random = rng(Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b))
  const label = index % CLASSES.length
  const canvas = new Float32Array(SIDE * SIDE * 3)
  const ground = colour(random, 0.7)
  paintGround(canvas, ground, random)
  for (let n = between(random, CLUTTER.least, CLUTTER.most + 1) | 0; n > 0; n--) {
    const shape = random.int(CLASSES.length)
    const radius = between(random, CLUTTER.smallest, CLUTTER.largest)
    paintShape(canvas, { ...painted(random, shape, radius, 0), colour: colour(random) })
  }
  const subject = painted(random, label, between(random, 9, 12), 12)
  paintShape(canvas, { ...subject, colour: contrasting(random, ground) })
  return { label, pixels: develop(canvas, random) }
}

const between = (random: Rng, low: number, high: number): number => low + (high - low) * random.next()
const colour = (random: Rng, most = 1): Colour => [most * random.next(), most * random.next(), most * random.next()]

/** A colour brighter than the ground. */
function contrasting(random: Rng, ground: Colour): Colour {
  for (;;) {
    const c = colour(random)
    const difference = c.reduce((sum, part, i) => sum + part - (ground[i] as number), 0) / 3
    if (difference > LEAST_CONTRAST) return c
  }
}

function texture(random: Rng, most: number): Texture {
  const [fx, fy] = [between(random, -1, 1), between(random, -1, 1)]
  return { fx, fy, phase: between(random, 0, 6.28), amplitude: between(random, 0, most) }
}

/** A shape at a random place and angle whose centre keeps `margin` pixels from the border. */
function painted(random: Rng, shape: number, radius: number, margin: number): Painted {
  const angle = between(random, -MOST_TURN, MOST_TURN)
  const placed: Placed = {
    shape: CLASSES[shape] as Placed['shape'],
    x: between(random, margin, SIDE - margin),
    y: between(random, margin, SIDE - margin),
    radius,
    cos: Math.cos(angle),
    sin: Math.sin(angle),
  }
  return { placed, colour: [0, 0, 0], texture: texture(random, 0.1) }
}

/** A slope from one colour to another, with a texture. */
function paintGround(canvas: Float32Array, from: Colour, random: Rng): void {
  const to = colour(random)
  const slope = between(random, 0, 0.5)
  const wave = texture(random, 0.08)
  for (let y = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++) {
      const share = (slope * (x + y)) / (2 * SIDE)
      const ripple = wave.amplitude * Math.sin(wave.fx * x + wave.fy * y + wave.phase)
      const at = 3 * (y * SIDE + x)
      for (let c = 0; c < 3; c++)
        canvas[at + c] = (from[c] as number) * (1 - share) + (to[c] as number) * share + ripple
    }
  }
}

function paintShape(canvas: Float32Array, { placed, colour, texture }: Painted): void {
  const reach = placed.radius * 1.5
  const [left, right] = [Math.max(0, Math.floor(placed.x - reach)), Math.min(SIDE, Math.ceil(placed.x + reach))]
  const [top, bottom] = [Math.max(0, Math.floor(placed.y - reach)), Math.min(SIDE, Math.ceil(placed.y + reach))]
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      const alpha = coverage(placed, x, y)
      if (alpha === 0) continue
      const ripple = texture.amplitude * Math.sin(texture.fx * x + texture.fy * y + texture.phase)
      const at = 3 * (y * SIDE + x)
      for (let c = 0; c < 3; c++) {
        canvas[at + c] = (canvas[at + c] as number) * (1 - alpha) + ((colour[c] as number) + ripple) * alpha
      }
    }
  }
}

/** Light that falls off across the picture, noise, and rounding to bytes (which clamps, half to even). */
function develop(canvas: Float32Array, random: Rng): Uint8ClampedArray {
  const [level, dx, dy] = [between(random, 0.6, 1.2), between(random, -0.3, 0.3), between(random, -0.3, 0.3)]
  const noise = between(random, 0, MOST_NOISE)
  const pixels = new Uint8ClampedArray(canvas.length)
  for (let i = 0; i < canvas.length; i++) {
    const [x, y] = [((i / 3) | 0) % SIDE, (i / (3 * SIDE)) | 0]
    const light = level + dx * (x / SIDE - 0.5) + dy * (y / SIDE - 0.5)
    pixels[i] = 255 * ((canvas[i] as number) * light + noise * (random.next() + random.next() - 1))
  }
  return pixels
}
